package engine

import (
	"context"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// halt stops the container with this ID, whoever's it is: the caller has looked. A missing one is a success.
func (e *Engine) halt(ctx context.Context, what, id string, timeout time.Duration) error {
	running := false
	err := e.call(ctx, e.cfg.CallTimeout, what, func(ctx context.Context, cli *client.Client) error {
		r, err := cli.ContainerInspect(ctx, id)
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		if err != nil || !r.State.Running {
			return err
		}
		running = true
		if timeout <= 0 {
			timeout = 10 * time.Second // the engine's default
			if r.Config.StopTimeout != nil {
				timeout = time.Duration(*r.Config.StopTimeout) * time.Second
			}
		}
		return nil
	})
	if err != nil || !running {
		return err
	}
	return e.call(ctx, timeout+e.work, what, func(ctx context.Context, cli *client.Client) error {
		grace := seconds(timeout)
		// An engine that lost track of a process waits for it without end; then the kill below is the last word.
		stopCtx, cancel := context.WithTimeout(ctx, timeout+e.work/2)
		defer cancel()
		err := cli.ContainerStop(stopCtx, id, container.StopOptions{Timeout: &grace})
		switch {
		case ctx.Err() != nil, client.IsErrConnectionFailed(err):
			return err
		case err != nil && !cerrdefs.IsNotFound(err):
			e.cfg.Log.Warn("engine did not stop a container, killing it", "container", short(id), "error", err)
			_ = cli.ContainerKill(ctx, id, "KILL") // what became of it is asked next
		}
		return poll(ctx, pollEvery, func() (bool, error) {
			r, err := cli.ContainerInspect(ctx, id)
			if cerrdefs.IsNotFound(err) {
				return true, nil
			}
			return err == nil && !r.State.Running, err
		})
	})
}
