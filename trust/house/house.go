// Package house keeps the words of the house key: an owner's own notarizations, accepted on his appliance and nowhere
// else (TRUST.md §7). They are how he runs images that no publisher notarizes: he vouches for the digests he accepts, one
// by one. He can't write into the vendor's ledger, so the words lie beside the replica, and [With] shows them to the
// judge as records of that ledger.
//
// # Threat model
//
// The file holds the keys in clear, readable by root only (0600): the daemon must sign when its owner asks, and a
// passphrase that a program can read protects nothing. Whoever can write the file, or read it and then write it, can
// make this appliance accept any image as "verified · you". That is the appliance's root user, who can replace the
// daemon as well. Whoever only has a copy, from a backup say, gains nothing: records of the house key count when they are
// in this file, and never when they come from a ledger, so that nothing signed with a stolen key gets in from outside.
// A house key says nothing on other appliances, raises no floor, and pins no publisher.
//
// A word is about the digests of one image under one name, version and platform, and lets in no other. A withdrawal
// stays, as everybody's does. The owner's TRUSTED outweighs nobody's withdrawal.
//
// # Crash model
//
// One file, replaced whole and durably; a word that was returned is on the disk, and was in the verification log before.
// A file that is missing from its folder, or damaged, is STATE_MISSING and no fresh start: withdrawals would be
// forgotten.
//
// # Positions
//
// Records of the file stand at transaction 0, entries counting from 0 in the order they were made: before everything in
// a ledger, and never where one of its records stands. The first is always a publisher document. Each ledger has a
// document and records of its own, since a record counts in the ledger it names and in no other.
package house

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

const (
	fileName   = "house.json"
	format     = 1
	maxFile    = 16 << 20
	maxRecords = 4000
)

// Store is the house key and its words. It is safe for concurrent use.
type Store struct {
	path string
	id   string

	mu        sync.Mutex
	root, key ed25519.PrivateKey
	records   []trust.Record // by entry
}

// file is the JSON form of a Store.
type file struct {
	Format  int              `json:"format"`
	Root    string           `json:"root"` // PKCS #8 in PEM
	Key     string           `json:"key"`
	Records []jsontext.Value `json:"records"` // DSSE envelopes
}

// Init makes a house key in the folder dir; log writes its publisher ID down first. It never replaces one; where the
// file was lost, it is the owner's way to begin anew.
func Init(dir string, log func(publisher string) error) (*Store, error) {
	s := &Store{path: filepath.Join(dir, fileName)}
	if _, err := os.Lstat(s.path); err == nil {
		return nil, fmt.Errorf("cannot make a house key: %s exists, and a key is never overwritten", s.path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot make a house key: %w", err)
	}
	var err error
	if s.root, err = trust.NewKey(); err != nil {
		return nil, err
	}
	if s.key, err = trust.NewKey(); err != nil {
		return nil, err
	}
	s.id = trust.PublisherID(public(s.root))
	if err := log(s.id); err != nil {
		return nil, fmt.Errorf("cannot make a house key: %w", err)
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make a house key: %w", err)
	}
	return s, s.write(nil)
}

// Open reads the house key in dir. It is nil, without an error, when none was ever made; a file that is missing or damaged
// is a [trust.StateError].
func Open(dir string) (*Store, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	s := &Store{path: filepath.Join(dir, fileName)}
	if err := s.read(); err != nil {
		return nil, &trust.StateError{Why: trust.StateMissing, What: "the house key " + s.path, Err: err}
	}
	return s, nil
}

func (s *Store) read() error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	var w file
	switch err := json.Unmarshal(b, &w, json.RejectUnknownMembers(true)); {
	case len(b) > maxFile:
		return fmt.Errorf("more than %d bytes", maxFile)
	case err != nil:
		return err
	case w.Format != format:
		return fmt.Errorf("format %d, this program reads format %d; install the version of castellan that wrote it", w.Format, format)
	}
	noWord := func() (string, error) { return "", errors.New("it is sealed") }
	if s.root, err = trust.OpenKey([]byte(w.Root), noWord); err != nil {
		return err
	}
	if s.key, err = trust.OpenKey([]byte(w.Key), noWord); err != nil {
		return err
	}
	s.id = trust.PublisherID(public(s.root))
	for i, raw := range w.Records {
		rec, err := trust.ParseRecord(raw)
		if err == nil {
			s.records = append(s.records, rec)
			err = s.check(i)
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
	}
	return nil
}

// check tells whether record i is the house's own.
func (s *Store) check(i int) error {
	r := s.records[i]
	chain, err := s.chain(r.Ledger())
	switch {
	case err != nil:
		return err
	case r.Publisher != nil && r.Publisher.ID != s.id:
		return fmt.Errorf("it is by %s, not by the house key %s", r.Publisher.ID, s.id)
	case r.Notarization == nil:
		return nil
	}
	_, err = trust.VerifyNotarization(chain, trust.PlacedNotarization{Pos: at(i), Envelope: r.Envelope, Notarization: *r.Notarization})
	return err
}

func (s *Store) write(more []trust.Record) error {
	w := file{Format: format, Records: []jsontext.Value{}}
	for _, k := range []struct {
		to  *string
		key ed25519.PrivateKey
	}{{&w.Root, s.root}, {&w.Key, s.key}} {
		b, err := trust.EncodeKey(k.key)
		if err != nil {
			return err
		}
		*k.to = string(b)
	}
	all := slices.Concat(s.records, more)
	if len(all) > maxRecords {
		return fmt.Errorf("cannot keep another word of the house key: there are %d, which is the limit; begin anew with another key", len(s.records))
	}
	for _, r := range all {
		b, err := r.Envelope.Marshal()
		if err != nil {
			return err
		}
		w.Records = append(w.Records, b)
	}
	b, err := json.Marshal(w, json.Deterministic(true))
	if err == nil {
		err = durable.WriteFile(s.path, append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the house key: %w", err)
	}
	s.records = all
	return nil
}

// Publisher is the house key's publisher ID.
func (s *Store) Publisher() string { return s.id }

// chain is the documents made for a ledger. s.mu is held, or s is not shared yet.
func (s *Store) chain(origin string) ([]trust.PlacedPublisher, error) {
	var docs []trust.PlacedPublisher
	for i, r := range s.records {
		if r.Publisher != nil && r.Publisher.Ledger == origin {
			docs = append(docs, trust.PlacedPublisher{Pos: at(i), Envelope: r.Envelope, Publisher: *r.Publisher})
		}
	}
	return trust.VerifyChain(docs, nil)
}

// words are the notarizations made for a ledger, "" = for all, that match.
func (s *Store) words(origin string, match func(*trust.Notarization) bool) []trust.PlacedNotarization {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(origin, match)
}

func (s *Store) find(origin string, match func(*trust.Notarization) bool) (out []trust.PlacedNotarization) {
	for i, r := range s.records {
		if n := r.Notarization; n != nil && (origin == "" || n.Ledger == origin) && match(n) {
			out = append(out, trust.PlacedNotarization{Pos: at(i), Envelope: r.Envelope, Notarization: *n})
		}
	}
	return out
}

// List is all words, oldest first.
func (s *Store) List() []trust.Notarization {
	var out []trust.Notarization
	for _, n := range s.words("", func(*trust.Notarization) bool { return true }) {
		out = append(out, n.Notarization)
	}
	return out
}

func at(i int) trust.Position { return trust.Position{Entry: uint32(min(i, math.MaxUint32))} }

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// newest orders words by uid.
func newest(a, b trust.PlacedNotarization) int {
	return cmp.Compare(a.Notarization.UID, b.Notarization.UID)
}
