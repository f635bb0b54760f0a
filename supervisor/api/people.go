package api

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Network is a listener for people and programs on the network of the house, as they see it.
type Network struct {
	// Hosts are names under which they may call, besides the host's own, that with .local, localhost, and addresses. A call
	// for another name comes from a page that gave its own name our address, and is refused.
	Hosts []string
	// Certificate makes it TLS; nil = in the clear.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Pages answers for the paths that Page tells are its own, in front of the API, which it asks in its visitors' names;
	// nil = there are none.
	Pages func(api http.Handler) http.Handler
	Page  func(path string) bool
	// Patience is how long a caller may take to say what he wants; a body may take three times that. 0 = 10 s.
	Patience time.Duration
	// UI is the port of the listener where people log in: pages from there, and from nowhere else, may show those of add-ons in
	// a frame. For [Server.ServeIngress] alone.
	UI uint16
}

// Limits on people: the network of the house must not take the daemon's memory and files.
const (
	peoplePerAddr = 64              // connections of one place
	peopleConns   = 256             // in all
	peopleStreams = 128             // of these, that follow something
	personStreams = 16              // of one person, whatever he logs in with
	peopleWithin  = 5 * time.Minute // for a call that does not last
	patience      = 10 * time.Second
)

// ServePeople answers on l, a listener on the network of the house, as [Server.Serve] does. Callers are those whom
// [Config].People lets in, by the cookie of a session or by an API token.
func (s *Server) ServePeople(ctx context.Context, l net.Listener, n Network) error {
	return s.serveNetwork(ctx, l, n, s.PeopleHandler(n))
}

// ServeNotice answers on l with the bounds of [Server.ServePeople], and with h alone: what people are told while there is no
// API for them. h must be safe to show to everybody.
func ServeNotice(ctx context.Context, l net.Listener, n Network, h http.Handler) error {
	s := &Server{cfg: Config{Log: slog.New(slog.DiscardHandler)}}
	return s.serveNetwork(ctx, l, n, h)
}

// serveNetwork is [Server.ServePeople] with another handler.
func (s *Server) serveNetwork(ctx context.Context, l net.Listener, n Network, h http.Handler) error {
	wait := n.Patience
	if wait == 0 {
		wait = patience
	}
	srv := s.http(h)
	srv.ReadHeaderTimeout, srv.ReadTimeout, srv.IdleTimeout = wait, 3*wait, 12*wait
	srv.WriteTimeout = peopleWithin + takeWithin
	l = limitBy(l, netip.Prefix{}, peopleConns, peoplePerAddr)
	if n.Certificate != nil {
		l = tls.NewListener(l, &tls.Config{GetCertificate: n.Certificate, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	return serveUntil(ctx, srv, l)
}

// PeopleHandler is the API for people on the network, without a listener.
func (s *Server) PeopleHandler(n Network) http.Handler {
	if s.cfg.People == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, noPeople()) })
	}
	names := n.names()
	enter := func(h http.Header, r *http.Request) error {
		secure(h)
		return sameSite(r, names)
	}
	table := s.handler(door{
		who: func(r *http.Request) Caller { return s.visitor(r, n.Certificate != nil) }, within: peopleWithin, people: true, enter: enter,
	})
	if n.Pages == nil {
		return table
	}
	pages := n.Pages(table)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !n.Page(r.URL.Path) {
			table.ServeHTTP(w, r)
			return
		}
		if err := enter(w.Header(), r); err != nil {
			s.fail(w, r, err)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

// names are all that a listener answers to, beside addresses.
func (n Network) names() []string {
	names := append([]string{"localhost"}, n.Hosts...)
	if name, err := os.Hostname(); err == nil { // without one there are addresses, and n.Hosts
		short, _, _ := strings.Cut(name, ".")
		names = append(names, name, short, short+".local")
	}
	for i := range names {
		names[i] = strings.ToLower(strings.TrimSuffix(names[i], "."))
	}
	return names
}

// secure keeps browsers from taking an answer for a page, showing it in another's, or keeping it. There is no
// Strict-Transport-Security: it would count for all ports of the name, and Home Assistant may answer in the clear on one.
func secure(h http.Header) {
	for name, v := range map[string]string{
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cache-Control":                "no-store",
	} {
		h.Set(name, v)
	}
}

// sameSite refuses calls for a name that is not ours, and those a page of another site makes.
func sameSite(r *http.Request, names []string) error {
	if name := hostOf(r.Host); !slices.Contains(names, name) && !isAddress(name) {
		return &Error{Status: http.StatusForbidden, Key: "host_not_allowed", Message: "cannot answer: the appliance is not called " + strconv.Quote(r.Host[:min(len(r.Host), 80)]),
			Next: "call it by its address, or add the name to api.hosts of the configuration"}
	}
	foreign := &Error{Status: http.StatusForbidden, Key: "origin_not_allowed", Message: "cannot answer: a page of another site asks", Next: "open the appliance's own page"}
	if origin := r.Header.Values("Origin"); len(origin) > 0 {
		u, err := url.Parse(origin[0])
		if err != nil || len(origin) > 1 || u.Scheme != "http" && u.Scheme != "https" || !strings.EqualFold(u.Host, r.Host) {
			return foreign
		}
	}
	switch site, mode := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Sec-Fetch-Mode"); {
	case site == "", site == "same-origin", site == "none":
		return nil
	case reads(r) && (mode == "" || mode == "navigate"): // somebody follows a link; what a page fetches in secret is no link
		return nil
	}
	return foreign
}

// hostOf is a Host header without port, brackets, and the dot of a complete name.
func hostOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// isAddress tells whether a host is an address: nobody else can give that out as his name.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }
