package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Add follows a repository, given as "https://host/path" or with "#branch". accept is the fingerprint of the ledger it
// brings, as the owner confirmed it, "" when he saw none. A failed Add leaves nothing behind. The error is a
// [*LedgerError], or wraps [ErrSource], [ErrAdded], [ErrFetch], [ErrInvalid] or [ErrHostile], or is of the disk.
func (s *Store) Add(ctx context.Context, text string, accept string) (Repository, error) {
	src, err := parseSource(text)
	if err != nil {
		return Repository{}, fmt.Errorf("cannot add a repository: %w", err)
	}
	s.change.Lock()
	defer s.change.Unlock()
	if err := s.addable(src); err != nil {
		return Repository{}, fmt.Errorf("cannot add %s: %w", src.text, err)
	}
	r := &repository{source: src, work: make(chan struct{}, 1)}
	if err := s.add(ctx, r, accept); err != nil {
		var le *LedgerError
		switch {
		case errors.As(err, &le):
			return Repository{}, le
		case ctx.Err() != nil:
			return Repository{}, fmt.Errorf("cannot add %s: %w", src.text, err)
		}
		return Repository{}, fmt.Errorf("cannot add %s: %w; nothing was changed; %s", src.text, err, addHelp(err))
	}
	s.cfg.Log.Info("add-on repository added", "repository", src.slug, "source", src.text, "addons", len(r.index.Entries))
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.describe(r), nil
}

// addHelp is help for somebody who waits: nothing is tried again by itself.
func addHelp(err error) string {
	return strings.Replace(help(err), "it is tried again by itself", "try again", 1)
}

func (s *Store) addable(src source) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for slug, r := range s.repos {
		if slug == src.slug || strings.EqualFold(r.source.text, src.text) {
			return fmt.Errorf("%w, as %s; refresh it to see what is new", ErrAdded, slug)
		}
	}
	if len(s.repos) >= maxRepositories {
		return fmt.Errorf("there are %d repositories, the limit is %d; remove one first", len(s.repos), maxRepositories)
	}
	return nil
}

func (s *Store) add(ctx context.Context, r *repository, accept string) error {
	slug := r.source.slug
	tmp := s.path("tmp", slug)
	defer s.cleanUp(tmp)
	next, err := s.obtain(ctx, r.source, nil, tmp)
	if err != nil {
		return err
	}
	f := next.File
	switch {
	case f.Extension != "":
		return fmt.Errorf("%w: %s", ErrInvalid, f.Extension)
	case f.Ledger != nil && !f.Ledger.accepts(accept):
		return &LedgerError{Source: r.source.text, Origin: f.Ledger.Origin, Fingerprint: f.Ledger.Fingerprint(), Given: accept}
	case f.Ledger == nil && accept != "":
		return fmt.Errorf("%w: it brings no ledger, but one with fingerprint %s was to be accepted", ErrInvalid, clean(accept))
	}
	now := s.cfg.Now()
	next.date(nil, now)
	next.Updated = now.UTC().Truncate(time.Second)
	err = s.adopt(r, next, tmp)
	if err == nil {
		rec := record{Source: r.source.text, Slug: slug, Added: now.UTC().Truncate(time.Second), Ledger: f.Ledger, Publishers: f.Publishers}
		err = s.saveList(func(l list) list { return l.with(rec) })
	}
	if err != nil {
		s.forget(r)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.success = now
	s.repos[slug] = r
	return nil
}

// Remove no longer follows a repository. inUse are the full slugs of installed add-ons; a repository one of them comes
// from stays, as a built-in one does. The error wraps [ErrNotFound], [ErrBuiltin] or [ErrInUse], or is of the disk.
func (s *Store) Remove(ctx context.Context, slug string, inUse []string) error {
	s.change.Lock()
	defer s.change.Unlock()
	fail := func(err error) error { return fmt.Errorf("cannot remove repository %s: %w", clean(slug), err) }
	s.mu.RLock()
	r := s.repos[slug]
	s.mu.RUnlock()
	switch {
	case r == nil:
		return fail(fmt.Errorf("%w; see the list of repositories", ErrNotFound))
	case r.builtin != "":
		return fail(fmt.Errorf("%w; take %s out of the settings instead", ErrBuiltin, r.builtin))
	}
	var users []string
	for _, addon := range inUse {
		if strings.HasPrefix(addon, slug+"_") {
			users = append(users, addon)
		}
	}
	if len(users) > 0 {
		slices.Sort(users)
		return fail(fmt.Errorf("%w: %s; uninstall them first", ErrInUse, strings.Join(users, ", ")))
	}
	select { // a refresh under way ends first
	case r.work <- struct{}{}:
		defer func() { <-r.work }()
	case <-ctx.Done():
		return fail(ctx.Err())
	}
	if err := s.saveList(func(l list) list { return l.without(slug) }); err != nil {
		return fail(err)
	}
	r.removed = true
	s.mu.Lock()
	delete(s.repos, slug)
	s.mu.Unlock()
	s.forget(r)
	s.cfg.Log.Info("add-on repository removed", "repository", slug)
	return nil
}

// forget removes the copies and the index of a repository that is not in the list. What stays is removed at the next
// start.
func (s *Store) forget(r *repository) {
	s.show(r, nil)
	err := s.disk.RemoveAll(s.indexFile(r.source.slug))
	err = errors.Join(err, s.sweepDir(s.path("copies"), func(name string) bool { return !strings.HasPrefix(name, r.source.slug+".") }))
	if err != nil {
		s.cfg.Log.Warn("cannot remove what is left of an add-on repository", "repository", r.source.slug, "error", err)
	}
}
