package house

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
)

// later makes the ledger's checkpoints say, by its own key, that so much more time has passed.
func (w *world) later(by time.Duration) {
	w.t.Helper()
	secret, err := os.ReadFile(w.path("ledger.key"))
	must(w.t, err)
	signer, err := note.NewSigner(string(bytes.TrimSpace(secret)))
	must(w.t, err)
	verifiers, err := ledger.Verifiers([]string{w.ledgerKey})
	must(w.t, err)
	w.ledger.breaks("/checkpoint", func(rw http.ResponseWriter, r *http.Request, honest http.Handler, _ <-chan struct{}) {
		r.Header.Del("If-None-Match")
		r.Header.Del("If-Modified-Since")
		said := httptest.NewRecorder()
		honest.ServeHTTP(said, r)
		c, err := ledger.OpenCheckpoint(said.Body.Bytes(), verifiers)
		if err == nil {
			c.Time = c.Time.Add(by)
			var again []byte
			if again, err = ledger.SignCheckpoint(signer, c); err == nil {
				_, _ = rw.Write(again) // a client that is gone asks again
				return
			}
		}
		http.Error(rw, err.Error(), http.StatusBadGateway)
	})
}

// TestAlteredImageOfAnAddonIsRefused offers what nobody may let in. While the ledger may only be late it is put off; once
// the ledger, an hour later, still says nothing else, it is refused, and for the right reason.
func TestAlteredImageOfAnAddonIsRefused(t *testing.T) {
	h := storeHouse(t)
	h.signed("1.0")
	h.castellan("addon", "install", radio, "--start", "--yes").says(t, 0)
	_, theirs := h.stranger()
	h.signed("1.1")
	h.image("radio", "1.1", "APP_ALTERED=1") // under the notarized tag
	theirs("notarize", h.image("radio", "1.2").Reference())
	h.image("radio", "1.3")
	cases := []struct {
		version string
		reason  trust.Reason
	}{{"1.1", trust.ContentMismatch}, {"1.2", trust.SignerChanged}, {"1.3", trust.SignatureMissing}}
	judged := func(version, says string, outcome trust.Outcome, reason trust.Reason) {
		t.Helper()
		h.claims(version, h.publisher)
		h.castellan("addon", "update", radio).says(t, 4, says)
		h.addonIs(radio, "1.0", "running", "verified")
		list := h.verdicts("addon_" + radio)
		if v := list[len(list)-1]; v.Subject.Version != version || v.Outcome != outcome || v.Reason() != reason {
			t.Errorf("%s was judged %s %s last, want %s %s of %s", v.Subject.Version, v.Outcome, v.Reason(), outcome, reason, version)
		}
	}
	for _, c := range cases {
		judged(c.version, "deferred", trust.Defer, trust.EvidenceUnavailable)
	}
	h.later(trust.LagGrace + time.Minute)
	for _, c := range cases {
		judged(c.version, "refused", trust.Refuse, c.reason)
	}
	for _, v := range h.verdicts("addon_" + radio) {
		if v.Subject.Version != "1.0" && v.Outcome.Allowed() {
			t.Errorf("%s was let in: %s", v.Subject.Version, v.Outcome)
		}
	}
	for _, k := range h.containers() {
		if k.service() == "addon_"+radio && k.Labels["io.castellan.version"] != "1.0" {
			t.Errorf("there is a container of version %s", k.Labels["io.castellan.version"])
		}
	}

	// The publisher's own next one comes in.
	h.signed("1.4")
	h.castellan("addon", "update", radio).says(t, 0)
	h.addonIs(radio, "1.4", "running", "verified")
	h.castellan("log", "verify").says(t, 0)
}
