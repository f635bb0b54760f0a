package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/engine"
	"github.com/castellan/castellan/supervisor/jobs"
	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/supervisor/watch"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/updater"
	"github.com/castellan/castellan/updater/decisions"
	"github.com/castellan/castellan/updater/registry"
)

// house is one appliance: every part of the daemon, opened in the order in which they need each other. It implements
// api.Backend; what a part does is in its own package.
type house struct {
	log     *slog.Logger
	path    string         // configuration file
	began   *config.Config // as it was at the start
	closers []io.Closer

	audit     *audit.Log
	memory    *trust.Memory
	clock     *trust.Clock
	roots     *roots
	replica   *ledger.Replica // of the root's ledger
	ledgers   *ledgers        // with those of repositories
	owner     *owner          // with the house key
	gate      *trust.Gate
	engine    *engine.Engine
	resolver  *registry.Resolver
	loopback  *registry.Server
	manager   *supervisor.Manager
	withdrawn *watch.Withdrawals
	poller    *updater.Poller
	journal   *state.Journal
	addons    addonHouse
	backups   *backupHouse
	api       *api.Server
	about     engineSays
	lan       *lanAPI          // for people on the network
	decisions *decisions.Store // of the owner, on updates
	sizes     sizes            // of images that plans name
	skips     skipStory        // for whoever holds the turn

	jobs   *jobs.Manager // what outlives its call
	jobIDs *jobNotes
	news   *news
	live   context.Context // ends when the daemon begins to stop
	end    context.CancelFunc

	acts     ownActs       // what add-ons have done to themselves
	progress progress      // of changes under way
	days     verdictDays   // for whom the log is too long to read
	kick     chan struct{} // asks the update loop for a turn
	turn     chan struct{} // holds a token during one turn of the update loop

	mu      sync.Mutex // guards the rest
	cfg     *config.Config
	loaded  time.Time
	cfgErr  string
	syncErr string
	pollErr string
	plan    updater.Plan
	state   string

	turnBegan time.Time // of the turn under way, zero = none

	mark     engineMark // what is known of the engine; it has a lock of its own
	checking sync.Mutex // holds who checks Core's configuration
}

var _ api.Backend = (*house)(nil)

// openHouse opens everything below the data folder. The first start of an appliance makes what is missing; after that
// a missing file is an error of the part that kept it, never a fresh start.
func openHouse(ctx context.Context, path string, cfg *config.Config, log *slog.Logger) (_ *house, err error) {
	h := &house{log: log, path: path, began: cfg, cfg: cfg, loaded: time.Now(), kick: make(chan struct{}, 1), turn: make(chan struct{}, 1), state: "startup",
		sizes: sizes{turn: make(chan struct{}, 1)}}
	h.live, h.end = context.WithCancel(ctx)
	h.news = newNews(h.live, log)
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	data := func(name string) string { return filepath.Join(cfg.DataDir, name) }
	if err := durable.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make data_dir: %w", err)
	}
	lock, err := durable.Lock(data("lock"))
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("another castellan runs on data_dir %s; stop it first", cfg.DataDir)
	} else if err != nil {
		return nil, err
	}
	h.opened(lock)
	early := h.openEarly(cfg, data("access"))
	defer func() { early.close(ctx, err) }()
	for _, dir := range []string{"", "log", "root", "ledger", "ledgers", "house"} { // not the snapshots: what is in there is the services'
		if err := durable.Sweep(data(dir)); err != nil {
			h.log.Warn("cannot remove files that a power cut has left", "error", err) // they cost space only
		}
	}
	first, err := firstStart(data("initialised"))
	if err != nil {
		return nil, err
	}
	for _, open := range []func(context.Context, func(string) string, bool) error{
		h.openLog, h.openTrust, h.openEngine, h.openBackups, h.openSupervisor, h.openUpdater, h.openAddons,
		h.recall, h.openPeople, h.openAPI,
	} {
		if err := open(ctx, data, first); err != nil {
			return nil, err
		}
	}
	if first {
		if err := durable.WriteFile(data("initialised"), []byte("1\n"), 0o600); err != nil {
			return nil, err
		}
	}
	_, err = h.audit.Append(ctx, audit.KindBoot, map[string]any{"version": version, "first": first})
	return h, err
}

func (h *house) opened(c io.Closer) { h.closers = append(h.closers, c) }

// close closes in the reverse order of opening.
func (h *house) close() {
	if h.end != nil {
		h.end()
		h.endJobs()
	}
	for i := len(h.closers) - 1; i >= 0; i-- {
		if err := h.closers[i].Close(); err != nil {
			h.log.Warn("cannot close", "error", err) // everything that counts was synced when it was written
		}
	}
}

// run moves changes and looks for news until ctx ends.
func (h *house) run(ctx context.Context) error {
	h.setState("running")
	defer h.setState("stopping")
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.manager.Run(ctx) })
	g.Go(h.loopback.Serve)
	g.Go(func() error { <-ctx.Done(); return h.loopback.Close() })
	g.Go(func() error { h.verifyReplica(ctx); return nil })
	g.Go(func() error { return h.updates(ctx) })
	g.Go(func() error { h.daily(ctx); return nil })
	g.Go(func() error { h.runBackups(ctx); return nil })
	g.Go(func() error { h.lan.run(ctx); return nil })
	g.Go(func() error { stayLean(ctx, h.log); return nil })
	h.runAddons(ctx, func(f func(context.Context)) { g.Go(func() error { f(ctx); return nil }) })
	return g.Wait()
}

// wake asks the update loop for a turn.
func (h *house) wake() {
	select {
	case h.kick <- struct{}{}:
	default: // one is asked for already
	}
}

func (h *house) setState(s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state = s
}

func (h *house) config() *config.Config {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cfg
}

// policy is the owner's policy as it stands now.
func (h *house) policy(component string) trust.Policy {
	p := h.ownPolicy()
	if id := h.publisherOf(component); id != "" {
		p.Map = map[string]string{component: id}
	}
	return p
}

// ownPolicy is what the house itself says, without what its add-ons' repositories and manifests do.
func (h *house) ownPolicy() trust.Policy {
	c := h.config().Trust
	p := trust.Policy{House: h.housePublisher(c.House)}
	if c.Profile == "strict" {
		p.Max = 3 * 24 * time.Hour
	}
	return p
}
