package store

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const indexFormat = 1

// index names a repository's copy and sums it up, so that a start parses nothing. It is bound to the copy by its
// generation, and to the remote by the commit; for the local folder, to what its files look like.
type index struct {
	Format     int            `json:"format"`
	Rules      int            `json:"rules"`
	Slug       string         `json:"slug"`
	Source     string         `json:"source"`
	Generation int            `json:"generation,omitzero"`
	Commit     string         `json:"commit,omitempty"`
	Parents    []string       `json:"parents,omitempty"`
	Committed  time.Time      `json:"committed,omitzero"` // the server's word
	State      string         `json:"state,omitempty"`
	Updated    time.Time      `json:"updated,omitzero"`
	File       repositoryFile `json:"file"`
	Problems   []Problem      `json:"problems,omitempty"`
	Entries    []Entry        `json:"entries,omitempty"` // sorted by slug
	// Seen is by full slug, newest version last. Add-ons that vanished stay, in case they come back.
	Seen map[string][]sight `json:"seen,omitempty"`
}

// sight is when a version was first seen; zero = unknown.
type sight struct {
	Version string    `json:"version"`
	First   time.Time `json:"first,omitzero"`
}

func (s *Store) indexFile(slug string) string { return s.path("index", slug+".json") }

// loadIndex reads a repository's index. One that does not fit is an error: the copy is lost.
func (s *Store) loadIndex(r *repository, in *interner) (*index, error) {
	name := s.indexFile(r.source.slug)
	data, err := readBounded(name, maxIndex)
	if err != nil {
		return nil, err
	}
	var idx index
	if err := json.Unmarshal(data, &idx, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	switch {
	case idx.Format != indexFormat:
		return nil, fmt.Errorf("cannot read %s: format %d, this program reads format %d", name, idx.Format, indexFormat)
	case idx.Slug != r.source.slug || idx.Source != r.source.text:
		return nil, fmt.Errorf("cannot use %s: it speaks of another repository", name)
	}
	if fi, err := os.Lstat(s.copyDir(&idx)); idx.Slug != localSlug && (err != nil || !fi.IsDir()) {
		return nil, fmt.Errorf("cannot find the copy %s", s.copyDir(&idx))
	}
	for i := range idx.Entries {
		in.entry(&idx.Entries[i])
	}
	sort.Slice(idx.Entries, func(i, j int) bool { return idx.Entries[i].Slug < idx.Entries[j].Slug })
	return &idx, nil
}

func (s *Store) saveIndex(idx *index) error {
	idx.Format, idx.Rules = indexFormat, scanRules
	data, err := json.Marshal(idx, json.Deterministic(true))
	if err != nil {
		return err
	}
	if len(data) >= maxIndex {
		return fmt.Errorf("%w: its summary has %d bytes, the limit is %d", ErrHostile, len(data), maxIndex)
	}
	return s.disk.WriteFile(s.indexFile(idx.Slug), append(data, '\n'))
}

func (idx *index) entry(slug string) (Entry, bool) {
	if idx == nil {
		return Entry{}, false
	}
	i, ok := slices.BinarySearchFunc(idx.Entries, slug, func(e Entry, s string) int { return strings.Compare(e.Slug, s) })
	if !ok {
		return Entry{}, false
	}
	return idx.Entries[i], true
}

// clockSet is when this was written: a clock that shows less was never set.
var clockSet = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)

// date gives each entry the time its version was first seen. It reports whether anything is new. A time ahead of now
// came from a clock that was wrong and falls to now; an unset clock gives no times.
func (idx *index) date(old *index, now time.Time) bool {
	now = now.UTC().Truncate(time.Second)
	known := !now.Before(clockSet)
	changed := false
	seen := map[string][]sight{}
	if old != nil {
		for slug, list := range old.Seen {
			if _, ok := idx.entry(slug); ok || len(seen) < maxPublishers {
				seen[slug] = list
			}
		}
	}
	for i := range idx.Entries {
		e := &idx.Entries[i]
		list := slices.Clone(seen[e.Slug])
		at := slices.IndexFunc(list, func(v sight) bool { return v.Version == e.Version })
		if at < 0 {
			list = append(list, sight{Version: e.Version})
			list = list[max(0, len(list)-keptVersions):]
			at, changed = len(list)-1, true
		}
		if v := &list[at]; known && (v.First.IsZero() || v.First.After(now)) {
			v.First, changed = now, true
		}
		e.FirstSeen = list[at].First
		seen[e.Slug] = list
	}
	idx.Seen = seen
	return changed
}

// interner keeps one copy of what a thousand entries repeat.
type interner struct {
	texts map[string]string
	lists map[string][]string
}

func newInterner() *interner {
	return &interner{texts: map[string]string{}, lists: map[string][]string{}}
}

func (in *interner) text(s *string) {
	if t, ok := in.texts[*s]; ok {
		*s = t
		return
	}
	in.texts[*s] = *s
}

func (in *interner) list(l *[]string) {
	if len(*l) == 0 {
		*l = nil
		return
	}
	key := strings.Join(*l, "\x00")
	if have, ok := in.lists[key]; ok {
		*l = have
		return
	}
	for i := range *l {
		in.text(&(*l)[i])
	}
	in.lists[key] = *l
}

func (in *interner) entry(e *Entry) {
	for _, s := range []*string{&e.Repository, &e.Version, &e.Stage, &e.URL, &e.Core, &e.Image} {
		in.text(s)
	}
	in.list(&e.Arch)
	in.list(&e.Machine)
}
