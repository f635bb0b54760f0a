package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/health"
	"github.com/castellan/castellan/supervisor/spec"
)

// Times of a watchdog. Those of tries and probes are Home Assistant's.
const (
	lookEvery    = 30 * time.Second // without any event
	lookGap      = time.Second      // between looks, however many events come
	lookLimit    = 30 * time.Second // for the engine's answer
	firstPause   = 10 * time.Second // between what went wrong and the first try; doubles with each
	lastPause    = 20 * time.Second // before it gives up: what ends with its engine is seen ended that long before
	mostTries    = 5
	forgetAfter  = 10 * time.Minute // of steady running, tries are forgotten
	restartLimit = 5 * time.Minute  // of a try, besides the time that the service has for stopping
	probeEvery   = 2 * time.Minute
	probeAfter   = 2 * time.Minute // the start
	probeLimit   = 10 * time.Second
	mostMisses   = 2 // in a row
)

// parallel bounds the tries under way at the same time, and the probes.
const parallel = 4

// Kind says what an [Event] is about, in the engine's words.
type Kind string

// Kinds of events that a watchdog listens to; it passes over others.
const (
	Connected Kind = "connected" // the engine answers from here on, and may have been restarted
	Away      Kind = "away"      // the engine cannot be reached
	Died      Kind = "die"
	Sick      Kind = "health_status" // what the image's own health check says has changed
)

// Event is a hint of the engine that something happened to a container of this appliance. What it is about is looked
// up, so that it may be late, come twice, or be lost.
type Event struct {
	Kind    Kind
	Service string // "" for Connected and Away
}

// Tender is the supervisor as the watchdog sees it. Its calls may be made at the same time.
type Tender interface {
	Services() ([]supervisor.Status, error)
	// Risen tells that the services were started since the engine returned.
	Risen() bool
	// EngineReturned asks to start them. It returns at once.
	EngineReturned()
	// Restart stops a service if it runs and starts it. It is refused while a change is open or the service is stopped.
	Restart(ctx context.Context, service, why string) error
	// Ended keeps a service that does not run from being started again by itself.
	Ended(ctx context.Context, service, why string) error
}

// Containers is the engine as the watchdog sees it.
type Containers interface {
	List(ctx context.Context, service string) ([]supervisor.Container, error) // "" = of all
}

var _ Tender = (*supervisor.Manager)(nil)

// Watchdog starts tended services again that ended by themselves, are unhealthy by their image's own health check, or
// do not answer, if they have asked for it and must run. It tries five times, later each time, and forgets the tries
// after ten minutes of steady running. Then one that has ended stays so until its owner starts it; one that runs is
// left running, as it is. Nothing is concluded while the engine is away, while the services are being started after
// its return, or from what a change does.
//
// Nothing of it is kept: a restart of the daemon counts anew.
type Watchdog struct {
	house  Tender
	engine Containers
	log    *slog.Logger
	probe  func(ctx context.Context, t health.Target, c spec.Check) error

	wake chan struct{} // asks for a look

	mu      sync.Mutex
	away    bool
	turn    int                 // counts what the engine's coming and going made stale
	guarded map[string]*guarded // by service
	trying  map[string]bool     // services that are being restarted or given up
	probing map[string]bool
}

// NewWatchdog makes a Watchdog; it does nothing before [Watchdog.Run].
func NewWatchdog(h Tender, c Containers, log *slog.Logger) *Watchdog {
	return &Watchdog{
		house: h, engine: c, log: log, probe: health.Probe, wake: make(chan struct{}, 1),
		guarded: map[string]*guarded{}, trying: map[string]bool{}, probing: map[string]bool{},
	}
}

// Hear takes an event in. It returns at once, so that whoever reads the engine's events never falls behind; a flood of
// them causes one look a second.
func (w *Watchdog) Hear(e Event) {
	switch e.Kind {
	case Connected, Away:
		w.interrupted(func() { w.away = e.Kind == Away })
		if e.Kind == Connected {
			w.house.EngineReturned()
		}
	case Died, Sick:
	default:
		return
	}
	w.look()
}

// look asks for one.
func (w *Watchdog) look() {
	select {
	case w.wake <- struct{}{}:
	default: // one is asked for already
	}
}

// interrupted forgets what was seen of an engine that goes or came back: what ended may have ended with it, and so may
// have what was started a moment before. note is called with mu held.
func (w *Watchdog) interrupted(note func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	note()
	w.turn++
	now := time.Now()
	for _, g := range w.guarded {
		if g.tries > 0 && now.Sub(g.tried) < lastPause {
			g.tries--
		}
		g.due, g.tried, g.misses, g.well = time.Time{}, time.Time{}, 0, now
	}
}

// Run watches until ctx ends; it returns when nothing of it runs any more.
func (w *Watchdog) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		next, err := w.once(ctx, &wg)
		if err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "the watchdog cannot look after the services", "error", err)
		}
		if !pause(ctx, lookGap, nil) || !pause(ctx, next-lookGap, w.wake) {
			return nil
		}
	}
}

// pause tells whether d passed, or something came from early, before ctx ended.
func pause(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-early:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
