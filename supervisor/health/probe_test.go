package health

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
)

func TestProbe(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Who") != "us" || r.Host != "core" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	mux.HandleFunc("/sick", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/far", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
	})
	secure := httptest.NewTLSServer(mux)
	defer secure.Close()
	mux.HandleFunc("/secure", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, secure.URL+"/endless", http.StatusMovedPermanently)
	})
	plain := httptest.NewServer(mux)
	defer plain.Close()
	port := func(s *httptest.Server) string { return ":" + s.URL[strings.LastIndex(s.URL, ":")+1:] }

	for _, c := range []struct{ url, want string }{
		{"http://" + port(plain) + "/ok", ""},
		{"https://" + port(secure) + "/ok", ""},
		{"http://" + port(plain) + "/secure", ""},
		{"http://" + port(plain) + "/far", ""},
		{"http://" + port(plain) + "/endless", ""},
		{"http://" + port(plain) + "/sick", "non-2xx status 502"},
		{"http://" + port(plain) + "/missing", "non-2xx status 404"},
		{"http://" + port(plain) + "/round", "more than 5 redirects"},
		{"http://" + port(plain) + "/hang", "no answer in time"},
		{"https://" + port(plain) + "/ok", "http: server gave HTTP response to HTTPS client"},
		{"file:///etc/passwd", "cannot use URL"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		err := Probe(ctx, Target{}, spec.Check{HTTP: &spec.HTTPCheck{
			URL: c.url, Contains: "is not looked for", Headers: map[string]string{"X-Who": "us", "host": "core"}}})
		cancel()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.url, err, c.want)
		}
	}

	u, err := url.Parse(plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	tcp := spec.Check{TCP: &spec.TCPCheck{Address: ":" + u.Port()}}
	if err := Probe(t.Context(), Target{IP: "127.0.0.1"}, tcp); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, closed, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	if err := Probe(t.Context(), Target{IP: "127.0.0.1"}, spec.Check{TCP: &spec.TCPCheck{Address: ":" + closed}}); err == nil {
		t.Error("nobody listens")
	}
	for _, c := range []spec.Check{{}, {Engine: true}, {Exec: &spec.ExecCheck{Command: []string{"x"}}}} {
		if err := Probe(t.Context(), Target{}, c); err != nil || Probeable(c) || !Probeable(tcp) {
			t.Errorf("%+v was asked: %v", c, err)
		}
	}
}
