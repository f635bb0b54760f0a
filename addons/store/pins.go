package store

import (
	"fmt"
	"maps"
	"slices"
)

// keepPins holds what a repository says now against what was accepted with it. Nothing that was accepted changes: a
// repository whose host was taken over must not talk itself out of its ledger. A publisher for an add-on that had
// none is kept from now on, since it only asks for more.
func (s *Store) keepPins(r *repository, f repositoryFile) ([]Problem, error) {
	s.mu.RLock()
	rec, ok := s.list.find(r.source.slug)
	s.mu.RUnlock()
	if !ok {
		rec = record{Source: r.source.text, Slug: r.source.slug, Builtin: r.builtin != ""}
	}
	var bad problems
	if f.Extension != "" {
		bad.add("", "%s; what was accepted stays in force", f.Extension)
		return bad.all(), nil
	}
	if why := ledgerChange(rec, f.Ledger); why != "" {
		bad.add("", "%s", why)
	}
	publishers := maps.Clone(rec.Publishers)
	for _, addon := range slices.Sorted(maps.Keys(rec.Publishers)) {
		if p := rec.Publishers[addon]; f.Publishers[addon] != p {
			bad.add("", "it names publisher %q for add-on %s now; %s, which was accepted, stays in force; remove and add the repository to change it",
				f.Publishers[addon], addon, p)
		}
	}
	for _, addon := range slices.Sorted(maps.Keys(f.Publishers)) {
		if _, ok := publishers[addon]; ok {
			continue
		}
		if len(publishers) >= maxPublishers {
			bad.add("", "it names more than %d publishers; the rest is left out", maxPublishers)
			break
		}
		if publishers == nil {
			publishers = map[string]string{}
		}
		publishers[addon] = f.Publishers[addon]
	}
	if len(publishers) == len(rec.Publishers) {
		return bad.all(), nil
	}
	rec.Publishers = publishers
	if err := s.saveList(func(l list) list { return l.with(rec) }); err != nil {
		return nil, err
	}
	return bad.all(), nil
}

// ledgerChange says how the ledger a repository brings differs from the accepted one, "" when it does not.
func ledgerChange(rec record, now *Ledger) string {
	pinned := rec.Ledger
	const way = "; remove and add the repository to accept it"
	switch {
	case pinned == nil && now == nil:
		return ""
	case pinned == nil && rec.Builtin:
		return fmt.Sprintf("it brings ledger %q; a built-in repository is judged by the root's, so it is ignored", now.Origin)
	case pinned == nil:
		return fmt.Sprintf("it brings ledger %q, which was not accepted when it was added, so it is ignored%s", now.Origin, way)
	case now == nil:
		return fmt.Sprintf("it no longer brings ledger %q; the accepted one stays in force", pinned.Origin)
	case !pinned.same(*now):
		return fmt.Sprintf("it brings ledger %q with fingerprint %s; the accepted one, %q, stays in force%s", now.Origin, now.Fingerprint(), pinned.Origin, way)
	case !slices.Equal(pinned.URLs, now.URLs):
		return fmt.Sprintf("the mirrors of ledger %q changed; the accepted ones stay in force%s", pinned.Origin, way)
	}
	return ""
}
