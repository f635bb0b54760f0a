package supervisor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatIsHeldRestsUntilItIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		ctx := context.Background()
		must(0, w.m.Start(ctx, "radio"))
		release, err := w.m.Hold(ctx, "radio")
		if err != nil || len(w.running()) != 0 {
			t.Fatalf("got %v, running %v", err, w.running())
		}
		must(0, w.m.Ensure(ctx))
		restarted := make(chan error, 1)
		go func() { restarted <- w.m.Restart(ctx, "radio", "") }()
		synctest.Wait()
		if len(w.running()) != 0 {
			t.Error("it was started while it was held")
		}
		if err := release(ctx); err != nil || <-restarted != nil || len(w.running()) != 1 {
			t.Errorf("afterwards: %v, running %v", err, w.running())
		}

		must(0, w.m.Stop(ctx, "radio", ""))
		if release, err = w.m.Hold(ctx, "radio"); err != nil || release(ctx) != nil || len(w.running()) != 0 {
			t.Errorf("what is kept stopped: %v, running %v", err, w.running())
		}

		w.tap.deny = func(call string) error {
			if call == "stop" {
				return errors.New("it does not end")
			}
			return nil
		}
		must(0, w.m.Start(ctx, "radio"))
		if _, err := w.m.Hold(ctx, "radio"); err == nil || len(w.running()) != 1 {
			t.Errorf("what can't be stopped: %v, running %v", err, w.running())
		}
		w.tap.deny = nil

		w.submit(step("radio", "2"))
		var busy *BusyError
		if _, err := w.m.Hold(ctx, "radio"); !errors.As(err, &busy) {
			t.Errorf("with a change open: %v", err)
		}
		if _, err := w.m.Hold(ctx, "nothing"); !errors.Is(err, ErrUnknown) {
			t.Errorf("what is not there: %v", err)
		}
	})
}

// TestWhatWasHeldRunsAgainAfterAnEngineThatDidNotAnswer and was not away for long enough to be said to have returned.
func TestWhatWasHeldRunsAgainAfterAnEngineThatDidNotAnswer(t *testing.T) {
	for _, refuses := range []bool{false, true} { // to stop it, having done so
		synctest.Test(t, func(t *testing.T) {
			w := tendedWorld(t, "radio")
			w.alive(func(ctx context.Context) {
				wait(time.Second)
				starts, slow := 0, false
				w.tap.deny = func(call string) error {
					switch {
					case call == "stop" && refuses && !slow:
						w.engine.end("radio", 0)
						slow = true
						return ErrEngineAway
					case call == "start" && starts == 0:
						starts++
						return ErrEngineAway
					}
					return nil
				}
				release, err := w.m.Hold(ctx, "radio")
				if err == nil {
					err = release(ctx)
				}
				if !errors.Is(err, ErrEngineAway) {
					t.Errorf("got %v", err)
				}
				wait(5 * time.Minute)
			})
			if s := w.status("radio"); s.Stopped != "" || len(w.running()) != 1 {
				t.Errorf("refuses %v: %q, running %v", refuses, s.Stopped, w.running())
			}
		})
	}
}

// TestWhatIsHeldIsNoTrouble of a watchdog, which would give it up when it rests for long.
func TestWhatIsHeldIsNoTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		ctx := context.Background()
		must(0, w.m.Start(ctx, "radio"))
		release, err := w.m.Hold(ctx, "radio")
		must(0, err)
		must(0, w.m.Ended(ctx, "radio", "its watchdog gave up"))
		if s := w.status("radio"); !s.Held || s.Stopped != "" {
			t.Errorf("held: %+v", s)
		}
		must(0, release(ctx))
		if s := w.status("radio"); s.Held || s.Stopped != "" || len(w.running()) != 1 {
			t.Errorf("afterwards: %+v, running %v", s, w.running())
		}
	})
}
