package decisions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/castellan/castellan/updater"
)

// format of the file. An older one is read and written anew with the next decision; a newer one is refused.
const format = 1

// maxBytes bounds the file.
const maxBytes = 4 << 20

// ErrUnreadable says that the decisions on disk can't be told, and so can't be changed.
var ErrUnreadable = errors.New("cannot read what was decided of updates")

// Store keeps the decisions in one file. Its methods are safe for concurrent use.
type Store struct {
	file updater.Store

	mu  sync.Mutex
	now Decisions
	raw []byte // of now, to tell whether a change is one
	err error  // why the file can't be read

	aside updater.Store // see [Store.KeepAside]
}

// file is what is on disk.
type file struct {
	Format int `json:"format"`
	Decisions
}

// Open reads the decisions. It always gives a store: one that could not be read says so with [Store.Err], keeps the
// planner from moving anything by itself, and takes no decision, so that what is on disk is not lost.
func Open(f updater.Store) *Store {
	s := &Store{file: f}
	b, err := f.Load()
	if err == nil && len(b) > 0 {
		s.now, err = decode(b)
	}
	if err == nil {
		s.raw, err = encode(s.now)
	}
	if err != nil {
		s.now, s.err = Decisions{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return s
}

func decode(b []byte) (Decisions, error) {
	if len(b) > maxBytes {
		return Decisions{}, fmt.Errorf("the file has %d bytes, at most %d are read; restore it from a backup", len(b), maxBytes)
	}
	var f file
	if err := json.Unmarshal(b, &struct {
		Format *int `json:"format"`
	}{&f.Format}); err != nil {
		return Decisions{}, fmt.Errorf("%w; restore the file from a backup, or remove it and decide anew", err)
	}
	switch {
	case f.Format > format:
		return Decisions{}, fmt.Errorf("format %d is newer than %d; install the newer Castellan again", f.Format, format)
	case f.Format < 1:
		return Decisions{}, fmt.Errorf("it has no format; restore the file from a backup, or remove it and decide anew")
	}
	if err := jsonv2.Unmarshal(b, &f, jsonv2.RejectUnknownMembers(true)); err != nil {
		return Decisions{}, fmt.Errorf("%w; restore the file from a backup, or remove it and decide anew", err)
	}
	if err := f.Decisions.bounded(); err != nil {
		return Decisions{}, fmt.Errorf("%w; restore the file from a backup, or mend it", err)
	}
	return f.Decisions, nil
}

func encode(d Decisions) ([]byte, error) {
	if d.Services == nil {
		d.Services = map[string]Service{}
	}
	if d.Windows == nil {
		d.Windows = []Window{}
	}
	return json.Marshal(file{format, d})
}

// KeepAside keeps a copy of the last decisions that could be read, for a file that is damaged or exchanged later. Of a store
// that could not be read, [Store.Err] tells of the copy, called name, from then on; the copy itself never counts, since it may lack a hold.
func (s *Store) KeepAside(to updater.Store, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	have, err := to.Load()
	if s.err != nil {
		if err == nil && len(have) > 0 {
			if _, bad := decode(have); bad == nil {
				s.err = fmt.Errorf("%w; the last that could be read is kept in %s", s.err, name)
			}
		}
		return nil // what is wrong with the file is told already
	}
	s.aside = to
	if err == nil && bytes.Equal(have, s.raw) {
		return nil
	}
	if err := to.Save(s.raw); err != nil {
		return fmt.Errorf("cannot keep a copy of what was decided of updates: %w", err)
	}
	return nil
}

// Err is why the decisions can't be told, nil when they can.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// All is a copy of the decisions in force.
func (s *Store) All() (Decisions, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return Decisions{}, s.err
	}
	return decode(s.raw)
}

// Apply puts what was decided into the planner's view of services.
func (s *Store) Apply(list []updater.Installed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hours, unknown := s.now.Hours()
	if s.err != nil {
		unknown = s.err.Error()
	}
	for i := range list {
		in := &list[i]
		in.Decided = s.now.of(in.Service)
		in.Decided.Windows, in.Decided.Unknown = hours, unknown
		if m := s.now.ModeOf(in.Service); m != "" {
			in.Mode = m
		}
	}
}

// Update changes decisions and tells whether that made a difference. The order is: edit, record, disk, memory. record is
// called only for a difference, nil = no record; when it fails nothing has changed. When Update returns an error after that, what is in
// force is as before, and the next start may find either; the record is there for both.
func (s *Store) Update(edit func(*Decisions) error, record func() error) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false, s.err
	}
	next, err := decode(s.raw)
	if err != nil {
		return false, err
	}
	if err := edit(&next); err != nil {
		return false, err
	}
	if err := next.bounded(); err != nil { // or the next start could not read it
		return false, fmt.Errorf("cannot keep the decision: %w", err)
	}
	raw, err := encode(next)
	if err != nil || bytes.Equal(raw, s.raw) {
		return false, err
	}
	if record != nil {
		if err := record(); err != nil {
			return false, err
		}
	}
	if err := s.file.Save(raw); err != nil {
		return false, fmt.Errorf("cannot keep the decision: %w", err)
	}
	s.now, s.raw = next, raw
	if s.aside != nil {
		_ = s.aside.Save(raw) // a copy that is a decision behind serves too; the next decision or start renews it
	}
	return true, nil
}
