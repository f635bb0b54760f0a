package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// Pull makes the engine hold the permit's image. The engine pulls the platform manifest by digest, so it checks
// manifest, config and layers itself; what it does not check is the platform, and a pull that "worked" is no proof
// that the image is there. Both are looked at afterwards.
func (e *Engine) Pull(ctx context.Context, permit trust.Permit, progress func(done, total int64)) (supervisor.Image, error) {
	s := permit.Subject()
	if !permit.Valid() {
		return supervisor.Image{}, notPermitted("cannot pull the image of %q: there is no verdict behind the permit", s.Component)
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	return e.pull(ctx, s, progress)
}

// pull is Pull behind the permit.
func (e *Engine) pull(ctx context.Context, s trust.Subject, progress func(done, total int64)) (supervisor.Image, error) {
	what := fmt.Sprintf("pull %s %s", s.Component, s.Version)
	if img, ok, err := e.Image(ctx, s); err != nil {
		return supervisor.Image{}, err
	} else if ok {
		if err := checkImage(s, img); err != nil {
			return supervisor.Image{}, fmt.Errorf("cannot %s: %w", what, err)
		}
		return img, nil
	}
	if e.cfg.PullRef == nil {
		return supervisor.Image{}, fmt.Errorf("cannot %s: no registry to pull from is set up", what)
	}
	ref, release, err := e.cfg.PullRef(ctx, s)
	if err != nil {
		return supervisor.Image{}, fmt.Errorf("cannot %s: %w", what, err)
	}
	if release != nil {
		defer release()
	}
	if !strings.HasSuffix(ref, "@"+string(s.Manifest)) {
		return supervisor.Image{}, notPermitted("cannot %s: reference %q does not name manifest %s", what, ref, s.Manifest)
	}
	if err := e.fetch(ctx, what, ref, progress); err != nil {
		return supervisor.Image{}, err
	}

	var img supervisor.Image
	err = e.call(ctx, e.cfg.CallTimeout, what, func(ctx context.Context, cli *client.Client) error {
		var ok bool
		var err error
		if img, ok, err = find(ctx, cli, s); err != nil {
			return err
		}
		if !ok {
			return notPermitted("the engine says it pulled %s and holds none of %v", ref, s.Digests())
		}
		if err := checkImage(s, img); err != nil {
			// It will never run here; without its name the engine deletes it.
			_, _ = cli.ImageRemove(ctx, ref, image.RemoveOptions{PruneChildren: true})
			return err
		}
		// A name for people who run "docker images". Nothing of ours looks at it, so it may fail.
		if err := cli.ImageTag(ctx, string(img.ID), s.Repository+":"+s.Version); err != nil {
			e.cfg.Log.Debug("image has no name for people", "service", s.Component, "error", err)
		}
		return nil
	})
	return img, err
}

// fetch has the engine pull ref and ends when its report does, or when no byte counter moved for PullStall: an
// engine goes on sending events while a download hangs.
func (e *Engine) fetch(ctx context.Context, what, ref string, progress func(done, total int64)) error {
	pullCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stalled := time.AfterFunc(e.cfg.PullStall, cancel)
	defer stalled.Stop()
	const never = 1000 * time.Hour // the stall watchdog is the ceiling
	err := e.call(pullCtx, never, what, func(ctx context.Context, cli *client.Client) error {
		body, err := cli.ImagePull(ctx, ref, image.PullOptions{})
		if err != nil {
			return err
		}
		defer body.Close()
		return readPull(body, progress, func() { stalled.Reset(e.cfg.PullStall) })
	})
	if err != nil && pullCtx.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("cannot %s: %w: no byte arrived for %s", what, supervisor.ErrEngineAway, e.cfg.PullStall)
	}
	return err
}

// pullEvent is one line of the engine's report on a pull.
type pullEvent struct {
	ID       string `json:"id"` // layer
	Status   string `json:"status"`
	Progress struct {
		Current int64 `json:"current"`
		Total   int64 `json:"total"`
	} `json:"progressDetail"`
	Error struct {
		Message string `json:"message"`
	} `json:"errorDetail"`
}

// Limits on the engine's report.
const (
	maxEventBytes = 1 << 20
	maxLayers     = 1000 // an image has at most 127
	maxLayerBytes = 1 << 50
)

// readPull reads a report to its end: errors come in the stream, under HTTP status 200. progress gets the bytes
// downloaded and to download over the layers seen so far; moved is called whenever a layer's state or counter changed.
func readPull(r io.Reader, progress func(done, total int64), moved func()) error {
	last := map[string]pullEvent{}    // by layer: what was said last
	loading := map[string]pullEvent{} // by layer: the last word on its download, which extraction does not count again
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEventBytes)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var ev pullEvent
		if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
			return fmt.Errorf("cannot read the engine's report on the pull: %w", err)
		}
		if ev.Error.Message != "" {
			return errors.New(ev.Error.Message)
		}
		old, known := last[ev.ID]
		if known && old == ev || !known && len(last) >= maxLayers {
			continue
		}
		last[ev.ID] = ev
		moved()
		switch ev.Status {
		case "Downloading":
			loading[ev.ID] = ev
		case "Download complete":
			ev.Progress = loading[ev.ID].Progress
			ev.Progress.Current = ev.Progress.Total
			loading[ev.ID] = ev
		default:
			continue
		}
		var done, total int64
		for _, l := range loading {
			done += min(max(l.Progress.Current, 0), maxLayerBytes)
			total += min(max(l.Progress.Total, l.Progress.Current, 0), maxLayerBytes)
		}
		progress(done, total)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read the engine's report on the pull: %w", err)
	}
	return nil
}
