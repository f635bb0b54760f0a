package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
)

// TestWhatAKilledEngineLeftRunning kills an engine that has started a container and not noted it. Whatever is done with the
// container then, there is never a second writer.
func TestWhatAKilledEngineLeftRunning(t *testing.T) {
	d := testenv.PrivateEngine(t)
	h := newHouse(t, d.Host)
	img, permit := h.pulled(testenv.Build{}, "radio")
	n := 0
	alive := func(id string) bool { return slices.Contains(d.Alive(), id) }
	orphan := func() string {
		t.Helper()
		n++
		id := h.running(permit, img, fmt.Sprintf("c%d", n), spec.Container{}).ID
		d.KillBeforeNoting(id)
		d.Start()
		if h.look(id).Running || !alive(id) {
			t.Fatalf("no orphan: the engine says %+v, alive %v", h.look(id), alive(id))
		}
		return id
	}

	id := orphan()
	h.must(h.Start(t.Context(), id))
	if !h.look(id).Running || !alive(id) {
		t.Errorf("started: the engine says %+v, alive %v", h.look(id), alive(id))
	}
	h.must(h.Stop(t.Context(), id, time.Second))
	if alive(id) {
		t.Error("started and stopped, it lives on")
	}

	id = orphan()
	h.must(h.Stop(t.Context(), id, time.Second))
	if alive(id) {
		t.Error("stopped, it lives on")
	}
	h.must(h.Start(t.Context(), id)) // and nothing is in its way

	id = orphan()
	h.must(h.Remove(t.Context(), id))
	if alive(id) {
		t.Error("removed, it lives on")
	}
}
