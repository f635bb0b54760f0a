package house

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/browser"
)

// testHeaders walks through all pages: each is there, and none may be shown in another's, run a script of others, or be kept.
func (u *ui) testHeaders(t *testing.T) {
	u.on(t)
	pages, _ := u.walked(t)
	for path, p := range pages {
		if p.status != http.StatusOK {
			t.Errorf("%s: status %d; a link leads there", path, p.status)
		}
		policy := p.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "script-src 'self'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy %q does not say %q", path, policy, want)
			}
		}
		for _, never := range []string{"unsafe", "data:", "*"} {
			if strings.Contains(policy, never) {
				t.Errorf("%s: the policy %q says %q", path, policy, never)
			}
		}
		for name, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
			if got := p.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
	t.Logf("%d pages", len(pages))
}

// onDevice are forms that change how pages look on a device and nothing else: nobody's secret, and no matter of rights.
var onDevice = map[string]bool{"/ui/look": true, "/ui/welcome/end": true}

// testForgedForms sends every form there is as another site would make somebody's browser send it.
func (u *ui) testForgedForms(t *testing.T) {
	u.on(t)
	anna := u.enter("anna", phrase)
	_, forms := u.walked(t)
	before := u.picture()
	changes, err := u.client.Changes(t.Context())
	must(t, err)
	others := u.enter("anna", phrase)
	for _, f := range forms {
		if onDevice[f.action] {
			continue
		}
		if !f.fields.Has("csrf") {
			t.Errorf("the form %s on %s has no token", f.action, f.page)
		}
		bad := func(how, token string, extra ...string) {
			t.Helper()
			f.fields.Set("csrf", token)
			p := anna.asks("POST", f.action, f.fields.Encode(), extra...)
			after := anna.asks("GET", "/ui/", "")
			if strings.Contains(after.body, `class="note ok"`) || p.status < 300 || p.status >= 500 {
				t.Errorf("%s with %s: status %d, and the next page says:\n%s", f.action, how, p.status, noteOf(after.body))
			}
		}
		bad("no token", "")
		bad("another session's token", others.csrf)
		bad("another site's origin", anna.csrf, "Origin", "https://evil.example")
		bad("no origin that can be told", anna.csrf, "Origin", "null")
		bad("another site's page", anna.csrf, "Sec-Fetch-Site", "cross-site")
	}
	now, err := u.client.Changes(t.Context())
	must(t, err)
	if u.picture() != before || len(now.Changes) != len(changes.Changes) {
		t.Errorf("the house was changed: %s, %d changes; before: %s, %d", u.picture(), len(now.Changes), before, len(changes.Changes))
	}
	if code, _ := anna.says("GET", "/castellan/me", ""); code != http.StatusOK {
		t.Errorf("anna is out: %d", code)
	}
	t.Logf("%d forms", len(forms))
}

// noteOf is the note on a page.
func noteOf(body string) string {
	_, after, _ := strings.Cut(body, `<main`)
	note, _, _ := strings.Cut(after, "<header class=\"page\"")
	return note
}

// testOtherSites lets anna open a page of another site while she is logged in: it can't show our pages in its own, send
// its forms, or read ours.
func (u *ui) testOtherSites(t *testing.T) {
	b := u.on(t)
	sent := make(chan string, 1)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/frame":
			fmt.Fprintf(w, `<!doctype html><title>f</title><iframe src="%s/ui/"></iframe>`, u.base)
		case "/form":
			fmt.Fprintf(w, `<!doctype html><title>f</title><form method="post" action="%s/ui/check"><button>Win a prize</button></form>`, u.base)
		case "/read":
			fmt.Fprintf(w, `<!doctype html><title>f</title><script>fetch("%s/ui/", {credentials: "include"}).then(function (r) { return r.text() }).then(function (x) { location = "/got?" + x.length }, function () { document.title = "kept" })</script>`, u.base)
		case "/got":
			sent <- r.URL.RawQuery
		}
	}))
	defer evil.Close()
	evil.Config.ErrorLog = nil
	site := strings.Replace(evil.URL, "127.0.0.1", "localhost", 1) // another site, not only another port

	b.Allow("Refused to display", "request: net::ERR_BLOCKED_BY_RESPONSE", "frame-ancestors", "answer: 404 GET "+site+"/favicon.ico")
	b.Go(site + "/frame")
	b.Until("the frame is refused", `document.querySelector("iframe").contentDocument === null`)
	if b.Faults("frame") == 0 {
		t.Error("nothing refused to be shown in a frame")
	}
	b.Clean()

	b.Allow("answer: 403 POST", "favicon.ico")
	b.Go(site + "/form")
	b.Click("button", "Win a prize")
	b.Sees("origin_not_allowed")
	b.Clean()

	b.Allow("favicon.ico", "CORS", "request: net::ERR_FAILED", "blocked by CORS policy", "Failed to fetch")
	b.Go(site + "/read")
	b.Until("the page is kept from it", `document.title === "kept"`)
	select {
	case q := <-sent:
		t.Errorf("another site read a page of ours: %s", q)
	default:
	}
	b.Clean()
	b.Visit("/ui/")
	b.Sees("Waiting for you") // and she is still in
}

// testOpenRedirects asks to be sent elsewhere after a form.
func (u *ui) testOpenRedirects(t *testing.T) {
	u.on(t)
	home, err := url.Parse(u.base)
	must(t, err)
	for _, next := range []string{
		"https://evil.example/", "//evil.example/", "///evil.example/", `/\evil.example/`, `\\evil.example`, "/ui/\\evil.example", "javascript:alert(1)", "data:text/html,x",
		"/ui//evil.example", "https:evil.example", "/ui/\r\nSet-Cookie: a=b", "/ui/\t//evil.example", " //evil.example", "/ui@evil.example", "//evil.example/ui/", "http:/ui/", "/evil",
		"/ui/../..//evil.example/", "", "%2f%2fevil.example",
	} {
		fields := url.Values{"next": {next}, "name": {"anna"}, "password": {phrase}, "theme": {"dark"}}
		for _, to := range []string{"/ui/look", "/ui/login"} {
			if to == "/ui/login" && len(next)%4 != 0 { // logins are counted: a part of them will do
				continue
			}
			p := u.stranger().asks("POST", to, fields.Encode())
			where := p.header.Get("Location")
			l, err := home.Parse(where)
			if p.status != http.StatusSeeOther || err != nil || l.Host != home.Host || l.Scheme != "https" || !strings.HasPrefix(where, "/ui/") || strings.ContainsAny(where, "\\\r\n\t") {
				t.Errorf("%s with next %q: %d to %q", to, next, p.status, where)
			}
			if c := p.header.Values("Set-Cookie"); strings.Contains(strings.Join(c, ""), "a=b") {
				t.Errorf("%s with next %q sets %q", to, next, c)
			}
		}
	}
}

// testStaticFiles looks for what is not a static file among them.
func (u *ui) testStaticFiles(t *testing.T) {
	u.on(t)
	v := u.stranger()
	if p := v.asks("GET", "/ui/static/app.css", ""); p.status != http.StatusOK || p.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("app.css: %d %v", p.status, p.header)
	}
	for _, path := range []string{
		"/ui/static/", "/ui/static", "/ui/static/..", "/ui/static/../web.go", "/ui/static/../../../../../../etc/passwd", "/ui/static/..%2f..%2f..%2f..%2fetc%2fpasswd",
		"/ui/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/ui/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/ui/static/..%5c..%5cetc%5cpasswd", "/ui/static/%252e%252e%252fetc%252fpasswd",
		"/ui/static//etc/passwd", "/ui/static/%2fetc%2fpasswd", "/ui/static/app.css/", "/ui/static/app.css/..", "/ui/static/app.css%00.png", "/ui/static/app.css%20", "/ui/static/APP.CSS",
		"/ui/static/vendor/htmx.min.js", "/ui/static/vendor%2fhtmx.min.js", "/ui/static/css/00-base.css", "/ui/static/..;/templates/layout.html", "/ui/static/%c0%ae%c0%ae/etc/passwd",
		"/ui/static/templates/layout.html", "/ui/templates/layout.html", "/ui/static/SHA256SUMS", "/ui/static/README.md", "/ui/static/.", "/ui/static/app.css::$DATA",
	} {
		p := v.asks("GET", path, "")
		if p.status == http.StatusOK || p.status >= 500 || strings.Contains(p.body, "root:") || strings.Contains(p.body, "{{define") {
			t.Errorf("%s: %d %.80q", path, p.status, p.body)
		}
		if to := p.header.Get("Location"); to != "" && !strings.HasPrefix(to, "/ui") && !strings.HasPrefix(to, "/etc/passwd") && to != "/web.go" {
			t.Errorf("%s leads to %q", path, to)
		}
	}
}

// testCookies looks at what is kept in the browser.
func (u *ui) testCookies(t *testing.T) {
	u.on(t)
	p := u.stranger().asks("POST", "/ui/login", url.Values{"name": {"anna"}, "password": {phrase}}.Encode())
	line := p.header.Get("Set-Cookie")
	c, err := http.ParseSetCookie(line)
	must(t, err)
	if c.Name != "__Host-castellan" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("the session's cookie is %q", line)
	}
	p = u.stranger().asks("POST", "/ui/look", "theme=dark&lang=xx%0d%0a")
	if lines := p.header.Values("Set-Cookie"); len(lines) != 1 || !strings.HasPrefix(lines[0], "theme=dark; ") || !strings.Contains(lines[0], "HttpOnly") || !strings.Contains(lines[0], "SameSite=Lax") {
		t.Errorf("a choice of looks sets %q", lines)
	}
	if seen := browser.Eval[string](u.anna, `document.cookie`); seen != "" {
		t.Errorf("scripts can read %q", seen)
	}
	for _, cookie := range []string{"__Host-castellan=", "__Host-castellan=x", "__Host-castellan=" + strings.Repeat("A", 43), "castellan=" + c.Value} {
		v := u.stranger()
		v.cookie = cookie
		if p := v.asks("GET", "/ui/", ""); p.status != http.StatusSeeOther || !strings.HasPrefix(p.header.Get("Location"), "/ui/login") {
			t.Errorf("cookie %.40q: %d to %q", cookie, p.status, p.header.Get("Location"))
		}
	}
}

// testMethods asks for pages and sends forms by methods that are not theirs.
func (u *ui) testMethods(t *testing.T) {
	u.on(t)
	v := u.enter("anna", phrase)
	before := u.picture()
	for _, row := range []struct {
		method, path, body string
		extra              []string
		wants              []int
	}{
		{"GET", "/ui/check", "", nil, []int{404, 405}},
		{"GET", "/ui/check?csrf=" + v.csrf, "", []string{"X-HTTP-Method-Override", "POST"}, []int{404, 405}},
		{"GET", "/ui/logout", "", nil, []int{404, 405}},
		{"HEAD", "/ui/", "", nil, []int{200}},
		{"POST", "/ui/", "csrf=" + v.csrf, nil, []int{404, 405}},
		{"PUT", "/ui/", "csrf=" + v.csrf, nil, []int{404, 405}},
		{"DELETE", "/ui/", "", nil, []int{404, 405}},
		{"PATCH", "/ui/check", "csrf=" + v.csrf, nil, []int{404, 405}},
		{"POST", "/ui/check?_method=GET", "csrf=", nil, []int{303, 403}},
		{"POST", "/ui/check?csrf=" + v.csrf, "a=b", nil, []int{303, 403}}, // a token in an address ends in logs
		{"OPTIONS", "/ui/check", "", nil, []int{404, 405}},
		{"TRACE", "/ui/", "", nil, []int{404, 405}},
		{"POST", "/ui/static/app.css", "a=b", nil, []int{404, 405}},
		{"QUERY", "/ui/", "", nil, []int{404, 405}},
	} {
		p := v.asks(row.method, row.path, row.body, row.extra...)
		ok := false
		for _, want := range row.wants {
			ok = ok || p.status == want
		}
		if !ok {
			t.Errorf("%s %s: %d, want one of %v", row.method, row.path, p.status, row.wants)
		}
		if p := v.asks("GET", "/ui/", ""); strings.Contains(p.body, `class="note ok"`) {
			t.Errorf("%s %s did something: %s", row.method, row.path, noteOf(p.body))
		}
	}
	if u.picture() != before {
		t.Error("the house was changed")
	}
}

// testSessionEnds logs out: the cookie is worth nothing from then on, and a stream that was open ends.
func (u *ui) testSessionEnds(t *testing.T) {
	u.on(t)
	v := u.enter("anna", phrase)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", u.base+"/ui/events", nil)
	must(t, err)
	req.Header.Set("Cookie", v.cookie)
	stream := http.Client{Transport: v.http.Transport}
	resp, err := stream.Do(req)
	must(t, err)
	defer resp.Body.Close()
	ended := make(chan error, 1)
	go func() {
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
		}
		ended <- ctx.Err()
	}()
	cookie := v.cookie
	if p := v.asks("POST", "/ui/logout", url.Values{"csrf": {v.csrf}}.Encode()); p.status != http.StatusSeeOther {
		t.Fatalf("logout: %d %s", p.status, p.body)
	}
	v.cookie = cookie
	if p := v.asks("GET", "/ui/", ""); p.status != http.StatusSeeOther {
		t.Errorf("after the logout the cookie still opens the door: %d", p.status)
	}
	if err := <-ended; err != nil {
		t.Error("after the logout the stream goes on")
	}
}

// testRoles sends what only others may do, past the pages that do not offer it.
func (u *ui) testRoles(t *testing.T) {
	u.on(t)
	must(t, u.client.AddUser(t.Context(), api.UserRequest{Name: "victor", Role: "viewer", Password: "a phrase of victor's that is long"}))
	victor := u.enter("victor", "a phrase of victor's that is long")
	_, forms := u.walked(t)
	pages, his := victor.walk(t)
	for path, p := range pages {
		if p.status >= 500 {
			t.Errorf("a viewer at %s: %d", path, p.status)
		}
	}
	offered := map[string]bool{}
	for _, f := range his {
		offered[f.action] = true
	}
	before := u.picture()
	for _, f := range forms {
		if offered[f.action] || onDevice[f.action] || f.action == "/ui/logout" {
			continue
		}
		f.fields.Set("csrf", victor.csrf)
		p := victor.asks("POST", f.action, f.fields.Encode())
		if after := victor.asks("GET", "/ui/", ""); strings.Contains(after.body, `class="note ok"`) || p.status < 300 {
			t.Errorf("a viewer may send %s: %d, %s", f.action, p.status, noteOf(after.body))
		}
	}
	if u.picture() != before {
		t.Error("the house was changed")
	}
}
