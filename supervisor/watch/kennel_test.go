package watch

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/health"
	"github.com/castellan/castellan/supervisor/spec"
)

// kennel is a supervisor and an engine of tended services with watchdogs, in a bubble's time. It holds callers to the
// contract of both, and notes what was done and when.
type kennel struct {
	t  *testing.T
	w  *Watchdog
	mu sync.Mutex

	began  time.Time
	status map[string]*supervisor.Status
	box    map[string]*supervisor.Container
	did    []string
	looks  int
	rising bool
	gone   bool // the engine

	life    time.Duration               // of what is restarted; 0 = it stays
	sick    bool                        // what is restarted is unhealthy, 5 s later
	restart func(context.Context) error // instead of a restart of radio
	answer  func() error                // to probes
	asked   int
	hang    bool          // the engine's listing
	takes   time.Duration // a restart, and a probe
	now     map[string]int
	most    map[string]int // of them at the same time
}

// guard runs a watchdog over services until story returns.
func guard(t *testing.T, story func(x *kennel), services ...string) *kennel {
	x := &kennel{t: t, began: time.Now(), status: map[string]*supervisor.Status{}, box: map[string]*supervisor.Container{},
		now: map[string]int{}, most: map[string]int{}}
	for _, name := range append(services, "radio") {
		check := []spec.Check{{Name: "web", HTTP: &spec.HTTPCheck{URL: "http://:80/"}}, {Name: "not asked", Exec: &spec.ExecCheck{Command: []string{"x"}}}}
		x.status[name] = &supervisor.Status{Current: &supervisor.Slot{Container: "id-" + name},
			Service: supervisor.Service{Name: name, Tended: true, Watchdog: true, Health: spec.Health{Checks: check}}}
		x.box[name] = &supervisor.Container{ID: "id-" + name, Service: name, Running: true, Started: x.began.Add(-time.Hour)}
	}
	x.w = NewWatchdog(x, x, slog.New(slog.DiscardHandler))
	x.w.probe = func(ctx context.Context, _ health.Target, c spec.Check) error {
		x.mu.Lock()
		x.asked++
		answer := x.answer
		x.lasts("probe")
		x.mu.Unlock()
		if d, ok := ctx.Deadline(); !ok || time.Until(d) > probeLimit || c.HTTP == nil {
			t.Errorf("probe of %q without a limit", c.Name)
		}
		if answer == nil {
			return nil
		}
		return answer()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.w.Run(ctx) }()
	x.pass(65 * time.Second) // between two looks
	x.began = time.Now()
	story(x)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return x
}

// pass lets time pass until all is quiet.
func (x *kennel) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// with changes something of radio, or of what else is in the kennel.
func (x *kennel) with(f func(s *supervisor.Status, k *supervisor.Container)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(x.status["radio"], x.box["radio"])
}

func (x *kennel) die(name string, exit int) {
	x.mu.Lock()
	x.box[name].Running, x.box[name].ExitCode = false, exit
	x.mu.Unlock()
	x.w.Hear(Event{Kind: Died, Service: name})
}

func (x *kennel) sicken() {
	x.with(func(_ *supervisor.Status, k *supervisor.Container) { k.Health = "unhealthy" })
	x.w.Hear(Event{Kind: Sick, Service: "radio"})
}

func (x *kennel) leave(gone bool) {
	x.with(func(*supervisor.Status, *supervisor.Container) { x.gone = gone })
}
func (x *kennel) answers(answer func() error) {
	x.with(func(*supervisor.Status, *supervisor.Container) { x.answer = answer })
}
func (x *kennel) restarts(instead func(context.Context) error) {
	x.with(func(*supervisor.Status, *supervisor.Container) { x.restart = instead })
}

// lasts lets what takes its time take it. Callers hold mu.
func (x *kennel) lasts(what string) {
	x.now[what]++
	x.most[what] = max(x.most[what], x.now[what])
	x.mu.Unlock()
	time.Sleep(x.takes)
	x.mu.Lock()
	x.now[what]--
}

func (x *kennel) note(format string, args ...any) {
	at := time.Since(x.began).Round(time.Second)
	x.did = append(x.did, fmt.Sprintf("%v ", at)+fmt.Sprintf(format, args...))
}

func (x *kennel) Services() (out []supervisor.Status, _ error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(x.status)) {
		out = append(out, *x.status[name])
	}
	return out, nil
}

func (x *kennel) List(ctx context.Context, _ string) (out []supervisor.Container, _ error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.looks++; x.gone {
		return nil, fmt.Errorf("cannot list: %w", supervisor.ErrEngineAway)
	}
	if x.hang {
		x.mu.Unlock()
		defer x.mu.Lock()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, k := range x.box {
		out = append(out, *k)
	}
	return out, nil
}

func (x *kennel) Risen() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.rising
}

// EngineReturned starts what must run within three seconds, as the supervisor does.
func (x *kennel) EngineReturned() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rising = true
	x.note("bring up")
	time.AfterFunc(3*time.Second, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.rising = false
		for name, k := range x.box {
			if !k.Running && x.status[name].Stopped == "" {
				k.Running, k.Started = true, time.Now()
			}
		}
	})
}

func (x *kennel) Restart(ctx context.Context, name, why string) error {
	if d, ok := ctx.Deadline(); !ok || time.Until(d) > time.Hour {
		x.t.Error("a restart without a deadline")
	}
	x.mu.Lock()
	s, k, instead := x.status[name], x.box[name], x.restart
	defer x.mu.Unlock()
	x.note("restart %s: %s", name, strings.TrimSuffix(why, " of its watchdog"))
	x.lasts("restart")
	switch {
	case s.Open != "":
		return &supervisor.BusyError{Service: name, Change: s.Open}
	case s.Stopped != "":
		return supervisor.ErrStopped
	case instead != nil && name == "radio":
		x.mu.Unlock()
		defer x.mu.Lock()
		return instead(ctx)
	}
	k.Running, k.Started, k.Health = true, time.Now(), ""
	if x.life > 0 {
		time.AfterFunc(x.life, func() { x.die(name, 3) })
	}
	if x.sick {
		time.AfterFunc(5*time.Second, x.sicken)
	}
	return nil
}

func (x *kennel) Ended(_ context.Context, name, why string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.note("ended %s: %s", name, why)
	x.status[name].Stopped = why
	return nil
}
