package store

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
)

// Repository is one that is followed, as it stands.
type Repository struct {
	Slug       string // first part of its add-ons' slugs
	Source     string // as it was added, with "#branch"
	URL        string // its web page, or its address when it names none
	Branch     string
	Name       string
	Maintainer string
	Builtin    bool
	Addons     int

	Ledger     *Ledger           // as accepted; nil = the root's
	Publishers map[string]string // add-on, without the repository's slug -> publisher that must have signed it

	Commit      string    // of the copy, "" = none, or a local folder
	LastSuccess time.Time // when the remote was last found to be what the copy is; after a start, when it last changed
	LastError   string    // "" = the last refresh went well
	Problems    []Problem
}

// Repositories are all that are followed, built-in ones first, then by name. What they point to is shared: read only.
func (s *Store) Repositories() []Repository {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Repository, 0, len(s.repos))
	for _, r := range s.repos {
		out = append(out, s.describe(r))
	}
	slices.SortFunc(out, func(a, b Repository) int {
		if a.Builtin != b.Builtin {
			if a.Builtin {
				return -1
			}
			return 1
		}
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Slug, b.Slug))
	})
	return out
}

// RepositoryOf is the repository of an add-on's full slug, whether it still holds the add-on or not.
func (s *Store) RepositoryOf(slug string) (Repository, bool) {
	repo, _, ok := strings.Cut(slug, "_")
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.repos[repo]
	if !ok || r == nil {
		return Repository{}, false
	}
	return s.describe(r), true
}

// describe needs mu.
func (s *Store) describe(r *repository) Repository {
	out := Repository{
		Slug: r.source.slug, Source: r.source.text, URL: r.source.url, Branch: r.source.branch, Builtin: r.builtin != "",
		LastSuccess: r.success, LastError: r.failure,
	}
	if rec, ok := s.list.find(r.source.slug); ok {
		out.Ledger, out.Publishers = rec.Ledger, rec.Publishers
	}
	if idx := r.index; idx != nil {
		out.Name, out.Maintainer, out.URL = idx.File.Name, idx.File.Maintainer, cmp.Or(idx.File.URL, out.URL)
		out.Commit, out.Problems, out.Addons = idx.Commit, idx.Problems, len(idx.Entries)
	}
	switch r.source.slug {
	case coreSlug:
		out.Name = "Official apps"
	case localSlug:
		out.Name = "Local apps"
	}
	out.Name = cmp.Or(out.Name, r.source.text)
	return out
}

// Entries are the summaries of all add-ons, by slug. The lists in them are shared: read only.
func (s *Store) Entries() []Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Entry
	for _, slug := range slices.Sorted(maps.Keys(s.repos)) {
		if idx := s.repos[slug].index; idx != nil {
			out = append(out, idx.Entries...)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Slug < out[j].Slug })
	return out
}

// Entry is the summary of one add-on, by its full slug.
func (s *Store) Entry(slug string) (Entry, bool) {
	repo, _, _ := strings.Cut(slug, "_")
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.repos[repo]
	if r == nil {
		return Entry{}, false
	}
	return r.index.entry(slug)
}
