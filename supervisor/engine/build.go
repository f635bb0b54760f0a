package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust"
	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// BuildRequest says how an image of a local add-on is built. Nobody vouches for such an image: not for its folder, and
// not for what its Dockerfile takes from elsewhere. Whether it may run is the Judge's word.
type BuildRequest struct {
	Context    string            // absolute path of the folder
	Dockerfile string            // within it, "Dockerfile" when empty
	Tag        string            // name:version of the image, both required
	For        string            // whose image it is, see [Engine.Built]; "" = nobody's
	Args       map[string]string // build arguments
	Labels     map[string]string // io.castellan.* is refused
	Timeout    time.Duration     // for all of it, 0 = 1 h: a small board compiles slowly
}

var buildTag = regexp.MustCompile(`^[a-z0-9][a-z0-9._/-]{0,199}:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

// Build has the engine build an image and returns what it holds then. progress, when it is not nil, gets the lines that
// the build prints. A build that was cut off leaves at most layers without a name, which the next one uses again.
func (e *Engine) Build(ctx context.Context, b BuildRequest, progress func(line string)) (supervisor.Image, error) {
	what := "build " + b.Tag
	b.Dockerfile = or(b.Dockerfile, "Dockerfile")
	if progress == nil {
		progress = func(string) {}
	}
	if b.Timeout <= 0 {
		b.Timeout = time.Hour
	}
	if !buildTag.MatchString(b.Tag) || !filepath.IsAbs(b.Context) {
		return supervisor.Image{}, fmt.Errorf("cannot %s: want a tag as local/name:1.0 and an absolute folder, got %q", what, b.Context)
	}
	for _, label := range slices.Sorted(maps.Keys(b.Labels)) {
		if strings.HasPrefix(label, labelPrefix) {
			return supervisor.Image{}, fmt.Errorf("cannot %s: label %q: %s* is Castellan's own", what, label, labelPrefix)
		}
	}
	opts := build.ImageBuildOptions{
		Version: build.BuilderV1, // the one that every engine has
		Tags:    []string{b.Tag}, Dockerfile: filepath.ToSlash(b.Dockerfile), Labels: b.Labels, BuildArgs: map[string]*string{},
		Remove: true, ForceRemove: true,
	}
	if b.For != "" {
		opts.Labels = maps.Clone(b.Labels)
		if opts.Labels == nil {
			opts.Labels = map[string]string{}
		}
		opts.Labels[labelBuilt] = e.builtFor(b.For)
	}
	for k, v := range b.Args {
		opts.BuildArgs[k] = &v
	}
	folder, err := openContext(b.Context, b.Dockerfile)
	if err != nil {
		return supervisor.Image{}, fmt.Errorf("cannot %s: %w", what, err)
	}
	defer folder.Close()

	buildCtx, cancel := context.WithTimeout(ctx, b.Timeout)
	defer cancel()
	var img supervisor.Image
	const never = 1000 * time.Hour // the request's own timeout is the ceiling
	err = e.call(buildCtx, never, what, func(ctx context.Context, cli *client.Client) error {
		pr, pw := io.Pipe()
		packed := make(chan error, 1)
		go func() {
			err := pack(pw, folder)
			pw.CloseWithError(err) // nil is the end of the folder
			packed <- err
		}()
		resp, err := cli.ImageBuild(ctx, pr, opts)
		_ = pr.Close() // an engine that answers early does not read on; then pack ends
		if packErr := <-packed; packErr != nil && !errors.Is(packErr, io.ErrClosedPipe) {
			err = packErr
			if resp.Body != nil {
				_ = resp.Body.Close() // what it says of half a folder is of no interest
			}
		}
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		id, err := readBuild(resp.Body, progress)
		if err != nil {
			return err
		}
		r, err := cli.ImageInspect(ctx, id)
		if err != nil {
			return err
		}
		img, err = imageOf(r)
		return err
	})
	if err != nil && buildCtx.Err() != nil && ctx.Err() == nil {
		return supervisor.Image{}, fmt.Errorf("cannot %s: it did not end within %s", what, b.Timeout)
	}
	return img, err
}

// labelBuilt marks the images that were built, so that they are found when their name has gone to a later build.
const labelBuilt = labelPrefix + "built"

func (e *Engine) builtFor(whose string) string { return e.cfg.House + "/" + whose }

// Built lists the images that were built for somebody by this appliance.
func (e *Engine) Built(ctx context.Context, whose string) ([]trust.Digest, error) {
	var out []trust.Digest
	err := e.call(ctx, e.cfg.CallTimeout, "list the images built for "+whose, func(ctx context.Context, cli *client.Client) error {
		list, err := cli.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelBuilt+"="+e.builtFor(whose)))})
		if err != nil {
			return err
		}
		out = nil
		for _, i := range list {
			id, err := trust.ParseDigest(i.ID)
			if err != nil {
				return fmt.Errorf("the engine names an image strangely: %w", err)
			}
			out = append(out, id)
		}
		return nil
	})
	return out, err
}

// buildEvent is one line of the engine's report on a build.
type buildEvent struct {
	Stream string `json:"stream"`
	Aux    struct {
		ID string `json:"ID"`
	} `json:"aux"`
	Error struct {
		Message string `json:"message"`
	} `json:"errorDetail"`
}

// readBuild reads a report to its end and returns the image's ID. As with a pull, errors come in the stream.
func readBuild(r io.Reader, progress func(line string)) (id string, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEventBytes)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var ev buildEvent
		if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
			return "", fmt.Errorf("cannot read the engine's report on the build: %w", err)
		}
		if ev.Error.Message != "" {
			return "", errors.New(ev.Error.Message)
		}
		if ev.Aux.ID != "" {
			id = ev.Aux.ID
		}
		if text := strings.TrimRight(ev.Stream, "\r\n"); text != "" {
			progress(text)
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("cannot read the engine's report on the build: %w", err)
	}
	if id == "" {
		return "", errors.New("the engine's report on the build ends without an image")
	}
	return id, nil
}
