package main

import (
	"context"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/updater"
)

// unpacked is how many times the bytes of a download an image is reckoned to need: as it is fetched, and three times that
// unpacked, which is more than images of services need as a rule.
const unpacked = 4

// Preview implements api.Decisions.
func (h decisionView) Preview(ctx context.Context, sizes bool) (api.PlanPreview, error) {
	installed, err := h.installed()
	if err != nil {
		return api.PlanPreview{}, err
	}
	status, err := h.manager.Services()
	if err != nil {
		return api.PlanPreview{}, err
	}
	plan := updater.NewPlan(installed, h.release(), h.now(), updater.OwnerRequest{})
	out := api.PlanPreview{Made: plan.Made, Together: plan.Together, Services: preview(plan, installed, status)}
	all, broken := h.decisions.All()
	out.Open, out.Next = h.opening(all, broken)
	for i, s := range out.Services { // as submit makes them: backups hold add-ons and Home Assistant
		_, isAddon := lifecycle.Slug(s.Service)
		changes := s.To != "" && s.Code != updater.SkipUpToDate && s.From != ""
		out.Services[i].Backup = changes && (isAddon || s.Service == h.coreName()) && h.backups != nil && h.config().Backup.BeforeUpdate
	}
	if sizes {
		h.sizes.fill(ctx, fetcher{h.resolver}, targets(plan), out.Services)
	} else {
		h.sizes.recall(targets(plan), out.Services)
	}
	for _, s := range out.Services {
		if s.Moves {
			out.Download += s.Bytes
		}
	}
	out.Disk.Needed = unpacked * out.Download
	out.Disk.Free = h.freeDisk(ctx)
	out.Disk.Enough = out.Disk.Needed <= out.Disk.Free
	return out, nil
}

// preview writes a plan down by service, in the order of installed.
func preview(plan updater.Plan, installed []updater.Installed, status []supervisor.Status) []api.PlanService {
	out := []api.PlanService{}
	for _, in := range installed {
		row := api.PlanService{Service: in.Service, Class: string(in.Class), Mode: string(in.Mode), From: in.Version, Consent: []string{}}
		for _, s := range plan.Steps {
			if s.Service == in.Service {
				row.To, row.Moves = s.To.Version, true
			}
		}
		for _, s := range plan.Skips {
			if s.Service == in.Service {
				row.To, row.Code, row.Why, row.Next, row.Ends = s.To.Version, s.Code, s.Why, s.Next, s.Ends
			}
		}
		changes := row.To != "" && row.Code != updater.SkipUpToDate
		for _, s := range status {
			row.Restarts = row.Restarts || s.Service.Name == in.Service && changes && s.Current != nil && s.Stopped == ""
		}
		if a := in.Addon; a != nil && changes {
			row.Breaking, row.Options = a.Crosses(in.Version, row.To), a.Options
			row.Consent = append(row.Consent, a.Asks...)
		}
		out = append(out, row)
	}
	return out
}

// targets are what services would run, by service; nothing for those that have it or whose image is made here.
func targets(plan updater.Plan) map[string]updater.Target {
	out := map[string]updater.Target{}
	for _, s := range plan.Steps {
		if s.Class != trust.ClassLocal {
			out[s.Service] = s.To
		}
	}
	for _, s := range plan.Skips {
		switch s.Code {
		case updater.SkipUpToDate, updater.SkipBusy, updater.SkipNoTarget, updater.SkipDetached, updater.SkipLocalBuild:
		default:
			if s.To.Reference != "" {
				out[s.Service] = s.To
			}
		}
	}
	return out
}

// freeDisk is the room where there is least: in the data folder, or where the engine keeps images, if that is on this
// machine. 0 when neither can tell.
func (h *house) freeDisk(ctx context.Context) int64 {
	free, found := int64(0), false
	dirs := []string{h.config().DataDir}
	within, cancel := context.WithTimeout(ctx, engineWithin)
	defer cancel()
	if info, err := h.engineInfo(within); err == nil && filepath.IsAbs(info.Root) { // an engine that is away keeps no plan from being shown
		dirs = append(dirs, info.Root)
	}
	for _, dir := range dirs {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) != nil {
			continue // the engine's is elsewhere, or hidden
		}
		if n := int64(st.Bavail) * st.Bsize; !found || n < free {
			free, found = n, true
		}
	}
	return free
}
