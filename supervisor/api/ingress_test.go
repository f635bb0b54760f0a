package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/api"
)

// pageToken names the add-on that answers.
const pageToken = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"

// pages are those of one add-on, at an address of this host.
type pages struct {
	at    string
	down  error
	whole bool // it takes bodies of known length only
}

func (p *pages) Page(_ context.Context, token string) (api.IngressPage, bool) {
	return api.IngressPage{Slug: "core_x", Name: "Radio <1>", Stream: !p.whole}, token == pageToken
}
func (p *pages) Dial(ctx context.Context, slug string) (net.Conn, error) {
	if p.down != nil || slug != "core_x" {
		return nil, errors.Join(p.down, ctx.Err())
	}
	return new(net.Dialer).DialContext(ctx, "tcp", p.at)
}
func (p *pages) Panels(context.Context) (map[string]api.IngressPanel, error) {
	return map[string]api.IngressPanel{"core_x": {Title: "Radio"}}, nil
}

// salon is an appliance whose add-on has pages, seen by alice.
type salon struct {
	*pages
	guests  *appliance
	srv     *api.Server
	web     *httptest.Server // for who the header X-Test-Person names
	session string           // alice's
}

func newSalon(t *testing.T, addon http.HandlerFunc) *salon {
	t.Helper()
	behind := httptest.NewServer(addon)
	t.Cleanup(behind.Close)
	s := &salon{pages: &pages{at: strings.TrimPrefix(behind.URL, "http://")}}
	a := &appliance{callers: []api.AddonCaller{{Slug: "other", Token: "token-other", Manifest: addons.Manifest{HassioAPI: true, HassioRole: "admin"}}}}
	s.guests = a
	s.srv = api.New(api.Config{Ingress: s.pages, Guests: a, HostToken: hostToken, Log: slog.New(slog.DiscardHandler)})
	s.web = httptest.NewUnstartedServer(s.srv.HandlerFor(func(r *http.Request) api.Caller {
		if name := r.Header.Get("X-Test-Person"); name != "" {
			return api.Caller{Kind: api.KindPerson, Name: name, Role: api.Operator}
		}
		return api.Caller{}
	}))
	s.web.Config.ReadTimeout, s.web.Config.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond // a stream outlives both
	s.web.Start()
	t.Cleanup(s.web.Close)
	s.session = s.begin(t, "alice")
	return s
}

func (s *salon) begin(t *testing.T, person string) string {
	t.Helper()
	status, body := ask(t, s.web.URL, "POST", "/ingress/session", "X-Test-Person: "+person, nil)
	var out struct{ Data api.IngressSession }
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != 200 || len(out.Data.Session) != 128 {
		t.Fatalf("no session: %d %s", status, body)
	}
	return out.Data.Session
}

// get asks for a page as alice; more are headers, "name: value".
func (s *salon) get(t *testing.T, method, path string, body io.Reader, more ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.web.URL+"/ingress/"+pageToken+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Test-Person", "alice")
	req.Header.Set("Cookie", "castellan=secret; ingress_session="+s.session+"; theirs=1; __Host-castellan=x; ")
	for _, h := range more {
		name, v, _ := strings.Cut(h, ": ")
		req.Header[http.CanonicalHeaderKey(name)] = []string{v}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() }) // it was read
	return resp
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAnAddonSeesWhoAsksAndNothingThatLetsItIn(t *testing.T) {
	s := newSalon(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s\n", r.RequestURI) // the test looks at what comes
		_ = r.Header.Write(w)
	})
	got := text(t, s.get(t, "GET", "/a%2Fb//c/?x=../y&z=%3Cscript%3E;union%20select", nil, "Authorization: Bearer s3cret", "X-Supervisor-Token: s3cret", "X-Hassio-Key: s3cret",
		"X-Remote-User-Id: mallory", "X_Remote_User_Id: mallory", "X-Ingress-Path: /evil", "X-Forwarded-For: 6.6.6.6", "X-Hass-Source: s3cret", "Connection: X-Drop",
		"X-Drop: dropped", "Upgrade: h2c", "X-Theirs: kept"))
	for _, want := range []string{"/a%2Fb//c/?x=../y&z=%3Cscript%3E;union%20select\n", "X-Ingress-Path: /ingress/" + pageToken + "\r\n", "X-Remote-User-Id: alice\r\n",
		"X-Remote-User-Name: alice\r\n", "X-Remote-User-Display-Name: alice\r\n", "X-Forwarded-For: 127.0.0.1\r\n", "Cookie: theirs=1\r\n", "X-Theirs: kept\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the add-on does not see %q:\n%s", want, got)
		}
	}
	for _, never := range []string{"s3cret", "secret", "mallory", "evil", "6.6.6.6", s.session, "dropped", "h2c"} {
		if strings.Contains(got, never) {
			t.Errorf("the add-on sees %q:\n%s", never, got)
		}
	}
}

func TestWhatAnAddonAnswersCountsForItsOwnPages(t *testing.T) {
	var headers http.Header
	status := 200
	s := newSalon(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</x>; rel=preload")
		w.Header().Set("Set-Cookie", "castellan=early")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Set-Cookie")
		for k, v := range headers {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "body") // the test looks at what comes
	})
	own := "/ingress/" + pageToken
	for _, c := range []struct {
		status            int
		header, in        string
		want              string // of the same header; "" = it is not there
		wantStatus        int
		says, wantOfOther string
	}{
		{200, "Set-Cookie", "a=1; Path=/; Domain=x.example; HttpOnly", "a=1; Path=" + own + "/; HttpOnly", 200, "body", ""},
		{200, "Set-Cookie", "a=1", "a=1; Path=" + own + "/", 200, "body", ""},
		{200, "Set-Cookie", "a=1; Path=" + own + "/sub", "a=1; Path=" + own + "/sub", 200, "body", ""},
		{200, "Set-Cookie", "a=1; Path=" + own + "/../../castellan", "a=1; Path=" + own + "/castellan", 200, "body", ""},
		{200, "Set-Cookie", "a=1; Path=" + own + "x", "a=1; Path=" + own + own + "x", 200, "body", ""},
		{200, "Set-Cookie", "ingress_session=1", "", 200, "body", ""},
		{200, "Set-Cookie", "__Host-castellan_session=1; Path=/; Secure", "", 200, "body", ""},
		{200, "Set-Cookie", "Castellan=1; Path=/", "", 200, "body", ""},
		{200, "Clear-Site-Data", `"*"`, "", 200, "body", ""},
		{200, "Strict-Transport-Security", "max-age=1", "", 200, "body", ""},
		{200, "Service-Worker-Allowed", "/", "", 200, "body", ""},
		{200, "Alt-Svc", `h2="evil.example:443"`, "", 200, "body", ""},
		{200, "Refresh", "0; url=https://evil.example", "", 200, "body", ""},
		{200, "X-Frame-Options", "ALLOWALL", "SAMEORIGIN", 200, "body", ""},
		{302, "Location", "/login?next=%2F#top", own + "/login?next=%2F#top", 302, "body", ""},
		{302, "Location", "sub/", own + "/dir/sub/", 302, "body", ""},
		{302, "Location", "../../../../castellan/users", own + "/castellan/users", 302, "body", ""},
		{302, "Location", "/..%2f..%2fcastellan", "", 200, "elsewhere", ""},
		{302, "Location", own + "/x", own + "/x", 302, "body", ""},
		{301, "Location", "https://evil.example/?a=<b>", "", 200, `<a href="https://evil.example/?a=%3cb%3e"`, ""},
		{302, "Location", "//evil.example/x", "", 200, "wants to send you elsewhere", ""},
		{302, "Location", `/\evil.example/x`, own + "/%5Cevil.example/x", 302, "body", ""},
		{302, "Location", "javascript:alert(1)", "", 200, "wants to send you elsewhere", ""},
		{302, "Location", "http://me@HOST/x", "", 200, "wants to send you elsewhere", ""},
		{302, "Location", "http://HOST/x", own + "/x", 302, "body", ""},
		{401, "Www-Authenticate", "Basic", "", 401, "body", ""},
	} {
		status, headers = c.status, http.Header{c.header: {strings.ReplaceAll(c.in, "HOST", strings.TrimPrefix(s.web.URL, "http://"))},
			"Content-Security-Policy": {"frame-ancestors *"}}
		r := s.get(t, "GET", "/dir/page", nil)
		body := text(t, r)
		if got := r.Header.Get(c.header); got != c.want || r.StatusCode != c.wantStatus || !strings.Contains(body, c.says) {
			t.Errorf("%s %q: got %d %q %.300s, want %d %q %s", c.header, c.in, r.StatusCode, got, body, c.wantStatus, c.want, c.says)
		}
		if csp := strings.Join(r.Header.Values("Content-Security-Policy"), ", "); !strings.Contains(csp, "frame-ancestors 'self'") || strings.Contains(body, "javascript:") {
			t.Errorf("%s %q: others may frame it: %s", c.header, c.in, csp)
		}
	}
}

func TestAPageIsForItsOwnerOnly(t *testing.T) {
	reached := 0
	s := newSalon(t, func(w http.ResponseWriter, r *http.Request) { reached++ })
	bridge := httptest.NewServer(s.srv.AddonHandler())
	defer bridge.Close()
	status, body := ask(t, bridge.URL, "POST", "/ingress/session", "X-Supervisor-Token: "+hostToken, strings.NewReader(`{"user_id":"u1"}`))
	var out struct{ Data api.IngressSession }
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != 200 {
		t.Fatal(status, body)
	}
	cores, own, outside := out.Data.Session, "/ingress/"+pageToken+"/", "/api/hassio_ingress/"+pageToken+"/"
	for _, c := range []struct {
		at, path, person, token, session string
		status                           int
	}{
		{s.web.URL, own, "alice", "", s.session, 200},
		{s.web.URL, outside, "alice", "", s.session, 200},
		{s.web.URL, outside, "alice", "", strings.Repeat("x; ingress_session=", 100) + s.session, 200}, // others were set by a page
		{s.web.URL, own, "bob", "", s.session, 401},
		{s.web.URL, own, "", "", s.session, 401},
		{s.web.URL, own, "alice", "", "", 401},
		{s.web.URL, own, "alice", "", s.session[1:], 401},
		{s.web.URL, own, "alice", "", cores, 401},
		{s.web.URL, own, "", "", cores, 401},
		{s.web.URL, "/ingress/" + pageToken[1:] + "/", "alice", "", s.session, 404},
		{s.web.URL, "/ingress/x/", "alice", "", s.session, 404},
		{bridge.URL, own, "", "", cores, 200}, // as Core sends it on
		{bridge.URL, own, "", hostToken, cores, 200},
		{bridge.URL, own, "", "", s.session, 401},
		{bridge.URL, own, "", "token-other", cores, 403},
		{bridge.URL, own, "", "token-other", "", 403},
		{s.web.URL, own + "%2e%2e/castellan", "alice", "", s.session, 400},
		{s.web.URL, own + "..%2fx", "alice", "", s.session, 400},
		{s.web.URL, own + "%252e%252e%255cx", "alice", "", s.session, 400},
		{s.web.URL, own + "a/..;/x", "alice", "", s.session, 400},
		{s.web.URL, own + "a%00", "alice", "", s.session, 400},
		{s.web.URL, own + "%25252525252541", "alice", "", s.session, 400},
		{s.web.URL, own + "a%2Fb//c..d/...", "alice", "", s.session, 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", c.at+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string]string{"X-Test-Person": c.person, "X-Supervisor-Token": c.token, "Cookie": "ingress_session=" + c.session} {
			if v != "" {
				req.Header.Set(name, v)
			}
		}
		before := reached
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || (reached > before) != (c.status == 200) {
			t.Errorf("%s by %q %q: got %d, reached %v, want %d", c.path, c.person, c.token, resp.StatusCode, reached > before, c.status)
		}
	}
	for header, want := range map[string]int{"X-Supervisor-Token: token-other": 403, "X-Supervisor-Token: wrong": 401, "X-Supervisor-Token: " + hostToken: 200} {
		for path, body := range map[string]string{"/ingress/session": "{}", "/ingress/validate_session": `{"session":"` + cores + `"}`} {
			if got, said := ask(t, bridge.URL, "POST", path, header, strings.NewReader(body)); got != want {
				t.Errorf("%s with %s: got %d %s", path, header, got, said)
			}
		}
	}
	if got, said := ask(t, s.web.URL, "POST", "/ingress/validate_session", "X-Test-Person: alice", strings.NewReader(`{"session":"`+cores+`"}`)); got != 401 {
		t.Errorf("alice finds Core's session good: %d %s", got, said)
	}
	if told := strings.Join(s.guests.calls(), "\n"); !strings.Contains(told, "refused other GET /ingress/…/") || strings.Contains(told, pageToken) {
		t.Errorf("the verification log is told %s", told)
	}
	if got, said := ask(t, s.web.URL, "POST", "/ingress/session", "X-Test-Person: alice", strings.NewReader(`{"user_id":"bob"}`)); got != 400 {
		t.Errorf("alice says who she is: %d %s", got, said)
	}
}

func TestASessionEndsWithItsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := api.New(api.Config{Ingress: &pages{}, HostToken: hostToken, Log: slog.New(slog.DiscardHandler)})
		h := srv.AddonHandler()
		begin := func() string {
			var out struct{ Data api.IngressSession }
			if err := json.Unmarshal(send(h, "POST", "/ingress/session", hostToken, "").Body.Bytes(), &out); err != nil {
				t.Fatal(err)
			}
			return out.Data.Session
		}
		first := begin()
		good := func(id string) bool {
			return send(h, "POST", "/ingress/validate_session", hostToken, `{"session":"`+id+`"}`).Code == 200
		}
		for range 4 {
			time.Sleep(14 * time.Minute) // in the bubble's time
			if !good(first) {
				t.Fatal("it ended although it was used")
			}
		}
		time.Sleep(15*time.Minute + time.Second) // likewise
		if good(first) {
			t.Error("it goes on although nobody used it")
		}
		var last string
		for range 100 {
			last = begin()
			time.Sleep(time.Second) // likewise
		}
		if n := srv.IngressOwners(); n != 32 || !good(last) {
			t.Errorf("one person has %d sessions, the newest is good: %v", n, good(last))
		}
	})
}

// TestAddonsDoNotLearnWhereTheOthersPagesAre: a script of one would open another's in the name of its visitor.
func TestAddonsDoNotLearnWhereTheOthersPagesAre(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		door        http.Handler
		token, slug string
		told        bool
	}{
		{s.srv.AddonHandler(), "token-default", "self", true},
		{s.srv.AddonHandler(), "token-default", "manager", false},
		{s.srv.AddonHandler(), "token-backup", "manager", false},
		{s.srv.AddonHandler(), "token-manager", "default", true},
		{s.srv.AddonHandler(), hostToken, "default", true},
		{s.by(api.Viewer), "", "default", true}, // for nothing: a visit is for operators
		{s.by(api.Operator), "", "default", true},
	} {
		rec := send(c.door, "GET", "/addons/"+c.slug+"/info", c.token, "")
		if told := strings.Contains(rec.Body.String(), "token-of-"); rec.Code != 200 || told != c.told {
			t.Errorf("%s about %s: %d %s, want %v", c.token, c.slug, rec.Code, rec.Body.String(), c.told)
		}
	}
}
