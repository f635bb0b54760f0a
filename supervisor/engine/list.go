package engine

import (
	"context"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/castellan/castellan/supervisor"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
)

// inspectors is how many containers are inspected at once: two CPUs of an appliance are busy with it, on either side
// of the socket.
const inspectors = 4

// List returns this appliance's containers of one service, "" = of all, ordered by name.
func (e *Engine) List(ctx context.Context, service string) ([]supervisor.Container, error) {
	var out []supervisor.Container
	var of []filters.KeyValuePair
	if service != "" {
		of = append(of, filters.Arg("label", supervisor.LabelService+"="+service))
	}
	err := e.call(ctx, e.cfg.CallTimeout, "list containers", func(ctx context.Context, cli *client.Client) (err error) {
		out, err = e.list(ctx, cli, of...)
		return err
	})
	return out, err
}

// Running tells of each service of this appliance that has a container whether one of them runs. It is one question, however
// many there are.
func (e *Engine) Running(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	err := e.call(ctx, e.cfg.CallTimeout, "list containers", func(ctx context.Context, cli *client.Client) error {
		found, err := cli.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", supervisor.LabelHouse+"="+e.cfg.House))})
		for _, c := range found {
			service := c.Labels[supervisor.LabelService]
			out[service] = out[service] || c.State == container.StateRunning || c.State == container.StatePaused || c.State == container.StateRestarting
		}
		return err
	})
	return out, err
}

// list inspects each container: the engine's listing leaves out exit codes, health and restart counts.
func (e *Engine) list(ctx context.Context, cli *client.Client, more ...filters.KeyValuePair) ([]supervisor.Container, error) {
	args := filters.NewArgs(append(more, filters.Arg("label", supervisor.LabelHouse+"="+e.cfg.House))...)
	found, err := cli.ContainerList(ctx, container.ListOptions{All: true, Filters: args})
	if err != nil {
		return nil, err
	}
	all, errs := make([]supervisor.Container, len(found)), make([]error, len(found))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(inspectors, len(found)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(found)); i = next.Add(1) - 1 {
				all[i], errs[i] = look(ctx, cli, found[i].ID)
			}
		})
	}
	wg.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return nil, errs[i]
	}
	all = slices.DeleteFunc(all, func(c supervisor.Container) bool { return c.ID == "" })
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all, nil
}

// look inspects one container; the zero value says that it was removed since it was listed.
func look(ctx context.Context, cli *client.Client, id string) (supervisor.Container, error) {
	r, err := cli.ContainerInspect(ctx, id)
	if cerrdefs.IsNotFound(err) {
		return supervisor.Container{}, nil
	}
	if err != nil {
		return supervisor.Container{}, err
	}
	return containerOf(r)
}
