package engine

import (
	"bytes"
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

// LogQuery says what of a log is read.
type LogQuery struct {
	Lines  int       // the last ones only; negative = all that the engine kept
	Since  time.Time // what is older is left out; zero = nothing is
	Until  time.Time // likewise what is newer
	Latest bool      // only what came since the container's last start
	Follow bool      // and whatever comes until the container ends, ctx ends or the reader is closed
	Timed  bool      // each line begins with the time at which it came, RFC 3339 with nanoseconds in UTC, and a space
}

// Logs is what a container wrote, both streams in one, as they came. The first argument is a container's ID or the name of
// a service, whose running container is meant, or else its newest one.
func (e *Engine) Logs(ctx context.Context, of string, q LogQuery) (io.ReadCloser, error) {
	o := container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "all", Follow: q.Follow, Timestamps: q.Timed}
	if q.Lines >= 0 {
		o.Tail = strconv.Itoa(q.Lines)
	}
	if !q.Since.IsZero() {
		o.Since = q.Since.Format(time.RFC3339Nano)
	}
	if !q.Until.IsZero() {
		o.Until = q.Until.Format(time.RFC3339Nano)
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
		if at, err := time.Parse(time.RFC3339Nano, r.State.StartedAt); q.Latest && err == nil && at.After(q.Since) {
			o.Since = r.State.StartedAt
		}
		body, err = cli.ContainerLogs(streamCtx, r.ID, o)
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
	var out, errs io.Writer = pw, pw
	if q.Timed {
		line := &stampedLine{w: pw}
		out, errs = &stamped{line}, &stamped{line}
	}
	go func() {
		_, err := stdcopy.StdCopy(out, errs, body)
		pw.CloseWithError(err) // nil is the end of the log
	}()
	return &logStream{PipeReader: pr, end: sync.OnceFunc(func() { cancel(); _ = body.Close() })}, nil
}

// stampedLine is the line that both streams of a container write to, in turn.
type stampedLine struct {
	w    io.Writer
	open *stamped // who has begun one and not ended it; nil = nobody
}

// stamped is one stream of a container whose engine puts a time before each piece. A line of more than 16 KiB comes in
// pieces: only the first keeps its time, unless the other stream came in between.
type stamped struct{ line *stampedLine }

// Write takes one piece, as the engine framed it.
func (s *stamped) Write(p []byte) (int, error) {
	piece := p
	switch s.line.open {
	case s:
		if at := bytes.IndexByte(p, ' '); at >= 0 {
			piece = p[at+1:]
		}
	case nil:
	default:
		piece = slices.Concat([]byte("\n"), p)
	}
	s.line.open = s
	if bytes.HasSuffix(p, []byte("\n")) {
		s.line.open = nil
	}
	if _, err := s.line.w.Write(piece); err != nil {
		return 0, err
	}
	return len(p), nil
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
