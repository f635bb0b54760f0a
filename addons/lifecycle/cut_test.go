package lifecycle

import "testing"

// TestRestartIsNeverHalf: an add-on that its owner wanted to run is not found stopped because the daemon died meanwhile.
func TestRestartIsNeverHalf(t *testing.T) {
	for at := range 2 {
		for _, applied := range []bool{false, true} {
			w := newWorld(t)
			w.installed()
			w.calls, w.at, w.applied = nil, at, applied
			_, _ = w.m.Restart(ctx, radio) // whatever it says, the power is gone
			if why := w.row(Service(radio)).Stopped; why != "" {
				t.Errorf("cut at %d, applied %v: it is stopped: %s", at, applied, why)
			}
		}
	}
	w := newWorld(t)
	w.installed()
	if err := w.m.Stop(ctx, radio); err != nil {
		t.Fatal(err)
	}
	if _, err := w.m.Restart(ctx, radio); err != nil || w.row(Service(radio)).Stopped != "" {
		t.Errorf("one that is stopped: %v", err)
	}
}

// TestNothingStartsAtBootOnHalfAnImport: the former data is out of the way and the new is not there yet.
func TestNothingStartsAtBootOnHalfAnImport(t *testing.T) {
	w := newWorld(t)
	w.installed()
	if err := w.m.Stop(ctx, radio); err != nil {
		t.Fatal(err)
	}
	w.write("data/.core_radio.import/data/state", "imported")
	w.calls, w.at, w.applied = nil, 0, true
	_ = w.m.SetData(radio, func(*Record) {}) // cut right after the wish is kept
	w.at = -1
	w.boot()
	if run, why := w.m.AtBoot(Service(radio), "1"); run || why == "" {
		t.Errorf("it is started at boot: %v %q", run, why)
	}
	w.rest()
	if got := w.read("data/" + radio + "/state"); got != "imported" {
		t.Errorf("its data is %q", got)
	}
	if run, why := w.m.AtBoot(Service(radio), "1"); !run {
		t.Errorf("afterwards it is not started: %s", why)
	}
}
