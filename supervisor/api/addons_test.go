package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// samples hold for every route about add-ons a good body, or query, and the call it must become.
var samples = map[string]struct{ query, body, call string }{
	"GET /castellan/addons":                          {"?all=1", "", `list [true]`},
	"GET /castellan/addons/{slug}":                   {"?lang=pt-BR", "", `info ["core_x","pt-BR"]`},
	"POST /castellan/addons/{slug}/install":          {"", `{"start":true,"auto_update":true,"asks":["host_network"]}`, `install ["core_x",{"start":true,"auto_update":true,"asks":["host_network"]},"root"]`},
	"POST /castellan/addons/{slug}/uninstall":        {"", `{}`, `uninstall ["core_x",{"data":"keep"},"root"]`},
	"POST /castellan/addons/{slug}/update":           {"", `{"version":"2"}`, `update ["core_x",{"version":"2"}]`},
	"POST /castellan/addons/{slug}/rollback":         {"", ``, `rollback ["core_x"]`},
	"POST /castellan/addons/{slug}/build":            {"", `{"asks":["usb"]}`, `build ["core_x",{"asks":["usb"]}]`},
	"POST /castellan/addons/{slug}/import":           {"", `{"path":"/backup/1.tar","start":true}`, `import ["core_x",{"path":"/backup/1.tar","start":true},"root"]`},
	"POST /castellan/addons/{slug}/consent":          {"", `{"version":"2","asks":["usb"]}`, `consent ["core_x",{"version":"2","asks":["usb"]},"root"]`},
	"POST /castellan/addons/{slug}/start":            {"", ``, `start ["core_x"]`},
	"POST /castellan/addons/{slug}/stop":             {"", ``, `stop ["core_x"]`},
	"POST /castellan/addons/{slug}/restart":          {"", ``, `restart ["core_x"]`},
	"POST /castellan/addons/{slug}/stdin":            {"", `{"data":"go\n"}`, `stdin ["core_x","go\n"]`},
	"POST /castellan/addons/{slug}/options":          {"", `{"options":{"port":1}}`, `options ["core_x",{"port":1}]`},
	"POST /castellan/addons/{slug}/options/validate": {"", `{"options":null}`, `validate ["core_x",null]`},
	"POST /castellan/addons/{slug}/settings":         {"", `{"ports":{"80/tcp":8080,"53/udp":null},"boot":"manual","watchdog":false}`, `set ["core_x",{"ports":{"53/udp":null,"80/tcp":8080},"boot":"manual","watchdog":false},"root"]`},
	"GET /castellan/addons/{slug}/logs":              {"?lines=7", "", `logs ["core_x",7,false]`},
	"GET /castellan/addons/{slug}/stats":             {"", "", `stats ["core_x"]`},
	"GET /castellan/addons/{slug}/icon":              {"", "", `file ["core_x","icon"]`},
	"GET /castellan/addons/{slug}/logo":              {"", "", `file ["core_x","logo"]`},
	"GET /castellan/addons/{slug}/changelog":         {"", "", `file ["core_x","changelog"]`},
	"GET /castellan/addons/{slug}/documentation":     {"", "", `file ["core_x","documentation"]`},
	"GET /castellan/repositories":                    {"", "", `repositories`},
	"POST /castellan/repositories":                   {"", `{"repository":"https://example.org/r#beta","ledger":"ab:cd"}`, `add [{"repository":"https://example.org/r#beta","ledger":"ab:cd"},"root"]`},
	"POST /castellan/repositories/refresh":           {"", `{"slug":"core_x"}`, `refresh ["core_x"]`},
	"DELETE /castellan/repositories/{slug}":          {"", "", `remove ["core_x","root"]`},
}

// call is one call by root, or by nobody.
func call(t *testing.T, h *house, root bool, method, path, body string) *recorder {
	t.Helper()
	rec := newRecorder()
	ctx := t.Context()
	if root {
		ctx = api.AsRoot(ctx)
	}
	req, err := http.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	api.New(api.Config{Backend: h, Owner: 4242, Log: slog.New(slog.DiscardHandler)}).Handler().ServeHTTP(rec, req)
	return rec
}

func TestEveryRouteAboutAddonsIsGuarded(t *testing.T) {
	rows, all := api.Rows()
	for _, rt := range rows {
		name := rt.Method + " " + rt.Path
		t.Run(name, func(t *testing.T) {
			s, ok := samples[name]
			if !ok {
				t.Fatal("the route has no sample; add one")
			}
			path := strings.Replace(rt.Path, "{slug}", "core_x", 1)
			refused := func(what string, root bool, method, path, body string, status int) {
				t.Helper()
				h := &house{}
				if rec := call(t, h, root, method, path, body); rec.status != status || len(h.calls) != 0 {
					t.Errorf("%s: got %d %s, want %d; calls %q", what, rec.status, rec.body.String(), status, h.calls)
				}
			}
			h := &house{}
			if rec := call(t, h, true, rt.Method, path+s.query, s.body); rec.status != 200 || !reflect.DeepEqual(h.calls, []string{s.call}) {
				t.Errorf("a good call: %d %s, calls %q, want %s", rec.status, rec.body.String(), h.calls, s.call)
			}
			refused("another method", true, "PATCH", path, s.body, 405)
			if (rt.Method != "GET") != rt.Admin && !strings.HasSuffix(rt.Path, "/logs") {
				t.Error("what changes something must be for the owner alone, and reading for everybody")
			}
			if rt.Admin {
				refused("nobody", false, rt.Method, path, s.body, 403)
			}
			if rt.Method != "GET" {
				refused("unknown key", true, rt.Method, path, `{"surprise":1}`, 400)
				refused("array", true, rt.Method, path, `[]`, 400)
				refused("garbage", true, rt.Method, path, "\x00{", 400)
				refused("too large", true, rt.Method, path, strings.Repeat(" ", 17<<20), 400)
			}
			if strings.Contains(rt.Path, "{slug}") {
				for _, slug := range []string{".hidden", "a%20b", "ä", strings.Repeat("a", 101)} {
					refused("slug "+slug, true, rt.Method, strings.Replace(rt.Path, "{slug}", slug, 1)+s.query, s.body, 404)
				}
				for _, slug := range []string{"..%2f..%2fetc", "%2e%2e", "a%00b", "a%0ab"} {
					refused("slug "+slug, true, rt.Method, strings.Replace(rt.Path, "{slug}", slug, 1)+s.query, s.body, 400)
				}
			}
		})
	}
	for _, rt := range all { // no two rows for one call
		if n := slices.IndexFunc(all, func(o api.Row) bool { return o.Method == rt.Method && o.Path == rt.Path }); !reflect.DeepEqual(all[n], rt) {
			t.Errorf("%s %s is there twice", rt.Method, rt.Path)
		}
	}
}

func TestWrongFieldsAreToldByName(t *testing.T) {
	const addon = "/castellan/addons/core_x"
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/castellan/addons?all=maybe", "", 400, `query \"all\"`},
		{"GET", addon + "?lang=e&lang=en", "", 400, `query \"lang\"`},
		{"GET", "/castellan/addons/nobody", "", 404, `"error_key":"app_not_found_error","extra_fields":{"next":"castellan addon list --all","slug":"nobody"}`},
		{"GET", addon + "/logs?lines=0", "", 400, "want a number from 1"},
		{"GET", addon + "/logs?follow=yes", "", 400, `query \"follow\"`},
		{"GET", "/castellan/addons/bare/icon", "", 404, "bare has no icon"},
		{"GET", "/castellan/addons/sly/logo", "", 404, "sly has no logo"},
		{"POST", addon + "/install", `{"start":"yes"}`, 400, "wrong type @ /start"},
		{"POST", addon + "/install", `{"asks":["` + strings.Repeat(`a","`, 1001) + `"]}`, 400, `field \"asks\" has 1002 rights`},
		{"POST", "/castellan/addons/greedy/install", `{}`, 400, `"error_key":"consent_required","extra_fields":{"asks":[{"code":"host_network","words":"share the network of the appliance"}],"next":"agree","slug":"greedy","version":"2"}`},
		{"POST", addon + "/uninstall", `{"data":"burn"}`, 400, `field \"data\"`},
		{"POST", addon + "/consent", `{"asks":["usb"]}`, 400, `field \"version\" is missing`},
		{"POST", addon + "/consent", `{"version":"2"}`, 400, `field \"asks\" is missing`},
		{"POST", addon + "/import", `{"path":"backup.tar"}`, 400, "want the absolute path"},
		{"POST", addon + "/import", `{"path":"/backup/../etc/shadow"}`, 400, "want the absolute path"},
		{"POST", addon + "/stdin", `{}`, 400, `field \"data\" is missing`},
		{"POST", addon + "/stdin", `{"data":"` + strings.Repeat("a", 65<<10) + `"}`, 400, "larger than"},
		{"POST", addon + "/options", `{}`, 400, `field \"options\" is missing`},
		{"POST", addon + "/options", `{"options":[1]}`, 400, "wrong type @ /options"},
		{"POST", addon + "/settings", `{}`, 400, "none is named"},
		{"POST", addon + "/settings", `{"ports":{"80":1}}`, 400, `want one as \"80/tcp\"`},
		{"POST", addon + "/settings", `{"ports":{"80000/tcp":1}}`, 400, `want one as \"80/tcp\"`},
		{"POST", addon + "/settings", `{"ports":{"80/tcp":0}}`, 400, "has the host port 0"},
		{"POST", addon + "/settings", `{"ports":{"80/tcp":70000}}`, 400, "wrong type @ /ports/80~1tcp"},
		{"POST", addon + "/settings", `{"boot":"manual_only"}`, 400, `field \"boot\"`},
		{"POST", "/castellan/repositories", `{}`, 400, `field \"repository\" is missing`},
		{"POST", "/castellan/repositories", `{"repository":"https://x\n/y"}`, 400, "want a git URL"},
		{"POST", "/castellan/repositories", `{"repository":"https://x/own-ledger"}`, 400, `"error_key":"ledger_fingerprint","extra_fields":{"fingerprint":"ab:cd","next":"castellan repo add https://x/own-ledger --ledger ab:cd","origin":"club"}`},
		{"POST", "/castellan/repositories", `{"repository":"https://x/own-ledger","ledger":"00 00"}`, 400, "with the key ab:cd, not 00 00; ask its owner"},
		{"POST", "/castellan/repositories", `{"repository":"https://x/own-ledger","ledger":"a\nb"}`, 400, "want the fingerprint of a key"},
		{"POST", "/castellan/repositories/refresh", `{"slug":"../x"}`, 404, `"error_key":"repository_not_found"`},
	} {
		t.Run(c.method+" "+c.path+" "+c.body[:min(len(c.body), 40)], func(t *testing.T) {
			h := &house{}
			rec := call(t, h, true, c.method, c.path, c.body)
			reached := slices.DeleteFunc(h.calls, func(s string) bool { return strings.HasPrefix(s, "file ") })
			if rec.status != c.status || !strings.Contains(rec.body.String(), c.says) || len(reached) != 0 {
				t.Errorf("got %d %s, want %d and %s; calls %q", rec.status, rec.body.String(), c.status, c.says, reached)
			}
		})
	}
}

func TestAFileOfAnAddonIsServedAsNothingElse(t *testing.T) {
	for file, want := range map[string]string{"icon": "image/png", "logo": "image/png", "changelog": "text/plain; charset=utf-8", "documentation": "text/plain; charset=utf-8", "logs": "text/plain; charset=utf-8"} {
		h := call(t, &house{}, true, "GET", "/castellan/addons/core_x/"+file, "").header
		if h.Get("Content-Type") != want || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %v", file, h)
		}
	}
}

func TestOnlyTheOwnerSeesSecrets(t *testing.T) {
	if body := call(t, &house{}, true, "GET", "/castellan/addons/core_x", "").body.String(); !strings.Contains(body, "s3cret") {
		t.Errorf("root does not see the password: %s", body)
	}
	body := call(t, &house{}, false, "GET", "/castellan/addons/core_x", "").body.String()
	if strings.Contains(body, "s3cret") || !strings.Contains(body, `"port":8080,"ratio":1.0`) {
		t.Errorf("nobody sees: %s", body)
	}
	form := `[{"name":"user","type":"string"},{"name":"pass","type":"string","format":"password"},{"name":"keys","type":"string","format":"password","multiple":true},
		{"name":"tags","type":"string","multiple":true},{"name":"odd"},
		{"name":"logins","type":"schema","multiple":true,"schema":[{"name":"name","type":"string"},{"name":"pin","type":"integer","format":"password"}]},
		{"name":"tls","type":"schema","multiple":false,"schema":[{"name":"on","type":"boolean"}]}]`
	for _, c := range []struct{ form, options, want string }{
		{form, `{"user":"u","pass":"p","keys":["k"],"tags":["t"],"unset":null}`, `{"keys":["********"],"pass":"********","tags":["t"],"unset":null,"user":"u"}`},
		{form, `{"logins":[{"name":"n","pin":1,"new":"s"}],"tls":{"on":true}}`, `{"logins":[{"name":"n","new":"********","pin":"********"}],"tls":{"on":true}}`},
		{form, `{"nobody knows":"s","odd":"s"}`, `{"nobody knows":"********","odd":"********"}`},
		{form, `{"user":{"a":"s"},"tls":"s","tags":[["s"]],"pass":["s"],"logins":["s"]}`, `{"logins":["********"],"pass":"********","tags":["********"],"tls":"********","user":"********"}`},
		// Authors write str for what is a secret, and addresses hold some.
		{`[{"name":"token","type":"string"},{"name":"DuckKey","type":"string"},{"name":"api_keys","type":"string","multiple":true},{"name":"wifi_pin","type":"integer"},
			{"name":"plesk_password","type":"string"},{"name":"pass_through","type":"boolean"},{"name":"auth","type":"select"},{"name":"keyboard","type":"string"},
			{"name":"camera","type":"string"},{"name":"feed","type":"string"},{"name":"site","type":"string","format":"url"}]`,
			`{"token":"s","DuckKey":"s","api_keys":["s"],"wifi_pin":1234,"plesk_password":"s","pass_through":true,"auth":"basic","keyboard":"de",` +
				`"camera":"rtsp://u:s@10.0.0.9/1","feed":"https://x.example/a?k=s","site":"https://x.example/a"}`,
			`{"DuckKey":"********","api_keys":["********"],"auth":"basic","camera":"********","feed":"********","keyboard":"de","pass_through":true,` +
				`"plesk_password":"********","site":"https://x.example/a","token":"********","wifi_pin":"********"}`},
		{`null`, `{"a":"s","b":{"c":1}}`, `{"a":"********","b":"********"}`},
	} {
		var options map[string]any
		var fields []map[string]any
		if err := json.Unmarshal([]byte(c.form), &fields); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(c.options), &options); err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(api.Mask(options, fields)); string(got) != c.want {
			t.Errorf("%s: got %s, want %s", c.options, got, c.want)
		}
	}
}

type without struct{ *house }

func (without) Addons() api.Addons             { return nil }
func (without) Repositories() api.Repositories { return nil }

func TestAnApplianceWithoutAddonsSaysSo(t *testing.T) {
	rows, _ := api.Rows()
	srv := api.New(api.Config{Backend: without{&house{}}, Log: slog.New(slog.DiscardHandler)}).Handler()
	for _, rt := range rows {
		rec := newRecorder()
		req, _ := http.NewRequestWithContext(api.AsRoot(t.Context()), rt.Method, strings.Replace(rt.Path, "{slug}", "x", 1), strings.NewReader(""))
		srv.ServeHTTP(rec, req)
		if rec.status != 404 || !strings.Contains(rec.body.String(), `"error_key":"addons_off"`) {
			t.Errorf("%s %s: %d %s", rt.Method, rt.Path, rec.status, rec.body.String())
		}
	}
}

// piped is a listener whose connections are in memory, so that time can be played.
type piped chan net.Conn

func (p piped) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p piped) Close() error   { close(p); return nil }
func (p piped) Addr() net.Addr { return &net.UnixAddr{} }

func TestALogIsFollowedForLongerThanARequestMayTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := make(piped)
		srv := http.Server{Handler: api.New(api.Config{Backend: &house{}, Log: slog.New(slog.DiscardHandler)}).Handler(), ReadTimeout: 30 * time.Second,
			BaseContext: func(net.Listener) context.Context { return api.AsRoot(context.Background()) }}
		done := make(chan error, 1)
		go func() { done <- srv.Serve(l) }()
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			l <- there
			return here, nil
		}}}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://x/castellan/addons/core_x/logs?follow=1", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		lines, began := bufio.NewScanner(resp.Body), time.Now()
		for n := range 10 { // ten minutes
			if !lines.Scan() || lines.Text() != "a line" {
				t.Fatalf("line %d: %q, %v", n, lines.Text(), lines.Err())
			}
		}
		if took := time.Since(began); took != 9*time.Minute {
			t.Errorf("ten lines, one a minute, came after %s", took)
		}
		resp.Body.Close()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
