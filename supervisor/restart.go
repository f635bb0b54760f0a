package supervisor

import (
	"context"
	"errors"
	"fmt"
)

// ErrStopped says that a service is kept stopped.
var ErrStopped = errors.New("it is kept stopped")

// Restart stops a service's container if it runs and starts it again; why is shown to people. It is no change: nothing
// of it is kept but a line in the story, and a cut in the middle leaves a service that must run and does not, which is
// started at the next start of the daemon. It is refused while a change is open, with a [*BusyError], and for a service
// that is kept stopped, with [ErrStopped]. An error leaves it unknown whether it runs.
func (m *Manager) Restart(ctx context.Context, service, why string) error {
	if err := m.restart(ctx, service, why); err != nil {
		return fmt.Errorf("cannot restart %q: %w", service, err)
	}
	return nil
}

func (m *Manager) restart(ctx context.Context, service, why string) error {
	if _, err := m.restartable(service); err != nil {
		return err // or it would wait for a change to let the service go
	}
	unlock, ok := m.lock(ctx, service)
	if !ok {
		return fmt.Errorf("something else works on it: %w", ctx.Err())
	}
	defer unlock()
	w, err := m.restartable(service)
	if err != nil {
		return err
	}
	list, err := m.mine(ctx, Change{Service: w.Service})
	if err != nil {
		return err
	}
	k, found := find(list, w.Current.Container)
	switch {
	case !found:
		return errors.New("its container is lost; it is made anew at the next look")
	case k.Image != w.Current.Image:
		return fmt.Errorf("container %s holds image %s, permitted is %s", k.Name, k.Image, w.Current.Image)
	}
	m.cfg.Log.InfoContext(ctx, "restarting a service", "service", service, "why", why)
	err = m.again(ctx, w, k)
	if err == nil || !w.Service.Watchdog { // a watchdog counts the tries itself
		err = m.tried(service, err)
	}
	if err != nil {
		return err
	}
	a := Action{Service: service, What: "restarted", From: version(w.Current), To: version(w.Current), Why: why, Verdict: w.Current.Verdict, Image: w.Current.Image}
	if _, err := m.cfg.Story.RecordAction(ctx, a); err != nil {
		return fmt.Errorf("%w: %w", errStory, err)
	}
	return nil
}

func (m *Manager) again(ctx context.Context, w row, k Container) error {
	if k.Running {
		if err := m.cfg.Containers.Stop(ctx, k.ID, w.Service.stopTimeout()); err != nil {
			return err
		}
	}
	return m.launch(ctx, w.Service, k.ID)
}

// restartable is the row of a service that must run and has no open change.
func (m *Manager) restartable(service string) (row, error) {
	w, open, _, err := m.standing(service)
	switch {
	case err != nil:
		return w, err
	case w.Current == nil:
		return w, fmt.Errorf("%w that is installed", ErrUnknown)
	case open.ID != "":
		return w, &BusyError{service, open.ID}
	case w.Stopped != "":
		return w, fmt.Errorf("%w (%s); start it instead", ErrStopped, w.Stopped)
	}
	return w, nil
}
