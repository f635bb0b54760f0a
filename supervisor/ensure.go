package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/castellan/castellan/supervisor/state"
)

// remakeEvery bounds how often a container that is lost again and again is made anew.
const remakeEvery = 10 * time.Minute

// Ensure makes the containers agree with the journal: what must run is started, a lost container is made anew by a
// change, what no slot and no open change knows is removed. Services that a change is working on are left to it.
// Containers of a service the journal has never heard of are left alone: a journal restored from a backup must not
// cost a running service.
func (m *Manager) Ensure(ctx context.Context) error {
	status, err := m.Services()
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range status {
		err := m.ensure(ctx, s.Service.Name, false)
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot keep %q as it must be: %w", s.Service.Name, err))
		}
		if errors.Is(err, ErrEngineAway) {
			break // each of the others would wait for it as long
		}
	}
	return errors.Join(errs...)
}

// ensure is Ensure for one service. A tended one is started only when start is set, or to try again what failed.
func (m *Manager) ensure(ctx context.Context, service string, start bool) error {
	unlock, ok := m.tryLock(service)
	if !ok {
		return nil // a step works on it
	}
	defer unlock()
	return m.ensureLocked(ctx, service, start)
}

// ensureLocked is ensure for who holds the lock.
func (m *Manager) ensureLocked(ctx context.Context, service string, start bool) error {
	list, err := m.mine(ctx, Change{Service: Service{Name: service}})
	if err != nil {
		return err
	}
	w, open, begun, err := m.standing(service)
	if err != nil || begun || w.Format == 0 {
		return err
	}
	busy := open.ID != ""
	var current Container
	found := false
	for _, k := range list {
		switch {
		case w.Current != nil && k.ID == w.Current.Container:
			current, found = k, true
		case busy && k.Change == open.ID:
		default:
			m.cfg.Log.WarnContext(ctx, "removing a container that no slot knows", "service", service, "container", k.Name, "image", k.Image)
			if err := m.cfg.Containers.Remove(ctx, k.ID); err != nil {
				return err
			}
		}
	}
	switch {
	case w.Current == nil:
		return nil
	case !found:
		return m.remake(ctx, service, w, busy)
	case w.Stopped != "":
		return m.halt(ctx, w, current)
	}
	if current.Image != w.Current.Image {
		return fmt.Errorf("container %s holds image %s, permitted is %s", current.Name, current.Image, w.Current.Image)
	}
	if current.Name != service || current.Restart != w.Service.restart() {
		if err := m.cfg.Containers.Settle(ctx, current.ID, service, w.Service.restart()); err != nil {
			return err
		}
	}
	switch {
	case current.Running:
		m.runs(service)
		return nil
	case w.Service.Tended && !start && !m.failed(service):
		return m.rests(ctx, w, current)
	}
	m.cfg.Log.InfoContext(ctx, "starting a service that must run", "service", service, "exit", current.ExitCode)
	return m.tried(service, m.launch(ctx, w.Service, current.ID))
}

// standing is what the journal says of a service now: its row, with Format 0 when it never heard of it, its open change,
// with ID "" when it has none, and whether that change has begun to touch what runs.
func (m *Manager) standing(service string) (w row, open Change, begun bool, err error) {
	err = m.cfg.Journal.View(func(tx *state.Tx) (err error) {
		if w, _, err = get[row](tx, serviceBucket, service); err != nil {
			return err
		}
		var busy bool
		if open, busy, err = openChange(tx, service); err != nil || !busy {
			return err
		}
		begun = open.State.touches() || open.Kind == KindRemove
		if open.State == StateCreated && open.Set != "" { // it may wait for its set for a long time
			s, _, err := get[set](tx, setBucket, open.Set)
			begun = s.Switch
			return err
		}
		return nil
	})
	return w, open, begun, err
}

func (m *Manager) remake(ctx context.Context, service string, w row, busy bool) error {
	m.mu.Lock()
	now := time.Now()
	recently := now.Sub(m.remade[service]) < remakeEvery
	if !busy && !recently {
		m.remade[service] = now
	}
	m.mu.Unlock()
	if busy || recently || w.Stopped != "" {
		return nil
	}
	m.cfg.Log.WarnContext(ctx, "the container is lost, making it anew", "service", service)
	_, err := m.Recreate(ctx, service)
	return err
}

func (m *Manager) halt(ctx context.Context, w row, k Container) error {
	if k.Restart != noRestart {
		if err := m.cfg.Containers.Settle(ctx, k.ID, k.Name, noRestart); err != nil {
			return err
		}
	}
	return m.cfg.Containers.Stop(ctx, k.ID, w.Service.stopTimeout())
}

// Stop keeps an add-on stopped, across restarts, until [Manager.Start] or its next committed change. why is shown to
// people; "" is the owner's own wish, which for a tended service outlasts its changes. Core and supervisor are never stopped.
func (m *Manager) Stop(ctx context.Context, service, why string) error {
	stays := why == ""
	if stays {
		why = "stopped by the owner"
	}
	return m.setStopped(ctx, service, why, stays)
}

// Start ends what [Manager.Stop] began.
func (m *Manager) Start(ctx context.Context, service string) error {
	return m.setStopped(ctx, service, "", false)
}

func (m *Manager) setStopped(ctx context.Context, service, why string, stays bool) error {
	verb := "stop"
	if why == "" {
		verb = "start"
	}
	err := m.cfg.Journal.Update(func(tx *state.Tx) error {
		w, ok, err := get[row](tx, serviceBucket, service)
		if err != nil {
			return err
		}
		if !ok || w.Current == nil {
			return fmt.Errorf("%w that is installed", ErrUnknown)
		}
		if why != "" && (isCore(w.Service.Class)) {
			return errors.New("the appliance needs it")
		}
		if o, busy, err := openChange(tx, service); err != nil || busy {
			return errors.Join(err, &BusyError{service, o.ID})
		}
		w.Stopped, w.Stays = why, stays && w.Service.Tended
		return put(tx, serviceBucket, service, w)
	})
	if err != nil {
		return fmt.Errorf("cannot %s %q: %w", verb, service, err)
	}
	what := "stopped"
	if why == "" {
		what = "started"
	}
	w, err := m.row(service)
	if err != nil {
		return err
	}
	a := Action{Service: service, What: what, From: version(w.Current), To: version(w.Current), Why: why, Verdict: w.Current.Verdict, Image: w.Current.Image}
	if _, err := m.cfg.Story.RecordAction(ctx, a); err != nil {
		return fmt.Errorf("%w: %w", errStory, err)
	}
	if why != "" {
		m.runs(service)
	} else {
		m.anew(service) // whatever kept it from running is tried again
	}

	unlock, ok := m.lock(ctx, service) // a look at it would otherwise swallow the wish
	if !ok {
		return fmt.Errorf("cannot %s %q yet, something else works on it: %w", verb, service, ctx.Err())
	}
	defer unlock()
	return m.ensureLocked(ctx, service, why == "")
}
