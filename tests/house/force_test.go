package house

import (
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// TestForceOnce forces a withdrawn image: only with the name typed again, only that digest, only once, and on record.
func TestForceOnce(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	bad := w.core("1.1.0")
	other := w.core("1.2.0")
	w.untrust(bad, "--severity", "update")
	w.untrust(other, "--severity", "update")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()

	h.castellan("trust", "force", h.core, "--why", "nothing was refused").says(t, 1, "nothing", "Next: castellan update")
	h.castellan("update", h.core, "--to", "1.1.0").says(t, 4, "withdrawn", "Next: ")
	h.castellan("trust", "force", h.core).says(t, 2, "--why")
	h.castellan("trust", "force", h.core, "--why", "I know").says(t, 1, "REVOKED", "typed again")
	h.castellan("trust", "force", h.core, "--why", "I know", "--confirm", "core").says(t, 1, "typed again")
	h.castellan("trust", "force", h.core, "--why", "I know", "--confirm", h.core, "--reason", "DIGEST_MISMATCH").says(t, 1, "DIGEST_MISMATCH", "can't be forced")
	h.castellan("trust", "force", h.core, "--why", "I know", "--confirm", h.core, "--digest", string(other.Manifest)).says(t, 1, "not "+string(other.Manifest))
	h.castellan("update", h.core, "--to", "1.1.0").says(t, 4, "withdrawn")
	if n := len(h.records("override")); n != 0 {
		t.Errorf("%d overrides are logged before one was given", n)
	}

	var ov api.Override
	a := h.castellan("trust", "force", h.core, "--why", "I know", "--confirm", h.core, "--json")
	a.says(t, 0)
	a.decode(t, &ov)
	if ov.Digest != string(bad.Manifest) || len(ov.Reasons) == 0 || ov.Seq == 0 {
		t.Errorf("override %+v", ov)
	}
	h.castellan("update", h.core, "--to", "1.2.0").says(t, 4, "withdrawn") // another digest
	h.daemon.kill()                                                        // it is not lost
	h.restart()
	h.change(0, "update", h.core, "--to", "1.1.0")
	h.runs(h.core, "1.1.0", "forced")
	h.soundness()
	h.castellan("check").says(t, 0) // judged again, and left alone: the owner said yes to this very reason
	h.rest()
	h.runs(h.core, "1.1.0", "forced")

	h.change(0, "rollback", h.core)
	h.runs(h.core, "1.0.0", "verified")
	h.castellan("update", h.core, "--to", "1.1.0").says(t, 4, "withdrawn") // it was for once
	if n := len(h.records("override")); n != 1 {
		t.Errorf("%d overrides in the log, want 1", n)
	}
	h.soundness()
}

// TestForcedIsNoFreeTicket withdraws an image that was let in by force because nothing was known of it yet. The owner
// said yes to that reason and to no other, so the withdrawal counts.
func TestForcedIsNoFreeTicket(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	image := w.image("core", "1.1.0")
	h.castellan("update", h.core, "--to", "1.1.0").says(t, 4, "deferred")
	h.castellan("trust", "force", h.core, "--why", "told by telephone").says(t, 0)
	h.change(0, "update", h.core, "--to", "1.1.0")
	h.runs(h.core, "1.1.0", "forced")
	w.untrust(image, "--severity", "update")
	h.castellan("check").says(t, 0)
	h.rest()
	h.runs(h.core, "1.0.0", "verified")
	h.soundness()
}

// TestForcedStaysForced forces what a later look at the same image does not mind: the badge still says so, until the
// next normal update.
func TestForcedStaysForced(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.core("1.1.0")
	w.core("1.2.0")
	w.release("1.1.0")
	h := newHouse(w)
	h.begin()
	w.releaseWith("1.1.0", map[string]any{"floors": map[string]string{"core": "1.1.0"}})
	h.castellan("update", h.core, "--to", "1.0.0").says(t, 4, "older", "Next: ")
	h.castellan("trust", "force", h.core, "--why", "the new one eats my lamps").says(t, 0, "DOWNGRADE")
	h.change(0, "update", h.core, "--to", "1.0.0")
	h.runs(h.core, "1.0.0", "forced")
	h.castellan("check").says(t, 0)
	h.runs(h.core, "1.0.0", "forced")
	h.change(0, "update", h.core, "--to", "1.2.0")
	h.runs(h.core, "1.2.0", "verified")
	h.soundness()
}
