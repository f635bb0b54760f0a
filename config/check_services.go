package config

import (
	"fmt"
	"iter"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sorted yields a map in the order of its keys, so that the first mistake is always the same one.
func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

func (s *source) services(c *Config) error {
	names, targets := map[string]int{}, map[string]int{}
	for i, svc := range c.Services {
		at := fmt.Sprintf("$.services[%d]", i)
		if !namePattern.MatchString(svc.Name) || len(svc.Name) > 63 {
			return s.field(at+".name", `%.80q: want lower-case letters, digits, "_", "." and "-", at most 63, a letter or digit first`, svc.Name)
		}
		if strings.HasPrefix(svc.Name, "addon_") {
			return s.field(at+".name", "%q: names that begin with addon_ are those of add-ons", svc.Name)
		}
		if j, ok := names[svc.Name]; ok {
			return s.field(at+".name", "%q is the name of services[%d] already", svc.Name, j)
		}
		names[svc.Name] = i
		if svc.Target != "" {
			if j, ok := targets[svc.Target]; ok {
				return s.field(at+".target", "%q is the target of services[%d] already", svc.Target, j)
			}
			targets[svc.Target] = i
		}
		if err := s.service(at, svc, c.Channel); err != nil {
			return err
		}
	}
	for name := range sorted(c.Trust.Map) {
		if _, ok := names[name]; !ok && !strings.HasPrefix(name, "addon_") {
			return s.field("$.trust.map."+quoteKey(name), "no service has the name %q", name)
		}
	}
	if err := s.ports(c); err != nil {
		return err
	}
	return s.data(c)
}

func (s *source) service(at string, svc Service, ch Channel) error {
	if err := s.oneOf(at+".class", svc.Class, "core", "supervisor", "addon", "local"); err != nil {
		return err
	}
	if err := s.oneOf(at+".update", svc.Update, "auto", "ask", "hold"); err != nil {
		return err
	}
	switch {
	case svc.Class == "local" && svc.Update == "auto":
		return s.field(at+".update", "a local build is never updated by itself; use ask or hold")
	case svc.Target == "" && svc.Image == "":
		return s.field(at+".name", "service %q says nothing to run; give it a target, or an image with a version", svc.Name)
	case svc.Target != "" && (svc.Image != "" || svc.Version != ""):
		return s.field(at+".target", "the channel says what a target runs; delete image and version, or target")
	case svc.Target != "" && !namePattern.MatchString(svc.Target):
		return s.field(at+".target", `%.80q is not a target such as "core"`, svc.Target)
	case svc.Target != "" && len(ch.URLs) == 0:
		return s.field(at+".target", "no channel to follow; set channel.urls")
	case svc.Image != "" && !imagePattern.MatchString(svc.Image):
		return s.field(at+".image", `%.200q: want a repository without tag or digest, as "ghcr.io/home-assistant/home-assistant"`, svc.Image)
	case svc.Image != "" && !tagPattern.MatchString(svc.Version):
		return s.field(at+".version", `%.80q: want the tag of the image, as "2026.11.1"`, svc.Version)
	}
	if err := s.container(at+".container", svc.Container); err != nil {
		return err
	}
	return s.health(at+".health", svc.Health)
}

func (s *source) container(at string, c Container) error {
	if !idPattern.MatchString(c.Network) {
		return s.field(at+".network", `%.80q: want bridge, host, none or a network's name`, c.Network)
	}
	for key := range sorted(c.Env) {
		if !envPattern.MatchString(key) {
			return s.field(at+".env", "%.80q is not the name of an environment variable", key)
		}
	}
	for key := range sorted(c.Labels) {
		if key == "" || strings.HasPrefix(key, "io.castellan.") {
			return s.field(at+".labels", "%.80q: labels under io.castellan. are Castellan's own", key)
		}
	}
	for i, d := range c.Devices {
		if !strings.HasPrefix(d, "/dev/") || filepath.Clean(d) != d {
			return s.field(fmt.Sprintf("%s.devices[%d]", at, i), "%.200q: want a path under /dev", d)
		}
	}
	for i, name := range c.CapAdd {
		if !capPattern.MatchString(name) {
			return s.field(fmt.Sprintf("%s.cap_add[%d]", at, i), `%.80q: want a capability such as "NET_ADMIN"`, name)
		}
	}
	if c.Hostname != "" && !idPattern.MatchString(c.Hostname) {
		return s.field(at+".hostname", "%.80q is not a host name", c.Hostname)
	}
	if c.StopSignal != "" && !signalPattern.MatchString(c.StopSignal) {
		return s.field(at+".stop_signal", `%.40q: want a signal such as "SIGTERM"`, c.StopSignal)
	}
	if err := s.duration(at+".stop_timeout", c.StopTimeout, 0, 10*time.Minute); err != nil {
		return err
	}
	if c.Memory < 0 || c.Memory > 0 && c.Memory < 6<<20 {
		return s.field(at+".memory", "%d: want bytes, at least %d, or 0 for no limit", c.Memory, 6<<20)
	}
	return s.mounts(at, c.Mounts)
}

func (s *source) mounts(at string, mounts []Mount) error {
	targets := map[string]int{}
	for i, m := range mounts {
		here := fmt.Sprintf("%s.mounts[%d]", at, i)
		volume := idPattern.MatchString(m.Source)
		if !volume {
			if err := s.folder(here+".source", m.Source); err != nil {
				return err
			}
		}
		if err := s.folder(here+".target", m.Target); err != nil {
			return err
		}
		if j, ok := targets[m.Target]; ok {
			return s.field(here+".target", "%s is the target of mounts[%d] already", m.Target, j)
		}
		targets[m.Target] = i
	}
	return nil
}

func (s *source) health(at string, h Health) error {
	if err := s.duration(at+".deadline", h.Deadline, 0, time.Hour); err != nil {
		return err
	}
	if err := s.duration(at+".settle", h.Settle, 0, time.Hour); err != nil {
		return err
	}
	names := map[string]int{}
	for i, c := range h.Checks {
		here := fmt.Sprintf("%s.checks[%d]", at, i)
		if !idPattern.MatchString(c.Name) {
			return s.field(here+".name", `%.80q: want letters, digits, "_", "." and "-"`, c.Name)
		}
		if j, ok := names[c.Name]; ok {
			return s.field(here+".name", "%q is the name of checks[%d] already", c.Name, j)
		}
		names[c.Name] = i
		if err := s.healthCheck(here, c); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) healthCheck(at string, c Check) error {
	kinds := 0
	for _, is := range []bool{c.HTTP != nil, c.TCP != nil, c.Exec != nil, c.Engine} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		return s.field(at, "check %q needs exactly one of http, tcp, exec and engine, it has %d", c.Name, kinds)
	}
	if err := s.duration(at+".period", c.Period, 0, time.Hour); err != nil {
		return err
	}
	if err := s.duration(at+".timeout", c.Timeout, 0, time.Hour); err != nil {
		return err
	}
	if c.Successes < 0 || c.Successes > 100 {
		return s.field(at+".successes", "%d: want 1 to 100", c.Successes)
	}
	switch {
	case c.HTTP != nil:
		u, err := url.Parse(c.HTTP.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return s.field(at+".http.url", `want a URL such as "http://:8123/"; without a host it means the container`)
		}
		if u.User != nil {
			return redact(s.field(at+".http.url", "a URL must not hold a user or password"))
		}
	case c.TCP != nil:
		if _, port, err := net.SplitHostPort(c.TCP.Address); err != nil || !isPort(port) {
			return s.field(at+".tcp.address", `%.80q: want an address such as ":1883"; without a host it means the container`, c.TCP.Address)
		}
	case c.Exec != nil:
		if len(c.Exec.Command) == 0 {
			return s.field(at+".exec.command", "no command is given")
		}
	}
	return nil
}

// ports refuses two services on one host port, which the engine would notice only in the middle of a switch.
func (s *source) ports(c *Config) error {
	type place struct {
		where, network string
		ip             netip.Addr
		port           uint16
	}
	listen := netip.MustParseAddrPort(c.Registry.Listen) // registry has checked it
	taken := []place{{"registry.listen", "tcp", listen.Addr(), listen.Port()}}
	for _, l := range []struct{ key, listen string }{{"api.listen", c.API.Listen}, {"api.ingress_listen", c.API.Ingress()}} {
		a, ok := addressOf(l.listen)
		if !ok {
			continue
		}
		if a.Port() == listen.Port() {
			return s.field("$."+l.key, "tcp port %d is taken by registry.listen", a.Port())
		}
		taken = append(taken, place{l.key, "tcp", a.Addr(), a.Port()})
	}
	for i, svc := range c.Services {
		if h := svc.HomeAssistant; h != nil && svc.Container.Network == "host" {
			for _, t := range taken {
				if t.port == h.Port && t.network == "tcp" {
					return s.field(fmt.Sprintf("$.services[%d].home_assistant.port", i), "tcp port %d is taken by %s", h.Port, t.where)
				}
			}
			taken = append(taken, place{fmt.Sprintf("service %q", svc.Name), "tcp", netip.IPv4Unspecified(), h.Port})
		}
		for j, p := range svc.Container.Ports {
			at := fmt.Sprintf("$.services[%d].container.ports[%d]", i, j)
			if n := svc.Container.Network; n == "host" || n == "none" {
				return s.field(at+".host", "ports cannot be published with network %s; delete ports, or change the network", n)
			}
			if p.Host == 0 {
				return s.field(at+".host", "want a port from 1 to 65535")
			}
			if p.Container == 0 {
				return s.field(at+".container", "want a port from 1 to 65535")
			}
			if err := s.oneOf(at+".protocol", p.Protocol, "tcp", "udp"); err != nil {
				return err
			}
			ip := netip.IPv4Unspecified()
			if p.HostIP != "" {
				var err error
				if ip, err = netip.ParseAddr(p.HostIP); err != nil {
					return s.field(at+".host_ip", "%.80q is not an IP address", p.HostIP)
				}
			}
			for _, t := range taken {
				if t.port == p.Host && t.network == p.Protocol && (t.ip == ip || t.ip.IsUnspecified() || ip.IsUnspecified()) {
					return s.field(at+".host", "%s port %d is taken by %s", p.Protocol, p.Host, t.where)
				}
			}
			taken = append(taken, place{fmt.Sprintf("service %q", svc.Name), p.Protocol, ip, p.Host})
		}
	}
	return nil
}

// data refuses folders inside one another: putting one service's data back would undo another's.
func (s *source) data(c *Config) error {
	type place struct{ where, path string }
	var taken []place
	for i, svc := range c.Services {
		for j, path := range svc.Data {
			at := fmt.Sprintf("$.services[%d].data[%d]", i, j)
			if err := s.folder(at, path); err != nil {
				return err
			}
			if within(c.DataDir, path) {
				return s.field(at, "%s holds data_dir, where its copies go; name a folder beside it", path)
			}
			for _, t := range taken {
				if within(path, t.path) || within(t.path, path) {
					return s.field(at, "%s and %s of %s are one inside the other; give each its own folder", path, t.path, t.where)
				}
			}
			taken = append(taken, place{fmt.Sprintf("service %q", svc.Name), path})
		}
	}
	return nil
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}
