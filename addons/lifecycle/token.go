package lifecycle

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/castellan/castellan/addons"
)

// ByToken finds the installed add-on that a token of the Supervisor API belongs to; nobody has the empty one, and of two
// that have the same neither is found. It compares with every token, each in constant time, and only then looks at the one
// manifest: whoever reaches the API without a token makes it do no more than that.
func (m *Manager) ByToken(token string) (c Caller, ok bool) {
	given := sha256.Sum256([]byte(token))
	found := 0
	m.mu.Lock()
	for slug, r := range m.records {
		has := sha256.Sum256([]byte(r.Token))
		if subtle.ConstantTimeCompare(given[:], has[:]) == 1 && r.Token != "" && r.installed() && r.Removing == nil {
			c.Slug, c.Token = slug, r.Token
			found++
		}
	}
	m.mu.Unlock()
	if found != 1 {
		return Caller{}, false
	}
	man, err := m.Manifest(c.Slug)
	if err != nil { // as in Callers
		return Caller{}, false
	}
	c.Manifest = man
	return c, true
}

// Manifest is what an installed add-on is run with.
func (m *Manager) Manifest(slug string) (addons.Manifest, error) {
	r := m.record(slug)
	if !r.installed() {
		return addons.Manifest{}, ErrNotInstalled
	}
	st, err := m.cfg.Supervisor.Standing(Service(slug))
	if err != nil {
		return addons.Manifest{}, err
	}
	version := st.Version
	if version == "" {
		version = r.newest()
	}
	man, _, err := r.manifest(version)
	return man, err
}

// Record is what is kept of an add-on; ok is false when nothing is.
func (m *Manager) Record(slug string) (r Record, ok bool) {
	r = m.record(slug)
	return r, r.Slug != ""
}

// Installed tells whether an add-on is installed or being so.
func (r Record) Installed() bool { return r.installed() }

// Slugs lists the add-ons that something is kept of, in order.
func (m *Manager) Slugs() []string { return m.slugs() }

// Options are what an installed add-on reads, and what of its owner's words it does not know.
func (m *Manager) Options(slug string) (clean map[string]any, dropped []string, err error) {
	man, err := m.Manifest(slug)
	if err != nil {
		return nil, nil, err
	}
	return m.effective(m.record(slug), man)
}

// Check tells what [Manager.Configure] would say of options, and changes nothing.
func (m *Manager) Check(slug string, options map[string]any) (clean map[string]any, dropped []string, err error) {
	man, err := m.Manifest(slug)
	if err != nil {
		return nil, nil, err
	}
	r := m.record(slug)
	r.Settings.Options = options
	return m.effective(r, man)
}

// Caller is an installed add-on with its token.
type Caller struct {
	Slug, Token string
	Manifest    addons.Manifest
}

// Callers are the installed add-ons, by slug. One whose manifest cannot be read calls nobody.
func (m *Manager) Callers() []Caller {
	var out []Caller
	for _, slug := range m.slugs() {
		r := m.record(slug)
		if !r.installed() || r.Removing != nil {
			continue
		}
		if man, err := m.Manifest(slug); err == nil {
			out = append(out, Caller{slug, r.Token, man})
		}
	}
	return out
}
