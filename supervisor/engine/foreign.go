package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// asidePatience is how long a foreign container may take to stop. It returns as soon as it has; ten seconds, which is
// what the engine would give it, are too few for a database that must write everything down.
const asidePatience = 2 * time.Minute

// asideSuffix marks a container that was held aside.
const asideSuffix = ".before-castellan"

// Aside is what must be remembered of a container of somebody else's to give it back as it was.
type Aside = supervisor.Aside

// Foreign describes a container that is nobody's, for the one who is to adopt what it does.
type Foreign struct {
	Aside
	Image   string         `json:"image"`   // the reference it was made from
	Network string         `json:"network"` // "host", "bridge", a network's name
	Mounts  []ForeignMount `json:"mounts,omitempty"`
	Env     []string       `json:"env,omitempty"` // names only: values may be secrets
}

// ForeignMount is a folder or a volume of a foreign container.
type ForeignMount struct {
	Source   string `json:"source"` // host path, or a volume's name
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly,omitempty"`
}

// Inspect describes a container that carries no label of any Castellan, by its name.
func (e *Engine) Inspect(ctx context.Context, name string) (Foreign, error) {
	var out Foreign
	err := e.call(ctx, e.cfg.CallTimeout, "look at container "+name, func(ctx context.Context, cli *client.Client) error {
		r, err := foreign(ctx, cli, name)
		if err != nil {
			return err
		}
		out = Foreign{
			Aside: Aside{
				ID: r.ID, Name: nameOf([]string{r.Name}), Running: r.State.Running,
				Restart: or(string(r.HostConfig.RestartPolicy.Name), "no"), Retries: r.HostConfig.RestartPolicy.MaximumRetryCount,
			},
			Image: r.Config.Image, Network: string(r.HostConfig.NetworkMode),
		}
		for _, m := range r.Mounts {
			out.Mounts = append(out.Mounts, ForeignMount{Source: or(m.Name, m.Source), Target: m.Destination, ReadOnly: !m.RW})
		}
		for _, v := range r.Config.Env {
			k, _, _ := strings.Cut(v, "=")
			out.Env = append(out.Env, k)
		}
		sort.Slice(out.Mounts, func(i, j int) bool { return out.Mounts[i].Target < out.Mounts[j].Target })
		slices.Sort(out.Env)
		return nil
	})
	return out, err
}

// Foreign is [Engine.Inspect] for the supervisor: ok is false when no container has the name.
func (e *Engine) Foreign(ctx context.Context, name string) (a Aside, ok bool, err error) {
	f, err := e.Inspect(ctx, name)
	if cerrdefs.IsNotFound(err) {
		return a, false, nil
	}
	return f.Aside, err == nil, err
}

// HoldAside stops a foreign container, so that nothing revives it and its name is free. Nothing of it is lost, and
// [Engine.GiveBack] undoes it exactly. It can run again after a cut anywhere.
func (e *Engine) HoldAside(ctx context.Context, a Aside) error {
	what := "hold container " + a.Name + " aside"
	patience := asidePatience
	err := e.withForeign(ctx, what, a, func(ctx context.Context, cli *client.Client, r container.InspectResponse) error {
		if r.HostConfig.AutoRemove {
			return notPermitted("it was started with --rm, so the engine would delete it when it stops: start it again without")
		}
		if own := r.Config.StopTimeout; own != nil {
			patience = max(patience, time.Duration(*own)*time.Second)
		}
		return restartPolicy(ctx, cli, r, "no", 0) // first: an engine that restarts now must not revive it
	})
	if err == nil {
		err = e.halt(ctx, what, a.ID, patience)
	}
	if err != nil {
		return err
	}
	return e.withForeign(ctx, what, a, func(ctx context.Context, cli *client.Client, r container.InspectResponse) error {
		return rename(ctx, cli, r, a.Name+asideSuffix)
	})
}

// GiveBack is HoldAside, backwards.
func (e *Engine) GiveBack(ctx context.Context, a Aside) error {
	return e.withForeign(ctx, "give container "+a.Name+" back", a, func(ctx context.Context, cli *client.Client, r container.InspectResponse) error {
		if err := rename(ctx, cli, r, a.Name); err != nil {
			return err
		}
		if a.Running && !r.State.Running {
			if err := cli.ContainerStart(ctx, r.ID, container.StartOptions{}); err != nil {
				return e.explainStart(ctx, cli, r.ID, err)
			}
		}
		return restartPolicy(ctx, cli, r, a.Restart, a.Retries)
	})
}

// withForeign runs do on the container that a speaks of, which may have either of its two names. One that its owner
// removed meanwhile is a success: it stands in nobody's way, and no error would bring it back.
func (e *Engine) withForeign(ctx context.Context, what string, a Aside, do func(context.Context, *client.Client, container.InspectResponse) error) error {
	if len(a.ID) != 64 || !validName.MatchString(a.Name) || strings.HasSuffix(a.Name, asideSuffix) {
		return fmt.Errorf("cannot %s: ID %q and name %q are not what the engine once said of a container in use", what, a.ID, a.Name)
	}
	switch container.RestartPolicyMode(a.Restart) {
	case container.RestartPolicyDisabled, container.RestartPolicyAlways, container.RestartPolicyOnFailure, container.RestartPolicyUnlessStopped:
	default:
		return fmt.Errorf("cannot %s: %q is no restart policy", what, a.Restart)
	}
	return e.call(ctx, e.work, what, func(ctx context.Context, cli *client.Client) error {
		r, err := foreign(ctx, cli, a.ID)
		if cerrdefs.IsNotFound(err) {
			e.cfg.Log.Warn("container was removed by somebody else, there is nothing to hold aside or give back", "container", a.Name)
			return nil
		}
		if err != nil {
			return err
		}
		if name := nameOf([]string{r.Name}); name != a.Name && name != a.Name+asideSuffix {
			return notPermitted("it is called %s by now: somebody else takes care of it", name)
		}
		return do(ctx, cli, r)
	})
}

// foreign inspects a container that is of no appliance. Those of any Castellan, ours too, have a supervisor.
func foreign(ctx context.Context, cli *client.Client, id string) (container.InspectResponse, error) {
	if !validName.MatchString(id) {
		return container.InspectResponse{}, fmt.Errorf("%q is no name of a container", id)
	}
	r, err := cli.ContainerInspect(ctx, id)
	if err != nil {
		return r, err
	}
	if r.ContainerJSONBase == nil || r.Config == nil || r.State == nil || r.HostConfig == nil {
		return r, errors.New("the engine describes it incompletely")
	}
	for label, value := range r.Config.Labels {
		if strings.HasPrefix(label, labelPrefix) {
			return r, notPermitted("it is managed by a Castellan already (label %s is %q)", label, value)
		}
	}
	return r, nil
}

// rename is a success when it has the name.
func rename(ctx context.Context, cli *client.Client, r container.InspectResponse, name string) error {
	if nameOf([]string{r.Name}) == name {
		return nil
	}
	err := cli.ContainerRename(ctx, r.ID, name)
	if cerrdefs.IsConflict(err) {
		return fmt.Errorf("another container is called %s: rename or remove that one (docker rename %s %s.other): %w", name, name, name, err)
	}
	return err
}

// restartPolicy is a success when it has the policy.
func restartPolicy(ctx context.Context, cli *client.Client, r container.InspectResponse, policy string, retries int) error {
	want := container.RestartPolicy{Name: container.RestartPolicyMode(policy), MaximumRetryCount: retries}
	have := r.HostConfig.RestartPolicy
	if have.Name == "" {
		have.Name = container.RestartPolicyDisabled
	}
	if have == want {
		return nil
	}
	_, err := cli.ContainerUpdate(ctx, r.ID, container.UpdateConfig{RestartPolicy: want})
	return err
}
