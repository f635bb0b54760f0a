package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// States of an override as owners see it.
const (
	overrideWaiting  = "waiting"
	overrideUnderway = "underway" // a change uses it
	overrideRunning  = "running"
)

// Overrides implements api.Sight.
func (h trustView) Overrides(context.Context) ([]api.OverrideState, error) {
	services, err := h.manager.Services()
	if err != nil {
		return nil, err
	}
	changes, err := h.manager.Changes()
	if err != nil {
		return nil, err
	}
	now, kept := h.now(), h.memory.Overrides()
	var waiting, running []api.OverrideState
	for _, o := range kept {
		st := overrideState(o, overrideWaiting)
		c := overrideChange(changes, o)
		if c != nil {
			st.Version, st.Image = c.Version, c.Verdict.Subject.Repository
		}
		switch {
		case o.UsedBy == "" && now.Before(o.Expires):
			st.Until, st.Ends, st.Seq = o.Expires, "it is used once, or ends unused", h.overrideRecord(o)
		case c != nil && c.ID == o.UsedBy && !c.Resting():
			st.State, st.Ends, st.Change = overrideUnderway, "the change that uses it ends", c.ID
		default:
			continue
		}
		waiting = append(waiting, st)
	}
	for _, s := range services {
		if s.Current == nil || s.Current.Outcome != trust.AllowOverridden {
			continue
		}
		st := overrideState(trust.Override{Component: s.Service.Name, Digest: s.Current.Subject.Manifest, Reasons: s.Current.Forced, Created: s.Current.At}, overrideRunning)
		if i := slices.IndexFunc(kept, func(o trust.Override) bool {
			return o.UsedBy != "" && o.UsedBy == s.Current.Change && o.Component == s.Service.Name
		}); i >= 0 {
			o := kept[i]
			o.Reasons = s.Current.Forced // what it was needed for
			st = overrideState(o, overrideRunning)
		}
		st.Version, st.Image, st.Digest = s.Current.Version, s.Current.Subject.Repository, string(s.Current.Subject.Manifest)
		st.Change, st.Verdict, st.Ends = s.Current.Change, s.Current.Verdict, "another version comes in, or the service goes back"
		running = append(running, st)
	}
	byService := func(a, b api.OverrideState) int { return cmp.Compare(a.Service, b.Service) }
	slices.SortStableFunc(waiting, byService)
	slices.SortStableFunc(running, byService)
	return append(waiting, running...), nil
}

func overrideState(o trust.Override, state string) api.OverrideState {
	st := api.OverrideState{State: state, Slug: slugOf(o.Component), Why: o.Why, By: o.By, Since: o.Created,
		Override: api.Override{ID: o.ID, Service: o.Component, Digest: string(o.Digest), Expires: o.Expires}}
	for _, r := range o.Reasons {
		st.Reasons = append(st.Reasons, string(r))
		st.Passes = append(st.Passes, api.ReasonWords{Code: string(r), Words: r.Meaning().Short})
	}
	return st
}

// overrideChange is the change an override was used by, or the newest one whose image it is for.
func overrideChange(changes []supervisor.Change, o trust.Override) *supervisor.Change {
	for i := range slices.Backward(changes) {
		c := &changes[i]
		if c.Service.Name == o.Component && c.Verdict != nil && slices.Contains(c.Verdict.Subject.Digests(), o.Digest) && (o.UsedBy == "" || o.UsedBy == c.ID) {
			return c
		}
	}
	return nil
}

// overrideRecord finds the record of an override that waits. It is a few minutes old, and so among the newest.
func (h *house) overrideRecord(o trust.Override) uint64 {
	const near = 2000
	last := h.audit.Last()
	for r, err := range h.audit.Records(audit.Filter{Kinds: []audit.Kind{audit.KindOverride}, From: last - min(last, near), Newest: true}) {
		var found trust.Override
		if err == nil && json.Unmarshal(r.Payload, &found) == nil && found.ID == o.ID {
			return r.Seq
		}
	}
	return 0
}

// EndOverride implements api.Sight.
func (h trustView) EndOverride(ctx context.Context, id, by string) error {
	err := h.memory.EndOverride(id, h.now(), func(o trust.Override) error {
		who, err := h.audit.Private(by)
		if err != nil {
			return err
		}
		_, err = h.audit.Append(context.WithoutCancel(ctx), audit.KindAction, decisionRecord{Service: o.Component, What: "override ended", By: who})
		return err
	})
	if errors.Is(err, trust.ErrNoOverride) {
		return &api.Error{Status: http.StatusNotFound, Key: "override_not_found", Message: fmt.Sprintf("cannot end override %.40q: %v", id, err),
			Next: "castellan trust overrides"}
	}
	if err == nil {
		h.log.Info("override ended", "override", id, "by", by)
	}
	return err
}

// Judged implements api.Sight.
func (h trustView) Judged(context.Context) (api.Judgement, error) {
	services, err := h.manager.Services()
	if err != nil {
		return api.Judgement{}, err
	}
	var out api.Judgement
	whole := true
	for _, s := range services {
		if s.Current == nil {
			continue
		}
		row, ok := h.judged(s)
		whole = whole && ok
		out.Images = append(out.Images, row)
		out.Installed++
		switch row.Badge {
		case "verified":
			out.Verified++
		case "withdrawn", "refused":
			out.Bad++
		}
		if ok && (out.Judged.IsZero() || row.Judged.Before(out.Judged)) {
			out.Judged = row.Judged
		}
	}
	if !whole {
		out.Judged = time.Time{}
	}
	sort.Slice(out.Images, func(i, j int) bool { return out.Images[i].Service < out.Images[j].Service })
	return out, nil
}

// judged is what a service runs, as it was judged last; ok is false when it was not since the start.
func (h *house) judged(s supervisor.Status) (row api.JudgedImage, ok bool) {
	at := s.Current.Subject
	row = api.JudgedImage{Service: s.Service.Name, Slug: slugOf(s.Service.Name), Class: string(s.Service.Class), Version: s.Current.Version,
		Image: at.Repository, Digest: string(at.Manifest), Badge: h.badge(s), Verdict: s.Current.Verdict}
	if row.Badge == "verified" {
		row.Publisher = h.voucher(s.Current)
	}
	v, ok := h.withdrawn.Verdict(s.Service.Name)
	if !ok || v.Subject != at {
		return row, false
	}
	row.Outcome, row.Status, row.Severity, row.Judged = string(v.Outcome), v.Status.String(), string(v.Severity), v.Now
	for _, f := range v.Findings {
		row.Reasons = append(row.Reasons, api.ReasonWords{Code: string(f.Reason), Words: f.Reason.Meaning().Short, Detail: f.Detail})
	}
	return row, true
}

// JudgeAll implements api.Sight. It takes a turn of the update loop for itself, so that nothing moves meanwhile.
func (h trustView) JudgeAll(ctx context.Context) (api.Judgement, error) {
	before, err := h.Judged(ctx)
	if err != nil {
		return before, err
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownerPatience) // the caller may leave
	defer cancel()
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-patience.Done():
		return before, &api.Error{Status: http.StatusConflict, Key: "busy", Message: "cannot judge everything now: the update loop is at work for more than " + ownerPatience.String(),
			Next: "castellan trust verify, in a minute"}
	}
	looked := errors.Join(h.sync(patience), h.withdrawn.Look(context.WithoutCancel(ctx)))
	h.news.lookAgain()
	out, err := h.Judged(ctx)
	if looked != nil {
		out.Error = looked.Error()
	}
	for i, row := range out.Images {
		was := slices.IndexFunc(before.Images, func(b api.JudgedImage) bool { return b.Service == row.Service })
		out.Images[i].Changed = was >= 0 && before.Images[was].Outcome != "" && !sameAnswer(before.Images[was], row)
	}
	return out, err
}

func sameAnswer(a, b api.JudgedImage) bool {
	return a.Digest == b.Digest && a.Outcome == b.Outcome && slices.EqualFunc(a.Reasons, b.Reasons, func(x, y api.ReasonWords) bool { return x.Code == y.Code })
}
