package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/addons/store"
	"github.com/castellan/castellan/supervisor/engine"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/supervisor/state"
)

// haArch is Home Assistant's word for the processor.
func (h *house) haArch() string {
	if h.cfg.Appliance.Arch == "arm64" {
		return "aarch64"
	}
	return h.cfg.Appliance.Arch
}

// addonHost is the appliance as add-ons see it.
type addonHost struct{ *house }

var _ lifecycle.Host = addonHost{}

// Place implements lifecycle.Host.
func (h addonHost) Place() addons.Place {
	c := h.config()
	return addons.Place{Dir: c.Addons.Dir, Arch: h.haArch(), Machine: c.Appliance.Machine, Core: h.coreVersion(), TimeZone: c.Addons.Timezone,
		Network: c.Addons.Network.Name, API: c.Addons.Network.API().String(), Exists: onHost, Majors: majors("/proc/devices"),
		AppArmor: h.addons.loader.kernel()}
}

// coreVersion is the installed Home Assistant Core, "" when there is none.
func (h *house) coreVersion() string {
	for _, s := range h.config().Services {
		if s.Class == "core" {
			if st, _, _, err := h.manager.Status(s.Name); err == nil {
				return st.Version()
			}
		}
	}
	return ""
}

// maxSecrets bounds Home Assistant's secrets.yaml, in bytes.
const maxSecrets = 1 << 20

// Secret implements lifecycle.Host. A file that cannot be read knows no secret, and the option that wants one says so.
func (h addonHost) Secret(name string) (string, bool) {
	return secretIn(h.coreFolder(), name)
}

// secretIn looks a name up in the secrets.yaml of a folder. Add-ons may write there: a link that leads out of the folder is
// not followed, a pipe is not waited for, and what is read is bounded.
func secretIn(folder, name string) (string, bool) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return "", false
	}
	defer root.Close()
	f, err := root.OpenFile("secrets.yaml", os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", false
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return "", false
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecrets+1))
	if err != nil || len(b) > maxSecrets {
		return "", false
	}
	all, err := addons.ParseOptions("secrets.yaml", b)
	if err != nil {
		return "", false
	}
	switch v := all[name].(type) {
	case string:
		return v, true
	case int64, float64, bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// coreFolder is the configuration folder of Home Assistant Core.
func (h *house) coreFolder() string {
	for _, s := range h.config().Services {
		if s.HomeAssistant != nil {
			return s.HomeAssistant.Config
		}
	}
	return filepath.Join(h.config().Addons.Dir, "homeassistant")
}

// Device implements lifecycle.Host: a device is there when its path is one, and its subsystem is what sysfs says.
func (h addonHost) Device(path, subsystem string) bool {
	fi, err := os.Stat(path)
	if err != nil || fi.Mode()&fs.ModeDevice == 0 {
		return false
	}
	if subsystem == "" {
		return true
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join("/sys/class", filepath.Base(subsystem), filepath.Base(real)))
	return err == nil
}

// Exists implements lifecycle.Host.
func (h addonHost) Exists(path string) bool { return onHost(path) }

// LoadProfile implements lifecycle.Host.
func (h addonHost) LoadProfile(ctx context.Context, slug, profile string) (string, error) {
	return h.addons.loader.load(ctx, slug, profile)
}

// DropProfiles implements lifecycle.Host.
func (h addonHost) DropProfiles(ctx context.Context, slug, inUse string, profiles []string) error {
	return h.addons.loader.drop(ctx, slug, inUse, profiles)
}

// Taken implements lifecycle.Host.
func (h addonHost) Taken(p spec.Port) string {
	cfg := h.config()
	for _, s := range cfg.Services {
		for _, q := range s.Container.Ports {
			if q.Host == p.Host && q.Protocol == p.Protocol {
				return "service " + s.Name
			}
		}
		if ha := s.HomeAssistant; ha != nil && ha.Port == p.Host && p.Protocol == "tcp" {
			return "service " + s.Name
		}
	}
	for key, at := range map[string]string{"api.listen": cfg.API.Listen, "api.ingress_listen": cfg.API.Ingress()} {
		if p.Protocol == "tcp" && strings.HasSuffix(at, ":"+strconv.Itoa(int(p.Host))) {
			return key + " of the configuration"
		}
	}
	return ""
}

// majors reads /proc/devices; what is not there or not understood is left out.
func majors(path string) map[string]uint32 {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	out := map[string]uint32{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		number, name, ok := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if n, err := strconv.ParseUint(number, 10, 32); ok && err == nil {
			out[name] = uint32(n)
		}
	}
	return out
}

// addonRecords keeps the add-ons' records in the journal, beside the changes that are made of them.
type addonRecords struct{ journal *state.Journal }

var _ lifecycle.Records = addonRecords{}

// Load implements lifecycle.Records.
func (r addonRecords) Load() (map[string][]byte, error) {
	out := map[string][]byte{}
	err := r.journal.View(func(tx *state.Tx) error {
		return tx.ForEach(addonBucket, func(k string, b []byte) error {
			out[k] = append([]byte(nil), b...)
			return nil
		})
	})
	return out, err
}

// Put implements lifecycle.Records.
func (r addonRecords) Put(slug string, record []byte) error {
	return r.journal.Update(func(tx *state.Tx) error { return tx.Put(addonBucket, slug, record) })
}

// Delete implements lifecycle.Records.
func (r addonRecords) Delete(slug string) error {
	return r.journal.Update(func(tx *state.Tx) error { return tx.Delete(addonBucket, slug) })
}

// addonOffers is the store as what is installed sees it.
type addonOffers struct{ *house }

var _ lifecycle.Offers = addonOffers{}

// Offer implements lifecycle.Offers.
func (h addonOffers) Offer(slug string) (lifecycle.Offer, error) {
	e, ok := h.addons.store.Entry(slug)
	if !ok {
		if r, known := h.addons.store.RepositoryOf(slug); known {
			return lifecycle.Offer{}, fmt.Errorf("its repository %s does not hold it: %w", r.Name, lifecycle.ErrNotOffered)
		}
		return lifecycle.Offer{}, fmt.Errorf("no repository that is followed has it: %w", lifecycle.ErrNotOffered)
	}
	m, raw, err := h.addons.store.Manifest(slug)
	if err != nil {
		return lifecycle.Offer{}, fmt.Errorf("%w: %w", lifecycle.ErrNotOffered, err)
	}
	from, _ := h.addons.store.RepositoryOf(slug)
	o := lifecycle.Offer{Source: from.Source, Slug: slug, Repository: e.Repository, Manifest: m, File: filepath.Base(e.Path), Raw: raw, Seen: e.FirstSeen}
	if e.AppArmor {
		profile, err := h.addons.store.Asset(slug, store.AppArmor)
		if err != nil {
			return lifecycle.Offer{}, fmt.Errorf("%w: %w", lifecycle.ErrNotOffered, err)
		}
		o.Profile = string(profile)
	}
	if e.Build() {
		if o.Folder, err = h.addons.store.Folder(slug); err != nil {
			return lifecycle.Offer{}, fmt.Errorf("%w: %w", lifecycle.ErrNotOffered, err)
		}
	}
	return o, nil
}

// addonRepositories is what owners pinned with their repositories, as trust sees it.
type addonRepositories struct{ *house }

var _ Repositories = addonRepositories{}

// LedgerOf implements Repositories.
func (h addonRepositories) LedgerOf(component string) (Ledger, bool) {
	slug, ok := lifecycle.Slug(component)
	if !ok {
		return Ledger{}, false
	}
	r, ok := h.addons.store.RepositoryOf(slug)
	if !ok || r.Ledger == nil {
		return Ledger{}, false
	}
	return Ledger{Origin: r.Ledger.Origin, Keys: r.Ledger.Keys, URLs: r.Ledger.URLs}, true
}

// Ledgers implements Repositories.
func (h addonRepositories) Ledgers() []Ledger {
	var out []Ledger
	for _, r := range h.addons.store.Repositories() {
		if r.Ledger != nil {
			out = append(out, Ledger{Origin: r.Ledger.Origin, Keys: r.Ledger.Keys, URLs: r.Ledger.URLs})
		}
	}
	return out
}

// Publishers implements Repositories: PublisherOf of all that is offered or installed.
func (h addonRepositories) Publishers() map[string]string {
	out := map[string]string{}
	add := func(slug string) {
		if id := h.PublisherOf(lifecycle.Service(slug)); id != "" {
			out[lifecycle.Service(slug)] = id
		}
	}
	for _, e := range h.addons.store.Entries() {
		if e.Publisher != "" {
			add(e.Slug)
		}
	}
	for _, slug := range h.addons.installs.Slugs() {
		add(slug)
	}
	for _, r := range h.addons.store.Repositories() {
		for slug := range r.Publishers {
			add(r.Slug + "_" + slug)
		}
	}
	return out
}

// PublisherOf implements Repositories: the one that its repository names, and, where it names none, the one that its manifest
// claims. A claim is a demand and no favour: without the publisher's word the image does not come in. Of what is installed the
// manifest it is run with counts, whatever its author claims by now.
func (h addonRepositories) PublisherOf(component string) string {
	slug, ok := lifecycle.Slug(component)
	if !ok {
		return ""
	}
	if r, ok := h.addons.store.RepositoryOf(slug); ok {
		if id := r.Publishers[strings.TrimPrefix(slug, r.Slug+"_")]; id != "" {
			return id
		}
	}
	if m, err := h.addons.installs.Manifest(slug); err == nil && m.Publisher != "" {
		return m.Publisher
	}
	e, _ := h.addons.store.Entry(slug)
	return e.Publisher
}

// buildRequest is how a local add-on's image is built, as Home Assistant's builder does.
func buildRequest(o lifecycle.Offer, arch string) (engine.BuildRequest, error) {
	req := engine.BuildRequest{Context: o.Folder, For: o.Slug, Tag: lifecycle.LocalRepository(o.Slug) + ":" + o.Manifest.Version, Labels: map[string]string{
		"io.hass.version": o.Manifest.Version, "io.hass.arch": arch, "io.hass.type": "addon", "io.hass.name": o.Manifest.Name}}
	var build addons.Build
	for _, name := range []string{"build.yaml", "build.yml", "build.json"} {
		b, err := os.ReadFile(filepath.Join(o.Folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return req, err
		}
		if build, err = addons.ParseBuild(name, b); err != nil {
			return req, err
		}
		break
	}
	req.Args = map[string]string{"BUILD_VERSION": o.Manifest.Version, "BUILD_ARCH": arch}
	if base := build.Base(arch); base != "" {
		req.Args["BUILD_FROM"] = base
	}
	for k, v := range build.Args {
		req.Args[k] = v
	}
	for k, v := range build.Labels {
		req.Labels[k] = v
	}
	return req, nil
}
