package api_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/castellan/castellan/supervisor/api"
)

func TestPagesStreamBothWays(t *testing.T) {
	step := make(chan struct{})
	s := newSalon(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ws":
			c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, Subprotocols: []string{"echo"}})
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
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				_, _ = fmt.Fprintf(w, "data: %d\n\n", i) // the test looks at what comes
				_ = http.NewResponseController(w).Flush()
				<-step
			}
		case "/sum":
			h := sha256.New()
			n, err := io.Copy(h, r.Body)
			_, _ = fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err) // likewise
		case "/pieces":
			for range 5 {
				if _, err := io.ReadFull(r.Body, make([]byte, 5)); err != nil {
					return
				}
				step <- struct{}{}
			}
			_, _ = io.WriteString(w, "all") // likewise
		case "/large":
			for range 256 {
				if _, err := w.Write(make([]byte, 256<<10)); err != nil {
					return
				}
			}
		}
	})
	t.Run("WebSocket", func(t *testing.T) {
		c, resp, err := websocket.Dial(t.Context(), s.web.URL+"/ingress/"+pageToken+"/ws", &websocket.DialOptions{Subprotocols: []string{"echo"},
			HTTPHeader: http.Header{"X-Test-Person": {"alice"}, "Cookie": {"ingress_session=" + s.session}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		if c.Subprotocol() != "echo" || resp.Header.Get("Referrer-Policy") != "same-origin" {
			t.Error(c.Subprotocol(), resp.Header)
		}
		after := time.NewTimer(700 * time.Millisecond) // longer than any other call may take here
		for i := 0; ; i++ {
			want := fmt.Sprint(i, strings.Repeat("x", i%20000))
			if err := c.Write(t.Context(), websocket.MessageBinary, []byte(want)); err != nil {
				t.Fatal(err)
			}
			if kind, got, err := c.Read(t.Context()); err != nil || kind != websocket.MessageBinary || string(got) != want {
				t.Fatalf("message %d: %v %.20s %v", i, kind, got, err)
			}
			select {
			case <-after.C:
				return
			default:
			}
		}
	})
	t.Run("events", func(t *testing.T) {
		lines := bufio.NewScanner(s.get(t, "GET", "/events", nil).Body)
		for i := range 3 {
			if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) { // it comes before the next is sent
				t.Fatalf("event %d: %q %v", i, lines.Text(), lines.Err())
			}
			lines.Scan()
			select {
			case step <- struct{}{}:
			case <-time.After(10 * time.Second):
				t.Fatal("the add-on is gone")
			}
		}
	})
	t.Run("upload", func(t *testing.T) {
		h := sha256.New()
		zeros := io.TeeReader(io.LimitReader(zero{}, 40<<20), h) // more than a body of ours may have
		if got := text(t, s.get(t, "PUT", "/sum", zeros)); got != fmt.Sprintf("%d %x <nil>", 40<<20, h.Sum(nil)) {
			t.Error(got)
		}
	})
	t.Run("upload in pieces", func(t *testing.T) { // the add-on has it before the next is sent, or it waits for ever
		r, w := io.Pipe()
		go func() {
			for i := range 5 {
				if i == 4 {
					<-time.After(400 * time.Millisecond) // longer than any other call may take here
				}
				_, _ = w.Write([]byte("piece")) // who reads tells
				<-step
			}
			_ = w.Close() // it cannot fail
		}()
		if got := text(t, s.get(t, "POST", "/pieces", r)); got != "all" {
			t.Error(got)
		}
	})
	t.Run("download", func(t *testing.T) {
		n, err := io.Copy(io.Discard, s.get(t, "GET", "/large", nil).Body)
		if n != 64<<20 || err != nil {
			t.Error(n, err)
		}
	})
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAnAddonThatDoesNotAnswerIsToldInWords(t *testing.T) {
	hold := make(chan struct{})
	s := newSalon(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-hold
		case "/headers":
			w.Header().Set("X-Large", strings.Repeat("x", 1<<20))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half") // the test looks at what comes
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	defer close(hold)
	s.srv.AnswersWithin(50 * time.Millisecond)
	for _, c := range []struct {
		path   string
		down   error
		status int
		says   string
	}{
		{"/slow", nil, 502, "Radio &lt;1&gt; does not answer"},
		{"/headers", nil, 502, "does not answer"},
		{"/none", api.ErrAsleep, 503, "it does not run"},
		{"/none", errors.New("secret place"), 502, "does not answer"},
		{"/none", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, 502, "does not show its pages yet"},
	} {
		s.down = c.down
		if c.down != nil {
			s.srv.AnswersWithin(50 * time.Millisecond) // no connection of before
		}
		r := s.get(t, "GET", c.path, nil, "Accept: text/html")
		if got := text(t, r); r.StatusCode != c.status || !strings.Contains(got, c.says) || strings.Contains(got, "secret place") {
			t.Errorf("%s: got %d %s", c.path, r.StatusCode, got)
		}
		r = s.get(t, "GET", c.path, nil)
		if got := text(t, r); r.StatusCode != c.status || !strings.HasPrefix(got, `{"result":"error","message":"Radio`) {
			t.Errorf("%s for a program: got %d %s", c.path, r.StatusCode, got)
		}
	}
	s.down = nil
	r := s.get(t, "GET", "/cut", nil)
	if b, err := io.ReadAll(r.Body); err == nil {
		t.Errorf("an answer that broke off looks whole: %q", b)
	}
}

// TestWhatHomeAssistantSendsOn is seen as it came to Home Assistant.
func TestWhatHomeAssistantSendsOn(t *testing.T) {
	s := newSalon(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/next")
		w.WriteHeader(http.StatusFound)
		_ = r.Header.Write(w) // the test looks at what comes
	})
	bridge := s.srv.AddonHandler()
	var out struct{ Data api.IngressSession }
	if err := json.Unmarshal(send(bridge, "POST", "/ingress/session", hostToken, `{"user_id":"u1"}`).Body.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/ingress/"+pageToken+"/", nil)
	for name, v := range map[string]string{"Cookie": "ingress_session=" + out.Data.Session, "X-Ingress-Path": "/api/hassio_ingress/" + pageToken,
		"X-Forwarded-For": "10.0.0.9", "X-Forwarded-Host": "home.example", "X-Forwarded-Proto": "https", "X-Remote-User-Name": "root"} {
		req.Header.Set(name, v)
	}
	rec := httptest.NewRecorder()
	bridge.ServeHTTP(rec, req)
	if got, want := rec.Header().Get("Location"), "/api/hassio_ingress/"+pageToken+"/next"; got != want {
		t.Errorf("it leads to %q, want %q", got, want)
	}
	for _, want := range []string{"X-Forwarded-For: 10.0.0.9, 192.0.2.1", "X-Forwarded-Host: home.example", "X-Forwarded-Proto: https", "X-Remote-User-Id: u1",
		"X-Ingress-Path: /api/hassio_ingress/"} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("the add-on does not see %q:\n%s", want, rec.Body)
		}
	}
	if strings.Contains(rec.Body.String(), "root") {
		t.Errorf("a name was believed:\n%s", rec.Body)
	}
}

func TestABodyOfUnknownLengthIsMeasuredForWhoWantsThat(t *testing.T) {
	s := newSalon(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%d %v %d %v", r.ContentLength, r.TransferEncoding, len(b), err) // the test looks at what comes
	})
	for _, c := range []struct {
		whole bool
		size  int64
		want  string
	}{{false, 5000, "-1 [chunked] 5000 <nil>"}, {true, 5000, "5000 [] 5000 <nil>"}, {true, 16<<20 + 1, `{"result":"error","message":"what was sent is too long"`}} {
		s.whole = c.whole
		if got := text(t, s.get(t, "POST", "/", io.LimitReader(zero{}, c.size))); !strings.HasPrefix(got, c.want) {
			t.Errorf("%d bytes, measured %v: got %s", c.size, c.whole, got)
		}
	}
}

// TestASessionHasSoMuchOpenAndNoMore: who leaves makes room.
func TestASessionHasSoMuchOpenAndNoMore(t *testing.T) {
	came := make(chan struct{}, 100)
	s := newSalon(t, func(w http.ResponseWriter, r *http.Request) {
		if came <- struct{}{}; r.URL.Path == "/hold" {
			<-r.Context().Done()
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan struct{}, 64)
	for range 64 {
		go func() {
			defer func() { ended <- struct{}{} }()
			req, err := http.NewRequestWithContext(ctx, "GET", s.web.URL+"/ingress/"+pageToken+"/hold", nil)
			if err != nil {
				return
			}
			req.Header.Set("X-Test-Person", "alice")
			req.Header.Set("Cookie", "ingress_session="+s.session)
			if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
				_ = resp.Body.Close()
			}
		}()
	}
	for range 64 {
		<-came
	}
	if r := s.get(t, "GET", "/", nil); r.StatusCode != 429 {
		t.Errorf("the 65th: got %d", r.StatusCode)
	}
	leave()
	for range 64 {
		<-ended
	}
	eventually(t, "there is room again", func() bool { return s.get(t, "GET", "/", nil).StatusCode == 200 })
}
