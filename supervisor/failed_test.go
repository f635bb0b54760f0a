package supervisor

import (
	"testing"
	"testing/synctest"

	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
)

// TestAConfiguredServiceSaysWhyItCouldNotBeInstalled.
func TestAConfiguredServiceSaysWhyItCouldNotBeInstalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio")
		t.Cleanup(w.close)
		w.ledger.say(image("radio", "1"), trust.Untrusted)
		w.submit(step("radio", "1"))
		w.run()
		if s := w.status("radio"); s.Current != nil || s.Failed.Version != "1" || s.Failed.Why == "" {
			t.Errorf("%+v", s.Failed)
		}
	})
}

// TestAnInstallationThatFailedIsForgotten: it is listed nowhere, and its row goes with the last change that tells of it.
func TestAnInstallationThatFailedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "radio", "tv")
		t.Cleanup(w.close)
		w.tend()
		w.ledger.say(image("radio", "1"), trust.Untrusted)
		failed := w.submit(step("radio", "1"))[0].ID
		w.run()
		w.at("1", "tv")
		rows := func() (n int) {
			must(0, w.journal.View(func(tx *state.Tx) error {
				return tx.ForEach(serviceBucket, func(string, []byte) error { n++; return nil })
			}))
			return n
		}
		again := func() { w.down(); w.boot() }
		if again(); len(must(w.m.Services())) != 1 || rows() != 2 {
			t.Fatalf("%d services are listed, %d rows kept", len(must(w.m.Services())), rows())
		}
		must(0, w.journal.Update(func(tx *state.Tx) error { return tx.Delete(changeBucket, failed) })) // as after many others
		if again(); rows() != 1 || w.status("tv").Version() != "1" {
			t.Errorf("%d rows are kept", rows())
		}
	})
}
