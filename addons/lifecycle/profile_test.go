package lifecycle

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

// TestAVersionThatWaitsChangesNoProfileOfWhatRuns: how a version is run is asked before the Gate has judged it.
func TestAVersionThatWaitsChangesNoProfileOfWhatRuns(t *testing.T) {
	w := newWorld(t)
	w.profiled("1", "deny all")
	w.installed()
	runs := w.row(Service(radio)).Profile
	w.profiled("2", "all")
	if _, err := w.m.Installed(); err != nil {
		t.Fatal(err)
	}
	d, _, err := w.m.Define(ctx, Service(radio), "2")
	if next := d.Container.AppArmor; err != nil || next == runs || !w.armour[runs] || !w.armour[next] {
		t.Errorf("version 1 runs with %q, 2 would with %q; the kernel knows %v (%v)", runs, next, w.armour, err)
	}
}

func TestProfilesThatNothingNeedsAreDropped(t *testing.T) {
	w := newWorld(t)
	w.profiled("1", "a")
	w.installed()
	knows := func(when string, texts ...string) {
		t.Helper()
		w.rest()
		var want []string
		for _, text := range texts {
			want = append(want, fmt.Sprintf("%s.%x", radio, text))
		}
		if got := slices.Sorted(maps.Keys(w.armour)); !slices.Equal(got, want) {
			t.Errorf("%s: the kernel knows %v, want %v", when, got, want)
		}
	}
	update := func(version, profile string) {
		t.Helper()
		w.profiled(version, profile)
		if _, err := w.m.Installed(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.begin(ctx, "update", Service(radio), version); err != nil {
			t.Fatal(err)
		}
	}
	knows("installed", "a")
	update("2", "b")
	knows("with a version to go back to", "a", "b")
	update("3", "c")
	knows("without the first", "b", "c")
	w.fails = "it was refused"
	update("4", "d")
	knows("with one that is offered", "b", "c", "d")
	w.fails = ""
	w.profiled("3", "c")
	knows("when that is offered no more", "b", "c")
	w.row(Service(radio)).Profile = fmt.Sprintf("%s.%x", radio, "d") // a container from before its manifest was changed
	w.armour[w.row(Service(radio)).Profile] = true
	knows("with a container that is of none of them", "b", "c", "d")
	if _, err := w.m.Uninstall(ctx, radio, KeepData); err != nil {
		t.Fatal(err)
	}
	knows("gone")
}
