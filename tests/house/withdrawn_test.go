package house

import (
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

// TestWithdrawnWhileRunning withdraws what runs. What happens follows from the severity, who signed it, and what else
// there is to run; core is never stopped.
func TestWithdrawnWhileRunning(t *testing.T) {
	for _, c := range []struct {
		name     string
		flags    []string
		previous bool   // another version was installed before
		newer    bool   // the channel offers a good newer one
		version  string // of core in the end
		badge    string
	}{
		{"notify changes nothing", []string{"--severity", "notify"}, true, true, "1.1.0", "withdrawn"},
		{"update takes the good newer version", []string{"--severity", "update"}, true, true, "1.2.0", "verified"},
		{"update goes back when there is no newer one", []string{"--severity", "update"}, true, false, "1.0.0", "verified"},
		{"update runs on when there is no good one", []string{"--severity", "update"}, false, false, "1.1.0", "withdrawn"},
		{"stop never stops core", []string{"--severity", "stop", "--by-root"}, false, false, "1.1.0", "withdrawn"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			h := newHouse(w)
			if c.previous {
				w.core("1.0.0")
				w.release("1.0.0")
				h.begin()
			}
			image := w.core("1.1.0")
			w.release("1.1.0")
			if c.previous {
				h.change(0, "update", h.core)
			} else {
				h.begin()
			}
			h.runs(h.core, "1.1.0", "verified")
			if c.newer {
				w.core("1.2.0")
				w.release("1.2.0")
				h.castellan("check").says(t, 0) // mode ask: the offer is known and waits
				h.runs(h.core, "1.1.0", "verified")
			}
			before := h.container(h.core)
			w.untrust(image, c.flags...)
			h.castellan("check").says(t, 0)
			testenv.Eventually(t, 30*time.Second, "core is "+c.version, func() bool {
				s := h.service(h.core)
				return s.Version == c.version && s.Change == ""
			})
			h.runs(h.core, c.version, c.badge)
			h.soundness()
			if now := h.container(h.core); c.version == "1.1.0" && now.ID != before.ID {
				t.Error("the container was changed")
			}
			h.castellan("check").says(t, 0) // once more: nothing flaps
			h.rest()
			h.runs(h.core, c.version, c.badge)
			if a := h.castellan("update", h.core, "--to", "1.1.0"); c.version != "1.1.0" {
				a.says(t, 4, "withdrawn", "Next: ")
			}
		})
	}
}

// TestWithdrawnAddonStops stops an add-on whose publisher's root key asks for it, and no other; it stays stopped over a
// restart of the daemon, and its data and image stay.
func TestWithdrawnAddonStops(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags []string
		state string
	}{
		{"by its root key", []string{"--severity", "stop", "--by-root"}, "stopped"},
		{"not by a working key", []string{"--severity", "stop"}, "running"},
		{"not for severity update", []string{"--severity", "update"}, "running"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.core("1.0.0")
			w.release("1.0.0")
			image := w.image("lights", "1.0.0")
			w.cas("notarize", image.Reference())
			h := newHouse(w, withVouchedLights)
			h.begin()
			h.runs(h.lights, "1.0.0", "verified")
			w.untrust(image, c.flags...)
			h.castellan("check").says(t, 0)
			for range 2 { // before and after a restart
				testenv.Eventually(t, 30*time.Second, "lights is "+c.state, func() bool {
					s := h.service(h.lights)
					return s.State == c.state && s.Badge == "withdrawn"
				})
				h.runs(h.core, "1.0.0", "verified")
				left := 0
				for _, k := range h.containers() {
					if k.service() == h.lights && k.running() == (c.state == "running") {
						left++
					}
				}
				if left != 1 {
					t.Errorf("containers %+v, want one of lights that is %s", h.containers(), c.state)
				}
				h.daemon.kill()
				h.start()
			}
			h.castellan("log", "verify").says(t, 0)
		})
	}
}
