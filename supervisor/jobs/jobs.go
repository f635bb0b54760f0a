// Package jobs holds the work that outlives the request that asked for it: what Home Assistant's clients know as jobs,
// in its JSON, with its groups and its conditions (reference/ha-compat.md §6).
//
// What may go wrong, and what becomes of it. The client leaves: the work goes on, its job tells how it ended. The work
// panics: that is the job's error. The daemon stops: the work's context ends; nothing here is on disk, so whoever has a
// journal calls [Manager.Adopt] at the next start, with the ID that the client knows. Somebody asks for everything at
// once: groups, a bounded queue, and a bound on all that is under way. Jobs are kept after their end for a while, a
// bounded number of them, each of bounded size, so that a client that polls reads how it ended; Home Assistant forgets
// them at once.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Bounds that no setting changes.
const (
	mostOpen     = 256     // roots under way, those in the queue included
	mostOwned    = 8       // of those, of one owner
	mostChildren = 256     // of one root, at all depths; further ones run unlisted
	mostErrors   = 64      // of one root, at all depths; further ones are counted in the last
	mostText     = 4 << 10 // bytes of a message
	mostName     = 256     // bytes of a name, a reference, a stage
	mostExtra    = 16 << 10
	mostParts    = 1024
	pace         = 250 * time.Millisecond // between two reports about one job; its end is told at once
)

// Config is what a manager is made of.
type Config struct {
	Keep    int           // jobs kept after their end; 0 = 100
	KeepFor time.Duration // for how long; 0 = 24 hours
	Queue   int           // jobs that may wait for their groups; 0 = 50

	// Observe is told of each job that starts, moves and ends, internal ones excepted: in order, at most four times a
	// second each, and at once of the start and the end. It must return at once and start or move no job. nil = nobody.
	Observe func(Event)

	// Describe makes of an error that work returned what clients read; nil = type HassioError and the error's text.
	// An [Error] in the chain needs no describing.
	Describe func(error) Error

	Ignored     []string             // conditions that are switched off, as they were kept
	KeepIgnored func([]string) error // keeps them, before they are in force; nil = nobody does

	Log *slog.Logger
}

// Errors by what a caller does about them; those that are returned say more.
var (
	ErrNotFound     = errors.New("no such job")             // 404
	ErrNotDone      = errors.New("job is not done")         // 400
	ErrCannotCancel = errors.New("job cannot be cancelled") // 400
	ErrCancelled    = errors.New("cancelled")               // why a work's context ended
	ErrStopping     = errors.New("the daemon is stopping")  // why a work's context ended
	ErrTooMany      = errors.New("too many jobs")           // under way, or in the queue: later
)

// BusyError says that a group is taken. Its text is Home Assistant's; the status is 400.
type BusyError struct{ Group string }

// Error implements error.
func (e *BusyError) Error() string { return "Another job is running for job group " + e.Group }

// Manager knows all jobs. Its methods may be called at the same time.
type Manager struct {
	cfg  Config
	ctx  context.Context
	work sync.WaitGroup

	telling sync.Mutex // held while Observe is told, so that it hears in order; taken before mu

	mu      sync.Mutex
	all     map[string]*Job // children too
	roots   []*Job          // oldest first
	open    int             // roots not over
	waiting int             // in the queue, adopted ones not counted
	stopped bool
	groups  map[string]*group

	conditions ignored
}

// New makes a manager whose work ends with ctx.
func New(ctx context.Context, cfg Config) *Manager {
	if cfg.Keep == 0 {
		cfg.Keep = 100
	}
	if cfg.KeepFor == 0 {
		cfg.KeepFor = 24 * time.Hour
	}
	if cfg.Queue == 0 {
		cfg.Queue = 50
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{cfg: cfg, ctx: ctx, all: map[string]*Job{}, groups: map[string]*group{}, conditions: ignored{list: known(cfg.Ignored)}}
}

// Wait returns when no work is under way any more, or ctx ends. It is for the daemon's end: no job starts after it.
func (m *Manager) Wait(ctx context.Context) error {
	m.mu.Lock()
	m.stopped = true
	m.mu.Unlock()
	ended := make(chan struct{})
	go func() { m.work.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		m.mu.Lock()
		defer m.mu.Unlock()
		return fmt.Errorf("cannot wait for %d jobs to end: %w", m.open, context.Cause(ctx))
	}
}

// List gives the trees of all jobs that are not internal: roots newest first, children oldest first.
func (m *Manager) List() []View {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prune()
	list := []View{}
	for _, j := range slices.Backward(m.roots) {
		if !j.spec.Internal {
			list = append(list, j.view())
		}
	}
	return list
}

// Get gives one job, root or child, internal or not, and its tree.
func (m *Manager) Get(id string) (View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prune()
	j, ok := m.all[id]
	if !ok {
		return View{}, fmt.Errorf("cannot find job %.40q: %w", id, ErrNotFound)
	}
	return j.view(), nil
}

// Delete forgets a job that is over, and its children.
func (m *Manager) Delete(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prune()
	j, ok := m.all[id]
	switch {
	case !ok:
		return fmt.Errorf("cannot delete job %.40q: %w", id, ErrNotFound)
	case j.phase != over:
		return fmt.Errorf("cannot delete job %s: %w", id, ErrNotDone)
	}
	m.drop(j)
	return nil
}

// Cancel ends a job's context, if its work can be cancelled now; one that waits for its group leaves. The job is over
// when its work returns. That it is over already is no error.
func (m *Manager) Cancel(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, ok := m.all[id]
	switch {
	case !ok:
		return fmt.Errorf("cannot cancel job %.40q: %w", id, ErrNotFound)
	case j.phase == over:
		return nil
	case j.parent != nil:
		return fmt.Errorf("cannot cancel job %s: %w: it is part of job %s", id, ErrCannotCancel, j.root().id)
	case j.phase == running && !j.spec.Cancel:
		return fmt.Errorf("cannot cancel job %s: %w: its work cannot be interrupted; wait until it is over", id, ErrCannotCancel)
	case j.phase == running && j.committed:
		return fmt.Errorf("cannot cancel job %s: %w: it is past the point of return; wait until it is over", id, ErrCannotCancel)
	}
	j.cancel(ErrCancelled)
	return nil
}

// prune forgets what ended too long ago, and the oldest of what is too much. The caller holds mu.
func (m *Manager) prune() {
	before, ended := time.Now().Add(-m.cfg.KeepFor), 0
	for _, j := range m.roots {
		if j.phase == over {
			ended++
		}
	}
	for _, j := range slices.Clone(m.roots) {
		if j.phase == over && (ended > m.cfg.Keep || !j.endedAt.After(before)) {
			m.drop(j)
			ended--
		}
	}
}

// drop forgets a job and what is below it. The caller holds mu.
func (m *Manager) drop(j *Job) {
	if j.parent == nil {
		m.roots = slices.DeleteFunc(m.roots, func(r *Job) bool { return r == j })
	} else {
		j.parent.children = slices.DeleteFunc(j.parent.children, func(c *Job) bool { return c == j })
	}
	j.each(func(x *Job) { delete(m.all, x.id) })
}
