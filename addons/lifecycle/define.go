package lifecycle

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor/spec"
)

// Definition is how an add-on's service is run at one version.
type Definition struct {
	Name      string
	Local     bool // built here
	Container spec.Container
	Health    spec.Health
	Data      []string
	Files     []spec.File
	Stage     int
	Watchdog  bool
}

// stages orders the start after a boot.
var stages = map[addons.Startup]int{
	addons.StartInitialize: 1, addons.StartSystem: 2, addons.StartServices: 3, addons.StartApplication: 4, addons.StartOnce: 5,
}

// Define says how a service is run at a version ("" = the installed one), with its settings of now; ok is false when it is
// none of an installed add-on. It makes the folders that the container will see. It refuses a version that asks for rights
// that were not granted, and, unless the add-on sleeps, one that the options are not good for.
func (m *Manager) Define(ctx context.Context, service, version string) (d Definition, ok bool, err error) {
	slug, ok := Slug(service)
	if !ok {
		return d, false, nil
	}
	r := m.record(slug)
	if !r.installed() {
		return d, false, nil
	}
	st, err := m.cfg.Supervisor.Standing(service)
	if err != nil {
		return d, false, err
	}
	if r.Removing != nil && st.Version == "" {
		return d, false, nil // its container is gone; a plan from before must not bring it back over data that goes
	}
	if version == "" {
		version = st.Version
	}
	man, kept, err := r.manifest(version)
	if err != nil {
		return d, true, err
	}
	before := st.Version
	if version == st.Previous {
		before = version // its owner goes back to what he had
	}
	if more := r.asks(man, before); len(more) > 0 {
		return d, true, fmt.Errorf("cannot run version %s of add-on %s: it asks for rights that you have not granted: %s; agree with: castellan addon consent %s",
			version, slug, strings.Join(more, ", "), slug)
	}
	clean, _, err := m.effective(r, man)
	asleep := st.Version == "" || st.Stopped != "" && (version != st.Version || st.Unproved)
	if err != nil && !asleep {
		return d, true, err
	}
	optionsOK := err == nil
	place := m.place(r)
	if kept.Profile != "" {
		if place.Profile, err = m.loadProfile(ctx, slug, kept.Profile); err != nil {
			return d, true, err
		}
	}
	d = Definition{Name: service, Local: man.Image == "", Stage: stages[man.Startup], Watchdog: r.Settings.Watchdog && man.Startup != addons.StartOnce}
	if d.Container, err = man.Container(place, r.Settings); err != nil {
		return d, true, fmt.Errorf("cannot make the container of add-on %s: %w", slug, err)
	}
	d.Health = man.Health(r.Settings, false)
	for _, folder := range man.Folders(place) {
		if err := durable.MkdirAll(folder, 0o755); err != nil {
			return d, true, fmt.Errorf("cannot make the folders of add-on %s: %w", slug, err)
		}
	}
	d.Data = m.ownFolders(slug, man)
	if optionsOK {
		b, err := addons.MarshalOptions(clean)
		if err != nil {
			return d, true, fmt.Errorf("cannot write the options of add-on %s: %w", slug, err)
		}
		d.Files = []spec.File{{Path: filepath.Join(m.dataFolder(slug), "options.json"), Content: b, Mode: 0o600}}
	}
	return d, true, nil
}

// place is where an add-on runs.
func (m *Manager) place(r Record) addons.Place {
	p := m.cfg.Host.Place()
	p.Slug, p.Token, p.IngressPort = r.Slug, r.Token, r.IngressPort
	return p
}

// effective are the options an add-on reads: the manifest's defaults, what its owner wrote over them, checked and filled.
func (m *Manager) effective(r Record, man addons.Manifest) (clean map[string]any, dropped []string, err error) {
	clean, dropped, err = man.Schema.Validate(addons.Merge(man.Options, r.Settings.Options), m.outside())
	if err != nil {
		err = &OptionsError{Name: man.Name, Version: man.Version, Cause: err}
	}
	return clean, dropped, err
}

func (m *Manager) outside() addons.Outside {
	return addons.Outside{Secret: m.cfg.Host.Secret, Device: m.cfg.Host.Device}
}

// OptionsError says that the options are not good for a version, as Home Assistant words it.
type OptionsError struct {
	Name, Version string
	Cause         error
}

func (e *OptionsError) Error() string {
	return fmt.Sprintf("App %s has invalid options: %v", e.Name, e.Cause)
}

func (e *OptionsError) Unwrap() error { return e.Cause }

func (m *Manager) dataFolder(slug string) string {
	return filepath.Join(m.cfg.Host.Place().Dir, "data", slug)
}

func (m *Manager) configFolder(slug string) string {
	return filepath.Join(m.cfg.Host.Place().Dir, "addon_configs", slug)
}

// ownFolders are the folders that are the add-on's alone: they go back with a rollback.
func (m *Manager) ownFolders(slug string, man addons.Manifest) []string {
	out := []string{m.dataFolder(slug)}
	for _, e := range man.Map {
		if (e.Type == "app_config" || e.Type == "addon_config") && !e.ReadOnly {
			return append(out, m.configFolder(slug))
		}
	}
	return out
}
