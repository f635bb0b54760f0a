package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/castellan/castellan/addons"
)

// ConsentError says which rights a version asks for that its owner has not granted.
type ConsentError struct {
	Slug, Version string
	Asks          []string // codes of addons.Rights
}

func (e *ConsentError) Error() string {
	words := make([]string, len(e.Asks))
	for i, code := range e.Asks {
		words[i] = addons.RightInWords(code)
	}
	return fmt.Sprintf("version %s of add-on %s asks for more than you granted: %s", e.Version, e.Slug, strings.Join(words, "; "))
}

// asks lists what a version may reach beyond what its owner granted: by its manifest, and by the options that he wrote, as
// far as these do not open it in the installed version ("" = none) too. He picked a device where he was asked for one; a
// text of his that the next version takes for a device is no consent.
func (r Record) asks(man addons.Manifest, installed string) []string {
	granted := slices.Clone(r.Granted)
	more := man.Rights().Beyond(granted)
	if have, _, err := r.manifest(installed); err == nil { // else nothing is known to be open
		granted = append(granted, have.Reaches(r.Settings)...)
	}
	more = append(more, man.Reaches(r.Settings).Beyond(granted)...)
	slices.Sort(more)
	return slices.Compact(more)
}

// Asks lists the rights that an add-on's owner must be asked about before it is run, or installed, with a manifest.
func (m *Manager) Asks(slug string, man addons.Manifest) ([]string, error) {
	st, err := m.cfg.Supervisor.Standing(Service(slug))
	return m.record(slug).asks(man, st.Version), err
}

// Consent grants the rights that the offered version asks for. version and asks are what the owner was shown: when the
// repository offers something else by now, nothing is granted. It returns what was granted in addition.
func (m *Manager) Consent(_ context.Context, slug, version string, asks []string) (granted []string, err error) {
	o, err := m.Offered(slug)
	if err != nil {
		return nil, fmt.Errorf("cannot agree to add-on %s: %w", slug, err)
	}
	if version != "" && version != o.Manifest.Version {
		return nil, fmt.Errorf("cannot agree to version %s of add-on %s: version %s is offered by now; look at what it asks for", version, slug, o.Manifest.Version)
	}
	st, err := m.cfg.Supervisor.Standing(Service(slug))
	if err != nil {
		return nil, err
	}
	err = m.change(slug, func(r *Record) (bool, error) {
		if !r.installed() || r.Removing != nil {
			return false, ErrNotInstalled
		}
		granted = r.asks(o.Manifest, st.Version)
		if more := addons.Rights(granted).Beyond(asks); len(more) > 0 {
			return false, &ConsentError{Slug: slug, Version: o.Manifest.Version, Asks: more}
		}
		r.Granted = append(r.Granted, granted...)
		slices.Sort(r.Granted)
		return len(granted) > 0, nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot agree to add-on %s: %w", slug, err)
	}
	return granted, nil
}

// keep adds the offered manifest to the record, so that the version can be run whatever becomes of the repository. One
// that is installed, or gone back to, stays as it was; one that was built again is another.
func (m *Manager) keep(slug string, o Offer, built bool) error {
	st, err := m.cfg.Supervisor.Standing(Service(slug))
	if err != nil {
		return err
	}
	v := o.Manifest.Version
	return m.change(slug, func(r *Record) (bool, error) {
		old, have := r.Manifests[v]
		fixed := v == st.Version && !built || v == st.Previous || v == st.OpenVersion
		same := have && slices.Equal(old.Raw, o.Raw) && old.Profile == o.Profile
		if !r.installed() || have && fixed || same {
			return false, nil
		}
		if r.Manifests == nil {
			r.Manifests = map[string]Kept{}
		}
		r.Manifests[v] = keptOf(o)
		return true, nil
	})
}
