package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/backup"
	"github.com/castellan/castellan/supervisor/engine"
	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/supervisor/watch"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/updater"
	"github.com/castellan/castellan/updater/registry"
)

// firstStart tells whether the appliance was never initialised. A first start that was cut is a first start still.
func firstStart(marker string) (bool, error) {
	_, err := os.Stat(marker)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// made runs a part's init on the first start, unless a first start that was cut has made the part already: key is the
// file its init writes last.
func made(first bool, key string, init func() error) error {
	if !first {
		return nil
	}
	if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return init()
}

func (h *house) openLog(_ context.Context, data func(string) string, first bool) error {
	if err := made(first, data("log/device.key"), func() error { return audit.Init(data("log")) }); err != nil {
		return err
	}
	l, err := audit.Open(data("log"), audit.Options{
		OnRecord: h.news.record,
		OnHead:   func(note string) { h.log.Info("verification log head", "note", note) },
	})
	if err != nil {
		return err
	}
	h.audit = l
	h.opened(l)
	return nil
}

func (h *house) openTrust(_ context.Context, data func(string) string, first bool) (err error) {
	if err := made(first, data("trust.json"), func() error { _, err := trust.InitMemory(data("trust.json")); return err }); err != nil {
		return err
	}
	if h.memory, err = trust.OpenMemory(data("trust.json")); err != nil {
		return err
	}
	h.clock = trust.NewClock(h.memory, clockSynced)
	if h.roots, err = openRoots(h.cfg.Trust.RootDir, data("root")); err != nil {
		return err
	}
	h.roots.now = h.clock.Now
	root, _ := h.roots.current()
	if len(root.Ledgers) == 0 {
		return fmt.Errorf("cannot start: root document %d names no ledger", root.Version)
	}
	if err := errors.Join(h.clock.Root(root), h.deny(h.cfg)); err != nil {
		return err
	}
	rc := replicaConfig(root, data("ledger"))
	rc.Log = h.log.With("part", "ledger")
	if err := made(first, data("ledger/head"), func() error { return ledger.Init(rc) }); err != nil {
		return err
	}
	if h.replica, err = ledger.Open(rc); err != nil {
		return err
	}
	h.opened(h.replica)
	if h.ledgers, err = newLedgers(&ledgers{dir: data("ledgers"), log: h.log.With("part", "ledger"), roots: h.roots.current, root: h.replica,
		installed: h.components, pin: h.memory.Pin, note: h.note, news: h.wake, synced: func(f *follower) { h.news.synced(h.followerStatus(f)) }}); err != nil {
		return err
	}
	h.opened(h.ledgers)
	h.owner = openOwner(data("house"))
	if _, err := h.owner.get(); err != nil {
		h.log.Error("the house key can't be read: nothing new is let in until it is", "error", err)
	}
	h.gate, err = trust.NewGate(trust.GateConfig{
		Evidence: h.evidence, Security: h.ledgers.Security,
		Roots: h.roots.current, Policy: h.policy, Memory: h.memory, Clock: h.clock, Log: h.audit,
	})
	return err
}

// components are the names of all services that are configured or run. What can't be read now is asked for at the next
// turn.
func (h *house) components() []string {
	list, err := h.manager.Services()
	if err != nil {
		h.log.Error("cannot list the services", "error", err)
	}
	var out []string
	for _, s := range list {
		out = append(out, s.Service.Name)
	}
	return out
}

// replicaConfig is the replica of the root's ledger.
func replicaConfig(root trust.Root, dir string) ledger.Config {
	l := root.Ledgers[0]
	return ledger.Config{Dir: dir, Origin: l.Origin, NoteKeys: l.NoteKeys, Mirrors: l.URLs, Minimum: l.Minimum,
		Resume: l.Resume, Transfers: root.Transfers}
}

// publisherOf is who must vouch for a component, as the configuration says, else as its repository does; "" = nobody in particular.
func (h *house) publisherOf(component string) string {
	if id, ok := h.config().Trust.Map[component]; ok {
		return id
	}
	return h.ledgers.publisherOf(component)
}

// publishers maps all components to their publishers, as publisherOf does.
func (h *house) publishers() map[string]string {
	out := h.ledgers.publishers()
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, h.config().Trust.Map)
	return out
}

// deny makes the deny list what the configuration says.
func (h *house) deny(c *config.Config) error {
	want := map[trust.Digest]bool{}
	for _, d := range c.Trust.Deny {
		want[trust.Digest(d)] = true
		if err := h.memory.Deny(trust.Digest(d)); err != nil {
			return err
		}
	}
	for _, d := range h.memory.Denied() {
		if !want[d] {
			if err := h.memory.Undeny(d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *house) openEngine(_ context.Context, data func(string) string, _ bool) (err error) {
	creds, err := credentials(h.cfg.Registry.CredentialsFile)
	if err != nil {
		return err
	}
	up, err := registry.NewUpstream(registry.UpstreamConfig{Mirrors: h.cfg.Registry.Mirrors, Credentials: creds, Log: h.log.With("part", "registry")})
	if err != nil {
		return err
	}
	h.resolver = registry.NewResolver(up, h.platform(), 0)
	if err := durable.MkdirAll(data("registry"), 0o700); err != nil {
		return err
	}
	if h.loopback, err = registry.NewServer(registry.Config{Dir: data("registry"), Addr: h.cfg.Registry.Listen, Upstream: up,
		Rate: h.cfg.Registry.RateLimit, Log: h.log.With("part", "registry")}); err != nil {
		return err
	}
	h.opened(h.loopback) // closing it twice is fine
	h.engine, err = engine.New(engine.Config{Host: h.cfg.Engine.Host, House: h.cfg.Appliance.ID,
		Log: h.log.With("part", "engine"), PullRef: h.pullRef, Network: h.network()})
	if err != nil {
		return err
	}
	h.opened(h.engine)
	return nil
}

func (h *house) openSupervisor(_ context.Context, data func(string) string, first bool) error {
	if err := made(first, data("journal.db"), func() error { return state.Init(data("journal.db")) }); err != nil {
		return err
	}
	journal, err := state.Open(data("journal.db"))
	if err != nil {
		return err
	}
	h.opened(journal)
	h.journal = journal
	snapshots, err := backup.Open(data("snapshots"))
	if err != nil {
		return err
	}
	h.manager, err = supervisor.New(supervisor.Config{
		Journal: journal, Images: h.engine, Containers: h.engine, Fetcher: fetcher{h.resolver}, Authority: h.gate,
		Story: story{h.audit}, Snapshots: snapshots, Services: services(h.cfg), Parallel: h.cfg.Limits.Parallel,
		Files: hostFiles{}, Neighbours: h.engine, Define: h.define, Starts: h.cfg.Addons.Parallel,
		Log: h.log.With("part", "supervisor"), Observe: h.observe,
		Now: h.now, Clock: func() bool { _, ok := h.clock.Now(); return ok },
	})
	if err != nil {
		return err
	}
	h.withdrawn = watch.NewWithdrawals(h.gate, h.manager, fileStore(data("withdrawals.json")), h.now, h.log.With("part", "watch"))
	h.withdrawn.Newer = h.newer
	return nil
}

// recall has what runs judged before anybody can ask. What fails here is tried again by the first turn of the update loop, which
// says so.
func (h *house) recall(ctx context.Context, _ func(string) string, _ bool) error {
	if err := h.withdrawn.Recall(ctx); err != nil {
		h.log.Warn("cannot judge what runs at the start", "error", err)
	}
	return nil
}

func (h *house) openUpdater(_ context.Context, data func(string) string, _ bool) (err error) {
	h.openDecisions(fileStore(data("decisions.json")))
	if len(h.cfg.Channel.URLs) == 0 {
		return nil
	}
	arch := h.cfg.Appliance.Arch
	if arch == "arm64" {
		arch = "aarch64" // Home Assistant's word
	}
	h.poller, err = updater.NewPoller(updater.PollerConfig{
		Channel: updater.ChannelOptions{Name: h.cfg.Channel.Name, Machine: h.cfg.Appliance.Machine, Arch: arch, Appliance: h.cfg.Appliance.ID},
		URLs:    h.cfg.Channel.URLs,
		Records: channelRecords{h.replica, h.evidence, h.roots, h.ownPolicy},
		Store:   fileStore(data("channel.json")),
		Seed:    h.cfg.Appliance.ID,
		Log:     h.log.With("part", "channel"),
	})
	return err
}

// now is the trusted time, as good as it is known.
func (h *house) now() time.Time {
	now, _ := h.clock.Now()
	return now
}

func (h *house) platform() trust.Platform {
	p := trust.Platform{OS: "linux", Architecture: h.cfg.Appliance.Arch}
	if p.Architecture == "arm64" {
		p.Variant = "v8"
	}
	return p
}

// pullRef offers a judged image on the loopback registry while the engine pulls it.
func (h *house) pullRef(ctx context.Context, s trust.Subject) (string, func(), error) {
	offer, err := h.loopback.OfferSubject(ctx, s)
	if err != nil {
		return "", nil, err
	}
	return offer.Ref(), offer.Release, nil
}
