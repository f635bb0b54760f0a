package lifecycle

import (
	"testing"
	"testing/synctest"
	"time"
)

// removed is an appliance in a bubble whose radio was removed just now; its data is kept for 30 days.
func removed(t *testing.T, do func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.installed()
		if _, err := w.m.Configure(ctx, radio, Patch{Options: &map[string]any{"volume": 9}}); err != nil {
			t.Fatal(err)
		}
		w.remove()
		do(w)
	})
}

func (w *world) remove() {
	w.t.Helper()
	if _, err := w.m.Uninstall(ctx, radio, Keep30Days); err != nil {
		w.t.Fatal(err)
	}
	w.rest()
}

// runs lets the appliance run, its clock with it, and looks as often as Run does.
func (w *world) runs(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(lookEvery)
		w.clock = w.clock.Add(lookEvery)
		w.rest()
	}
}

func (w *world) hasData() bool { return w.read("data/"+radio+"/state") == "old" }

func TestKeptDataIsDeletedWhenItIsDueAndTakenUpBefore(t *testing.T) {
	removed(t, func(w *world) {
		w.runs(keptFor - 2*time.Hour)
		if _, err := w.m.Install(ctx, radio, nil); err != nil {
			t.Fatal(err)
		}
		w.rest()
		if not := all(w.isInstalled(), state("old")(w), want("volume", w.record(radio).Settings.Options["volume"], 9)); not != "" {
			t.Error(not)
		}
		w.remove()
		w.runs(keptFor - 2*time.Hour) // the time before the second removal does not count
		if !w.hasData() {
			t.Fatal("it is deleted before it is due")
		}
		w.runs(4 * time.Hour)
		if w.hasData() || len(w.kept) != 0 {
			t.Error("data that was due is still there")
		}
	})
}

func TestNoClockAloneDeletesData(t *testing.T) {
	year := 365 * 24 * time.Hour
	for _, c := range []struct {
		name    string
		happens func(w *world)
		gone    bool
	}{
		{"it jumps years ahead", func(w *world) { w.clock = w.clock.Add(20 * year); w.runs(25 * 24 * time.Hour) }, false},
		{"it jumps ahead at a boot", func(w *world) { w.runs(time.Hour); w.boot(); w.clock = w.clock.Add(20 * year); w.runs(24 * time.Hour) }, false},
		{"nobody believes it", func(w *world) { w.unsure = true; w.runs(2 * keptFor) }, false},
		{"it is believed in the end", func(w *world) { w.unsure = true; w.runs(2 * keptFor); w.unsure = false; w.rest() }, true},
		{"it stands", func(w *world) {
			at := w.clock
			for range 40 {
				w.runs(24 * time.Hour)
				w.clock = at
			}
		}, false},
		{"restarts in between count", func(w *world) {
			for range 32 {
				w.runs(25 * time.Hour) // the first hour of a run is not kept before the second
				w.boot()
			}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			removed(t, func(w *world) {
				c.happens(w)
				if w.hasData() == c.gone {
					t.Errorf("deleted: %v, want %v; kept is %+v", !w.hasData(), c.gone, w.record(radio).Gone)
				}
			})
		})
	}
}

// TestCountingTimeSparesTheDisk: a look after each change of an appliance writes nothing.
func TestCountingTimeSparesTheDisk(t *testing.T) {
	removed(t, func(w *world) {
		w.calls = nil
		for range 600 {
			time.Sleep(time.Minute)
			w.rest()
		}
		if n := len(w.calls); n < 5 || n > 10 {
			t.Errorf("%d writes in ten hours", n)
		}
	})
}
