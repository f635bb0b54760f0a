package house

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

// withStore gives the house a folder of add-ons, a network of its own, and add-ons that settle quickly.
func withStore(s *settings) { s.store = true }

// addonConfig writes an add-on of the local repository; more are further lines of its configuration.
func (h *house) addonConfig(slug, version string, more ...string) {
	h.t.Helper()
	dir := h.path("data", "addons", "local", slug)
	must(h.t, os.MkdirAll(dir, 0o755))
	text := fmt.Sprintf("name: %s\nversion: %q\nslug: %s\ndescription: of the test\narch: [amd64, aarch64]\nimage: %s/house/%s\nwatchdog: http://[HOST]:[PORT:8080]/health\n%s\n",
		slug, version, slug, h.registry.host, slug, strings.Join(more, "\n"))
	must(h.t, os.WriteFile(dir+"/config.yaml", []byte(text), 0o644))
}

// addon is what the daemon says of an add-on.
func (h *house) addon(slug string) api.AddonInfo {
	h.t.Helper()
	info, err := h.client.Addon(context.Background(), slug, "")
	must(h.t, err)
	return info
}

// addonIs waits until an add-on is at a version, in a state, with a badge.
func (h *house) addonIs(slug, version, state, badge string) {
	h.t.Helper()
	var last api.AddonInfo
	var err error
	defer func() { must(h.t, err) }() // what the daemon said last, when the wait was in vain
	testenv.Eventually(h.t, 30*time.Second, slug+" is "+state+" at "+version, func() bool {
		last, err = h.client.Addon(context.Background(), slug, "") // an engine that comes back may be asked too early
		return err == nil && last.Version == version && last.State == state
	})
	if last.Badge != badge {
		h.t.Errorf("%s has badge %q (%s), want %q", slug, last.Badge, last.Evidence, badge)
	}
}

func TestLifeOfAnAddon(t *testing.T) {
	w := newWorld(t)
	w.core("2026.11.1")
	w.release("2026.11.1")
	w.image("radio", "1.0", "APP_WRITE=/data/version")
	w.image("radio", "1.1", "APP_WRITE=/data/version")
	w.image("radio", "1.2", ill)
	h := newHouse(w, withStore)
	h.addonConfig("radio", "1.0", "options: {volume: 5}", "schema: {volume: \"int(0,10)\"}")
	h.begin()

	h.castellan("addon", "install", "local_radio", "--yes").says(t, 0)
	h.addonIs("local_radio", "1.0", "stopped", "unsigned")
	h.castellan("addon", "start", "local_radio").says(t, 0)
	h.addonIs("local_radio", "1.0", "running", "unsigned")
	if b, err := os.ReadFile(h.path("data", "addons", "data", "local_radio", "options.json")); err != nil || !strings.Contains(string(b), `"volume": 5`) && !strings.Contains(string(b), `"volume":5`) {
		t.Errorf("options.json: %s, %v", b, err)
	}

	h.addonConfig("radio", "1.1", "options: {volume: 5}", "schema: {volume: \"int(0,10)\"}")
	h.castellan("repo", "refresh", "local").says(t, 0)
	h.castellan("addon", "update", "local_radio").says(t, 0)
	h.addonIs("local_radio", "1.1", "running", "unsigned")

	h.addonConfig("radio", "1.2", "options: {volume: 5}", "schema: {volume: \"int(0,10)\"}")
	h.castellan("repo", "refresh", "local").says(t, 0)
	h.castellan("addon", "update", "local_radio").says(t, 1)
	h.addonIs("local_radio", "1.1", "running", "unsigned")
	if b, err := os.ReadFile(h.path("data", "addons", "data", "local_radio", "version")); err != nil || string(b) != "1.1" {
		t.Errorf("data says %q, %v", b, err)
	}

	h.castellan("addon", "rollback", "local_radio").says(t, 0)
	h.addonIs("local_radio", "1.0", "running", "unsigned")
	h.castellan("addon", "options", "local_radio", "--set", "volume=9").says(t, 0)
	h.castellan("addon", "restart", "local_radio").says(t, 0)
	if b, _ := os.ReadFile(h.path("data", "addons", "data", "local_radio", "options.json")); !strings.Contains(string(b), "9") {
		t.Errorf("options.json: %s", b)
	}
	h.castellan("addon", "stop", "local_radio").says(t, 0)
	h.addonIs("local_radio", "1.0", "stopped", "unsigned")
	h.castellan("addon", "uninstall", "local_radio").says(t, 0)
	h.addonIs("local_radio", "", "absent", "unsigned")
	if _, err := os.Stat(h.path("data", "addons", "data", "local_radio", "version")); err != nil {
		t.Errorf("the data is gone: %v", err)
	}
}
