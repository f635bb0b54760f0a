package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// Image looks an image up by each of its digests, because which one names it depends on the image store.
func (e *Engine) Image(ctx context.Context, s trust.Subject) (img supervisor.Image, ok bool, err error) {
	err = e.call(ctx, e.cfg.CallTimeout, "look up the image of "+s.Component, func(ctx context.Context, cli *client.Client) error {
		img, ok, err = find(ctx, cli, s)
		return err
	})
	return img, ok, err
}

func find(ctx context.Context, cli *client.Client, s trust.Subject) (supervisor.Image, bool, error) {
	for _, d := range slices.Backward(s.Digests()) {
		r, err := cli.ImageInspect(ctx, string(d))
		if cerrdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return supervisor.Image{}, false, err
		}
		img, err := imageOf(r)
		if err != nil {
			return supervisor.Image{}, false, err
		}
		if s.Has(img.ID) {
			return img, true, nil
		}
	}
	return supervisor.Image{}, false, nil
}

func imageOf(r image.InspectResponse) (supervisor.Image, error) {
	id, err := trust.ParseDigest(r.ID)
	if err != nil {
		return supervisor.Image{}, fmt.Errorf("the engine names an image strangely: %w", err)
	}
	platform := trust.Platform{OS: r.Os, Architecture: r.Architecture, Variant: r.Variant}
	return supervisor.Image{ID: id, Platform: platform, Size: r.Size}, nil
}

// checkImage compares what the engine holds with what is permitted.
func checkImage(s trust.Subject, img supervisor.Image) error {
	if !s.Has(img.ID) {
		return notPermitted("the engine holds image %s, permitted is %v", img.ID, s.Digests())
	}
	// The engine runs an image of another architecture without a word. A variant is often left out of one of the two
	// and then says nothing.
	have, want := img.Platform, s.Platform
	if have.OS != want.OS || have.Architecture != want.Architecture ||
		have.Variant != want.Variant && have.Variant != "" && want.Variant != "" {
		return notPermitted("image %s is for %s, permitted is %s", img.ID.Short(), have, want)
	}
	return nil
}

// RemoveImage deletes an image with all its names. One that any container uses, ours or not, running or not, stays
// and is an error.
func (e *Engine) RemoveImage(ctx context.Context, id trust.Digest) error {
	if _, err := trust.ParseDigest(string(id)); err != nil {
		return err
	}
	return e.call(ctx, e.work, "remove image "+id.Short(), func(ctx context.Context, cli *client.Client) error {
		r, err := cli.ImageInspect(ctx, string(id))
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		// The engine untags names one by one and looks at containers only for the last: an image in use would lose
		// its names. Force would take it from a stopped container, which may be the way back.
		users, err := cli.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("ancestor", string(id)))})
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return fmt.Errorf("container %s uses it: remove that first", nameOf(users[0].Names))
		}
		for _, name := range append(append(r.RepoTags, r.RepoDigests...), string(id)) {
			if _, err := cli.ImageRemove(ctx, name, image.RemoveOptions{PruneChildren: true}); err != nil && !cerrdefs.IsNotFound(err) {
				return err
			}
		}
		return nil
	})
}

// poll calls done until it holds, fails or ctx ends.
func poll(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}
