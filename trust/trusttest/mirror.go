package trusttest

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
)

// Mirror serves a static tree as a web server would: ETags, conditional requests, ranges. Faults bend it.
type Mirror struct {
	URL string

	tb     testing.TB
	mu     sync.Mutex
	dir    string
	faults []faultyPath
	seen   []Request
	done   chan struct{}
}

// Request is what a mirror was asked and what it cost.
type Request struct {
	Path   string
	Header http.Header
	Status int
	Bytes  int // of request and response, headers and body, as HTTP/1.1 writes them; an estimate within a few bytes
}

type faultyPath struct {
	prefix string
	fault  Fault
}

// Fault answers in place of the tree; honest answers as the tree would. It must return once gone is closed: the client
// has left, or the mirror closes.
type Fault func(w http.ResponseWriter, r *http.Request, honest http.Handler, gone <-chan struct{})

// NewMirror serves the tree in dir until the test ends.
func NewMirror(tb testing.TB, dir string) *Mirror {
	tb.Helper()
	m := &Mirror{tb: tb, dir: dir, done: make(chan struct{})}
	server := httptest.NewServer(m)
	m.URL = server.URL
	tb.Cleanup(func() {
		close(m.done)
		server.CloseClientConnections()
		server.Close()
	})
	return m
}

// Serve changes the tree.
func (m *Mirror) Serve(dir string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dir = dir
}

// Break makes paths that start with prefix fail; the latest matching fault counts.
func (m *Mirror) Break(prefix string, f Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, faultyPath{prefix, f})
}

// Heal ends all faults.
func (m *Mirror) Heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = nil
}

// Requests lists what was asked since the last call.
func (m *Mirror) Requests() []Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := m.seen
	m.seen = nil
	return seen
}

// ServeHTTP makes a Mirror a handler.
func (m *Mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	dir, fault := m.dir, Fault(nil)
	for _, f := range m.faults {
		if strings.HasPrefix(r.URL.Path, f.prefix) {
			fault = f.fault
		}
	}
	m.mu.Unlock()
	counted := &countingWriter{ResponseWriter: w, status: http.StatusOK}
	honest := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, dir) })
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.seen = append(m.seen, Request{
			Path: r.URL.Path, Header: r.Header.Clone(), Status: counted.status,
			Bytes: len(r.Method) + len(r.URL.Path) + len(r.Host) + 20 + headerSize(r.Header) + 20 + headerSize(w.Header()) + 40 + counted.n,
		})
	}()
	if fault == nil {
		honest(counted, r)
		return
	}
	gone := make(chan struct{})
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(gone)
		select {
		case <-r.Context().Done():
		case <-m.done:
		case <-stop:
		}
	}()
	fault(counted, r, honest, gone)
}

func serveFile(w http.ResponseWriter, r *http.Request, dir string) {
	name := filepath.Join(dir, filepath.FromSlash(filepath.Clean("/"+r.URL.Path)))
	b, err := os.ReadFile(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"`+trust.DigestOf(b).Short()+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(b)))
}

func headerSize(h http.Header) (n int) {
	for k, values := range h {
		for _, v := range values {
			n += len(k) + len(v) + 4
		}
	}
	return n
}

type countingWriter struct {
	http.ResponseWriter
	status, n int
}

func (c *countingWriter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n += n
	return n, err
}

// Unwrap lets http.ResponseController reach the real writer.
func (c *countingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Silent is the address of a host that accepts connections and never says anything.
func Silent(tb testing.TB) (url string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var mu sync.Mutex
	var all []net.Conn
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, c)
			mu.Unlock()
		}
	}()
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range all {
			_ = c.Close()
		}
	})
	return fmt.Sprintf("http://%s", l.Addr())
}

// Nowhere is the address of a host that refuses connections.
func Nowhere(tb testing.TB) (url string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprintf("http://%s", l.Addr())
}
