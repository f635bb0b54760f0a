package engine

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
)

// Logs is what a container wrote, both streams in one, as they came: the last tail lines (all that the engine kept
// when negative), and with follow whatever comes until the container ends, ctx ends or the reader is closed. The first
// argument is a container's ID or the name of a service, whose running container is meant, or else its newest one.
func (e *Engine) Logs(ctx context.Context, of string, tail int, follow bool) (io.ReadCloser, error) {
	lines := "all"
	if tail >= 0 {
		lines = strconv.Itoa(tail)
	}
	// The body outlives the call that opens it, so only waiting for it is bounded.
	streamCtx, cancel := context.WithCancel(ctx)
	slow := time.AfterFunc(e.cfg.CallTimeout, cancel)
	var body io.ReadCloser
	err := e.open(streamCtx, "read the log of "+short(of), func(cli *client.Client) error {
		r, err := e.newest(streamCtx, cli, of)
		if err != nil {
			return err
		}
		body, err = cli.ContainerLogs(streamCtx, r.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: lines, Follow: follow})
		return err
	})
	if !slow.Stop() && ctx.Err() == nil {
		err = fmt.Errorf("cannot read the log of %s: %w: %s gave no answer in time", short(of), supervisor.ErrEngineAway, e.cfg.Host)
	}
	if err != nil {
		cancel() // closes the body too, when it came too late
		return nil, err
	}
	pr, pw := io.Pipe()
	context.AfterFunc(streamCtx, func() { pw.CloseWithError(streamCtx.Err()) }) // a reader that left holds nobody
	go func() {
		_, err := stdcopy.StdCopy(pw, pw, body)
		pw.CloseWithError(err) // nil is the end of the log
	}()
	return &logStream{PipeReader: pr, end: sync.OnceFunc(func() { cancel(); _ = body.Close() })}, nil
}

// logStream ends the engine's answer with the reader.
type logStream struct {
	*io.PipeReader
	end func()
}

// Close can run twice.
func (l *logStream) Close() error {
	l.end()
	return l.PipeReader.Close()
}

// open is call for what streams: without a ceiling of its own.
func (e *Engine) open(ctx context.Context, what string, do func(*client.Client) error) error {
	cli, err := e.connect(ctx)
	if err == nil {
		err = do(cli)
	}
	if err == nil {
		return nil
	}
	if err = e.classify(ctx, err); away(err) {
		e.forget(cli)
	}
	return fmt.Errorf("cannot %s: %w", what, err)
}

// newest finds a container of this appliance by its ID, its name, or the service it is of.
func (e *Engine) newest(ctx context.Context, cli *client.Client, of string) (container.InspectResponse, error) {
	found, err := cli.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(
		filters.Arg("label", supervisor.LabelHouse+"="+e.cfg.House), filters.Arg("label", supervisor.LabelService+"="+of))})
	if err != nil {
		return container.InspectResponse{}, err
	}
	if len(found) == 0 {
		r, err := e.mine(ctx, cli, of)
		if cerrdefs.IsNotFound(err) {
			return r, fmt.Errorf("there is no container or service %q of this appliance: %w", of, err)
		}
		return r, err
	}
	best := slices.MaxFunc(found, func(a, b container.Summary) int {
		if ra, rb := a.State == container.StateRunning, b.State == container.StateRunning; ra != rb {
			if ra {
				return 1
			}
			return -1
		}
		return int(min(max(a.Created-b.Created, -1), 1))
	})
	return e.mine(ctx, cli, best.ID)
}
