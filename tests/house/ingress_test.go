package house

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/castellan/castellan/tests/testenv"
)

// guest looks at an add-on's own pages as a browser does, by one of the ways there.
type guest struct {
	t      testing.TB
	base   string // of the pages, with its last slash
	prefix string // as the browser has it, without
	host   string // that the browser asks
	cookie string
	header http.Header // further ones
	client *http.Client
}

// ask asks for a page.
func (g *guest) ask(method, path string, body io.Reader, headers ...string) *http.Response {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	g.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, g.base+path, body)
	must(g.t, err)
	req.Host = g.host
	for name, v := range g.header {
		req.Header[name] = v
	}
	req.Header.Set("Cookie", g.cookie)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := g.client.Transport.RoundTrip(req)
	must(g.t, err)
	g.t.Cleanup(func() { _ = resp.Body.Close() }) // it was read, or is not of interest
	return resp
}

// says fails unless a page has a status and words, and returns it.
func (g *guest) says(method, path string, status int, words ...string) (*http.Response, string) {
	g.t.Helper()
	r := g.ask(method, path, nil, "Accept", "text/html")
	b, err := io.ReadAll(r.Body)
	must(g.t, err)
	for _, w := range append(words, "") {
		if r.StatusCode != status || !strings.Contains(string(b), w) {
			g.t.Errorf("%s %s: %d %.600s, want %d and %q", method, path, r.StatusCode, b, status, w)
		}
	}
	return r, string(b)
}

// appears waits until an add-on that has been started shows its pages.
func (g *guest) appears() {
	g.t.Helper()
	testenv.Eventually(g.t, 30*time.Second, "the pages are there", func() bool { return g.ask("GET", "", nil).StatusCode == http.StatusOK })
}

// looksAround asks for all that an add-on can show. The add-on is asked from an address, and is not told secrets.
func (g *guest) looksAround(from string, secrets ...string) {
	g.t.Helper()
	_, page := g.says("GET", "", 200)
	links := regexp.MustCompile(`href="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(links) != 2 || links[0][1] != g.prefix+"/sub/page" || links[1][1] != "sub/page" {
		g.t.Errorf("links %q below %s in %s", links, g.prefix, page)
	}
	g.says("GET", "sub/page", 200, "a page")
	if r, _ := g.says("GET", "moved", 302); r.Header.Get("Location") != g.prefix+"/sub/page" {
		g.t.Errorf("it leads to %q", r.Header.Get("Location"))
	}
	_, seen := g.says("GET", "seen?a=%2F&b=../c", 200, "GET /seen?a=%2F&b=../c from "+from, "at "+g.host, "X-Ingress-Path: "+g.prefix+"\r\n", "Cookie: own=1\r\n")
	for _, s := range append(secrets, "castellan") {
		if strings.Contains(seen, s) {
			g.t.Errorf("the add-on sees %q:\n%s", s, seen)
		}
	}
	r, _ := g.says("GET", "cookies", 200)
	if got, want := strings.Join(r.Header.Values("Set-Cookie"), ", "), "own=set-by-the-add-on; Path="+g.prefix+"/; Secure"; got != want {
		g.t.Errorf("the add-on sets %q, want %q", got, want)
	}
	if csp := strings.Join(r.Header.Values("Content-Security-Policy"), ", "); !strings.Contains(csp, "frame-ancestors 'self'") || r.Header.Get("X-Frame-Options") == "DENY" {
		g.t.Errorf("it may be framed as its headers say: %v", r.Header)
	}
	g.talks()
	g.streams()
	g.uploads()
	if n, err := io.Copy(io.Discard, g.ask("GET", "zeros?n=50000000", nil).Body); n != 50_000_000 || err != nil {
		g.t.Errorf("a download: %d bytes, %v", n, err)
	}
}

// socket opens a WebSocket, as a script of the page does.
func (g *guest) socket() *websocket.Conn {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 20*time.Second)
	defer cancel()
	scheme, _, _ := strings.Cut(g.base, ":")
	header := http.Header{"Cookie": {g.cookie}, "Origin": {scheme + "://" + g.host}}
	for name, v := range g.header {
		header[name] = v
	}
	c, _, err := websocket.Dial(ctx, g.base+"ws", &websocket.DialOptions{HTTPClient: g.client, HTTPHeader: header, Host: g.host})
	must(g.t, err)
	g.t.Cleanup(func() { _ = c.CloseNow() }) // what it had to say was heard
	return c
}

func (g *guest) talks() {
	g.t.Helper()
	c := g.socket()
	ctx, cancel := context.WithTimeout(g.t.Context(), 20*time.Second)
	defer cancel()
	for kind, message := range map[websocket.MessageType][]byte{websocket.MessageText: []byte("hello"), websocket.MessageBinary: bytes.Repeat([]byte{7}, 20_000)} {
		must(g.t, c.Write(ctx, kind, message))
		if k, b, err := c.Read(ctx); err != nil || k != kind || !bytes.Equal(b, message) {
			g.t.Errorf("the WebSocket says %v %.50q: %v", k, b, err)
		}
	}
}

// streams reads events of which each comes when the one before was read.
func (g *guest) streams() {
	g.t.Helper()
	r := g.ask("GET", "events", nil)
	lines := bufio.NewReader(r.Body)
	for i := range 3 {
		line, err := lines.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
			g.t.Fatalf("event %q, want %q: %v", line, want, err)
		}
		_, err = lines.ReadString('\n')
		must(g.t, err)
		g.says("POST", "step", 200)
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
		g.t.Errorf("after the last event: %q %v", rest, err)
	}
}

// uploads sends what is larger than the API itself takes.
func (g *guest) uploads() {
	g.t.Helper()
	const size = 50_000_000
	sum := sha256.New()
	_, err := io.CopyN(sum, zeros{}, size)
	must(g.t, err)
	r := g.ask("POST", "sum", struct{ io.Reader }{bytes.NewReader(make([]byte, size))}) // its length is not known
	b, err := io.ReadAll(r.Body)
	must(g.t, err)
	if want := fmt.Sprintf("%d %x <nil>\n", size, sum.Sum(nil)); string(b) != want {
		g.t.Errorf("an upload: %d %s, want %s", r.StatusCode, b, want)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// ownPages is what /addons/{slug}/info says of an add-on's own pages.
type ownPages struct {
	Entry string `json:"ingress_entry"`
	URL   string `json:"ingress_url"`
	Port  uint16 `json:"ingress_port"`
}

func (h *house) ownPages(slug string) (out ownPages) {
	h.t.Helper()
	must(h.t, json.Unmarshal(h.haSays("GET", "/addons/"+slug+"/info", "", 200).Data, &out))
	return out
}

// apiAddress is where the Supervisor is for add-ons.
func (h *house) apiAddress() string {
	return netip.MustParsePrefix(h.subnet()).Addr().Next().Next().String()
}

// atHome is a person whose browser is at Home Assistant, which sends on what it asks.
func (h *house) atHome(slug string) *guest {
	h.t.Helper()
	var s struct{ Session string }
	must(h.t, json.Unmarshal(h.haSays("POST", "/ingress/session", `{"user_id":"person-1"}`, 200).Data, &s))
	h.haSays("POST", "/ingress/validate_session", `{"session":"`+s.Session+`"}`, 200)
	entry := h.ownPages(slug).Entry
	token := strings.TrimPrefix(entry, "/api/hassio_ingress/")
	transport := &http.Transport{DisableKeepAlives: true}
	return &guest{t: h.t, base: "http://" + h.apiAddress() + "/ingress/" + token + "/", prefix: entry, host: "home.example:8123",
		cookie: "castellan=secret; ingress_session=" + s.Session + "; own=1", client: &http.Client{Transport: transport},
		header: http.Header{"X-Ingress-Path": {entry}, "X-Forwarded-For": {"10.0.0.9"}, "X-Forwarded-Host": {"home.example:8123"}, "X-Forwarded-Proto": {"https"}}}
}

// TestAddonsShowTheirPages goes to the pages of add-ons in containers, each at a port of its kind, as Home Assistant does.
func TestAddonsShowTheirPages(t *testing.T) {
	w := newWorld(t)
	w.core("2026.11.1")
	w.release("2026.11.1")
	w.image("fixed", "1.0")
	w.image("picked", "1.0", "APP_PAGES=1")
	port := freePort(t)
	w.image("beside", "1.0", "APP_ADDR=:"+port)
	h := newHouse(w, withStore)
	h.addonConfig("fixed", "1.0", "ingress: true", "ingress_port: 8080", "ingress_stream: true")
	h.addonConfig("picked", "1.0", "ingress: true", "ingress_port: 0", "ingress_stream: true", "ingress_entry: sub/page")
	h.addonConfig("beside", "1.0", "ingress: true", "ingress_port: "+port, "ingress_stream: true", "host_network: true")
	config := h.path("data", "addons", "local", "beside", "config.yaml")
	b, err := os.ReadFile(config)
	must(t, err)
	must(t, os.WriteFile(config, bytes.ReplaceAll(b, []byte("[PORT:8080]"), []byte(port)), 0o644))
	h.begin()
	for _, slug := range []string{"fixed", "picked", "beside"} {
		h.castellan("addon", "install", "local_"+slug, "--start", "--yes").says(t, 0)
	}
	h.supervisorAnswers("local_fixed")

	for slug, c := range map[string]struct{ entry, port string }{"fixed": {"/", "8080"}, "picked": {"/sub/page", ""}, "beside": {"/", port}} {
		slug = "local_" + slug
		h.addonIs(slug, "1.0", "running", "unsigned")
		p := h.ownPages(slug)
		if !regexp.MustCompile(`^/api/hassio_ingress/[\w-]{43}$`).MatchString(p.Entry) || p.URL != p.Entry+c.entry ||
			c.port != "" && fmt.Sprint(p.Port) != c.port || c.port == "" && (p.Port < 62000 || p.Port > 65500) {
			t.Errorf("%s: %+v", slug, p)
		}
		g := h.atHome(slug)
		g.appears()
		g.looksAround(h.apiAddress()+":", "secret", "ingress_session", strings.Split(g.cookie, "=")[2][:128])
		g.says("GET", "seen", 200, "X-Forwarded-For: 10.0.0.9, ", "X-Forwarded-Proto: https\r\n", "X-Remote-User-Id: person-1\r\n")
	}

	g := h.atHome("local_fixed")
	h.castellan("addon", "stop", "local_fixed").says(t, 0)
	g.says("GET", "", 503, "<h1>Service Unavailable</h1>", "fixed: it does not run. Start it.")
	h.castellan("addon", "start", "local_fixed").says(t, 0)
	g.appears() // wherever it is now
	h.castellan("addon", "restart", "local_fixed").says(t, 0)
	g.appears()
	g.cookie = "ingress_session=" + strings.Repeat("a", 128)
	g.says("GET", "", 401)
	if list := h.haSays("GET", "/ingress/panels", "", 200, `"local_picked"`); !strings.Contains(list.Body, `"title":"picked"`) {
		t.Errorf("panels: %s", list.Body)
	}
	h.castellan("addon", "uninstall", "local_fixed", "--data", "delete", "--yes").says(t, 0)
	g.cookie = h.atHome("local_picked").cookie
	g.says("GET", "", 404, "no add-on has this page")
	h.castellan("log", "verify").says(t, 0)
}

// TestAddonsReachHomeAssistantCore asks from inside add-ons, with their own tokens, which Core does not know.
func TestAddonsReachHomeAssistantCore(t *testing.T) {
	for _, ssl := range []string{"", "1"} {
		t.Run("TLS "+ssl, func(t *testing.T) {
			w := newWorld(t)
			port := freePort(t)
			w.goodHome("1.0.0", port, "CORE_TLS="+ssl)
			w.release("1.0.0")
			w.image("asker", "1.0")
			w.image("other", "1.0")
			h := homeHouse(w, port, fmt.Sprintf("ssl: %v", ssl != ""))
			h.addonConfig("asker", "1.0", "homeassistant_api: true")
			h.addonConfig("other", "1.0", "hassio_api: true")
			h.begin()
			for _, slug := range []string{"asker", "other"} {
				h.castellan("addon", "install", "local_"+slug, "--start", "--yes").says(t, 0)
			}
			h.supervisorAnswers("local_asker")
			for _, c := range []struct{ slug, path, says string }{
				{"asker", "/core/api/config", `200 {"components":["http"`},
				{"asker", "/homeassistant/api/core/state", `200 {"recorder_state"`},
				{"asker", "/core/api/nothing", "404 "},
				{"asker", "/core/api/..%2f", "400 "},
				{"other", "/core/api/config", "403 "},
			} {
				if got := h.inside("local_"+c.slug, nil, "call", "http://supervisor"+c.path); !strings.HasPrefix(got, c.says) {
					t.Errorf("%s asks for %s: %s, want %s", c.slug, c.path, got, c.says)
				}
			}
			if got := h.inside("local_asker", []string{"SUPERVISOR_TOKEN=" + coreToken}, "call", "http://supervisor/core/api/config"); !strings.HasPrefix(got, "401 ") {
				t.Errorf("with Core's own token: %s", got)
			}
			lines := strings.Split(strings.TrimSpace(h.inside("local_asker", nil, "talk", "ws://supervisor/core/websocket", `{"id":1,"type":"ping"}`)), "\n")
			if len(lines) != 3 || !strings.Contains(lines[0], `"auth_required"`) || lines[1] != `{"type":"auth_ok","ha_version":"1.0.0"}` || lines[2] != `{"id":1,"type":"ping"}` {
				t.Errorf("the WebSocket says %q", lines)
			}
			a := run(t, nil, "docker", "-H", h.engine, "exec", h.container("addon_local_other").ID, "/app", "talk", "ws://supervisor/core/websocket", "hello")
			if a.exit == 0 || !strings.Contains(a.stdout, `"auth_invalid"`) || strings.Contains(a.stdout, "hello") {
				t.Errorf("an add-on without homeassistant_api: %s", a)
			}
			h.castellan("log", "verify").says(t, 0)
		})
	}
}
