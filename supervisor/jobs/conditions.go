package jobs

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// FreeSpace is the condition that there seems to be room enough: a guess that may be wrong. What is measured, and what is
// kept free for everything else, is none.
const FreeSpace = "free_space"

// conditions are those of Home Assistant (reference/ha-compat.md §13.1), and why one can't be switched off here; "" = it
// can. Whether an image is trusted is no condition under any name.
var conditions = map[string]string{
	FreeSpace: "",

	"healthy":                       "nothing waits for it here: what ails the appliance is shown, and what is not trusted is let in by no option",
	"internet_host":                 "nothing waits for it here: each download is tried, and tried again",
	"internet_system":               "nothing waits for it here: each download is tried, and tried again",
	"running":                       "before the daemon is ready there is nothing that could work",
	"auto_update":                   "whether a service moves by itself is its update mode; set that",
	"supervisor_updated":            "what a release needs of Castellan, its publisher says",
	"home_assistant_core_supported": "what an add-on needs of Home Assistant, its author says",
	"architecture_supported":        "an image of another architecture does not run",
	"frozen":                        noPart, "haos": noPart, "host_network": noPart, "mount_available": noPart, "os_agent": noPart, "os_supported": noPart, "plugins_updated": noPart,
}

const noPart = "nothing waits for it here: this appliance has no such part"

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
		switch why, ok := conditions[c]; {
		case !ok:
			return fmt.Errorf("cannot ignore condition %.40q: there is none of that name; what can be ignored is %s", c, FreeSpace)
		case why != "":
			return fmt.Errorf("cannot ignore condition %q: %s; what can be ignored is %s", c, why, FreeSpace)
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

// known is list without what can't be ignored here, though an older or newer daemon kept it.
func known(list []string) []string {
	kept := []string{}
	for _, c := range slices.Sorted(maps.Keys(conditions)) {
		if conditions[c] == "" && slices.Contains(list, c) {
			kept = append(kept, c)
		}
	}
	return kept
}
