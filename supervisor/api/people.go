package api

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/access"
)

// Network is a listener for people and programs on the network of the house, as they see it.
type Network struct {
	// Hosts are names under which they may call, besides the host's own, that with .local, localhost, and addresses. A call
	// for another name comes from a page that gave its own name our address, and is refused.
	Hosts []string
	// Certificate makes it TLS; nil = in the clear.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Patience is how long a caller may take to say what he wants; a body may take three times that. 0 = 10 s.
	Patience time.Duration
}

// Limits on people: the network of the house must not take the daemon's memory and files.
const (
	peoplePerAddr = 64
	peopleConns   = 256
	peopleWithin  = 5 * time.Minute // for a call that does not last
	patience      = 10 * time.Second
)

// visit is how somebody came in from the network.
type visit struct {
	from   access.Origin
	tls    bool
	cookie access.Secret    // of a session that is there, or was
	who    access.Principal // zero = nobody yet
}

// ServePeople answers on l, a listener on the network of the house, as [Server.Serve] does. Callers are those whom
// [Config].People lets in, by the cookie of a session or by an API token.
func (s *Server) ServePeople(ctx context.Context, l net.Listener, n Network) error {
	wait := n.Patience
	if wait == 0 {
		wait = patience
	}
	srv := s.http(s.PeopleHandler(n))
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
	names := append([]string{"localhost"}, n.Hosts...)
	if name, err := os.Hostname(); err == nil { // without one there are addresses, and n.Hosts
		short, _, _ := strings.Cut(name, ".")
		names = append(names, name, short, short+".local")
	}
	for i := range names {
		names[i] = strings.ToLower(strings.TrimSuffix(names[i], "."))
	}
	return s.handler(door{
		who: func(r *http.Request) Caller { return s.visitor(r, n.Certificate != nil) }, within: peopleWithin, people: true,
		enter: func(h http.Header, r *http.Request) error {
			secure(h)
			return sameSite(r, names)
		},
	})
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
	if site := r.Header.Get("Sec-Fetch-Site"); !reads(r) && site != "" && site != "same-origin" && site != "none" {
		return foreign
	}
	return nil
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

// cookieName is the session's. With its prefix browsers take the cookie only by TLS, for this host and all of its paths.
func cookieName(tls bool) string {
	if tls {
		return "__Host-castellan"
	}
	return "castellan"
}

// sessionCookie carries a session; one without text ends it.
func sessionCookie(v *visit, text access.Secret, ends time.Time) *http.Cookie {
	c := &http.Cookie{Name: cookieName(v.tls), Value: text.Reveal(), Path: "/", HttpOnly: true, Secure: v.tls, SameSite: http.SameSiteStrictMode}
	if text == "" {
		c.MaxAge = -1
	} else {
		c.Expires = ends
	}
	return c
}

// visitor is the caller on the network. A token counts before a cookie, and a wrong one is not made good by a cookie.
func (s *Server) visitor(r *http.Request, secure bool) Caller {
	v := &visit{tls: secure, from: access.Origin{Agent: r.UserAgent()}}
	if p, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		v.from.Addr = p.Addr().Unmap().WithZone("")
	}
	nobody := Caller{visit: v}
	var who access.Principal
	var err error
	if auth := r.Header.Values("Authorization"); len(auth) > 0 {
		text, ok := strings.CutPrefix(auth[0], "Bearer ")
		if !ok || len(auth) > 1 {
			return nobody
		}
		who, err = s.cfg.People.Token(access.Secret(text))
	} else {
		c := r.CookiesNamed(cookieName(secure))
		if len(c) != 1 { // of two, one is not ours
			return nobody
		}
		v.cookie = access.Secret(c[0].Value)
		who, err = s.cfg.People.Session(v.cookie)
	}
	if err != nil || who.Kind == access.BySession && s.stolen(r, v.from.Addr, who) {
		return nobody
	}
	v.who = who
	name := who.Name + " (session)"
	if who.Kind == access.ByToken {
		name = who.Name + " (token " + who.ID + ")"
	}
	return Caller{Kind: KindPerson, Name: name, Role: roleOf(who.Role), visit: v}
}

// stolen tells of a session whether a program on the appliance uses it that did not log in. Browsers send a cookie to every
// port of a host, so an add-on with a page of its own is sent it. A proxy there is where its people log in from.
func (s *Server) stolen(r *http.Request, from netip.Addr, who access.Principal) bool {
	own, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !from.IsLoopback() && !(s.cfg.From.IsValid() && s.cfg.From.Contains(from)) && (own == nil || addrIn(own) != from) {
		return false
	}
	for _, i := range s.cfg.People.Sessions(who.Name) {
		if i.ID == who.ID {
			return i.From.Unmap() != from
		}
	}
	return true
}

func roleOf(r access.Role) Role {
	switch r {
	case access.Viewer:
		return Viewer
	case access.Operator:
		return Operator
	case access.Admin:
		return Admin
	}
	return Nobody
}

// forged tells of a call that changes something whether another page may have made it with a session's cookie.
func (c Caller) forged(r *http.Request) error {
	if c.visit == nil || c.visit.who.Kind != access.BySession || reads(r) {
		return nil
	}
	if access.CheckCSRF(c.visit.cookie, access.Secret(r.Header.Get("X-CSRF-Token"))) {
		return nil
	}
	return &Error{Status: http.StatusForbidden, Key: "csrf", Message: "cannot do that: the header X-CSRF-Token does not belong to the session",
		Next: "read the token from /castellan/me, or load the page again"}
}

// denied makes an answer of what the register of people says.
func denied(err error) error {
	var wait *access.WaitError
	if errors.As(err, &wait) {
		return &Error{Status: http.StatusTooManyRequests, Key: "too_many_guesses", Message: err.Error(), Next: "wait, then try again",
			Extra: map[string]any{"seconds": wait.Seconds()}}
	}
	for _, k := range []struct {
		err       error
		status    int
		key, next string
	}{
		{access.ErrDenied, 403, "denied", "castellan user password on the appliance sets another one"},
		{access.ErrCode, 403, "wrong_code", "castellan setup-code on the appliance"},
		{access.ErrNoOwner, 409, "no_owner", "castellan setup-code on the appliance"},
		{access.ErrOwned, 409, "owned", "castellan user list on the appliance"},
		{access.ErrBusy, 503, "busy", "try again in some seconds"},
		{access.ErrLastAdmin, 409, "last_admin", "make another user admin first"},
		{access.ErrExists, 409, "exists", ""},
		{access.ErrNotFound, 404, "not_found", ""},
		{access.ErrInvalid, 400, "invalid", ""},
		{access.ErrClosed, 503, "closed", "castellan status on the appliance"},
	} {
		if errors.Is(err, k.err) {
			return &Error{Status: k.status, Key: k.key, Message: err.Error(), Next: k.next}
		}
	}
	return err
}

func noPeople() error {
	return &Error{Status: http.StatusServiceUnavailable, Key: "no_users", Message: "the register of users can't be used", Next: "castellan status"}
}
