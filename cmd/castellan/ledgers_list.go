package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/config/durable"
)

// ledgerList is the file ledgers/list.json.
type ledgerList struct {
	Format  int               `json:"format"`
	Ledgers map[string]Ledger `json:"ledgers"` // by folder
}

const ledgerListFormat = 1

func ledgerListName(dir string) string { return filepath.Join(dir, "list.json") }

// readLedgers reads which ledgers were followed; nil when none ever was.
func readLedgers(dir string) (map[string]Ledger, error) {
	b, err := os.ReadFile(ledgerListName(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list ledgerList
	if err == nil {
		err = json.Unmarshal(b, &list, json.RejectUnknownMembers(true))
	}
	if err == nil && list.Format != ledgerListFormat {
		err = fmt.Errorf("format %d, this program reads format %d", list.Format, ledgerListFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the list of ledgers %s: %w; restore a backup, or remove it to list them anew", ledgerListName(dir), err)
	}
	return list.Ledgers, nil
}

// list adds a ledger to the list on disk, or takes it off when own is nil. l.mu is held.
func (l *ledgers) list(name string, own *Ledger) error {
	next := maps.Clone(l.listed)
	if next == nil {
		next = map[string]Ledger{}
	}
	if delete(next, name); own != nil {
		next[name] = *own
	}
	b, err := json.Marshal(ledgerList{ledgerListFormat, next}, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(l.dir, 0o700); err != nil {
		return fmt.Errorf("cannot list ledgers: %w", err)
	}
	if err := durable.WriteFile(ledgerListName(l.dir), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot list ledgers: %w", err)
	}
	l.listed = next
	return nil
}
