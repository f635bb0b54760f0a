package house

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

// loggedIn is somebody who has logged in from the network, and makes calls as the user interface does.
type loggedIn struct {
	*house
	ui           string // its origin
	cookie, csrf string
	client       *http.Client
}

// newOwner sets the appliance up from the network.
func (h *house) newOwner(at string) *loggedIn {
	h.t.Helper()
	var code api.SetupCode
	h.castellan("setup-code", "--json").decode(h.t, &code)
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // #nosec G402 -- the test compares certificates
	p := &loggedIn{house: h, ui: "https://" + at, client: &http.Client{Transport: tr}}
	r, body := p.call("POST", "/castellan/setup", `{"code":"`+code.Code+`","name":"anna","password":"a phrase of anna's that is long enough"}`)
	var me struct{ Data api.Me }
	must(h.t, json.Unmarshal([]byte(body), &me))
	p.csrf = me.Data.CSRF
	p.cookie, _, _ = strings.Cut(r.Header.Get("Set-Cookie"), ";")
	if !strings.HasPrefix(p.cookie, "__Host-castellan=") || p.csrf == "" {
		h.t.Fatalf("setup: %d %s", r.StatusCode, body)
	}
	return p
}

// call makes a call to the API.
func (p *loggedIn) call(method, path, body string, headers ...string) (*http.Response, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.ui+path, strings.NewReader(body))
	must(p.t, err)
	req.Header.Set("Cookie", p.cookie)
	req.Header.Set("X-CSRF-Token", p.csrf)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := p.client.Transport.RoundTrip(req)
	must(p.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(p.t, err)
	return resp, string(b)
}

// guest opens an add-on's page as the user interface does: what the API says of the network and of the add-on is all it
// needs for the address. The browser sends the port of pages the cookie of the login too.
func (p *loggedIn) guest(slug string) *guest {
	p.t.Helper()
	var status struct{ Data api.Status }
	var info struct{ Data ownPages }
	var session struct{ Data api.IngressSession }
	for path, to := range map[string]any{"/castellan/status": &status, "/addons/" + slug + "/info": &info} {
		r, body := p.call("GET", path, "")
		must(p.t, json.Unmarshal([]byte(body), to))
		if r.StatusCode != 200 {
			p.t.Fatalf("%s: %d %s", path, r.StatusCode, body)
		}
	}
	r, body := p.call("POST", "/ingress/session", "")
	must(p.t, json.Unmarshal([]byte(body), &session))
	for _, c := range r.Cookies() {
		if c.Name == "ingress_session" {
			session.Data.Session = c.Value
		}
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(p.ui, "https://"), ":")
	host = fmt.Sprintf("%s:%d", host, status.Data.Network.IngressPort)
	return &guest{t: p.t, base: "https://" + host + info.Data.URL, prefix: info.Data.Entry, host: host, client: p.client,
		cookie: p.cookie + "; ingress_session=" + session.Data.Session + "; own=1"}
}

// TestPeopleSeePagesOfAddonsOnAPortOfTheirOwn logs in from the network, opens the pages of an add-on in a container on the
// port beside, and loses them with the login.
func TestPeopleSeePagesOfAddonsOnAPortOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	w.image("radio", "1.0")
	h := newHouse(w, withStore)
	h.addonConfig("radio", "1.0", "ingress: true", "ingress_port: 8080", "ingress_stream: true")
	h.begin()
	h.castellan("addon", "install", "local_radio", "--start", "--yes").says(t, 0)
	people, first, second := testenv.HostIP+":"+freePort(t), testenv.HostIP+":"+freePort(t), testenv.HostIP+":"+freePort(t)
	reload := func(pages string) {
		t.Helper()
		h.configure(h.config() + fmt.Sprintf("api: {listen: %q, ingress_listen: %q}\n", people, pages))
	}
	answers := func(pages string) {
		t.Helper()
		testenv.Eventually(t, 30*time.Second, "the pages are at "+pages, func() bool {
			n := h.status().Network
			return n.Listen == people && n.Ingress == pages
		})
	}
	reload(first)
	answers(first)
	h.castellan("status").says(t, 0, "pages     "+first)
	anna := h.newOwner(people)
	g := anna.guest("local_radio")
	g.appears()
	g.looksAround(h.apiAddress()+":", anna.cookie[strings.Index(anna.cookie, "=")+1:], "ingress_session", "Host-")
	r, _ := g.says("GET", "seen", 200, "X-Remote-User-Name: anna\r\n", "X-Forwarded-Proto: https\r\n")
	_, port, _ := strings.Cut(people, ":")
	if csp, want := r.Header.Get("Content-Security-Policy"), "frame-ancestors 'self' https://"+testenv.HostIP+":"+port; csp != want || r.Header.Get("X-Frame-Options") != "" {
		t.Errorf("framed by %q %q, want %q", csp, r.Header.Get("X-Frame-Options"), want)
	}
	ui, _ := anna.call("GET", "/castellan/me", "")
	if !bytes.Equal(r.TLS.PeerCertificates[0].Raw, ui.TLS.PeerCertificates[0].Raw) {
		t.Error("the two ports show two certificates")
	}

	// What the page's script may try, and where nothing else is.
	if r, body := anna.call("POST", "/castellan/holds", `{"service":"`+h.core+`","why":"me"}`, "Origin", "https://"+g.host); r.StatusCode != 403 {
		t.Errorf("a page holds updates: %d %s", r.StatusCode, body)
	}
	whole := *g
	whole.base = "https://" + g.host + "/"
	for _, path := range []string{"", "castellan/status", "ingress/" + strings.TrimPrefix(g.prefix, "/api/hassio_ingress/") + "/", "ui/"} {
		whole.says("GET", path, 404)
	}
	onUI := *g
	onUI.base, onUI.host = anna.ui+g.prefix+"/", people
	onUI.says("GET", "", 404)

	h.castellan("addon", "stop", "local_radio").says(t, 0)
	g.says("GET", "", 503, "radio: it does not run. Start it.")
	h.castellan("addon", "start", "local_radio").says(t, 0)
	g.appears()

	// The configuration moves the pages, switches them off, and on again.
	reload(second)
	answers(second)
	g = anna.guest("local_radio")
	g.says("GET", "", 200)
	reload("off")
	answers("")
	reload(first)
	answers(first)
	g = anna.guest("local_radio")

	ws := g.socket()
	cut := make(chan error, 1)
	go func() {
		_, _, err := ws.Read(context.Background())
		cut <- err
	}()
	if r, body := anna.call("POST", "/castellan/logout", ""); r.StatusCode != 200 {
		t.Fatalf("logout: %d %s", r.StatusCode, body)
	}
	g.says("GET", "", 401, "Open the page from Castellan again")
	select {
	case err := <-cut:
		if err == nil {
			t.Error("the add-on said something")
		}
	case <-time.After(30 * time.Second):
		t.Error("a WebSocket outlives the login")
	}
	h.castellan("log", "verify").says(t, 0)
}
