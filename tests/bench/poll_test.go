//go:build bench

package bench

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

const channelFile = `{"channel":"stable","supervisor":"2026.11.0",
"homeassistant":{"default":"2026.8.3","generic-x86-64":"2026.8.3","generic-aarch64":"2026.8.3"},
"hassos":{"ova":"18.2"},"ota":"https://os.example/{version}/{os_name}_{board}-{version}.raucb",
"cli":"2026.11.0","dns":"2026.11.0","audio":"2026.11.0","multicast":"2026.11.0","observer":"2026.11.0",
"images":{"core":"registry.example/core","supervisor":"registry.example/{arch}-supervisor","cli":"registry.example/{arch}-cli",
"dns":"registry.example/{arch}-dns","audio":"registry.example/{arch}-audio","multicast":"registry.example/{arch}-multicast",
"observer":"registry.example/{arch}-observer"}}`

// BenchmarkNoChangePoll is what `castellan check` costs when nothing has changed: requests, those of them that were not
// conditional, and bytes in both directions, headers and all, of the busiest of two ledger mirrors and a channel that no
// record of the ledger names (with such a record there is no request at all). Measured on plain connections, in order
// that every byte can be seen.
func BenchmarkNoChangePoll(b *testing.B) {
	var ends []*wire
	h := newHouse(b, func(ledger string) []string {
		to, err := url.Parse(ledger)
		if err != nil {
			b.Fatal(err)
		}
		for range 2 {
			ends = append(ends, newWire(b, httputil.NewSingleHostReverseProxy(to)))
		}
		return []string{ends[0].URL, ends[1].URL}
	})
	ends = append(ends, newWire(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, channelFile) // a client that leaves is no concern of ours
	})))
	h.image("1.0")
	app := service{"app", "1.0", "network: bridge"}
	h.configure(ends[2].URL+"/stable.json", app)
	h.run(app)
	h.castellan("check")
	if ends[2].requests.Load() == 0 || ends[0].requests.Load()+ends[1].requests.Load() == 0 {
		b.Fatal("the daemon asked neither channel nor ledger")
	}
	var requests, unconditional, bytes int64
	polls := 0
	for b.Loop() {
		for _, w := range ends {
			w.reset()
		}
		h.castellan("check")
		polls++
		for _, w := range ends {
			requests = max(requests, w.requests.Load())
			unconditional = max(unconditional, w.unconditional.Load())
			bytes = max(bytes, w.bytes.Load())
			w.report(b)
		}
	}
	b.ReportMetric(float64(requests), "requests/mirror")
	b.ReportMetric(float64(unconditional), "unconditional")
	b.ReportMetric(float64(bytes), "bytes/mirror")
}

// wire is a server that counts what passes its connections.
type wire struct {
	*httptest.Server
	requests, unconditional, bytes atomic.Int64

	mu   sync.Mutex
	said []string
}

func newWire(b *testing.B, to http.Handler) *wire {
	w := &wire{}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.requests.Add(1)
		if r.Header.Get("If-None-Match") == "" {
			w.unconditional.Add(1)
		}
		w.mu.Lock()
		w.said = append(w.said, r.Method+" "+r.URL.Path)
		w.mu.Unlock()
		to.ServeHTTP(rw, r)
	}))
	w.Listener = countingListener{w.Listener, &w.bytes}
	w.Start()
	b.Cleanup(w.Close)
	return w
}

func (w *wire) reset() {
	w.requests.Store(0)
	w.unconditional.Store(0)
	w.bytes.Store(0)
	w.mu.Lock()
	w.said = nil
	w.mu.Unlock()
}

func (w *wire) report(b *testing.B) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b.Logf("%v: %d bytes", w.said, w.bytes.Load())
}

type countingListener struct {
	net.Listener
	bytes *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, l.bytes}, err
}

type countingConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}
