package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/updater"
	"github.com/castellan/castellan/updater/decisions"
)

// decisionView shows and takes the owner's decisions through the API.
type decisionView struct{ *house }

var _ api.Decisions = decisionView{}

// Decisions implements api.Backend.
func (h *house) Decisions() api.Decisions { return decisionView{h} }

// decisionRecord is the payload of an action record about a decision. By and Reason are references to private texts.
type decisionRecord struct {
	Service string `json:"service,omitempty"`
	What    string `json:"what"`         // "mode auto", "hold", "hold ended", "skip", "skip ended", "window added: …", "window removed: …"
	To      string `json:"to,omitempty"` // the version that is skipped
	Until   string `json:"until,omitempty"`
	Reason  string `json:"reason,omitempty"`
	By      string `json:"by"`
}

// openDecisions reads what was decided. What can't be read stops nothing that runs: it holds back what moves by itself.
func (h *house) openDecisions(f fileStore) {
	h.decisions = decisions.Open(f)
	if err := h.decisions.KeepAside(f+".good", string(f)+".good"); err != nil {
		h.log.Warn("there is no copy of the owner's decisions beside them", "error", err)
	}
	if err := h.decisions.Err(); err != nil {
		h.log.Error("updates that move by themselves wait until the owner's decisions can be read", "error", err)
	}
}

// decide carries a decision out: one record, then the disk, then the update loop looks again.
func (h *house) decide(ctx context.Context, r decisionRecord, by string, edit func(*decisions.Decisions, decisions.Said) error) (out api.Decision, err error) {
	said := decisions.Said{By: by, At: h.now()}
	out.Changed, err = h.decisions.Update(func(d *decisions.Decisions) error { return edit(d, said) }, func() (err error) {
		if r.By, err = h.audit.Private(by); err != nil {
			return err
		}
		if r.Reason, err = h.audit.Private(r.Reason); err != nil {
			return err
		}
		out.Seq, err = h.audit.Append(context.WithoutCancel(ctx), audit.KindAction, r)
		return err
	})
	switch {
	case errors.Is(err, decisions.ErrUnreadable):
		return out, &api.Error{Status: http.StatusConflict, Key: "decisions_unreadable", Message: err.Error(), Next: "castellan plan"}
	case err != nil:
		return out, &api.Error{Status: http.StatusBadRequest, Key: "decision", Message: err.Error(), Next: "castellan plan"}
	case out.Changed:
		h.log.Info("the owner decided", "service", r.Service, "what", r.What, "to", r.To, "by", by)
		h.wake()
	}
	if r.Service != "" {
		all, err := h.decisions.All()
		if err != nil {
			return out, err
		}
		s := h.decided(r.Service, all)
		out.Service = &s
	}
	return out, nil
}

// decidable is the service a decision is about: one that is there, also by its add-on's slug, or one that only a decision
// names, which can be undone.
func (h decisionView) decidable(name string, undo bool) (string, error) {
	candidates := []string{name, lifecycle.Service(name)}
	for _, service := range candidates {
		if _, err := h.find(service); err == nil {
			return service, nil
		}
	}
	if all, err := h.decisions.All(); err == nil && undo {
		for _, service := range candidates {
			if _, ok := all.Services[service]; ok {
				return service, nil
			}
		}
	}
	_, err := h.find(name)
	return name, err
}

// SetMode implements api.Decisions.
func (h decisionView) SetMode(ctx context.Context, r api.ModeRequest, by string) (api.Decision, error) {
	mode := updater.Mode(r.Mode)
	if r.Mode == "default" {
		mode = ""
	}
	service, err := h.decidable(r.Service, mode == "")
	if err != nil {
		return api.Decision{}, err
	}
	return h.decide(ctx, decisionRecord{Service: service, What: "mode " + r.Mode}, by, func(d *decisions.Decisions, said decisions.Said) error {
		return d.SetMode(service, mode, said)
	})
}

// Hold implements api.Decisions.
func (h decisionView) Hold(ctx context.Context, r api.HoldRequest, by string) (api.Decision, error) {
	service, err := h.decidable(r.Service, r.End)
	if err != nil {
		return api.Decision{}, err
	}
	if r.End {
		return h.decide(ctx, decisionRecord{Service: service, What: "hold ended"}, by, func(d *decisions.Decisions, _ decisions.Said) error { return d.EndHold(service) })
	}
	until, err := parseMoment(r.Until, h.zone())
	if err != nil {
		return api.Decision{}, &api.Error{Status: http.StatusBadRequest, Key: "decision", Message: fmt.Sprintf("cannot hold %s: %v", service, err),
			Next: "castellan hold " + service + " --until 2026-12-24"}
	}
	rec := decisionRecord{Service: service, What: "hold", Reason: r.Why}
	if !until.IsZero() {
		rec.Until = until.UTC().Format(time.RFC3339)
	}
	return h.decide(ctx, rec, by, func(d *decisions.Decisions, said decisions.Said) error { return d.SetHold(service, until, r.Why, said) })
}

// zone is the appliance's time zone.
func (h *house) zone() *time.Location {
	z, err := time.LoadLocation(h.config().Addons.Timezone) // config has checked it
	if err != nil {
		return time.UTC
	}
	return z
}

// parseMoment reads a time as people write it: one without a zone is meant in zone, a date from its beginning. "" is none.
func parseMoment(s string, zone *time.Location) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no date; write it as 2026-12-24 or \"2026-12-24 18:00\"", s)
}

// Skip implements api.Decisions.
func (h decisionView) Skip(ctx context.Context, r api.SkipRequest, by string) (api.Decision, error) {
	service, err := h.decidable(r.Service, r.End)
	if err != nil {
		return api.Decision{}, err
	}
	if r.End {
		return h.decide(ctx, decisionRecord{Service: service, What: "skip ended", To: r.Version}, by, func(d *decisions.Decisions, _ decisions.Said) error { return d.EndSkip(service, r.Version) })
	}
	st, err := h.find(service)
	if err != nil {
		return api.Decision{}, err
	}
	if have := st.Version(); have != "" {
		if order, ok := updater.CompareVersions(r.Version, have); ok && order <= 0 {
			return api.Decision{}, &api.Error{Status: http.StatusConflict, Key: "decision",
				Message: fmt.Sprintf("cannot skip %s: %s runs %s already; a skip keeps a newer version from coming", r.Version, service, have), Next: "castellan plan"}
		}
	}
	return h.decide(ctx, decisionRecord{Service: service, What: "skip", To: r.Version}, by, func(d *decisions.Decisions, said decisions.Said) error { return d.AddSkip(service, r.Version, said) })
}

// AddWindow implements api.Decisions.
func (h decisionView) AddWindow(ctx context.Context, r api.WindowRequest, by string) (api.Decision, error) {
	if r.Zone == "" {
		r.Zone = h.zone().String()
	}
	w, err := updater.NewWindow(updater.WindowSpec{Days: r.Days, From: r.From, To: r.To, Zone: r.Zone})
	if err != nil {
		return api.Decision{}, &api.Error{Status: http.StatusBadRequest, Key: "decision", Message: fmt.Sprintf("cannot add a window: %v", err),
			Next: "castellan window add 02:00-04:00 --days sat,sun --zone Europe/Berlin"}
	}
	id := 0
	out, err := h.decide(ctx, decisionRecord{What: "window added: " + w.String()}, by, func(d *decisions.Decisions, said decisions.Said) (err error) {
		id, err = d.AddWindow(w, said)
		return err
	})
	if err != nil {
		return out, err
	}
	all, err := h.decisions.All()
	for _, one := range h.windows(all) {
		if one.ID == id {
			out.Window = &one
		}
	}
	return out, err
}

// RemoveWindow implements api.Decisions.
func (h decisionView) RemoveWindow(ctx context.Context, id int, by string) (api.Decision, error) {
	what := fmt.Sprintf("window removed: %d", id)
	if all, err := h.decisions.All(); err == nil {
		for _, w := range all.Windows {
			if one, err := updater.NewWindow(w.WindowSpec); err == nil && w.ID == id {
				what = "window removed: " + one.String()
			}
		}
	}
	return h.decide(ctx, decisionRecord{What: what}, by, func(d *decisions.Decisions, _ decisions.Said) error { d.RemoveWindow(id); return nil })
}
