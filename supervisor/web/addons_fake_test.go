package web

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// shop is an API with add-ons: the outside world of these pages. It notes what it is asked to do.
type shop struct {
	mu      sync.Mutex
	role    string
	list    []api.Addon
	info    map[string]api.AddonInfo
	repos   []api.Repository
	changes []api.Change
	check   api.OptionsCheck
	kept    api.Kept
	backups []api.BackupItem
	refuse  map[string]*api.Error // by method and path
	log     string
	logPipe io.Reader // of a log that is followed
	texts   map[string]string
	pages   uint16 // port of add-ons' pages
	did     []string
}

const shopToken = "csrf-of-this-session"

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/castellan/events" { // nothing happens
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	call := r.Method + " " + r.URL.Path
	if r.Method != http.MethodGet {
		s.did = append(s.did, strings.TrimSpace(call+" "+string(body)))
		if r.Header.Get("X-CSRF-Token") != shopToken {
			answerError(w, &api.Error{Status: 403, Key: "csrf", Message: "the form is not of this session"})
			return
		}
	}
	if e := s.refuse[call]; e != nil {
		answerError(w, e)
		return
	}
	if data := s.answer(w, r, body); data != nil {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"result": "ok", "data": data})
	}
}

func answerError(w http.ResponseWriter, e *api.Error) {
	w.WriteHeader(e.Status)
	extra := map[string]any{"next": e.Next}
	for k, v := range e.Extra {
		extra[k] = v
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"result": "error", "message": e.Message, "error_key": e.Key, "extra_fields": extra})
}

// answer is the data of one call, or nil when it was written.
func (s *shop) answer(w http.ResponseWriter, r *http.Request, body []byte) any {
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(strings.TrimPrefix(path, "/castellan"), "/addons/"); ok {
		slug, call, _ := strings.Cut(rest, "/")
		info, known := s.info[slug]
		switch {
		case !known:
			answerError(w, api.AddonNotFound(slug))
			return nil
		case call == "":
			return info
		case call == "info":
			return map[string]any{"ingress_url": "/api/hassio_ingress/tokenOfPages/start"}
		case call == "options/validate":
			return s.check
		case call == "options", call == "settings":
			return s.kept
		case call == "logs" && r.URL.Query().Get("follow") == "1":
			_ = http.NewResponseController(w).Flush()
			s.mu.Unlock()
			_, _ = io.Copy(w, s.logPipe)
			s.mu.Lock()
			return nil
		case call == "logs":
			_, _ = io.WriteString(w, s.log)
			return nil
		case call == "stats":
			return api.AddonStats{CPUPercent: 12.34, MemoryUsage: 123e6, MemoryLimit: 4e9, NetworkRx: 5e6, NetworkTx: 1e6}
		case call == "changelog", call == "documentation":
			if text, ok := s.texts[call]; ok {
				_, _ = io.WriteString(w, text)
				return nil
			}
			answerError(w, &api.Error{Status: 404, Message: "it brings none"})
			return nil
		}
		return api.Accepted{Changes: []string{"c1"}, Skips: []api.PlanSkip{}}
	}
	switch path {
	case "/castellan/me":
		return api.Me{Name: "anna", Role: s.role, Kind: "session", CSRF: shopToken}
	case "/castellan/status":
		st := api.Status{Appliance: "attic", Network: api.NetworkStatus{IngressPort: s.pages}, Ledger: api.LedgerStatus{State: "fresh", Time: time.Now()}}
		for _, a := range s.list {
			st.Services = append(st.Services, api.ServiceStatus{Name: "addon_" + a.Slug, Slug: a.Slug, Class: "addon", Version: a.Version, Badge: a.Badge, Mode: "ask"})
		}
		return st
	case "/castellan/addons":
		return api.AddonList{Addons: s.list}
	case "/castellan/repositories":
		return api.RepositoryList{Repositories: s.repos}
	case "/castellan/changes":
		return api.ChangeList{Changes: s.changes}
	case "/castellan/log":
		return api.LogList{Records: []api.LogRecord{{Seq: 50, Kind: "verdict", Line: json.RawMessage(`{"payload":{"verdict":{"subject":{"index":"sha256:3bf2c008b8c5cf1110d877d8c986d75dfa912679c7d749a1318e3a15a21e6d87"},"publisher":"p-signer","record":{"tx":14},"head":{"origin":"ledger.example/one"}}}}`)}}}
	case "/ingress/session":
		return api.IngressSession{Session: "sessionOfPages"}
	case "/ingress/validate_session":
		if !strings.Contains(string(body), "sessionOfPages") {
			answerError(w, &api.Error{Status: 401, Message: "no such session"})
			return nil
		}
		return map[string]any{}
	case "/backups/info":
		return api.BackupsInfo{Backups: s.backups}
	}
	return map[string]any{"slug": "new"}
}

// calls are those that changed something.
func (s *shop) calls() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.did, "\n")
}

// hostileName is what somebody might call a thing to take over a page.
const hostileName = `</textarea></script><script>alert(1)</script><img src=x onerror=alert(2)>"' onfocus=alert(3) {{.}}`

// newShop is one with an add-on of every kind.
func newShop() *shop {
	s := &shop{role: "admin", check: api.OptionsCheck{Valid: true}, info: map[string]api.AddonInfo{}, refuse: map[string]*api.Error{}, texts: map[string]string{}}
	s.repos = []api.Repository{
		{Slug: "core", Name: "Official add-ons", Source: "https://github.com/home-assistant/addons", Maintainer: "Home Assistant", Builtin: true, Addons: 3, Installed: 2, Refreshed: time.Now().Add(-20 * time.Minute)},
		{Slug: "a0d7b954", Name: "Community add-ons", Source: "https://github.com/hassio-addons/repository", Maintainer: "Franck", Addons: 4, Refreshed: time.Now().Add(-26 * time.Hour), Trouble: "cannot reach github.com: no answer within 20s", Problems: []string{"broken/config.yaml: line 3: want a text"}},
	}
	add := func(info api.AddonInfo) {
		s.list = append(s.list, info.Addon)
		s.info[info.Slug] = info
	}
	add(zigbee())
	add(api.AddonInfo{Addon: api.Addon{Slug: "core_mosquitto", Name: "Mosquitto broker", Repository: "core", Description: "A small MQTT broker the rest of your home can talk to.", Version: "6.5.2", VersionLatest: "6.5.2", State: "running", Badge: "verified", Available: true, Access: "low", Stage: "stable"}, Schema: []map[string]any{}, Verdict: 50})
	add(api.AddonInfo{Addon: api.Addon{Slug: "core_whisper", Name: "Whisper", Repository: "core", Description: "Speech to text.", VersionLatest: "3.1.0", State: "absent", Badge: "unsigned", Available: true, Access: "medium", Stage: "experimental"},
		Asks: []api.Right{{Code: "host_network", Words: "use the network"}, {Code: "audio", Words: "use microphones"}}, Download: 415e6, Evidence: "nobody vouches for it, and nobody has to"})
	add(api.AddonInfo{Addon: api.Addon{Slug: "a0d7b954_frigate", Name: "Frigate", Repository: "a0d7b954", Description: "Watches your cameras locally and tells people from cats.", VersionLatest: "0.18.2", State: "absent", Badge: "not checked", Available: true, Access: "high"}})
	add(api.AddonInfo{Addon: api.Addon{Slug: "a0d7b954_bridge", Name: "Bridge Toolkit", Repository: "a0d7b954", Description: "Adds older hub devices.", Version: "1.3.0", VersionLatest: "1.4.0", State: "running", Badge: "withdrawn", Available: true, Access: "medium"}, Evidence: "its publisher has withdrawn it since it was let in"})
	add(api.AddonInfo{Addon: api.Addon{Slug: "a0d7b954_arm", Name: "Only for ARM", Repository: "a0d7b954", Description: "For another machine.", VersionLatest: "1", State: "absent", Badge: "not checked", UnavailableWhy: "it is made for armv7", Access: "medium"}})
	add(api.AddonInfo{Addon: api.Addon{Slug: "local_own", Name: "My own", Repository: "local", Description: "Built here.", VersionLatest: "0.1", State: "absent", Badge: "local", Available: true, Build: true, Access: "medium"}, Kept: &api.AddonKept{Version: "0.1", Removed: time.Now(), Bytes: 1200}})
	return s
}

// zigbee is an add-on with options of every type.
func zigbee() api.AddonInfo {
	port := uint16(8099)
	return api.AddonInfo{
		Addon: api.Addon{Slug: "a0d7b954_zigbee2mqtt", Name: "Zigbee2MQTT", Repository: "a0d7b954", Description: "Use Zigbee lamps, sensors and switches without their maker's bridge.", Version: "2.7.1", VersionLatest: "2.8.0", State: "running", Badge: "verified",
			Publisher: "p-koen", Available: true, Update: true, Access: "medium", Boot: "auto", Protected: true, Ingress: true, Waiting: &api.PlanSkip{Code: "ask", Why: "it waits for you: castellan update addon_x"}},
		Granted: []api.Right{{Code: "uart", Words: "use all serial ports"}, {Code: "service:mqtt", Words: "use mqtt"}, {Code: "future:thing", Words: "do a thing of the future"}},
		Verdict: 50, Previous: "2.6.0", BootConfig: "auto", DataBytes: 4_200_000, Image: "ghcr.io/koenkk/zigbee2mqtt:2.7.1", Documentation: true, Changelog: true,
		Options: api.AddonOptions{"serial": "/dev/ttyUSB0", "channel": json.Number("15"), "ratio": json.Number("1.0"), "password": "s3cretWord", "join": true, "level": "info", "mail": "a@b.example",
			"topics": []any{"one", "two"}, "modes": []any{"a"}, "nested": map[string]any{"host": "broker", "token": "nestedSecret"},
			"logins": []any{map[string]any{"user": "ann", "password": "annsSecret"}, map[string]any{"user": "bob", "password": "bobsSecret"}}},
		Overrides: api.AddonOptions{"channel": json.Number("15")},
		Schema: []map[string]any{
			{"name": "serial", "type": "select", "required": true, "options": []string{"/dev/ttyUSB0", "/dev/ttyACM0"}},
			{"name": "channel", "type": "integer", "required": true, "lengthMin": 11, "lengthMax": 26},
			{"name": "ratio", "type": "float", "optional": true},
			{"name": "password", "type": "string", "format": "password", "optional": true},
			{"name": "join", "type": "boolean", "required": true}, {"name": "quiet", "type": "boolean", "optional": true},
			{"name": "level", "type": "select", "required": true, "options": []string{"info", "debug"}},
			{"name": "mail", "type": "string", "format": "email", "optional": true}, {"name": "site", "type": "string", "format": "url", "optional": true},
			{"name": "topics", "type": "string", "required": true, "multiple": true},
			{"name": "modes", "type": "select", "required": true, "multiple": true, "options": []string{"a", "b"}},
			{"name": "nested", "type": "schema", "optional": true, "multiple": false, "schema": []map[string]any{{"name": "host", "type": "string", "required": true}, {"name": "token", "type": "string", "format": "password", "optional": true}}},
			{"name": "logins", "type": "schema", "optional": true, "multiple": true, "schema": []map[string]any{{"name": "user", "type": "string", "required": true}, {"name": "password", "type": "string", "format": "password", "required": true}}},
		},
		Translation: map[string]api.AddonTranslation{"serial": {Name: "Serial adapter", Description: "The USB stick your radio is on"}, "channel": {Name: "Channel", Description: "Change only when Wi-Fi disturbs it"},
			"logins": {Name: "Logins", Fields: map[string]api.AddonTranslation{"user": {Name: "User name"}}}},
		Ports:   []api.AddonPort{{Container: "8099/tcp", Host: &port, Default: &port, Description: "Web interface"}, {Container: "8485/tcp", Description: "Adapter"}},
		Changes: []api.Change{{ID: "c0", Service: "addon_a0d7b954_zigbee2mqtt", Slug: "a0d7b954_zigbee2mqtt", Kind: "update", From: "2.7.1", To: "2.7.2", State: "rolled-back", Done: true, Why: "check \"watchdog\" failed 8 of 8 times", Updated: time.Now().Add(-3 * time.Hour)}},
	}
}

// ui is the pages before a shop.
func (s *shop) ui() *UI {
	return New(Config{API: s, Version: "1", Host: "attic", Log: slog.New(slog.DiscardHandler)})
}

// get reads a page.
func (s *shop) get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ui().ServeHTTP(w, r)
	return w
}

// post sends a form with the session's token.
func (s *shop) post(t *testing.T, path string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	form.Set("csrf", shopToken)
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ui().ServeHTTP(w, r)
	return w
}

// wants holds a page to what must and must not be on it.
func wants(t *testing.T, page string, must []string, not ...string) {
	t.Helper()
	for _, m := range must {
		if !strings.Contains(page, m) {
			t.Errorf("the page lacks %q", m)
		}
	}
	for _, n := range not {
		if strings.Contains(page, n) {
			i := strings.Index(page, n)
			t.Errorf("the page has %q: %s", n, fmt.Sprintf("…%.160s", page[max(0, i-60):]))
		}
	}
}
