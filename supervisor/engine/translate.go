package engine

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
)

// translate turns the specification into Docker's words. What Docker would accept and understand otherwise is refused
// here.
func translate(c spec.Container) (*container.Config, *container.HostConfig, error) {
	cfg := &container.Config{
		Entrypoint: c.Entrypoint, Cmd: c.Command, Hostname: c.Hostname, Domainname: c.Domain, StopSignal: c.StopSignal,
		Labels: maps.Clone(c.Labels), ExposedPorts: nat.PortSet{}, OpenStdin: c.OpenStdin,
	}
	if cfg.Labels == nil {
		cfg.Labels = map[string]string{}
	}
	for label := range cfg.Labels {
		if strings.HasPrefix(label, labelPrefix) {
			return nil, nil, fmt.Errorf("label %q: %s* is Castellan's own, choose another name", label, labelPrefix)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(c.Env)) {
		if k == "" || strings.ContainsAny(k, "=\x00") {
			return nil, nil, fmt.Errorf("environment variable %q: a name has no = and is not empty", k)
		}
		cfg.Env = append(cfg.Env, k+"="+c.Env[k])
	}
	if c.StopTimeout > 0 {
		s := seconds(c.StopTimeout)
		cfg.StopTimeout = &s
	}
	if c.Memory < 0 {
		return nil, nil, fmt.Errorf("memory %d: want bytes, or 0 for no limit", c.Memory)
	}
	host := &container.HostConfig{
		NetworkMode: network.NetworkBridge, PortBindings: nat.PortMap{},
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		CapAdd:        c.CapAdd, Privileged: c.Privileged, ReadonlyRootfs: c.ReadOnly,
		// Said even when it is false: an engine may be set to give every container an init, which breaks those that
		// bring their own.
		Init: &c.Init,
	}
	host.Memory = c.Memory
	for _, part := range []func(spec.Container, *container.Config, *container.HostConfig) error{
		translateNetwork, translatePorts, translateMounts, translateRights,
	} {
		if err := part(c, cfg, host); err != nil {
			return nil, nil, err
		}
	}
	return cfg, host, nil
}

func translateNetwork(c spec.Container, _ *container.Config, host *container.HostConfig) error {
	if c.Network != "" {
		host.NetworkMode = container.NetworkMode(c.Network)
	}
	if !validName.MatchString(string(host.NetworkMode)) { // "container:…" would tie two services together
		return fmt.Errorf("network %q: want bridge, host, none or the name of a network", c.Network)
	}
	if len(c.Aliases) > 0 && !host.NetworkMode.IsUserDefined() {
		return fmt.Errorf("aliases %q on network %s: only a named network knows them", c.Aliases, host.NetworkMode)
	}
	for _, a := range c.Aliases {
		if !validName.MatchString(a) {
			return fmt.Errorf("alias %q: want a host name", a)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.ExtraHosts)) {
		// Docker cuts "name:address" at the first colon and knows the word host-gateway for an address.
		addr, err := netip.ParseAddr(c.ExtraHosts[name])
		if err != nil || addr.Zone() != "" || !validName.MatchString(name) {
			return fmt.Errorf("extra host %q at %q: want a host name and an IP address", name, c.ExtraHosts[name])
		}
		host.ExtraHosts = append(host.ExtraHosts, name+":"+addr.String())
	}
	return nil
}

func translatePorts(c spec.Container, cfg *container.Config, host *container.HostConfig) error {
	for _, p := range c.Ports {
		protocol := or(p.Protocol, "tcp")
		port, err := nat.NewPort(protocol, strconv.Itoa(int(p.Container)))
		if err != nil || p.Container == 0 || p.Host == 0 || protocol != "tcp" && protocol != "udp" {
			return fmt.Errorf("port %d:%d/%s: want two ports of 1 to 65535 and tcp or udp", p.Host, p.Container, p.Protocol)
		}
		cfg.ExposedPorts[port] = struct{}{}
		host.PortBindings[port] = append(host.PortBindings[port], nat.PortBinding{HostIP: p.HostIP, HostPort: strconv.Itoa(int(p.Host))})
	}
	return nil
}

func translateMounts(c spec.Container, _ *container.Config, host *container.HostConfig) error {
	taken := map[string]string{} // by target: what is mounted there
	take := func(target, by string) error {
		switch {
		case !path.IsAbs(target), path.Clean(target) == "/":
			return fmt.Errorf("mount target %q: want an absolute path below /", target)
		case taken[path.Clean(target)] != "":
			return fmt.Errorf("mount target %q: both %s and %s want to lie there", target, taken[path.Clean(target)], by)
		}
		taken[path.Clean(target)] = by
		return nil
	}
	for _, m := range c.Mounts {
		if err := take(m.Target, strconv.Quote(m.Source)); err != nil {
			return err
		}
		out := mount.Mount{Type: mount.TypeVolume, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly}
		switch {
		case path.IsAbs(m.Source):
			out.Type = mount.TypeBind // a missing folder is an error, never an empty new one
		case !validName.MatchString(m.Source):
			return fmt.Errorf("mount source %q: want an absolute path or the name of a volume", m.Source)
		case m.Propagation != "" || m.NonRecursive:
			return fmt.Errorf("mount of volume %q: propagation and non_recursive are for folders", m.Source)
		}
		if m.Propagation != "" && m.Propagation != string(mount.PropagationRSlave) {
			return fmt.Errorf("propagation %q of mount %q: want rslave or none", m.Propagation, m.Target)
		}
		if m.Propagation != "" || m.NonRecursive {
			// Engines before 25 never make what is mounted below read-only, and do not know the second word.
			out.BindOptions = &mount.BindOptions{Propagation: mount.Propagation(m.Propagation), ReadOnlyNonRecursive: m.NonRecursive && m.ReadOnly}
		}
		host.Mounts = append(host.Mounts, out)
	}
	for _, target := range c.Tmpfs {
		if err := take(target, "a tmpfs"); err != nil {
			return err
		}
		if host.Tmpfs == nil {
			host.Tmpfs = map[string]string{}
		}
		host.Tmpfs[target] = ""
	}
	return nil
}

// seconds rounds up, because Docker counts whole seconds and 0 means "kill at once".
func seconds(d time.Duration) int {
	return int(math.Ceil(d.Seconds()))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
