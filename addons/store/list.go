package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	listFile   = "repositories.json"
	listFormat = 1
)

// list is what must not be forgotten: the repositories the owner added, and what was accepted with them.
type list struct {
	Format       int      `json:"format"`
	Repositories []record `json:"repositories,omitempty"`
}

// record is one repository. A built-in one stands here only to keep its publishers.
type record struct {
	Source     string            `json:"source"`
	Slug       string            `json:"slug"`
	Builtin    bool              `json:"builtin,omitzero"`
	Added      time.Time         `json:"added,omitzero"`
	Ledger     *Ledger           `json:"ledger,omitempty"`
	Publishers map[string]string `json:"publishers,omitempty"`
}

func loadList(dir string) (list, error) {
	name := filepath.Join(dir, listFile)
	data, err := readBounded(name, maxList)
	if err != nil {
		help := "restore a backup"
		if errors.Is(err, fs.ErrNotExist) {
			help = "restore a backup, or run castellan trust reinit"
		}
		return list{}, fmt.Errorf("cannot open the add-on store: %w; %s", err, help)
	}
	var l list
	if err := json.Unmarshal(data, &l, json.RejectUnknownMembers(true)); err != nil {
		return list{}, fmt.Errorf("cannot read %s: %w; restore a backup", name, err)
	}
	if l.Format != listFormat {
		return list{}, fmt.Errorf("cannot read %s: format %d, this program reads format %d; install the version of castellan that wrote it", name, l.Format, listFormat)
	}
	for _, r := range l.Repositories {
		if !r.Builtin && r.Slug != slugOf(r.Source) {
			return list{}, fmt.Errorf("cannot read %s: %q stands there as %q, which is not its slug; restore a backup", name, clean(r.Source), clean(r.Slug))
		}
	}
	return l, nil
}

func (l list) save(d disk, dir string) error {
	l.Format = listFormat
	data, err := json.Marshal(l, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return d.WriteFile(filepath.Join(dir, listFile), append(data, '\n'))
}

func (l list) find(slug string) (record, bool) {
	i := slices.IndexFunc(l.Repositories, func(r record) bool { return r.Slug == slug })
	if i < 0 {
		return record{}, false
	}
	return l.Repositories[i], true
}

// with is the list with r in place of the record of its slug, or at the end.
func (l list) with(r record) list {
	next := l.without(r.Slug)
	next.Repositories = append(next.Repositories, r)
	return next
}

func (l list) without(slug string) list {
	next := list{Format: listFormat}
	for _, r := range l.Repositories {
		if r.Slug != slug {
			next.Repositories = append(next.Repositories, r)
		}
	}
	return next
}

// saveList makes next the list once it is on disk.
func (s *Store) saveList(edit func(list) list) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := edit(s.list)
	if err := next.save(s.disk, s.cfg.Dir); err != nil {
		return err
	}
	s.list = next
	return nil
}

// readBounded reads a file of our own.
func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	return readAll(f, name, limit)
}
