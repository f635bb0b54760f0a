package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/api"
)

// coreAt is Home Assistant Core at an address of this host.
type coreAt struct {
	at, token string
	secure    bool
	down      error
}

func (c *coreAt) Token() (string, error) {
	if c.token == "" {
		return "", errors.New("no file /secret/place")
	}
	return c.token, nil
}
func (c *coreAt) Dial(ctx context.Context) (net.Conn, bool, error) {
	if c.down != nil {
		return nil, false, c.down
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.at)
	return conn, c.secure, err
}

// newCore is Core with a WebSocket that echoes, and the bridge of add-ons that may and may not ask it.
func newCore(t *testing.T, secure bool) (*coreAt, string) {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/websocket" {
			w.Header().Set("Set-Cookie", "core=1")
			b, _ := io.ReadAll(r.Body)                                     // the test looks at what comes
			_, _ = fmt.Fprintf(w, "%s %s %s\n", r.Method, r.RequestURI, b) // likewise
			_ = r.Header.Write(w)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // the test sees it
		}
		defer c.CloseNow()
		_ = c.Write(r.Context(), websocket.MessageText, []byte(`{"type":"auth_required","ha_version":"2025.1.0"}`)) // likewise
		if _, b, err := c.Read(r.Context()); err != nil || string(b) != `{"type":"auth","access_token":"core-token"}` {
			_ = c.Write(r.Context(), websocket.MessageText, []byte(`{"type":"auth_invalid"}`)) // likewise
			return
		}
		_ = c.Write(r.Context(), websocket.MessageText, []byte(`{"type":"auth_ok","ha_version":"2025.1.0"}`)) // likewise
		for c.SetReadLimit(1 << 20); ; {
			kind, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, append([]byte("core: "), b...)) != nil {
				return
			}
		}
	})
	behind := httptest.NewUnstartedServer(h)
	if secure {
		behind.StartTLS()
	} else {
		behind.Start()
	}
	t.Cleanup(behind.Close)
	core := &coreAt{at: behind.Listener.Addr().String(), token: "core-token", secure: secure}
	a := &appliance{callers: []api.AddonCaller{
		{Slug: "red", Token: "token-red", Manifest: addons.Manifest{CoreAPI: true}},
		{Slug: "other", Token: "token-other", Manifest: addons.Manifest{HassioAPI: true, HassioRole: "admin"}}}}
	web := httptest.NewServer(api.New(api.Config{Core: core, Guests: a, HostToken: hostToken, Log: slog.New(slog.DiscardHandler)}).AddonHandler())
	t.Cleanup(web.Close)
	return core, web.URL
}

func TestAnAddonAsksCoreWithTheAppliancesToken(t *testing.T) {
	for _, secure := range []bool{false, true} {
		core, url := newCore(t, secure)
		for _, c := range []struct {
			method, path, token string
			status              int
			says                string
		}{
			{"GET", "/core/api/states?a=../b&c=%20", "token-red", 200, "GET /api/states?a=../b&c=%20 \n"},
			{"POST", "/homeassistant/api/services/light/turn_on", "token-red", 200, "POST /api/services/light/turn_on {}\n"},
			{"DELETE", "/core/api/states/a%2Fb", "token-red", 200, "DELETE /api/states/a%2Fb {}\n"},
			{"GET", "/core/api", "token-red", 200, "GET /api \n"},
			{"GET", "/core/api/", "token-other", 403, "homeassistant_api"},
			{"GET", "/core/api/", hostToken, 403, "add-ons"},
			{"GET", "/core/api/", "wrong", 401, "401: Unauthorized"},
			{"GET", "/core/api/%2e%2e/auth/token", "token-red", 400, "leads out"},
			{"GET", "/core/api/..%2fx", "token-red", 400, "leads out"},
			{"GET", "/core/apix", "token-red", 403, ""},
			{"POST", "/core/api/hassio/castellan/trust/force", "token-red", 403, "no add-on may"},
			{"POST", "/homeassistant/api//%68assio/addons/other/uninstall", "token-red", 403, "no add-on may"},
			{"GET", "/core/api/%2568assio%252fx", "token-red", 403, "no add-on may"},
			{"GET", "/core/api/./Hassio_ingress/x/", "token-red", 403, "no add-on may"},
			{"GET", "/core/api/states/sensor.hassio", "token-red", 200, "sensor.hassio"},
		} {
			body := ""
			if c.method != "GET" {
				body = "{}"
			}
			status, got := ask(t, url, c.method, c.path, "Authorization: Bearer "+c.token, strings.NewReader(body))
			if status != c.status || !strings.Contains(got, c.says) {
				t.Errorf("%s %s by %q: got %d %s, want %d %q", c.method, c.path, c.token, status, got, c.status, c.says)
			}
			if status == 200 && (!strings.Contains(got, "Authorization: Bearer core-token") || strings.Contains(got, "token-red")) {
				t.Errorf("%s: it is asked with the wrong token:\n%s", c.path, got)
			}
		}
		core.down = errors.New("/secret/place")
		core.token = ""
		if status, got := ask(t, url, "GET", "/core/api/", "Authorization: Bearer token-red", nil); status != 502 || !strings.Contains(got, "token_file") || strings.Contains(got, "secret") {
			t.Errorf("without a token: %d %s", status, got)
		}
	}
}

func TestAnAddonTalksToCore(t *testing.T) {
	core, url := newCore(t, false)
	long := `[{"id":1,"type":"ping"},{"id":2,"type":"fire_event","event_type":"` + strings.Repeat("x", 100_000) + `"}]`
	for _, c := range []struct{ name, auth, token, says string }{
		{"its token", `{"type":"auth","access_token":"token-red"}`, "core-token", `{"type":"auth_ok","ha_version":"2025.1.0"}`},
		{"its token as of old", `{"type":"auth","api_password":"token-red"}`, "core-token", `{"type":"auth_ok","ha_version":"2025.1.0"}`},
		{"one without the right", `{"type":"auth","access_token":"token-other"}`, "core-token", `{"type":"auth_invalid","message":"Invalid access"}`},
		{"the host's", `{"type":"auth","access_token":"` + hostToken + `"}`, "core-token", `{"type":"auth_invalid","message":"Invalid access"}`},
		{"none", `{"type":"auth"}`, "core-token", `{"type":"auth_invalid","message":"Invalid access"}`},
		{"no greeting", `{"type":"call","access_token":"token-red"}`, "core-token", `{"type":"auth_invalid","message":"Invalid access"}`},
		{"Core refuses", `{"type":"auth","access_token":"token-red"}`, "stale", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			core.token = c.token
			conn, _, err := websocket.Dial(t.Context(), url+"/core/websocket", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			if _, b, err := conn.Read(t.Context()); err != nil || string(b) != `{"type":"auth_required"}` {
				t.Fatalf("greeting: %s %v", b, err)
			}
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(c.auth)); err != nil {
				t.Fatal(err)
			}
			_, b, err := conn.Read(t.Context())
			if string(b) != c.says || (err == nil) != (c.says != "") {
				t.Fatalf("answer: %s %v, want %s", b, err, c.says)
			}
			if !strings.Contains(c.says, "auth_ok") {
				if _, b, err := conn.Read(t.Context()); err == nil {
					t.Fatalf("it goes on: %s", b)
				}
				return
			}
			conn.SetReadLimit(1 << 20)
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(long)); err != nil {
				t.Fatal(err)
			}
			if _, b, err := conn.Read(t.Context()); err != nil || string(b) != "core: "+long {
				t.Fatalf("echo: %d bytes, %v", len(b), err)
			}
			text := `{"id":3,"type":"supervisor/api","endpoint":"/castellan/trust/force","method":"post"}`
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if _, b, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
				t.Errorf("it calls the appliance through Core: %s %v", b, err)
			}
		})
	}
	core.token = ""
	if status, got := ask(t, url, "GET", "/core/websocket", "", nil); status != 502 || !strings.Contains(got, "token_file") {
		t.Errorf("without a token: %d %s", status, got)
	}
}

func TestCoreIsNotAskedToCallTheAppliance(t *testing.T) {
	for text, want := range map[string]bool{
		`{"type":"ping","id":1}`: false,
		`[{"type":"ping"},{"type":"call_service","service_data":{"type":"supervisor/api"}}]`: false,
		`{"type":"supervisor/api"}`:                   true,
		`{"type":"s\u0075pervisor/event"}`:            true,
		`[{"type":"ping"},{"type":"supervisor/api"}]`: true,
		`{"type":"ping","type":"supervisor/api"}`:     true,
		`{"type":"supervisor/api","Type":"ping"}`:     true,
		`{"type":"hassio/update/core"}`:               true,
		`{"type":"ping"} {"type":"supervisor/api"}`:   true,
		`not JSON`: true,
	} {
		if got := api.CommandsHere([]byte(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
