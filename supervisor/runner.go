package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/castellan/castellan/supervisor/health"
	"github.com/castellan/castellan/trust"
)

// Restart policies. "always" is never used: it revives a stopped old generation after a reboot.
const noRestart, unlessStopped = "no", "unless-stopped"

// Times between tries of a step, and how long a step may be silent.
const (
	retryFirst = time.Second
	retryMost  = time.Minute
	stepLimit  = 10 * time.Minute
	dataLimit  = 2 * time.Hour // steps that copy data

	progressPeriod = 250 * time.Millisecond
)

// runner moves one change.
type runner struct {
	*Manager
	log       *slog.Logger
	alive     func()       // puts the end of the step under way off
	permitted trust.Permit // of this process; never stored
}

// run moves c until it rests or ctx ends. It has the change for itself.
func (m *Manager) run(ctx context.Context, c Change) {
	r := &runner{Manager: m, log: m.cfg.Log.With("change", c.ID, "service", c.Service.Name)}
	for !c.Resting() && ctx.Err() == nil {
		woken := m.woken()
		next, err := r.guarded(ctx, c)
		if ctx.Err() != nil {
			return // it stays open and goes on from here at the next start
		}
		switch {
		case errors.Is(err, errWait):
			select {
			case <-woken:
			case <-ctx.Done():
			}
			continue
		case err != nil:
			next = c.failed(err)
			r.log.WarnContext(ctx, "step failed", "state", c.State, "attempt", c.Attempts+1, "error", err)
		}
		if next.State != c.State {
			next.pass(m.now())
		}
		// Until the new state is on disk nothing else is done: the step may run twice, its successor must not come first.
		for pause := retryFirst; ; pause = min(2*pause, retryMost) {
			err := m.save(next)
			if err == nil {
				m.unkept.Delete(c.ID)
				break
			}
			r.log.ErrorContext(ctx, "cannot keep the state of a change", "error", err)
			m.unkept.Store(c.ID, fmt.Sprintf("cannot keep the state of the change: %v", err))
			if !sleep(ctx, pause) {
				return
			}
		}
		moved := next.State != c.State || next.Leave != c.Leave
		c = next
		if moved {
			r.log.InfoContext(ctx, "change", "state", c.State, "version", version(c.To), "why", c.Why)
			m.observe(c, Progress{})
		}
		m.wake()
		if err != nil && !moved {
			_ = sleep(ctx, min(retryFirst<<min(c.Attempts-1, 10), retryMost)) // the loop looks at ctx
		}
	}
}

// guarded runs one step inside its limits: the parallel ones, the service's own, and time.
func (r *runner) guarded(ctx context.Context, c Change) (Change, error) {
	if c.State.touches() || c.Kind == KindRemove {
		unlock, ok := r.lock(ctx, c.Service.Name)
		if !ok {
			return c, ctx.Err()
		}
		defer unlock()
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return c, ctx.Err()
	}
	limit := stepLimit
	switch c.State {
	case StatePulled, StateCreated, StateRollingBack:
		limit = dataLimit
	case StateSwitched:
		limit += c.Service.Health.Deadline + c.Service.Health.Settle
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(limit, func() { cancel(fmt.Errorf("nothing moved for %s", limit)) })
	defer late.Stop()
	r.alive = func() { late.Reset(limit) }
	next, err := r.step(inner, c)
	if why := context.Cause(inner); err != nil && ctx.Err() == nil && why != nil {
		err = fmt.Errorf("%w (%w)", why, err)
	}
	return next, err
}

// sleep tells whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// admit asks for a permit and notes the verdict in c.
func (r *runner) admit(ctx context.Context, c Change, action trust.Action) (Change, trust.Permit, error) {
	by := c.ID
	if c.Kind == KindRecreate && c.To.Change != "" {
		by = c.To.Change // making what was let in anew needs no second override
	}
	p, v, err := r.cfg.Authority.Admit(ctx, trust.Request{
		Subject: c.To.Subject, Action: action, Raw: c.Raw, Held: c.To.Image, Change: by, FirstResolved: c.To.Resolved,
		Installed: c.From != nil, InstalledUnsigned: c.From.unsigned(), Channel: c.Channel, Requires: c.Requires,
	})
	if err != nil {
		return c, p, err
	}
	to := *c.To
	to.Verdict, to.Outcome, to.Forced, to.Change = p.Seq(), p.Outcome(), v.Forced(), by
	// A later verdict looks at fewer things. What came in by force stays forced until the next change.
	if was := c.To.Forced; len(was) > 0 && c.Kind != KindRollback {
		v.Outcome, to.Outcome = trust.AllowOverridden, trust.AllowOverridden
		to.Forced = append(slices.Clone(was), slices.DeleteFunc(to.Forced, func(r trust.Reason) bool { return slices.Contains(was, r) })...)
	}
	c.To, c.Verdict, r.permitted = &to, &v, p
	return c, p, nil
}

// permit is the permit of this process, or a new one: a permit is never stored, and what it rested on may have been
// withdrawn since.
func (r *runner) permit(ctx context.Context, c Change) (Change, trust.Permit, error) {
	if r.permitted.Valid() {
		return c, r.permitted, nil
	}
	return r.admit(ctx, c, trust.Rejudge)
}

// decide turns c round when it was refused or deferred; other errors are a failing disk and are tried again.
func (r *runner) decide(c Change, err error) (Change, error) {
	if refused := (*trust.RefusedError)(nil); errors.As(err, &refused) {
		c.Verdict = &refused.Verdict
		return c.turn(StateRefused, err), nil
	}
	if deferred := (*trust.DeferredError)(nil); errors.As(err, &deferred) {
		c.Verdict = &deferred.Verdict
		return c.turn(StateDeferred, err), nil
	}
	return c, fmt.Errorf("cannot judge: %w", err)
}

// mine lists the containers of c's service.
func (m *Manager) mine(ctx context.Context, c Change) ([]Container, error) {
	list, err := m.cfg.Containers.List(ctx, c.Service.Name)
	if err != nil {
		return nil, fmt.Errorf("cannot list the containers: %w", err)
	}
	return list, nil
}

func find(list []Container, id string) (Container, bool) {
	i := slices.IndexFunc(list, func(k Container) bool { return id != "" && k.ID == id })
	if i < 0 {
		return Container{}, false
	}
	return list[i], true
}

// stopOthers stops every container of the service but the new one. The restart policy goes first, so that no reboot
// revives the old one in the middle of the change.
func (r *runner) stopOthers(ctx context.Context, c Change, all []Container) error {
	for _, k := range all {
		if k.Change == c.ID {
			continue
		}
		if k.Restart != noRestart {
			if err := r.cfg.Containers.Settle(ctx, k.ID, k.Name, noRestart); err != nil {
				return fmt.Errorf("cannot hold the old container back: %w", err)
			}
		}
		if err := r.cfg.Containers.Stop(ctx, k.ID, c.Service.stopTimeout()); err != nil {
			return fmt.Errorf("cannot stop the old container: %w", err)
		}
	}
	return nil
}

// startOld mirrors stopOthers. A service that was kept stopped stays so.
func (r *runner) startOld(ctx context.Context, c Change, all []Container) error {
	if c.From == nil {
		return nil
	}
	k, ok := find(all, c.From.Container)
	if !ok {
		return nil // it was lost before the change: Ensure makes it anew
	}
	w, err := r.row(c.Service.Name)
	if err != nil || w.Stopped != "" {
		return err
	}
	if err := r.launch(ctx, w.Service, k.ID); err != nil {
		return fmt.Errorf("cannot start the old container again: %w", err)
	}
	now, err := r.mine(ctx, c)
	if err != nil {
		return err
	}
	if k, ok = find(now, k.ID); !ok || !k.Running {
		return fmt.Errorf("cannot start the old container again: it stopped with exit code %d", k.ExitCode)
	}
	if err := r.cfg.Containers.Settle(ctx, k.ID, c.Service.Name, w.Service.restart()); err != nil {
		return fmt.Errorf("cannot settle the old container: %w", err)
	}
	return nil
}

// probation holds the new container to its health gate.
func (r *runner) probation(ctx context.Context, c Change) error {
	all, err := r.mine(ctx, c)
	if err != nil {
		return err
	}
	k, _ := find(all, c.To.Container)
	id := k.ID
	target := health.Target{
		IP: k.IP,
		State: func(ctx context.Context) (health.State, error) {
			all, err := r.mine(ctx, c)
			if err != nil {
				return health.State{}, err
			}
			k, _ := find(all, c.To.Container) // a missing one does not run
			return health.State{Running: k.Running, ExitCode: k.ExitCode, OOMKilled: k.OOMKilled, Restarts: k.Restarts, Health: k.Health}, nil
		},
		Exec: func(ctx context.Context, command []string) (int, []byte, error) {
			return r.cfg.Containers.Exec(ctx, id, command)
		},
	}
	return health.Run(ctx, target, c.Service.Health, func(x health.Result) {
		r.alive() // a migration may move the deadline of a probation
		p := Progress{Check: x.Check, Done: int64(x.Passes), Total: int64(x.Needed), Note: x.Note}
		if x.Err != nil {
			p.Trouble = x.Err.Error()
		}
		r.observe(c, p)
	})
}

// progress tells of a pull. It may take all night as long as bytes come.
func (r *runner) progress(c Change) func(done, total int64) {
	var shown time.Time
	return func(done, total int64) {
		r.alive()
		if now := time.Now(); now.Sub(shown) >= progressPeriod || done == total {
			shown = now
			r.observe(c, Progress{Done: done, Total: total})
		}
	}
}

// action is c's line in the story when it comes to s.
func (c Change) action(s State) Action {
	a := Action{Change: c.ID, Service: c.Service.Name, What: string(s), From: version(c.From), To: version(c.To), Why: c.Why}
	if c.To == nil {
		a.To = c.Version
	}
	runs := c.From
	switch {
	case s == StateCommitted && c.Kind == KindRemove:
		runs, a.What = nil, "removed"
	case s == StateCommitted:
		runs = c.To
	case s == StateStuck:
		runs, a.Why = nil, c.Why+"; then "+c.Trouble
	}
	if runs != nil {
		a.Image = runs.Image
	}
	if c.To != nil {
		a.Verdict = c.To.Verdict
	}
	return a
}

// byDigest is the reference of a slot that was installed before.
func byDigest(s trust.Subject) string { return s.Repository + "@" + string(s.Digests()[0]) }
