package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// parallel is how many repositories are fetched at a time.
const parallel = 2

// Refresh looks whether a repository has changed, all of them when slug is "", and takes the new copy. Whatever fails,
// the last good copy stays. The error joins those of all repositories; it wraps [ErrFetch], [ErrInvalid] or
// [ErrHostile], or is of the disk.
func (s *Store) Refresh(ctx context.Context, slug string) error {
	if slug == "" {
		return s.refresh(ctx, s.slugs())
	}
	s.mu.RLock()
	_, ok := s.repos[slug]
	s.mu.RUnlock()
	if !ok {
		return fmt.Errorf("cannot refresh repository %s: %w; see the list of repositories", clean(slug), ErrNotFound)
	}
	return s.refresh(ctx, []string{slug})
}

func (s *Store) slugs() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.repos))
}

func (s *Store) refresh(ctx context.Context, slugs []string) error {
	var g errgroup.Group
	g.SetLimit(parallel)
	var mu sync.Mutex
	var errs []error
	for _, slug := range slugs {
		s.mu.RLock()
		r := s.repos[slug]
		s.mu.RUnlock()
		if r == nil {
			continue // removed meanwhile
		}
		g.Go(func() error {
			if err := s.refreshOne(ctx, r); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	return errors.Join(errs...)
}

func (s *Store) refreshOne(ctx context.Context, r *repository) error {
	select {
	case r.work <- struct{}{}:
		defer func() { <-r.work }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.removed {
		return nil
	}
	var err error
	if r.source.slug == localSlug {
		err = s.refreshLocal(r)
	} else {
		err = s.refreshRemote(ctx, r)
	}
	if err == nil || ctx.Err() != nil { // an end asked for is no failure of the repository
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stays := "it has no copy yet"
	if r.index != nil {
		stays = "its last good copy stays"
		if !r.success.IsZero() {
			stays += ", checked " + r.success.UTC().Format(time.DateTime)
		}
	}
	err = fmt.Errorf("cannot refresh repository %s (%s): %w; %s; %s", r.source.slug, r.source.text, err, stays, help(err))
	r.failure = clean(err.Error())
	return err
}

func (s *Store) refreshRemote(ctx context.Context, r *repository) error {
	tmp := s.path("tmp", r.source.slug)
	old := r.index // changed under work only
	next, err := s.obtain(ctx, r.source, old, tmp)
	if next == nil || next != old {
		defer s.cleanUp(tmp)
	}
	if err != nil {
		return err
	}
	now := s.cfg.Now()
	if next == old {
		return s.unchanged(r, now)
	}
	if why := rewritten(old, next); why != "" {
		s.cfg.Log.Warn("an add-on repository changed its history", "repository", next.Slug, "what", why)
		next.Problems = append(next.Problems, Problem{Reason: why})
	}
	bad, err := s.keepPins(r, next.File)
	if err != nil {
		return err
	}
	next.Problems = append(next.Problems, bad...)
	next.date(old, now)
	next.Updated = now.UTC().Truncate(time.Second)
	if err := s.adopt(r, next, tmp); err != nil {
		return err
	}
	s.succeeded(r, now)
	s.cfg.Log.Info("add-on repository refreshed", "repository", next.Slug, "commit", next.Commit, "addons", len(next.Entries), "problems", len(next.Problems))
	return nil
}

// unchanged writes only when the clock, unset before, now tells since when the versions are there.
func (s *Store) unchanged(r *repository, now time.Time) error {
	undated := func(e Entry) bool { return e.FirstSeen.IsZero() || e.FirstSeen.After(now) }
	if !now.Before(clockSet) && slices.ContainsFunc(r.index.Entries, undated) {
		next := *r.index
		next.Entries = slices.Clone(next.Entries)
		if next.date(r.index, now) {
			if err := s.saveIndex(&next); err != nil {
				return err
			}
			s.swap(r, &next)
		}
	}
	s.succeeded(r, now)
	return nil
}

// refreshLocal reads the folder of local add-ons in place, when it has changed.
func (s *Store) refreshLocal(r *repository) error {
	root, err := os.OpenRoot(s.cfg.Local)
	if err != nil {
		return fmt.Errorf("%w; make the folder, or correct its path", err)
	}
	defer root.Close() // only read
	w, err := walk(root, s.cfg.Limits)
	if err != nil {
		return err
	}
	now := s.cfg.Now()
	if old := r.index; old != nil && old.State == w.sum() && old.Rules == scanRules {
		return s.unchanged(r, now)
	}
	next := &index{Slug: localSlug, Source: r.source.text, State: w.sum(), Rules: scanRules, Updated: now.UTC().Truncate(time.Second)}
	next.Entries = w.scan(localSlug)
	next.Problems = w.problems.all()
	in := newInterner()
	for i := range next.Entries {
		in.entry(&next.Entries[i])
	}
	next.date(r.index, now)
	if err := s.saveIndex(next); err != nil {
		return err
	}
	s.swap(r, next)
	s.succeeded(r, now)
	return nil
}

func (s *Store) succeeded(r *repository, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.success, r.failure = now, ""
}

func (s *Store) cleanUp(tmp string) {
	if err := s.disk.RemoveAll(tmp); err != nil { // it costs space only, and the next start tries again
		s.cfg.Log.Warn("cannot remove a temporary folder", "folder", tmp, "error", err)
	}
}
