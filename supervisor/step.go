package supervisor

import (
	"context"
	"errors"
	"fmt"

	"github.com/castellan/castellan/supervisor/health"
	"github.com/castellan/castellan/trust"
)

// State says how far a change has come. State S on disk means: the way into S is finished and synced, the way out of
// it may have begun. So every step starts by looking at what is there, and may run twice.
//
// Before `created` nothing of the running service was touched: whatever goes wrong, the change leaves. In `created`
// the switch may have begun: whatever goes wrong rolls back. From `healthy` on there is no way back: whatever goes
// wrong is tried again. An engine that is away is waited for from `created` on, for it can neither go on nor back.
type State string

// States. The graph of them is testdata/states.dot.
const (
	StatePlanned     State = "planned"      // submitted
	StateResolved    State = "resolved"     // the reference is digests now, or the image is held already
	StateVerified    State = "verified"     // judged by its manifests; the verdict is in the log
	StatePulled      State = "pulled"       // the engine holds it; judged again by what the engine holds
	StateCreated     State = "created"      // its container waits beside the running one; the data is copied once
	StateSwitched    State = "switched"     // the old container is stopped, the data is kept, the new one was started
	StateHealthy     State = "healthy"      // probation is over: from here only forward
	StateCommitted   State = "committed"    // end: it is the current slot, the old container is gone
	StateRefused     State = "refused"      // end: judged and bad; nothing was touched
	StateDeferred    State = "deferred"     // end: could not be judged; nothing was touched; the planner submits anew
	StateAbandoned   State = "abandoned"    // end: could not be done; nothing was touched; the planner submits anew
	StateRollingBack State = "rolling-back" // the switch failed; the way back may have begun
	StateRolledBack  State = "rolled-back"  // end: the old container runs again, with its data as it was
	StateStuck       State = "stuck"        // the way back failed too; the old container is still there; asks the owner
)

// Terminal tells whether s is an end.
func (s State) Terminal() bool {
	switch s {
	case StateCommitted, StateRefused, StateDeferred, StateAbandoned, StateRolledBack:
		return true
	}
	return false
}

// touches tells whether the step out of s may stop or start the service.
func (s State) touches() bool {
	switch s {
	case StateCreated, StateSwitched, StateHealthy, StateRollingBack, StateStuck:
		return true
	}
	return false
}

// budget is how often the step out of a state is tried; 0 = for ever.
var budget = map[State]int{
	StatePlanned: 5, StateResolved: 5, StateVerified: 5, StatePulled: 5, StateCreated: 3, StateSwitched: 3, StateHealthy: 0, StateRollingBack: 10, StateStuck: 0,
}

// Errors inside the machine: other members of the set are not as far yet; the verification log takes nothing.
var (
	errWait  = errors.New("waiting for the others of the set")
	errStory = errors.New("cannot write the verification log")
)

// step does one transition. With an error the change is where it was, and the caller asks [Change.failed].
func (r *runner) step(ctx context.Context, c Change) (Change, error) {
	if c.Leave != "" {
		return r.leave(ctx, c)
	}
	switch c.State {
	case StatePlanned:
		if c.Kind == KindRemove {
			return r.stop(ctx, c)
		}
		return r.resolve(ctx, c)
	case StateResolved:
		return r.verify(ctx, c)
	case StateVerified:
		return r.pull(ctx, c)
	case StatePulled:
		return r.create(ctx, c)
	case StateCreated:
		return r.switchOver(ctx, c)
	case StateSwitched:
		return r.prove(ctx, c)
	case StateHealthy:
		return r.commit(ctx, c)
	case StateRollingBack:
		return r.rollBack(ctx, c)
	case StateStuck:
		return r.end(ctx, c, StateStuck)
	}
	return c, nil
}

// Do: planned -> resolved. A tag is looked up once, here.
func (r *runner) resolve(ctx context.Context, c Change) (Change, error) {
	want := c.To // set when the change goes to a slot that was installed before
	if want != nil {
		img, held, err := r.cfg.Images.Image(ctx, want.Subject)
		if err != nil {
			return c, fmt.Errorf("cannot look for the kept image: %w", err)
		}
		if held {
			to := *want
			to.Image = img.ID
			c.To = &to
			return c.to(StateResolved), nil
		}
		c.Reference = byDigest(want.Subject)
	}
	res, err := r.cfg.Fetcher.Resolve(ctx, c.Service.Name, c.Service.Class, c.Reference, c.Version)
	if err != nil {
		return c, fmt.Errorf("cannot resolve %s: %w", c.Reference, err)
	}
	s := res.Subject
	if want != nil && (s.Manifest != want.Subject.Manifest || s.Config != want.Subject.Config) {
		return c, fmt.Errorf("cannot resolve %s: the registry gives manifest %s, it was %s", c.Reference, s.Manifest, want.Subject.Manifest)
	}
	if c.Promised != "" && c.Promised != s.Index && c.Promised != s.Manifest {
		return c, fmt.Errorf("cannot resolve %s: the registry gives %s, the release says %s; the mirrors may lag", c.Reference, s.Digests()[0], c.Promised)
	}
	to := Slot{Subject: s, Version: c.Version, Reference: c.Reference, Channel: c.Channel, Resolved: r.firstResolved(c.Service.Name, s.Manifest)}
	if want != nil {
		to = *want
		to.Subject.Index, to.Image = s.Index, ""
	}
	c.To, c.Raw = &to, &res.Raw
	return c.to(StateResolved), nil
}

// Do: resolved -> verified.
func (r *runner) verify(ctx context.Context, c Change) (Change, error) {
	c, _, err := r.admit(ctx, c, c.Action)
	if err != nil {
		return r.decide(c, err)
	}
	return c.to(StateVerified), nil
}

// Do: verified -> pulled. What the engine holds afterwards is what is judged again.
func (r *runner) pull(ctx context.Context, c Change) (Change, error) {
	c, permit, err := r.permit(ctx, c)
	if err != nil {
		return r.decide(c, err)
	}
	img, held, err := r.cfg.Images.Image(ctx, c.To.Subject)
	if err == nil && !held {
		img, err = r.cfg.Images.Pull(ctx, permit, r.progress(c))
	}
	if err != nil {
		return c, fmt.Errorf("cannot pull %s %s: %w", c.Service.Name, c.To.Version, err)
	}
	if p := c.To.Subject.Platform; img.Platform.OS != p.OS || img.Platform.Architecture != p.Architecture {
		return c.turn(StateAbandoned, fmt.Errorf("cannot use %s %s: the image is for %s, this appliance is %s", c.Service.Name, c.To.Version, img.Platform, p)), nil
	}
	to := *c.To
	to.Image = img.ID
	c.To = &to
	if c, _, err = r.admit(ctx, c, trust.Rejudge); err != nil {
		return r.decide(c, err)
	}
	c.Raw = nil
	return c.to(StatePulled), nil
}

// Undo of pull.
func (r *runner) unpull(ctx context.Context, c Change) {
	r.dropImage(ctx, c, c.To)
}

// Do: pulled -> created. The old container runs on.
func (r *runner) create(ctx context.Context, c Change) (Change, error) {
	c, permit, err := r.permit(ctx, c)
	if err != nil {
		return r.decide(c, err)
	}
	if !c.Asleep {
		if err := r.cfg.Snapshots.Prepare(ctx, c.Service.Name, c.ID, c.Service.Data); err != nil {
			return c, fmt.Errorf("cannot prepare the way back: %w", err)
		}
	}
	if c, err = r.lookAside(ctx, c); err != nil {
		return c, err
	}
	n := Naming{Service: c.Service.Name, Change: c.ID, Version: c.To.Version, Name: c.containerName()}
	made, err := r.cfg.Containers.Create(ctx, permit, c.To.Image, n, c.Service.Container)
	if err != nil {
		return c, fmt.Errorf("cannot create the container: %w", err)
	}
	to := *c.To
	to.Container = made.ID
	c.To = &to
	return c.to(StateCreated), nil
}

// Undo of create.
func (r *runner) uncreate(ctx context.Context, c Change) error {
	all, err := r.mine(ctx, c)
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.Change == c.ID {
			if err := r.cfg.Containers.Remove(ctx, k.ID); err != nil {
				return fmt.Errorf("cannot remove the new container: %w", err)
			}
		}
	}
	return r.cfg.Snapshots.Drop(ctx, c.Service.Name, c.ID)
}

// Undo of everything before the switch: to the end c.Leave says.
func (r *runner) leave(ctx context.Context, c Change) (Change, error) {
	// What cannot be removed now is found by its label later; only an engine that is away is waited for.
	err := r.uncreate(ctx, c)
	if err != nil && (errors.Is(err, ErrEngineAway) || c.Attempts < budget[StatePlanned]) {
		return c, err
	}
	if err == nil {
		r.unpull(ctx, c)
	}
	return r.end(ctx, c, c.Leave)
}

// Do: created -> switched. Between Stop and Start lies the only downtime.
func (r *runner) switchOver(ctx context.Context, c Change) (Change, error) {
	c, _, err := r.permit(ctx, c) // after a restart: whatever was withdrawn meanwhile does not start
	if err != nil {
		return r.decide(c, err)
	}
	if err := r.together(c); err != nil {
		return r.disband(c, err)
	}
	all, err := r.mine(ctx, c)
	if err != nil {
		return c, err
	}
	fresh, ok := find(all, c.To.Container)
	switch {
	case !ok:
		return c.turn(StateAbandoned, errors.New("cannot switch: the new container is gone")), nil
	case fresh.Image != c.To.Image:
		return c.turn(StateAbandoned, fmt.Errorf("cannot switch: the new container holds image %s, permitted is %s", fresh.Image, c.To.Image)), nil
	}
	if err := r.stopOthers(ctx, c, all); err != nil {
		return c, err
	}
	if err := r.holdAside(ctx, c); err != nil {
		return c, err
	}
	if !c.Asleep {
		if err := r.cfg.Snapshots.Take(ctx, c.Service.Name, c.ID, c.Service.Data); err != nil {
			return c, fmt.Errorf("cannot keep the data: %w", err)
		}
	}
	if err := r.startNew(ctx, c); err != nil {
		return c, err
	}
	c.Switched = r.now()
	return c.to(StateSwitched), nil
}

// Do, for a removal: planned -> switched.
func (r *runner) stop(ctx context.Context, c Change) (Change, error) {
	all, err := r.mine(ctx, c)
	if err != nil {
		return c, err
	}
	if err := r.stopOthers(ctx, c, all); err != nil {
		return c, err
	}
	c.Switched = r.now()
	return c.to(StateSwitched), nil
}

// Do: switched -> healthy. Starting again is for a machine that lost power during probation.
func (r *runner) prove(ctx context.Context, c Change) (Change, error) {
	if c.Kind == KindRemove || c.Asleep {
		return c.to(StateHealthy), nil
	}
	if err := r.startNew(ctx, c); err != nil {
		return c, err
	}
	if err := r.probation(ctx, c); err != nil {
		if errors.Is(err, ErrEngineAway) { // a check that needs the engine says nothing without it
			return c, err
		}
		if dead, sick := (*health.DeadError)(nil), (*health.CheckError)(nil); errors.As(err, &dead) || errors.As(err, &sick) {
			return c.turn(StateAbandoned, err), nil
		}
		return c, err
	}
	return c.to(StateHealthy), nil
}

// Do: healthy -> committed. The slots flip in the transaction that stores the new state (see save).
func (r *runner) commit(ctx context.Context, c Change) (Change, error) {
	if err := r.together(c); err != nil {
		return r.disband(c, err)
	}
	all, err := r.mine(ctx, c)
	if err != nil {
		return c, err
	}
	for _, k := range all {
		if c.Kind == KindRemove || k.ID != c.To.Container {
			if err := r.cfg.Containers.Remove(ctx, k.ID); err != nil {
				return c, fmt.Errorf("cannot remove the old container: %w", err)
			}
		}
	}
	if c.Kind != KindRemove {
		if err := r.cfg.Containers.Settle(ctx, c.To.Container, c.Service.Name, c.Service.restart()); err != nil {
			return c, fmt.Errorf("cannot settle the new container: %w", err)
		}
		if err := r.startNew(ctx, c); err != nil { // it lost power after probation
			return c, err
		}
		if !c.Asleep { // what was never started has proved nothing
			if err := r.cfg.Authority.Healthy(ctx, *c.Verdict); err != nil {
				return c, fmt.Errorf("cannot raise the floor: %w", err)
			}
		}
	}
	if err := r.cfg.Snapshots.Drop(ctx, c.Service.Name, c.ID); err != nil {
		return c, err
	}
	for _, s := range r.outgoing(c) {
		r.dropImage(ctx, c, s)
	}
	return r.end(ctx, c, StateCommitted)
}

// Undo of switchOver, stop and prove: rolling-back -> rolled-back. It mirrors switchOver line for line.
func (r *runner) rollBack(ctx context.Context, c Change) (Change, error) {
	all, err := r.mine(ctx, c)
	if err != nil {
		return c, err
	}
	for _, k := range all {
		if k.Change == c.ID {
			if err := r.cfg.Containers.Stop(ctx, k.ID, c.Service.stopTimeout()); err != nil {
				return c, fmt.Errorf("cannot stop the new container: %w", err)
			}
		}
	}
	if err := r.cfg.Snapshots.Restore(ctx, c.Service.Name, c.ID, c.Service.Data); err != nil {
		return c, fmt.Errorf("cannot put the data back: %w", err)
	}
	if err := r.giveBack(ctx, c); err != nil {
		return c, err
	}
	if err := r.startOld(ctx, c, all); err != nil {
		return c, err
	}
	if err := r.uncreate(ctx, c); err != nil {
		return c, err
	}
	r.unpull(ctx, c)
	return r.end(ctx, c, StateRolledBack)
}

// end writes the story and only then lets the change end.
func (r *runner) end(ctx context.Context, c Change, s State) (Change, error) {
	seq, err := r.cfg.Story.RecordAction(ctx, c.action(s))
	if err != nil {
		return c, fmt.Errorf("%w: %w", errStory, err)
	}
	c.Record, c.State, c.Attempts = seq, s, 0
	return c, nil
}
