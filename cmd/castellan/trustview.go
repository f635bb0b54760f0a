package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// trustView is what an owner decides about trust, through the API.
type trustView struct{ *house }

var _ api.Trust = trustView{}

// Force implements api.Trust (TRUST.md §7): an override for what was refused or deferred last.
func (h trustView) Force(ctx context.Context, r api.ForceRequest, by string) (api.Override, error) {
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

// Against implements api.Trust. Unlike for Force nothing to force is no error where a change was refused: it may be over.
func (h trustView) Against(ctx context.Context, service string) (api.Refusal, error) {
	last, err := h.lastRefused(service)
	if err != nil {
		return api.Refusal{}, err
	}
	found, err := h.standing(ctx, last)
	if err != nil {
		return api.Refusal{}, err
	}
	v := last.Verdict
	out := api.Refusal{Change: h.change(last), Outcome: string(v.Outcome), Image: v.Subject.Repository, Digest: string(v.Subject.Manifest),
		Verdict: h.recordOf(last)}
	for _, f := range found {
		m := f.Reason.Meaning()
		force := map[trust.Force]string{trust.ForceNo: "no", trust.ForceYes: "yes", trust.ForceTyped: "typed"}[m.Force]
		out.Reasons = append(out.Reasons, api.StandingReason{ReasonWords: api.ReasonWords{Code: string(f.Reason), Words: m.Short, Detail: f.Detail}, Force: force})
	}
	return out, nil
}

// recordsAsked bounds how far back the record of a refusal is looked for.
const recordsAsked = 5000

// recordOf is the verification log record of the verdict that ended a change, 0 when it is not near the log's end.
func (h trustView) recordOf(c supervisor.Change) uint64 {
	last := h.audit.Last()
	f := audit.Filter{Kinds: []audit.Kind{audit.KindVerdict}, Newest: true}
	if last > recordsAsked {
		f.From = last - recordsAsked
	}
	for r, err := range h.audit.Records(f) {
		var p audit.VerdictPayload
		if err == nil && json.Unmarshal(r.Payload, &p) == nil && p.Change == c.ID {
			return r.Seq
		}
	}
	return 0
}

// standing is what stands now against the image of a change that trust ended.
func (h trustView) standing(ctx context.Context, c supervisor.Change) ([]trust.Finding, error) {
	return h.gate.Against(ctx, trust.Request{Subject: c.Verdict.Subject, Action: c.Verdict.Action, Raw: c.Raw, Held: c.To.Image,
		Change: c.ID, FirstResolved: c.To.Resolved, Installed: c.From != nil, Channel: c.Channel, Requires: c.Requires})
}

// lastRefused is the newest change of a service, if trust ended it.
func (h trustView) lastRefused(service string) (supervisor.Change, error) {
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
func (h trustView) reasonsAgainst(ctx context.Context, c supervisor.Change, asked []string) ([]trust.Reason, error) {
	var out []trust.Reason
	for _, r := range asked {
		out = append(out, trust.Reason(r))
	}
	if len(out) > 0 {
		return out, nil
	}
	found, err := h.standing(ctx, c)
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

// Pins implements api.Trust.
func (h trustView) Pins(context.Context) ([]api.Pin, error) {
	var out []api.Pin
	for _, p := range h.memory.Pins() {
		out = append(out, api.Pin{Service: p.Component, Publisher: p.Publisher, Floor: p.Floor.Tx, Ledger: p.Ledger})
	}
	return out, nil
}

// Forget implements api.Trust.
func (h trustView) Forget(ctx context.Context, service, by string) error {
	who, err := h.audit.Private(by)
	if err != nil {
		return err
	}
	return h.memory.Forget(service, func(p trust.Pin) error {
		_, err := h.audit.Append(ctx, audit.KindPin, map[string]any{"forgotten": p, "by": who})
		return err
	})
}
