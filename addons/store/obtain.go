package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// obtain makes a checked copy of a repository in tmp, and the index for it. It returns old when the remote still has
// the commit of old: that costs one round trip and writes nothing.
func (s *Store) obtain(ctx context.Context, src source, old *index, tmp string) (*index, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.Limits.Deadline, fmt.Errorf("not done after %v: %w", s.cfg.Limits.Deadline, context.DeadlineExceeded))
	defer cancel()
	r, err := s.git.look(ctx, src.url)
	if err != nil {
		return nil, fetchError(err)
	}
	head, err := r.head(src.branch)
	if err != nil {
		return nil, fetchError(err)
	}
	if s.current(old, head) {
		return old, nil
	}
	if err := errors.Join(s.disk.RemoveAll(tmp), s.disk.MkdirAll(filepath.Join(tmp, "tree"))); err != nil {
		return nil, err
	}
	p, err := r.fetch(ctx, s.cfg.Limits, head, tmp)
	if err != nil {
		return nil, fetchError(err)
	}
	defer p.close()
	c, err := p.commit(head)
	if err != nil {
		return nil, fetchError(err)
	}
	root, err := os.OpenRoot(filepath.Join(tmp, "tree"))
	if err != nil {
		return nil, err
	}
	defer root.Close() // synced by name
	e := &exporter{git: s.git, disk: s.disk, root: root, tmp: tmp}
	if err := e.commit(ctx, p, src.url, head, ".", 0); err != nil {
		return nil, fetchError(err)
	}
	idx, err := s.sumUp(src.slug, root, e)
	if err != nil {
		return nil, err
	}
	idx.Source, idx.Commit, idx.Committed = src.text, head.String(), c.Committer.When.UTC()
	idx.Parents = parents(c)
	return idx, nil
}

// current tells whether the copy is the remote's head, and was read by today's rules.
func (s *Store) current(old *index, head plumbing.Hash) bool {
	if old == nil || old.Commit != head.String() || old.Rules != scanRules {
		return false
	}
	_, err := os.Lstat(s.copyDir(old))
	return err == nil
}

// fetchError names what failed: the disk, the repository, or the way to it.
func fetchError(err error) error {
	var onDisk *fs.PathError
	if errors.Is(err, ErrHostile) || errors.Is(err, ErrInvalid) || errors.As(err, &onDisk) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFetch, err)
}

// sumUp checks a copy and reads its add-ons. A repository without a single readable add-on is no repository: it is what
// a broken one looks like.
func (s *Store) sumUp(slug string, root *os.Root, e *exporter) (*index, error) {
	idx := &index{Slug: slug, Rules: scanRules}
	var err error
	if idx.File, err = readRepositoryFile(root, slug); err != nil {
		return nil, err
	}
	w, err := walk(root, s.cfg.Limits)
	if err != nil {
		return nil, err
	}
	w.links, w.link = e.links, e.link // none was written
	w.problems = e.problems
	idx.Entries = w.scan(slug)
	idx.Problems = w.problems.all()
	in := newInterner()
	for i := range idx.Entries {
		in.entry(&idx.Entries[i])
	}
	if len(idx.Entries) > 0 {
		return idx, nil
	}
	why := "it holds no add-on"
	if len(idx.Problems) > 0 {
		why = fmt.Sprintf("none of its add-ons can be read, as %s: %s", idx.Problems[0].Path, idx.Problems[0].Reason)
	}
	return nil, fmt.Errorf("%w: %s", ErrInvalid, why)
}

// readRepositoryFile reads what the repository says of itself. The official one has no such file.
func readRepositoryFile(root *os.Root, slug string) (repositoryFile, error) {
	for _, name := range repositoryFiles {
		data, err := readFile(root, name, maxRepositoryFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var f repositoryFile
		if err == nil {
			f, err = parseRepositoryFile(data)
		}
		if err != nil {
			return f, fmt.Errorf("%w: %s: %w", ErrInvalid, name, err)
		}
		return f, nil
	}
	if slug == coreSlug {
		return repositoryFile{}, nil
	}
	return repositoryFile{}, fmt.Errorf("%w: it has no repository.yaml", ErrInvalid)
}

func parents(c *object.Commit) []string {
	var out []string
	for _, h := range c.ParentHashes[:min(len(c.ParentHashes), 8)] {
		out = append(out, h.String())
	}
	return out
}

// rewritten says that the remote's history was changed, as far as commits without their history tell: the new head is
// older than the last one, or stands in its place. "" when nothing speaks for it. It is accepted, as Home Assistant
// does, but said.
func rewritten(old, next *index) string {
	switch {
	case old == nil || old.Commit == "" || old.Commit == next.Commit || slices.Contains(next.Parents, old.Commit):
		return ""
	case slices.Contains(old.Parents, next.Commit), next.Committed.Before(old.Committed):
		return fmt.Sprintf("its history went back, from commit %.12s of %s to %.12s of %s",
			old.Commit, old.Committed.Format(time.DateTime), next.Commit, next.Committed.Format(time.DateTime))
	case slices.Equal(old.Parents, next.Parents):
		return fmt.Sprintf("its history was rewritten: commit %.12s stands in place of %.12s", next.Commit, old.Commit)
	}
	return ""
}

// adopt makes what lies in tmp the repository's copy. The index file is the commit point.
func (s *Store) adopt(r *repository, next *index, tmp string) error {
	// A number is used once: after a failed write the disk may hold an index of it.
	r.tried++
	next.Generation = r.tried
	tree, dir := filepath.Join(tmp, "tree"), s.copyDir(next)
	if err := s.disk.SyncTree(tree); err != nil {
		return err
	}
	if err := s.disk.RemoveAll(dir); err != nil {
		return err
	}
	if err := s.disk.Rename(tree, dir); err != nil {
		return err
	}
	if err := s.saveIndex(next); err != nil {
		return err
	}
	s.swap(r, next)
	return nil
}

// swap shows the new copy, and removes what came before.
func (s *Store) swap(r *repository, next *index) {
	s.show(r, next)
	if next.Slug == localSlug {
		return
	}
	old, err := filepath.Glob(s.path("copies", next.Slug+".*"))
	for _, dir := range old {
		if dir != s.copyDir(next) {
			err = errors.Join(err, s.disk.RemoveAll(dir))
		}
	}
	if err != nil { // it costs space only, and the next start tries again
		s.cfg.Log.Warn("cannot remove the old copy of an add-on repository", "repository", next.Slug, "error", err)
	}
}

// show changes what readers see. When it returns nobody reads the copy that was there.
func (s *Store) show(r *repository, next *index) {
	r.files.Lock()
	defer r.files.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	r.index = next
}

// help is the next step after an error of obtain or adopt.
func help(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "free some space on the disk"
	case errors.Is(err, ErrInvalid), errors.Is(err, ErrHostile):
		return "ask its maintainer"
	}
	return nextStep(err)
}
