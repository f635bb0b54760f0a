// Package engine carries out the supervisor's wishes on a Docker engine, version 20.10 (API 1.41) or newer.
//
// # What it does not believe
//
// The engine is trusted to do what it says, not to answer: every call ends with its context or with a ceiling of its
// own, whichever comes first, and an error leaves it open whether the call took effect. An image is what its digest
// says, never what a tag says: images are pulled by the platform manifest's digest, containers are created from the
// image ID, and after both the engine is asked what it holds. Without a permit of the Gate neither happens. Building
// ([Engine.Build]) needs none, because it brings nothing to run: the image it leaves waits for a permit as any other.
//
// # Two image stores
//
// The classic store names an image by its config digest; containerd's, the default since Docker 29, by the manifest
// or index digest. A permit covers all three, so both are "the image".
//
// # Who owns a container
//
// Containers are found by labels only. Each carries the appliance's ID; one that carries another's is never touched,
// so two appliances may share an engine.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
)

// DefaultHost is where Docker listens unless told otherwise.
const DefaultHost = "unix:///var/run/docker.sock"

// MinAPI is the oldest API that is spoken: Docker 20.10's.
const MinAPI = "1.41"

// Config says which engine and for whom.
type Config struct {
	Host  string // "unix:///…" or "tcp://…"; DefaultHost when empty
	House string // appliance ID, the value of [supervisor.LabelHouse]; required
	Log   *slog.Logger

	// PullRef makes an image available on loopback and returns its reference, "127.0.0.1:port/repo@sha256:…" with the
	// platform manifest's digest. release is called after the pull, however it ended.
	PullRef func(ctx context.Context, s trust.Subject) (ref string, release func(), err error)

	// CallTimeout is how long the engine may take to answer, 0 = 30 s. Calls that do work (create, start, remove,
	// exec) may take four times that; stop, its own timeout more; a pull, five minutes without any progress.
	CallTimeout time.Duration
	PullStall   time.Duration // 0 = 5 m

	// Network is the one that add-ons share; the zero value is an appliance without add-ons.
	Network NetworkSpec
}

// Engine is a Docker engine. It is safe for concurrent use. It need not be reachable when it is made and may be
// restarted, upgraded or away at any time: a call that cannot reach it fails with [supervisor.ErrEngineAway].
type Engine struct {
	cfg  Config
	work time.Duration // ceiling of calls that do work

	mu       sync.Mutex
	cli      *client.Client // nil until the version is known
	networks sync.Mutex     // one network is made at a time
	api      apiHost        // where add-ons reach the daemon
}

var (
	_ supervisor.Images     = (*Engine)(nil)
	_ supervisor.Containers = (*Engine)(nil)
	_ supervisor.Neighbours = (*Engine)(nil)
)

// New makes an Engine without calling it; an error is about the configuration.
func New(cfg Config) (*Engine, error) {
	if cfg.Host == "" {
		cfg.Host = DefaultHost
	}
	if cfg.House == "" {
		return nil, errors.New("cannot use an engine without the appliance's ID: its containers could not be told from others")
	}
	if err := cfg.Network.check(); err != nil {
		return nil, fmt.Errorf("cannot use the add-ons' network: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.CallTimeout <= 0 {
		cfg.CallTimeout = 30 * time.Second
	}
	if cfg.PullStall <= 0 {
		cfg.PullStall = 5 * time.Minute
	}
	if !strings.HasPrefix(cfg.Host, "unix:///") && !strings.HasPrefix(cfg.Host, "tcp://") {
		return nil, fmt.Errorf("cannot use engine host %q: want unix:///path/of/socket or tcp://host:port", cfg.Host)
	}
	if _, err := newClient(cfg.Host); err != nil {
		return nil, fmt.Errorf("cannot use engine host %q: %w", cfg.Host, err)
	}
	return &Engine{cfg: cfg, work: 4 * cfg.CallTimeout}, nil
}

// newClient leaves version negotiation to connect, and looks at no environment variable.
func newClient(host string) (*client.Client, error) {
	return client.NewClientWithOpts(client.WithHost(host),
		client.WithHTTPHeaders(map[string]string{"User-Agent": "castellan"}))
}

// connect returns a client that speaks the engine's version. It asks once per engine: [Engine.forget] makes it ask
// again, because an engine that went away may come back upgraded.
func (e *Engine) connect(ctx context.Context) (*client.Client, error) {
	e.mu.Lock()
	cli := e.cli
	e.mu.Unlock()
	if cli != nil {
		return cli, nil
	}
	cli, err := newClient(e.cfg.Host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CallTimeout)
	defer cancel()
	ping, err := cli.Ping(ctx)
	if err != nil {
		return nil, err
	}
	if ping.APIVersion == "" {
		return nil, &VersionError{Host: e.cfg.Host}
	}
	cli.NegotiateAPIVersionPing(ping)
	if versions.LessThan(ping.APIVersion, MinAPI) {
		v, err := cli.ServerVersion(ctx)
		if err != nil {
			v.Version = "" // the API version tells enough
		}
		return nil, &VersionError{Host: e.cfg.Host, Version: v.Version, API: ping.APIVersion}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cli == nil {
		e.cli = cli
	}
	return e.cli, nil
}

// forget drops the client, unless a newer one took its place.
func (e *Engine) forget(cli *client.Client) {
	if cli == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cli == cli {
		e.cli = nil
		_ = cli.Close() // closes idle connections only
	}
}

// call runs do under a ceiling. Errors begin with "cannot" and what, and wrap one of the supervisor's where one fits.
func (e *Engine) call(ctx context.Context, ceiling time.Duration, what string, do func(context.Context, *client.Client) error) error {
	bounded, cancel := context.WithTimeout(ctx, ceiling)
	defer cancel()
	cli, err := e.connect(bounded)
	if err == nil {
		err = do(bounded, cli)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() == nil && (bounded.Err() != nil || errors.Is(err, context.DeadlineExceeded)) { // ours or connect's
		err = fmt.Errorf("%w: %s gave no answer in time", supervisor.ErrEngineAway, e.cfg.Host)
	} else {
		err = e.classify(ctx, err)
	}
	if away(err) {
		e.forget(cli)
	}
	return fmt.Errorf("cannot %s: %w", what, err)
}

// Close closes idle connections, and lets go of the API's address when its listeners are closed.
func (e *Engine) Close() error {
	e.api.close()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cli == nil {
		return nil
	}
	err := e.cli.Close()
	e.cli = nil
	return err
}

// Info is what support wants to know of an engine.
type Info struct {
	Version     string         // "20.10.24"
	API         string         // spoken with it, "1.41"
	Store       string         // "overlay2", or "containerd (overlayfs)"
	Platform    trust.Platform // of the host
	LiveRestore bool           // containers outlive the engine
	Root        string         // folder of its data
	Cgroup      string         // "1" or "2"
}

// Info asks the engine what it is. It is also how to find out that it is there and new enough.
func (e *Engine) Info(ctx context.Context) (Info, error) {
	var out Info
	err := e.call(ctx, e.cfg.CallTimeout, "ask the engine for its version", func(ctx context.Context, cli *client.Client) error {
		info, err := cli.Info(ctx)
		if err != nil {
			return err
		}
		out = Info{
			Version: info.ServerVersion, API: cli.ClientVersion(), Store: info.Driver,
			Platform: hostPlatform(info.OSType, info.Architecture), LiveRestore: info.LiveRestoreEnabled,
			Root: info.DockerRootDir, Cgroup: info.CgroupVersion,
		}
		for _, s := range info.DriverStatus {
			if s[0] == "driver-type" && strings.HasPrefix(s[1], "io.containerd.snapshotter") {
				out.Store = "containerd (" + info.Driver + ")"
			}
		}
		return nil
	})
	return out, err
}

// hostPlatform turns the machine names of uname(2), which the engine reports, into OCI's.
func hostPlatform(os, machine string) trust.Platform {
	p := trust.Platform{OS: os, Architecture: machine}
	switch {
	case machine == "x86_64":
		p.Architecture = "amd64"
	case machine == "aarch64":
		p.Architecture, p.Variant = "arm64", "v8"
	case strings.HasPrefix(machine, "armv"):
		p.Architecture, p.Variant = "arm", strings.TrimRight(strings.TrimPrefix(machine, "arm"), "l")
	case machine == "i686" || machine == "i386":
		p.Architecture = "386"
	}
	return p
}
