package supervisor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestNothingStartsWhatIsHeldStill: who replaces the data of a service that is stopped is not overtaken by a start, and the
// start is not lost either.
func TestNothingStartsWhatIsHeldStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tendedWorld(t, "radio")
		ctx := context.Background()
		must(0, w.m.Stop(ctx, "radio", ""))
		started := make(chan error, 1)
		err := w.m.Still(ctx, "radio", func() error {
			go func() { started <- w.m.Start(ctx, "radio") }()
			synctest.Wait()
			must(0, w.m.Ensure(ctx))
			if len(w.running()) > 0 {
				t.Error("it was started while it was held")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-started; err != nil || len(w.running()) != 1 {
			t.Errorf("afterwards its start is lost: %v, running %v", err, w.running())
		}
	})
}

func TestOnlyWhatRestsIsHeldStill(t *testing.T) {
	for name, prepare := range map[string]func(w *world){
		"it must run": func(*world) {},
		"it runs although it must not": func(w *world) {
			w.tap.deny = func(call string) error {
				if call == "stop" {
					return ErrEngineAway
				}
				return nil
			}
			_ = w.m.Stop(context.Background(), "radio", "") // kept, and not done
		},
		"a change is open": func(w *world) {
			must(0, w.m.Stop(context.Background(), "radio", ""))
			w.submit(step("radio", "2"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := tendedWorld(t, "radio")
				prepare(w)
				called := false
				err := w.m.Still(context.Background(), "radio", func() error { called = true; return nil })
				var busy *BusyError
				if err == nil || called || errors.As(err, &busy) != (name == "a change is open") {
					t.Errorf("got %v, called %v", err, called)
				}
			})
		})
	}
}
