package api_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/castellan/castellan/supervisor/access"
	"github.com/castellan/castellan/supervisor/api"
)

// parlour is an appliance on the network of the house, with an add-on that has pages, as browsers see it.
type parlour struct {
	*home
	ui, pages string // origins: where people log in, and where they see the pages
	handler   http.Handler

	mu   sync.Mutex
	seen *http.Request // by the add-on, last
}

const page = "/api/hassio_ingress/" + pageToken + "/"

// newParlour opens one, with TLS.
func newParlour(t *testing.T) *parlour {
	t.Helper()
	p := &parlour{home: settled(t)}
	addon := httptest.NewServer(http.HandlerFunc(p.addon))
	t.Cleanup(addon.Close)
	p.srv = api.New(api.Config{Backend: p.house, Guests: p.guests, Registry: p.reg, HostToken: hostToken, People: p.people, From: netip.MustParsePrefix("172.30.32.0/23"),
		Ingress: &pages{at: strings.TrimPrefix(addon.URL, "http://")}, Log: slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	n := api.Network{Hosts: []string{"castellan.example"}}
	p.net, p.handler = p.srv.PeopleHandler(n), p.srv.IngressHandler(n)
	n.Certificate = certificate(t).GetCertificate
	people := p.onNetwork(t, n)
	n.UI = netip.MustParseAddrPort(people).Port()
	p.ui, p.pages = "https://"+people, "https://"+listening(t, func(ctx context.Context, l net.Listener) error { return p.srv.ServeIngress(ctx, l, n) })
	return p
}

// listening serves on a listener of its own until the test ends.
func listening(t *testing.T, serve func(context.Context, net.Listener) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func (p *parlour) addon(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = r.Clone(context.Background())
	p.mu.Unlock()
	switch r.URL.Path {
	case "/ws":
		c, err := websocket.Accept(w, r, nil) // as add-ons do: the origin must be the host's
		if err != nil {
			return // the test sees it
		}
		defer c.CloseNow()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, b) != nil {
				return
			}
		}
	case "/stream":
		_, _ = io.WriteString(w, "begun") // the test looks at what comes
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		w.Header().Set("X-Frame-Options", "DENY")
		w.Header().Set("Content-Security-Policy", "default-src 'self'; Frame-Ancestors 'none', img-src *")
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		for _, c := range []string{"own=1; Path=/", "castellan=x; Path=/", "__Host-castellan=x; Path=/; Secure", "ingress_session=x; Path=/"} {
			w.Header().Add("Set-Cookie", c)
		}
		_, _ = io.WriteString(w, "a page") // likewise
	}
}

// asked is what the add-on saw last.
func (p *parlour) asked() *http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// browser is somebody's: it sends a host's cookies to all of its ports.
type browser struct {
	*http.Client
	csrf, session string // of the login, for pages
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // which certificate it is, others test
	t.Cleanup(tr.CloseIdleConnections)
	return &browser{Client: &http.Client{Jar: jar, Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// ask makes a request; headers are pairs, "Host" is the host's.
func (b *browser) ask(t *testing.T, method, address, body string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() }) // it was read, or is not of interest
	return resp
}

// visit logs somebody in and begins a session for pages, whose cookie is for the whole host.
func (p *parlour) visit(t *testing.T, name, password string) *browser {
	t.Helper()
	b := newBrowser(t)
	me := answered[api.Me](t, b.ask(t, "POST", p.ui+"/castellan/login", fmt.Sprintf(`{"name":%q,"password":%q}`, name, password)))
	b.csrf = me.CSRF
	b.enter(t, p, "X-CSRF-Token", me.CSRF)
	return b
}

// enter begins a session for pages. Its cookie is for all ports of the host.
func (b *browser) enter(t *testing.T, p *parlour, headers ...string) {
	t.Helper()
	r := b.ask(t, "POST", p.ui+"/ingress/session", "", headers...)
	b.session = answered[api.IngressSession](t, r).Session
	for _, c := range r.Cookies() {
		if c.Name == "ingress_session" { // the jar has it
			b.session = c.Value
			return
		}
	}
	at, err := url.Parse(p.pages)
	if err != nil {
		t.Fatal(err)
	}
	b.Jar.SetCookies(at, []*http.Cookie{{Name: "ingress_session", Value: b.session, Path: "/", Secure: true, HttpOnly: true}})
}

// answered reads the data of an answer.
func answered[T any](t *testing.T, r *http.Response) T {
	t.Helper()
	rec := httptest.NewRecorder()
	rec.Code = r.StatusCode
	_, _ = rec.WriteString(text(t, r)) // it takes anything
	return data[T](t, rec)
}

func TestPagesAreOfAnotherOriginThanTheLogin(t *testing.T) {
	p := newParlour(t)
	bert := p.visit(t, "bert", bertPassword)
	r := bert.ask(t, "GET", p.pages+page, "", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe")
	if got := text(t, r); r.StatusCode != 200 || got != "a page" {
		t.Fatalf("got %d %s", r.StatusCode, got)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(p.ui, "https://"), ":")
	for name, want := range map[string]string{
		"X-Frame-Options":                  "",
		"Content-Security-Policy":          "default-src 'self', img-src *; frame-ancestors 'self' https://127.0.0.1:" + port,
		"Cross-Origin-Resource-Policy":     "same-origin",
		"Referrer-Policy":                  "same-origin",
		"Access-Control-Allow-Credentials": "",
		"Set-Cookie":                       "own=1; Path=" + page,
	} {
		if got := strings.Join(r.Header.Values(name), "; "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"X-Ingress-Path": strings.TrimSuffix(page, "/"), "X-Remote-User-Name": "bert", "X-Forwarded-Proto": "https", "Cookie": ""} {
		if got := p.asked().Header.Get(name); got != want {
			t.Errorf("the add-on sees %s %q, want %q", name, got, want)
		}
	}
	_ = text(t, bert.ask(t, "GET", p.pages+page, "")) // now with the add-on's cookie
	if got := p.asked().Header.Get("Cookie"); got != "own=1" {
		t.Errorf("the add-on sees the cookies %q", got)
	}
	for host, want := range map[string]string{
		"castellan.example:9":  "https://castellan.example:" + port,
		"Castellan.Example.:9": "https://castellan.example:" + port,
		"192.168.1.5:9":        "https://192.168.1.5:" + port,
		"[fd00::1]:9":          "https://*:" + port, // policies know no such addresses
		"[fe80::1%25e; *]:9":   "",
		"evil.example:9":       "",
	} {
		r := bert.ask(t, "GET", p.pages+page, "", "Host", host, "Cookie", "ingress_session="+bert.session) // the jar knows the other name
		csp := strings.Join(r.Header.Values("Content-Security-Policy"), ", ")
		if want != "" && !strings.HasSuffix(csp, ", frame-ancestors 'self' "+want) || want == "" && (r.StatusCode == 200 || strings.Contains(csp, "*")) {
			t.Errorf("by the name %s: %d, framed by %q, want %q", host, r.StatusCode, csp, want)
		}
	}
}

// TestNothingElseIsOnThePortOfPages asks as who may do everything.
func TestNothingElseIsOnThePortOfPages(t *testing.T) {
	p := newParlour(t)
	anna := p.visit(t, "anna", annaPassword)
	paths := []string{"/", "/ui/", "/ingress/" + pageToken + "/", "/api/hassio_ingress/", "/api/hassio_ingress/" + pageToken, "/API/hassio_ingress/" + pageToken + "/",
		"/api/hassio%5fingress/" + pageToken + "/", "/x/../castellan/status", "//api/hassio_ingress/" + pageToken + "/"}
	before := len(p.reached())
	_, rows := api.Rows()
	for _, rt := range rows {
		paths = append(paths, at(rt.Path, ""))
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			r := anna.ask(t, method, p.pages+path, "{}", "X-CSRF-Token", anna.csrf, "Authorization", "Bearer "+p.tokens["anna"])
			if body := text(t, r); r.StatusCode != 404 || r.Header.Get("X-Frame-Options") != "DENY" {
				t.Errorf("%s %s: %d %.100s", method, path, r.StatusCode, body)
			}
		}
	}
	anna.ask(t, "GET", p.ui+"/api/hassio_ingress/"+pageToken+"/", "")
	if log := p.log.String(); strings.Contains(log, pageToken) {
		t.Errorf("the log tells where the pages are:\n%s", log)
	}
	if got := p.reached(); len(got) != before {
		t.Errorf("reached the house: %q", got)
	}
	if p.asked() != nil {
		t.Errorf("reached the add-on: %s", p.asked().URL)
	}
}

// TestAPageIsAStrangerWhereItsVisitorLoggedIn has a script of a page try, in the browser of an admin, what browsers let it.
func TestAPageIsAStrangerWhereItsVisitorLoggedIn(t *testing.T) {
	p := newParlour(t)
	anna := p.visit(t, "anna", annaPassword)
	for _, c := range []struct {
		what, method, path string
		headers            []string
		status             int
	}{
		{"fetch", "POST", "/castellan/holds", []string{"Origin", p.pages, "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors"}, 403},
		{"fetch, with the CSRF token", "POST", "/castellan/update", []string{"Origin", p.pages, "X-CSRF-Token", anna.csrf}, 403},
		{"a form", "POST", "/castellan/update", []string{"Origin", p.pages, "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"}, 403},
		{"a form of a frame without origin", "POST", "/castellan/update", []string{"Origin", "null"}, 403},
		{"a beacon of an old browser", "POST", "/castellan/update", nil, 403},
		{"another session for pages", "POST", "/ingress/session", []string{"Origin", p.pages, "Sec-Fetch-Site", "same-site"}, 403},
		{"fetch that reads", "GET", "/castellan/status", []string{"Origin", p.pages, "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors"}, 403},
		{"fetch without CORS", "GET", "/castellan/status", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"an image", "GET", "/castellan/me", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 403},
		{"a script of an old browser", "GET", "/castellan/me", nil, 200},
		{"a window", "GET", "/castellan/me", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"}, 200},
		{"asking first", "OPTIONS", "/castellan/me", []string{"Origin", p.pages, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "x-csrf-token"}, 403},
	} {
		before := len(p.reached())
		r := anna.ask(t, c.method, p.ui+c.path, `{"service":"core"}`, c.headers...)
		if body := text(t, r); r.StatusCode != c.status {
			t.Errorf("%s: %d %.200s, want %d", c.what, r.StatusCode, body, c.status)
		}
		if r.StatusCode != 200 && len(p.reached()) != before {
			t.Errorf("%s: it reached the house", c.what)
		}
		// What is answered is opaque to it.
		for name := range r.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: it may read the answer: %s: %s", c.what, name, r.Header.Get(name))
			}
		}
		for name, want := range map[string]string{"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Cross-Origin-Opener-Policy": "same-origin"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", c.what, name, got)
			}
		}
	}
}

// TestOtherOriginsActOnNoPage is about other programs of the same host, whose pages get its cookies sent.
func TestOtherOriginsActOnNoPage(t *testing.T) {
	p := newParlour(t)
	bert := p.visit(t, "bert", bertPassword)
	for _, c := range []struct {
		what, method string
		headers      []string
		status       int
	}{
		{"the page itself", "POST", []string{"Origin", p.pages, "Sec-Fetch-Site", "same-origin"}, 200},
		{"where people log in", "POST", []string{"Origin", p.ui, "Sec-Fetch-Site", "same-site"}, 403},
		{"Home Assistant", "POST", []string{"Origin", "https://127.0.0.1:8123"}, 403},
		{"a form of Home Assistant's", "POST", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"}, 403},
		{"an image at Home Assistant", "GET", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"a WebSocket of Home Assistant's", "GET", []string{"Origin", "https://127.0.0.1:8123", "Connection", "Upgrade", "Upgrade", "websocket"}, 403},
		{"a link", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		{"a name that is not ours", "GET", []string{"Host", "evil.example"}, 403},
	} {
		p.mu.Lock()
		p.seen = nil
		p.mu.Unlock()
		r := bert.ask(t, c.method, p.pages+page, "x", c.headers...)
		if r.StatusCode != c.status || (p.asked() != nil) != (c.status == 200) {
			t.Errorf("%s: %d, reached %v, want %d", c.what, r.StatusCode, p.asked() != nil, c.status)
		}
	}
}

// TestWhoMaySeePagesOnTheNetwork asks with what lets somebody in elsewhere.
func TestWhoMaySeePagesOnTheNetwork(t *testing.T) {
	p := newParlour(t)
	cleo := newBrowser(t)
	if r := cleo.ask(t, "POST", p.ui+"/ingress/session", "", "Authorization", "Bearer "+p.tokens["cleo"]); r.StatusCode != 403 {
		t.Errorf("a viewer begins a session: %d", r.StatusCode)
	}
	for what, headers := range map[string][]string{
		"nothing":            nil,
		"a token":            {"Authorization", "Bearer " + p.tokens["anna"]},
		"the host's token":   {"Authorization", "Bearer " + hostToken},
		"an add-on's":        {"X-Supervisor-Token", "token-admin"},
		"a made up session":  {"Cookie", "ingress_session=" + strings.Repeat("a", 128)},
		"that of the bridge": {"Cookie", "ingress_session=" + data[api.IngressSession](t, send(p.srv.AddonHandler(), "POST", "/ingress/session", hostToken, "")).Session},
		"that of root":       {"Cookie", "ingress_session=" + data[api.IngressSession](t, atHome(p.srv.Handler(), "POST", "/ingress/session", "")).Session},
	} {
		r := newBrowser(t).ask(t, "GET", p.pages+page, "", append(headers, "Accept", "text/html")...)
		if body := text(t, r); r.StatusCode != 401 || !strings.Contains(body, "Open the page from Castellan again") || !strings.Contains(r.Header.Get("Content-Security-Policy"), "frame-ancestors 'self' https://") {
			t.Errorf("%s: %d %s %s", what, r.StatusCode, r.Header, body)
		}
	}
	if p.asked() != nil {
		t.Errorf("reached the add-on: %s", p.asked().URL)
	}
	if log := p.log.String(); strings.Contains(log, pageToken) || !strings.Contains(log, "path=/api/hassio_ingress/…/") {
		t.Errorf("the log tells where the pages are, or nothing:\n%s", log)
	}
	// A program's token begins one too, and nothing of a login but its session for pages is of use here.
	bot := newBrowser(t)
	bot.enter(t, p, "Authorization", "Bearer "+p.tokens["bert"])
	if r := bot.ask(t, "GET", p.pages+page, ""); r.StatusCode != 200 {
		t.Errorf("with a session that a token began: %d", r.StatusCode)
	}
	if r := bot.ask(t, "GET", p.ui+"/castellan/me", ""); r.StatusCode != 401 {
		t.Errorf("a session for pages lets in where people log in: %d", r.StatusCode)
	}
}

// TestASessionForPagesIsNoUseToAnAddOn has programs on the appliance come with the cookie that their page was sent.
func TestASessionForPagesIsNoUseToAnAddOn(t *testing.T) {
	p := newParlour(t)
	for _, c := range []struct{ begun, use, want string }{
		{"192.168.1.7", "192.168.1.7", "200"},
		{"192.168.1.7", "192.168.1.8", "200"}, // people move about
		{"192.168.1.7", "172.30.33.4", "401"}, // an add-on
		{"192.168.1.7", "127.0.0.1", "401"},   // one in the host's network
		{"172.30.33.4", "172.30.33.4", "200"}, // a proxy
		{"172.30.33.4", "172.30.33.5", "401"},
		{"127.0.0.1", "127.0.0.1", "200"},
	} {
		s := data[api.IngressSession](t, p.ask("POST", "/ingress/session", "", "Authorization", "Bearer "+p.tokens["bert"], "From", c.begun))
		req := httptest.NewRequestWithContext(t.Context(), "GET", page, nil)
		req.Host, req.RemoteAddr = "castellan.example:8481", c.use+":40000"
		req.Header.Set("Cookie", "ingress_session="+s.Session)
		rec := httptest.NewRecorder()
		p.handler.ServeHTTP(rec, req)
		if strconv.Itoa(rec.Code) != c.want {
			t.Errorf("begun from %s, used from %s: %d, want %s", c.begun, c.use, rec.Code, c.want)
		}
	}
}

// TestPagesEndWithWhatLetsTheirVisitorIn holds a stream and a WebSocket open for each visitor, and takes away what let them in.
func TestPagesEndWithWhatLetsTheirVisitorIn(t *testing.T) {
	p := newParlour(t)
	password := func(name string) string { return "a long enough phrase of " + name + "'s" }
	token := func(name string) *browser {
		text, _, err := p.people.AddToken(name, "pages", access.Operator, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		b := newBrowser(t)
		b.enter(t, p, "Authorization", "Bearer "+text.Reveal())
		return b
	}
	open := map[string]*browser{}
	gone := map[string]func(name string) error{
		"logout": func(name string) error {
			r := open[name].ask(t, "POST", p.ui+"/castellan/logout", "", "X-CSRF-Token", open[name].csrf)
			if r.StatusCode != 200 {
				return fmt.Errorf("status %d", r.StatusCode)
			}
			return nil
		},
		"session": func(name string) error { _, err := p.people.EndSessions(name, ""); return err },
		"removed": func(name string) error { return p.people.RemoveUser(name) },
		"lowered": func(name string) error { return p.people.SetRole(name, access.Viewer) },
		"token":   func(name string) error { return p.people.RemoveToken(name, p.people.Tokens(name)[0].ID) },
		"password": func(name string) error {
			return p.people.SetPassword(t.Context(), access.Credentials{Name: name, Password: access.Secret("another " + password(name))}, "")
		},
		"stays": func(string) error { return nil },
	}
	ended := map[string]chan struct{}{} // of two connections each
	for name := range gone {
		if err := p.people.AddUser(t.Context(), access.Credentials{Name: name, Password: access.Secret(password(name))}, access.Operator); err != nil {
			t.Fatal(err)
		}
		if name == "token" {
			open[name] = token(name)
		} else {
			open[name] = p.visit(t, name, password(name))
		}
		over := make(chan struct{}, 2)
		ended[name] = over
		stream := open[name].ask(t, "GET", p.pages+page+"stream", "")
		if _, err := io.ReadFull(stream.Body, make([]byte, 5)); err != nil || stream.StatusCode != 200 {
			t.Fatal(name, stream.StatusCode, err)
		}
		ws, _, err := websocket.Dial(t.Context(), p.pages+page+"ws", &websocket.DialOptions{HTTPClient: open[name].Client, HTTPHeader: http.Header{"Origin": {p.pages}}})
		if err != nil {
			t.Fatal(name, err)
		}
		t.Cleanup(func() { _ = ws.CloseNow() }) // it was cut, or nobody looks any more
		if err := ws.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(name, err)
		}
		if _, b, err := ws.Read(t.Context()); err != nil || string(b) != "hello" {
			t.Fatal(name, string(b), err)
		}
		go func() { _, _ = io.Copy(io.Discard, stream.Body); over <- struct{}{} }() // it ends with an error
		go func() { _, _, _ = ws.Read(context.Background()); over <- struct{}{} }() // likewise
	}
	for name, take := range gone {
		if err := take(name); err != nil {
			t.Fatal(name, err)
		}
		want := 401
		if name == "stays" {
			want = 200
		}
		if r := open[name].ask(t, "GET", p.pages+page, ""); r.StatusCode != want {
			t.Errorf("%s: the next page answers %d, want %d", name, r.StatusCode, want)
		}
	}
	late := time.After(20 * time.Second)
	for name := range gone {
		if name == "stays" {
			continue
		}
		for range 2 {
			select {
			case <-ended[name]:
			case <-late:
				t.Fatalf("%s: what is open stays open", name)
			}
		}
	}
	if len(ended["stays"]) != 0 {
		t.Error("somebody is cut who may stay")
	}
}
