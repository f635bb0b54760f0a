package lifecycle

import (
	"fmt"
	"strings"

	"github.com/castellan/castellan/addons"
)

// alone tells whether no other add-on would be found under the same host name: two slugs that differ by "_" and "-", or by
// their case, have one, and what is sent to the first would reach the second every other time. It needs mu.
func (m *Manager) alone(slug string) error {
	name := addons.Hostname(slug)
	for other, r := range m.records {
		if other != slug && r.installed() && strings.EqualFold(addons.Hostname(other), name) {
			return fmt.Errorf("its host name %s is that of add-on %s; remove that first: castellan addon uninstall %s", name, other, other)
		}
	}
	return nil
}
