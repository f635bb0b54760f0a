package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/castellan/castellan/addons"
)

// keptFor is how long data stays that its owner wants kept for a while.
const keptFor = 30 * 24 * time.Hour

// Install brings an add-on in, not started. asks are the rights its owner was shown and agreed to; the installation is
// refused when the manifest asks for more by now. It returns the change once it is durable. Data and settings that an earlier removal kept are taken up again.
func (m *Manager) Install(ctx context.Context, slug string, asks []string) (change string, err error) {
	m.work.Lock()
	defer m.work.Unlock()
	o, err := m.prepare(slug)
	if err != nil {
		return "", fmt.Errorf("cannot install add-on %s: %w", slug, err)
	}
	if o.Manifest.Image == "" {
		return "", fmt.Errorf("cannot install add-on %s: it has no image and is built on this appliance; nobody can vouch for it; build it with: castellan addon build %s", slug, slug)
	}
	if err := m.want(o, asks); err != nil {
		return "", fmt.Errorf("cannot install add-on %s: %w", slug, err)
	}
	if change, err = m.cfg.Changer.Install(ctx, Service(slug)); err != nil {
		return "", errors.Join(err, m.giveUp(ctx, slug))
	}
	return change, m.begun(slug, change)
}

// begun notes which change a wish became.
func (m *Manager) begun(slug, change string) error {
	return m.change(slug, func(r *Record) (bool, error) { r.Change = change; return r.Slug != "", nil })
}

// offer is what a repository has, if it can run here.
func (m *Manager) offer(slug string) (Offer, error) {
	o, err := m.Offered(slug)
	if err != nil {
		return o, err
	}
	if why := o.Manifest.Unavailable(m.cfg.Host.Place()); why != "" {
		return o, errors.New(why)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[slug].installed() {
		return o, nil
	}
	return o, m.alone(slug)
}

func (m *Manager) prepare(slug string) (Offer, error) {
	if m.record(slug).installed() {
		return Offer{}, ErrInstalled
	}
	return m.offer(slug)
}

// want writes the wish down.
func (m *Manager) want(o Offer, shown []string) error {
	return m.change(o.Slug, func(r *Record) (bool, error) {
		if r.installed() {
			return false, ErrInstalled
		}
		if err := r.of(o); err != nil { // it was being looked at without a lock
			return false, err
		}
		if err := m.alone(o.Slug); err != nil { // likewise
			return false, err
		}
		asks := addons.Rights(r.asks(o.Manifest, ""))
		if more := asks.Beyond(shown); len(more) > 0 {
			return false, &ConsentError{Slug: o.Slug, Version: o.Manifest.Version, Asks: more}
		}
		settings := r.Settings     // what an earlier removal kept
		settings.Unprotect = false // that is no consent to what is installed now
		if settings.Boot != "" && o.Manifest.Boot == addons.BootManualOnly {
			settings.Boot = ""
		}
		*r = Record{Slug: o.Slug, Repository: o.Repository, Source: o.Source, Settings: settings, Granted: asks, Token: newToken(), Wanted: true,
			At: m.now(), IngressPort: m.pickIngressPort(o.Slug, o.Manifest), Before: r.Gone, Manifests: map[string]Kept{o.Manifest.Version: keptOf(o)}}
		return true, nil
	})
}

func keptOf(o Offer) Kept { return Kept{File: o.File, Raw: o.Raw, Profile: o.Profile}.parsed() }

// giveUp ends an installation that brought nothing: the record goes, data that an earlier removal had kept stays kept, as
// long as that said. An installation that the update loop has begun meanwhile is none that brought nothing.
func (m *Manager) giveUp(ctx context.Context, slug string) error {
	if st, err := m.cfg.Supervisor.Standing(Service(slug)); err != nil || st.Open != "" || st.Version != "" {
		return err
	}
	if err := m.dropAllProfiles(ctx, slug); err != nil { // tried again with the rest
		return err
	}
	m.note(slug, nil)
	return m.change(slug, func(r *Record) (bool, error) {
		if !r.Wanted {
			return false, nil
		}
		for _, dir := range []string{m.dataFolder(slug), m.configFolder(slug)} {
			_ = os.Remove(dir) // made for this installation when it is empty; else it stays
		}
		if len(r.Settings.Options) == 0 && len(r.Settings.Ports) == 0 && !exists(m.dataFolder(slug)) && !exists(m.configFolder(slug)) {
			*r = Record{}
			return true, nil
		}
		before := r.Before
		if before == nil {
			before = &Removal{Data: KeepData, At: m.now()}
		}
		r.forget(before)
		return true, nil
	})
}

// forget keeps of an add-on only what its owner wrote.
func (r *Record) forget(gone *Removal) {
	r.Gone, r.Removing, r.Before, r.Wanted, r.Import = gone, nil, nil, false, nil
	r.Granted, r.Manifests, r.Token, r.IngressPort, r.IngressToken = nil, nil, "", 0, ""
}

// Uninstall removes an add-on. Its data is treated as data says once the container is gone.
func (m *Manager) Uninstall(ctx context.Context, slug string, data DataMode) (change string, err error) {
	switch data {
	case "":
		data = KeepData
	case KeepData, Keep30Days, DeleteData:
	default:
		return "", fmt.Errorf("cannot uninstall add-on %s: data %q: want keep, 30d or delete", slug, data)
	}
	m.work.Lock()
	defer m.work.Unlock()
	st, err := m.cfg.Supervisor.Standing(Service(slug))
	if err != nil {
		return "", err
	}
	err = m.change(slug, func(r *Record) (bool, error) {
		r.Change = ""
		switch {
		case r.Gone != nil && data == DeleteData: // it is gone and only its data is left
			r.Removing, r.Gone = &Removal{Data: data, At: m.now()}, nil
			return true, nil
		case !r.installed():
			return false, ErrNotInstalled
		case r.Wanted && st.Version == "" && st.Open != "": // without, nothing would ever end it
			return false, ErrBusy
		}
		r.Wanted = false
		r.Removing = &Removal{Data: data, At: m.now()}
		if data == Keep30Days {
			r.Removing.Until = m.now().Add(keptFor)
		}
		return true, nil
	})
	if err != nil {
		return "", fmt.Errorf("cannot uninstall add-on %s: %w", slug, err)
	}
	if st.Version == "" && st.Open == "" {
		return "", m.reconcile(ctx, slug)
	}
	if change, err = m.cfg.Changer.Remove(ctx, Service(slug)); err != nil { // nothing was begun
		return "", errors.Join(err, m.change(slug, func(r *Record) (bool, error) { r.Removing = nil; return true, nil }))
	}
	return change, m.begun(slug, change)
}
