package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/updater"
)

// Log implements api.Backend.
func (h *house) Log() api.Log { return logView{h.audit} }

// Check implements api.Backend: one whole turn of the update loop, now.
func (h *house) Check(ctx context.Context) (api.Plan, error) {
	// What a part of the turn could not do is in the status; the plan is made of what is known.
	if err := h.look(context.WithoutCancel(ctx), true); err != nil {
		h.log.Warn("check: not everything could be looked at", "error", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	out := api.Plan{Steps: []api.PlanStep{}, Skips: planSkips(h.plan.Skips)}
	for _, s := range h.plan.Steps {
		out.Steps = append(out.Steps, api.PlanStep{Service: s.Service, From: s.From, To: s.To.Version})
	}
	return out, nil
}

// Update implements api.Backend. The ledger and the channel are looked at first, so that an owner who asks gets the
// newest; when neither can be had, what is known counts.
func (h *house) Update(ctx context.Context, r api.UpdateRequest) (api.Accepted, error) {
	if r.Service != "" && !h.known(r.Service) {
		return api.Accepted{}, h.unknown(r.Service)
	}
	ctx = context.WithoutCancel(ctx) // the caller may leave
	h.turn.Lock()
	defer h.turn.Unlock()
	if err := errors.Join(h.sync(ctx), h.poll(ctx)); err != nil {
		h.log.Warn("update: not everything could be looked at", "error", err)
	}
	plan, err := h.makePlan(updater.OwnerRequest{Service: r.Service, Version: r.Version, All: r.Service == ""})
	if err != nil {
		return api.Accepted{}, err
	}
	if r.Service != "" && !plan.Together {
		plan = only(plan, r.Service)
	}
	taken, errs := h.manager.Submit(ctx, plan)
	return accepted(taken, plan.Skips), errors.Join(errs...)
}

// Rollback implements api.Backend.
func (h *house) Rollback(ctx context.Context, service string) (api.Accepted, error) {
	if !h.known(service) {
		return api.Accepted{}, h.unknown(service)
	}
	c, err := h.manager.Rollback(context.WithoutCancel(ctx), service)
	if err != nil {
		return api.Accepted{}, err
	}
	return accepted([]supervisor.Change{c}, nil), nil
}

func (h *house) known(service string) bool {
	list, err := h.manager.Services()
	return err != nil || slices.ContainsFunc(list, func(s supervisor.Status) bool { return s.Service.Name == service })
}

func (h *house) unknown(service string) error {
	return &api.Error{Status: http.StatusNotFound, Key: "service_not_found",
		Message: fmt.Sprintf("no service %.60q is configured", service), Next: "castellan status"}
}

func accepted(taken []supervisor.Change, skips []updater.Skip) api.Accepted {
	out := api.Accepted{Changes: []string{}, Skips: planSkips(skips)}
	for _, c := range taken {
		out.Changes = append(out.Changes, c.ID)
	}
	return out
}

func planSkips(skips []updater.Skip) []api.PlanSkip {
	out := []api.PlanSkip{}
	for _, s := range skips {
		out = append(out, api.PlanSkip{Service: s.Service, Code: s.Code, Why: s.Why, To: s.To.Version})
	}
	return out
}

// Changes implements api.Backend, newest first.
func (h *house) Changes(context.Context) ([]api.Change, error) {
	list, err := h.manager.Changes()
	if err != nil {
		return nil, err
	}
	out := make([]api.Change, 0, len(list))
	for _, c := range slices.Backward(list) {
		out = append(out, h.change(c))
	}
	return out, nil
}

func (h *house) change(c supervisor.Change) api.Change {
	out := api.Change{ID: c.ID, Service: c.Service.Name, Kind: string(c.Kind), State: string(c.State), To: c.Version,
		Done: c.Resting(), Good: c.State == supervisor.StateCommitted, Why: c.Why, Created: c.Created, Updated: c.Updated}
	if c.From != nil {
		out.From = c.From.Version
	}
	if c.To != nil {
		out.Verdict = c.To.Verdict
	}
	if c.Verdict != nil && !c.Verdict.Outcome.Allowed() {
		out.Reason = string(c.Verdict.Reason())
		out.Next = c.Verdict.Reason().Meaning().Next
	}
	out.Bytes, out.Total = h.progress.get(c.ID)
	return out
}

// progress remembers the bytes of changes that download.
type progress struct {
	mu    sync.Mutex
	bytes map[string][2]int64
}

func (p *progress) get(id string) (done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bytes[id]
	return b[0], b[1]
}

// observe is told of every move of every change.
func (h *house) observe(c supervisor.Change, p supervisor.Progress) {
	h.progress.mu.Lock()
	defer h.progress.mu.Unlock()
	if h.progress.bytes == nil {
		h.progress.bytes = map[string][2]int64{}
	}
	if c.Resting() {
		delete(h.progress.bytes, c.ID)
	} else if p.Total > 0 && p.Check == "" {
		h.progress.bytes[c.ID] = [2]int64{p.Done, p.Total}
	}
	if p == (supervisor.Progress{}) {
		h.log.Info("change", "service", c.Service.Name, "change", c.ID, "state", c.State, "to", c.Version, "why", c.Why)
	}
}

// Force implements api.Backend (TRUST.md §7): an override for what was refused or deferred last.
func (h *house) Force(ctx context.Context, r api.ForceRequest, by string) (api.Override, error) {
	if r.Why == "" {
		return api.Override{}, &api.Error{Status: http.StatusBadRequest, Message: "cannot force: field \"why\" is missing"}
	}
	last, err := h.lastRefused(r.Service)
	if err != nil {
		return api.Override{}, err
	}
	subject := last.Verdict.Subject
	if r.Digest == "" {
		r.Digest = string(subject.Manifest)
	}
	if r.Digest != string(subject.Manifest) {
		return api.Override{}, &api.Error{Status: http.StatusBadRequest, Message: fmt.Sprintf(
			"cannot force %s: the image refused last is %s, not %.80s", r.Service, subject.Manifest, r.Digest), Next: "castellan update " + r.Service}
	}
	reasons, err := h.reasonsAgainst(ctx, last, r.Reasons)
	if err != nil {
		return api.Override{}, err
	}
	var seq uint64
	now, _ := h.clock.Now()
	ov, err := h.memory.AddOverride(trust.Override{Component: r.Service, Digest: subject.Manifest, Reasons: reasons, Why: r.Why, By: by},
		r.Confirm, now, func(o trust.Override) (err error) {
			seq, err = h.audit.Append(ctx, audit.KindOverride, o)
			return err
		})
	if err != nil {
		return api.Override{}, &api.Error{Status: http.StatusBadRequest, Key: "override_refused", Message: err.Error(),
			Next: fmt.Sprintf("castellan log explain %d", last.To.Verdict)}
	}
	h.log.Warn("override added", "service", r.Service, "version", subject.Version, "reasons", reasons, "by", by)
	out := api.Override{ID: ov.ID, Service: r.Service, Version: subject.Version, Digest: string(subject.Manifest), Expires: ov.Expires, Seq: seq}
	for _, reason := range ov.Reasons {
		out.Reasons = append(out.Reasons, string(reason))
	}
	return out, nil
}

// lastRefused is the newest change of a service, if trust ended it.
func (h *house) lastRefused(service string) (supervisor.Change, error) {
	list, err := h.manager.Changes()
	if err != nil {
		return supervisor.Change{}, err
	}
	for _, c := range slices.Backward(list) {
		if c.Service.Name == service && c.Verdict != nil && c.To != nil &&
			(c.State == supervisor.StateRefused || c.State == supervisor.StateDeferred) {
			return c, nil
		}
	}
	return supervisor.Change{}, &api.Error{Status: http.StatusNotFound, Key: "nothing_refused",
		Message: fmt.Sprintf("nothing of %.60q was refused or deferred; there is nothing to force", service), Next: "castellan update " + service}
}

// reasonsAgainst are the reasons an override must cover: those asked for, else all that stand against the image.
func (h *house) reasonsAgainst(ctx context.Context, c supervisor.Change, asked []string) ([]trust.Reason, error) {
	var out []trust.Reason
	for _, r := range asked {
		out = append(out, trust.Reason(r))
	}
	if len(out) > 0 {
		return out, nil
	}
	found, err := h.gate.Against(ctx, trust.Request{Subject: c.Verdict.Subject, Action: c.Verdict.Action, Raw: c.Raw, Held: c.To.Image,
		Change: c.ID, FirstResolved: c.To.Resolved, Installed: c.From != nil, Channel: c.Channel, Requires: c.Requires})
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		out = append(out, f.Reason)
	}
	if len(out) == 0 {
		return nil, &api.Error{Status: http.StatusBadRequest, Key: "nothing_refused",
			Message: fmt.Sprintf("nothing stands against %s %s any more", c.Service.Name, c.Version), Next: "castellan update " + c.Service.Name}
	}
	return out, nil
}

// engineWithin bounds how long a status waits for the engine.
const engineWithin = 3 * time.Second
