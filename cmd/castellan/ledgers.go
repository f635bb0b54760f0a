package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/trust/ledger"
)

// Ledger is one that a repository of add-ons has of its own, as the owner pinned it when he added the repository.
type Ledger struct {
	Origin string   `json:"origin"`
	Keys   []string `json:"keys"` // note keys that sign its checkpoints, one suffices
	URLs   []string `json:"urls"` // mirrors
}

// folder names the replica. The keys are part of it: a repository that pins somebody else's origin with keys of its own
// gets a replica of its own, and cannot sign for the other.
func (l Ledger) folder() string {
	keys := slices.Sorted(slices.Values(l.Keys))
	return trust.DigestOf([]byte(l.Origin + "\n" + strings.Join(keys, "\n"))).Hex()[:32]
}

// Repositories is what the owner pinned of each repository of add-ons. It answers from memory and is safe for
// concurrent use. Entries of installed components stay when their repository is removed.
type Repositories interface {
	// LedgerOf is the ledger a component's repository has of its own; without one the root's ledger counts.
	LedgerOf(component string) (Ledger, bool)
	// Ledgers are those of all repositories, whether anything of theirs is installed or not.
	Ledgers() []Ledger
	// Publishers maps components to the publisher their repository names for them.
	Publishers() map[string]string // of components; the caller may change it
	PublisherOf(component string) string
}

// Bounds of ledgers beside the root's: how many, and how much each may keep.
const (
	maxLedgers     = 32
	maxLedgerBytes = 128 << 20
)

// ledgers are the replicas an appliance judges by (TRUST.md §5): the root's for all that the root names, and one for each
// ledger of a repository, which speaks for that repository's add-ons and for nothing else: no clock, no root document and
// no other component ever hears of it.
//
// Trust statement: a replica is pinned by the keys the owner saw, and begins at nothing when it is first used, since
// no root document anchors it. list.json says which ones there were: one that is in it and whose folder is gone is
// STATE_MISSING. Who may alter the list or a folder may hide withdrawals of that repository's publishers, and no others.
type ledgers struct {
	dir       string
	log       *slog.Logger
	roots     func() (trust.Root, trust.Reason)
	root      *ledger.Replica
	installed func() []string // components
	pin       func(component string) *trust.Pin
	note      func(ctx context.Context, kind audit.Kind, payload any)
	news      func()            // something is to be judged again
	synced    func(f *follower) // is told of each sync, nil = nobody is

	ctx    context.Context // of work in the background, ends with close
	cancel context.CancelFunc
	work   sync.WaitGroup

	repos atomic.Pointer[Repositories] // nil before use

	mu     sync.Mutex
	listed map[string]Ledger    // by folder, as on disk
	open   map[string]*follower // by folder
}

// follower is one ledger beside the root's.
type follower struct {
	Ledger
	replica *ledger.Replica // nil when it could not be opened
	ctx     context.Context // of its work in the background
	cancel  context.CancelFunc
	busy    chan struct{} // closed when the sync under way has ended, nil when none is
	err     string        // why the last sync, or opening it, failed
}

// newLedgers reads which ledgers there were; none is opened before the first sync, or before it is asked for.
func newLedgers(l *ledgers) (*ledgers, error) {
	list, err := readLedgers(l.dir)
	if err != nil {
		return nil, err
	}
	if list != nil {
		l.sweep(list)
	}
	l.listed, l.open = list, map[string]*follower{}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// sweep removes the folders that a drop which was cut has left.
func (l *ledgers) sweep(list map[string]Ledger) {
	found, _ := os.ReadDir(l.dir) // what can't be listed costs space only
	for _, e := range found {
		if _, ok := list[e.Name()]; e.IsDir() && !ok {
			if err := os.RemoveAll(filepath.Join(l.dir, e.Name())); err != nil {
				l.log.Warn("cannot remove the replica of a repository that is gone", "error", err) // it costs space only
			}
		}
	}
}

// use hands in what is pinned. Before, the root's ledger judges everything.
func (l *ledgers) use(r Repositories) { l.repos.Store(&r) }

// publishers is the map of components to publishers as repositories have it.
func (l *ledgers) publishers() map[string]string {
	if r := l.repos.Load(); r != nil {
		return (*r).Publishers()
	}
	return nil
}

// publisherOf is that of a component as its repository has it, "" = nobody in particular.
func (l *ledgers) publisherOf(component string) string {
	if r := l.repos.Load(); r != nil {
		return (*r).PublisherOf(component)
	}
	return ""
}

// of is the ledger of a component, if that is not the root's.
func (l *ledgers) of(component string) (Ledger, bool) {
	r := l.repos.Load()
	if r == nil {
		return Ledger{}, false
	}
	own, ok := (*r).LedgerOf(component)
	if !ok || l.ofRoot(own.Origin) {
		return Ledger{}, false
	}
	return own, true
}

// ofRoot tells whether an origin is the root's: then it is never anybody else's.
func (l *ledgers) ofRoot(origin string) bool {
	root, _ := l.roots()
	return slices.ContainsFunc(root.Ledgers, func(r trust.RootLedger) bool { return r.Origin == origin })
}

// offered are the ledgers of repositories: what they hold is shown with what its ledger says before it is installed.
func (l *ledgers) offered() []Ledger {
	r := l.repos.Load()
	if r == nil {
		return nil
	}
	return slices.DeleteFunc((*r).Ledgers(), func(own Ledger) bool { return l.ofRoot(own.Origin) })
}

// For is the evidence a subject is judged by, see [trust.GateConfig].
func (l *ledgers) For(s trust.Subject) (trust.Evidence, error) {
	if root, _ := l.roots(); root.Names(s) {
		return l.root, nil
	}
	return l.Evidence(s.Component)
}

// Security is the root's ledger for what another one judges, and nil for all else.
func (l *ledgers) Security(s trust.Subject) (trust.Evidence, error) {
	if root, _ := l.roots(); root.Names(s) {
		return nil, nil
	}
	if _, ok := l.of(s.Component); ok {
		return l.root, nil
	}
	return nil, nil
}

// Evidence is the replica of the ledger an add-on is judged by. It is opened when it is first asked for; one that can't
// be opened is an error, and never another ledger.
func (l *ledgers) Evidence(component string) (trust.Evidence, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own, ok := l.of(component)
	if !ok {
		return l.root, nil
	}
	f, err := l.follow(own)
	if err != nil {
		return nil, fmt.Errorf("cannot judge %q by the ledger of its repository: %w", component, err)
	}
	return f.replica, nil
}

// follow opens a replica, once. l.mu is held.
func (l *ledgers) follow(own Ledger) (*follower, error) {
	name := own.folder()
	f := l.open[name]
	if f != nil && f.replica != nil {
		f.URLs = own.URLs
		return f, nil
	}
	f = &follower{Ledger: own}
	if l.ctx.Err() != nil {
		return nil, errors.New("the appliance is stopping")
	}
	replica, err := l.openReplica(name, own)
	if err != nil {
		f.err = err.Error()
	}
	f.replica = replica
	f.ctx, f.cancel = context.WithCancel(l.ctx)
	l.open[name] = f
	if err != nil {
		f.cancel() // the next try has its own
		return nil, err
	}
	l.work.Go(func() { l.verify(f) })
	return f, nil
}

func (l *ledgers) openReplica(name string, own Ledger) (*ledger.Replica, error) {
	if own.Origin == "" || len(own.Keys) == 0 {
		return nil, fmt.Errorf("cannot follow ledger %q: its origin or key is not pinned; remove the repository and add it again", own.Origin)
	}
	config := ownConfig(filepath.Join(l.dir, name), own)
	config.Log = l.log.With("ledger", own.Origin)
	if _, ok := l.listed[name]; !ok {
		if len(l.listed) >= maxLedgers {
			return nil, fmt.Errorf("cannot follow ledger %s: %d others are followed already, which is the limit; remove a repository", own.Origin, len(l.listed))
		}
		if err := ledger.Init(config); err != nil {
			return nil, err
		}
		if err := l.list(name, &own); err != nil { // from here on its loss is noticed
			return nil, err
		}
	}
	return ledger.Open(config)
}

func ownConfig(dir string, own Ledger) ledger.Config {
	return ledger.Config{Dir: dir, Origin: own.Origin, NoteKeys: own.Keys, Mirrors: own.URLs, MaxBytes: maxLedgerBytes}
}

// verify checks the files of a replica in the background once after it was opened.
func (l *ledgers) verify(f *follower) {
	if err := f.replica.Verify(f.ctx); err != nil && f.ctx.Err() == nil {
		l.log.Error("the replica of a repository's ledger was damaged and is fetched again", "origin", f.Origin, "error", err)
		l.note(l.ctx, audit.KindRecovered, map[string]any{"replica": err.Error(), "origin": f.Origin})
		l.news()
	}
}

// Drop forgets the replica of a repository that was removed, unless something installed is still judged by it or another
// repository has it. dropped is false then: call it again when that is uninstalled or removed.
func (l *ledgers) Drop(own Ledger) (dropped bool, err error) {
	name := own.folder()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.installed() {
		bound, ok := l.of(c)
		if p := l.pin(c); ok && bound.folder() == name || p != nil && p.Ledger == own.Origin {
			return false, nil
		}
	}
	if slices.ContainsFunc(l.offered(), func(o Ledger) bool { return o.folder() == name }) {
		return false, nil
	}
	if err := l.list(name, nil); err != nil {
		return false, err
	}
	if f := l.open[name]; f != nil && f.replica != nil {
		f.cancel() // or closing waits for its mirrors
		if err := f.replica.Close(); err != nil {
			l.log.Warn("cannot close the replica of a repository that is gone", "error", err) // its files go now
		}
	}
	delete(l.open, name)
	if err := os.RemoveAll(filepath.Join(l.dir, name)); err != nil {
		return true, fmt.Errorf("cannot remove the replica of %s; it is tried again at the next start: %w", own.Origin, err)
	}
	return true, durable.SyncDir(l.dir)
}

// Close ends what goes on in the background and closes all but the root's replica.
func (l *ledgers) Close() error {
	l.mu.Lock() // nothing begins after this
	l.cancel()
	l.mu.Unlock()
	l.work.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, f := range l.open {
		if f.replica != nil {
			errs = append(errs, f.replica.Close())
		}
	}
	clear(l.open)
	return errors.Join(errs...)
}
