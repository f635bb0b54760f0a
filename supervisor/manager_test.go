package supervisor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
)

// afterwards runs a function once between a write and its answer.
type afterwards struct {
	Journal
	then func()
}

func (x *afterwards) Update(f func(*state.Tx) error) error {
	err := x.Journal.Update(f)
	if then := x.then; then != nil {
		x.then = nil
		then()
	}
	return err
}

func (w *world) count(call string) int {
	w.tap.mu.Lock()
	defer w.tap.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(w.tap.calls), func(c string) bool { return c != call }))
}

// A manager that starts reads the journal while an owner's request is between its row and its runner: two runners
// would make two containers of one change.
func TestAChangeThatComesWhileTheManagerStartsHasOneRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		w.tap.deny = func(call string) error {
			if call == "resolve" {
				time.Sleep(time.Second)
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		w.m.cfg.Journal = &afterwards{Journal: w.m.cfg.Journal, then: func() {
			go func() { done <- w.m.Run(ctx) }()
			synctest.Wait() // it has read the journal and works
		}}
		c := w.submit(step("radio", "1"))[0]
		if got := must(w.m.Wait(ctx, c.ID)); got.State != StateCommitted {
			t.Errorf("%s: %s", got.State, got.Why)
		}
		if n := w.count("resolve"); n != 1 {
			t.Errorf("resolved %d times, want once", n)
		}
		cancel()
		must(0, <-done)
	})
}

func TestRetryOfAStuckChangeIsTakenOnceAndByTheRunningManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		w.at("1", "radio")
		w.engine.sick[image("radio", "2").Subject.Config] = true
		failing("restore", -1, errors.New("the disk is gone"))(w)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.m.Run(ctx) }()
		c := w.submit(step("radio", "2"))[0]
		if got := must(w.m.Wait(ctx, c.ID)); got.State != StateStuck {
			t.Fatalf("%s: %s", got.State, got.Why)
		}
		w.tap.mu.Lock()
		w.tap.deny = nil
		w.tap.mu.Unlock()
		answers := make(chan error, 2)
		for range 2 { // at once, and while the runner that said "stuck" may still be leaving
			go func() { answers <- w.m.Retry(ctx, c.ID) }()
		}
		if a, b := <-answers, <-answers; (a == nil) == (b == nil) {
			t.Errorf("two retries at once: %v and %v, want one taken", a, b)
		}
		if got := must(w.m.Wait(ctx, c.ID)); got.State != StateRolledBack {
			t.Errorf("%s: %s", got.State, got.Trouble)
		}
		cancel()
		must(0, <-done)
	})
}

// A journal that was put back from an old backup knows less than the engine. That must not cost a running service.
func TestEnsureLeavesAConfiguredServiceTheJournalHasNeverHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		w.engine.containers["x"] = &Container{ID: "x", Name: "radio", Service: "radio", Change: "y", Running: true}
		if err := w.m.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.engine.list(); len(got) != 1 || !got[0].Running {
			t.Errorf("containers are %+v", got)
		}
	})
}

func TestAnEngineThatIsAwayDuringProbationIsNoFaultOfTheImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var away time.Time // since when
		w, c := update(t, func(w *world) {
			w.tap.deny = func(call string) error {
				mu.Lock()
				defer mu.Unlock()
				if call == "exec" && away.IsZero() {
					away = time.Now()
				}
				if !away.IsZero() && time.Since(away) < time.Minute && slices.Contains([]string{"exec", "list", "start", "stop"}, call) {
					return ErrEngineAway
				}
				return nil
			}
		})
		if c.State != StateCommitted || w.status("radio").Version() != "2" {
			t.Errorf("%s: %s", c.State, c.Why)
		}
	})
}

func TestImagesThatNothingNeedsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		w.at("1", "radio")
		w.at("2", "radio")
		id := func(version string) trust.Digest { return image("radio", version).Subject.Config }
		w.engine.images[id("3")] = image("radio", "3").Subject
		must(0, w.m.DropUnused(t.Context(), []trust.Digest{id("1"), id("2"), id("3")}))
		for version, want := range map[string]bool{"1": true, "2": true, "3": false} {
			if _, held := w.engine.images[id(version)]; held != want {
				t.Errorf("image of version %s is held: %v, want %v", version, held, want)
			}
		}
		w.tap.deny = func(call string) error { return map[string]error{"remove image": errors.New("it is broken")}[call] }
		if err := w.m.DropUnused(t.Context(), []trust.Digest{id("3")}); err == nil {
			t.Error("an image that cannot be removed is no error")
		}
	})
}
