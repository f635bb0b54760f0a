package supervisor

import (
	"context"
	"fmt"
	"testing"
)

// manyAddons is an appliance on which n add-ons run.
func manyAddons(t testing.TB, n int) *world {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("app%02d", i))
	}
	w := newWorld(t, names...)
	t.Cleanup(w.close)
	w.tend()
	for _, name := range names {
		s := w.tended[name]
		s.Health.Checks, s.Health.Settle = nil, 1
		w.tended[name] = s
	}
	w.awake("1", names...)
	return w
}

// TestALookAsksForEachContainerOnce: a look with 30 add-ons every half minute must not keep a small appliance busy.
func TestALookAsksForEachContainerOnce(t *testing.T) {
	const n = 30
	w := manyAddons(t, n)
	if got := len(w.running()); got != n {
		t.Fatalf("%d run", got)
	}
	w.engine.requests.Store(0)
	if err := w.m.Ensure(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := w.engine.requests.Load(); got > 2*n+1 {
		t.Errorf("a look at %d add-ons takes %d requests, want at most %d", n, got, 2*n+1)
	} else {
		t.Logf("%d requests", got)
	}
}

// TestALookWaitsForAnEngineThatIsAwayOnce and not once for each service.
func TestALookWaitsForAnEngineThatIsAwayOnce(t *testing.T) {
	w := manyAddons(t, 5)
	asked := 0
	w.tap.deny = func(call string) error {
		if call == "list" {
			asked++
			return ErrEngineAway
		}
		return nil
	}
	if err := w.m.Ensure(context.Background()); err == nil || asked != 1 {
		t.Errorf("it asked %d times: %v", asked, err)
	}
}
