package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/services"
	"github.com/castellan/castellan/supervisor/api"
)

// appliance has three add-ons: a provides mqtt and announces it, b wants mqtt and has hassio_api, c has no rights.
type appliance struct {
	mu      sync.Mutex
	callers []api.AddonCaller
	looks   int // at all of them
	did     []string
	log     bytes.Buffer
	block   chan struct{}  // Info waits for it
	given   map[string]any // options that were set last
}

func (a *appliance) note(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.did = append(a.did, fmt.Sprintf(format, args...))
}

func (a *appliance) calls() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.did)
}

func (a *appliance) Caller(token string) (found api.AddonCaller, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, c := range a.callers {
		if c.Token == token {
			found = c
			n++
		}
	}
	if token == "" || n != 1 {
		return api.AddonCaller{}, false
	}
	return found, true
}
func (a *appliance) Callers() []api.AddonCaller {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks++
	return slices.Clone(a.callers)
}
func (a *appliance) Info(ctx context.Context) (api.Info, error) {
	if a.block != nil {
		<-a.block
	}
	return api.Info{Supervisor: "1", State: "running", Features: []string{}, SupportedArch: []string{"amd64"}}, nil
}
func (a *appliance) Addon(_ context.Context, slug string) (api.AddonState, error) {
	entry := "/api/hassio_ingress/token-of-" + slug
	url := entry + "/"
	return api.AddonState{State: "started", Version: "1.10", Options: map[string]any{"of": slug}, IngressEntry: &entry, IngressURL: &url}, nil
}
func (a *appliance) Options(_ context.Context, slug string) (map[string]any, error) {
	if slug == "c" {
		return nil, errors.New("App c has invalid options: Missing option 'x'")
	}
	return map[string]any{"of": slug}, nil
}
func (a *appliance) SetOptions(_ context.Context, slug string, o map[string]any) error {
	a.note("options %s %v %v", slug, o, o == nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.given = o
	return nil
}
func (a *appliance) Run(_ context.Context, slug string, do api.AddonAction) error {
	a.note("%s %s", do, slug)
	return nil
}
func (a *appliance) Refused(_ context.Context, slug, what string) {
	a.note("refused %s %s", slug, what)
}

func addonHouse(t testing.TB) (*appliance, *services.Registry, *api.Server) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "services.json")
	if err := services.Init(path); err != nil {
		t.Fatal(err)
	}
	reg, err := services.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	uses := func(use string) []addons.ServiceUse { return []addons.ServiceUse{{Service: "mqtt", Use: use}} }
	a := &appliance{callers: []api.AddonCaller{
		{Slug: "a", Token: "token-a", Manifest: addons.Manifest{Name: "A", Services: uses("provide"), Discovery: []string{"mqtt"}}},
		{Slug: "b", Token: "token-b", Manifest: addons.Manifest{Name: "B", Services: uses("want"), HassioAPI: true, HassioRole: "admin"}},
		{Slug: "c", Token: "token-c", Manifest: addons.Manifest{Name: "C"}},
		{Slug: "stopped"},
		{Slug: "twin", Token: "token-twin"}, {Slug: "other_twin", Token: "token-twin"},
	}}
	srv := api.New(api.Config{Backend: &house{}, Home: residence{&house{}, a}, Guests: a, Registry: reg,
		Announced: func(m services.Message, gone bool) { a.note("announced %s %v", m.Addon, gone) },
		Log:       slog.New(slog.NewTextHandler(&a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	return a, reg, srv
}

// ask makes one request; header is "name: value", "" for none.
func ask(t *testing.T, url, method, path, header string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

const mqtt = `{"host":"core-mosquitto","port":"1883","username":"u","password":"s3cret"}`

// TestAddonRows asks for every row of the table in a story: good and bad calls follow each other on one appliance.
func TestAddonRows(t *testing.T) {
	a, reg, srv := addonHouse(t)
	web := httptest.NewServer(srv.AddonHandler())
	defer web.Close()
	large := `{"x":"` + strings.Repeat("a", 17<<20) + `"}`
	deep := strings.Repeat("[", 20000)
	uuid := ""
	for i, c := range []struct {
		who, method, path, body string
		status                  int
		says                    string
	}{
		{"", "GET", "/supervisor/ping", "", 200, `{"result":"ok","data":{}}`},
		{"", "POST", "/supervisor/ping", "", 401, "401: Unauthorized"},
		{"a", "POST", "/supervisor/ping", "", 405, "405: Method Not Allowed"},

		{"", "GET", "/info", "", 401, "401: Unauthorized"},
		{"nobody", "GET", "/info", "", 401, "401: Unauthorized"},
		{"twin", "GET", "/info", "", 401, "401: Unauthorized"},
		{"c", "GET", "/info", "{}", 200, `"hassos":null`},
		{"c", "PUT", "/info", "", 405, "405"},

		{"c", "GET", "/addons/self/info", "{}", 200, `"options":{"of":"c"}`},
		{"c", "GET", "/addons/c/info", "", 200, `"slug":"c"`},
		{"c", "GET", "/addons/a/info", "", 403, "itself only"},
		{"b", "GET", "/addons/a/info", "", 200, `"slug":"a"`},
		{"c", "DELETE", "/addons/self/info", "", 405, "405"},
		{"a", "GET", "/addons/self/options/config", "", 200, `{"of":"a"}`},
		{"c", "GET", "/addons/self/options/config", "", 400, "invalid options"},
		{"b", "GET", "/addons/a/options/config", "", 403, "itself only"},
		{"c", "POST", "/addons/self/options/config", "", 405, "405"},

		{"c", "POST", "/addons/self/options", `{"options":{"x":1}}`, 200, `{"result":"ok","data":{}}`},
		{"c", "POST", "/addons/self/options", `{"options":null}`, 200, `"data":{}`},
		{"c", "POST", "/addons/self/options", ``, 200, `"data":{}`},
		{"c", "POST", "/addons/self/options", `{"options":[]}`, 400, "wrong type @ /options"},
		{"c", "POST", "/addons/self/options", `[]`, 400, "wrong type"},
		{"c", "POST", "/addons/self/options", `{"extra":1}`, 400, "extra keys not allowed @ /extra"},
		{"c", "POST", "/addons/self/options", `{"options":{},"options":{}}`, 400, "Invalid json"},
		{"c", "POST", "/addons/self/options", `{"options":` + deep, 400, "Invalid json"},
		{"c", "POST", "/addons/self/options", large, 400, "larger than"},
		{"c", "POST", "/addons/self/options", `{"auto_update":false,"options":{"y":1}}`, 403, "options only"},
		{"c", "POST", "/addons/self/options", `{"network":null}`, 403, "options only"},
		{"c", "POST", "/addons/a/options", `{"options":{"x":1}}`, 403, "itself only"},
		{"b", "POST", "/addons/a/options", `{"watchdog":false}`, 403, "options only"},
		{"c", "GET", "/addons/self/options", "", 405, "405"},

		{"c", "POST", "/addons/self/stop", "", 200, `"data":{}`},
		{"c", "POST", "/addons/self/restart", "{}", 200, `"data":{}`},
		{"c", "POST", "/addons/self/restart", `{"force":true}`, 400, "extra keys not allowed @ /force"},
		{"c", "POST", "/addons/self/stop", `7`, 400, "wrong type"},
		{"c", "POST", "/addons/self/stop", large, 400, "larger than"},
		{"c", "POST", "/addons/a/stop", "", 403, "itself only"},
		{"c", "POST", "/addons/a/restart", "", 403, "itself only"},
		{"b", "POST", "/addons/a/stop", "", 200, `"data":{}`}, // its role says so
		{"c", "GET", "/addons/self/stop", "", 405, "405"},
		{"c", "GET", "/addons/self/restart", "", 405, "405"},

		{"b", "GET", "/services/mqtt", "", 400, "Service not enabled"},
		{"a", "DELETE", "/services/mqtt", "{}", 400, "nobody provides mqtt"},
		{"b", "POST", "/services/mqtt", mqtt, 403, "No access to write mqtt"},
		{"a", "POST", "/services/ftp", mqtt, 404, "no service"},
		{"a", "POST", "/services/mysql", mqtt, 403, "No access to write mysql"},
		{"a", "POST", "/services/mqtt", ``, 400, "required key not provided @ /host"},
		{"a", "POST", "/services/mqtt", `{"host":"h","port":[]}`, 400, "@ /port"},
		{"a", "POST", "/services/mqtt", `{"host":"h","port":1,"x":1}`, 400, "extra keys not allowed @ /x"},
		{"a", "POST", "/services/mqtt", `{"password":"s3cret\q"}`, 400, `"Invalid json at byte 19"`},
		{"a", "POST", "/services/mqtt", large, 400, "larger than"},
		{"a", "POST", "/services/mqtt", mqtt, 200, `"data":{}`},
		{"a", "PATCH", "/services/mqtt", mqtt, 405, "405"},
		{"b", "GET", "/services/mqtt", "", 200, `{"addon":"a","host":"core-mosquitto","port":1883,"username":"u","password":"s3cret","ssl":false,"protocol":"3.1.1"}`},
		{"c", "GET", "/services/mqtt", "", 403, "No access to mqtt"},
		{"c", "GET", "/services", "", 200, `{"slug":"mqtt","available":true,"providers":["a"]},{"slug":"mysql","available":false,"providers":[]}`},
		{"c", "POST", "/services", "", 405, "405"},
		{"b", "DELETE", "/services/mqtt", "", 403, "No access to write"},
		{"a", "DELETE", "/services/mqtt", "", 200, `"data":{}`},

		{"b", "POST", "/discovery", `{"service":"mqtt","config":{}}`, 403, "must list services"},
		{"a", "POST", "/discovery", `{"service":"mqtt"}`, 400, "required key"},
		{"a", "POST", "/discovery", ``, 400, "required key"},
		{"a", "POST", "/discovery", `{"service":"mqtt","config":[]}`, 400, "want an object"},
		{"a", "POST", "/discovery", `{"service":7,"config":{}}`, 400, "wrong type @ /service"},
		{"a", "POST", "/discovery", `{"service":"mqtt","config":{},"addon":"b"}`, 400, "extra keys not allowed @ /addon"},
		{"a", "POST", "/discovery", `{"service":"mqtt","config":{"x":"` + strings.Repeat("a", 70<<10) + `"}}`, 400, "limit"},
		{"a", "POST", "/discovery", large, 400, "larger than"},
		{"a", "POST", "/discovery", `{"service":"mqtt","config":{"password":"s3cret"}}`, 200, `"uuid":"`},
		{"a", "POST", "/discovery", `{"service":"mqtt","config":{"password":"s3cret"}}`, 200, `"uuid":"UUID"`},
		{"a", "PUT", "/discovery", "", 405, "405"},
		{"a", "GET", "/discovery", "", 200, `{"discovery":[{"uuid":"UUID","addon":"a","service":"mqtt","config":{"password":"s3cret"}}],"services":{"mqtt":["a"]}}`},
		{"b", "GET", "/discovery", "", 200, `{"discovery":[],"services":{}}`},
		{"a", "GET", "/discovery/UUID", "", 200, `"config":{"password":"s3cret"}`},
		{"b", "GET", "/discovery/UUID", "", 404, "not found"},
		{"b", "DELETE", "/discovery/UUID", "", 404, "not found"},
		{"a", "POST", "/discovery/UUID", "", 405, "405"},
		{"a", "DELETE", "/discovery/UUID", "{}", 200, `"data":{}`},
		{"a", "DELETE", "/discovery/UUID", "", 404, "not found"},

		{"c", "GET", "/store", "", 403, "hassio_api"},
		{"b", "GET", "/nothing", "", 404, "no such path"},
		{"", "GET", "/store", "", 401, "401"},
	} {
		if m := reg.Messages("a"); len(m) > 0 {
			uuid = m[0].UUID
		}
		put := strings.NewReplacer("UUID", uuid)
		header := ""
		if c.who != "" {
			header = "X-Supervisor-Token: token-" + c.who
		}
		status, body := ask(t, web.URL, c.method, put.Replace(c.path), header, strings.NewReader(c.body))
		if status != c.status || !strings.Contains(body, put.Replace(c.says)) {
			t.Errorf("%d: %s %s %s %.60s: got %d %.300s, want %d and %q", i, c.who, c.method, c.path, c.body, status, body, c.status, c.says)
		}
		if plain := status == 401 || status == 405; !plain && !strings.HasPrefix(body, `{"result":"`) {
			t.Errorf("%d: %s %s: no envelope: %.100s", i, c.method, c.path, body)
		}
	}
	const settings = "POST /addons/self/options with settings of the owner"
	want := []string{"options c map[x:1] false", "options c map[] true", "refused c " + settings, "refused c " + settings, "refused b " + settings,
		"stop c", "restart c", "announced a false", "announced a true"}
	if got := a.calls(); !slices.Equal(got, want) {
		t.Errorf("calls\n%q\nwant\n%q", got, want)
	}
	web.Close() // nobody writes the log any more
	if log := a.log.String(); strings.Contains(log, "s3cret") || strings.Contains(log, "token-") {
		t.Errorf("the log shows a secret:\n%s", log)
	}
}

func TestTokensAreFoundInTheOrderOfTheSupervisor(t *testing.T) {
	_, _, srv := addonHouse(t)
	for _, c := range []struct {
		header http.Header
		slug   string // "" = nobody
	}{
		{http.Header{"X-Supervisor-Token": {"token-a"}, "X-Hassio-Key": {"token-b"}, "Authorization": {"Bearer token-c"}}, "a"},
		{http.Header{"X-Supervisor-Token": {""}, "X-Hassio-Key": {"token-b"}, "Authorization": {"Bearer token-c"}}, "b"},
		{http.Header{"Authorization": {"Bearer token-c"}}, "c"},
		{http.Header{"Authorization": {"token-c"}}, "c"},
		{http.Header{"Authorization": {"Bearer of token-c"}}, "c"},
		{http.Header{"X-Supervisor-Token": {"wrong"}, "X-Hassio-Key": {"token-b"}}, ""},
		{http.Header{"Authorization": {"token-c Bearer"}}, ""},
		{http.Header{"Authorization": {"  "}}, ""},
		{http.Header{"X-Supervisor-Token": {"token-"}}, ""},
		{http.Header{"X-Supervisor-Token": {"TOKEN-A"}}, ""},
		{http.Header{}, ""},
	} {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest("GET", "/addons/self/info", nil)
		req.Header = c.header
		srv.AddonHandler().ServeHTTP(rec, req)
		if c.slug == "" && (rec.Code != 401 || rec.Body.String() != "401: Unauthorized") ||
			c.slug != "" && !strings.Contains(rec.Body.String(), `"slug":"`+c.slug+`"`) {
			t.Errorf("%v: got %d %.100s, want %q", c.header, rec.Code, rec.Body.String(), c.slug)
		}
	}
}

// TestNoAddonOverridesTrust: whatever the role, and however the path is written, it is refused, and the log hears of it
// a limited number of times.
func TestNoAddonOverridesTrust(t *testing.T) {
	for _, path := range []string{"/castellan", "/castellan/status", "/castellan/trust/force", "/castellan/trust/forget", "/castellan/rollback",
		"/castellan/nothing", "/castellan%2ftrust%2fforce", "/CASTELLAN/trust/force", "/%63astellan/trust/force",
		"/security/options", "/security/integrity", "/addons/self/security", "/addons/b/security", "/addons/a/security",
		"/addons/self/sys_options", "/addons/self/update"} {
		a, _, srv := addonHouse(t)
		web := httptest.NewServer(srv.AddonHandler())
		for _, method := range []string{"GET", "POST", "DELETE"} {
			if status, body := ask(t, web.URL, method, path, "X-Hassio-Key: token-b", strings.NewReader(`{}`)); status != 403 {
				t.Errorf("%s %s: got %d %s", method, path, status, body)
			}
			if status, _ := ask(t, web.URL, method, path, "", nil); status != 401 {
				t.Errorf("%s %s without a token: %d", method, path, status)
			}
		}
		if got := a.calls(); len(got) != 3 || !strings.HasPrefix(got[1], "refused b POST /") {
			t.Errorf("%s: logged %q", path, got)
		}
		for range 20 {
			ask(t, web.URL, "POST", path, "X-Hassio-Key: token-b", nil)
		}
		if n := len(a.calls()); n > 6 {
			t.Errorf("%s: logged %d times", path, n)
		}
		web.Close()
	}
}

func TestAChunkedEmptyBodyIsAnEmptyObject(t *testing.T) {
	a, _, srv := addonHouse(t)
	web := httptest.NewServer(srv.AddonHandler())
	defer web.Close()
	empty := struct{ io.Reader }{strings.NewReader("")} // unknown length: chunked
	if status, body := ask(t, web.URL, "POST", "/addons/self/restart", "X-Supervisor-Token: token-c", empty); status != 200 || body != `{"result":"ok","data":{}}` {
		t.Errorf("got %d %s", status, body)
	}
	if got := a.calls(); !slices.Equal(got, []string{"restart c"}) {
		t.Errorf("calls %q", got)
	}
}

func TestInfoHasEveryKeyOfHomeAssistant(t *testing.T) {
	_, _, srv := addonHouse(t)
	for path, keys := range map[string]string{
		"/info": "supervisor homeassistant hassos docker hostname operating_system features machine machine_id arch supported_arch state supported channel logging timezone",
		"/addons/self/info": "name slug description stage version version_latest update_available available detached homeassistant state repository build url icon logo " +
			"system_managed advanced hostname dns long_description protected rating boot_config boot options schema arch machine network network_description host_network " +
			"host_pid host_ipc host_uts host_dbus privileged full_access apparmor changelog documentation stdin hassio_api hassio_role auth_api homeassistant_api gpio usb uart " +
			"kernel_modules devicetree udev docker_api video audio startup services discovery translations ingress signed webui ingress_entry ingress_url ingress_port " +
			"ingress_panel audio_input audio_output auto_update ip_address watchdog devices system_managed_config_entry",
	} {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest("GET", path, nil)
		req.Header.Set("X-Supervisor-Token", "token-c")
		srv.AddonHandler().ServeHTTP(rec, req)
		var got struct{ Data map[string]any }
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for _, k := range strings.Fields(keys) {
			if _, ok := got.Data[k]; !ok {
				t.Errorf("%s has no %q", path, k)
			}
		}
		if len(got.Data) != len(strings.Fields(keys)) {
			t.Errorf("%s has %d keys, want %d", path, len(got.Data), len(strings.Fields(keys)))
		}
	}
}

func TestAnUninstallationThatOvertakesACallWins(t *testing.T) {
	for path, body := range map[string]string{"/services/mqtt": mqtt, "/discovery": `{"service":"mqtt","config":{}}`} {
		a, reg, _ := addonHouse(t)
		web := httptest.NewServer(api.New(api.Config{Guests: &vanishing{appliance: a, slug: "a"}, Registry: reg,
			Announced: func(services.Message, bool) { a.note("announced") }, Log: slog.New(slog.DiscardHandler)}).AddonHandler())
		if status, out := ask(t, web.URL, "POST", path, "X-Supervisor-Token: token-a", strings.NewReader(body)); status != 403 {
			t.Errorf("%s: got %d %s", path, status, out)
		}
		if reg.Provider("mqtt") != "" || len(reg.Messages("")) != 0 || len(a.calls()) != 0 {
			t.Errorf("%s: something stays of an add-on that is gone", path)
		}
		web.Close()
	}
}

// vanishing forgets an add-on after the first look.
type vanishing struct {
	*appliance
	slug string
	once sync.Once
}

func (v *vanishing) Caller(token string) (api.AddonCaller, bool) {
	c, ok := v.appliance.Caller(token)
	first := false
	v.once.Do(func() { first = true })
	return c, ok && (first || c.Slug != v.slug)
}
