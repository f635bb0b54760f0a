package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/watch"
	"github.com/castellan/castellan/trust"
)

// refusedFor is how long a refused image is shown among the revocations.
const refusedFor = 30 * 24 * time.Hour

// withdrawnFor are the reasons for which an image is not to run because somebody says so.
var withdrawnFor = []trust.Reason{trust.Revoked, trust.KeyRevoked, trust.LocallyDenied}

// revocations judges both slots of each service, without effect, and looks at what was refused lately.
func (h trustView) revocations(ctx context.Context, services []supervisor.Status, g *publisherSight) (out []api.Revocation, err error) {
	for _, s := range services {
		for _, slot := range []struct {
			where string
			*supervisor.Slot
		}{{"current", s.Current}, {"previous", s.Previous}} {
			if slot.Slot == nil {
				continue
			}
			v, err := h.gate.Decide(ctx, watch.Request(s, slot.Slot))
			if err != nil {
				return out, err
			}
			if !slices.Contains(withdrawnFor, v.Reason()) {
				continue
			}
			row := h.revocation(v, slot.where, g)
			row.Version, row.Forced = slot.Version, slices.Contains(slot.Forced, v.Reason())
			out = append(out, row)
		}
	}
	changes, err := h.manager.Changes()
	if err != nil {
		return out, err
	}
	since := h.now().Add(-refusedFor)
	for _, c := range slices.Backward(changes) {
		if c.State != supervisor.StateRefused || c.Verdict == nil || c.Updated.Before(since) || !slices.Contains(withdrawnFor, c.Verdict.Reason()) {
			continue
		}
		if slices.ContainsFunc(out, func(r api.Revocation) bool {
			return r.Service == c.Service.Name && r.Digest == string(c.Verdict.Subject.Manifest)
		}) {
			continue
		}
		row := h.revocation(*c.Verdict, "refused", g)
		row.Version = c.Version
		if row.Time.IsZero() {
			row.Time = c.Updated
		}
		out = append(out, row)
	}
	return out, nil
}

// revocation says who withdrew an image: by the record, else by what the appliance remembers of one.
func (h *house) revocation(v trust.Verdict, where string, g *publisherSight) api.Revocation {
	m := v.Reason().Meaning()
	out := api.Revocation{Service: v.Subject.Component, Slug: slugOf(v.Subject.Component), Where: where, Version: v.Subject.Version, Image: v.Subject.Repository,
		Digest: string(v.Subject.Manifest), Code: string(v.Reason()), Words: m.Short, Next: m.Next, Severity: string(v.Severity), ByRoot: v.ByRoot}
	if v.Reason() != trust.Revoked {
		return out
	}
	own, err := h.evidence(v.Subject)
	places := []trust.Evidence{own}
	if above, err2 := h.ledgers.Security(v.Subject); err == nil && err2 == nil && above != nil {
		places = append(places, above)
	}
	for _, ev := range places {
		if err != nil || h.recordOf(&out, v, ev, g) {
			return out
		}
	}
	for _, k := range h.memory.Marks() {
		if slices.Contains(v.Subject.Digests(), k.Digest) && k.Severity == v.Severity {
			out.Publisher, out.Ledger, out.Tx, out.Remembered = k.Publisher, k.Ledger, k.Pos.Tx, true
			return out
		}
	}
	return out
}

// recordOf fills in the record of a withdrawal as a ledger has it, and tells whether it does: one by somebody whose word counts,
// as severe as the verdict says.
func (h *house) recordOf(out *api.Revocation, v trust.Verdict, ev trust.Evidence, g *publisherSight) bool {
	head, err := ev.Head()
	if err != nil {
		return false
	}
	for _, d := range v.Subject.Digests() {
		found, err := ev.ByDigest(d)
		if err != nil {
			return false
		}
		for _, n := range found {
			said := cmp.Or(n.Notarization.Severity, trust.SeverityNotify)
			if n.Notarization.Status != trust.Untrusted || g.rows[n.Notarization.Publisher] == nil || said != v.Severity {
				continue
			}
			if _, err := trust.VerifyNotarization(g.chain(ev, head.Origin, n.Notarization.Publisher), n); err != nil {
				continue
			}
			out.Publisher, out.Reason, out.Ledger, out.Tx = n.Notarization.Publisher, n.Notarization.Reason, head.Origin, n.Pos.Tx
			out.Time = time.Unix(n.Notarization.SignedAt, 0).UTC()
			return true
		}
	}
	return false
}
