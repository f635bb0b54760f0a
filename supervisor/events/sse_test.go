package events

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// paper is a response writer that keeps all that was flushed, and when.
type paper struct {
	mu      sync.Mutex
	head    http.Header
	buf     bytes.Buffer
	flushed []string
	began   time.Time
	broken  error
}

func newPaper() *paper { return &paper{head: http.Header{}, began: time.Now()} }

func (p *paper) Header() http.Header { return p.head }
func (p *paper) WriteHeader(int)     {}
func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return 0, p.broken
	}
	return p.buf.Write(b)
}

func (p *paper) FlushError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.buf.Len() > 0 {
		p.flushed = append(p.flushed, fmt.Sprintf("%v %s", time.Since(p.began), strings.ReplaceAll(p.buf.String(), "\n", "|")))
	}
	p.buf.Reset()
	return nil
}

func (p *paper) break_(err error) { p.mu.Lock(); p.broken = err; p.mu.Unlock() }

// plain is a response writer that holds everything back.
type plain struct{ http.ResponseWriter }

// on serves a stream on paper in a bubble while do goes on, and gives what was sent and why it ended.
func on(t *testing.T, st Stream, last string, do func(h *Hub, p *paper, stop, leave context.CancelFunc)) (sent []string, why error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		h := New(ctx, Config{Pending: 8})
		h.epoch = "0123456789abcdef"
		publish(t, h, About{Log, "", ""}, "before")
		client, leave := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(client, http.MethodGet, "/events", nil)
		if last != "" {
			r.Header.Set("Last-Event-ID", last)
		}
		p := newPaper()
		var began bool
		ended := make(chan struct{})
		go func() { began, why = h.ServeSSE(p, r, st); close(ended) }()
		synctest.Wait()
		do(h, p, stop, leave)
		leave()
		<-ended
		if !began || h.Streams() != 0 {
			t.Errorf("began %v, %d streams are open", began, h.Streams())
		}
		sent = p.flushed
	})
	return sent, why
}

func TestAStream(t *testing.T) {
	const hello, e = "0s retry: 3000||id: 0123456789abcdef-1||", "0123456789abcdef"
	html := Stream{Render: func(m *Message) (string, []byte, bool) {
		return "job-" + m.Key + "\nid: 7", []byte("<p>\r\n" + string(m.Data) + "\n</p>"), m.Topic == Job
	}}
	for _, c := range []struct {
		name string
		st   Stream
		last string
		do   func(t *testing.T, h *Hub, p *paper, stop context.CancelFunc)
		sent []string
		why  error
	}{
		{"events as they come", Stream{}, "", func(t *testing.T, h *Hub, _ *paper, _ context.CancelFunc) {
			time.Sleep(time.Second)
			publish(t, h, About{Job, "1", ""}, map[string]string{"a": "x\n\r\u2028y"})
			synctest.Wait()
			publish(t, h, About{Log, "", ""}, 2)
			synctest.Wait()
		}, []string{hello, `1s id: ` + e + `-2|event: job|data: {"a":"x\n\r\u2028y"}||`, `1s id: ` + e + `-3|event: log|data: 2||`}, context.Canceled},
		{"signs of life", Stream{Want: Want{Topics: []Topic{Plan}}}, "", func(t *testing.T, h *Hub, _ *paper, _ context.CancelFunc) {
			time.Sleep(10 * time.Second)
			publish(t, h, About{Log, "", ""}, "not for this one")
			time.Sleep(10 * time.Second)
			publish(t, h, About{Plan, "", ""}, "p")
			time.Sleep(55 * time.Second)
		}, []string{hello, `20s id: ` + e + `-3|event: plan|data: "p"||`, "45s : |id: " + e + "-3||", "1m10s : |id: " + e + "-3||"}, context.Canceled},
		{"what was missed", Stream{}, e + "-0", func(*testing.T, *Hub, *paper, context.CancelFunc) {},
			[]string{"0s retry: 3000||", `0s id: ` + e + `-1|event: log|data: "before"||`}, context.Canceled},
		{"another run of the daemon", Stream{}, "0000000000000000-5", func(t *testing.T, h *Hub, _ *paper, _ context.CancelFunc) {
			publish(t, h, About{Log, "", ""}, 2)
			synctest.Wait()
		},
			[]string{"0s retry: 3000||", "0s id: " + e + `-1|event: reset|data: {"reason":"the daemon was restarted"}||`, `0s id: ` + e + `-2|event: log|data: 2||`}, context.Canceled},
		{"rendered", html, "junk", func(t *testing.T, h *Hub, _ *paper, _ context.CancelFunc) {
			publish(t, h, About{Job, "1", ""}, "x")
			synctest.Wait()
			publish(t, h, About{Log, "", ""}, "x")
			synctest.Wait()
		}, []string{"0s retry: 3000||", "0s id: " + e + `-1|event: reset|data: {"reason":"the last event is none of this daemon's"}||`,
			`0s id: ` + e + `-2|event: job-1id: 7|data: <p>|data: "x"|data: </p>||`, "0s id: " + e + "-3||"}, context.Canceled},
		{"the daemon stops", Stream{}, "", func(_ *testing.T, _ *Hub, _ *paper, stop context.CancelFunc) { stop(); synctest.Wait() }, []string{hello}, ErrClosed},
		{"a client that is gone", Stream{}, "", func(t *testing.T, h *Hub, p *paper, _ context.CancelFunc) {
			p.break_(io.ErrClosedPipe)
			time.Sleep(time.Minute)
		}, []string{hello}, io.ErrClosedPipe},
		{"one that may no longer", Stream{Want: Want{Caller: "radio"}}, "", func(_ *testing.T, h *Hub, _ *paper, _ context.CancelFunc) {
			h.Evict("radio", "it was uninstalled")
			synctest.Wait()
		}, []string{hello, `0s event: dropped|data: {"reason":"access ended: it was uninstalled"}||`}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent, why := on(t, c.st, c.last, func(h *Hub, p *paper, stop, _ context.CancelFunc) { c.do(t, h, p, stop) })
			if !slices.Equal(sent, c.sent) || c.why != nil && !errors.Is(why, c.why) || why == nil {
				t.Errorf("sent\n%s\nwant\n%s\n%v, want %v", strings.Join(sent, "\n"), strings.Join(c.sent, "\n"), why, c.why)
			}
		})
	}
}

func TestAStreamThatDoesNotBegin(t *testing.T) {
	h := New(t.Context(), Config{StreamsEach: 1})
	s := subscribe(t, h, Want{Caller: "radio"}, "")
	r := httptest.NewRequest(http.MethodGet, "/events", nil)
	for _, c := range []struct {
		w    http.ResponseWriter
		want error
	}{{newPaper(), ErrTooMany}, {plain{httptest.NewRecorder()}, http.ErrNotSupported}} {
		if began, err := h.ServeSSE(c.w, r, Stream{Want: Want{Caller: "radio"}}); began || !errors.Is(err, c.want) {
			t.Errorf("began %v, %v, want %v", began, err, c.want)
		}
		s.Close()
	}
}

// server is a real one of a hub's stream, with deadlines as the daemon's have, not started yet.
func server(t testing.TB, h *Hub, limit time.Duration, ended func(error)) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := h.ServeSSE(w, r, Stream{Want: Want{Caller: r.URL.Query().Get("caller")}})
		ended(err)
	}))
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = limit, limit
	t.Cleanup(srv.Close)
	return srv
}

func serve(t testing.TB, h *Hub, ended func(error)) *httptest.Server {
	t.Helper()
	srv := server(t, h, 30*time.Second, ended)
	srv.Start()
	return srv
}

// dial opens a stream without any of a client's comforts.
func dial(t testing.TB, srv *httptest.Server, caller string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := fmt.Fprintf(c, "GET /events?caller=%s HTTP/1.1\r\nHost: x\r\n\r\n", caller); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReaderSize(c, 4<<10)
	expect(t, c, in, "retry: 3000")
	return c, in
}

// expect reads lines until one holds text.
func expect(t testing.TB, c net.Conn, in *bufio.Reader, text string) (before string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("cannot read %q, only %q: %v", text, before, err)
		}
		if strings.Contains(line, text) {
			return before
		}
		before += line
	}
}

func TestAStreamOutlivesAllDeadlines(t *testing.T) {
	const limit = 500 * time.Millisecond
	for proto, start := range map[string]func(*httptest.Server){
		"HTTP/1.1": (*httptest.Server).Start,
		"HTTP/2.0": func(srv *httptest.Server) { srv.EnableHTTP2 = true; srv.StartTLS() },
	} {
		t.Run(proto, func(t *testing.T) {
			h := New(t.Context(), Config{Heartbeat: limit + limit/4, Stuck: limit})
			srv := server(t, h, limit, func(error) {})
			start(srv)
			resp, err := srv.Client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			if got := strings.Join([]string{resp.Proto, resp.Header.Get("Content-Type"), resp.Header.Get("X-Accel-Buffering"), resp.Header.Get("Cache-Control")}, " "); got != proto+" text/event-stream no no-store" {
				t.Errorf("it is %s", got)
			}
			in, beats := bufio.NewScanner(resp.Body), 0
			for beats < 2 && in.Scan() { // each of them is later than the deadlines
				if in.Text() == ": " {
					beats++
				}
			}
			if beats < 2 {
				t.Errorf("it ended after %d signs of life: %v", beats, in.Err())
			}
		})
	}
}

func TestAClientThatReadsNothingHoldsUpNobody(t *testing.T) {
	h := New(t.Context(), Config{Stuck: 300 * time.Millisecond})
	ended := make(chan error, 2)
	srv := serve(t, h, func(err error) { ended <- err })
	dial(t, srv, "slow")
	c, in := dial(t, srv, "quick")
	data := strings.Repeat("x", 50_000)
	for i := 0; ; i++ {
		began := time.Now()
		publish(t, h, About{Log, "", ""}, data)
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Fatalf("event %d took its publisher %v", i, took)
		}
		expect(t, c, in, "event: log")
		select {
		case err := <-ended:
			if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, ErrSlow) {
				t.Errorf("it ended: %v", err)
			}
			if h.Streams() != 1 {
				t.Errorf("%d streams are open", h.Streams())
			}
			return
		default:
		}
		if i > 10_000 {
			t.Fatal("the slow one was never dropped")
		}
	}
}
