package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/engine"
	"github.com/castellan/castellan/supervisor/events"
	"github.com/castellan/castellan/supervisor/jobs"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/updater"
)

// Bounds of streams. Local users are few and open one each; a test, a dashboard or a support tool many.
const (
	mostStreams     = 512
	mostStreamsEach = 256
)

// news tells those who listen what happens in the house. It waits for nobody, says what did not change only once, and
// nothing depends on it. A nil one tells nobody.
type news struct {
	hub *events.Hub
	log *slog.Logger

	mu       sync.Mutex
	said     map[string][]byte // by topic and key: what was said last
	verdicts map[string]uint64 // since the start, by outcome
	addons   map[string]bool   // slugs that are to be looked at
	all      bool              // every add-on is
	kick     chan struct{}     // holds a token while one is
}

func newNews(ctx context.Context, log *slog.Logger) *news {
	return &news{hub: events.New(ctx, events.Config{Streams: mostStreams, StreamsEach: mostStreamsEach}), log: log,
		said: map[string][]byte{}, verdicts: map[string]uint64{}, addons: map[string]bool{}, kick: make(chan struct{}, 1)}
}

func (n *news) tell(topic events.Topic, key, owner string, data any) {
	if n == nil {
		return
	}
	if err := n.hub.Publish(events.Event{About: events.About{Topic: topic, Key: key, Owner: owner}, Data: data}); err != nil {
		n.log.Error("cannot tell of an event", "error", err)
	}
}

// fresh tells whether what is to be said of a key is new.
func (n *news) fresh(topic events.Topic, key string, what any) bool {
	b, err := json.Marshal(what)
	if err != nil { // our own types; tell says it
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	at := string(topic) + " " + key
	if bytes.Equal(n.said[at], b) {
		return false
	}
	n.said[at] = b
	return true
}

// job is told of each job that moves.
func (n *news) job(e jobs.Event) {
	owner := ""
	if strings.HasPrefix(e.Name, "addon_") {
		owner = e.RootAbout
	}
	n.tell(events.Job, e.UUID, owner, e)
}

// logEvent is a record of the verification log as streams have it.
type logEvent struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	Service string    `json:"service"`
	Summary string    `json:"summary"`
}

// record is told of each record that is on disk.
func (n *news) record(r audit.Record) {
	if n == nil {
		return
	}
	if r.Kind == audit.KindVerdict {
		var p audit.VerdictPayload
		if json.Unmarshal(r.Payload, &p) == nil {
			n.mu.Lock()
			n.verdicts[string(p.Verdict.Outcome)]++
			n.mu.Unlock()
		}
	}
	v := view(r)
	n.tell(events.Log, "", "", logEvent{v.Seq, v.Time, v.Kind, v.Service, v.Summary})
}

// counts are the verdicts by outcome.
func (n *news) counts() map[string]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.verdicts)
}

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

// lookAt has an add-on's state looked at, "" = that of each.
func (n *news) lookAt(slug string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	if slug == "" {
		n.all = true
	} else {
		n.addons[slug] = true
	}
	n.mu.Unlock()
	select {
	case n.kick <- struct{}{}:
	default: // it is on its way
	}
}

// due are the add-ons that are to be looked at.
func (n *news) due() (slugs map[string]bool, all bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	slugs, all = n.addons, n.all
	n.addons, n.all = map[string]bool{}, false
	return slugs, all
}

// addon tells of an add-on's state, if it is new.
func (n *news) addon(s events.AddonState) {
	if n.fresh(events.Addon, s.Slug, s) {
		n.tell(events.Addon, s.Slug, s.Slug, s)
	}
}

// tellAddons tells of states of add-ons until ctx ends. A state is looked up after something happened, never taken from the
// event, which may be late.
func (h *house) tellAddons(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.news.kick:
		}
		slugs, all := h.news.due()
		if all {
			for _, slug := range h.addons.installs.Slugs() {
				slugs[slug] = true
			}
		}
		running, err := h.runningNow(ctx)
		for slug := range slugs {
			h.news.addon(events.AddonState{Slug: slug, State: h.addonState(slug, running, err != nil)})
		}
	}
}

// addonState is Home Assistant's word for an add-on's state; one that is gone is unknown.
func (h *house) addonState(slug string, running map[string]bool, blind bool) string {
	if r, _ := h.addons.installs.Record(slug); !r.Installed() {
		return "unknown"
	}
	a, err := addonView{h}.installed(slug, updater.Plan{}, running, blind)
	if err != nil {
		return "unknown"
	}
	return api.HAState(a.State)
}
