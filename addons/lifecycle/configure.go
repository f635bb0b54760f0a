package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/spec"
)

// Patch is what an owner changes of an add-on's settings; nil fields stay as they are.
type Patch struct {
	Options    *map[string]any     // what differs from the defaults; a nil map goes back to them
	Ports      *map[string]*uint16 // likewise
	Boot       *addons.Boot
	AutoUpdate *bool
	Watchdog   *bool
	Protected  *bool
	Panel      *bool

	Own bool // the add-on asks for it, not its owner: nothing that it could not reach before
}

// Configured says what came of a patch.
type Configured struct {
	Restart bool     // it takes effect at the next start
	Dropped []string // options the add-on does not know, which are not kept
}

// Configure checks and keeps new settings. A part that is wrong changes nothing.
func (m *Manager) Configure(ctx context.Context, slug string, p Patch) (Configured, error) {
	var out Configured
	service := Service(slug)
	st, err := m.cfg.Supervisor.Standing(service)
	if err != nil {
		return out, err
	}
	err = m.change(slug, func(r *Record) (bool, error) {
		switch {
		case !r.installed() || st.Version == "":
			return false, ErrNotInstalled
		case r.Removing != nil:
			return false, ErrBusy
		}
		man, _, err := r.manifest(st.Version)
		if err != nil {
			return false, err
		}
		out.Dropped, err = m.patch(r, man, p)
		return err == nil, err
	})
	if err != nil {
		return Configured{}, fmt.Errorf("cannot set up add-on %s: %w", slug, err)
	}
	if err := m.cfg.Supervisor.Retune(ctx, service); err != nil {
		return out, err
	}
	differs, err := m.cfg.Supervisor.Differs(service)
	out.Restart = differs && st.Stopped == ""
	return out, err
}

func (m *Manager) patch(r *Record, man addons.Manifest, p Patch) (dropped []string, err error) {
	if p.Options != nil {
		next := *r
		next.Settings.Options = *p.Options
		if *p.Options != nil {
			if _, dropped, err = m.effective(next, man); err != nil {
				return nil, err
			}
			next.Settings.Options = without(*p.Options, dropped)
		}
		if more := man.Reaches(next.Settings).Beyond(append(man.Reaches(r.Settings), r.Granted...)); p.Own && len(more) > 0 {
			return nil, fmt.Errorf("an add-on can't give itself what its owner has not: %s; let the owner set that", strings.Join(more, ", "))
		}
		r.Settings.Options = next.Settings.Options
	}
	if p.Ports != nil {
		ports := maps.Clone(*p.Ports)
		for key := range ports {
			if _, ok := man.Ports[key]; !ok {
				return nil, fmt.Errorf("port %.20q is not one of the add-on's; it has %s", key, orNone(slices.Sorted(maps.Keys(man.Ports))))
			}
		}
		s := r.Settings
		s.Ports = ports
		if err := m.free(r.Slug, man.Published(s), false); err != nil {
			return nil, err
		}
		r.Settings.Ports = ports
	}
	if p.Boot != nil {
		switch {
		case man.Boot == addons.BootManualOnly:
			return nil, fmt.Errorf("boot can't be changed: this add-on is started by hand only")
		case *p.Boot != addons.BootAuto && *p.Boot != addons.BootManual:
			return nil, fmt.Errorf("boot %.20q: want auto or manual", *p.Boot)
		}
		r.Settings.Boot = *p.Boot
	}
	if p.AutoUpdate != nil {
		if *p.AutoUpdate && man.Image == "" {
			return nil, fmt.Errorf("it is built on this appliance and never updated by itself")
		}
		r.Settings.AutoUpdate = *p.AutoUpdate
	}
	if p.Watchdog != nil {
		if *p.Watchdog && man.Startup == addons.StartOnce {
			return nil, fmt.Errorf("it runs once and ends; a watchdog would start it for ever")
		}
		r.Settings.Watchdog = *p.Watchdog
	}
	if p.Protected != nil {
		r.Settings.Unprotect = !*p.Protected
	}
	if p.Panel != nil {
		if *p.Panel && !man.Ingress {
			return nil, fmt.Errorf("ingress_panel can't be set: this add-on has no pages of its own")
		}
		r.Settings.Panel = *p.Panel
	}
	return dropped, nil
}

// without leaves the named top-level options out; those deeper are dropped each time they are read.
func without(options map[string]any, dropped []string) map[string]any {
	out := maps.Clone(options)
	maps.DeleteFunc(out, func(k string, _ any) bool { return slices.Contains(dropped, k) })
	return out
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// PortError says who has a host port already.
type PortError struct {
	Port spec.Port
	Has  string // "add-on core_samba", "service core", "api.listen"
	Slug string
}

func (e *PortError) Error() string {
	return fmt.Sprintf("host port %d/%s is used by %s; stop that, or choose another: castellan addon ports %s %d/%s=PORT",
		e.Port.Host, e.Port.Protocol, e.Has, e.Slug, e.Port.Container, e.Port.Protocol)
}

// free tells whether nobody of this appliance has one of the ports. Add-ons that are stopped have none, unless all is set.
func (m *Manager) free(slug string, ports []spec.Port, all bool) error {
	for _, p := range ports {
		if has := m.cfg.Host.Taken(p); has != "" {
			return &PortError{p, has, slug}
		}
	}
	if len(ports) == 0 {
		return nil
	}
	for other, r := range m.records {
		if other == slug || !r.installed() {
			continue
		}
		st, err := m.cfg.Supervisor.Standing(Service(other))
		if err != nil || st.Version == "" || st.Stopped != "" && !all {
			continue // the engine has the last word
		}
		man, _, err := r.manifest(st.Version)
		if err != nil {
			continue // as above
		}
		for _, theirs := range man.Published(r.Settings) {
			for _, p := range ports {
				if p.Host == theirs.Host && p.Protocol == theirs.Protocol {
					return &PortError{p, "add-on " + other, slug}
				}
			}
		}
	}
	return nil
}

// pickIngressPort finds a port for a manifest that leaves it open, as Home Assistant does.
func (m *Manager) pickIngressPort(slug string, man addons.Manifest) uint16 {
	if !man.Ingress || man.IngressPort != 0 {
		return 0
	}
	taken := map[uint16]bool{}
	for other, r := range m.records {
		taken[r.IngressPort] = other != slug
	}
	for p := uint16(62000); p <= 65500; p++ {
		if !taken[p] {
			return p
		}
	}
	return 0
}
