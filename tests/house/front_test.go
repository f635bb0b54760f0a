package house

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/castellan/castellan/trust/trusttest"
)

// front stands before a server: requests go through until a fault answers in its place.
type front struct {
	URL, host string

	t      testing.TB
	mu     sync.Mutex
	honest http.Handler
	faults []faulty
	srv    *http.Server
	done   chan struct{}
}

type faulty struct {
	prefix string
	fault  trusttest.Fault
}

// newFront listens; nothing is behind it before [front.to].
func newFront(t testing.TB) *front {
	t.Helper()
	f := &front{t: t, host: "127.0.0.1:0", done: make(chan struct{}), honest: http.NotFoundHandler()}
	f.open()
	f.URL = "http://" + f.host
	t.Cleanup(func() {
		close(f.done)
		f.shut()
	})
	return f
}

// to says what is behind it.
func (f *front) to(target string) {
	f.t.Helper()
	u, err := url.Parse(target)
	must(f.t, err)
	f.serve(&httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(u); r.Out.Host = r.In.Host },
		ErrorLog: log.New(io.Discard, "", 0), // the client sees 502
	})
}

func (f *front) serve(h http.Handler) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.honest = h
}

// breaks makes paths with a prefix fail; the latest fault counts.
func (f *front) breaks(prefix string, fault trusttest.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faulty{prefix, fault})
}

func (f *front) heals() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// shut makes connections be refused, until open.
func (f *front) shut() { _ = f.srv.Close() } // twice is as good

// mend ends whatever is wrong.
func (f *front) mend() {
	f.heals()
	f.shut()
	f.open()
}

func (f *front) open() {
	f.t.Helper()
	l, err := net.Listen("tcp", f.host)
	must(f.t, err)
	f.host = l.Addr().String()
	f.srv = &http.Server{Handler: f, ErrorLog: log.New(io.Discard, "", 0)}
	go func(s *http.Server) { _ = s.Serve(l) }(f.srv) // ends with shut
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	honest, fault := f.honest, trusttest.Fault(nil)
	for _, x := range f.faults {
		if strings.HasPrefix(r.URL.Path, x.prefix) {
			fault = x.fault
		}
	}
	f.mu.Unlock()
	if fault == nil {
		honest.ServeHTTP(w, r)
		return
	}
	gone, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	go func() {
		defer close(gone)
		select {
		case <-r.Context().Done():
		case <-f.done:
		case <-over:
		}
	}()
	fault(w, r, honest, gone)
}
