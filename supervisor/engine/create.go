package engine

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/trust"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/nat"
)

const labelPrefix = "io.castellan."

var validName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// Create makes a stopped container from the image ID img.
func (e *Engine) Create(ctx context.Context, permit trust.Permit, img trust.Digest, n supervisor.Naming, c spec.Container) (supervisor.Container, error) {
	if !permit.Permits(n.Service, img) {
		return supervisor.Container{}, notPermitted("cannot create a container of %q from image %s: the permit is for %q and %v",
			n.Service, img.Short(), permit.Subject().Component, permit.Subject().Digests())
	}
	return e.create(ctx, permit.Seq(), img, n, c)
}

// create is Create behind the permit.
func (e *Engine) create(ctx context.Context, seq uint64, img trust.Digest, n supervisor.Naming, c spec.Container) (supervisor.Container, error) {
	what := "create container " + n.Name
	if n.Service == "" || n.Change == "" || !validName.MatchString(n.Name) {
		return supervisor.Container{}, fmt.Errorf("cannot %s: service %q, change %q and name %q must all be given", what, n.Service, n.Change, n.Name)
	}
	cfg, host, err := translate(c)
	if err != nil {
		return supervisor.Container{}, fmt.Errorf("cannot %s: %w", what, err)
	}
	cfg.Image = string(img) // never a name: a tag that moves meanwhile changes nothing
	maps.Copy(cfg.Labels, map[string]string{
		supervisor.LabelService: n.Service, supervisor.LabelChange: n.Change, supervisor.LabelVersion: n.Version,
		supervisor.LabelSeq: strconv.FormatUint(seq, 10), supervisor.LabelHouse: e.cfg.House,
	})

	var out supervisor.Container
	err = e.call(ctx, e.work, what, func(ctx context.Context, cli *client.Client) error {
		existing, ok, err := e.adopt(ctx, cli, img, n)
		if ok || err != nil {
			out = existing
			return err
		}
		var endpoints *network.NetworkingConfig
		if host.NetworkMode.IsUserDefined() {
			if err := e.ensureNetwork(ctx, cli, string(host.NetworkMode)); err != nil {
				return err
			}
			// Other services find it by its service name, whatever its container is called at the moment.
			endpoints = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
				string(host.NetworkMode): {Aliases: []string{n.Service}},
			}}
		}
		if host.LogConfig, err = boundedLog(ctx, cli); err != nil {
			return err
		}
		created, err := cli.ContainerCreate(ctx, cfg, host, endpoints, nil, n.Name)
		if cerrdefs.IsConflict(err) {
			return e.explainConflict(ctx, cli, n.Name, err)
		}
		if err != nil {
			return err
		}
		for _, w := range created.Warnings {
			e.cfg.Log.Debug("engine warns about a container", "container", n.Name, "warning", w)
		}
		r, err := cli.ContainerInspect(ctx, created.ID)
		if err != nil {
			return err
		}
		if out, err = containerOf(r); err != nil {
			return err
		}
		if out.Image != img {
			_ = cli.ContainerRemove(ctx, created.ID, container.RemoveOptions{Force: true}) // it never ran
			return notPermitted("the engine made it from image %s, permitted is %s", out.Image, img)
		}
		return nil
	})
	return out, err
}

// boundedLog keeps a talkative service from filling the SD card: Docker's default driver, json-file, has no limit of its
// own. Every other driver is the owner's choice and left as he set it.
func boundedLog(ctx context.Context, cli *client.Client) (container.LogConfig, error) {
	info, err := cli.Info(ctx)
	if err != nil || info.LoggingDriver != "json-file" {
		return container.LogConfig{}, err
	}
	return container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "3"}}, nil
}

// adopt finds the container that an earlier run of the same change made.
func (e *Engine) adopt(ctx context.Context, cli *client.Client, img trust.Digest, n supervisor.Naming) (supervisor.Container, bool, error) {
	found, err := e.list(ctx, cli, filters.Arg("label", supervisor.LabelService+"="+n.Service), filters.Arg("label", supervisor.LabelChange+"="+n.Change))
	if err != nil || len(found) == 0 {
		return supervisor.Container{}, false, err
	}
	c := found[0]
	if c.Image != img {
		return supervisor.Container{}, false, notPermitted("container %s of the same change holds image %s, permitted is %s; remove it first", c.Name, c.Image, img)
	}
	return c, true, nil
}

// explainConflict names who has the name.
func (e *Engine) explainConflict(ctx context.Context, cli *client.Client, name string, conflict error) error {
	r, err := cli.ContainerInspect(ctx, name)
	if err != nil || r.Config == nil {
		return conflict
	}
	if r.Config.Labels[supervisor.LabelHouse] != e.cfg.House {
		return fmt.Errorf("a container called %s is there already and is not of this appliance: rename or remove it (docker rename %s %s.mine)", name, name, name)
	}
	return fmt.Errorf("container %s belongs to change %s", name, r.Config.Labels[supervisor.LabelChange])
}

// ensureNetwork makes a bridge network that is missing. The engine gives the bridge an explicit MAC address; without
// one it would change with its ports and cut containers off from their gateway.
func (e *Engine) ensureNetwork(ctx context.Context, cli *client.Client, name string) error {
	e.networks.Lock()
	defer e.networks.Unlock()
	_, err := cli.NetworkInspect(ctx, name, network.InspectOptions{})
	if !cerrdefs.IsNotFound(err) {
		return err
	}
	_, err = cli.NetworkCreate(ctx, name, network.CreateOptions{
		Driver: "bridge", Labels: map[string]string{supervisor.LabelHouse: e.cfg.House},
	})
	if cerrdefs.IsConflict(err) {
		return nil // made by somebody else meanwhile
	}
	return err
}

// translate turns the specification into Docker's words. What Docker would accept and understand otherwise is refused
// here.
func translate(c spec.Container) (*container.Config, *container.HostConfig, error) {
	cfg := &container.Config{
		Entrypoint: c.Entrypoint, Cmd: c.Command, Hostname: c.Hostname, StopSignal: c.StopSignal,
		Labels: maps.Clone(c.Labels), ExposedPorts: nat.PortSet{},
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
	host := &container.HostConfig{
		NetworkMode: container.NetworkMode(c.Network), PortBindings: nat.PortMap{},
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		CapAdd:        c.CapAdd, Privileged: c.Privileged, ReadonlyRootfs: c.ReadOnly,
	}
	if c.Network == "" {
		host.NetworkMode = network.NetworkBridge
	}
	if !validName.MatchString(string(host.NetworkMode)) { // "container:…" would tie two services together
		return nil, nil, fmt.Errorf("network %q: want bridge, host, none or the name of a network", c.Network)
	}
	if c.Init {
		host.Init = &c.Init
	}
	if c.Memory < 0 {
		return nil, nil, fmt.Errorf("memory %d: want bytes, or 0 for no limit", c.Memory)
	}
	host.Memory = c.Memory
	for _, p := range c.Ports {
		protocol := or(p.Protocol, "tcp")
		port, err := nat.NewPort(protocol, strconv.Itoa(int(p.Container)))
		if err != nil || p.Container == 0 || p.Host == 0 || protocol != "tcp" && protocol != "udp" {
			return nil, nil, fmt.Errorf("port %d:%d/%s: want two ports of 1 to 65535 and tcp or udp", p.Host, p.Container, p.Protocol)
		}
		cfg.ExposedPorts[port] = struct{}{}
		host.PortBindings[port] = append(host.PortBindings[port], nat.PortBinding{HostIP: p.HostIP, HostPort: strconv.Itoa(int(p.Host))})
	}
	for _, m := range c.Mounts {
		if !path.IsAbs(m.Target) {
			return nil, nil, fmt.Errorf("mount target %q: want an absolute path", m.Target)
		}
		kind := mount.TypeVolume
		switch {
		case path.IsAbs(m.Source):
			kind = mount.TypeBind // a missing folder is an error, never an empty new one
		case !validName.MatchString(m.Source):
			return nil, nil, fmt.Errorf("mount source %q: want an absolute path or the name of a volume", m.Source)
		}
		host.Mounts = append(host.Mounts, mount.Mount{Type: kind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	for _, d := range c.Devices {
		if !path.IsAbs(d) {
			return nil, nil, fmt.Errorf("device %q: want an absolute path", d)
		}
		host.Devices = append(host.Devices, container.DeviceMapping{PathOnHost: d, PathInContainer: d, CgroupPermissions: "rwm"})
	}
	return cfg, host, nil
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
