package house

import (
	"context"
	"testing"

	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust"
)

// signed offers a version of radio that the publisher vouches for.
func (h *house) signed(version string) testenv.Image {
	h.t.Helper()
	i := h.image("radio", version)
	h.cas("notarize", i.Reference())
	h.claims(version, h.publisher)
	return i
}

// stranger is another publisher of the ledger, and his program.
func (w *world) stranger() (publisher string, cas func(args ...string)) {
	w.t.Helper()
	env := []string{"CAS_HOME=" + w.path("stranger"), "CAS_PLAIN_HTTP=true"}
	call := func(args ...string) answer {
		a := run(w.t, env, bin(w.t, "cas"), args...)
		a.says(w.t, 0)
		return a
	}
	var me struct {
		Publisher string `json:"publisher"`
	}
	call("login", "--no-passphrase", "--origin", origin, "--label", "Stranger", "-o", "json").decode(w.t, &me)
	w.server.kill()
	w.allow = append(w.allow, me.Publisher)
	w.startLedger()
	call("login", "--ledger", w.ledgerURL, "--ledger-key", w.ledgerKey)
	return me.Publisher, func(args ...string) { call(args...) }
}

// claims offers a version of radio whose manifest names a publisher.
func (h *house) claims(version, publisher string) {
	h.t.Helper()
	h.addonConfig("radio", version, "castellan: {publisher: "+publisher+"}")
	h.offers()
	h.castellan("check").says(h.t, 0)
}

// TestWithdrawnStoreAddonStops withdraws what runs, by the root's key, with nothing to go back to. It stops, and stays
// stopped over a restart of the daemon and a boot of the host; a good newer version wakes it.
func TestWithdrawnStoreAddonStops(t *testing.T) {
	h := storeHouse(t)
	bad := h.signed("1.0")
	h.castellan("addon", "install", radio, "--start", "--yes").says(t, 0)
	h.addonIs(radio, "1.0", "running", "verified")
	h.untrust(bad, "--severity", "stop", "--by-root")
	h.castellan("check").says(t, 0)
	h.addonIs(radio, "1.0", "stopped", "withdrawn")

	h.daemon.kill()
	h.start()
	h.addonIs(radio, "1.0", "stopped", "withdrawn")
	h.daemon.kill()
	h.boot("a-boot-of-the-test")
	h.knowsBoot(t, "a-boot-of-the-test")
	h.castellan("check").says(t, 0)
	h.addonIs(radio, "1.0", "stopped", "withdrawn")
	for _, k := range h.containers() {
		if k.service() == "addon_"+radio && k.running() {
			t.Error("its container runs")
		}
	}

	h.signed("1.1")
	h.castellan("addon", "update", radio).says(t, 0)
	h.addonIs(radio, "1.1", "running", "verified")
	h.castellan("log", "verify").says(t, 0)
}

// TestWhatNobodyVouchesForStaysOut offers updates of a signed add-on that its publisher has no part in, and takes the
// ledger away. Nothing comes in, nothing that is there goes, and no badge says what was not looked at.
func TestWhatNobodyVouchesForStaysOut(t *testing.T) {
	h := storeHouse(t)
	h.signed("1.0")
	h.castellan("addon", "install", radio, "--start", "--yes").says(t, 0)
	stranger, theirs := h.stranger()

	// A stranger's word is not the publisher's.
	other := h.image("radio", "1.1")
	theirs("notarize", other.Reference())
	h.claims("1.1", h.publisher)
	h.castellan("addon", "update", radio).says(t, 4)
	h.addonIs(radio, "1.0", "running", "verified")
	// Nor is it once the manifest names the stranger: what was pinned counts.
	h.claims("1.1", stranger)
	h.castellan("addon", "update", radio).says(t, 4)
	h.addonIs(radio, "1.0", "running", "verified")

	// Other content under a notarized tag.
	h.signed("1.2")
	h.image("radio", "1.2", "APP_ALTERED=1")
	h.castellan("addon", "update", radio).says(t, 4)
	h.addonIs(radio, "1.0", "running", "verified")
	altered := false
	for _, v := range h.verdicts("addon_" + radio) {
		if v.Subject.Version != "1.0" && v.Outcome != trust.Defer && v.Outcome != trust.Refuse {
			t.Errorf("%s was let in: %+v", v.Subject.Version, v)
		}
		altered = altered || v.Subject.Version == "1.2"
		t.Logf("%s: %s %s", v.Subject.Version, v.Outcome, v.Reason())
	}
	if !altered {
		t.Error("the altered image was never judged")
	}

	// The pin outlasts the add-on.
	h.castellan("addon", "uninstall", radio).says(t, 0)
	pins, err := h.client.Pins(context.Background())
	must(t, err)
	kept := false
	for _, p := range pins.Pins {
		kept = kept || p.Service == "addon_"+radio && p.Publisher == h.publisher
	}
	if !kept {
		t.Errorf("the pin went with the add-on: %+v", pins)
	}

	// Without the ledger a new one waits, and is not called bad.
	h.signed("1.3")
	h.castellan("addon", "install", radio, "--yes").says(t, 0)
	h.image("tv", "1.0")
	h.addonConfig("tv", "1.0", "castellan: {publisher: "+h.publisher+"}")
	h.ledger.shut()
	h.offers()
	a := h.castellan("addon", "install", "local_tv", "--yes")
	a.says(t, 4, "deferred")
	for _, v := range h.verdicts("addon_local_tv") {
		if v.Outcome != trust.Defer || v.Status == trust.Untrusted {
			t.Errorf("an outage was called %s %s", v.Outcome, v.Status)
		}
	}
	if tv := h.addon("local_tv"); tv.Badge == "verified" || tv.State != "absent" {
		t.Errorf("never looked at, and it has badge %q, state %s: %s", tv.Badge, tv.State, tv.Evidence)
	} else {
		t.Logf("badge %q: %s", tv.Badge, tv.Evidence)
	}
	for _, move := range []string{"start", "restart", "stop", "start"} {
		h.castellan("addon", move, radio).says(t, 0)
	}
	h.addonIs(radio, "1.3", "running", "verified")
	h.castellan("log", "verify").says(t, 0)
}
