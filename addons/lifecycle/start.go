package lifecycle

import (
	"context"
	"fmt"

	"github.com/castellan/castellan/addons"
)

// Start starts an add-on: as it is, or, when its settings changed or it was never started, by a change that holds it to
// its health gate; then change names that. Invalid options and a port that another one has are refused before anything
// is touched.
func (m *Manager) Start(ctx context.Context, slug string) (change string, err error) {
	st, err := m.ready(slug)
	if err != nil {
		return "", fmt.Errorf("cannot start add-on %s: %w", slug, err)
	}
	switch renew, err := m.renews(st, slug); {
	case err != nil:
		return "", err
	case renew:
		return m.cfg.Changer.Renew(ctx, Service(slug))
	}
	return "", m.cfg.Supervisor.Run(ctx, Service(slug), PowerStart)
}

// Stop stops an add-on; it stays so over updates and boots by hand.
func (m *Manager) Stop(ctx context.Context, slug string) error {
	if r := m.record(slug); !r.installed() {
		return fmt.Errorf("cannot stop add-on %s: %w", slug, ErrNotInstalled)
	}
	return m.cfg.Supervisor.Run(ctx, Service(slug), PowerStop)
}

// Restart is Stop and Start in one: a daemon that dies in between does not leave the add-on stopped.
func (m *Manager) Restart(ctx context.Context, slug string) (change string, err error) {
	st, err := m.ready(slug)
	if err != nil {
		return "", fmt.Errorf("cannot restart add-on %s: %w", slug, err)
	}
	switch renew, err := m.renews(st, slug); {
	case err != nil:
		return "", err
	case renew:
		return m.cfg.Changer.Renew(ctx, Service(slug))
	}
	do := PowerRestart
	if st.Stopped != "" {
		do = PowerStart
	}
	return "", m.cfg.Supervisor.Run(ctx, Service(slug), do)
}

// renews tells whether a start needs a new container and its health gate.
func (m *Manager) renews(st Standing, slug string) (bool, error) {
	if st.Unproved {
		return true, nil
	}
	return m.cfg.Supervisor.Differs(Service(slug))
}

// ready tells whether an add-on can be started.
func (m *Manager) ready(slug string) (Standing, error) {
	r := m.record(slug)
	st, err := m.cfg.Supervisor.Standing(Service(slug))
	switch {
	case err != nil:
		return st, err
	case !r.installed() || st.Version == "":
		return st, ErrNotInstalled
	case r.Removing != nil, len(r.Import) > 0, st.Open != "":
		return st, ErrBusy
	}
	man, _, err := r.manifest(st.Version)
	if err != nil {
		return st, err
	}
	if _, _, err := m.effective(r, man); err != nil {
		return st, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return st, m.free(slug, man.Published(r.Settings), false)
}

// AtBoot decides whether an add-on runs after a boot of the appliance, and if not, why.
func (m *Manager) AtBoot(service, version string) (run bool, why string) {
	slug, _ := Slug(service)
	r := m.record(slug)
	man, _, err := r.manifest(version)
	switch boot := r.boot(man); {
	case err != nil:
		return false, err.Error()
	case len(r.Import) > 0: // started now it would find its folders half way
		return false, "data that was imported has not taken its place yet; start it when it has"
	case man.Startup == addons.StartOnce:
		return false, "it runs once, when its owner starts it"
	case boot != addons.BootAuto:
		return false, "it is not started at boot"
	}
	return true, ""
}

// boot is what counts of the manifest and the owner.
func (r Record) boot(man addons.Manifest) addons.Boot {
	if man.Boot == addons.BootManualOnly || r.Settings.Boot == "" {
		return man.Boot
	}
	return r.Settings.Boot
}
