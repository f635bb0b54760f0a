package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/castellan/castellan/addons/lifecycle"
	mutual "github.com/castellan/castellan/addons/services"
	"github.com/castellan/castellan/addons/store"
	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/engine"
	"github.com/castellan/castellan/supervisor/watch"
	"github.com/castellan/castellan/trust"
)

// addonBucket of the journal keeps what is installed and what its owner decided.
const addonBucket = "addon"

// addonHouse is the part of the daemon that is about add-ons.
type addonHouse struct {
	store    *store.Store
	installs *lifecycle.Manager
	offers   *mutual.Registry // what add-ons offer each other
	dog      *watch.Watchdog
	loader   profiles
	boot     string // which boot of the host this is
}

// openAddons opens repositories, what is installed, and what installed add-ons offer each other.
func (h *house) openAddons(ctx context.Context, data func(string) string, first bool) error {
	for _, dir := range []string{"data", "addon_configs", "local", "ssl", "share", "media", "backup", "homeassistant"} {
		if err := durable.MkdirAll(filepath.Join(h.cfg.Addons.Dir, dir), 0o755); err != nil {
			return fmt.Errorf("cannot make addons.dir: %w", err)
		}
	}
	// Newer than the data folder of an appliance that ran before there were add-ons: a missing part is a first one.
	first = first || !onHost(data("store")) && !onHost(data("services.json"))
	if err := made(first, data("store/repositories.json"), func() error { return store.Init(data("store")) }); err != nil {
		return err
	}
	if err := made(first, data("services.json"), func() error { return mutual.Init(data("services.json")) }); err != nil {
		return err
	}
	a := &h.addons
	var err error
	if a.store, err = store.Open(store.Config{Dir: data("store"), Local: filepath.Join(h.cfg.Addons.Dir, "local"), Builtins: h.cfg.Addons.Builtins,
		Now: h.now, Log: h.log.With("part", "store"), Period: h.cfg.Addons.Refresh, Seed: h.cfg.Appliance.ID}); err != nil {
		return err
	}
	h.opened(a.store)
	if a.offers, err = mutual.Open(data("services.json")); err != nil {
		return err
	}
	a.loader.dir, a.loader.security = data("apparmor"), "/sys/kernel/security/apparmor"
	a.loader.restore(ctx, h.log.With("part", "addons"))
	if a.installs, err = lifecycle.New(lifecycle.Config{
		Records: addonRecords{h.journal}, Offers: addonOffers{h}, Supervisor: addonSupervisor{h}, Changer: addonSupervisor{h}, Host: addonHost{h},
		Build: h.buildAddon, Discard: h.discardBuilds, Forget: a.offers.Drop, Log: h.log.With("part", "addons"), Now: h.now,
		Clock: func() bool { _, ok := h.clock.Now(); return ok },
	}); err != nil {
		return err
	}
	var installed []string
	for _, slug := range a.installs.Slugs() {
		if r, _ := a.installs.Record(slug); r.Installed() {
			installed = append(installed, slug)
		}
	}
	if err := a.offers.Keep(installed); err != nil { // what a removal that was cut has left
		return err
	}
	a.dog = watch.NewWatchdog(h.manager, h.engine, h.log.With("part", "watchdog"))
	h.ledgers.use(addonRepositories{h})
	if a.boot, err = bootID(); err != nil {
		return err
	}
	if err := h.manager.Booted(ctx, a.boot, h.atBoot); err != nil {
		return fmt.Errorf("cannot tell which add-ons start with the appliance: %w", err)
	}
	return nil
}

// runAddons does what add-ons need in the background, until ctx ends.
func (h *house) runAddons(ctx context.Context, run func(func(context.Context))) {
	a := &h.addons
	run(func(ctx context.Context) {
		for e := range h.engine.Events(ctx) {
			a.dog.Hear(watch.Event{Kind: watch.Kind(e.Kind), Service: e.Service})
		}
	})
	run(func(ctx context.Context) { _ = a.dog.Run(ctx) })           // it ends with ctx
	run(func(ctx context.Context) { _ = a.installs.Run(ctx) })      // likewise
	run(func(ctx context.Context) { _ = a.store.Run(ctx, h.wake) }) // likewise
	run(h.serveAddons)
}

// serveAddons answers on the bridge, from when somebody may call there: an appliance without add-ons and Home Assistant
// needs none.
func (h *house) serveAddons(ctx context.Context) {
	if !h.waitForGuests(ctx) {
		return
	}
	newAddonAPI(h.api, h.engine, h.log.With("part", "addons")).run(ctx)
}

// bootID tells one boot of the host from another.
func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// atBoot decides whether an add-on runs after a boot. What was stopped because it was withdrawn stays so.
func (h *house) atBoot(s supervisor.Status) (run bool, why string) {
	if s.Stopped != "" && !s.Stays {
		return false, s.Stopped
	}
	if s.Unproved && s.Stopped != "" {
		return false, s.Stopped // never started: its owner does that
	}
	return h.addons.installs.AtBoot(s.Service.Name, s.Version())
}

// define says how an add-on is run.
func (h *house) define(service, version string) (supervisor.Service, bool, error) {
	if h.addons.installs == nil {
		return supervisor.Service{}, false, nil // the house is being opened
	}
	d, ok, err := h.addons.installs.Define(context.Background(), service, version)
	if err != nil || !ok {
		return supervisor.Service{}, ok, err
	}
	class := trust.ClassAddon
	if d.Local {
		class = trust.ClassLocal
	}
	if d.Health.Deadline = h.config().Addons.Deadline; len(d.Health.Checks) == 0 {
		d.Health.Settle = h.config().Addons.Settle
	}
	return supervisor.Service{Name: d.Name, Class: class, Container: propagate(d.Container), Health: d.Health, Data: d.Data, Files: d.Files,
		Tended: true, Stage: d.Stage, Watchdog: d.Watchdog}, true, nil
}

// network is the bridge of the add-ons as the engine is told.
func (h *house) network() engine.NetworkSpec {
	n := h.cfg.Addons.Network
	return engine.NetworkSpec{Name: n.Name, Subnet: n.Prefix(), Gateway: n.Gateway(), Range: n.Containers(), API: n.API()}
}

// buildAddon makes the image of a local add-on.
func (h *house) buildAddon(ctx context.Context, o lifecycle.Offer) (string, error) {
	req, err := buildRequest(o, h.haArch())
	if err != nil {
		return "", err
	}
	img, err := h.engine.Build(ctx, req, func(line string) { h.log.Debug("build", "addon", o.Slug, "line", line) })
	if err == nil && img.ID == "" {
		err = errors.New("the engine does not say what it built")
	}
	return string(img.ID), err
}

// discardBuilds removes the images that were built of an add-on and that no service needs.
func (h *house) discardBuilds(ctx context.Context, slug string) {
	images, err := h.engine.Built(ctx, slug)
	if err == nil {
		err = h.manager.DropUnused(ctx, images)
	}
	if err != nil {
		h.log.Debug("cannot remove images that were built and are not needed", "addon", slug, "error", err)
	}
}
