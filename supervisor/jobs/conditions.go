package jobs

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// conditions are those of Home Assistant that can be switched off (reference/ha-compat.md §13.1).
var conditions = []string{
	"architecture_supported", "auto_update", "free_space", "frozen", "haos", "healthy", "home_assistant_core_supported", "host_network",
	"internet_host", "internet_system", "mount_available", "os_agent", "os_supported", "plugins_updated", "running", "supervisor_updated",
}

// ignored are the conditions that are switched off. Its lock is held while they are kept, the manager's is not.
type ignored struct {
	mu   sync.Mutex
	list []string
}

// Ignored lists the conditions that are switched off.
func (m *Manager) Ignored() []string {
	m.conditions.mu.Lock()
	defer m.conditions.mu.Unlock()
	return slices.Clone(m.conditions.list)
}

// Ignores tells whether a condition is switched off. Whoever lets work pass for it logs so.
func (m *Manager) Ignores(condition string) bool {
	m.conditions.mu.Lock()
	defer m.conditions.mu.Unlock()
	return slices.Contains(m.conditions.list, condition)
}

// Ignore switches exactly these conditions off. They are kept first; when they cannot be, nothing changes.
func (m *Manager) Ignore(list []string) error {
	for _, c := range list {
		if !slices.Contains(conditions, c) {
			return fmt.Errorf("cannot ignore condition %.40q: there is none of that name; the conditions are %s", c, strings.Join(conditions, ", "))
		}
	}
	list = known(list)
	m.conditions.mu.Lock()
	defer m.conditions.mu.Unlock()
	if m.cfg.KeepIgnored != nil {
		if err := m.cfg.KeepIgnored(slices.Clone(list)); err != nil {
			return fmt.Errorf("cannot keep the ignored conditions: %w", err)
		}
	}
	m.conditions.list = list
	return nil
}

// Reset switches all conditions on again.
func (m *Manager) Reset() error { return m.Ignore(nil) }

// known is list sorted, each once, without what an older or newer daemon kept and this one does not know.
func known(list []string) []string {
	kept := []string{}
	for _, c := range conditions {
		if slices.Contains(list, c) {
			kept = append(kept, c)
		}
	}
	return kept
}
