package lifecycle

import (
	"errors"

	"github.com/castellan/castellan/updater"
)

// Installed lists the add-ons as the planner sees them. Offered versions become runnable by it: their manifests are kept
// before a plan can name them.
func (m *Manager) Installed() ([]updater.Installed, error) {
	var out []updater.Installed
	var errs []error
	for _, slug := range m.slugs() {
		r := m.record(slug)
		if !r.installed() || r.Removing != nil {
			continue
		}
		in, err := m.installed(r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, in)
	}
	return out, errors.Join(errs...)
}

func (m *Manager) installed(r Record) (updater.Installed, error) {
	in := updater.Installed{Service: Service(r.Slug), Class: "addon", Mode: updater.ModeAsk, Addon: &updater.Addon{Slug: r.Slug}}
	st, err := m.cfg.Supervisor.Standing(in.Service)
	if err != nil {
		return in, err
	}
	if r.Settings.AutoUpdate {
		in.Mode = updater.ModeAuto
	}
	in.Version, in.Busy = st.Version, st.Open
	o, err := m.Offered(r.Slug)
	if err != nil {
		in.Addon.Detached = err.Error()
		return in, nil
	}
	if err := m.keep(r.Slug, o, false); err != nil {
		return in, err
	}
	r = m.record(r.Slug)
	kept, _, err := r.manifest(o.Manifest.Version) // what would be run, which may be older than the offer
	if err != nil {
		return in, err
	}
	place := m.cfg.Host.Place()
	a := in.Addon
	a.Unavailable, a.Seen, a.Breaking = kept.Unavailable(place), o.Seen, kept.Breaking
	a.Asks, a.Asleep = r.asks(kept, st.Version), st.Stopped != ""
	a.Local = kept.Image == ""
	if _, _, err := m.effective(r, kept); err != nil {
		a.Options = errors.Unwrap(err).Error()
	}
	in.Want = updater.Target{Reference: kept.Reference(place.Arch), Version: kept.Version}
	if a.Local {
		in.Class = "local"
		in.Want.Reference = LocalRepository(r.Slug) + ":" + kept.Version
	}
	return in, nil
}

// newest is the one manifest of a record whose installation has not ended.
func (r Record) newest() string {
	for v := range r.Manifests {
		return v
	}
	return ""
}
