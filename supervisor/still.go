package supervisor

import (
	"context"
	"fmt"
	"slices"
)

// Still runs do while a service is kept stopped and nothing starts it: no step of a change, no look, no wish of its owner,
// which waits. It refuses what must run, what runs although it must not, and, with a [*BusyError], a service that has an
// open change; then do was not called. do must be short and must not ask for anything about the service.
func (m *Manager) Still(ctx context.Context, service string, do func() error) error {
	unlock, ok := m.tryLock(service)
	if !ok {
		return fmt.Errorf("cannot hold %q still: something else works on it; try again", service)
	}
	defer unlock()
	w, open, _, err := m.standing(service)
	switch {
	case err != nil:
		return err
	case w.Current == nil:
		return fmt.Errorf("cannot hold %q still: %w that is installed", service, ErrUnknown)
	case open.ID != "":
		return &BusyError{service, open.ID}
	case w.Stopped == "":
		return fmt.Errorf("cannot hold %q still: it must run; stop it first", service)
	}
	list, err := m.mine(ctx, Change{Service: w.Service})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(list, func(k Container) bool { return k.Running }) {
		return fmt.Errorf("cannot hold %q still: the engine has not stopped it yet; try again", service)
	}
	return do()
}
