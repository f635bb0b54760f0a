package house

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

// storeHouse is a house with a core, which nothing here is about, and a folder of add-ons.
func storeHouse(t testing.TB) *house {
	t.Helper()
	w := newWorld(t)
	w.core("2026.11.1")
	w.release("2026.11.1")
	h := newHouse(w, withStore)
	h.begin()
	return h
}

// offers makes the daemon see what lies in the folder of add-ons.
func (h *house) offers() {
	h.t.Helper()
	h.castellan("repo", "refresh", "local").says(h.t, 0)
}

func TestSignedAddonIsVerifiedByEvidence(t *testing.T) {
	h := storeHouse(t)
	claim := "castellan: {publisher: " + h.publisher + "}"
	first := h.image("radio", "1.0")
	h.cas("notarize", first.Reference())
	h.addonConfig("radio", "1.0", claim)
	h.image("plain", "1.0")
	h.addonConfig("plain", "1.0", "codenotary: somebody@example.org")
	h.offers()
	h.castellan("check").says(t, 0)

	before := h.addon("local_radio")
	if before.Badge != "verified" || before.Publisher != h.publisher {
		t.Errorf("before the installation: badge %q, publisher %q, %s", before.Badge, before.Publisher, before.Evidence)
	}
	plain := h.addon("local_plain")
	if plain.Badge != "unsigned" || plain.Rating != before.Rating-1 {
		t.Errorf("an e-mail in a file made it %q with rating %d beside %d", plain.Badge, plain.Rating, before.Rating)
	}
	h.castellan("addon", "install", "local_radio", "--start", "--yes").says(t, 0)
	h.addonIs("local_radio", "1.0", "running", "verified")
	pins, err := h.client.Pins(context.Background())
	must(t, err)
	pinned := false
	for _, p := range pins.Pins {
		pinned = pinned || p.Service == "addon_local_radio" && p.Publisher == h.publisher && p.Floor > 0
	}
	if !pinned {
		t.Errorf("no pin with a floor: %+v", pins)
	}

	// Nobody vouches for the next one: it does not come in, whoever asks, and the old one runs on.
	h.image("radio", "1.1")
	h.addonConfig("radio", "1.1", claim)
	h.offers()
	h.castellan("addon", "update", "local_radio").says(t, 4)
	h.addonIs("local_radio", "1.0", "running", "verified")

	// A good one comes, and is withdrawn: back to the one before, by itself.
	good := h.image("radio", "1.2")
	h.cas("notarize", good.Reference())
	h.addonConfig("radio", "1.2", claim)
	h.offers()
	h.castellan("check").says(t, 0)
	h.castellan("addon", "update", "local_radio").says(t, 0)
	h.addonIs("local_radio", "1.2", "running", "verified")
	h.untrust(good, "--severity", "update")
	h.castellan("check").says(t, 0)
	h.addonIs("local_radio", "1.0", "running", "verified")

	// The ledger is gone: what is installed stops and starts, and keeps its badge, which rests on the replica.
	h.server.kill()
	h.castellan("addon", "stop", "local_radio").says(t, 0)
	h.castellan("addon", "start", "local_radio").says(t, 0)
	h.addonIs("local_radio", "1.0", "running", "verified")
}

func TestUpdateThatAsksForMoreWaitsForConsent(t *testing.T) {
	h := storeHouse(t)
	h.image("radio", "1.0")
	h.image("radio", "1.1")
	h.addonConfig("radio", "1.0")
	h.offers()
	h.castellan("addon", "install", "local_radio", "--yes").says(t, 0)
	h.addonConfig("radio", "1.1", "privileged: [NET_ADMIN]", "hassio_api: true")
	h.offers()

	h.castellan("check").says(t, 0, "asks for more than you granted", "cap:NET_ADMIN", "hassio_api:default", "castellan addon consent local_radio")
	h.castellan("update").says(t, 3)
	h.castellan("addon", "update", "local_radio").says(t, 3)
	if info := h.addon("local_radio"); info.Version != "1.0" || len(info.Asks) != 2 || info.Waiting == nil || info.Waiting.Code != "consent" {
		t.Errorf("version %s, asks %+v, waiting %+v", info.Version, info.Asks, info.Waiting)
	}
	h.castellan("addon", "consent", "local_radio", "--yes").says(t, 0)
	h.castellan("addon", "update", "local_radio").says(t, 0)
	h.addonIs("local_radio", "1.1", "stopped", "unsigned")
	if info := h.addon("local_radio"); len(info.Asks) != 0 || len(info.Granted) != 2 {
		t.Errorf("asks %+v, granted %+v", info.Asks, info.Granted)
	}
}

func TestTroublesOfAddons(t *testing.T) {
	h := storeHouse(t)
	port := freePort(t)
	for _, slug := range []string{"radio", "tv"} {
		h.image(slug, "1.0")
		h.addonConfig(slug, "1.0", "ports: {8080/tcp: "+port+"}")
	}
	h.image("form", "1.0")
	h.addonConfig("form", "1.0", "options: {station: null}", "schema: {station: str}")
	h.offers()
	for _, slug := range []string{"radio", "tv", "form"} {
		h.castellan("addon", "install", "local_"+slug, "--yes").says(t, 0)
	}

	t.Run("two want one port", func(t *testing.T) {
		h.castellan("addon", "start", "local_radio").says(t, 0)
		h.castellan("addon", "start", "local_tv").says(t, 1, "host port "+port+"/tcp is used by add-on local_radio", "castellan addon ports local_tv")
		h.castellan("addon", "stop", "local_radio").says(t, 0)
		h.castellan("addon", "start", "local_tv").says(t, 0)
		h.castellan("addon", "stop", "local_tv").says(t, 0)
	})
	t.Run("a program of the host has the port", func(t *testing.T) {
		close := occupy(t, port)
		h.castellan("addon", "start", "local_radio").says(t, 1, port)
		close()
		h.castellan("addon", "start", "local_radio").says(t, 0)
		h.addonIs("local_radio", "1.0", "running", "unsigned")
	})
	t.Run("options are not filled in", func(t *testing.T) {
		h.castellan("addon", "start", "local_form").says(t, 1, "App form has invalid options", "station", "castellan addon options local_form")
		h.castellan("addon", "options", "local_form", "--set", "station=news").says(t, 0)
		h.castellan("addon", "start", "local_form").says(t, 0)
	})
	t.Run("one that ends by itself", func(t *testing.T) {
		h.image("brief", "1.0", "APP_EXIT_AFTER=5s")
		h.addonConfig("brief", "1.0")
		h.offers()
		h.castellan("addon", "install", "local_brief", "--start", "--yes").says(t, 0)
		testenv.Eventually(t, 100*time.Second, "it is said to have ended", func() bool {
			info := h.addon("local_brief")
			return info.State == "ended" && strings.Contains(info.Trouble, "exit code 1")
		})
	})
}
