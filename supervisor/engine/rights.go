package engine

import (
	"fmt"
	"path"
	"regexp"
	"slices"

	"github.com/castellan/castellan/supervisor/spec"
	"github.com/docker/docker/api/types/container"
)

var (
	deviceRule  = regexp.MustCompile(`^[acb] ([0-9]{1,10}|\*):([0-9]{1,10}|\*) [rwm]{1,3}$`)
	profileName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$`)
)

// limits are the resource limits that setrlimit(2) knows, in Docker's words.
var limits = []string{
	"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
	"sigpending", "stack",
}

// translateRights is the part of the specification that widens or narrows what a container may do to its host.
func translateRights(c spec.Container, _ *container.Config, host *container.HostConfig) error {
	for _, d := range c.Devices {
		if !path.IsAbs(d) {
			return fmt.Errorf("device %q: want an absolute path", d)
		}
		host.Devices = append(host.Devices, container.DeviceMapping{PathOnHost: d, PathInContainer: d, CgroupPermissions: "rwm"})
	}
	for _, rule := range c.DeviceRules {
		if !deviceRule.MatchString(rule) {
			return fmt.Errorf("device rule %q: want a type, a major and a minor number and what is allowed, as \"c 189:* rwm\"", rule)
		}
	}
	host.DeviceCgroupRules = c.DeviceRules
	for _, m := range []struct {
		key, value string
		set        func(string)
	}{
		{"pid_mode", c.PIDMode, func(s string) { host.PidMode = container.PidMode(s) }},
		{"ipc_mode", c.IPCMode, func(s string) { host.IpcMode = container.IpcMode(s) }},
		{"uts_mode", c.UTSMode, func(s string) { host.UTSMode = container.UTSMode(s) }},
	} {
		if m.value != "" && m.value != "host" { // "container:…" would tie two services together
			return fmt.Errorf("%s %q: want host, or nothing for the container's own", m.key, m.value)
		}
		m.set(m.value)
	}
	if c.UTSMode == "host" && (c.Hostname != "" || c.Domain != "") {
		return fmt.Errorf("hostname %q beside uts_mode host: it would be the host's own name that changes", or(c.Hostname, c.Domain))
	}
	for _, u := range c.Ulimits {
		if !slices.Contains(limits, u.Name) {
			return fmt.Errorf("ulimit %q: want one of %v", u.Name, limits)
		}
		if u.Soft < -1 || u.Hard < -1 || u.Hard != -1 && (u.Soft == -1 || u.Soft > u.Hard) {
			return fmt.Errorf("ulimit %s: soft %d and hard %d: want numbers, the soft one not above the hard one (-1 is no limit)", u.Name, u.Soft, u.Hard)
		}
		host.Ulimits = append(host.Ulimits, &container.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	if c.OOMScoreAdj < -1000 || c.OOMScoreAdj > 1000 {
		return fmt.Errorf("oom_score_adj %d: want -1000 (killed last) to 1000 (killed first)", c.OOMScoreAdj)
	}
	host.OomScoreAdj = c.OOMScoreAdj
	switch c.Seccomp {
	case "":
	case "unconfined":
		host.SecurityOpt = append(host.SecurityOpt, "seccomp=unconfined")
	default: // Docker takes a whole profile here
		return fmt.Errorf("seccomp %q: want unconfined, or nothing for the engine's profile", c.Seccomp)
	}
	if c.AppArmor != "" && !profileName.MatchString(c.AppArmor) {
		return fmt.Errorf("apparmor %q: want unconfined, the name of a loaded profile, or nothing for the engine's", c.AppArmor)
	}
	return nil
}
