package house

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

// haAnswer is an envelope of Home Assistant's API.
type haAnswer struct {
	Status  int
	Result  string
	Message string
	Key     string          `json:"error_key"`
	Job     string          `json:"job_id"`
	Data    json.RawMessage `json:"data"`
	Body    string          `json:"-"`
}

// ha asks as Home Assistant's command line does: on the bridge, with the host token, and a chunked body that may be empty.
func (h *house) ha(method, path, body string) (a haAnswer) {
	h.t.Helper()
	token, err := os.ReadFile(h.path("data", "host.token"))
	must(h.t, err)
	address := netip.MustParsePrefix(h.subnet()).Addr().Next().Next().String()
	var chunked io.Reader
	if method != "GET" {
		chunked = struct{ io.Reader }{bytes.NewReader([]byte(body))} // its length is not known
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+address+path, chunked)
	must(h.t, err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	must(h.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(h.t, err)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		must(h.t, json.Unmarshal(b, &a))
	}
	a.Status, a.Body = resp.StatusCode, string(b)
	return a
}

// haSays fails unless an answer has a status and words.
func (h *house) haSays(method, path, body string, status int, words ...string) haAnswer {
	h.t.Helper()
	a := h.ha(method, path, body)
	for _, w := range append(words, "") {
		if a.Status != status || !strings.Contains(a.Body, w) {
			h.t.Errorf("%s %s %s: got %d %.600s, want %d and %q", method, path, body, a.Status, a.Body, status, w)
		}
	}
	return a
}

// TestHomeAssistantsAPIOverTheBridge drives a whole appliance by Home Assistant's API alone: what it says is true, and what
// ends badly is not answered as done.
func TestHomeAssistantsAPIOverTheBridge(t *testing.T) {
	w := newWorld(t)
	w.core("2026.11.1")
	w.release("2026.11.1")
	w.image("radio", "1.0")
	w.image("radio", "1.1")
	w.image("radio", "1.2", ill)
	h := newHouse(w, withStore)
	h.addonConfig("radio", "1.0", "options: {volume: 5}", "schema: {volume: \"int(0,10)\"}")
	h.addonConfig("greedy", "1.0", "host_network: true")
	h.begin()
	h.castellan("addon", "install", "local_radio", "--yes").says(t, 0)
	testenv.Eventually(t, time.Minute, "the bridge answers", func() bool {
		address := netip.MustParsePrefix(h.subnet()).Addr().Next().Next().String()
		resp, err := http.Get("http://" + address + "/supervisor/ping")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == 200
	})

	h.haSays("GET", "/info", "", 200, `"homeassistant":"2026.11.1"`, `"state":"running"`)
	h.haSays("GET", "/core/info", "", 200, `"version":"2026.11.1"`, `"update_available":false`)
	h.haSays("GET", "/supervisor/info", "", 200, `"healthy":true`, `"slug":"local_radio"`)
	h.haSays("GET", "/addons", "", 200, `"slug":"local_radio"`, `"state":"stopped"`)
	h.haSays("GET", "/addons/local_radio/info", "", 200, `"options":{"volume":5}`, `"version":"1.0"`)
	h.haSays("GET", "/store", "", 200, `"slug":"local_greedy"`, `"slug":"local"`)
	h.haSays("GET", "/store/addons/local_greedy", "", 200, `"installed":false`, `"host_network":true`)
	h.haSays("GET", "/network/info", "", 200, `"interfaces":[`)
	h.haSays("GET", "/host/info", "", 200, `"disk_total":`)
	h.haSays("GET", "/supervisor/stats", "", 200, `"memory_usage":`)
	h.haSays("POST", "/security/integrity", "", 200, `"core":"pass"`, `"local_radio":"untested"`)
	h.haSays("GET", "/resolution/info", "", 200, `"unhealthy":[]`, `"issues":[]`)

	h.haSays("POST", "/addons/local_radio/start", "", 200)
	h.addonIs("local_radio", "1.0", "running", "unsigned")
	h.haSays("POST", "/addons/local_radio/options", `{"options":{"volume":11}}`, 400, "volume", "app_configuration_invalid_error")
	h.haSays("POST", "/addons/local_radio/options", `{"options":{"volume":7},"watchdog":true}`, 200)
	h.haSays("GET", "/addons/local_radio/info", "", 200, `"options":{"volume":7}`, `"watchdog":true`)
	h.haSays("POST", "/addons/local_radio/options/validate", `{"volume":"loud"}`, 200, `"valid":false`, `"pwned":null`)
	h.haSays("POST", "/addons/local_radio/restart", "", 200)
	h.haSays("GET", "/addons/local_radio/logs", "", 200)
	h.haSays("POST", "/store/addons/local_greedy/install", "", 400, "consent_required", "castellan addon install local_greedy --yes")

	h.addonConfig("radio", "1.1", "options: {volume: 5}", "schema: {volume: \"int(0,10)\"}")
	h.haSays("POST", "/store/reload", "", 200)
	h.haSays("GET", "/available_updates", "", 200, `"version_latest":"1.1"`)
	h.haSays("POST", "/addons/local_radio/update", "{}", 200)
	h.addonIs("local_radio", "1.1", "running", "unsigned")
	h.addonConfig("radio", "1.2", "options: {volume: 5}", "schema: {volume: \"int(0,10)\"}")
	h.haSays("POST", "/store/reload", "", 200)
	a := h.haSays("POST", "/store/addons/local_radio/update", "", 400, "it ended as rolled back", "running 1.1 again")
	h.haSays("GET", "/jobs/"+a.Job, "", 200, `"name":"addon_manager_update"`, `"done":true`, `"errors":[{`)
	h.addonIs("local_radio", "1.1", "running", "unsigned")

	w.core("2026.11.2")
	w.core("2026.11.3", ill)
	w.release("2026.11.2")
	h.haSays("POST", "/refresh_updates", "", 200)
	h.haSays("POST", "/core/update", "", 200)
	h.runs(h.core, "2026.11.2", "verified")
	h.haSays("POST", "/core/update", `{"version":"2026.11.2"}`, 400, "homeassistant_update_already_installed_error")
	a = h.haSays("POST", "/core/update", `{"version":"2026.11.3"}`, 400, "homeassistant_update_error", "running 2026.11.2 again")
	h.haSays("GET", "/jobs/"+a.Job, "", 200, `"name":"home_assistant_core_update"`, `"progress":`)
	h.haSays("GET", "/core/info", "", 200, `"version":"2026.11.2"`)
	h.haSays("GET", "/resolution/info", "", 200, `"type":"update_rollback","context":"core"`)
	h.haSays("POST", "/core/stop", "", 400, "the appliance needs it")
	h.haSays("POST", "/core/restart", "", 200)
	h.haSays("POST", "/core/rebuild", "", 200)
	h.haSays("POST", "/core/check", "", 400, "cannot check the configuration of Home Assistant Core") // the image has no such program
	h.haSays("GET", "/core/stats", "", 200, `"memory_limit":`)
	h.haSays("GET", "/core/logs", "", 200)
	h.haSays("GET", "/supervisor/logs", "", 200, "verdict")
	h.runs(h.core, "2026.11.2", "verified")
	h.haSays("POST", "/addons/local_radio/uninstall", `{"remove_config":true}`, 200)
	h.haSays("POST", "/addons/local_radio/start", "", 400, "app_not_installed_error")
	h.haSays("GET", "/addons/local_radio/info", "", 200, `"state":"unknown"`, `"version":null`)
}
