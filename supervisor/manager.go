package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/updater"
)

// Config is what a [Manager] works with. All interfaces must be set.
type Config struct {
	Journal    Journal
	Images     Images
	Containers Containers
	Fetcher    Fetcher
	Authority  Authority
	Story      Story
	Snapshots  Snapshots

	Services []Service
	Log      *slog.Logger           // nil = silent
	Now      func() time.Time       // nil = time.Now; only for what people read
	Parallel int                    // steps under way at the same time, 0 = 2
	Every    time.Duration          // between looks at whether everything runs that must, 0 = 30 s
	Observe  func(Change, Progress) // is told of each new state and of progress within one; must return at once
}

// Progress is how far the step out of a change's state is: bytes of a pull, or passes of a health check. The zero
// Progress comes with a new state.
type Progress struct {
	Done, Total int64
	Check       string // name of the check, "" for a pull
	Trouble     string // why the last try of the check failed, "" = it passed
}

// BusyError says that a service has an open change.
type BusyError struct{ Service, Change string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("cannot change %q: change %s is under way; wait for it to end", e.Service, e.Change)
}

// Errors a caller branches on.
var (
	ErrUnknown    = errors.New("there is no such service")
	ErrNoPrevious = errors.New("there is no previous version to go back to")
)

// Manager runs changes: one at a time for a service, several at a time for several. It is safe for concurrent use.
type Manager struct {
	cfg   Config
	slots chan struct{} // steps under way

	mu       sync.Mutex
	services map[string]Service
	owners   map[string]chan struct{} // service -> holds a token while its containers are worked on
	news     chan struct{}            // closed when a change has moved
	start    func(Change)             // set while Run runs
	remade   map[string]time.Time     // when a lost container was last made anew
}

// New makes a Manager. It does nothing before [Manager.Run].
func New(c Config) (*Manager, error) {
	if c.Journal == nil || c.Images == nil || c.Containers == nil || c.Fetcher == nil || c.Authority == nil || c.Story == nil || c.Snapshots == nil {
		return nil, errors.New("cannot supervise: a part is missing in the supervisor's Config")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	m := &Manager{
		cfg: c, slots: make(chan struct{}, cmpOr(c.Parallel, 2)), owners: map[string]chan struct{}{},
		news: make(chan struct{}), remade: map[string]time.Time{},
	}
	return m, m.SetServices(c.Services)
}

var goodName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)

// SetServices replaces the configured services. Changes under way keep the settings they were submitted with, running
// containers theirs until the next change or [Manager.Recreate]. A service that is left out keeps running.
func (m *Manager) SetServices(list []Service) error {
	services := map[string]Service{}
	for _, s := range list {
		if !goodName.MatchString(s.Name) {
			return fmt.Errorf("cannot supervise %q: a service name has lower-case letters, digits, and . _ - inside, at most 64", s.Name)
		}
		if _, twice := services[s.Name]; twice {
			return fmt.Errorf("cannot supervise %q: it is configured twice", s.Name)
		}
		services[s.Name] = s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.services = services
	return nil
}

// Run recovers and supervises until ctx ends; it returns when nothing of it runs any more. Recovery is not a mode:
// open changes go on where they were, and what the journal says must run is started. Stopping is no failure of a
// change: it stays open.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	first, done := context.WithTimeout(ctx, retryMost)
	if err := m.Ensure(first); err != nil { // again below; the engine may come later than we do
		m.cfg.Log.WarnContext(ctx, "not everything runs that must", "error", err)
	}
	done()

	m.mu.Lock()
	m.start = func(c Change) { wg.Go(func() { m.run(ctx, c) }) }
	open, err := m.openChanges()
	for _, c := range open {
		if c.State == StateStuck { // the cause may be gone
			c = c.retried()
			if err := m.save(c); err != nil { // its next state says it too
				m.cfg.Log.ErrorContext(ctx, "cannot keep the state of a change", "change", c.ID, "error", err)
			}
		}
		m.start(c)
	}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.start = nil
		m.mu.Unlock()
	}()
	if err != nil {
		return err
	}
	for sleep(ctx, cmpOr(m.cfg.Every, 30*time.Second)) {
		if err := m.Ensure(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.WarnContext(ctx, "not everything runs that must", "error", err)
		}
	}
	return nil
}

// Submit makes changes of a plan's steps, durably, and starts them when [Manager.Run] runs. Of a plan that moves
// together, the steps of the channel are taken as one or not at all. Errors name the service; a [*BusyError] names
// its open change.
func (m *Manager) Submit(ctx context.Context, p updater.Plan) (taken []Change, errs []error) {
	var alone, set []Change
	whole := true
	for _, s := range p.Steps {
		def, ok := m.definition(s.Service)
		if !ok {
			errs = append(errs, fmt.Errorf("cannot update %q: %w; add it to the configuration", s.Service, ErrUnknown))
			whole = whole && s.Channel == nil
			continue
		}
		if s.Class != "" {
			def.Class = s.Class
		}
		c := Change{
			Service: def, Kind: KindUpdate, Action: s.Action, Reference: s.To.Reference, Version: s.To.Version,
			Promised: s.To.Digest, Channel: s.Channel, Requires: s.Requires,
		}
		if p.Together && s.Channel != nil {
			set = append(set, c)
		} else {
			alone = append(alone, c)
		}
	}
	if whole && len(set) > 0 {
		t, e := m.take(ctx, set, true)
		taken, errs = append(taken, t...), append(errs, e...)
	}
	t, e := m.take(ctx, alone, false)
	return append(taken, t...), append(errs, e...)
}

// Rollback goes back to the previous slot. Its image is kept; when it is lost it is fetched again by its digest.
func (m *Manager) Rollback(ctx context.Context, service string) (Change, error) {
	w, err := m.row(service)
	switch {
	case err != nil:
		return Change{}, err
	case w.Previous == nil:
		return Change{}, fmt.Errorf("cannot roll back %q: %w", service, ErrNoPrevious)
	}
	return m.takeOne(ctx, Change{
		Service: m.definitionOr(service, w.Service), Kind: KindRollback, Action: trust.Rollback, Version: w.Previous.Version,
		Channel: w.Previous.Channel, To: w.Previous,
	})
}

// Recreate makes the container of a service anew from the image it runs, with its settings of now.
func (m *Manager) Recreate(ctx context.Context, service string) (Change, error) {
	w, err := m.row(service)
	switch {
	case err != nil:
		return Change{}, err
	case w.Current == nil:
		return Change{}, fmt.Errorf("cannot recreate %q: %w that is installed", service, ErrUnknown)
	}
	to := *w.Current
	to.Container = ""
	return m.takeOne(ctx, Change{
		Service: m.definitionOr(service, w.Service), Kind: KindRecreate, Action: trust.Rejudge, Version: to.Version, Channel: to.Channel, To: &to,
	})
}

// Remove uninstalls a service: its containers and images go, its data stays. Core and supervisor cannot be removed.
func (m *Manager) Remove(ctx context.Context, service string) (Change, error) {
	w, err := m.row(service)
	switch {
	case err != nil:
		return Change{}, err
	case w.Current == nil:
		return Change{}, fmt.Errorf("cannot remove %q: %w that is installed", service, ErrUnknown)
	case isCore(w.Service.Class):
		return Change{}, fmt.Errorf("cannot remove %q: the appliance needs it", service)
	}
	return m.takeOne(ctx, Change{Service: w.Service, Kind: KindRemove, Version: w.Current.Version})
}

func isCore(c trust.Class) bool { return c == trust.ClassCore || c == trust.ClassSupervisor }

func (m *Manager) takeOne(ctx context.Context, c Change) (Change, error) {
	taken, errs := m.take(ctx, []Change{c}, false)
	if len(errs) > 0 {
		return Change{}, errs[0]
	}
	return taken[0], nil
}

// take puts new changes into the journal, all in one transaction.
func (m *Manager) take(ctx context.Context, todo []Change, together bool) (taken []Change, errs []error) {
	if err := ctx.Err(); err != nil || len(todo) == 0 {
		return nil, errorList(err)
	}
	now := m.now()
	err := m.cfg.Journal.Update(func(tx *state.Tx) error {
		for _, c := range todo {
			name := c.Service.Name
			if o, busy, err := openChange(tx, name); err != nil {
				return err
			} else if busy {
				errs = append(errs, &BusyError{name, o.ID})
				continue
			}
			w, _, err := get[row](tx, serviceBucket, name)
			if err != nil {
				return err
			}
			c.Format, c.ID, c.State, c.Created, c.Updated, c.From = rowFormat, newID(now), StatePlanned, now, now, w.Current
			if c.Kind == KindUpdate && c.From == nil {
				c.Kind = KindInstall
			}
			taken = append(taken, c)
		}
		if together && len(errs) > 0 {
			taken = nil
			return nil
		}
		if together && len(taken) > 1 {
			s := set{Format: rowFormat, ID: taken[0].ID}
			for i := range taken {
				taken[i].Set = s.ID
				s.Members = append(s.Members, taken[i].ID)
			}
			if err := put(tx, setBucket, s.ID, s); err != nil {
				return err
			}
		}
		for _, c := range taken {
			if err := put(tx, changeBucket, c.ID, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, []error{err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range taken {
		if m.start != nil {
			m.start(c)
		}
	}
	return taken, errs
}

func errorList(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}

// Retry sends a stuck change on its way back again.
func (m *Manager) Retry(ctx context.Context, id string) error {
	c, err := m.Change(id)
	if err != nil {
		return err
	}
	if !c.Resting() || c.State != StateStuck {
		return fmt.Errorf("cannot retry change %s: it is %s, not stuck", id, c.State)
	}
	c = c.retried()
	if err := m.save(c); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.start != nil {
		m.start(c)
	}
	return ctx.Err()
}

func (c Change) retried() Change {
	c.State, c.Attempts, c.Record = StateRollingBack, 0, 0
	return c
}

// Wait returns the change once it rests: it has ended, or it is stuck.
func (m *Manager) Wait(ctx context.Context, id string) (Change, error) {
	for {
		news := m.woken()
		c, err := m.Change(id)
		if err != nil || c.Resting() {
			return c, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return c, ctx.Err()
		}
	}
}

// Change returns one change.
func (m *Manager) Change(id string) (c Change, err error) {
	err = m.cfg.Journal.View(func(tx *state.Tx) (err error) {
		var ok bool
		if c, ok, err = get[Change](tx, changeBucket, id); err == nil && !ok {
			err = fmt.Errorf("there is no change %.60q", id)
		}
		return err
	})
	return c, err
}

// Changes returns all changes that are kept, oldest first: the open ones and the last that ended.
func (m *Manager) Changes() (list []Change, err error) {
	err = m.cfg.Journal.View(func(tx *state.Tx) (err error) {
		list, err = all[Change](tx, changeBucket)
		return err
	})
	return list, err
}

func (m *Manager) openChanges() ([]Change, error) {
	list, err := m.Changes()
	return slices.DeleteFunc(list, func(c Change) bool { return !c.Open() }), err
}

// Services returns every service that is configured or installed, by name.
func (m *Manager) Services() ([]Status, error) {
	m.mu.Lock()
	known := map[string]Status{}
	for n, s := range m.services {
		known[n] = Status{Service: s, Configured: true}
	}
	m.mu.Unlock()
	err := m.cfg.Journal.View(func(tx *state.Tx) error {
		rows, err := all[row](tx, serviceBucket)
		if err != nil {
			return err
		}
		for _, w := range rows {
			s, ok := known[w.Service.Name]
			if !ok && w.Current == nil {
				continue // an installation that failed and is not wanted any more
			}
			if !ok {
				s.Service = w.Service
			}
			s.Current, s.Previous, s.Stopped, s.Failed = w.Current, w.Previous, w.Stopped, w.Failed
			known[w.Service.Name] = s
		}
		list, err := all[Change](tx, changeBucket)
		for _, c := range list {
			if s, ok := known[c.Service.Name]; ok && c.Open() {
				s.Open, s.Stuck = c.ID, c.State == StateStuck
				known[c.Service.Name] = s
			}
		}
		return err
	})
	out := make([]Status, 0, len(known))
	for _, s := range known {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Service.Name, b.Service.Name) })
	return out, err
}

// row returns what the journal knows of a service, the zero row when nothing.
func (m *Manager) row(service string) (w row, err error) {
	err = m.cfg.Journal.View(func(tx *state.Tx) (err error) {
		w, _, err = get[row](tx, serviceBucket, service)
		return err
	})
	return w, err
}

// firstResolved is when manifest was first found for a service: now, unless the journal knows better.
func (m *Manager) firstResolved(service string, manifest trust.Digest) time.Time {
	if w, err := m.row(service); err == nil { // not knowing only lengthens the patience with a ledger that lags
		for _, s := range w.Seen {
			if s.Manifest == manifest {
				return s.At
			}
		}
	}
	return m.now()
}

func (m *Manager) definition(service string) (Service, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.services[service]
	return s, ok
}

func (m *Manager) definitionOr(service string, other Service) Service {
	if s, ok := m.definition(service); ok {
		return s
	}
	return other
}

func (m *Manager) now() time.Time { return m.cfg.Now().UTC().Round(0) }

func (m *Manager) observe(c Change, p Progress) {
	if m.cfg.Observe != nil {
		m.cfg.Observe(c, p)
	}
}

// woken returns a channel that is closed when a change has moved after this call.
func (m *Manager) woken() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.news
}

func (m *Manager) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.news)
	m.news = make(chan struct{})
}

// owner is the token that allows one at a time to work on a service's containers.
func (m *Manager) owner(service string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.owners[service] == nil {
		m.owners[service] = make(chan struct{}, 1)
	}
	return m.owners[service]
}

func (m *Manager) lock(ctx context.Context, service string) (unlock func(), ok bool) {
	o := m.owner(service)
	select {
	case o <- struct{}{}:
		return func() { <-o }, true
	case <-ctx.Done():
		return nil, false
	}
}

func (m *Manager) tryLock(service string) (unlock func(), ok bool) {
	o := m.owner(service)
	select {
	case o <- struct{}{}:
		return func() { <-o }, true
	default:
		return nil, false
	}
}

func cmpOr[T int | time.Duration](v, zero T) T {
	if v <= 0 {
		return zero
	}
	return v
}
