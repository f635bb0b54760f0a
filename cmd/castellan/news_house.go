package main

import (
	"time"

	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/engine"
	"github.com/castellan/castellan/supervisor/events"
	"github.com/castellan/castellan/updater"
)

// mostPlanned bounds the steps, and the skips, that an event of the plan names.
const mostPlanned = 50

// planEvent is the plan as streams have it: what is up to date is left out.
type planEvent struct {
	Steps []api.PlanStep `json:"steps"` // at most 50
	Skips []api.PlanSkip `json:"skips"` // likewise
	Moves int            `json:"moves"` // how many there are
	Waits int            `json:"waits"` // likewise
}

// planned is told of each plan that nobody asked for; core is the name of Home Assistant Core, "" = there is none.
func (n *news) planned(p updater.Plan, core string) {
	if n == nil {
		return
	}
	e, latest := planEvent{Steps: []api.PlanStep{}, Skips: []api.PlanSkip{}}, ""
	for _, s := range p.Steps {
		if s.Service == core {
			latest = s.To.Version
		}
		if e.Moves++; e.Moves <= mostPlanned {
			e.Steps = append(e.Steps, api.PlanStep{Service: s.Service, From: s.From, To: s.To.Version})
		}
	}
	for _, s := range p.Skips {
		if s.Code == updater.SkipUpToDate || s.Code == updater.SkipBusy {
			continue
		}
		if s.Service == core {
			latest = s.To.Version
		}
		if e.Waits++; e.Waits <= mostPlanned {
			e.Skips = append(e.Skips, api.PlanSkip{Service: s.Service, Code: s.Code, Why: s.Why, To: s.To.Version})
		}
	}
	if n.fresh(events.Plan, "", e) {
		n.tell(events.Plan, "plan", "", e)
	}
	if core == "" {
		return
	}
	u := events.Update{Key: "core", Data: map[string]any{"version_latest": latest, "update_available": latest != ""}}
	if latest == "" {
		u.Data["version_latest"] = nil
	}
	if n.fresh(events.SupervisorUpdate, u.Key, u) {
		n.tell(events.SupervisorUpdate, u.Key, "", u)
	}
}

// ledgerEvent is how far a replica is.
type ledgerEvent struct {
	Origin string    `json:"origin"`
	State  string    `json:"state"`
	Count  uint64    `json:"count"`
	Time   time.Time `json:"time"`
	Error  string    `json:"error"`
}

// synced is told of each sync of a ledger.
func (n *news) synced(l api.LedgerStatus) {
	e := ledgerEvent{l.Origin, l.State, l.Count, l.Time, l.Error}
	if n != nil && n.fresh(events.Ledger, e.Origin, e) {
		n.tell(events.Ledger, e.Origin, "", e)
	}
}

// engineEvent tells whether the engine answers.
type engineEvent struct {
	Up    bool   `json:"up"`
	Error string `json:"error"`
}

// heard is told of each event of the engine.
func (n *news) heard(e engine.Event) {
	if n == nil {
		return
	}
	if e.Kind == engine.Connected || e.Kind == engine.Away {
		s := engineEvent{Up: e.Kind == engine.Connected}
		if e.Err != nil {
			s.Error = e.Err.Error()
		}
		if n.fresh(events.Engine, "", s) {
			n.tell(events.Engine, "engine", "", s)
		}
		n.lookAt("")
		return
	}
	if slug, ok := lifecycle.Slug(e.Service); ok {
		n.lookAt(slug)
	}
}

// reloaded is told when repositories were looked at.
func (n *news) reloaded(slugs []string) {
	n.tell(events.StoreReloaded, "store", "", events.Reloaded{Repositories: append([]string{}, slugs...)})
}
