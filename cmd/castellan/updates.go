package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/updater"
	"golang.org/x/sync/errgroup"
)

// updates looks for news: the ledger at its pace, jittered by a tenth, the channel on the poller's schedule, and both when
// somebody asks. The ledger is looked at once at the start, which is one small conditional request; the channel follows,
// so that its file meets the record that names it.
func (h *house) updates(ctx context.Context) error {
	h.turnOrWarn(ctx)
	g, ctx := errgroup.WithContext(ctx)
	if h.poller != nil {
		g.Go(func() error {
			return h.poller.Run(ctx, h.config().Channel.Poll, func(err error) {
				h.polled(err)
				h.wake()
			})
		})
	}
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(h.nextEnd(jitter(h.config().Trust.Poll))):
			case <-h.kick:
			}
			h.turnOrWarn(ctx)
		}
	})
	return g.Wait()
}

func (h *house) turnOrWarn(ctx context.Context) {
	if err := h.look(ctx, false); err != nil && ctx.Err() == nil {
		h.log.Warn("looking for updates failed; it is tried again", "error", err)
	}
}

func jitter(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)/5+1)) - d/10
}

// look is one turn: sync, judge what is installed, poll, plan, submit what moves by itself. A part that fails leaves
// what it knew before; the turn goes on.
func (h *house) look(ctx context.Context, poll bool) error {
	h.turn <- struct{}{}
	defer func() { <-h.turn }()
	h.setTurn(time.Now())
	defer h.setTurn(time.Time{})
	synced := h.syncWithin(ctx, syncLimit)
	withdrawn := h.withdrawn.Look(ctx)
	var polled error
	if poll {
		polled = h.poll(ctx)
	}
	plan, err := h.makePlan(updater.OwnerRequest{})
	if err != nil {
		return err
	}
	h.tellSkips(ctx, plan)
	_, errs := h.submit(ctx, &plan, false)
	h.news.lookAgain()
	return errors.Join(append(errs, synced, withdrawn, polled)...)
}

// syncLimit bounds the sync of one turn, so that a mirror that sends its bytes one by one keeps nothing else from
// happening; the next turn goes on where this one ended. turnLimit is far beyond what a turn can take.
const (
	syncLimit = 10 * time.Minute
	turnLimit = time.Hour
)

func (h *house) syncWithin(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return h.sync(ctx)
}

// alive tells the watchdog whether the daemon answers and the update loop moves.
func (h *house) alive(ctx context.Context) error {
	h.mu.Lock()
	began := h.turnBegan
	h.mu.Unlock()
	if !began.IsZero() && time.Since(began) > turnLimit {
		return fmt.Errorf("the update loop hangs since %s", began.Format(time.DateTime))
	}
	_, err := h.Status(ctx)
	return err
}

func (h *house) setTurn(began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turnBegan = began
}

// sync brings all replicas up to date, the root's and, beside it, those of repositories.
func (h *house) sync(ctx context.Context) error {
	wait := h.ledgers.sync()
	err := h.syncRoot(ctx)
	return errors.Join(err, wait(ctx))
}

// syncRoot brings the root's replica up to date and, with it, roots and clock.
func (h *house) syncRoot(ctx context.Context) error {
	report, err, rootErr := h.syncLedger(ctx)
	defer h.tellLedger() // after the clock has heard of it
	text := ""
	if err != nil {
		text = err.Error()
	}
	h.mu.Lock()
	before := h.syncErr
	h.syncErr = text
	h.mu.Unlock()
	if err != nil {
		if before != text {
			kind := audit.KindMirror
			if ledger.ReasonOf(err) == trust.LedgerQuarantined {
				kind = audit.KindEquivocation
				h.log.Error("the ledger told two different stories; what runs is not touched", "error", err)
			}
			h.note(ctx, kind, map[string]any{"error": text})
		}
		return errors.Join(rootErr, err)
	}
	if before != "" {
		h.note(ctx, audit.KindMirror, map[string]any{"recovered": true, "count": report.Count})
	}
	root, _ := h.roots.current()
	head, err := h.replica.Head()
	if err != nil {
		return errors.Join(rootErr, err)
	}
	if _, err := h.clock.Heard(head.Time, root); err != nil {
		return errors.Join(rootErr, err)
	}
	return rootErr
}

// tellLedger tells how far the root's replica is.
func (h *house) tellLedger() {
	if h.news == nil {
		return
	}
	l := h.ledgerStatus()
	h.mu.Lock()
	l.Error = h.syncErr
	h.mu.Unlock()
	h.news.synced(l)
}

// note writes a record that nothing waits for; a log that fails stops the next verdict anyway.
func (h *house) note(ctx context.Context, kind audit.Kind, payload any) {
	if _, err := h.audit.Append(context.WithoutCancel(ctx), kind, payload); err != nil { // an end of patience is news too
		h.log.Error("cannot write to the verification log", "error", err)
	}
}

// poll reads the channel.
func (h *house) poll(ctx context.Context) error {
	if h.poller == nil {
		return nil
	}
	_, err := h.poller.Poll(ctx)
	h.polled(err)
	return err
}

// polled keeps how the newest poll went, for the status.
func (h *house) polled(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pollErr = ""
	if err != nil {
		h.pollErr = err.Error()
	}
}

// release is the newest one known, held against the channel record of now: a record may come long before or after the
// file.
func (h *house) release() *updater.Release {
	if h.poller == nil {
		return nil
	}
	return h.poller.Last()
}

// makePlan plans with what is known now; the plan of a turn without an owner's request is kept for status.
func (h *house) makePlan(owner updater.OwnerRequest) (updater.Plan, error) {
	installed, err := h.installed()
	if err != nil {
		return updater.Plan{}, err
	}
	h.tidy(installed)
	plan := updater.NewPlan(installed, h.release(), h.now(), owner)
	if owner == (updater.OwnerRequest{}) {
		h.mu.Lock()
		h.plan = plan
		h.mu.Unlock()
		h.news.planned(plan, h.coreName())
	}
	return plan, nil
}

// installed is every configured service as the planner sees it.
func (h *house) installed() ([]updater.Installed, error) {
	status, err := h.manager.Services()
	if err != nil {
		return nil, err
	}
	var out []updater.Installed
	for _, c := range h.config().Services {
		in := updater.Installed{Service: c.Name, Class: trust.Class(c.Class), Target: c.Target, Mode: updater.Mode(c.Update)}
		if c.Target == "" {
			in.Want = updater.Target{Reference: c.Image + ":" + c.Version, Version: c.Version}
		}
		for _, s := range status {
			if s.Service.Name == c.Name {
				in.Version, in.Busy, in.Failed = s.Version(), s.Open, s.Failed
			}
		}
		out = append(out, in)
	}
	if h.addons.installs == nil { // the house is being opened
		h.decisions.Apply(out)
		return out, nil
	}
	more, err := h.addons.installs.Installed()
	if err != nil { // one that can't be read keeps no other from moving
		h.log.Error("not every add-on could be planned", "error", err)
	}
	for _, in := range more {
		for _, s := range status {
			if s.Service.Name == in.Service {
				in.Failed = s.Failed
			}
		}
		in.Addon.MinAge = h.config().Addons.WaitMinAge
		out = append(out, in)
	}
	h.decisions.Apply(out)
	return out, nil
}

// newer submits an update of one service if the channel offers another version that the Gate would let in. It stands for
// a withdrawn one, so it is planned as if the owner had asked for the service: no window and no skip keeps it away.
func (h *house) newer(ctx context.Context, service string) (bool, error) {
	plan, err := h.makePlan(updater.OwnerRequest{Service: service})
	if err != nil {
		return false, err
	}
	plan = only(plan, service)
	if len(plan.Steps) == 0 {
		return false, nil
	}
	s := plan.Steps[0]
	res, err := h.resolver.Resolve(ctx, s.Service, s.Class, s.To.Reference, s.To.Version)
	if err != nil {
		return false, fmt.Errorf("cannot look up a newer %q: %w", service, err)
	}
	now, ok := h.clock.Now()
	if !ok {
		now = time.Time{} // unknown
	}
	v, err := h.gate.Decide(ctx, trust.Request{Subject: res.Subject, Action: trust.AutoUpdate, Raw: &res.Raw,
		Installed: true, Channel: s.Channel, Requires: s.Requires, FirstResolved: now})
	if err != nil || !v.Outcome.Allowed() {
		return false, err
	}
	plan.Steps[0].Action = trust.AutoUpdate
	taken, errs := h.manager.Submit(ctx, plan)
	return len(taken) > 0, errors.Join(errs...)
}

// only keeps one service's part of a plan.
func only(p updater.Plan, service string) updater.Plan {
	out := updater.Plan{Made: p.Made}
	for _, s := range p.Steps {
		if s.Service == service {
			out.Steps = append(out.Steps, s)
		}
	}
	for _, s := range p.Skips {
		if s.Service == service {
			out.Skips = append(out.Skips, s)
		}
	}
	return out
}

// verifyReplica checks the files of the replica in the background once after a start.
func (h *house) verifyReplica(ctx context.Context) {
	if err := h.replica.Verify(ctx); err != nil && ctx.Err() == nil {
		h.log.Error("the ledger's replica was damaged and is fetched again", "error", err)
		h.note(ctx, audit.KindRecovered, map[string]any{"replica": err.Error()})
		h.wake()
	}
}
