package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/access"
	"github.com/castellan/castellan/supervisor/api"
)

// from is a connection from an address.
type from struct {
	net.Conn
	addr net.Addr
}

func (c from) RemoteAddr() net.Addr { return c.addr }

// TestOnePlaceTakesNotAllConnections: a device has a whole /64 of IPv6 addresses.
func TestOnePlaceTakesNotAllConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t)
		l := make(piped)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- h.srv.ServePeople(ctx, l, api.Network{}) }()
		var open []net.Conn
		heard := func(addr string) bool {
			here, there := net.Pipe()
			l <- from{there, &net.TCPAddr{IP: net.ParseIP(addr), Port: 40000}}
			open = append(open, here)
			synctest.Wait()
			_ = here.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := here.Read(make([]byte, 1))
			return isTimeout(err)
		}
		for i := range 64 {
			if !heard(fmt.Sprintf("2001:db8:1:2::%x", i+1)) {
				t.Fatalf("connection %d is cut", i)
			}
		}
		for addr, want := range map[string]bool{"2001:db8:1:2:ffff::1": false, "2001:db8:1:3::1": true, "192.168.1.7": true, "::ffff:192.168.1.8": true} {
			if heard(addr) != want {
				t.Errorf("one from %s is heard: %v", addr, !want)
			}
		}
		for _, c := range open {
			_ = c.Close()
		}
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// TestAPersonTakesNotAllConnectionsWithStreams, whatever he logs in with; other calls of his are answered.
func TestAPersonTakesNotAllConnectionsWithStreams(t *testing.T) {
	h := settled(t)
	second, _, err := h.people.AddToken("bert", "second", access.Operator, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	cookie, _ := h.login(t, "bert", bertPassword)
	ways := [][]string{{"Authorization", "Bearer " + h.tokens["bert"]}, {"Authorization", "Bearer " + second.Reveal()}, {"Cookie", cookie}}
	ctx, leave := context.WithCancel(t.Context())
	codes := make(chan int, 64)
	open := func(headers []string) {
		req := httptest.NewRequestWithContext(ctx, "GET", "/castellan/events", nil)
		req.Host = "castellan.example"
		req.Header.Set(headers[0], headers[1])
		rec := httptest.NewRecorder()
		h.net.ServeHTTP(rec, req)
		codes <- rec.Code
	}
	for i := range 17 {
		go open(ways[i%len(ways)])
	}
	if code := <-codes; code != http.StatusTooManyRequests { // the others last
		t.Fatalf("the first that ends is answered %d", code)
	}
	if rec := h.ask("GET", "/castellan/events", "", ways[2]...); rec.Code != http.StatusTooManyRequests || !strings.Contains(rec.Body.String(), `"error_key":"too_many_streams"`) {
		t.Errorf("one more: %d %s", rec.Code, rec.Body.String())
	}
	if rec := h.ask("GET", "/castellan/me", "", ways[2]...); rec.Code != 200 {
		t.Errorf("what is no stream: %d", rec.Code)
	}
	go open([]string{"Authorization", "Bearer " + h.tokens["cleo"]})
	for end := time.Now().Add(10 * time.Second); h.events.Streams() != 17; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d streams, want 16 of bert and one of cleo", h.events.Streams())
		}
	}
	leave()
	for range 17 {
		if code := <-codes; code != 200 {
			t.Errorf("a stream within the share: %d", code)
		}
	}
	again, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	ctx = again
	open(ways[0])
	if code := <-codes; code != 200 {
		t.Errorf("after they left: %d", code)
	}
}

// TestAnAddonsStreamEndsWithItsToken, as a person's does with his.
func TestAnAddonsStreamEndsWithItsToken(t *testing.T) {
	for what, change := range map[string]func(*api.AddonCaller){
		"it ended":             func(c *api.AddonCaller) { c.Token = "" },
		"it was started again": func(c *api.AddonCaller) { c.Token = "token-new" },
		"it is another":        func(c *api.AddonCaller) { c.Slug = "other" },
		"it may less":          func(c *api.AddonCaller) { c.Manifest.HassioRole = "default" },
	} {
		synctest.Test(t, func(t *testing.T) {
			h := settled(t)
			bridge := h.srv.AddonHandler()
			done := make(chan int, 1)
			req := httptest.NewRequest("GET", "/supervisor/logs/follow", nil)
			req.Header.Set("X-Supervisor-Token", "token-manager")
			rec := httptest.NewRecorder()
			go func() { bridge.ServeHTTP(rec, req); done <- rec.Code }()
			select {
			case code := <-done:
				t.Fatalf("%s: the stream ends at once: %d", what, code)
			case <-time.After(10 * time.Minute):
			}
			h.guests.mu.Lock()
			i := slices.IndexFunc(h.guests.callers, func(c api.AddonCaller) bool { return c.Slug == "manager" })
			change(&h.guests.callers[i])
			h.guests.mu.Unlock()
			select {
			case code := <-done:
				if code != 200 {
					t.Errorf("%s: %d", what, code)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s: the stream goes on", what)
			}
		})
	}
}

// within is a server and its clients in a bubble, on pipes.
type within struct {
	l    piped
	done chan error
	srv  *http.Server
}

func newWithin(h http.Handler) within {
	w := within{make(piped), make(chan error, 1), &http.Server{Handler: h}}
	go func() { w.done <- w.srv.Serve(w.l) }()
	return w
}

func (w within) dial(context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	w.l <- from{there, &net.TCPAddr{IP: net.IPv4(192, 168, 1, 7), Port: 40000}}
	return here, nil
}

func (w within) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.dial(ctx) }}}
}

func (w within) close() {
	_ = w.srv.Close() // the pipes end with it
	<-w.done
}

// lively is something that follows: server-sent events under /events, and a WebSocket that echoes elsewhere.
func lively(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/events") {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n") // the test looks at what comes
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
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
}

// pagesWithin are an add-on's pages in a bubble.
type pagesWithin struct {
	*pages
	at within
}

func (p pagesWithin) Dial(ctx context.Context, _ string) (net.Conn, error) { return p.at.dial(ctx) }

// TestALivePageEndsWithTheLogin that it began with, and so does the session for pages.
func TestALivePageEndsWithTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := settled(t)
		addon := newWithin(http.HandlerFunc(lively))
		srv := api.New(api.Config{Ingress: pagesWithin{new(pages), addon}, People: h.people, Log: slog.New(slog.DiscardHandler)})
		web := newWithin(srv.HandlerFor(srv.Visitor))
		c := web.client()
		cookie, csrf := h.login(t, "bert", bertPassword)
		ask := func(method, path, cookie string) *http.Response {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), method, "http://x"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Cookie", cookie)
			req.Header.Set("X-CSRF-Token", csrf)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		resp := ask("POST", "/ingress/session", cookie)
		_ = resp.Body.Close()
		if len(resp.Cookies()) != 1 {
			t.Fatalf("%d, cookies %v", resp.StatusCode, resp.Cookies())
		}
		both, own := cookie+"; "+resp.Cookies()[0].Name+"="+resp.Cookies()[0].Value, "/ingress/"+pageToken
		stream := ask("GET", own+"/events", both)
		if line, err := bufio.NewReader(stream.Body).ReadString('\n'); line != "data: 1\n" {
			t.Fatalf("%d %q %v", stream.StatusCode, line, err)
		}
		socket, _, err := websocket.Dial(t.Context(), "ws://x"+own+"/ws", &websocket.DialOptions{HTTPClient: c, HTTPHeader: http.Header{"Cookie": {both}}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute) // of the bubble's
		if err := socket.Write(t.Context(), websocket.MessageText, []byte("hi")); err != nil {
			t.Fatal(err)
		}
		if _, b, err := socket.Read(t.Context()); string(b) != "hi" {
			t.Fatalf("a page that is used: %q %v", b, err)
		}
		if err := h.people.Logout(access.Secret(strings.TrimPrefix(cookie, "castellan="))); err != nil {
			t.Fatal(err)
		}
		soon, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		stop := context.AfterFunc(soon, func() { _ = stream.Body.Close() })
		if _, _, err := socket.Read(soon); err == nil || soon.Err() != nil {
			t.Errorf("the WebSocket goes on: %v", err)
		}
		_, _ = io.Copy(io.Discard, stream.Body) // it is cut, or ends
		if !stop() {
			t.Error("the stream goes on")
		}
		again, _ := h.login(t, "bert", bertPassword)
		late := ask("GET", own+"/", strings.Replace(both, cookie, again, 1))
		_ = late.Body.Close()
		if late.StatusCode != http.StatusUnauthorized {
			t.Errorf("another login goes on with the session for pages: %d", late.StatusCode)
		}
		_ = socket.CloseNow()
		web.close()
		addon.close()
	})
}

// TestPeoplesBrowsersGetTheCookieForPages from the answer itself, with its flags.
func TestPeoplesBrowsersGetTheCookieForPages(t *testing.T) {
	h := settled(t)
	srv := api.New(api.Config{Ingress: &pages{}, People: h.people, HostToken: hostToken, Log: slog.New(slog.DiscardHandler)})
	for _, c := range []struct {
		n    api.Network
		want string
	}{
		{api.Network{Hosts: []string{"castellan.example"}}, "ingress_session HttpOnly Path=/ SameSite=Strict"},
		{api.Network{Hosts: []string{"castellan.example"}, Certificate: certificate(t).GetCertificate}, "ingress_session HttpOnly Path=/ SameSite=Strict Secure"},
	} {
		h.net = srv.PeopleHandler(c.n)
		rec := h.ask("POST", "/ingress/session", "", "Authorization", "Bearer "+h.tokens["bert"])
		if got := data[api.IngressSession](t, rec); len(got.Session) != 128 || !strings.HasPrefix(rec.Header().Get("Set-Cookie"), "ingress_session="+got.Session+";") || flags(rec) != c.want {
			t.Errorf("got %q, want %q", flags(rec), c.want)
		}
	}
	if rec := send(srv.AddonHandler(), "POST", "/ingress/session", hostToken, ""); rec.Code != 200 || rec.Header().Get("Set-Cookie") != "" {
		t.Errorf("Home Assistant is set a cookie: %d %q", rec.Code, rec.Header().Get("Set-Cookie"))
	}
}

// coreWithin is Home Assistant Core in a bubble.
type coreWithin struct{ at within }

func (coreWithin) Token() (string, error) { return "core-token", nil }
func (c coreWithin) Dial(ctx context.Context) (net.Conn, bool, error) {
	conn, err := c.at.dial(ctx)
	return conn, false, err
}

// TestAnAddonsWayToCoreEndsWithItsToken: Core's own event stream and its WebSocket.
func TestAnAddonsWayToCoreEndsWithItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := newWithin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/websocket" {
				lively(w, r)
				return
			}
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return // the test sees it
			}
			defer c.CloseNow()
			_ = c.Write(r.Context(), websocket.MessageText, []byte(`{"type":"auth_required"}`)) // likewise
			_, _, _ = c.Read(r.Context())                                                       // likewise
			_ = c.Write(r.Context(), websocket.MessageText, []byte(`{"type":"auth_ok"}`))       // likewise
			_, _, _ = c.Read(r.Context())                                                       // until it is cut
		}))
		a := &appliance{callers: []api.AddonCaller{{Slug: "red", Token: "token-red", Manifest: addons.Manifest{CoreAPI: true}}}}
		bridge := newWithin(api.New(api.Config{Guests: a, Core: coreWithin{core}, Log: slog.New(slog.DiscardHandler)}).AddonHandler())
		c := bridge.client()
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://x/core/api/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer token-red")
		stream, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(stream.Body).ReadString('\n'); line != "data: 1\n" {
			t.Fatalf("%d %q %v", stream.StatusCode, line, err)
		}
		socket, _, err := websocket.Dial(t.Context(), "ws://x/core/websocket", &websocket.DialOptions{HTTPClient: c})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = socket.Read(t.Context())
		if err == nil {
			err = socket.Write(t.Context(), websocket.MessageText, []byte(`{"type":"auth","access_token":"token-red"}`))
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, b, err := socket.Read(t.Context()); !strings.Contains(string(b), "auth_ok") {
			t.Fatalf("%s %v", b, err)
		}
		time.Sleep(time.Minute) // of the bubble's
		a.mu.Lock()
		a.callers[0].Token = "token-new"
		a.mu.Unlock()
		soon, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		stop := context.AfterFunc(soon, func() { _ = stream.Body.Close() })
		if _, _, err := socket.Read(soon); err == nil || soon.Err() != nil {
			t.Errorf("the WebSocket goes on: %v", err)
		}
		_, _ = io.Copy(io.Discard, stream.Body) // it is cut, or ends
		if !stop() {
			t.Error("the stream goes on")
		}
		_ = socket.CloseNow()
		bridge.close()
		core.close()
	})
}

// TestAStreamFromWhereItWasAsked: what happens after somebody asked who he is, and before his stream is there, is on the stream.
func TestAStreamFromWhereItWasAsked(t *testing.T) {
	h := settled(t)
	web := httptest.NewServer(h.net)
	defer web.Close()
	read := func(path, last, until string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", web.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host, req.Header = "castellan.example", http.Header{"Authorization": {"Bearer " + h.tokens["cleo"]}, "Last-Event-Id": {last}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if strings.Contains(lines.Text(), until) {
				return lines.Text()
			}
		}
		t.Fatalf("%s ends before %q", path, until)
		return ""
	}
	c := api.Change{ID: "c1", Service: "radio", Kind: "update", State: "pulling", From: "1", To: "2"}
	h.srv.Moved(c, false)
	var me struct{ Data api.Me }
	if err := json.Unmarshal([]byte(read("/castellan/me", "", "cleo")), &me); err != nil || me.Data.Event == "" {
		t.Fatalf("%+v, %v", me, err)
	}
	c.State = "switched"
	h.srv.Moved(c, false)
	if got := read("/castellan/events?topics=change", me.Data.Event, `"c1"`); !strings.Contains(got, "switched") {
		t.Errorf("the stream begins with %s", got)
	}
}
