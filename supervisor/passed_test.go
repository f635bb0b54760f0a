package supervisor

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestAChangeTellsWhenItReachedEachState: for people who ask afterwards what took so long.
func TestAChangeTellsWhenItReachedEachState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		defer w.close()
		c := w.submit(step("radio", "1"))[0]
		w.run()
		got := must(w.m.Change(c.ID))
		want := []State{StateResolved, StateVerified, StatePulled, StateCreated, StateSwitched, StateHealthy, StateCommitted}
		if len(got.Passed) != len(want) {
			t.Fatalf("it passed %v, want %v", got.Passed, want)
		}
		last := got.Created
		for i, p := range got.Passed {
			if p.State != want[i] || p.At.Before(last) {
				t.Errorf("step %d is %s at %s after %s, want %s", i, p.State, p.At, last, want[i])
			}
			last = p.At
		}
	})
}

// TestAStuckChangeKeepsItsLastPassages: one that is tried for years does not grow for years.
func TestAStuckChangeKeepsItsLastPassages(t *testing.T) {
	var c Change
	for i := range 3 * mostPassed {
		c.State = []State{StateRollingBack, StateStuck}[i%2]
		c.pass(time.Unix(int64(i), 0))
	}
	if n := len(c.Passed); n != mostPassed || !c.Passed[n-1].At.Equal(time.Unix(3*mostPassed-1, 0)) {
		t.Errorf("it keeps %d, the last %v", n, c.Passed[n-1])
	}
}
