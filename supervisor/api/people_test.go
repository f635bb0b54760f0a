package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/access"
	"github.com/castellan/castellan/supervisor/api"
)

const (
	annaPassword  = "a long enough phrase of anna's"
	bertPassword  = "a long enough phrase of bert's"
	otherPassword = "quite another phrase of theirs"
)

// noise is a log that can be read.
type noise struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *noise) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *noise) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}

// home is a stage with its network side: anna is admin, bert operator, cleo viewer.
type home struct {
	*stage
	log    *noise
	net    http.Handler
	tokens map[string]string // of a user, by role
}

// newHome makes one without anybody in it.
func newHome(t testing.TB) *home {
	t.Helper()
	s := newStage(t)
	h := &home{stage: s, log: &noise{}}
	s.srv = api.New(api.Config{Backend: s.house, Home: residence{s.house, s.guests}, Guests: s.guests, Registry: s.reg, Version: "1.2.3", HostToken: hostToken, Events: s.events,
		People: s.people, From: netip.MustParsePrefix("172.30.32.0/23"), Owner: uint32(os.Getuid()), Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	h.net = s.srv.PeopleHandler(api.Network{Hosts: []string{"castellan.example"}})
	return h
}

// settled is a home with people in it.
func settled(t testing.TB) *home {
	t.Helper()
	h := newHome(t)
	code, err := h.people.SetupCode()
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.people.Setup(t.Context(), code, access.Credentials{Name: "anna", Password: annaPassword}, access.Origin{})
	if err == nil {
		err = h.people.Logout(l.Cookie)
	}
	err = errors.Join(err, h.people.AddUser(t.Context(), access.Credentials{Name: "bert", Password: bertPassword}, access.Operator),
		h.people.AddUser(t.Context(), access.Credentials{Name: "cleo", Password: otherPassword}, access.Viewer))
	if err != nil {
		t.Fatal(err)
	}
	h.tokens = map[string]string{}
	for name, role := range map[string]access.Role{"anna": access.Admin, "bert": access.Operator, "cleo": access.Viewer} {
		text, _, err := h.people.AddToken(name, "test", role, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		h.tokens[name] = text.Reveal()
	}
	return h
}

// ask makes a call from the network. Headers are pairs; "Host" is the host's, "From" the caller's address.
func (h *home) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	req.Host = "castellan.example:8480"
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "From" {
			req.RemoteAddr = headers[i+1] + ":40000"
			continue
		}
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.net.ServeHTTP(rec, req)
	return rec
}

// data reads the data of an answer.
func data[T any](t testing.TB, rec *httptest.ResponseRecorder) (out T) {
	t.Helper()
	var env struct{ Data json.RawMessage }
	err := json.Unmarshal(rec.Body.Bytes(), &env)
	if err == nil {
		err = json.Unmarshal(env.Data, &out)
	}
	if err != nil || rec.Code != 200 {
		t.Fatalf("got %d %.200s: %v", rec.Code, rec.Body.String(), err)
	}
	return out
}

// login gives the cookie and the CSRF token of a fresh session.
func (h *home) login(t testing.TB, name, password string) (cookie, csrf string) {
	t.Helper()
	rec := h.ask("POST", "/castellan/login", fmt.Sprintf(`{"name":%q,"password":%q}`, name, password))
	me := data[api.Me](t, rec)
	return strings.Split(rec.Header().Get("Set-Cookie"), ";")[0], me.CSRF
}

func TestNothingIsOpenToTheNetworkWithoutALogin(t *testing.T) {
	h := newHome(t)
	_, rows := api.Rows()
	open := map[string]bool{"GET /castellan/setup": true, "POST /castellan/setup": true, "POST /castellan/login": true}
	for _, rt := range rows {
		for what, headers := range map[string][]string{"nothing": nil, "an add-on's token": {"Authorization", "Bearer token-admin"}, "the host's token": {"Authorization", "Bearer " + hostToken},
			"an add-on's header": {"X-Supervisor-Token", "token-admin"}, "a made up session": {"Cookie", "castellan=" + strings.Repeat("A", 43)}, "basic": {"Authorization", "Basic YW5uYTp4"}} {
			rec := h.ask(rt.Method, at(rt.Path, ""), "{}", headers...)
			if call := rt.Method + " " + rt.Path; (rec.Code != 401) != open[call] {
				t.Errorf("%s with %s: %d %.100s", call, what, rec.Code, rec.Body.String())
			}
		}
	}
	if got := h.reached(); len(got) != 0 {
		t.Errorf("reached the house: %q", got)
	}
}

func TestSetupIsOnceAndWithTheCode(t *testing.T) {
	h := newHome(t)
	if got := data[api.SetupState](t, h.ask("GET", "/castellan/setup", "")); got.Owner {
		t.Error("there is an owner at the start")
	}
	set := func(code string) *httptest.ResponseRecorder {
		return h.ask("POST", "/castellan/setup", fmt.Sprintf(`{"code":%q,"name":"Anna","password":%q}`, code, annaPassword))
	}
	if rec := set("AAAA-AAAA-AAAA-AAAA"); rec.Code != 403 || !strings.Contains(rec.Body.String(), `"wrong_code"`) || rec.Header().Get("Set-Cookie") != "" {
		t.Errorf("a wrong code: %d %s", rec.Code, rec.Body.String())
	}
	if rec := h.ask("POST", "/castellan/login", `{"name":"anna","password":"`+annaPassword+`"}`); rec.Code != 409 || !strings.Contains(rec.Body.String(), `"no_owner"`) {
		t.Errorf("login before setup: %d %s", rec.Code, rec.Body.String())
	}
	code := data[api.SetupCode](t, get(h.srv.Handler(), "/castellan/setup-code")).Code
	for _, door := range []http.Handler{h.srv.AddonHandler(), h.by(api.Admin)} { // the host token, and an admin who is elsewhere
		if rec := send(door, "GET", "/castellan/setup-code", hostToken, ""); rec.Code != 403 || strings.Contains(rec.Body.String(), code) {
			t.Errorf("the code was told: %d %s", rec.Code, rec.Body.String())
		}
	}
	rec := set(code)
	me := data[api.Me](t, rec)
	if me.Name != "anna" || me.Role != "admin" || me.CSRF == "" || me.Ends.IsZero() {
		t.Errorf("got %+v", me)
	}
	if rec := set(code); rec.Code != 409 || !strings.Contains(rec.Body.String(), `"owned"`) {
		t.Errorf("a second setup: %d %s", rec.Code, rec.Body.String())
	}
	if rec := get(h.srv.Handler(), "/castellan/setup-code"); rec.Code != 409 {
		t.Errorf("the code after setup: %d %s", rec.Code, rec.Body.String())
	}
	cookie, _, _ := strings.Cut(strings.TrimPrefix(rec.Header().Get("Set-Cookie"), "castellan="), ";")
	for _, secret := range []string{code, strings.ReplaceAll(code, "-", ""), annaPassword, cookie, me.CSRF} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, h.log.String())
		}
	}
	if !strings.Contains(h.log.String(), `msg="logged in" user=anna from=192.0.2.1`) {
		t.Errorf("the log does not tell of the login:\n%s", h.log.String())
	}
}

// get asks as root on the appliance.
func get(h http.Handler, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(api.AsRoot(context.Background()), "GET", path, nil))
	return rec
}

// atHome asks as root on the appliance, with a body.
func atHome(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(api.AsRoot(context.Background()), method, path, strings.NewReader(body)))
	return rec
}

func TestCookiesHaveTheirFlags(t *testing.T) {
	h := settled(t)
	for _, c := range []struct {
		name string
		net  api.Network
		want string // but the value and the end
	}{
		{"in the clear", api.Network{Hosts: []string{"castellan.example"}}, "castellan HttpOnly Path=/ SameSite=Strict"},
		{"TLS", api.Network{Hosts: []string{"castellan.example"}, Certificate: certificate(t).GetCertificate}, "__Host-castellan HttpOnly Path=/ SameSite=Strict Secure"},
	} {
		h.net = h.srv.PeopleHandler(c.net)
		rec := h.ask("POST", "/castellan/login", `{"name":"anna","password":"`+annaPassword+`"}`)
		if got := flags(rec); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		cookie, csrf := strings.Split(rec.Header().Get("Set-Cookie"), ";")[0], data[api.Me](t, rec).CSRF
		if rec := h.ask("GET", "/castellan/me", "", "Cookie", cookie); data[api.Me](t, rec).CSRF != csrf || rec.Header().Get("Content-Security-Policy") == "" ||
			rec.Header().Get("X-Frame-Options") != "DENY" || rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: me: %s %v", c.name, rec.Body.String(), rec.Header())
		}
		for name, other := range map[string]string{"the other's name": strings.Replace("x"+cookie, "x__Host-", "", 1), "twice": cookie + "; " + cookie} {
			if rec := h.ask("GET", "/castellan/me", "", "Cookie", other); rec.Code != 401 {
				t.Errorf("%s: a cookie with %s: %d", c.name, name, rec.Code)
			}
		}
		name, _, _ := strings.Cut(cookie, "=")
		if rec := h.ask("GET", "/castellan/me", "", "Cookie", strings.Repeat(name+"=x; ", 100)+cookie+"; "+name+"=y"); rec.Code != 200 {
			t.Errorf("%s: cookies of its name that others set lock the session out: %d", c.name, rec.Code)
		}
		rec = h.ask("POST", "/castellan/logout", "", "Cookie", cookie, "X-CSRF-Token", csrf)
		if got := flags(rec); rec.Code != 200 || got != c.want || !strings.Contains(rec.Header().Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("%s: logout: %d %q", c.name, rec.Code, rec.Header().Get("Set-Cookie"))
		}
		if rec := h.ask("GET", "/castellan/me", "", "Cookie", cookie); rec.Code != 401 {
			t.Errorf("%s: after logout: %d", c.name, rec.Code)
		}
	}
}

func TestSessionsNeedTheirCSRFToken(t *testing.T) {
	h := settled(t)
	cookie, csrf := h.login(t, "anna", annaPassword)
	_, another := h.login(t, "bert", bertPassword)
	_, rows := api.Rows()
	for name, token := range map[string]string{"none": "", "wrong": "x", "another session's": another, "the cookie": strings.TrimPrefix(cookie, "castellan=")} {
		for _, rt := range rows {
			if rt.Method == "GET" || rt.People == api.Nobody || rt.People == api.NoPerson {
				continue
			}
			if rec := h.ask(rt.Method, at(rt.Path, ""), "{}", "Cookie", cookie, "X-CSRF-Token", token); rec.Code != 403 || !strings.Contains(rec.Body.String(), `"error_key":"csrf"`) {
				t.Errorf("%s %s with CSRF token %s: %d %.100s", rt.Method, rt.Path, name, rec.Code, rec.Body.String())
			}
		}
	}
	if got := h.reached(); len(got) != 1 || got[0] != "users" { // they were there before
		t.Errorf("reached the house: %q", got)
	}
	for _, c := range []struct {
		what    string
		headers []string
		code    int
	}{
		{"a session with its token", []string{"Cookie", cookie, "X-CSRF-Token", csrf}, 200},
		{"an API token needs none", []string{"Authorization", "Bearer " + h.tokens["anna"]}, 200},
		{"in small letters", []string{"Authorization", "bearer " + h.tokens["anna"]}, 200},
		{"without its scheme", []string{"Authorization", h.tokens["anna"]}, 401},
		{"a wrong API token beside a good session", []string{"Authorization", "Bearer cst_x", "Cookie", cookie, "X-CSRF-Token", csrf}, 401},
		{"two API tokens", []string{"Authorization", "Bearer " + h.tokens["anna"], "Authorization", "Bearer x"}, 401},
	} {
		if rec := h.ask("POST", "/castellan/update", `{"service":"core"}`, c.headers...); rec.Code != c.code {
			t.Errorf("%s: %d %s", c.what, rec.Code, rec.Body.String())
		}
	}
}
