package main

import (
	"context"
	"slices"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/updater"
	"github.com/castellan/castellan/updater/decisions"
)

// Decided implements api.Decisions.
func (h decisionView) Decided(context.Context) (api.DecisionList, error) {
	out := api.DecisionList{Zone: h.zone().String()}
	services, err := h.manager.Services()
	if err != nil {
		return out, err
	}
	all, err := h.decisions.All()
	if err != nil { // what runs is listed all the same
		out.Error = err.Error()
	}
	for _, s := range services {
		out.Services = append(out.Services, h.decided(s.Service.Name, all))
	}
	var gone []string
	for name := range all.Services {
		if !slices.ContainsFunc(services, func(s supervisor.Status) bool { return s.Service.Name == name }) {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	for _, name := range gone {
		out.Services = append(out.Services, h.decided(name, all))
	}
	out.Windows = h.windows(all)
	out.Open, out.Next = h.opening(all, err)
	return out, nil
}

// opening tells whether updates may begin by themselves now, and when they may.
func (h *house) opening(all decisions.Decisions, broken error) (open bool, next time.Time) {
	if broken != nil {
		return false, time.Time{}
	}
	hours, unknown := all.Hours()
	now := h.now()
	if len(hours) > 0 {
		next = hours.Next(now)
	}
	return unknown == "" && hours.Open(now), next
}

func (h *house) windows(all decisions.Decisions) []api.Window {
	out := []api.Window{}
	for _, w := range all.Windows {
		one := api.Window{ID: w.ID, Days: w.Days, From: w.From, To: w.To, Zone: w.Zone, Said: api.Said(w.Said)}
		if one.Days == nil {
			one.Days = []string{}
		}
		if v, err := updater.NewWindow(w.WindowSpec); err == nil { // else its zone is known no more, and it opens never
			now := h.now()
			one.Next = updater.Windows{v}.Next(now)
			one.Open = one.Next.Equal(now)
		}
		out = append(out, one)
	}
	return out
}

// decided is what was decided of one service.
func (h *house) decided(service string, all decisions.Decisions) api.ServiceDecisions {
	d := all.Services[service]
	out := api.ServiceDecisions{Service: service, Default: h.defaultMode(service), Skips: []api.Skip{}}
	out.Mode = out.Default
	if d.Mode != nil {
		said := api.Said(d.Mode.Said)
		out.Mode, out.Decided = string(d.Mode.Mode), &said
	}
	if d.Hold != nil && (d.Hold.Until.IsZero() || h.now().Before(d.Hold.Until)) {
		out.Hold = &api.Hold{Until: d.Hold.Until, Why: d.Hold.Why, Said: api.Said(d.Hold.Said)}
	}
	for _, k := range d.Skips {
		out.Skips = append(out.Skips, api.Skip{Version: k.Version, Said: api.Said(k.Said)})
	}
	return out
}

// defaultMode is a service's update mode without a decision, "-" when it is not configured any more.
func (h *house) defaultMode(service string) string {
	row := api.ServiceStatus{Name: service, Mode: h.addonMode(service)}
	fromConfig(&row, h.config())
	return row.Mode
}

// tidy forgets decisions that are over. It changes nothing of what moves, so that no record tells of it.
func (h *house) tidy(installed []updater.Installed) {
	now, ok := h.clock.Now()
	if !ok || h.decisions.Err() != nil {
		return
	}
	versions := map[string]string{}
	for _, in := range installed {
		versions[in.Service] = in.Version
	}
	if _, err := h.decisions.Update(func(d *decisions.Decisions) error { d.Tidy(now, versions); return nil }, nil); err != nil {
		h.log.Warn("cannot forget decisions that are over; it is tried again", "error", err)
	}
}

// forget drops the decisions about a service that was removed; the removal has a record of its own.
func (h *house) forget(service string) {
	_, err := h.decisions.Update(func(d *decisions.Decisions) error { d.Forget(service); return nil }, nil)
	if err != nil {
		h.log.Warn("cannot forget what was decided of a removed service; undo it when it comes again", "service", service, "error", err)
	}
}

// nextEnd is how long until something that holds an update back ends by itself, spread over some minutes by the
// appliance's place, so that homes with the same window do not all begin at once; at most limit.
func (h *house) nextEnd(limit time.Duration) time.Duration {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.plan.Skips {
		if s.Ends.After(now) {
			limit = min(limit, s.Ends.Sub(now)+time.Duration(updater.Place("window", h.cfg.Appliance.ID)*float64(windowSpread)))
		}
	}
	return limit
}

// windowSpread is less than the shortest window.
const windowSpread = 5 * time.Minute
