package engine

import (
	"maps"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
)

// TestRunningSaysWhatListSays: of a house without containers, of one that runs, and of one that was stopped.
func TestRunningSaysWhatListSays(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	same := func(when string, want map[string]bool) {
		t.Helper()
		got, err := h.Running(t.Context())
		h.must(err)
		listed := map[string]bool{}
		all, err := h.List(t.Context(), "")
		h.must(err)
		for _, c := range all {
			listed[c.Service] = listed[c.Service] || c.Running
		}
		if !maps.Equal(got, want) || !maps.Equal(got, listed) {
			t.Errorf("%s: running %v, listed %v, want %v", when, got, listed, want)
		}
	}
	same("nothing is there", map[string]bool{})
	img, permit := h.pulled(testenv.Build{}, "core")
	c := h.running(permit, img, "c1", spec.Container{})
	same("it runs", map[string]bool{"core": true})
	h.must(h.Stop(t.Context(), c.ID, 5*time.Second))
	same("it was stopped", map[string]bool{"core": false})
}
