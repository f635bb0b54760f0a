package api_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/access/tlscert"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/events"
)

func certificate(t testing.TB) *tlscert.Source {
	t.Helper()
	c, err := tlscert.Open(tlscert.Config{Dir: t.TempDir(), Hosts: []string{"castellan.example", "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// flags are the name and the flags of the cookie an answer sets, sorted.
func flags(rec *httptest.ResponseRecorder) string {
	parts := strings.Split(rec.Header().Get("Set-Cookie"), "; ")
	name, _, _ := strings.Cut(parts[0], "=")
	rest := slices.DeleteFunc(parts[1:], func(p string) bool { return strings.HasPrefix(p, "Expires=") || strings.HasPrefix(p, "Max-Age=") })
	slices.Sort(rest)
	return strings.Join(append([]string{name}, rest...), " ")
}

func TestOtherNamesAndOtherSitesAreRefused(t *testing.T) {
	h := settled(t)
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method  string
		headers []string
		key     string // "" = it is answered
	}{
		{"GET", []string{"Host", "castellan.example"}, ""},
		{"GET", []string{"Host", "Castellan.Example.:8480"}, ""},
		{"GET", []string{"Host", "192.168.1.5:8480"}, ""},
		{"GET", []string{"Host", "[fd00::1]:8480"}, ""},
		{"GET", []string{"Host", "[fd00::1]"}, ""},
		{"GET", []string{"Host", "localhost:1"}, ""},
		{"GET", []string{"Host", own + ":8480"}, ""},
		{"GET", []string{"Host", own + ".local"}, ""},
		{"GET", []string{"Host", "evil.example"}, "host_not_allowed"},
		{"GET", []string{"Host", "castellan.example.evil.example"}, "host_not_allowed"},
		{"GET", []string{"Host", "192.168.1.5.evil.example"}, "host_not_allowed"},
		{"GET", []string{"Host", "evil.local"}, "host_not_allowed"},
		{"GET", []string{"Host", ""}, "host_not_allowed"},
		{"POST", []string{"Origin", "http://castellan.example:8480"}, ""},
		{"POST", []string{"Origin", "https://castellan.example:8480", "Sec-Fetch-Site", "same-origin"}, ""},
		{"POST", []string{"Origin", "http://castellan.example:8123"}, "origin_not_allowed"}, // another program on the appliance
		{"POST", []string{"Origin", "https://evil.example"}, "origin_not_allowed"},
		{"GET", []string{"Origin", "https://evil.example"}, "origin_not_allowed"},
		{"POST", []string{"Origin", "null"}, "origin_not_allowed"},
		{"POST", []string{"Origin", ""}, "origin_not_allowed"},
		{"POST", []string{"Origin", "http://castellan.example:8480", "Origin", "http://castellan.example:8480"}, "origin_not_allowed"},
		{"POST", []string{"Sec-Fetch-Site", "cross-site"}, "origin_not_allowed"},
		{"POST", []string{"Sec-Fetch-Site", "same-site"}, "origin_not_allowed"},
		{"GET", []string{"Sec-Fetch-Site", "cross-site"}, ""}, // somebody follows a link
	} {
		path, body := "/castellan/status", ""
		if c.method == "POST" {
			path, body = "/castellan/update", `{"service":"core"}`
		}
		before := len(h.reached())
		rec := h.ask(c.method, path, body, append(c.headers, "Authorization", "Bearer "+h.tokens["anna"])...)
		if c.key == "" && rec.Code != 200 || c.key != "" && (rec.Code != 403 || !strings.Contains(rec.Body.String(), `"error_key":"`+c.key+`"`) || len(h.reached()) != before) {
			t.Errorf("%s %q: %d %s, want %q", c.method, c.headers, rec.Code, rec.Body.String(), c.key)
		}
	}
}

// TestACookieIsNoUseToAnAddOn has programs on the appliance come with a cookie that their page was sent.
func TestACookieIsNoUseToAnAddOn(t *testing.T) {
	h := settled(t)
	for _, c := range []struct{ login, use, want string }{
		{"192.168.1.7", "192.168.1.7", "200"},
		{"192.168.1.7", "192.168.1.8", "200"}, // people move about
		{"192.168.1.7", "172.30.33.4", "401"}, // an add-on
		{"192.168.1.7", "127.0.0.1", "401"},   // one in the host's network
		{"172.30.33.4", "172.30.33.4", "200"}, // a proxy
		{"172.30.33.4", "172.30.33.5", "401"},
		{"127.0.0.1", "127.0.0.1", "200"},
		{"127.0.0.1", "192.168.1.7", "200"},
	} {
		rec := h.ask("POST", "/castellan/login", `{"name":"anna","password":"`+annaPassword+`"}`, "From", c.login)
		cookie := strings.Split(rec.Header().Get("Set-Cookie"), ";")[0]
		if rec := h.ask("GET", "/castellan/me", "", "Cookie", cookie, "From", c.use); strconv.Itoa(rec.Code) != c.want {
			t.Errorf("login from %s, use from %s: %d, want %s", c.login, c.use, rec.Code, c.want)
		}
		if rec := h.ask("GET", "/castellan/me", "", "Authorization", "Bearer "+h.tokens["anna"], "From", c.use); rec.Code != 200 {
			t.Errorf("a token from %s: %d", c.use, rec.Code)
		}
	}
}

// onNetwork serves h's API on a real listener.
func (h *home) onNetwork(t testing.TB, n api.Network) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.srv.ServePeople(ctx, l, n) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// TestRolesCountOverTLS asks for every route as everybody, on a real connection.
func TestRolesCountOverTLS(t *testing.T) {
	h := settled(t)
	cert := certificate(t)
	addr := h.onNetwork(t, api.Network{Certificate: cert.GetCertificate})
	pair, err := cert.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(tr.CloseIdleConnections)
	client := &http.Client{Transport: tr, Timeout: time.Minute}
	ask := func(name, method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "https://"+addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+h.tokens[name])
		resp, err := client.Do(req)
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
	_, rows := api.Rows()
	for name, role := range map[string]api.Role{"anna": api.Admin, "bert": api.Operator, "cleo": api.Viewer} {
		for _, rt := range rows {
			may := role >= rt.People
			if may && rt.Method != "POST" { // reading is tested elsewhere, and some of it lasts; removing would be done
				continue
			}
			// An unknown key is refused after the role was looked at, and before anything is done.
			if code, body := ask(name, rt.Method, at(rt.Path, ""), `{"surprise":1}`); (code == 403) == may {
				t.Errorf("%s %s by %s: %d %.150s, may it: %v", rt.Method, rt.Path, role, code, body, may)
			}
		}
	}
	if code, body := ask("anna", "POST", "/castellan/trust/force", `{"service":"core"}`); code != 200 {
		t.Errorf("force: %d %s", code, body)
	}
	if by := "force core by anna (token " + h.people.Tokens("anna")[0].ID + ")"; !slices.Contains(h.reached(), by) {
		t.Errorf("the house heard %q, want %q", h.reached(), by)
	}
	old := &tls.Dialer{Config: &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}}
	if c, err := old.DialContext(t.Context(), "tcp", addr); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is spoken")
	}
}

// TestSlowCallersAreCut sends a byte at a time: the head, and the body after a good head.
func TestSlowCallersAreCut(t *testing.T) {
	h := settled(t)
	addr := h.onNetwork(t, api.Network{Patience: 200 * time.Millisecond})
	closed := h.onNetwork(t, api.Network{Patience: 200 * time.Millisecond, Certificate: certificate(t).GetCertificate})
	for what, head := range map[string]string{
		"head": "", "TLS": "",
		"body": "POST /castellan/update HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + h.tokens["anna"] + "\r\nContent-Length: 100000\r\n\r\n",
	} {
		to := addr
		if what == "TLS" {
			to = closed
		}
		c, err := net.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}
		gone := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, c)
			gone <- err
		}()
		drip, late := time.NewTicker(50*time.Millisecond), time.After(20*time.Second)
		for cut := false; !cut; {
			select {
			case <-drip.C:
				piece := "G"
				if what == "TLS" {
					piece = "\x16" // as a handshake begins, which is never whole
				}
				_, _ = io.WriteString(c, piece) // after the cut it fails, which the reader tells
			case err := <-gone:
				var timeout net.Error
				if errors.As(err, &timeout) && timeout.Timeout() {
					t.Errorf("%s: %v", what, err)
				}
				cut = true
			case <-late:
				t.Fatalf("a caller who sends its %s byte by byte is not cut", what)
			}
		}
		drip.Stop()
	}
	if got := h.reached(); slices.Contains(got, "update core ") {
		t.Errorf("reached the house: %q", got)
	}
}

func TestOneAddressTakesNotAllConnections(t *testing.T) {
	h := newHome(t)
	addr := h.onNetwork(t, api.Network{Patience: time.Minute})
	closed := make(chan struct{}, 100)
	for range 80 { // 64 are the limit of an address
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		go func() {
			if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, net.ErrClosed) {
				closed <- struct{}{}
			}
		}()
	}
	for range 16 {
		select {
		case <-closed:
		case <-time.After(20 * time.Second):
			t.Fatal("connections over the limit stay open")
		}
	}
}

// TestStreamsOutlastPatience: what bounds how long somebody may take to say what he wants does not end what he follows.
func TestStreamsOutlastPatience(t *testing.T) {
	h := settled(t)
	addr := h.onNetwork(t, api.Network{Patience: 50 * time.Millisecond}) // a body may take 150 ms
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr+"/castellan/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.tokens["anna"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() {
		t.Fatalf("the stream does not begin: %v", lines.Err())
	}
	time.Sleep(400 * time.Millisecond) // of real time: the kernel's timers are what is tried
	if err := h.events.Health(events.Health{Healthy: true}); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		if lines.Text() == "event: health_changed" {
			return
		}
	}
	t.Errorf("the stream ended before what happened later: %v", lines.Err())
}
