package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/updater"
)

// addonSupervisor is the supervisor as what is installed sees it.
type addonSupervisor struct{ *house }

var (
	_ lifecycle.Supervisor = addonSupervisor{}
	_ lifecycle.Changer    = addonSupervisor{}
)

// Standing implements lifecycle.Supervisor.
func (h addonSupervisor) Standing(service string) (lifecycle.Standing, error) {
	s, last, _, err := h.manager.Status(service)
	if err != nil {
		return lifecycle.Standing{}, err
	}
	out := lifecycle.Standing{Version: s.Version(), Open: s.Open, Stopped: s.Stopped, Unproved: s.Unproved,
		Profile: s.Service.Container.AppArmor}
	if s.Previous != nil {
		out.Previous = s.Previous.Version
	}
	if s.Open != "" {
		c, err := h.manager.Change(s.Open)
		if err != nil {
			return out, err
		}
		out.OpenVersion = c.Version
	}
	if last.ID != "" {
		out.Last = lifecycle.Change{ID: last.ID, Removal: last.Kind == supervisor.KindRemove, Good: last.State == supervisor.StateCommitted,
			Why: last.Why, Created: last.Created}
	}
	return out, nil
}

// Differs implements lifecycle.Supervisor.
func (h addonSupervisor) Differs(service string) (bool, error) { return h.manager.Differs(service) }

// Install implements lifecycle.Changer: an installation is a step of the same plan as an update.
func (h addonSupervisor) Install(ctx context.Context, service string) (string, error) {
	plan, err := h.makePlan(updater.OwnerRequest{Service: service})
	if err != nil {
		return "", err
	}
	plan = only(plan, service)
	taken, errs := h.manager.Submit(ctx, plan)
	var busy *supervisor.BusyError
	switch {
	case len(taken) > 0:
		return taken[0].ID, nil
	case errors.As(errors.Join(errs...), &busy): // the update loop has met the wish first
		return busy.Change, nil
	case len(plan.Skips) > 0 && plan.Skips[0].Code == updater.SkipBusy:
		s, _, _, err := h.manager.Status(service)
		return s.Open, err
	case len(errs) == 0 && len(plan.Skips) > 0:
		return "", errors.New(plan.Skips[0].Why)
	}
	return "", errors.Join(errs...)
}

// Place implements lifecycle.Changer. What was built here has no manifest that anybody signed: it is known by the
// engine's ID alone.
func (h addonSupervisor) Place(ctx context.Context, service, version, image string) (string, error) {
	def, ok, err := h.define(service, version)
	if err != nil || !ok {
		return "", errors.Join(err, ifNot(ok, "it is not installed"))
	}
	id, err := trust.ParseDigest(image)
	if err != nil {
		return "", fmt.Errorf("cannot run what was built: %w", err)
	}
	slug, _ := lifecycle.Slug(service)
	repository := lifecycle.LocalRepository(slug)
	c, err := h.manager.Place(ctx, def, supervisor.Slot{
		Subject: trust.Subject{Component: service, Class: trust.ClassLocal, Repository: repository, Version: version, Platform: h.platform(),
			Manifest: id, Config: id},
		Image: id, Version: version, Reference: repository + ":" + version,
	})
	return c.ID, err
}

func ifNot(ok bool, text string) error {
	if ok {
		return nil
	}
	return errors.New(text)
}

// Remove implements lifecycle.Changer.
func (h addonSupervisor) Remove(ctx context.Context, service string) (string, error) {
	c, err := h.manager.Remove(ctx, service)
	return c.ID, err
}

// Renew implements lifecycle.Changer.
func (h addonSupervisor) Renew(ctx context.Context, service string) (string, error) {
	c, err := h.manager.Renew(ctx, service)
	return c.ID, err
}

// Run implements lifecycle.Supervisor.
func (h addonSupervisor) Run(ctx context.Context, service string, do lifecycle.Power) error {
	switch do {
	case lifecycle.PowerStart:
		return h.manager.Start(ctx, service)
	case lifecycle.PowerRestart:
		return h.manager.Restart(ctx, service, "its owner or the add-on itself asked for it")
	}
	return h.manager.Stop(ctx, service, "")
}

// Retune implements lifecycle.Supervisor.
func (h addonSupervisor) Retune(ctx context.Context, service string) error {
	return h.manager.Retune(ctx, service)
}

// Still implements lifecycle.Supervisor.
func (h addonSupervisor) Still(ctx context.Context, service string, do func() error) error {
	return h.manager.Still(ctx, service, do)
}

// hostFiles writes the files of services.
type hostFiles struct{}

var _ supervisor.Files = hostFiles{}

// Plain implements supervisor.Files. BUG: the engine looks the folder up a moment later, and nothing can make it look at
// the same: an add-on that may write beside it and is quick enough still wins.
func (hostFiles) Plain(_ context.Context, folders []string) error {
	for _, name := range folders {
		fi, err := os.Lstat(name)
		if err != nil {
			return err
		}
		if !fi.IsDir() {
			return fmt.Errorf("cannot let a container see %s: it is no folder but a link or a file, perhaps put there by an add-on that may write beside it; look at it and remove it", name)
		}
	}
	return nil
}

// Write implements supervisor.Files. The folder is the service's own and may hold a link, or a folder, under the file's name:
// it is replaced, and no link is followed.
func (hostFiles) Write(_ context.Context, files []spec.File) error {
	for _, f := range files {
		if fi, err := os.Lstat(f.Path); err == nil && fi.IsDir() { // no name in the folder is the service's to keep from us
			if err := os.RemoveAll(f.Path); err != nil {
				return err
			}
		}
		if err := durable.WriteFile(f.Path, f.Content, fs.FileMode(f.Mode).Perm()); err != nil {
			return err
		}
	}
	return nil
}
