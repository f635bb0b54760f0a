package updater

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/castellan/castellan/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memStore is a store that can fail.
type memStore struct {
	mu    sync.Mutex
	data  []byte
	saves int
	fail  error
}

func (s *memStore) Load() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data, s.fail
}

func (s *memStore) Save(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.data = append([]byte{}, b...)
	s.saves++
	return nil
}

// ledger is a ChannelRecords with one record and a file tree.
type ledger struct {
	digest trust.Digest
	err    error
	files  map[trust.Digest][]byte
}

func (l *ledger) Current(string) (trust.Digest, bool, error) { return l.digest, l.digest != "", l.err }

func (l *ledger) Fetch(_ context.Context, d trust.Digest) ([]byte, error) {
	if b, ok := l.files[d]; ok {
		return b, nil
	}
	return nil, errors.New("no mirror has it")
}

// mirror serves one file with an ETag and counts requests and bytes.
type mirror struct {
	*httptest.Server
	file     atomic.Pointer[[]byte]
	requests atomic.Int64
	full     atomic.Int64 // answers with a body
	handler  atomic.Pointer[http.HandlerFunc]
}

func newMirror(t *testing.T, file []byte) *mirror {
	m := &mirror{}
	m.file.Store(&file)
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.requests.Add(1)
		if h := m.handler.Load(); h != nil {
			(*h)(w, r)
			return
		}
		b := *m.file.Load()
		tag := `"` + trust.DigestOf(b).Short() + `"`
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		m.full.Add(1)
		w.Write(b)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *mirror) serve(b []byte)               { m.file.Store(&b) }
func (m *mirror) misbehave(h http.HandlerFunc) { m.handler.Store(&h) }

func newTestPoller(t *testing.T, s Store, l ChannelRecords, urls ...string) *Poller {
	t.Helper()
	p, err := NewPoller(PollerConfig{Channel: pi4, URLs: urls, Records: l, Store: s, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func edition(core string) []byte {
	return []byte(strings.ReplaceAll(stable, `"raspberrypi4-64": "2026.8.3"`, `"raspberrypi4-64": "`+core+`"`))
}

// poll polls once and returns "version verified|unverified" and the error.
func poll(t *testing.T, p *Poller) (string, error) {
	t.Helper()
	rel, err := p.Poll(t.Context())
	if rel == nil {
		return "", err
	}
	state := " unverified"
	if rel.Verified {
		state = " verified"
	}
	return rel.Targets["core"].Version + state, err
}

func TestNoChangeIsOneConditionalRequest(t *testing.T) {
	m := newMirror(t, edition("2026.8.3"))
	p := newTestPoller(t, &memStore{}, nil, m.URL)
	if got, err := poll(t, p); got != "2026.8.3 unverified" || err != nil {
		t.Fatal(got, err)
	}
	for range 3 {
		if got, err := poll(t, p); got != "2026.8.3 unverified" || err != nil {
			t.Fatal(got, err)
		}
	}
	if m.requests.Load() != 4 || m.full.Load() != 1 {
		t.Errorf("%d requests, %d with a body; want 4 and 1", m.requests.Load(), m.full.Load())
	}
}

// countingConn counts what goes over the wire, headers included.
type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

func (c countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.n.Add(int64(n))
	return n, err
}

func countedClient(n *atomic.Int64) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return countingConn{c, n}, err
	}}}
}

func TestNoChangeCostsAtMostTwoKilobytes(t *testing.T) {
	var wire atomic.Int64
	m := newMirror(t, edition("2026.8.3"))
	p := newTestPoller(t, &memStore{}, nil, m.URL+"/stable.json")
	p.cfg.Client = countedClient(&wire)
	if _, err := poll(t, p); err != nil {
		t.Fatal(err)
	}
	first := wire.Swap(0)
	if _, err := poll(t, p); err != nil {
		t.Fatal(err)
	}
	if n := wire.Load(); n == 0 || n > 2048 || m.requests.Load() != 2 {
		t.Errorf("a poll without change took %d bytes and %d requests", n, m.requests.Load()-1)
	}
	t.Logf("first poll %d bytes, without change %d", first, wire.Load())
}

func TestNoRequestWhenTheRecordNamesWhatIsHere(t *testing.T) {
	file := edition("2026.8.3")
	m := newMirror(t, file)
	p := newTestPoller(t, &memStore{}, &ledger{digest: trust.DigestOf(file)}, m.URL)
	for range 3 {
		if got, err := poll(t, p); got != "2026.8.3 verified" || err != nil {
			t.Fatal(got, err)
		}
	}
	if m.requests.Load() != 1 {
		t.Errorf("%d requests", m.requests.Load())
	}
}

func TestRecordDecidesWhatTheChannelIs(t *testing.T) {
	older, newer := edition("2026.8.3"), edition("2026.9.0")
	lagging, good := newMirror(t, older), newMirror(t, older)
	l := &ledger{digest: trust.DigestOf(older)}
	p := newTestPoller(t, &memStore{}, l, lagging.URL, good.URL)
	if got, err := poll(t, p); got != "2026.8.3 verified" || err != nil {
		t.Fatal(got, err)
	}

	// The record moves on, no mirror has the file yet: what was known stays, and says that it is not the newest.
	l.digest = trust.DigestOf(newer)
	got, err := poll(t, p)
	if got != "2026.8.3 unverified" || !errors.Is(err, ErrDeferred) || errors.Is(err, ErrChannel) {
		t.Fatal(got, err)
	}
	if n := lagging.full.Load(); n != 1 {
		t.Errorf("a lagging mirror sent its old file %d times", n)
	}

	// One mirror catches up; the other lags on and does not matter.
	good.serve(newer)
	if got, err = poll(t, p); got != "2026.9.0 verified" || err != nil {
		t.Fatal(got, err)
	}

	// The publisher goes back: the record decides, not what is newest on some mirror.
	l.digest = trust.DigestOf(older)
	if got, err = poll(t, p); got != "2026.8.3 verified" || err != nil {
		t.Fatal(got, err)
	}
}

func TestUnrecordedFileIsNeverTakenForTheChannel(t *testing.T) {
	real, forged := edition("2026.8.3"), edition("2026.9.9")
	m := newMirror(t, forged)
	s := &memStore{}
	l := &ledger{digest: trust.DigestOf(real)}
	p := newTestPoller(t, s, l, m.URL)
	if got, err := poll(t, p); got != "" || !errors.Is(err, ErrDeferred) {
		t.Fatal(got, err)
	}
	// The same by its digest, from wherever, is the channel.
	l.files = map[trust.Digest][]byte{l.digest: real}
	if got, err := poll(t, p); got != "2026.8.3 verified" || err != nil {
		t.Fatal(got, err)
	}
	// And a tree that sends something else under that digest is not believed.
	next := edition("2026.8.4")
	l.digest = trust.DigestOf(next)
	l.files = map[trust.Digest][]byte{l.digest: forged}
	if got, err := poll(t, p); got != "2026.8.3 unverified" || !errors.Is(err, ErrDeferred) {
		t.Fatal(got, err)
	}
}

func TestLastReleaseSurvivesRestartWithoutNetwork(t *testing.T) {
	file := edition("2026.8.3")
	m := newMirror(t, file)
	s := &memStore{}
	l := &ledger{digest: trust.DigestOf(file)}
	if _, err := poll(t, newTestPoller(t, s, l, m.URL)); err != nil {
		t.Fatal(err)
	}
	m.Close()
	p := newTestPoller(t, s, l, m.URL)
	if rel := p.Last(); rel == nil || rel.Targets["core"].Version != "2026.8.3" || !rel.Verified || rel.Fetched.IsZero() {
		t.Fatalf("%+v", rel)
	}
	l.digest = trust.DigestOf([]byte("newer"))
	if got, err := poll(t, p); got != "2026.8.3 unverified" || !errors.Is(err, ErrDeferred) {
		t.Fatal(got, err)
	}
	// Without a ledger the validator survives as well.
	m2, s2 := newMirror(t, file), &memStore{}
	for range 2 {
		if _, err := poll(t, newTestPoller(t, s2, nil, m2.URL)); err != nil {
			t.Fatal(err)
		}
	}
	if m2.full.Load() != 1 {
		t.Errorf("%d downloads", m2.full.Load())
	}
}

func TestDamagedMemoryCostsOneDownload(t *testing.T) {
	file := edition("2026.8.3")
	for name, data := range map[string]string{
		"rubbish": "\x00\xff", "html": "<html>", "other format": `{"format":9,"file":"","fetched":"2026-01-01T00:00:00Z","validators":{}}`,
		"file of another channel": `{"format":1,"file":"e30=","fetched":"2026-01-01T00:00:00Z","validators":{}}`,
		"no validators":           `{"format":1,"file":"","fetched":"2026-01-01T00:00:00Z"}`,
	} {
		t.Run(name, func(t *testing.T) {
			m := newMirror(t, file)
			p := newTestPoller(t, &memStore{data: []byte(data)}, nil, m.URL)
			if p.Last() != nil {
				t.Fatal("a release came out of it")
			}
			if got, err := poll(t, p); got != "2026.8.3 unverified" || err != nil {
				t.Fatal(got, err)
			}
		})
	}
}

func TestFailingDiskDoesNotStopPolling(t *testing.T) {
	m := newMirror(t, edition("2026.8.3"))
	p := newTestPoller(t, &memStore{fail: errors.New("input/output error")}, nil, m.URL)
	if got, err := poll(t, p); got != "2026.8.3 unverified" || err != nil {
		t.Fatal(got, err)
	}
	p = newTestPoller(t, &memStore{}, &ledger{err: errors.New("input/output error")}, m.URL)
	if got, err := poll(t, p); got != "" || !errors.Is(err, ErrDeferred) {
		t.Fatal(got, err)
	}
}

func TestMisbehavingServersAreDeferredOrRefusedAndNothingIsLost(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	stop := make(chan struct{})
	defer close(stop)
	for name, h := range map[string]http.HandlerFunc{
		"500": status(500), "404": status(404), "204": status(204), "304 to everything": status(304),
		"captive portal": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>sign in</html>") },
		"empty":          func(http.ResponseWriter, *http.Request) {},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for b := []byte(strings.Repeat(" ", 1<<16)); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		},
		"announces too much": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "99999999999") },
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3000")
			io.WriteString(w, stable[:500])
		},
		"stalls in the header": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-stop:
			}
		},
		"stalls in the body": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, stable[:100])
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-stop:
			}
		},
		"redirects for ever": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) },
		"redirects nowhere":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "ftp://x/", http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMirror(t, edition("2026.8.3"))
			s := &memStore{}
			p, err := NewPoller(PollerConfig{Channel: pi4, URLs: []string{m.URL}, Store: s, Timeout: 300 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := poll(t, p); err != nil {
				t.Fatal(err)
			}
			m.misbehave(h)
			if name == "304 to everything" {
				p.mem.Validators = map[string]validator{}
			}
			got, err := poll(t, p)
			if got != "2026.8.3 unverified" || !(errors.Is(err, ErrDeferred) || errors.Is(err, ErrChannel)) {
				t.Fatal(got, err)
			}
			// A good mirror behind the bad one is found.
			good := newMirror(t, edition("2026.8.4"))
			p.cfg.URLs = append(p.cfg.URLs, good.URL)
			if got, err := poll(t, p); got != "2026.8.4 unverified" || err != nil {
				t.Fatal(got, err)
			}
		})
	}
}

func TestSecretsInURLsStayOutOfErrors(t *testing.T) {
	p := newTestPoller(t, &memStore{}, nil, "http://user:hunter2@127.0.0.1:1/stable.json?token=hunter2")
	if _, err := poll(t, p); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatal(err)
	}
	for _, u := range []string{"stable.json", "file:///etc/passwd", "://hunter2", "http://"} {
		_, err := NewPoller(PollerConfig{Channel: pi4, URLs: []string{u}, Store: &memStore{}})
		if err == nil {
			t.Errorf("%q accepted", u)
		}
	}
}

// roundTrip is a server inside a synctest bubble.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestScheduleSpreadsPollsAndBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards at and down
		var at []time.Duration
		down := true
		start := time.Now()
		client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(start))
			if down {
				return nil, errors.New("no route to host")
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(stable)), Header: http.Header{}, ContentLength: -1}, nil
		})}
		p, err := NewPoller(PollerConfig{Channel: pi4, URLs: []string{"http://x/"}, Store: &memStore{}, Client: client, Seed: "home-1"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int64
		done := make(chan error)
		go func() {
			done <- p.Run(ctx, 24*time.Hour, func(err error) {
				if err == nil {
					calls.Add(1)
				}
			})
		}()

		time.Sleep(24 * time.Hour)
		synctest.Wait()
		mu.Lock()
		if at[0] != 0 || calls.Load() != 0 { // it knows no release yet
			t.Errorf("first poll after %s, %d calls", at[0], calls.Load())
		}
		if n := len(at); n < 8 || n > 16 {
			t.Errorf("%d polls of a dead server in a day: %v", n, at)
		}
		down = false
		mu.Unlock()
		time.Sleep(30 * 24 * time.Hour)
		synctest.Wait()
		mu.Lock()
		healthy := at[len(at)-int(calls.Load()):]
		mu.Unlock()
		if n := calls.Load(); n < 28 || n > 33 {
			t.Errorf("%d polls in 30 days", n)
		}
		for i := 2; i < len(healthy); i++ {
			if d := healthy[i] - healthy[i-1]; d < 21*time.Hour || d > 27*time.Hour {
				t.Errorf("wait %d is %s", i, d)
			}
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}

		// After a restart the release is known, and the appliance waits for its place.
		mu.Lock()
		before := len(at)
		mu.Unlock()
		ctx, cancel = context.WithCancel(t.Context())
		go func() { done <- p.Run(ctx, 24*time.Hour, func(error) {}) }()
		synctest.Wait()
		mu.Lock()
		if len(at) != before {
			t.Error("it polled at once after a restart")
		}
		mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		if len(at) != before+1 {
			t.Errorf("%d polls in the first minute after a restart, want 1", len(at)-before)
		}
		mu.Unlock()
		cancel()
		<-done
	})
}

func TestFleetThatBootsTogetherDoesNotPollTogether(t *testing.T) {
	hours := make([]int, 24)
	for i := range 4800 {
		hours[int(Place("poll", fmt.Sprint("home-", i))*24)]++
	}
	for h, n := range hours {
		if n > 400 {
			t.Errorf("hour %d has %d polls, twice the mean is 400", h, n)
		}
	}
	if Place("poll", "a") != Place("poll", "a") {
		t.Error("the place is not always the same")
	}
}

func BenchmarkNoChangePoll(b *testing.B) {
	var wire atomic.Int64
	file := edition("2026.8.3")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Write(file)
	}))
	defer srv.Close()
	p, err := NewPoller(PollerConfig{Channel: pi4, URLs: []string{srv.URL}, Store: &memStore{}, Client: countedClient(&wire)})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := p.Poll(b.Context()); err != nil {
		b.Fatal(err)
	}
	wire.Store(0)
	for b.Loop() {
		if _, err := p.Poll(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(wire.Load())/float64(b.N), "wire-B/op")
}
