package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/habackup"
	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust/audit"
)

// addonLife makes, moves and removes add-ons for the API. The caller may leave: what was accepted goes on.
type addonLife struct{ addonView }

var _ api.AddonLife = addonLife{}

// Install implements api.AddonLife.
func (h addonLife) Install(ctx context.Context, slug string, r api.InstallRequest, by string) (api.Accepted, error) {
	ctx = context.WithoutCancel(ctx)
	if err := h.glance(ctx); err != nil {
		h.log.Warn("install: not everything could be looked at", "error", err)
	}
	change, err := h.addons.installs.Install(ctx, slug, r.Asks)
	if err != nil {
		return api.Accepted{}, h.addonError(slug, err)
	}
	h.decided(ctx, slug, "add-on installed by "+by, nil)
	if r.AutoUpdate || r.Start {
		go h.afterInstall(ctx, slug, change, r)
	}
	return api.Accepted{Changes: []string{change}, Skips: []api.PlanSkip{}}, nil
}

// afterInstall does what was asked for besides, once the add-on is there.
func (h addonLife) afterInstall(ctx context.Context, slug, change string, r api.InstallRequest) {
	c, err := h.manager.Wait(ctx, change)
	if err != nil || c.State != supervisor.StateCommitted {
		return // the change says why
	}
	if r.AutoUpdate {
		if _, err := h.addons.installs.Configure(ctx, slug, lifecycle.Patch{AutoUpdate: &r.AutoUpdate}); err != nil {
			h.log.Warn("cannot switch automatic updates on", "addon", slug, "error", err)
		}
	}
	if r.Start {
		if _, err := h.addons.installs.Start(ctx, slug); err != nil {
			h.log.Warn("cannot start an add-on after its installation", "addon", slug, "error", err)
		}
	}
}

// Uninstall implements api.AddonLife.
func (h addonLife) Uninstall(ctx context.Context, slug string, r api.UninstallRequest, by string) (api.Accepted, error) {
	ctx = context.WithoutCancel(ctx)
	change, err := h.addons.installs.Uninstall(ctx, slug, lifecycle.DataMode(r.Data))
	if err != nil {
		return api.Accepted{}, h.addonError(slug, err)
	}
	h.decided(ctx, slug, fmt.Sprintf("add-on removed by %s, data: %s", by, r.Data), nil)
	return oneChange(change), nil
}

// Update implements api.AddonLife: the same plan as for any other service, or what holds it back.
func (h addonLife) Update(ctx context.Context, slug string, r api.AddonUpdateRequest) (api.Accepted, error) {
	if err := h.known(slug); err != nil {
		return api.Accepted{}, err
	}
	return h.house.Update(ctx, api.UpdateRequest{Service: lifecycle.Service(slug), Version: r.Version})
}

// Rollback implements api.AddonLife.
func (h addonLife) Rollback(ctx context.Context, slug string) (api.Accepted, error) {
	if err := h.known(slug); err != nil {
		return api.Accepted{}, err
	}
	return h.house.Rollback(ctx, lifecycle.Service(slug))
}

// Build implements api.AddonLife. It answers when the image is built, which takes minutes on a small appliance.
func (h addonLife) Build(ctx context.Context, slug string, r api.BuildRequest) (api.Accepted, error) {
	change, err := h.addons.installs.Build(context.WithoutCancel(ctx), slug, r.Asks)
	if err != nil {
		return api.Accepted{}, h.addonError(slug, err)
	}
	return oneChange(change), nil
}

// Consent implements api.AddonLife. The update that waited for it is planned at once.
func (h addonLife) Consent(ctx context.Context, slug string, r api.ConsentRequest, by string) (api.Accepted, error) {
	ctx = context.WithoutCancel(ctx)
	granted, err := h.addons.installs.Consent(ctx, slug, r.Version, r.Asks)
	if err != nil {
		return api.Accepted{}, h.addonError(slug, err)
	}
	if len(granted) > 0 {
		h.decided(ctx, slug, "rights granted by "+by, granted)
	}
	h.wake()
	return api.Accepted{Changes: []string{}, Skips: []api.PlanSkip{}}, nil
}

// decided writes an owner's decision into the verification log.
func (h addonView) decided(ctx context.Context, slug, what string, rights []string) {
	who, err := h.audit.Private(what)
	if err != nil {
		h.log.Error("cannot write to the verification log", "error", err)
		return
	}
	h.note(ctx, audit.KindAction, map[string]any{"service": lifecycle.Service(slug), "what": "owner", "who": who, "rights": rights})
}

func oneChange(id string) api.Accepted {
	out := api.Accepted{Changes: []string{}, Skips: []api.PlanSkip{}}
	if id != "" {
		out.Changes = append(out.Changes, id)
	}
	return out
}

// known is an error unless an add-on is installed.
func (h addonView) known(slug string) error {
	if r, _ := h.addons.installs.Record(slug); r.Installed() {
		return nil
	}
	return h.addonError(slug, lifecycle.ErrNotInstalled)
}

// imported are the settings of a backup. Protected mode is not among them: who imports data was shown rights that it holds
// back, and no file switches it off.
func imported(meta habackup.Meta, before addons.Settings) addons.Settings {
	return addons.Settings{Options: meta.Options, Ports: meta.Ports, Boot: addons.Boot(meta.Boot), AutoUpdate: meta.AutoUpdate,
		Watchdog: meta.Watchdog, Unprotect: before.Unprotect}
}

// addonError gives an error of what is installed its key and its next step.
func (h addonView) addonError(slug string, err error) error {
	var consent *lifecycle.ConsentError
	var options *lifecycle.OptionsError
	var port *lifecycle.PortError
	var source *lifecycle.SourceError
	fail := func(status int, key, next string) error {
		return &api.Error{Status: status, Key: key, Message: err.Error(), Next: next}
	}
	info := "castellan addon info " + slug
	switch {
	case errors.As(err, &consent):
		next := "castellan addon consent " + slug
		if r, _ := h.addons.installs.Record(slug); !r.Installed() {
			next = "castellan addon install " + slug + " --yes"
		}
		return api.ConsentRequired(slug, consent.Version, rights(consent.Asks), next)
	case errors.As(err, &options):
		return fail(http.StatusBadRequest, api.KeyAddonOptions, "castellan addon options "+slug)
	case errors.As(err, &port):
		return fail(http.StatusBadRequest, api.KeyAddonPort, fmt.Sprintf("castellan addon ports %s %d/%s=PORT", slug, port.Port.Container, port.Port.Protocol))
	case errors.As(err, &source):
		return fail(http.StatusBadRequest, "", "castellan addon uninstall "+slug+" --data delete")
	case errors.Is(err, lifecycle.ErrNotOffered):
		return fail(http.StatusNotFound, api.KeyAddonNotInStore, "castellan addon list --all")
	case errors.Is(err, lifecycle.ErrInstalled):
		return fail(http.StatusBadRequest, api.KeyAddonInstalled, "castellan addon update "+slug)
	case errors.Is(err, lifecycle.ErrNotInstalled), errors.Is(err, supervisor.ErrUnknown):
		if _, ok := h.addons.store.Entry(slug); !ok {
			if _, ok := h.addons.installs.Record(slug); !ok {
				return api.AddonNotFound(slug)
			}
		}
		return fail(http.StatusBadRequest, api.KeyAddonNotInstalled, "castellan addon install "+slug)
	case errors.Is(err, supervisor.ErrPortTaken):
		return fail(http.StatusBadRequest, api.KeyAddonPort, "castellan addon ports "+slug+" CONTAINER/PROTOCOL=PORT")
	}
	return fail(http.StatusBadRequest, "", info)
}
