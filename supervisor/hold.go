package supervisor

import (
	"context"
	"errors"
	"fmt"
)

// Hold stops a service's container and keeps it so until release is called, which starts it again if it ran; until then no
// step, no look and no wish of its owner starts it, they wait. A service that is kept stopped is only held. It is no change:
// a cut leaves a service that must run and does not, which is started at the next start of the daemon. It is refused while a
// change is open, with a [*BusyError]. Whoever holds a service must not ask for anything about it.
func (m *Manager) Hold(ctx context.Context, service string) (release func(context.Context) error, err error) {
	unlock, ok := m.lock(ctx, service)
	if !ok {
		return nil, fmt.Errorf("cannot hold %q: something else works on it: %w", service, ctx.Err())
	}
	m.hold(service, true)
	free := func() {
		m.hold(service, false)
		unlock()
	}
	defer func() {
		if err != nil {
			free()
			err = fmt.Errorf("cannot hold %q: %w", service, err)
		}
	}()
	w, open, _, err := m.standing(service)
	switch {
	case err != nil:
		return nil, err
	case w.Current == nil:
		return nil, fmt.Errorf("%w that is installed", ErrUnknown)
	case open.ID != "":
		return nil, &BusyError{service, open.ID}
	}
	list, err := m.mine(ctx, Change{Service: w.Service})
	if err != nil {
		return nil, err
	}
	ran := false
	for _, k := range list {
		if !k.Running {
			continue
		}
		ran = ran || k.ID == w.Current.Container && w.Stopped == ""
		if err := m.cfg.Containers.Stop(ctx, k.ID, w.Service.stopTimeout()); err != nil {
			if ran {
				err = fmt.Errorf("%w; started again: %v", err, m.released(context.WithoutCancel(ctx), w))
			}
			return nil, err
		}
	}
	return func(ctx context.Context) error {
		defer free()
		if !ran {
			return nil
		}
		if err := m.released(ctx, w); err != nil {
			return fmt.Errorf("cannot start %q again: %w", service, err)
		}
		return nil
	}, nil
}

// hold notes that a service is held, so that nobody takes its rest for its end.
func (m *Manager) hold(service string, on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if on {
		m.held[service] = true
	} else {
		delete(m.held, service)
	}
}

func (m *Manager) isHeld(service string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held[service]
}

// released starts what was held. After an engine that did not answer it is not left to a look, which would find that it
// ended by itself.
func (m *Manager) released(ctx context.Context, w row) error {
	err := m.tried(w.Service.Name, m.launch(ctx, w.Service, w.Current.Container))
	if errors.Is(err, ErrEngineAway) {
		m.EngineReturned()
	}
	return err
}
