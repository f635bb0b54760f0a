package supervisor

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/castellan/castellan/supervisor/state"
)

// Wait returns the change once it rests: it has ended, or it is stuck.
func (m *Manager) Wait(ctx context.Context, id string) (Change, error) {
	for {
		news := m.woken()
		c, err := m.Change(id)
		if err != nil || c.Resting() {
			return c, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return c, ctx.Err()
		}
	}
}

// Change returns one change.
func (m *Manager) Change(id string) (c Change, err error) {
	err = m.cfg.Journal.View(func(tx *state.Tx) (err error) {
		var ok bool
		if c, ok, err = get[Change](tx, changeBucket, id); err == nil && !ok {
			err = fmt.Errorf("there is no change %.60q", id)
		}
		return err
	})
	return m.troubled(c), err
}

// troubled adds to a change what could not be written down.
func (m *Manager) troubled(c Change) Change {
	if why, ok := m.unkept.Load(c.ID); ok {
		c.Trouble = why.(string)
	}
	return c
}

// Changes returns all changes that are kept, oldest first: the open ones and the last that ended.
func (m *Manager) Changes() (list []Change, err error) {
	err = m.cfg.Journal.View(func(tx *state.Tx) (err error) {
		list, err = all[Change](tx, changeBucket)
		return err
	})
	for i, c := range list {
		list[i] = m.troubled(c)
	}
	return list, err
}

func (m *Manager) openChanges() ([]Change, error) {
	list, err := m.Changes()
	return slices.DeleteFunc(list, func(c Change) bool { return !c.Open() }), err
}

// Status returns one service, as [Manager.Services] does; ok is false when it is neither configured nor installed. last is
// its newest change that ended, the zero Change when none is kept.
func (m *Manager) Status(service string) (s Status, last Change, ok bool, err error) {
	m.mu.Lock()
	s.Service, s.Configured = m.services[service], m.services[service].Name != ""
	s.Trouble, s.Held = m.tended[service].trouble, m.held[service]
	m.mu.Unlock()
	err = m.cfg.Journal.View(func(tx *state.Tx) error {
		w, known, err := get[row](tx, serviceBucket, service)
		if err != nil {
			return err
		}
		if known {
			s.fill(w)
		}
		open, busy, err := openChange(tx, service)
		if busy {
			s.Open, s.Stuck = open.ID, open.State == StateStuck
		}
		if err != nil {
			return err
		}
		last, _, err = pointed(tx, lastBucket, service)
		return err
	})
	return s, last, s.Configured || s.Current != nil || s.Open != "", err
}

// fill adds what the journal knows.
func (s *Status) fill(w row) {
	if !s.Configured {
		s.Service, s.Configured = w.Service, w.Service.Tended
	}
	s.Current, s.Previous, s.Stopped, s.Stays, s.Unproved, s.Failed = w.Current, w.Previous, w.Stopped, w.Stays, w.Unproved, w.Failed
}

// Services returns every service that is configured or installed, by name.
func (m *Manager) Services() ([]Status, error) {
	m.mu.Lock()
	known := map[string]Status{}
	for n, s := range m.services {
		known[n] = Status{Service: s, Configured: true}
	}
	m.mu.Unlock()
	err := m.cfg.Journal.View(func(tx *state.Tx) error {
		err := tx.ForEach(serviceBucket, func(name string, b []byte) error {
			w, err := decode[row](serviceBucket, name, b)
			if err != nil {
				return err
			}
			s, ok := known[name] // the row of one that was never installed names no service, and says why not
			if !ok && w.Current == nil {
				return nil // an installation that failed and is not wanted any more
			}
			s.fill(w)
			known[name] = s
			return nil
		})
		if err != nil {
			return err
		}
		return tx.ForEach(openBucket, func(service string, id []byte) error {
			c, found, err := get[Change](tx, changeBucket, string(id))
			if s, ok := known[service]; ok && found {
				s.Open, s.Stuck = c.ID, c.State == StateStuck
				known[service] = s
			}
			return err
		})
	})
	out := make([]Status, 0, len(known))
	for _, s := range known {
		s.Trouble, s.Held = m.troubleOf(s.Service.Name), m.isHeld(s.Service.Name)
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Service.Name < out[j].Service.Name })
	return out, err
}
