package addons

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/castellan/castellan/updater"
)

// tagForm is what an image's tag may be.
var tagForm = regexp.MustCompile(`^[\w][\w.-]{0,127}$`)

// Unavailable says why the add-on cannot be installed at a place, as Home Assistant would; "" when it can. A version of
// Core that cannot be compared is no reason. Whether an image exists is another question: see [Manifest.Reference].
func (m Manifest) Unavailable(p Place) string {
	switch {
	case m.Version == "":
		return "it has no version"
	case m.Image != "" && !tagForm.MatchString(m.Version):
		return "its version is no tag of an image"
	case !slices.Contains(m.Arch, p.Arch):
		if len(m.Arch) == 0 {
			return "it names no processor it runs on"
		}
		return fmt.Sprintf("it runs on %s, this appliance is %s", strings.Join(m.Arch, ", "), orUnknown(p.Arch))
	case slices.Contains(m.Machine, "!"+p.Machine):
		return fmt.Sprintf("it does not run on %s", orUnknown(p.Machine))
	case len(m.Machine) > 0 && !slices.Contains(m.Machine, p.Machine):
		return fmt.Sprintf("it runs on %s, this appliance is %s", strings.Join(m.Machine, ", "), orUnknown(p.Machine))
	case m.Core != "" && p.Core != "":
		if order, ok := updater.CompareVersions(p.Core, m.Core); ok && order < 0 {
			return fmt.Sprintf("it needs Home Assistant Core %s, %s is installed; update Core first", m.Core, p.Core)
		}
	}
	return ""
}

func orUnknown(s string) string {
	if s == "" {
		return "of an unknown kind"
	}
	return s
}

// Reference is the image of the add-on for a processor, as "ghcr.io/owner/aarch64-name:1.2.3"; "" when it has none and
// would be built on the appliance, or when version and image make no reference.
func (m Manifest) Reference(arch string) string {
	if m.Image == "" || !tagForm.MatchString(m.Version) {
		return ""
	}
	return strings.ReplaceAll(m.Image, "{arch}", arch) + ":" + m.Version
}
