package house

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

// planned is what the plan says of core.
func (h *house) planned() api.PlanService {
	h.t.Helper()
	a := h.castellan("plan", "--json")
	a.says(h.t, 0)
	var p api.PlanPreview
	a.decode(h.t, &p)
	for _, s := range p.Services {
		if s.Service == h.core {
			return s
		}
	}
	h.t.Fatalf("the plan does not name %s: %s", h.core, a)
	return api.PlanService{}
}

// closed is a window that opens in some hours.
func closed() string {
	at := time.Now().UTC().Add(3 * time.Hour)
	return at.Format("15:04") + "-" + at.Add(time.Hour).Format("15:04")
}

// TestDecisions has an owner keep core where it is in every way there is, over a restart, and let it go again.
func TestDecisions(t *testing.T) {
	w := newWorld(t)
	h := newHouse(w)
	w.core("1.0.0")
	w.release("1.0.0")
	h.begin()
	w.core("1.1.0")
	w.release("1.1.0")

	waits := func(code, next string) {
		t.Helper()
		h.castellan("check").says(t, 0)
		p := h.planned()
		if p.Code != code || p.Moves || p.From != "1.0.0" || p.To != "1.1.0" || !strings.Contains(p.Next, next) || !p.Known || p.Bytes == 0 || !p.Restarts {
			t.Errorf("got %+v, want %s with next step %q", p, code, next)
		}
		h.runs(h.core, "1.0.0", "verified")
	}
	waits("ask", "castellan update "+h.core)
	h.castellan("skip", h.core, "1.1.0").says(t, 0, "version 1.1.0 is skipped")
	h.castellan("window", "add", closed(), "--zone", "UTC").says(t, 0, "window 1: every day")
	h.castellan("hold", h.core, "--why", "guests").says(t, 0, "on hold: guests")
	h.castellan("mode", h.core, "auto").says(t, 0, "mode auto")
	waits("hold", "castellan unhold "+h.core)
	h.castellan("update", h.core).says(t, 3, "on hold")
	h.daemon.kill()
	h.restart()
	waits("hold", "castellan unhold "+h.core)
	if s := h.service(h.core); s.Mode != "auto" || !s.Held {
		t.Errorf("status says %+v", s)
	}
	h.castellan("unhold", h.core).says(t, 0)
	waits("skipped", "castellan unskip "+h.core+" 1.1.0")
	h.castellan("unskip", h.core, "1.1.0").says(t, 0)
	waits("window", "castellan update "+h.core)
	h.castellan("window", "list").says(t, 0, "the next maintenance window opens")
	h.castellan("log").says(t, 0, "skip (- -> 1.1.0)", "hold ended")

	h.castellan("window", "remove", "1").says(t, 0)
	testenv.Eventually(t, 30*time.Second, "core moves by itself", func() bool {
		s := h.service(h.core)
		return s.Version == "1.1.0" && s.Change == ""
	})
	h.castellan("skip", h.core, "1.1.0").says(t, 1, "runs 1.1.0 already", "Next: ")
	h.castellan("mode", h.core, "default").says(t, 0, "mode ask")
	h.castellan("mode", h.core, "default").says(t, 3)
	h.castellan("log", "verify").says(t, 0)
	h.soundness()
}

// TestWithdrawalsWaitForNoWindowAndNoSkip withdraws what runs while no window is open and the only good version is
// skipped: it is taken at once. A hold keeps even that away, and core goes back.
func TestWithdrawalsWaitForNoWindowAndNoSkip(t *testing.T) {
	for _, c := range []struct {
		decide  []string
		version string
	}{
		{[]string{"skip", "1.2.0"}, "1.2.0"},
		{[]string{"mode", "off"}, "1.2.0"},
		{[]string{"hold"}, "1.0.0"},
	} {
		t.Run(fmt.Sprint(c.decide), func(t *testing.T) {
			w := newWorld(t)
			h := newHouse(w)
			w.core("1.0.0")
			w.release("1.0.0")
			h.begin()
			bad := w.core("1.1.0")
			w.release("1.1.0")
			h.change(0, "update", h.core)
			w.core("1.2.0")
			w.release("1.2.0")
			h.castellan("window", "add", closed(), "--zone", "UTC").says(t, 0)
			h.castellan(append([]string{c.decide[0], h.core}, c.decide[1:]...)...).says(t, 0)
			h.castellan("check").says(t, 0)
			h.runs(h.core, "1.1.0", "verified")
			w.untrust(bad, "--severity", "update")
			h.castellan("check").says(t, 0)
			testenv.Eventually(t, 30*time.Second, "core is "+c.version, func() bool {
				s := h.service(h.core)
				return s.Version == c.version && s.Change == ""
			})
			h.soundness()
		})
	}
}
