package supervisor

import (
	"context"
	"errors"
	"fmt"

	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/updater"
)

// BusyError says that a service has an open change.
type BusyError struct{ Service, Change string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("cannot change %q: change %s is under way; wait for it to end", e.Service, e.Change)
}

// Errors a caller branches on.
var (
	ErrUnknown    = errors.New("there is no such service")
	ErrNoPrevious = errors.New("there is no previous version to go back to")
)

// Submit makes changes of a plan's steps, durably, and starts them when [Manager.Run] runs. Of a plan that moves
// together, the steps of the channel are taken as one or not at all. Errors name the service; a [*BusyError] names
// its open change.
func (m *Manager) Submit(ctx context.Context, p updater.Plan) (taken []Change, errs []error) {
	var alone, set []Change
	whole := true
	for _, s := range p.Steps {
		def, ok, err := m.definition(s.Service, s.To.Version)
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot tell how %q is run: %w", s.Service, err))
			whole = whole && s.Channel == nil
			continue
		}
		if !ok {
			errs = append(errs, fmt.Errorf("cannot update %q: %w; add it to the configuration", s.Service, ErrUnknown))
			whole = whole && s.Channel == nil
			continue
		}
		if s.Class != "" {
			def.Class = s.Class
		}
		c := Change{
			Service: def, Kind: KindUpdate, Action: s.Action, Reference: s.To.Reference, Version: s.To.Version,
			Promised: s.To.Digest, Channel: s.Channel, Requires: s.Requires,
		}
		if p.Together && s.Channel != nil {
			set = append(set, c)
		} else {
			alone = append(alone, c)
		}
	}
	if whole && len(set) > 0 {
		t, e := m.take(ctx, set, true)
		taken, errs = append(taken, t...), append(errs, e...)
	}
	t, e := m.take(ctx, alone, false)
	return append(taken, t...), append(errs, e...)
}

// Rollback goes back to the previous slot. Its image is kept; when it is lost it is fetched again by its digest.
func (m *Manager) Rollback(ctx context.Context, service string) (Change, error) {
	w, err := m.row(service)
	switch {
	case err != nil:
		return Change{}, err
	case w.Previous == nil:
		return Change{}, fmt.Errorf("cannot roll back %q: %w", service, ErrNoPrevious)
	}
	def, err := m.definitionOr(service, w.Previous.Version, w.Service)
	if err != nil {
		return Change{}, err
	}
	return m.takeOne(ctx, Change{
		Service: def, Kind: KindRollback, Action: trust.Rollback, Version: w.Previous.Version,
		Channel: w.Previous.Channel, To: w.Previous,
	})
}

// Place runs an image that the engine holds already: one that was built here. It is judged like any other.
func (m *Manager) Place(ctx context.Context, s Service, to Slot) (Change, error) {
	w, err := m.row(s.Name)
	if err != nil {
		return Change{}, err
	}
	c := Change{Service: s, Kind: KindUpdate, Action: trust.OwnerUpdate, Version: to.Version, To: &to}
	if w.Current == nil {
		c.Action = trust.Install
	}
	return m.takeOne(ctx, c)
}

// Recreate makes the container of a service anew from the image it runs, with its settings of now.
func (m *Manager) Recreate(ctx context.Context, service string) (Change, error) {
	return m.recreate(ctx, service, false)
}

// Renew is [Manager.Recreate] for a service that must run afterwards, also one that its owner stopped.
func (m *Manager) Renew(ctx context.Context, service string) (Change, error) {
	return m.recreate(ctx, service, true)
}

func (m *Manager) recreate(ctx context.Context, service string, wake bool) (Change, error) {
	w, err := m.row(service)
	switch {
	case err != nil:
		return Change{}, err
	case w.Current == nil:
		return Change{}, fmt.Errorf("cannot recreate %q: %w that is installed", service, ErrUnknown)
	}
	def, err := m.definitionOr(service, "", w.Service)
	if err != nil {
		return Change{}, err
	}
	to := *w.Current
	to.Container = ""
	return m.takeOne(ctx, Change{
		wake: wake, Service: def, Kind: KindRecreate, Action: trust.Rejudge, Version: to.Version, Channel: to.Channel, To: &to,
	})
}

// Remove uninstalls a service: its containers and images go, its data stays. Core and supervisor cannot be removed.
func (m *Manager) Remove(ctx context.Context, service string) (Change, error) {
	w, err := m.row(service)
	switch {
	case err != nil:
		return Change{}, err
	case w.Current == nil:
		return Change{}, fmt.Errorf("cannot remove %q: %w that is installed", service, ErrUnknown)
	case isCore(w.Service.Class):
		return Change{}, fmt.Errorf("cannot remove %q: the appliance needs it", service)
	}
	return m.takeOne(ctx, Change{Service: w.Service, Kind: KindRemove, Version: w.Current.Version})
}

func isCore(c trust.Class) bool { return c == trust.ClassCore || c == trust.ClassSupervisor }

func (m *Manager) takeOne(ctx context.Context, c Change) (Change, error) {
	taken, errs := m.take(ctx, []Change{c}, false)
	if len(errs) > 0 {
		return Change{}, errs[0]
	}
	return taken[0], nil
}

// take puts new changes into the journal, all in one transaction.
func (m *Manager) take(ctx context.Context, todo []Change, together bool) (taken []Change, errs []error) {
	if err := ctx.Err(); err != nil || len(todo) == 0 {
		return nil, errorList(err)
	}
	now := m.now()
	err := m.cfg.Journal.Update(func(tx *state.Tx) error {
		for _, c := range todo {
			name := c.Service.Name
			if o, busy, err := openChange(tx, name); err != nil {
				return err
			} else if busy {
				errs = append(errs, &BusyError{name, o.ID})
				continue
			}
			w, _, err := get[row](tx, serviceBucket, name)
			if err != nil {
				return err
			}
			c.Format, c.ID, c.State, c.Created, c.Updated, c.From = rowFormat, newID(now), StatePlanned, now, now, w.Current
			if c.Kind == KindUpdate && c.From == nil {
				c.Kind = KindInstall
			}
			c.Asleep = c.Service.Tended && c.Kind != KindRemove && !c.wake && (w.Current == nil || w.Stays)
			taken = append(taken, c)
		}
		if together && len(errs) > 0 {
			taken = nil
			return nil
		}
		if together && len(taken) > 1 {
			s := set{Format: rowFormat, ID: taken[0].ID}
			for i := range taken {
				taken[i].Set = s.ID
				s.Members = append(s.Members, taken[i].ID)
			}
			if err := put(tx, setBucket, s.ID, s); err != nil {
				return err
			}
		}
		for _, c := range taken {
			if err := errors.Join(put(tx, changeBucket, c.ID, c), point(tx, c)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, []error{err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range taken {
		m.begin(c)
	}
	return taken, errs
}

func errorList(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}

// Retry sends a stuck change on its way back again.
func (m *Manager) Retry(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c Change
	err := m.cfg.Journal.Update(func(tx *state.Tx) error {
		var ok bool
		var err error
		if c, ok, err = get[Change](tx, changeBucket, id); err != nil {
			return err
		}
		if !ok || c.State != StateStuck || !c.Resting() {
			return fmt.Errorf("cannot retry change %.60q: it is not stuck", id)
		}
		c = c.retried()
		c.Updated = m.now()
		return put(tx, changeBucket, c.ID, c)
	})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begin(c)
	return nil
}

func (c Change) retried() Change {
	c.State, c.Attempts, c.Record = StateRollingBack, 0, 0
	return c
}
