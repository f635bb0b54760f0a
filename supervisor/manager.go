package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
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
	Files      Files      // nil = services have none
	Neighbours Neighbours // nil = nothing can be adopted

	Services []Service
	// Define gives the definition of a service that is not among Services, as it must be for a version ("" = the one that
	// is installed). ok is false when it knows no such service. nil = there are none.
	Define   func(service, version string) (s Service, ok bool, err error)
	Log      *slog.Logger           // nil = silent
	Now      func() time.Time       // nil = time.Now; only for what people read, and for when an image was first seen
	Clock    func() bool            // whether Now is believable at this moment; nil = always
	Parallel int                    // steps under way at the same time, 0 = 2
	Starts   int                    // tended services started at the same time within a stage, 0 = 4
	Every    time.Duration          // between looks at whether everything runs that must, 0 = 30 s
	Observe  func(Change, Progress) // is told of each new state and of progress within one; must return at once
}

// Progress is how far the step out of a change's state is: bytes of a pull, or passes of a health check. The zero
// Progress comes with a new state.
type Progress struct {
	Done, Total int64
	Check       string // name of the check, "" for a pull
	Trouble     string // why the last try of the check failed, "" = it passed
	Note        string // what a pass could not look at
}

// Manager runs changes: one at a time for a service, several at a time for several. It is safe for concurrent use.
type Manager struct {
	cfg   Config
	slots chan struct{} // steps under way

	mu       sync.Mutex
	services map[string]Service
	owners   map[string]chan struct{} // service -> holds a token while its containers are worked on
	news     chan struct{}            // closed when a change has moved
	start    func(Change)             // set while Run runs; see begin
	moving   map[string]bool          // changes that have a runner, by ID
	remade   map[string]time.Time     // when a lost container was last made anew
	tended   map[string]tending       // what is known of tended services that do not run as they must
	held     map[string]bool          // services that are held
	returned chan struct{}            // asks for another pass of BringUp
	looked   chan struct{}            // asks for a look of Ensure before its time
	risen    bool                     // that pass is over; see Risen
	unkept   sync.Map                 // changes whose state no write keeps, by ID, and why not
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
	if c.Files == nil {
		c.Files = noFiles{}
	}
	if c.Neighbours == nil {
		c.Neighbours = noNeighbours{}
	}
	if c.Define == nil {
		c.Define = func(string, string) (Service, bool, error) { return Service{}, false, nil }
	}
	m := &Manager{
		cfg: c, slots: make(chan struct{}, cmpOr(c.Parallel, 2)), owners: map[string]chan struct{}{},
		news: make(chan struct{}), moving: map[string]bool{}, remade: map[string]time.Time{},
		tended: map[string]tending{}, held: map[string]bool{}, returned: make(chan struct{}, 1), looked: make(chan struct{}, 1),
	}
	return m, errors.Join(m.SetServices(c.Services), m.index())
}

// goodName is what names of configured services, and so of containers, look like. Those of add-ons are made of two slugs,
// which may have capitals.
var (
	goodName    = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)
	definedName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99}$`)
)

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
	m.look(first) // again below; the engine may come later than we do
	done()

	m.mu.Lock()
	m.start = func(c Change) {
		wg.Go(func() {
			m.run(ctx, c)
			m.ended(ctx, c.ID)
		})
	}
	open, err := m.openChanges()
	for _, c := range open {
		if c.State == StateStuck { // the cause may be gone
			c = c.retried()
			if err := m.save(c); err != nil { // its next state says it too
				m.cfg.Log.ErrorContext(ctx, "cannot keep the state of a change", "change", c.ID, "error", err)
			}
		}
		m.begin(c)
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
	wg.Go(func() { m.tend(ctx) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.looked: // what the engine starts by itself it does not after it was killed
		case <-time.After(cmpOr(m.cfg.Every, 30*time.Second)):
		}
		m.look(ctx)
	}
}

// look is Ensure by itself: what it cannot mend it says in the log, and the next look tries again.
func (m *Manager) look(ctx context.Context) {
	if err := m.Ensure(ctx); err != nil && ctx.Err() == nil {
		m.cfg.Log.WarnContext(ctx, "not everything runs that must", "error", err)
	}
}

// begin gives c a runner while Run runs, unless it has one: the journal's reader and whoever put c there may both ask.
// Callers hold mu.
func (m *Manager) begin(c Change) {
	if m.start == nil || m.moving[c.ID] {
		return
	}
	m.moving[c.ID] = true
	m.start(c)
}

// ended is called when a runner has let go of a change. One that was sent on its way again meanwhile gets the next.
func (m *Manager) ended(ctx context.Context, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.moving, id)
	if c, err := m.Change(id); err == nil && !c.Resting() && ctx.Err() == nil { // what cannot be read goes on at the next start
		m.begin(c)
	}
}

// row returns what the journal knows of a service, the zero row when nothing.
func (m *Manager) row(service string) (w row, err error) {
	err = m.cfg.Journal.View(func(tx *state.Tx) (err error) {
		w, _, err = get[row](tx, serviceBucket, service)
		return err
	})
	return w, err
}

// firstResolved is when manifest was first found for a service: now, unless the journal knows better. It is the zero
// time, unknown, while no clock is believable: an image seen in 1970 would be out of patience with a ledger that lags.
func (m *Manager) firstResolved(service string, manifest trust.Digest) time.Time {
	if w, err := m.row(service); err == nil { // not knowing only lengthens the patience with a ledger that lags
		for _, s := range w.Seen {
			if s.Manifest == manifest {
				return s.At
			}
		}
	}
	if m.cfg.Clock != nil && !m.cfg.Clock() {
		return time.Time{}
	}
	return m.now()
}

// definition is how a service is to be run at a version ("" = the installed one).
func (m *Manager) definition(service, version string) (Service, bool, error) {
	m.mu.Lock()
	s, ok := m.services[service]
	m.mu.Unlock()
	if ok {
		return s, true, nil
	}
	s, ok, err := m.cfg.Define(service, version)
	if err == nil && ok && (s.Name != service || !definedName.MatchString(service)) {
		err = fmt.Errorf("%q is no name for a service", service)
	}
	return s, ok && err == nil, err
}

func (m *Manager) definitionOr(service, version string, other Service) (Service, error) {
	s, ok, err := m.definition(service, version)
	if err != nil {
		return Service{}, fmt.Errorf("cannot tell how %q is run: %w", service, err)
	}
	if ok {
		return s, nil
	}
	return other, nil
}

func (m *Manager) now() time.Time { return m.cfg.Now().UTC().Round(0) }

func (m *Manager) observe(c Change, p Progress) {
	if m.cfg.Observe != nil {
		m.cfg.Observe(c, p)
	}
}

func cmpOr[T int | time.Duration](v, zero T) T {
	if v <= 0 {
		return zero
	}
	return v
}
