package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// pollEvery is how often the engine is asked again while it finishes something.
const pollEvery = 50 * time.Millisecond

// Start starts a container and tells this host the address it got.
func (e *Engine) Start(ctx context.Context, id string) error {
	return e.call(ctx, e.work, "start container "+short(id), func(ctx context.Context, cli *client.Client) error {
		r, err := e.mine(ctx, cli, id)
		if err != nil {
			return err
		}
		if !r.State.Running {
			if err := e.start(ctx, cli, r.ID); err != nil {
				return e.explainStart(ctx, cli, r.ID, err)
			}
			if r, err = cli.ContainerInspect(ctx, r.ID); err != nil {
				return err
			}
		}
		e.tellNeighbours(r)
		return nil
	})
}

// Stop stops a container and returns when it does not run any more. timeout 0 means the container's own.
func (e *Engine) Stop(ctx context.Context, id string, timeout time.Duration) error {
	what := "stop container " + short(id)
	mine := ""
	err := e.call(ctx, e.cfg.CallTimeout, what, func(ctx context.Context, cli *client.Client) error {
		r, err := e.mine(ctx, cli, id)
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		if err == nil {
			mine = r.ID
		}
		return err
	})
	if err != nil || mine == "" {
		return err
	}
	if err := e.halt(ctx, what, mine, timeout); err != nil {
		return err
	}
	return endOrphans(ctx, mine)
}

// Remove deletes a container, killing it when it runs. It returns when the container is gone.
func (e *Engine) Remove(ctx context.Context, id string) error {
	return e.call(ctx, e.work, "remove container "+short(id), func(ctx context.Context, cli *client.Client) error {
		r, err := e.mine(ctx, cli, id)
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		err = cli.ContainerRemove(ctx, r.ID, container.RemoveOptions{Force: true})
		switch {
		case err == nil, cerrdefs.IsNotFound(err):
			return endOrphans(ctx, r.ID)
		case !cerrdefs.IsConflict(err): // a conflict means that an earlier removal is still under way
			return err
		}
		return poll(ctx, pollEvery, func() (bool, error) {
			_, err := cli.ContainerInspect(ctx, r.ID)
			if cerrdefs.IsNotFound(err) {
				return true, endOrphans(ctx, r.ID)
			}
			return false, err
		})
	})
}

// Settle gives a container its name and restart policy, "no" or "unless-stopped". When another container of this
// appliance has the name, that one is moved aside; anybody else's is an error.
func (e *Engine) Settle(ctx context.Context, id, name, restart string) error {
	what := fmt.Sprintf("settle container %s as %s", short(id), name)
	policy := container.RestartPolicyMode(restart)
	if policy != container.RestartPolicyDisabled && policy != container.RestartPolicyUnlessStopped {
		return fmt.Errorf("cannot %s: restart policy %q: want no or unless-stopped, the others revive an old generation", what, restart)
	}
	if !validName.MatchString(name) {
		return fmt.Errorf("cannot %s: %q is no name for a container", what, name)
	}
	return e.call(ctx, e.work, what, func(ctx context.Context, cli *client.Client) error {
		r, err := e.mine(ctx, cli, id)
		if err != nil {
			return err
		}
		if r.Name != "/"+name {
			if err := e.moveAside(ctx, cli, name); err != nil {
				return err
			}
			if err := cli.ContainerRename(ctx, r.ID, name); err != nil {
				return err
			}
		}
		if r.HostConfig.RestartPolicy.Name == policy {
			return nil
		}
		_, err = cli.ContainerUpdate(ctx, r.ID, container.UpdateConfig{RestartPolicy: container.RestartPolicy{Name: policy}})
		return err
	})
}

// moveAside frees a name by renaming who has it to "name.<change>".
func (e *Engine) moveAside(ctx context.Context, cli *client.Client, name string) error {
	r, err := e.mine(ctx, cli, name)
	switch {
	case cerrdefs.IsNotFound(err):
		return nil
	case err != nil:
		return e.explainConflict(ctx, cli, name, err)
	case r.Name != "/"+name:
		return nil // an ID that begins with the name
	}
	return cli.ContainerRename(ctx, r.ID, name+"."+or(r.Config.Labels[supervisor.LabelChange], short(r.ID)))
}

// mine inspects a container of this appliance.
func (e *Engine) mine(ctx context.Context, cli *client.Client, id string) (container.InspectResponse, error) {
	if !validName.MatchString(id) {
		return container.InspectResponse{}, fmt.Errorf("%q is no ID of a container", id)
	}
	r, err := cli.ContainerInspect(ctx, id)
	if err != nil {
		return r, err
	}
	if r.Config == nil || r.State == nil || r.HostConfig == nil {
		return r, fmt.Errorf("the engine describes container %s incompletely", short(id))
	}
	if house := r.Config.Labels[supervisor.LabelHouse]; house != e.cfg.House {
		return r, notPermitted("container %s is not of this appliance (label %s is %q)", short(id), supervisor.LabelHouse, house)
	}
	return r, nil
}

func containerOf(r container.InspectResponse) (supervisor.Container, error) {
	if r.ContainerJSONBase == nil || r.Config == nil || r.State == nil || r.HostConfig == nil {
		return supervisor.Container{}, fmt.Errorf("the engine describes a container incompletely")
	}
	img, err := trust.ParseDigest(r.Image)
	if err != nil {
		return supervisor.Container{}, fmt.Errorf("the image of container %s: %w", short(r.ID), err)
	}
	c := supervisor.Container{
		ID: r.ID, Name: nameOf([]string{r.Name}), Image: img,
		Service: r.Config.Labels[supervisor.LabelService], Change: r.Config.Labels[supervisor.LabelChange],
		Running: r.State.Running, ExitCode: r.State.ExitCode, OOMKilled: r.State.OOMKilled,
		Restarts: r.RestartCount, Restart: or(string(r.HostConfig.RestartPolicy.Name), "no"),
	}
	if t, err := time.Parse(time.RFC3339Nano, r.State.StartedAt); err == nil && t.Year() > 1 {
		c.Started = t
	}
	if r.State.Health != nil && r.State.Health.Status != container.NoHealthcheck {
		c.Health = string(r.State.Health.Status)
	}
	for _, a := range addresses(r) {
		if a.ip.To4() != nil {
			c.IP = a.ip.String()
			break
		}
	}
	return c, nil
}

func nameOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return strings.TrimPrefix(names[0], "/")
}

// short is an ID for people; a name stays whole.
func short(id string) string {
	if len(id) == 64 {
		return id[:12]
	}
	return id
}
