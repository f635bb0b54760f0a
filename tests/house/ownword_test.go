package house

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
)

// TestOwnersWord runs a core that nobody notarizes: not by itself, but once the owner has vouched for that image with the
// house key, and for no other image under the same tag; until he withdraws it.
func TestOwnersWord(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	plain := w.image("core", "1.1.0")

	h.castellan("trust", "house", "accept", h.core).says(t, 1, "no house key", "Next: castellan trust house init")
	h.castellan("trust", "house", "init").says(t, 0, "house key p-")
	h.castellan("trust", "house", "init").says(t, 1, "never overwritten")
	h.castellan("update", h.core, "--to", "1.1.0").says(t, 4, "deferred") // nothing is known of it, and a record may yet come
	h.runs(h.core, "1.0.0", "verified")
	if p := h.service(h.core).Publisher; p != "project" {
		t.Errorf("publisher %q, want project", p)
	}

	wrong := string(trust.DigestOf([]byte("another image")))
	h.castellan("trust", "house", "accept", h.core, "--digest", wrong).says(t, 1, string(plain.Manifest), "not "+wrong)
	var word api.HouseWord
	a := h.castellan("trust", "house", "accept", h.core, "--why", "I read its source", "--json")
	a.says(t, 0)
	a.decode(t, &word)
	if word.Status != "TRUSTED" || word.Version != "1.1.0" || word.Manifest != string(plain.Manifest) || word.Config == "" || word.Seq == 0 {
		t.Fatalf("word %+v", word)
	}
	h.daemon.kill() // it is not lost
	h.restart()
	h.change(0, "update", h.core, "--to", "1.1.0")
	h.runs(h.core, "1.1.0", "verified")
	h.castellan("status").says(t, 0, "verified · you")
	row := h.service(h.core)
	if row.Publisher != "you" {
		t.Errorf("publisher %q, want you", row.Publisher)
	}
	h.soundness()
	seq := fmt.Sprint(row.Verdict)
	h.castellan("log", "explain", seq).says(t, 0, "was let in", "house key")
	h.castellan("log", "replay", seq).says(t, 0)
	h.castellan("check").says(t, 0) // judged again by the same word
	h.rest()
	h.runs(h.core, "1.1.0", "verified")

	h.change(0, "rollback", h.core)
	other := w.image("core", "1.1.0", "APP_OTHER=1")
	h.castellan("update", h.core, "--to", "1.1.0").says(t, 4)
	h.runs(h.core, "1.0.0", "verified")
	for _, v := range h.verdicts(h.core) {
		if v.Subject.Manifest == other.Manifest && v.Outcome.Allowed() {
			t.Errorf("another image under the same tag was let in: %+v", v)
		}
	}

	second := w.image("core", "1.2.0")
	h.castellan("trust", "house", "accept", h.core, "--version", "1.2.0").says(t, 0, string(second.Manifest))
	h.change(0, "update", h.core, "--to", "1.2.0")
	h.runs(h.core, "1.2.0", "verified")
	h.castellan("trust", "house", "withdraw", h.core, "--severity", "update", "--why", "it eats my lamps").says(t, 0, "is withdrawn")
	h.castellan("check").says(t, 0)
	h.rest()
	h.runs(h.core, "1.0.0", "verified")
	h.castellan("update", h.core, "--to", "1.2.0").says(t, 4, "withdrawn")
	h.castellan("trust", "house", "accept", h.core).says(t, 4, "does not outweigh")
	h.castellan("trust", "house", "list").says(t, 0, "TRUSTED", "UNTRUSTED", "1.2.0")
	if n := len(h.records("house")); n != 4 {
		t.Errorf("%d records of the house key in the log, want 4", n)
	}
	h.soundness()

	// A house key that is lost lets nothing new in: it may have withdrawn something.
	h.daemon.kill()
	must(t, os.Remove(h.path("data", "house", "house.json")))
	h.restart()
	w.core("1.3.0")
	h.castellan("update", h.core, "--to", "1.3.0").says(t, 4, "deferred")
	for _, v := range h.verdicts(h.core) {
		if v.Subject.Version == "1.3.0" && v.Reason() != trust.StateMissing {
			t.Errorf("verdict %+v", v)
		}
	}
	h.castellan("trust", "house", "list").says(t, 1, "house key")
	h.castellan("trust", "house", "init").says(t, 0)
	h.change(0, "update", h.core, "--to", "1.3.0")
	h.runs(h.core, "1.3.0", "verified")
	h.soundness()
}

// TestOwnersChannel follows a channel that nobody notarizes: its file counts once the owner has vouched for it.
func TestOwnersChannel(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	w.image("core", "1.1.0")
	file, err := json.Marshal(w.channelFile("1.1.0"))
	must(t, err)
	must(t, os.WriteFile(w.path("web", "stable.json"), file, 0o644))
	h.castellan("trust", "house", "init").says(t, 0)
	h.castellan("trust", "house", "accept", h.core, "--version", "1.1.0").says(t, 0)

	h.castellan("check").says(t, 0)
	h.castellan("update", h.core).says(t, 3) // the file is not the channel's
	h.runs(h.core, "1.0.0", "verified")
	d := string(trust.DigestOf(file))
	h.castellan("trust", "house", "accept", "--channel", "stable").says(t, 2, "--digest")
	h.castellan("trust", "house", "accept", "--channel", "stable", "--digest", "latest").says(t, 1, "is no digest")
	h.castellan("trust", "house", "accept", "--channel", "beta", "--digest", d).says(t, 1, "not the one this appliance follows")
	h.castellan("trust", "house", "accept", "--channel", "stable", "--digest", d).says(t, 0, d)
	h.castellan("check").says(t, 0)
	if st := h.status(); !st.Channel.Verified {
		t.Errorf("channel %+v", st.Channel)
	}
	h.change(0, "update", h.core)
	h.runs(h.core, "1.1.0", "verified")
	if p := h.service(h.core).Publisher; p != "you" {
		t.Errorf("publisher %q, want you", p)
	}
	h.soundness()
}
