package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// quiet is a house in which nothing happens.
func quiet() map[string]any {
	return map[string]any{
		"GET /castellan/status": api.Status{State: "running", Ledger: api.LedgerStatus{State: "fresh", Time: time.Now()}, Services: []api.ServiceStatus{
			{Name: "core", Class: "core", State: "running", Version: "1", Badge: "verified"}}},
		"GET /castellan/changes":   api.ChangeList{Changes: []api.Change{}},
		"GET /castellan/plan":      api.PlanPreview{Services: []api.PlanService{}},
		"GET /castellan/decisions": api.DecisionList{},
		"GET /addons":              api.AddonList{Addons: []api.Addon{}},
	}
}

func TestWhoIsNotLoggedInGoesToTheDoor(t *testing.T) {
	u, f := fakeUI(t, "admin", quiet())
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/ui/", "/ui/login?next=%2Fui%2F"},
		{"GET", "/ui/?show=all", "/ui/login?next=%2Fui%2F%3Fshow%3Dall"},
		{"POST", "/ui/check", "/ui/login?next=%2Fui%2F"},
	} {
		w := httptest.NewRecorder()
		u.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != c.want {
			t.Errorf("%s %s answers %d, to %q, want %q", c.method, c.path, w.Code, got, c.want)
		}
	}
	f.answers["GET /castellan/setup"] = api.SetupState{}
	w := httptest.NewRecorder()
	u.ServeHTTP(w, httptest.NewRequest("GET", "/ui/", nil))
	if got := w.Header().Get("Location"); got != "/ui/setup" {
		t.Errorf("without an owner the way leads to %q", got)
	}
	if c := f.calls(); len(c) != 0 {
		t.Errorf("something was done for nobody: %v", c)
	}
}

// TestAddressesStayHere: no address that a form or a link carries leads to another site.
func TestAddressesStayHere(t *testing.T) {
	for to, want := range map[string]string{
		"/ui/addons?q=a": "/ui/addons?q=a", "/ui/": "/ui/",
		"": "/ui/", "//evil.example/ui/": "/ui/", "https://evil.example/ui/": "/ui/", "/\\evil.example": "/ui/", "/ui/\\evil": "/ui/",
		"javascript:alert(1)": "/ui/", "/ui/\r\nSet-Cookie: a=b": "/ui/", "/addons": "/ui/", "ui/": "/ui/", "/ui": "/ui/", "%2f%2fevil.example": "/ui/",
	} {
		if got := ours(to, "/ui/"); got != want {
			t.Errorf("%q leads to %q, want %q", to, got, want)
		}
	}
}

func TestFormsCarryTheToken(t *testing.T) {
	answers := quiet()
	answers["POST /castellan/check"] = api.Plan{}
	u, f := fakeUI(t, "operator", answers)
	for _, wrong := range []string{"", "of-another-session"} {
		if w := post(u, "/ui/check", url.Values{"csrf": {wrong}}); w.Code != http.StatusForbidden || len(f.calls()) != 0 {
			t.Errorf("with token %q: %d, the API was asked %+v", wrong, w.Code, f.calls())
		}
	}
	w := post(u, "/ui/check", url.Values{})
	if calls := f.calls(); len(calls) != 1 || calls[0].csrf != "token-of-anna" {
		t.Fatalf("the API was asked %+v", calls)
	}
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/ui/" {
		t.Errorf("answers %d to %q", w.Code, w.Header().Get("Location"))
	}
	first, second := get(u, "/ui/").Body.String(), get(u, "/ui/").Body.String()
	if word := "Checked:"; !strings.Contains(first, word) || strings.Contains(second, word) {
		t.Error("what was done is not told once")
	}
}

// TestFormsOfOthers: each form of the table is refused to who may not send it, before anything is asked.
func TestFormsOfOthers(t *testing.T) {
	n := 0
	for _, s := range screens() {
		if s.method != http.MethodPost || s.role <= api.Viewer || strings.HasSuffix(s.path, "/upload") {
			continue
		}
		n++
		u, f := fakeUI(t, "viewer", quiet())
		path := regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(s.path, "x")
		if w := post(u, path, url.Values{}); w.Code != http.StatusForbidden || len(f.calls()) != 0 {
			t.Errorf("%s: a viewer gets %d, the API was asked %+v", s.path, w.Code, f.calls())
		}
	}
	if n < 30 {
		t.Errorf("only %d forms were found", n)
	}
}

func TestRefusalsAreTold(t *testing.T) {
	answers := quiet()
	answers["POST /castellan/check"] = &api.Error{Status: 403, Key: "forbidden", Message: "not <b>you</b>", Next: "ask an admin"}
	u, _ := fakeUI(t, "operator", answers)
	post(u, "/ui/check", url.Values{})
	page := get(u, "/ui/").Body.String()
	for _, want := range []string{"not &lt;b&gt;you&lt;/b&gt;", "ask an admin", `href="/ui/help/forbidden"`, `role="alert"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %s", want)
		}
	}
	answers["GET /castellan/status"] = &api.Error{Status: 503, Key: "<script>", Message: "the engine <script>alert(1)</script>"}
	w := get(u, "/ui/")
	if w.Code != 503 || strings.Contains(w.Body.String(), "<script>alert") || !strings.Contains(w.Body.String(), `href="/ui/help/failed"`) {
		t.Errorf("a fault is told with %d:\n%s", w.Code, w.Body)
	}
}

func TestPagesAreGuarded(t *testing.T) {
	u, _ := fakeUI(t, "viewer", quiet())
	for _, path := range []string{"/ui/", "/ui/login", "/ui/nowhere", "/ui/static/app.css", "/"} {
		h := get(u, path).Header()
		if p := h.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || !strings.Contains(p, "frame-ancestors 'none'") || strings.Contains(p, "unsafe") {
			t.Errorf("%s has the policy %q", path, p)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s has the headers %v", path, h)
		}
	}
	if page := get(u, "/ui/").Body.String(); strings.Contains(page, `action="/ui/check"`) {
		t.Error("a viewer is offered what he may not do")
	}
}

func TestAssets(t *testing.T) {
	u, _ := fakeUI(t, "viewer", quiet())
	w := get(u, assetPath("app.css"))
	if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || !strings.Contains(w.Body.String(), "--accent") {
		t.Errorf("the style answers %d, %v", w.Code, w.Header())
	}
	if w := get(u, assetPath("app.css"), "If-None-Match", w.Header().Get("ETag")); w.Code != http.StatusNotModified {
		t.Errorf("the same style answers %d", w.Code)
	}
	if w := get(u, assetPath("htmx.min.js"), "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 20_000 {
		t.Errorf("a script goes as %q in %d bytes", w.Header().Get("Content-Encoding"), w.Body.Len())
	}
	for _, path := range []string{"/ui/static/..%2fweb.go", "/ui/static/%2e%2e%2fweb.go", "/ui/static/vendor%2fhtmx.min.js", "/ui/static/README.md", "/ui/static/SHA256SUMS", "/ui/static/", "/ui/static/css"} {
		if w := get(u, path); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}

func TestLanguageOf(t *testing.T) {
	for accept, want := range map[string]string{"": "en", "de": "de", "de-AT,en;q=0.5": "de", "fr,de;q=0.3,en;q=0.8": "en", "xx": "en", ";;;q=": "en", "en;q=0,de;q=0.1": "de"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", accept)
		if got := languageOf(r); got != want {
			t.Errorf("%q reads %s, want %s", accept, got, want)
		}
		r.AddCookie(&http.Cookie{Name: "lang", Value: "de"})
		if got := languageOf(r); got != "de" {
			t.Errorf("who chose German reads %s", got)
		}
	}
}

func TestFiguresByLanguage(t *testing.T) {
	en, de := newViews("en"), newViews("de")
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ got, want string }{
		{en.number(1234567), "1,234,567"}, {de.number(-1234), "−1.234"}, {en.number(999), "999"},
		{en.size(0), "0\u00a0B"}, {en.size(999), "999\u00a0B"}, {en.size(214_300_000), "214\u00a0MB"}, {de.size(12_900_000_000), "12,9\u00a0GB"}, {en.size(999_600), "1\u00a0MB"},
		{en.ago(now, now.Add(-10*time.Second)), "just now"}, {en.ago(now, now.Add(-2*time.Minute)), "2\u00a0min ago"}, {de.ago(now, now.Add(-25*time.Hour)), "gestern"},
		{en.ago(now, now.Add(3*time.Hour)), "in 3\u00a0h"}, {en.ago(now, now.Add(-30*24*time.Hour)), "27 Oct 2026"}, {en.ago(now, time.Time{}), "never"},
		{en.text("layout.waiting", 1), "1 waiting"}, {de.text("layout.waiting", 2), "2 warten"}, {en.text("no.such"), "⟨no.such⟩"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// TestFrames: what the API's stream says becomes what pages take, and no data ends a frame early.
func TestFrames(t *testing.T) {
	u, _ := fakeUI(t, "viewer", quiet())
	v := u.visit(httptest.NewRecorder(), httptest.NewRequest("GET", "/ui/events", nil))
	moving, _ := json.Marshal(api.Change{ID: "c", Service: "core", Kind: "update", State: "verified", To: "2", Bytes: 50, Total: 100, Created: time.Now(), Updated: time.Now()})
	got := string(v.frames("e-1", "change", moving))
	for _, want := range []string{"event: progress-core\ndata: ", `value="50"`, "\n\nid: e-1\n\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("a change that moves becomes %q, want it to hold %q", got, want)
		}
	}
	if strings.Contains(got, "event: changed") {
		t.Error("a change that only moves has pages read anew")
	}
	ended, _ := json.Marshal(api.Change{ID: "c", Service: "core", Kind: "update", State: "rolled-back", Done: true, From: "1", To: "2", Why: "<img src=x onerror=alert(1)>\n\nevent: x"})
	got = string(v.frames("", "change", ended))
	if !strings.Contains(got, "event: changed\n") || !strings.Contains(got, "event: announce\ndata: ") || strings.Contains(got, "<img") || strings.Contains(got, "\nevent: x") {
		t.Errorf("a change that ended becomes %q", got)
	}
	var b bytes.Buffer
	frame(&b, "na\nme", "one\r\ntwo\rthree")
	if b.String() != "event: name\ndata: one\ndata: two\ndata: three\n\n" {
		t.Errorf("a frame is %q", b.String())
	}
}
