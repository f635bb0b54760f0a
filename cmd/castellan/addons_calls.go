package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust/audit"
)

// addonCalls answers the add-ons themselves.
type addonCalls struct{ *house }

var _ api.AddonBackend = addonCalls{}

// Caller implements api.AddonBackend.
func (h addonCalls) Caller(token string) (api.AddonCaller, bool) {
	c, ok := h.addons.installs.ByToken(token)
	return api.AddonCaller(c), ok
}

// Callers implements api.AddonBackend.
func (h addonCalls) Callers() []api.AddonCaller {
	var out []api.AddonCaller
	for _, c := range h.addons.installs.Callers() {
		out = append(out, api.AddonCaller(c))
	}
	return out
}

// Info implements api.AddonBackend.
func (h addonCalls) Info(ctx context.Context) (api.Info, error) {
	c := h.config()
	h.mu.Lock()
	state := h.state
	h.mu.Unlock()
	out := api.Info{Supervisor: version, Features: []string{}, Arch: h.haArch(), SupportedArch: []string{h.haArch()}, State: state,
		Supported: true, Channel: c.Channel.Name, Logging: haLevel(c.Log.Level), Timezone: c.Addons.Timezone, Machine: &c.Appliance.Machine}
	if v := h.coreVersion(); v != "" {
		out.HomeAssistant = &v
	}
	if name, err := os.Hostname(); err == nil {
		out.Hostname = &name
	}
	out.Docker = h.engineVersion(ctx)
	return out, nil
}

// Addon implements api.AddonBackend.
func (h addonCalls) Addon(ctx context.Context, slug string) (api.AddonState, error) {
	i, err := addonView(h).Info(ctx, slug, "")
	if err != nil {
		return api.AddonState{}, err
	}
	out := api.AddonState{State: api.HAState(i.State), Version: i.Version, VersionLatest: i.VersionLatest, UpdateAvailable: i.Update,
		Repository: i.Repository, Available: i.Available, Detached: i.Detached, Icon: i.Icon, Logo: i.Logo, Changelog: i.Changelog,
		Documentation: i.Documentation, Protected: i.Protected, Rating: i.Rating, Signed: i.Badge == "verified", AppArmor: "default",
		Boot: i.Boot, Options: i.Options, Schema: i.Schema, AutoUpdate: i.AutoUpdate, Watchdog: i.Watchdog, Translations: map[string]any{}}
	if i.LongDescription != "" {
		out.LongDescription = &i.LongDescription
	}
	if i.WebUI != "" {
		out.WebUI = &i.WebUI
	}
	for _, p := range i.Ports {
		if out.Network == nil {
			out.Network = map[string]*uint16{}
		}
		out.Network[p.Container] = p.Host
	}
	h.describePages(slug, &out)
	list, err := h.engine.List(ctx, lifecycle.Service(slug))
	if err == nil { // the address is worth nothing when the engine is away
		for _, k := range list {
			if k.Running {
				out.IPAddress = k.IP
			}
		}
	}
	return out, nil
}

// Options implements api.AddonBackend.
func (h addonCalls) Options(_ context.Context, slug string) (map[string]any, error) {
	clean, _, err := h.addons.installs.Options(slug)
	return clean, err
}

// SetOptions implements api.AddonBackend.
func (h addonCalls) SetOptions(ctx context.Context, slug string, options map[string]any) error {
	_, err := h.addons.installs.Configure(ctx, slug, lifecycle.Patch{Options: &options, Own: true})
	return err
}

// Run implements api.AddonBackend. The call comes from a program that it stops, so nothing waits for its end.
func (h addonCalls) Run(ctx context.Context, slug string, do api.AddonAction) error {
	if do != api.AddonStop && do != api.AddonRestart {
		return fmt.Errorf("an add-on can't %.20q itself", do)
	}
	return h.acts.begin(ctx, slug, do, func(ctx context.Context) {
		var err error
		if do == api.AddonStop {
			err = h.addons.installs.Stop(ctx, slug)
		} else {
			_, err = h.addons.installs.Restart(ctx, slug)
		}
		if err != nil {
			h.log.Warn("an add-on could not do to itself what it asked for", "addon", slug, "action", do, "error", err)
		}
	})
}

// Refused implements api.AddonBackend.
func (h addonCalls) Refused(ctx context.Context, slug, what string) {
	h.note(ctx, audit.KindAction, supervisor.Action{Service: lifecycle.Service(slug), What: "call refused", Why: what})
}

// waitForGuests waits until somebody may call on the bridge: Home Assistant, its command line or an add-on. It is false when
// ctx ended before.
func (h *house) waitForGuests(ctx context.Context) bool {
	for !h.hasGuests() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(2 * time.Second):
		}
	}
	return true
}

// hasGuests tells whether an add-on is installed, or a service is run as Home Assistant.
func (h *house) hasGuests() bool {
	for _, s := range h.config().Services {
		if s.HomeAssistant != nil {
			return true
		}
	}
	for _, slug := range h.addons.installs.Slugs() {
		if r, ok := h.addons.installs.Record(slug); ok && r.Installed() {
			return true
		}
	}
	return false
}
