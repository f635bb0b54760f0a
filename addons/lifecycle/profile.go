package lifecycle

import (
	"context"
	"fmt"
)

// loadProfile makes the profile that a version brings known to the kernel, "" where nothing can.
func (m *Manager) loadProfile(ctx context.Context, slug, profile string) (name string, err error) {
	m.armour.Lock()
	defer m.armour.Unlock()
	if name, err = m.cfg.Host.LoadProfile(ctx, slug, profile); err != nil {
		return "", fmt.Errorf("cannot load the AppArmor profile of add-on %s: %w", slug, err)
	}
	return name, nil
}

// dropProfiles forgets the profiles that no version needs which is installed, was before, or is offered: any of these can
// be defined at any time. What the container runs with stays, whatever its version brings by now.
func (m *Manager) dropProfiles(ctx context.Context, slug string) error {
	m.armour.Lock() // a version is kept in the record before its profile is loaded
	defer m.armour.Unlock()
	st, err := m.cfg.Supervisor.Standing(Service(slug))
	if err != nil || st.Open != "" { // what is under way will be looked at when it ends
		return err
	}
	var need []string
	for _, k := range m.record(slug).Manifests {
		if k.Profile != "" {
			need = append(need, k.Profile)
		}
	}
	return m.dropped(m.cfg.Host.DropProfiles(ctx, slug, st.Profile, need))
}

// dropAllProfiles is for an add-on that is gone.
func (m *Manager) dropAllProfiles(ctx context.Context, slug string) error {
	m.armour.Lock()
	defer m.armour.Unlock()
	return m.dropped(m.cfg.Host.DropProfiles(ctx, slug, "", nil))
}

func (m *Manager) dropped(err error) error {
	if err != nil {
		return fmt.Errorf("cannot remove an AppArmor profile that is not needed: %w", err)
	}
	return nil
}
