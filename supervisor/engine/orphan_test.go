package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
)

// TestWhatAKilledEngineLeftRunning kills engines while they start containers until one says of a container with
// processes that it does not run. Whatever is done with it then, there is never a second writer.
func TestWhatAKilledEngineLeftRunning(t *testing.T) {
	d := testenv.PrivateEngine(t)
	h := newHouse(t, d.Host)
	img, permit := h.pulled(testenv.Build{}, "radio")
	n := 0
	orphan := func() string {
		for range 40 {
			var ids []string
			for range 6 {
				n++
				ids = append(ids, h.create(permit, img, fmt.Sprintf("c%d", n), spec.Container{}).ID)
			}
			var wg sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			for i, id := range ids {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * 60 * time.Millisecond)
					_ = h.Start(ctx, id) // the engine goes
				})
			}
			time.Sleep(time.Duration(200+n%7*30) * time.Millisecond)
			d.Kill()
			cancel()
			wg.Wait()
			d.Start()
			alive := d.Alive()
			for _, id := range ids {
				if slices.Contains(alive, id) && !h.look(id).Running {
					return id
				}
			}
		}
		t.Fatal("40 kills left no orphan")
		return ""
	}
	alive := func(id string) bool { return slices.Contains(d.Alive(), id) }

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
