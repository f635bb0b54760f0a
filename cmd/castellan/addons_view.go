package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/addons/store"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/updater"
)

// addonView shows add-ons through the API.
type addonView struct{ *house }

var _ api.Addons = addonView{}

// Addons implements api.Backend.
func (h *house) Addons() api.Addons { return addonView{h} }

// Life, Power, Settings and Output implement api.Addons.
func (h addonView) Life() api.AddonLife         { return addonLife{h} }
func (h addonView) Power() api.AddonPower       { return addonPower{h} }
func (h addonView) Settings() api.AddonSettings { return addonSettings{h} }
func (h addonView) Output() api.AddonOutput     { return addonOutput{h} }

// List implements api.Addons.
func (h addonView) List(ctx context.Context, all bool) ([]api.Addon, error) {
	running, err := h.runningNow(ctx)
	h.mu.Lock()
	plan := h.plan
	h.mu.Unlock()
	out := []api.Addon{}
	shown := map[string]bool{}
	for _, slug := range h.addons.installs.Slugs() {
		if r, _ := h.addons.installs.Record(slug); !r.Installed() {
			continue
		}
		a, aErr := h.installed(slug, plan, running, err != nil)
		if aErr != nil {
			return nil, aErr
		}
		shown[slug] = true
		out = append(out, a)
	}
	if all {
		place := addonHost(h).Place()
		for _, e := range h.addons.store.Entries() {
			if !shown[e.Slug] {
				out = append(out, offered(e, place))
			}
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Slug < out[j].Slug })
	return out, nil
}

// runningNow asks the engine which services run.
func (h *house) runningNow(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, engineWithin)
	defer cancel()
	return h.engine.Running(ctx)
}

// offered is an add-on that is not installed. Nothing was looked at of its image, so nothing is said of it.
func offered(e store.Entry, place addons.Place) api.Addon {
	a := api.Addon{Slug: e.Slug, Name: e.Name, Repository: e.Repository, Description: e.Description, URL: e.URL, Stage: e.Stage,
		VersionLatest: e.Version, State: "absent", Badge: "not checked", Build: e.Build(), Protected: true,
		Access: e.Access, Icon: e.Icon}
	m := addons.Manifest{Version: e.Version, Arch: e.Arch, Machine: e.Machine, Core: e.Core, Image: e.Image}
	a.Card = card(e)
	a.UnavailableWhy = m.Unavailable(place)
	a.Available = a.UnavailableWhy == ""
	return a
}

// card is what a repository says of an add-on besides.
func card(e store.Entry) api.AddonCard {
	return api.AddonCard{Arch: e.Arch, Core: e.Core, Icon: e.Icon, Logo: e.Logo, Documentation: e.Docs, Advanced: e.Advanced}
}

// installed is an add-on that is installed, or being so.
func (h addonView) installed(slug string, plan updater.Plan, running map[string]bool, blind bool) (api.Addon, error) {
	service := lifecycle.Service(slug)
	r, _ := h.addons.installs.Record(slug)
	s, _, _, err := h.manager.Status(service)
	if err != nil {
		return api.Addon{}, err
	}
	row := h.serviceStatus(s, running, blind)
	a := api.Addon{Slug: slug, Name: slug, Repository: r.Repository, Version: row.Version, VersionLatest: row.Version, State: row.State, Badge: row.Badge,
		AutoUpdate: r.Settings.AutoUpdate, Watchdog: r.Settings.Watchdog, Protected: !r.Settings.Unprotect, Trouble: cmp.Or(s.Trouble, row.Error)}
	if p := h.memory.Pin(service); p != nil {
		a.Publisher = p.Publisher
	}
	if m, err := h.addons.installs.Manifest(slug); err == nil {
		a.Name, a.Description, a.URL, a.Stage, a.Build = m.Name, m.Description, m.URL, m.Stage, m.Image == ""
		a.Access = string(addons.Rights(r.Granted).Access())
		a.Ingress, a.WebUI = m.Ingress, m.WebUI
		a.Boot = string(cmp.Or(r.Settings.Boot, m.Boot))
		if m.Boot == addons.BootManualOnly {
			a.Boot = string(addons.BootManual)
		}
	} else {
		a.Trouble = err.Error()
	}
	switch {
	case s.Current == nil:
		a.State, a.Badge, a.Trouble = "installing", "-", cmp.Or(a.Trouble, h.addons.installs.Trouble(slug))
	case s.Trouble != "" && a.State == "stopped":
		a.State = "error"
	case a.State == "stopped" && s.Stays && strings.HasPrefix(s.Stopped, "it ended"):
		a.State, a.Trouble = "ended", s.Stopped
	}
	if e, ok := h.addons.store.Entry(slug); ok {
		a.Card, a.Icon = card(e), e.Icon
	}
	o, err := h.addons.installs.Offered(slug)
	if a.Detached = err != nil; a.Detached {
		return a, nil
	}
	a.UnavailableWhy = o.Manifest.Unavailable(addonHost(h).Place())
	a.VersionLatest, a.Available = o.Manifest.Version, a.UnavailableWhy == ""
	a.Update = s.Current != nil && updater.NormalVersion(a.VersionLatest) != updater.NormalVersion(a.Version)
	if a.Update {
		for _, skip := range plan.Skips {
			if skip.Service == service && skip.Code != updater.SkipBusy && skip.Code != updater.SkipUpToDate {
				a.Waiting = &api.PlanSkip{Service: service, Code: skip.Code, Why: skip.Why, To: skip.To.Version}
			}
		}
	}
	return a, nil
}

// Info implements api.Addons.
func (h addonView) Info(ctx context.Context, slug, lang string) (api.AddonInfo, error) {
	r, kept := h.addons.installs.Record(slug)
	e, offeredNow := h.addons.store.Entry(slug)
	if !kept && !offeredNow {
		return api.AddonInfo{}, api.AddonNotFound(slug)
	}
	out := api.AddonInfo{Granted: rights(r.Granted), Asks: []api.Right{}, Changes: []api.Change{}, Ports: []api.AddonPort{}}
	var m addons.Manifest
	var err error
	if r.Installed() {
		h.mu.Lock()
		plan := h.plan
		h.mu.Unlock()
		running, engineErr := h.runningNow(ctx)
		if out.Addon, err = h.installed(slug, plan, running, engineErr != nil); err != nil {
			return out, err
		}
		m, err = h.addons.installs.Manifest(slug)
		if errors.Is(err, lifecycle.ErrNotInstalled) { // it went meanwhile: what is kept of it says so now
			return h.Info(ctx, slug, lang)
		}
		if err != nil {
			return out, err
		}
		out.Overrides = r.Settings.Options
		out.Options = addons.Merge(m.Options, r.Settings.Options) // as written: secrets stay names
	} else if offeredNow {
		out.Addon = offered(e, addonHost(h).Place())
		if m, _, err = h.addons.store.Manifest(slug); err != nil {
			return out, err
		}
		out.Options = addons.Merge(m.Options, r.Settings.Options)
	}
	if r.Gone != nil {
		out.Kept = &api.AddonKept{Removed: r.Gone.At, Until: r.Gone.Until, Bytes: folderSize(h.cfg.Addons.Dir, slug)}
	}
	h.describe(&out, m, r, lang)
	offer := addonOffers(h).Offer // of what is not installed the name alone counts: its owner is shown what he would be asked
	if r.Installed() {
		offer = h.addons.installs.Offered
	}
	if o, err := offer(slug); err == nil {
		asks, err := h.addons.installs.Asks(slug, o.Manifest)
		if err != nil {
			return out, err
		}
		out.Asks = rights(asks)
	}
	profile := e.AppArmor // of what is installed its own counts, whatever the repository has by now
	if r.Installed() {
		profile = r.Manifests[m.Version].Profile != ""
	}
	return out, h.evidence(ctx, &out, m, profile)
}

// addonMode is an add-on's update mode, "" for what is none.
func (h *house) addonMode(service string) string {
	slug, ok := lifecycle.Slug(service)
	if !ok || h.addons.installs == nil {
		return ""
	}
	r, ok := h.addons.installs.Record(slug)
	switch {
	case !ok:
		return ""
	case r.Settings.AutoUpdate:
		return string(updater.ModeAuto)
	}
	return string(updater.ModeAsk)
}

func rights[T ~[]string](codes T) []api.Right {
	out := []api.Right{}
	for _, c := range codes {
		out = append(out, api.Right{Code: c, Words: addons.RightInWords(c)})
	}
	return out
}

// describe fills in what the manifest and its neighbours say.
func (h addonView) describe(out *api.AddonInfo, m addons.Manifest, r lifecycle.Record, lang string) {
	out.Schema = m.Schema.FormFor(devicesOf)
	out.Arch, out.Machine, out.Core, out.Startup = m.Arch, m.Machine, m.Core, string(m.Startup)
	out.BootConfig, out.HostNetwork, out.Ingress, out.Stdin, out.WebUI, out.Image = string(m.Boot), m.HostNetwork, m.Ingress, m.Stdin, m.WebUI, m.Reference(h.haArch())
	for _, key := range sortedKeys(m.Ports) {
		p := api.AddonPort{Container: key, Host: m.Ports[key], Default: m.Ports[key], Description: m.PortDescriptions[key]}
		if own, set := r.Settings.Ports[key]; set {
			p.Host = own
		}
		out.Ports = append(out.Ports, p)
	}
	e, ok := h.addons.store.Entry(out.Slug)
	if !ok {
		return
	}
	out.Icon, out.Logo, out.Changelog, out.Documentation = e.Icon, e.Logo, e.Changelog, e.Docs
	if e.Readme {
		if b, err := h.addons.store.Asset(out.Slug, store.Readme); err == nil { // a text that can't be read is not shown
			out.LongDescription = string(b)
		}
	}
	all, _, err := h.addons.store.Translations(out.Slug)
	if err != nil {
		return // as above
	}
	for _, l := range []string{lang, "en"} {
		if t, ok := all[l]; ok && l != "" {
			out.Language, out.Translation = l, translated(t.Configuration)
			for key, text := range t.Network {
				for i := range out.Ports {
					if out.Ports[i].Container == key {
						out.Ports[i].Description = text
					}
				}
			}
			return
		}
	}
}

func translated(in map[string]addons.TranslatedOption) map[string]api.AddonTranslation {
	out := map[string]api.AddonTranslation{}
	for k, t := range in {
		a := api.AddonTranslation{Name: t.Name, Fields: translated(t.Fields)}
		if t.Description != nil {
			a.Description = *t.Description
		}
		out[k] = a
	}
	return out
}

// evidence fills in what is known of the image. What runs is judged by what the ledger says now; of what is offered the
// image is looked up and judged without any effect. What could not be checked says so, and no key of a file counts.
func (h addonView) evidence(ctx context.Context, out *api.AddonInfo, m addons.Manifest, profile bool) error {
	service := lifecycle.Service(out.Slug)
	s, _, _, err := h.manager.Status(service)
	if err != nil {
		return err
	}
	if s.Previous != nil {
		out.Previous = s.Previous.Version
	}
	list, err := h.manager.Changes()
	if err != nil {
		return err
	}
	for _, c := range slices.Backward(list) {
		if c.Service.Name == service && len(out.Changes) < 5 {
			out.Changes = append(out.Changes, h.change(c))
		}
	}
	switch {
	case s.Current != nil:
		out.Verdict, out.Evidence = s.Current.Verdict, evidenceOf(s, out.Badge)
	case s.Open != "": // it comes, and is judged on the way
		out.Evidence = "not checked yet"
	case m.Image == "":
		out.Badge, out.Evidence = "local", "it is built on this appliance; nobody can vouch for it"
	default:
		h.assess(ctx, service, m, out)
	}
	out.Rating = m.Rating(out.Badge == "verified", profile && h.addons.loader.here())
	return nil
}

func evidenceOf(s supervisor.Status, badge string) string {
	switch badge {
	case "verified":
		return fmt.Sprintf("its publisher vouches for this image: castellan log explain %d", s.Current.Verdict)
	case "unsigned":
		return "nobody vouches for it, and nobody has to"
	case "local":
		return "it was built on this appliance; nobody can vouch for it"
	case "forced":
		return fmt.Sprintf("it was forced in: castellan log explain %d", s.Current.Verdict)
	case "withdrawn":
		return "its publisher has withdrawn it since it was let in"
	case "refused":
		return "it would not be let in now"
	}
	return "not checked"
}

// assess judges what is offered, with no effect.
func (h addonView) assess(ctx context.Context, service string, m addons.Manifest, out *api.AddonInfo) {
	say := func(badge, publisher, words string) { out.Badge, out.Publisher, out.Evidence = badge, publisher, words }
	ctx, cancel := context.WithTimeout(ctx, ownerPatience)
	defer cancel()
	res, err := h.resolver.Resolve(ctx, service, trust.ClassAddon, m.Reference(h.haArch()), m.Version)
	if err != nil {
		say("not checked", "", fmt.Sprintf("not checked: %v", err))
		return
	}
	out.Download = res.Size
	now, ok := h.clock.Now()
	if !ok {
		say("not checked", "", "not checked: the time is not known yet")
		return
	}
	v, err := h.gate.Decide(ctx, trust.Request{Subject: res.Subject, Action: trust.Install, Raw: &res.Raw, FirstResolved: now})
	if err == nil && !v.Outcome.Allowed() {
		out.Reason = string(v.Reason())
	}
	switch {
	case err != nil:
		say("not checked", "", fmt.Sprintf("not checked: %v", err))
	case v.Outcome == trust.Allow:
		say("verified", v.Publisher, "its publisher vouches for this image")
	case v.Outcome == trust.AllowUnsigned:
		say("unsigned", "", "nobody vouches for it, and nobody has to")
	case v.Outcome == trust.Refuse && v.Reason() == trust.Revoked:
		say("withdrawn", v.Publisher, v.Err().Error())
	case v.Outcome == trust.Refuse:
		say("refused", v.Publisher, v.Err().Error())
	default:
		say("not checked", "", v.Err().Error())
	}
}
