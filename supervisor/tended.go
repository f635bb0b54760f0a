package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/castellan/castellan/supervisor/state"
)

// notStarted is why a fresh installation of a tended service is stopped.
const notStarted = "installed, not started yet"

// Times of tended services: how long one must be seen ended before it ended by itself and not with its engine, which
// takes that long to stop all of them, and how long a stage waits for the images' own health checks.
const (
	endedAfter  = 20 * time.Second
	stageHealth = 2 * time.Minute
	stageLook   = 250 * time.Millisecond
	turnWait    = 5 * time.Second // for a service that something else has in hand
)

// tending is what is known of a tended service that does not run as it must. It is not kept: a restart looks again.
type tending struct {
	trouble   string    // of the last try to start it
	container string    // that was seen ended
	since     time.Time // when first
}

// EngineReturned asks for another pass of [Manager.BringUp] and a look of [Manager.Ensure]: the engine may have been
// restarted, and starts no tended service by itself, and none at all after it was killed.
func (m *Manager) EngineReturned() {
	m.mu.Lock()
	m.risen = false
	for name, t := range m.tended { // they may have ended with their engine
		t.container, t.since = "", time.Time{}
		m.tended[name] = t
	}
	m.mu.Unlock()
	for _, kick := range []chan struct{}{m.returned, m.looked} {
		select {
		case kick <- struct{}{}:
		default: // one is asked for already
		}
	}
}

// tend brings tended services up at the start and whenever the engine returned.
func (m *Manager) tend(ctx context.Context) {
	defer m.rise(false)
	pause := retryFirst
	for {
		m.rise(false)
		err := m.BringUp(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrEngineAway):
			if !sleep(ctx, pause) {
				return
			}
			pause = min(2*pause, retryMost)
			continue
		case err != nil:
			m.cfg.Log.WarnContext(ctx, "not every service could be started", "error", err)
		}
		pause = retryFirst
		m.rise(true)
		select {
		case <-m.returned:
		case <-ctx.Done():
			return
		}
	}
}

// rise notes that a pass of BringUp begins or is over; one that is asked for already has begun.
func (m *Manager) rise(over bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.risen = over && len(m.returned) == 0
}

// Risen tells whether the services that must run were started since the engine was last said to have returned, each as
// far as it would. Before that, one that does not run has its turn still to come.
func (m *Manager) Risen() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.risen
}

// BringUp starts every tended service that must run and does not, stage after stage, several of a stage at the same
// time. A stage waits until its images' own health checks pass, at most two minutes: late is no failure. One that
// cannot be started keeps no other from it; it is tried again at every look of [Manager.Ensure], and Status says why.
func (m *Manager) BringUp(ctx context.Context) error {
	all, err := m.Services()
	if err != nil {
		return err
	}
	stages := map[int][]string{}
	for _, s := range all {
		if s.Service.Tended && s.Current != nil && s.Stopped == "" {
			stages[s.Service.Stage] = append(stages[s.Service.Stage], s.Service.Name)
		}
	}
	var order []int
	for stage := range stages {
		order = append(order, stage)
	}
	slices.Sort(order)
	var errs []error
	for _, stage := range order {
		list, err := m.cfg.Containers.List(ctx, "")
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("cannot list the containers: %w", err))...)
		}
		failed := make([]error, len(stages[stage]))
		var g errgroup.Group
		g.SetLimit(cmpOr(m.cfg.Starts, 4))
		for i, name := range stages[stage] {
			g.Go(func() error {
				failed[i] = m.bringUp(ctx, name, list)
				return nil // one that fails keeps no other from starting
			})
		}
		_ = g.Wait() // see above
		for _, err := range failed {
			if errors.Is(err, ErrEngineAway) {
				return err
			}
			errs = append(errs, err)
		}
		m.settled(ctx, stages[stage])
	}
	return errors.Join(errs...)
}

// bringUp starts one service. list is from a moment ago: what it says of a container's image cannot have changed.
func (m *Manager) bringUp(ctx context.Context, service string, list []Container) error {
	wait, cancel := context.WithTimeout(ctx, turnWait)
	unlock, ok := m.lock(wait, service) // a look has it for a moment
	cancel()
	if !ok {
		return nil // a step works on it and starts it
	}
	done := false
	defer func() {
		if !done {
			unlock()
		}
	}()
	w, _, begun, err := m.standing(service)
	if err != nil || begun || w.Current == nil || w.Stopped != "" {
		return err // a change that has begun starts what must run
	}
	k, found := find(list, w.Current.Container)
	switch {
	case found && k.Running:
		m.runs(service)
		return nil
	case !found || k.Image != w.Current.Image || k.Name != service || k.Restart != w.Service.restart():
		unlock()
		done = true
		return m.ensure(ctx, service, true) // it looks for itself
	}
	if m.changed(w) { // what its owner changed takes effect at the next start
		unlock()
		done = true
		_, err := m.Renew(ctx, service)
		return err
	}
	if err := m.tried(service, m.launch(ctx, w.Service, k.ID)); err != nil {
		return fmt.Errorf("cannot start %q: %w", service, err)
	}
	return nil
}

// settled waits until no service of a stage is starting any more, by its image's own health check.
func (m *Manager) settled(ctx context.Context, services []string) {
	starting := func(k Container) bool { return k.Running && k.Health == "starting" }
	for end := time.Now().Add(stageHealth); time.Now().Before(end); {
		services = slices.DeleteFunc(services, func(service string) bool {
			list, err := m.cfg.Containers.List(ctx, service)
			return err != nil || !slices.ContainsFunc(list, starting) // an engine that went away is met again at the next stage
		})
		if len(services) == 0 || !sleep(ctx, stageLook) {
			return
		}
	}
}

// rests looks at a tended service that must run and has ended. One with a watchdog is the watchdog's.
func (m *Manager) rests(ctx context.Context, w row, k Container) error {
	if w.Service.Watchdog {
		return nil
	}
	name := w.Service.Name
	m.mu.Lock()
	t := m.tended[name]
	if t.container != k.ID {
		t.container, t.since = k.ID, time.Now()
		m.tended[name] = t
	}
	m.mu.Unlock()
	if time.Since(t.since) < endedAfter {
		return nil
	}
	return m.noteEnded(ctx, name, fmt.Sprintf("it ended by itself with exit code %d", k.ExitCode), w.Current.Container)
}

// Ended notes that a tended service does not run and is not to be started again by itself, and why.
func (m *Manager) Ended(ctx context.Context, service, why string) error {
	return m.noteEnded(ctx, service, why, "")
}

// noteEnded is Ended, if container ("" = any) is still the service's. The caller may hold the service's lock.
func (m *Manager) noteEnded(ctx context.Context, service, why, container string) error {
	if m.isHeld(service) {
		return nil // it rests
	}
	var w row
	noted := false
	err := m.cfg.Journal.Update(func(tx *state.Tx) (err error) {
		noted = false
		if w, _, err = get[row](tx, serviceBucket, service); err != nil || w.Current == nil || w.Stopped != "" {
			return err
		}
		if container != "" && w.Current.Container != container {
			return nil
		}
		if _, busy, err := openChange(tx, service); err != nil || busy {
			return err
		}
		w.Stopped, w.Stays, noted = why, true, true
		return put(tx, serviceBucket, service, w)
	})
	if err != nil || !noted {
		return err
	}
	m.runs(service)
	m.cfg.Log.InfoContext(ctx, "a service ended", "service", service, "why", why)
	a := Action{Service: service, What: "ended", From: version(w.Current), To: version(w.Current), Why: why, Verdict: w.Current.Verdict, Image: w.Current.Image}
	if _, err := m.cfg.Story.RecordAction(ctx, a); err != nil {
		return fmt.Errorf("%w: %w", errStory, err)
	}
	return nil
}

// runs forgets what was wrong with a tended service.
func (m *Manager) runs(service string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tended, service)
}

// anew forgets that a tended service was seen ended, and keeps what was wrong with it: only a try that the engine answered
// tells whether that is over.
func (m *Manager) anew(service string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t, ok := m.tended[service]; ok {
		m.tended[service] = tending{trouble: t.trouble}
	}
}

// tried keeps how a try to start a service went. An engine that was away says nothing about the service.
func (m *Manager) tried(service string, err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		delete(m.tended, service)
	case !errors.Is(err, ErrEngineAway):
		m.tended[service] = tending{trouble: err.Error()}
	}
	return err
}

// failed tells whether the last try to start a service failed.
func (m *Manager) failed(service string) bool { return m.troubleOf(service) != "" }

func (m *Manager) troubleOf(service string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tended[service].trouble
}
