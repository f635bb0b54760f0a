package house

import (
	"fmt"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/trusttest"
)

// TestLedgerThatFails lets the ledger fail in every way it can. Whatever it does, a release the replica does not know
// is deferred within a bounded time, one it knows still goes, what runs is not touched and keeps its badge, and the
// house starts again without a ledger. When it is back, what was deferred goes.
func TestLedgerThatFails(t *testing.T) {
	const bound = 15 * time.Second
	w := newWorld(t)
	w.core("1.0.0")
	w.core("1.1.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	for i, c := range []struct {
		name string
		fail func()
	}{
		{"is gone", w.ledger.shut},
		{"answers 500", func() { w.ledger.breaks("/", trusttest.Status(500)) }},
		{"is a captive portal", func() { w.ledger.breaks("/", trusttest.Portal()) }},
		{"answers garbage", func() { w.ledger.breaks("/", trusttest.Garbage()) }},
		{"answers nothing", func() { w.ledger.breaks("/", trusttest.Nothing()) }},
		{"breaks off", func() { w.ledger.breaks("/", trusttest.ResetAt(100)) }},
		{"never answers", func() { w.ledger.breaks("/", trusttest.Mute()) }},
		{"gives its checkpoint and no transactions", func() { w.ledger.breaks("/tx/", trusttest.Status(404)) }},
	} {
		unknown := fmt.Sprintf("2.0.%d", i)
		w.core(unknown)
		t.Run(c.name, func(t *testing.T) {
			c.fail()
			defer w.ledger.mend()
			before := h.container(h.core)
			was := h.service(h.core)

			a := h.castellan("update", h.core, "--to", unknown)
			a.says(t, 4, "deferred", "Next: ")
			if a.took > bound {
				t.Errorf("it took %s", a.took)
			}
			t.Logf("deferred after %s", a.took.Round(time.Millisecond))
			if now := h.container(h.core); now.ID != before.ID {
				t.Errorf("the container changed from %s to %s", before.ID, now.ID)
			}
			h.runs(h.core, was.Version, "verified")
			if st := h.status(); st.Ledger.Error == "" {
				t.Errorf("status does not say that the ledger fails")
			}

			h.daemon.kill()
			began := time.Now()
			h.restart()
			if took := time.Since(began); took > bound {
				t.Errorf("the house needs %s to start", took)
			}
			if now := h.container(h.core); now.ID != before.ID {
				t.Errorf("the restart changed the container")
			}

			known := map[string]string{"1.0.0": "1.1.0"}[was.Version]
			if known == "" {
				known = "1.0.0"
			}
			if c := h.change(0, "update", h.core, "--to", known); c.State != "committed" {
				t.Errorf("a known release ended %s: %s", c.State, c.Why)
			}
			h.runs(h.core, known, "verified")
			for _, v := range h.verdicts(h.core) {
				if v.Subject.Version == unknown && v.Outcome != trust.Defer {
					t.Errorf("%s was judged %s %s", unknown, v.Outcome, v.Reason())
				}
			}
		})
	}
	h.change(0, "update", h.core, "--to", "2.0.0")
	h.runs(h.core, "2.0.0", "verified")
	h.soundness()
	for _, v := range h.verdicts(h.core) {
		if v.Outcome == trust.Refuse || v.Status == trust.Untrusted {
			t.Errorf("an outage was called %s %s", v.Outcome, v.Status)
		}
	}
}

// TestHouseStartsWithNothingAround starts the containers again with ledger, registry and channel gone.
func TestHouseStartsWithNothingAround(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.image("lights", "1.0.0")
	w.release("1.0.0")
	h := newHouse(w, withLights)
	h.begin()
	h.daemon.kill()
	for _, c := range h.containers() {
		must(t, h.ask("POST", "/containers/"+c.ID+"/kill", nil))
	}
	w.ledger.shut()
	w.registry.shut()
	w.web.shut()
	h.restart()
	h.soundness()
	testenv.Eventually(t, 30*time.Second, "status says what fails", func() bool {
		st := h.status()
		return st.Ledger.Error != ""
	})
	h.runs(h.core, "1.0.0", "verified")
}
