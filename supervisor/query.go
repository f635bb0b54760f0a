package supervisor

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
	return c, err
}

// Changes returns all changes that are kept, oldest first: the open ones and the last that ended.
func (m *Manager) Changes() (list []Change, err error) {
	err = m.cfg.Journal.View(func(tx *state.Tx) (err error) {
		list, err = all[Change](tx, changeBucket)
		return err
	})
	return list, err
}

func (m *Manager) openChanges() ([]Change, error) {
	list, err := m.Changes()
	return slices.DeleteFunc(list, func(c Change) bool { return !c.Open() }), err
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
		rows, err := all[row](tx, serviceBucket)
		if err != nil {
			return err
		}
		for _, w := range rows {
			s, ok := known[w.Service.Name]
			if !ok && w.Current == nil {
				continue // an installation that failed and is not wanted any more
			}
			if !ok {
				s.Service, s.Configured = w.Service, w.Service.Tended
			}
			s.Current, s.Previous, s.Stopped, s.Stays, s.Unproved, s.Failed = w.Current, w.Previous, w.Stopped, w.Stays, w.Unproved, w.Failed
			known[w.Service.Name] = s
		}
		list, err := all[Change](tx, changeBucket)
		for _, c := range list {
			if s, ok := known[c.Service.Name]; ok && c.Open() {
				s.Open, s.Stuck = c.ID, c.State == StateStuck
				known[c.Service.Name] = s
			}
		}
		return err
	})
	out := make([]Status, 0, len(known))
	for _, s := range known {
		s.Trouble = m.troubleOf(s.Service.Name)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Service.Name, b.Service.Name) })
	return out, err
}
