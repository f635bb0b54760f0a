package house

import (
	"os"
	"testing"
)

// TestConsentIsForWhatWasShown changes the offered version in place after its owner agreed: he is asked again.
func TestConsentIsForWhatWasShown(t *testing.T) {
	h := storeHouse(t)
	h.image("radio", "1.0")
	h.image("radio", "1.1")
	h.addonConfig("radio", "1.0")
	h.offers()
	h.castellan("addon", "install", radio, "--yes").says(t, 0)
	h.addonConfig("radio", "1.1", "privileged: [NET_ADMIN]")
	h.offers()
	h.castellan("addon", "info", radio).says(t, 0, "cap:NET_ADMIN")
	h.castellan("addon", "consent", radio, "--yes").says(t, 0)

	h.addonConfig("radio", "1.1", "privileged: [NET_ADMIN, SYS_TIME]")
	h.offers()
	h.castellan("update").says(t, 3)
	h.castellan("addon", "update", radio).says(t, 3, "cap:SYS_TIME")
	if a := h.addon(radio); a.Version != "1.0" || len(a.Asks) != 1 || a.Asks[0].Code != "cap:SYS_TIME" {
		t.Errorf("version %s, asks %+v", a.Version, a.Asks)
	}
	h.castellan("addon", "consent", radio, "--yes").says(t, 0)
	h.castellan("addon", "update", radio).says(t, 0)
	h.addonIs(radio, "1.1", "stopped", "unsigned")

	// A device that is not plugged in is refused by the option that wants it; one that is there is taken.
	device := "/dev/ttyHOUSE0"
	h.image("stick", "1.0")
	h.addonConfig("stick", "1.0", "options: {port: null}", "schema: {port: device}")
	h.offers()
	h.castellan("addon", "install", "local_stick", "--yes").says(t, 0)
	a := h.castellan("addon", "options", "local_stick", "--set", "port="+device)
	t.Logf("%s", a)
	h.castellan("addon", "start", "local_stick").says(t, 1, "App stick has invalid options", "castellan addon options local_stick")
	if _, err := os.Lstat(device); err == nil {
		t.Fatalf("%s is there", device)
	}
	h.castellan("addon", "options", "local_stick", "--set", "port=/dev/null").says(t, 0)
	h.castellan("addon", "start", "local_stick").says(t, 0)
	h.addonIs("local_stick", "1.0", "running", "unsigned")
}
