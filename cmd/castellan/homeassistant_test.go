package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
)

// coreService is the one service of a configuration on a host where missing is not there.
func coreService(t *testing.T, more, missing string) (supervisor.Service, config.Service) {
	t.Helper()
	c, err := config.Parse("c.yaml", []byte(`
channel: {urls: [https://c.example/s.json]}
addons: {dir: /ha, timezone: Europe/Berlin, network: {subnet: 10.9.0.0/24}}
services:
  - name: core
    target: core
    home_assistant: {config: /ha/homeassistant, port: 8124, ssl: true, token_file: /etc/token, adopt: homeassistant}
`+more))
	if err != nil {
		t.Fatal(err)
	}
	list := servicesOn(c, func(path string) bool { return missing == "" || !strings.HasPrefix(path, missing) })
	return list[0], c.Services[0]
}

func TestHomeAssistantRunsAsItsSupervisorRunsIt(t *testing.T) {
	s, asked := coreService(t, "", "")
	c := s.Container
	if !c.Privileged || c.Network != "host" || c.StopTimeout != 260*time.Second || c.OOMScoreAdj != -300 || !slices.Equal(c.Tmpfs, []string{"/tmp"}) {
		t.Errorf("got %+v", c)
	}
	if want := map[string]string{"SUPERVISOR": "10.9.0.2", "HASSIO": "10.9.0.2", "TZ": "Europe/Berlin"}; !maps.Equal(c.Env, want) {
		t.Errorf("environment %v, want %v", c.Env, want)
	}
	want := []spec.Mount{
		{Source: "/ha/homeassistant", Target: "/config"},
		{Source: "/ha/ssl", Target: "/ssl", ReadOnly: true},
		{Source: "/ha/share", Target: "/share", Propagation: "rslave"},
		{Source: "/ha/media", Target: "/media", Propagation: "rslave"},
		{Source: "/dev", Target: "/dev", ReadOnly: true, NonRecursive: true},
		{Source: "/run/dbus", Target: "/run/dbus", ReadOnly: true},
		{Source: "/run/udev", Target: "/run/udev", ReadOnly: true},
		{Source: "/etc/machine-id", Target: "/etc/machine-id", ReadOnly: true},
	}
	if !slices.Equal(c.Mounts, want) {
		t.Errorf("mounts %+v\nwant   %+v", c.Mounts, want)
	}
	gate := s.Health.Checks[0]
	if len(s.Health.Checks) != 1 || gate.Core == nil || *gate.Core != (spec.CoreCheck{Port: 8124, SSL: true, TokenFile: "/etc/token", RunWithin: 15 * time.Minute}) || s.Health.Deadline != 10*time.Minute || gate.Period != 5*time.Second {
		t.Errorf("health gate %+v", s.Health)
	}
	if !slices.Equal(s.Data, []string{"/ha/homeassistant"}) || adopts(asked) != "homeassistant" {
		t.Errorf("data %v, adopts %q", s.Data, adopts(asked))
	}
}

func TestWhatTheHostLacksIsLeftOut(t *testing.T) {
	s, _ := coreService(t, "", "/") // nothing is there
	if got := s.Container.Mounts; len(got) != 1 || got[0].Target != "/config" {
		t.Errorf("got %+v; the configuration folder alone must be asked for, come what may", got)
	}
}

func TestWhatTheServiceSaysGoesFirst(t *testing.T) {
	s, _ := coreService(t, `
    container:
      env: {TZ: Asia/Tokyo, MORE: x}
      stop_timeout: 30s
      mounts: [{source: /nas, target: /media}, {source: /var/tmp, target: /tmp}]
    health: {deadline: 3m, checks: [{name: own, engine: true}]}
    data: [/nas]
`, "/run")
	c := s.Container
	var targets []string
	for _, m := range c.Mounts {
		targets = append(targets, m.Source+":"+m.Target)
	}
	want := "/ha/homeassistant:/config /ha/ssl:/ssl /ha/share:/share /dev:/dev /etc/machine-id:/etc/machine-id /nas:/media /var/tmp:/tmp"
	if got := strings.Join(targets, " "); got != want {
		t.Errorf("mounts %s\nwant   %s", got, want)
	}
	if len(c.Tmpfs) != 0 || c.StopTimeout != 30*time.Second || c.Env["TZ"] != "Asia/Tokyo" || c.Env["MORE"] != "x" || c.Env["HASSIO"] != "10.9.0.2" {
		t.Errorf("got %+v", c)
	}
	if hurry, _ := coreService(t, "    health: {deadline: 6s}\n", ""); hurry.Health.Checks[0].Period != 300*time.Millisecond {
		t.Errorf("a gate of 6s is looked at every %s: it could not pass", hurry.Health.Checks[0].Period)
	}
	if h := s.Health; h.Deadline != 3*time.Minute || len(h.Checks) != 2 || h.Checks[0].Core == nil || !h.Checks[1].Engine || !slices.Equal(s.Data, []string{"/nas"}) {
		t.Errorf("got %+v, data %v", h, s.Data)
	}
}
