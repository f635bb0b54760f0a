package addons

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
)

// fullSlug is a repository's and an add-on's slug: the name of folders, and nearly a host name.
var fullSlug = regexp.MustCompile(`^[A-Za-z0-9][-_.A-Za-z0-9]*$`)

// maxHostname is what Linux takes.
const maxHostname = 63

// Hostname is how the other add-ons find one.
func Hostname(slug string) string { return strings.ReplaceAll(slug, "_", "-") }

// Container is what Home Assistant's Supervisor would make of the manifest. What a host does not have (see
// [Place.Exists]) is left out. The rights that protected mode holds back (docker_api, full_access, host_pid) are
// there only with [Settings.Unprotect].
//
// Three things differ, none of them in what the add-on may do: its image is named by digest, by the supervisor; it
// finds others by the engine's names for them and not by a name server of its own; and /run/cid is missing, because no
// container knows its ID before it is made.
func (m Manifest) Container(p Place, s Settings) (spec.Container, error) {
	if err := m.check(p); err != nil {
		return spec.Container{}, fmt.Errorf("cannot make a container of add-on %q: %w", p.Slug, err)
	}
	c := spec.Container{
		Env: m.env(p, s), Network: "host", Ports: m.Published(s),
		Labels:  map[string]string{"supervisor_managed": ""},
		Init:    m.Init,
		CapAdd:  m.capabilities(),
		Devices: m.devices(p, s), DeviceRules: m.deviceRules(p, s),
		Ulimits: m.ulimits(), OOMScoreAdj: 200, OpenStdin: m.Stdin,
		Seccomp: "unconfined", AppArmor: m.profile(p),
		StopTimeout: time.Duration(max(m.Timeout, 10)) * time.Second,
	}
	if !m.HostNetwork {
		c.Network, c.Aliases = p.Network, []string{Hostname(p.Slug)}
	}
	if m.HostUTS {
		c.UTSMode = "host"
	} else {
		c.Hostname, c.Domain = Hostname(p.Slug), "local.hass.io"
	}
	if p.API != "" {
		c.ExtraHosts = map[string]string{"supervisor": p.API, "hassio": p.API}
	}
	if m.HostPID && s.Unprotect {
		c.PIDMode = "host"
	}
	if m.Tmpfs {
		c.Tmpfs = append(c.Tmpfs, "/tmp")
	}
	if m.HostIPC {
		c.IPCMode = "host"
	} else {
		c.Tmpfs = append(c.Tmpfs, "/dev/shm") // /dev is the host's, and its shared memory is not for all to see
	}
	var err error
	if c.Mounts, err = m.mounts(p, s); err != nil {
		return spec.Container{}, fmt.Errorf("cannot make a container of add-on %q: %w", p.Slug, err)
	}
	return c, nil
}

// check is about what would make two add-ons one, or lead a mount somewhere else.
func (m Manifest) check(p Place) error {
	switch {
	case !fullSlug.MatchString(p.Slug):
		return fmt.Errorf("slug %q is no name of a folder", p.Slug)
	case len(p.Slug) > maxHostname && !m.HostUTS:
		return fmt.Errorf("its slug has %d letters, a host name at most %d", len(p.Slug), maxHostname)
	case !path.IsAbs(p.Dir):
		return fmt.Errorf("folder %q of the appliance is no absolute path", p.Dir)
	case !m.HostNetwork && p.Network == "":
		return errors.New("the appliance has no network for add-ons")
	}
	return nil
}

// env lets the three names of the Supervisor win over the author's.
func (m Manifest) env(p Place, s Settings) map[string]string {
	out := maps.Clone(m.Environment)
	if out == nil {
		out = map[string]string{}
	}
	if m.Legacy {
		// Images from before there were labels read their options here; lists and dictionaries do not fit.
		for name, value := range Merge(m.Options, s.Options) {
			if text, ok := asText(value); ok {
				out[name] = text
			}
		}
	}
	for name, value := range map[string]string{"TZ": p.TimeZone, "SUPERVISOR_TOKEN": p.Token, "HASSIO_TOKEN": p.Token} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

func (m Manifest) capabilities() []string {
	out := slices.Clone(m.Privileged)
	if m.KernelModules {
		out = append(out, "SYS_MODULE")
	}
	if m.Realtime {
		out = append(out, "SYS_NICE")
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ulimits are ordered by name; the author's win over those that realtime brings.
func (m Manifest) ulimits() []spec.Ulimit {
	all := map[string]Ulimit{}
	if m.Realtime {
		all["rtprio"] = Ulimit{Soft: 90, Hard: 99}
		all["memlock"] = Ulimit{Soft: 128 << 20, Hard: 128 << 20}
	}
	maps.Copy(all, m.Ulimits)
	var out []spec.Ulimit
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, spec.Ulimit{Name: name, Soft: all[name].Soft, Hard: all[name].Hard})
	}
	return out
}

// profile is AppArmor's: none, the add-on's own, or "" for the engine's.
func (m Manifest) profile(p Place) string {
	switch {
	case !m.AppArmor || !p.AppArmor:
		return "unconfined"
	}
	return p.Profile
}
