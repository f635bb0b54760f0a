package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/spec"
)

// Home Assistant's Supervisor gives Core these; Core needs the time to write its database out.
const (
	coreStopTimeout = 260 * time.Second
	coreOOMScore    = -300 // the add-ons go first
	coreDeadline    = 10 * time.Minute
)

// onHost tells whether a bind source is there. Docker refuses a container with one that is not.
func onHost(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// adopts is the existing container whose place the service takes, "" for none.
func adopts(s config.Service) string {
	if s.HomeAssistant == nil {
		return ""
	}
	return s.HomeAssistant.Adopt
}

// coreContainer fills in what Home Assistant Core needs and its service does not say. Sources that not every host has
// are left out where exists denies them; the configuration folder is not, because Core would begin a new home without.
func coreContainer(c spec.Container, h config.HomeAssistant, a config.Addons, exists func(string) bool) spec.Container {
	api := a.Network.API().String()
	env := map[string]string{"SUPERVISOR": api, "HASSIO": api}
	if a.Timezone != "" {
		env["TZ"] = a.Timezone
	}
	maps.Copy(env, c.Env)
	c.Env = env
	c.Privileged = true
	c.OOMScoreAdj = coreOOMScore
	if c.StopTimeout == 0 {
		c.StopTimeout = coreStopTimeout
	}
	taken := func(target string) bool {
		return slices.ContainsFunc(c.Mounts, func(m spec.Mount) bool { return m.Target == target })
	}
	if !taken("/tmp") {
		c.Tmpfs = append(slices.Clone(c.Tmpfs), "/tmp")
	}
	mounts := []spec.Mount{{Source: h.Config, Target: "/config"}}
	for _, m := range []spec.Mount{
		{Source: filepath.Join(a.Dir, "ssl"), Target: "/ssl", ReadOnly: true},
		{Source: filepath.Join(a.Dir, "share"), Target: "/share", Propagation: "rslave"},
		{Source: filepath.Join(a.Dir, "media"), Target: "/media", Propagation: "rslave"},
		{Source: "/dev", Target: "/dev", ReadOnly: true, NonRecursive: true}, // sticks that are plugged in later appear
		{Source: "/run/dbus", Target: "/run/dbus", ReadOnly: true},
		{Source: "/run/udev", Target: "/run/udev", ReadOnly: true},
		{Source: "/etc/machine-id", Target: "/etc/machine-id", ReadOnly: true},
	} {
		if exists(m.Source) {
			mounts = append(mounts, m)
		}
	}
	mounts = slices.DeleteFunc(mounts, func(m spec.Mount) bool { return taken(m.Target) })
	c.Mounts = append(mounts, c.Mounts...)
	return c
}

// coreHealth puts Home Assistant's own health gate before the service's checks.
func coreHealth(g spec.Health, h config.HomeAssistant) spec.Health {
	if g.Deadline == 0 {
		g.Deadline = coreDeadline
	}
	gate := spec.Check{
		Name: "home-assistant", Core: &spec.CoreCheck{Port: h.Port, SSL: h.SSL, TokenFile: h.TokenFile, RunWithin: h.RunWithin},
		Period:  min(5*time.Second, g.Deadline/20, h.RunWithin/20), // it must pass several times in the time it has
		Timeout: time.Minute,                                       // a small appliance that starts is slow
	}
	g.Checks = append([]spec.Check{gate}, g.Checks...)
	return g
}
