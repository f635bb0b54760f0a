package engine

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/trust"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
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
				string(host.NetworkMode): {Aliases: append([]string{n.Service}, c.Aliases...)},
			}}
		}
		info, err := cli.Info(ctx)
		if err != nil {
			return err
		}
		host.LogConfig = boundedLog(info)
		host.SecurityOpt = append(host.SecurityOpt, appArmor(info, c.AppArmor)...)
		created, err := cli.ContainerCreate(ctx, cfg, host, endpoints, nil, n.Name)
		if cerrdefs.IsConflict(err) {
			return e.explainConflict(ctx, cli, n.Name, err)
		}
		if err != nil {
			return e.explainStart(ctx, cli, "", err)
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
func boundedLog(info system.Info) container.LogConfig {
	if info.LoggingDriver != "json-file" {
		return container.LogConfig{}
	}
	return container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "3"}}
}

// appArmor leaves a profile out where the kernel has no AppArmor: the engine would refuse the container.
func appArmor(info system.Info, profile string) []string {
	if profile == "" || !slices.ContainsFunc(info.SecurityOptions, func(o string) bool { return strings.HasPrefix(o, "name=apparmor") }) {
		return nil
	}
	return []string{"apparmor=" + profile}
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
