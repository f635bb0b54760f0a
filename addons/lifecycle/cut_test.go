package lifecycle

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/castellan/castellan/addons"
)

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
	_ = w.m.SetData(ctx, radio, func(*Record) {}) // cut right after the wish is kept
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

// TestAnInstallationThatBringsNothingLeavesNothing: no data that was never there, and what was there stays as long as its
// owner said.
func TestAnInstallationThatBringsNothingLeavesNothing(t *testing.T) {
	w := newWorld(t)
	fails := func() {
		t.Helper()
		w.fails = "the image was refused"
		if _, err := w.m.Install(ctx, radio, nil); err != nil {
			t.Fatal(err)
		}
		w.rest()
		w.fails = ""
	}
	if fails(); len(w.kept) > 0 || exists(w.m.dataFolder(radio)) {
		t.Errorf("left: %v, folder %v", w.record(radio), exists(w.m.dataFolder(radio)))
	}
	w.installed()
	if _, err := w.m.Uninstall(ctx, radio, Keep30Days); err != nil {
		t.Fatal(err)
	}
	w.rest()
	until := w.record(radio).Gone.Until
	w.clock = w.clock.Add(time.Hour)
	if fails(); w.record(radio).Gone == nil || !w.record(radio).Gone.Until.Equal(until) || w.read("data/"+radio+"/state") != "old" {
		t.Errorf("kept data: %+v, want until %s", w.record(radio).Gone, until)
	}
	w.installed()
	if r := w.record(radio); r.Before != nil {
		t.Errorf("a good installation still remembers the removal: %+v", r)
	}
}

// late is a supervisor that fails although the installation was begun by somebody else.
type late struct{ *world }

func (l late) Install(context.Context, string) (string, error) {
	_, _ = l.world.Install(ctx, Service(radio))
	return "", errors.New("the plan could not be made")
}

func TestAnInstallationThatSomebodyElseBeganIsNotForgotten(t *testing.T) {
	w := newWorld(t)
	w.m.cfg.Changer = late{w}
	if _, err := w.m.Install(ctx, radio, nil); err == nil {
		t.Fatal("it says nothing")
	}
	w.m.cfg.Changer = w
	w.rest()
	if not := w.isInstalled(); not != "" {
		t.Error(not)
	}
}

// TestAnInstallationThatCannotBeBegunCanBeTakenBack: cut before its change, and its repository is gone since.
func TestAnInstallationThatCannotBeBegunCanBeTakenBack(t *testing.T) {
	w := newWorld(t)
	w.at, w.applied = 0, true
	_, _ = w.m.Install(ctx, radio, nil)
	w.at = -1
	w.boot()
	if r := w.record(radio); !r.Wanted {
		t.Fatalf("not cut where it should be: %+v", r)
	}
	if _, err := w.m.Uninstall(ctx, radio, KeepData); err != nil {
		t.Fatal(err)
	}
	w.rest()
	if not := w.isGone(); not != "" {
		t.Error(not)
	}
}

// TestProtectionIsGivenUpForWhatIsInstalledOnly: what was switched off for one installation is on for the next.
func TestProtectionIsGivenUpForWhatIsInstalledOnly(t *testing.T) {
	w := newWorld(t)
	w.installed()
	off := false
	if _, err := w.m.Configure(ctx, radio, Patch{Protected: &off, Options: &map[string]any{"volume": 9}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.m.Uninstall(ctx, radio, KeepData); err != nil {
		t.Fatal(err)
	}
	w.rest()
	w.installed()
	if s := w.record(radio).Settings; s.Unprotect || s.Options["volume"] == nil {
		t.Errorf("installed again with %+v", s)
	}
}

// TestAPlanFromBeforeBringsNothingBack: between the end of a removal and that of its data, an update that was planned before
// comes too late.
func TestAPlanFromBeforeBringsNothingBack(t *testing.T) {
	w := newWorld(t)
	w.installed()
	w.offer("radio", config("radio", "2"))
	if _, err := w.m.Installed(); err != nil { // the plan
		t.Fatal(err)
	}
	if _, err := w.m.Uninstall(ctx, radio, DeleteData); err != nil {
		t.Fatal(err)
	}
	w.settle() // the container is gone; nobody has looked yet
	if _, ok, err := w.m.Define(ctx, Service(radio), "2"); ok || err != nil {
		t.Errorf("it would be installed again: %v %v", ok, err)
	}
	w.rest()
	if len(w.kept) > 0 || exists(w.m.dataFolder(radio)) {
		t.Error("something is left")
	}
}

// TestAChangeThatComesMeanwhileKeepsItsManifest: the planner asks for version 2 while a pass goes, and the repository has
// version 3 by then.
func TestAChangeThatComesMeanwhileKeepsItsManifest(t *testing.T) {
	w := newWorld(t)
	w.installed()
	w.offer("radio", config("radio", "2"))
	if _, err := w.m.Installed(); err != nil {
		t.Fatal(err)
	}
	w.asked = func() {
		if _, err := w.begin(ctx, "update", Service(radio), "2"); err != nil {
			t.Error(err)
		}
		w.offer("radio", config("radio", "3"))
	}
	if err := w.m.Reconcile(ctx); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.record(radio).Manifests["2"]; !ok {
		t.Fatalf("the configuration of the version that is being installed is gone; kept are %v", slices.Sorted(maps.Keys(w.record(radio).Manifests)))
	}
	w.rest()
	if _, ok, err := w.m.Define(ctx, Service(radio), ""); err != nil || !ok {
		t.Errorf("nobody can tell how what is installed is run: %v", err)
	}
}

// TestDataIsNotReplacedUnderAStart: its owner starts the add-on right after it was found stopped.
func TestDataIsNotReplacedUnderAStart(t *testing.T) {
	w := newWorld(t)
	w.installed()
	if err := w.m.Stop(ctx, radio); err != nil {
		t.Fatal(err)
	}
	w.write("data/.core_radio.import/data/state", "imported")
	w.stood = func() {
		if _, err := w.m.Start(ctx, radio); err != nil {
			t.Error(err)
		}
	}
	err := w.m.SetData(ctx, radio, func(r *Record) { r.Settings.Boot = addons.BootManual })
	if err == nil {
		t.Error("nobody says that it was not imported")
	}
	if not := all(state("old")(w), want("boot", w.record(radio).Settings.Boot, addons.Boot("")), want("imports", len(w.record(radio).Import), 0)); not != "" {
		t.Error(not)
	}
}

// holds is a supervisor that begins no installation, as long as it says why.
type holds struct {
	*world
	why error
}

func (h *holds) Install(ctx context.Context, service string) (string, error) {
	if h.why != nil {
		return "", h.why
	}
	return h.world.Install(ctx, service)
}

// TestAnInstallationIsNotUnderWayForEver: cut before its change. Nobody has the add-on any more, or something holds it up.
func TestAnInstallationIsNotUnderWayForEver(t *testing.T) {
	cut := func() *world {
		w := newWorld(t)
		w.at, w.applied = 0, true
		_, _ = w.m.Install(ctx, radio, nil)
		w.at = -1
		w.boot()
		return w
	}
	w := cut()
	delete(w.offers, radio)
	w.rest()
	if r, ok := w.m.Record(radio); ok || len(w.kept) > 0 {
		t.Errorf("its repository is gone, and it is still there: %+v", r)
	}

	w = cut()
	h := &holds{w, errors.New("it asks for more")}
	w.m.cfg.Changer = h
	if err := w.m.Reconcile(ctx); err == nil || w.m.Trouble(radio) != "it asks for more" {
		t.Errorf("%v; its owner is told %q", err, w.m.Trouble(radio))
	}
	h.why = nil
	w.rest()
	if not := w.isInstalled(); not != "" || w.m.Trouble(radio) != "" {
		t.Errorf("%s; its owner is told %q", not, w.m.Trouble(radio))
	}
}
