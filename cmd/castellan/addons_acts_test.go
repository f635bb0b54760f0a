package main

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/castellan/castellan/supervisor/api"
)

// TestAnAddonThatStopsItselfOverAndOverIsStoppedOnce: until its container is gone it may ask thousands of times.
func TestAnAddonThatStopsItselfOverAndOverIsStoppedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var acts ownActs
		var begun atomic.Int32
		stop := make(chan struct{})
		work := func(context.Context) { begun.Add(1); <-stop }
		for range 1000 {
			if err := acts.begin(t.Context(), "core_x", api.AddonRestart, work); err != nil {
				t.Fatal(err)
			}
		}
		if err := acts.begin(t.Context(), "core_x", api.AddonStop, work); err == nil || !strings.Contains(err.Error(), "Another job is running for job group app_core_x") {
			t.Errorf("something else meanwhile: %v", err)
		}
		if err := acts.begin(t.Context(), "core_y", api.AddonStop, work); err != nil {
			t.Errorf("another add-on: %v", err)
		}
		synctest.Wait()
		if n := begun.Load(); n != 2 {
			t.Errorf("%d were begun, want one for each add-on", n)
		}
		close(stop)
		synctest.Wait()
		if err := acts.begin(t.Context(), "core_x", api.AddonStop, work); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		synctest.Wait()
		if n := begun.Load(); n != 3 {
			t.Errorf("%d were begun in the end, want 3", n)
		}
	})
}
