package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/updater"
)

// Journal keeps the machine's rows; *state.Journal is one. Update is on disk when it returns nil and has not happened
// when it returns an error.
type Journal interface {
	Update(func(*state.Tx) error) error
	View(func(*state.Tx) error) error
}

// Buckets of the journal. Rows are JSON objects with a format; a newer format is refused, never guessed at.
const (
	serviceBucket = "service" // service name -> row
	changeBucket  = "change"  // change ID -> Change
	setBucket     = "set"     // set ID -> set
	openBucket    = "open"    // service name -> ID of its open change; made anew at each start
	lastBucket    = "last"    // service name -> ID of its newest change that ended; likewise
	rowFormat     = 1
)

// keptChanges is how many ended changes are kept for people; keptSeen how many first sights of a reference.
const keptChanges, keptSeen = 100, 16

// row is what the journal knows of a service.
type row struct {
	Format   int                  `json:"format"`
	Service  Service              `json:"service"` // as the running container was made
	Current  *Slot                `json:"current,omitempty"`
	Previous *Slot                `json:"previous,omitempty"`
	Stopped  string               `json:"stopped,omitempty"`
	Stays    bool                 `json:"stays,omitempty"`    // stopped over changes, too
	Unproved bool                 `json:"unproved,omitempty"` // Current was committed asleep and has not passed its health gate
	Failed   updater.FailedUpdate `json:"failed,omitzero"`
	Rejected trust.Digest         `json:"rejected,omitempty"` // definition with which it last failed, see fingerprint
	Seen     []seen               `json:"seen,omitempty"`     // oldest first
}

// seen is when a manifest was first found for a service. The Judge tells a ledger that lags from a missing signature
// by it, so it outlives the changes that were deferred meanwhile.
type seen struct {
	Manifest trust.Digest `json:"manifest"`
	At       time.Time    `json:"at"`
}

func get[T kept](tx *state.Tx, bucket, key string) (v T, ok bool, err error) {
	b, ok := tx.Get(bucket, key)
	if !ok {
		return v, false, nil
	}
	v, err = decode[T](bucket, key, b)
	return v, err == nil, err
}

func decode[T kept](bucket, key string, b []byte) (v T, err error) {
	err = json.Unmarshal(b, &v)
	format := v.format()
	if err != nil { // perhaps because it is newer: then other things may be what they are not here
		var f struct {
			Format int `json:"format"`
		}
		_ = json.Unmarshal(b, &f) // what is no JSON has no format
		format = f.Format
	}
	if format > rowFormat {
		var none T
		return none, fmt.Errorf("cannot read %s %q of the journal: format %d is newer than %d; install the newer Castellan again", bucket, key, format, rowFormat)
	}
	if err != nil {
		return v, fmt.Errorf("cannot read %s %q of the journal: %w", bucket, key, err)
	}
	return v, nil
}

// kept is what the journal holds, which says in what format it was written.
type kept interface{ format() int }

func (c Change) format() int { return c.Format }
func (w row) format() int    { return w.Format }
func (s set) format() int    { return s.Format }

func put(tx *state.Tx, bucket, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot write %s %q: %w", bucket, key, err)
	}
	return tx.Put(bucket, key, b)
}

func all[T kept](tx *state.Tx, bucket string) (list []T, err error) {
	err = tx.ForEach(bucket, func(k string, b []byte) error {
		v, err := decode[T](bucket, k, b)
		list = append(list, v)
		return err
	})
	return list, err
}

// openChange finds the open change of a service.
func openChange(tx *state.Tx, service string) (c Change, ok bool, err error) {
	return pointed(tx, openBucket, service)
}

// pointed is the change that a bucket names for a service.
func pointed(tx *state.Tx, bucket, service string) (c Change, ok bool, err error) {
	id, ok := tx.Get(bucket, service)
	if !ok {
		return c, false, nil
	}
	return get[Change](tx, changeBucket, string(id))
}

// point keeps openBucket and lastBucket in step with a change that is stored.
func point(tx *state.Tx, c Change) error {
	if c.Open() {
		return tx.Put(openBucket, c.Service.Name, []byte(c.ID))
	}
	if id, ok := tx.Get(openBucket, c.Service.Name); ok && string(id) == c.ID {
		if err := tx.Delete(openBucket, c.Service.Name); err != nil {
			return err
		}
	}
	return tx.Put(lastBucket, c.Service.Name, []byte(c.ID))
}

// index makes openBucket and lastBucket what the changes say, and forgets installations that failed.
func (m *Manager) index() error {
	return m.cfg.Journal.Update(func(tx *state.Tx) error {
		list, err := all[Change](tx, changeBucket)
		if err != nil {
			return err
		}
		for _, bucket := range []string{openBucket, lastBucket} {
			var stale []string
			if err := tx.ForEach(bucket, func(k string, _ []byte) error { stale = append(stale, k); return nil }); err != nil {
				return err
			}
			for _, k := range stale {
				if err := tx.Delete(bucket, k); err != nil {
					return err
				}
			}
		}
		for _, c := range list { // oldest first
			if err := point(tx, c); err != nil {
				return err
			}
		}
		return m.forget(tx)
	})
}

// forget drops the rows of services that are neither installed nor configured, once no change tells of them any more: until
// then one that is tried again goes by when its image was first seen.
func (m *Manager) forget(tx *state.Tx) error {
	var gone []string
	err := tx.ForEach(serviceBucket, func(name string, b []byte) error {
		w, err := decode[row](serviceBucket, name, b)
		if err != nil || w.Current != nil {
			return err
		}
		_, configured := m.services[name]
		_, open := tx.Get(openBucket, name)
		_, last := tx.Get(lastBucket, name)
		if !configured && !open && !last {
			gone = append(gone, name)
		}
		return nil
	})
	for _, name := range gone {
		err = errors.Join(err, tx.Delete(serviceBucket, name))
	}
	return err
}

// save stores c and, in the same transaction, what its new state means for its service: that is the commit point.
func (m *Manager) save(c Change) error {
	return m.cfg.Journal.Update(func(tx *state.Tx) error {
		c.Format, c.Updated = rowFormat, m.now()
		if err := put(tx, changeBucket, c.ID, c); err != nil {
			return err
		}
		if err := errors.Join(point(tx, c), applyTo(tx, c)); err != nil {
			return err
		}
		if c.Open() {
			return nil
		}
		return prune(tx)
	})
}

// applyTo flips the slots of a committed change and remembers what failed.
func applyTo(tx *state.Tx, c Change) error {
	name := c.Service.Name
	w, _, err := get[row](tx, serviceBucket, name)
	if err != nil {
		return err
	}
	w.Format = rowFormat
	switch c.State {
	case StateResolved:
		if c.Raw == nil || c.To.Resolved.IsZero() || slices.ContainsFunc(w.Seen, func(s seen) bool { return s.Manifest == c.To.Subject.Manifest }) {
			return nil
		}
		w.Seen = append(w.Seen, seen{c.To.Subject.Manifest, c.To.Resolved})
		w.Seen = w.Seen[max(0, len(w.Seen)-keptSeen):]
	case StateCommitted:
		if c.Kind == KindRemove {
			return tx.Delete(serviceBucket, name)
		}
		if c.Kind != KindRecreate {
			if w.Previous = c.From; w.Previous != nil {
				w.Previous.Container = "" // it was removed
			}
		}
		w.Current, w.Service, w.Failed = c.To, c.Service, updater.FailedUpdate{}
		switch {
		case !c.Asleep:
			w.Stopped, w.Stays, w.Unproved = "", false, false
		case w.Stopped == "":
			w.Stopped, w.Stays = notStarted, true
		}
		w.Unproved = w.Unproved || c.Asleep && c.Kind != KindRecreate
		w.Current.At, w.Rejected = c.Updated, ""
		if c.Kind == KindRollback && c.From != nil {
			w.Failed = failedUpdate(c.From, c.Updated, "rolled back from it")
		}
	case StateRolledBack, StateRefused:
		switch {
		case c.To == nil:
			return nil
		case c.Kind == KindRecreate && c.State == StateRolledBack:
			w.Rejected = fingerprint(c.Service)
		case c.Kind == KindUpdate || c.Kind == KindInstall:
			w.Failed = failedUpdate(c.To, c.Updated, c.Why)
		default:
			return nil
		}
	default:
		return nil
	}
	return put(tx, serviceBucket, name, w)
}

func failedUpdate(s *Slot, at time.Time, why string) updater.FailedUpdate {
	d := s.Subject.Index
	if d == "" {
		d = s.Subject.Manifest
	}
	return updater.FailedUpdate{Version: s.Version, Digest: d, When: at, Why: why}
}

// prune forgets the oldest ended changes, and sets none of whose changes is open.
func prune(tx *state.Tx) error {
	list, err := all[Change](tx, changeBucket)
	if err != nil {
		return err
	}
	needed := map[string]bool{}
	ended := 0
	for _, c := range slices.Backward(list) { // IDs sort by time
		if c.Open() {
			needed[c.Set] = true
		} else if ended++; ended > keptChanges {
			if err := tx.Delete(changeBucket, c.ID); err != nil {
				return err
			}
		}
	}
	sets, err := all[set](tx, setBucket)
	for _, s := range sets {
		if !needed[s.ID] {
			err = errors.Join(err, tx.Delete(setBucket, s.ID))
		}
	}
	return err
}
