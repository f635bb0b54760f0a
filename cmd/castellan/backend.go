package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/updater"
)

// Log implements api.Backend.
func (h *house) Log() api.Log { return logView{h.audit, h.config().Addons.Timezone, &h.days} }

// Trust implements api.Backend.
func (h *house) Trust() api.Trust { return trustView{h} }

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
	if r.Service != "" {
		st, err := h.find(r.Service)
		switch {
		case err != nil:
			return api.Accepted{}, err
		case !st.Configured:
			return api.Accepted{}, &api.Error{Status: http.StatusConflict, Key: "service_not_configured",
				Message: fmt.Sprintf("%s is not in the configuration any more; it runs on as it is", r.Service), Next: "add it to " + h.path}
		case st.Stuck:
			return api.Accepted{}, h.stuck(st)
		}
	}
	ctx = context.WithoutCancel(ctx) // the caller may leave
	if err := h.glance(ctx); err != nil {
		h.log.Warn("update: not everything could be looked at", "error", err)
	}
	plan, err := h.makePlan(updater.OwnerRequest{Service: r.Service, Version: r.Version, All: r.Service == ""})
	if err != nil {
		return api.Accepted{}, err
	}
	if r.Service != "" && !plan.Together {
		plan = only(plan, r.Service)
	}
	taken, errs := h.submit(ctx, &plan, true)
	return accepted(taken, plan.Skips), errors.Join(errs...)
}

// ownerPatience bounds how long an owner who asks for an update waits for news.
const ownerPatience = 10 * time.Second

// glance looks at ledger and channel, or gives up when they, or a turn of the update loop that waits for them, take
// longer than an owner should wait.
func (h *house) glance(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, ownerPatience, fmt.Errorf("no answer within %s", ownerPatience))
	defer cancel()
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return errors.Join(h.sync(ctx), h.poll(ctx))
}

// Rollback implements api.Backend. A change that is stuck on its way back is sent on that way again.
func (h *house) Rollback(ctx context.Context, service string) (api.Accepted, error) {
	st, err := h.find(service)
	if err != nil {
		return api.Accepted{}, err
	}
	ctx = context.WithoutCancel(ctx) // the caller may leave
	if st.Stuck {
		return api.Accepted{Changes: []string{st.Open}, Skips: []api.PlanSkip{}}, h.manager.Retry(ctx, st.Open)
	}
	c, err := h.manager.Rollback(ctx, service)
	if err != nil {
		return api.Accepted{}, err
	}
	return accepted([]supervisor.Change{c}, nil), nil
}

// find is a service that is configured or runs.
func (h *house) find(service string) (supervisor.Status, error) {
	list, err := h.manager.Services()
	if err != nil {
		return supervisor.Status{}, err
	}
	i := slices.IndexFunc(list, func(s supervisor.Status) bool { return s.Service.Name == service })
	if i < 0 {
		return supervisor.Status{}, &api.Error{Status: http.StatusNotFound, Key: "service_not_found",
			Message: fmt.Sprintf("no service %.60q is configured", service), Next: "castellan status"}
	}
	return list[i], nil
}

// stuck says why a service takes no update and what its owner can do.
func (h *house) stuck(s supervisor.Status) error {
	why := "its last change could not be undone"
	if c, err := h.manager.Change(s.Open); err == nil {
		why = c.Why + "; then " + c.Trouble
	}
	return &api.Error{Status: http.StatusConflict, Key: "stuck", Message: fmt.Sprintf("%s is stuck: %s", s.Service.Name, why),
		Next: "remove the cause, then: castellan rollback " + s.Service.Name}
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
	out.Slug = slugOf(c.Service.Name)
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
	if !c.Resting() {
		out.Trouble = c.Trouble
	}
	if c.State == supervisor.StateStuck {
		out.Why, out.Next = c.Why+"; then "+c.Trouble, "remove the cause, then: castellan rollback "+c.Service.Name
	}
	for _, p := range c.Passed {
		out.Passed = append(out.Passed, api.Passage{State: string(p.State), At: p.At})
	}
	var at time.Time
	if out.Bytes, out.Total, at = h.progress.get(c.ID); at.After(out.Updated) {
		out.Updated = at
	}
	return out
}

// slugOf is the add-on of a service, "" for what is none.
func slugOf(service string) string {
	if slug, ok := lifecycle.Slug(service); ok {
		return slug
	}
	return ""
}

// progress remembers the bytes of changes that download.
type progress struct {
	mu    sync.Mutex
	bytes map[string]downloaded
}

func (p *progress) get(id string) (done, total int64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bytes[id]
	return b.done, b.total, b.at
}

// observe is told of every move of every change; the supervisor logs it.
func (h *house) observe(c supervisor.Change, p supervisor.Progress) {
	if c.Kind == supervisor.KindRemove && c.State == supervisor.StateCommitted {
		h.forget(c.Service.Name)
	}
	h.progress.moved(c, p)
	if c.Resting() && h.addons.installs != nil {
		h.addons.installs.Wake()
	}
	if h.api == nil { // the house is being opened
		return
	}
	h.api.Moved(h.change(c), c.Service.Name == h.coreName())
	if p == (supervisor.Progress{}) { // a new state
		if slug, ok := lifecycle.Slug(c.Service.Name); ok {
			h.news.lookAt(slug)
		}
		h.news.lookAgain()
	}
	if c.State == supervisor.StateStuck && !c.Resting() { // it rests once that is in the story
		go func() {
			if c, err := h.manager.Wait(h.live, c.ID); err == nil {
				h.api.Moved(h.change(c), c.Service.Name == h.coreName())
			}
		}()
	}
}

func (b *progress) moved(c supervisor.Change, p supervisor.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes == nil {
		b.bytes = map[string]downloaded{}
	}
	if c.Resting() {
		delete(b.bytes, c.ID)
	} else if p.Total > 0 && p.Check == "" {
		now := downloaded{p.Done, p.Total, time.Now().UTC()}
		if before := b.bytes[c.ID]; before.done == p.Done && before.total == p.Total {
			now.at = before.at // a sign of life is bytes
		}
		b.bytes[c.ID] = now
	}
}

// downloaded is how much of an image is here, and since when.
type downloaded struct {
	done, total int64
	at          time.Time
}

// engineWithin bounds how long a status waits for the engine.
const engineWithin = 3 * time.Second
