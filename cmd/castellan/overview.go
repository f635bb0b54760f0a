package main

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/engine"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/updater"
	"github.com/castellan/castellan/updater/decisions"
)

// Status implements api.Backend. It reads what is known; only the engine is asked, for at most three seconds.
func (h *house) Status(ctx context.Context) (api.Status, error) {
	services, err := h.manager.Services()
	if err != nil {
		return api.Status{}, err
	}
	out := api.Status{Version: version, Ledger: h.ledgerStatus(), Network: h.lan.status(), LogSeq: h.audit.Last()}
	running := h.askEngine(ctx, &out.Engine)
	release := h.release()
	h.mu.Lock()
	cfg, plan := h.cfg, h.plan
	out.State, out.Appliance = h.state, cfg.Appliance.ID
	out.Config = api.ConfigStatus{Path: h.path, Loaded: h.loaded, Error: h.cfgErr}
	out.Ledger.Error = h.syncErr
	out.Storage = storage(cfg.DataDir)
	if h.poller != nil {
		out.Channel = api.ChannelStatus{Name: cfg.Channel.Name, Error: h.pollErr}
		if release != nil {
			out.Channel.Fetched, out.Channel.Verified = release.Fetched, release.Verified
		}
	}
	h.mu.Unlock()
	out.Ledgers = h.ledgersStatus(out.Ledger)
	out.Services = []api.ServiceStatus{}
	decided, _ := h.decisions.All() // why they can't be told is said of each service that waits for it
	for _, s := range services {
		row := h.serviceStatus(s, running, out.Engine.Error != "")
		row.Mode = h.addonMode(s.Service.Name)
		fromPlan(&row, plan)
		fromConfig(&row, cfg)
		h.fromDecisions(&row, decided)
		out.Services = append(out.Services, row)
	}
	return out, nil
}

// askEngine fills in the engine and tells which services have a running container.
func (h *house) askEngine(ctx context.Context, st *api.EngineStatus) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, engineWithin)
	defer cancel()
	running, err := h.engine.Running(ctx)
	if err != nil {
		st.Error = err.Error()
		return map[string]bool{}
	}
	info, err := h.engineInfo(ctx)
	if err != nil {
		st.Error = err.Error()
	}
	st.Version, st.API = info.Version, info.API
	return running
}

// engineInfo is what the engine said of itself at most a while ago.
func (h *house) engineInfo(ctx context.Context) (engine.Info, error) {
	return h.about.get(time.Now(), func() (engine.Info, error) { return h.engine.Info(ctx) })
}

// engineSays is what the engine says of itself. It runs other programs to find that out, so it is asked once in a while.
type engineSays struct {
	mu    sync.Mutex
	info  engine.Info
	asked time.Time // zero = never
}

// saidFor is how long the engine's word of itself is repeated: one that was upgraded shows its old version that long.
const saidFor = time.Minute

func (e *engineSays) get(now time.Time, ask func() (engine.Info, error)) (engine.Info, error) {
	e.mu.Lock()
	info, asked := e.info, e.asked
	e.mu.Unlock()
	if !asked.IsZero() && now.Sub(asked) < saidFor {
		return info, nil
	}
	info, err := ask() // two who ask at once are no harm
	if err != nil {
		return info, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.info, e.asked = info, now
	return info, nil
}

func (h *house) ledgerStatus() api.LedgerStatus {
	root, _ := h.roots.current()
	out := h.replicaStatus(h.replica, root.Ledgers[0].Origin)
	out.Root = root.Version
	return out
}

// freshness is after which ages a ledger is stale, and lets in nothing new.
func (h *house) freshness() (warn, most time.Duration) {
	root, _ := h.roots.current()
	policy := h.ownPolicy()
	return cmp.Or(policy.Warn, root.Warn, trust.DefaultWarn), cmp.Or(policy.Max, root.Max, trust.DefaultMax)
}

// replicaStatus is how far a replica is and how fresh.
func (h *house) replicaStatus(r *ledger.Replica, origin string) api.LedgerStatus {
	out := api.LedgerStatus{Origin: origin, State: "empty"}
	head, err := r.Head()
	if err != nil {
		out.State = "unreadable"
		return out
	}
	out.Count, out.Time, out.Ignored = head.Count, head.Time, r.Stats().Ignored()
	now, _ := h.clock.Now()
	warn, most := h.freshness()
	switch age := now.Sub(head.Time); {
	case head.Quarantined != "":
		out.State = "quarantined"
	case head.Time.IsZero():
	case age > most:
		out.State = "expired"
	case age > warn:
		out.State = "stale"
	default:
		out.State = "fresh"
	}
	return out
}

func (h *house) serviceStatus(s supervisor.Status, running map[string]bool, blind bool) api.ServiceStatus {
	out := api.ServiceStatus{Name: s.Service.Name, Class: string(s.Service.Class), Version: s.Version(), Change: s.Open, State: "absent", Badge: "-"}
	if out.Slug = slugOf(s.Service.Name); out.Slug != "" && h.addons.store != nil {
		e, _ := h.addons.store.Entry(out.Slug)
		out.Title = e.Name
	}
	out.Stopped = s.Stopped
	if s.Previous != nil {
		out.Previous = s.Previous.Version
	}
	if s.Failed.Version != "" {
		out.Error = s.Failed.Version + ": " + s.Failed.Why
	}
	if s.Current != nil {
		out.Image, out.Verdict, out.Badge = string(s.Current.Image), s.Current.Verdict, h.badge(s)
		if out.Badge == "verified" {
			out.Publisher = h.voucher(s.Current)
		}
	}
	switch {
	case s.Stuck:
		out.State, out.Error = "stuck", h.stuck(s).Error()+"; remove the cause, then: castellan rollback "+s.Service.Name
	case s.Open != "":
		out.State = "changing"
	case s.Current == nil:
	case blind:
		out.State = "unknown"
	case running[s.Service.Name]:
		out.State = "running"
	default:
		out.State = "stopped"
	}
	return out
}

// badge says what the evidence says now, and never more: a verdict that a newer one contradicts does not shine on.
func (h *house) badge(s supervisor.Status) string {
	v, ok := h.withdrawn.Verdict(s.Service.Name)
	refused := ok && v.Subject == s.Current.Subject && v.Outcome == trust.Refuse
	switch {
	case refused && v.Reason() == trust.Revoked && !slices.Contains(s.Current.Forced, trust.Revoked):
		return "withdrawn"
	case refused && s.Current.Outcome != trust.AllowOverridden:
		return "refused"
	}
	switch s.Current.Outcome {
	case trust.Allow:
		return "verified"
	case trust.AllowOverridden:
		return "forced"
	case trust.AllowUnsigned:
		if s.Service.Class == trust.ClassLocal {
			return "local"
		}
		return "unsigned"
	}
	return "not checked"
}

func fromPlan(row *api.ServiceStatus, plan updater.Plan) {
	for _, step := range plan.Steps {
		if step.Service == row.Name && step.To.Version != row.Version {
			row.Available = step.To.Version
		}
	}
	for _, skip := range plan.Skips {
		if skip.Service != row.Name || skip.Code == updater.SkipUpToDate || skip.Code == updater.SkipBusy ||
			skip.Code == updater.SkipDowngrade { // what is older is nothing to wait for
			continue
		}
		if skip.To.Version != row.Version {
			row.Available = skip.To.Version
			row.Waiting, row.Code = skip.Why, string(skip.Code)
		}
	}
}

func fromConfig(row *api.ServiceStatus, cfg *config.Config) {
	if row.Mode != "" {
		return
	}
	row.Mode = "-" // not configured any more
	for _, s := range cfg.Services {
		if s.Name == row.Name {
			row.Mode = s.Update
		}
	}
}

// fromDecisions says what the owner decided in place of the configuration.
func (h *house) fromDecisions(row *api.ServiceStatus, all decisions.Decisions) {
	d := h.decided(row.Name, all)
	row.Mode, row.Held = d.Mode, d.Hold != nil
}
