package api

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/access"
)

// visit is how somebody came in from the network.
type visit struct {
	from   access.Origin
	tls    bool
	cookie access.Secret    // of a session that is there, or was
	who    access.Principal // zero = nobody yet
}

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
	v := &visit{tls: secure, from: access.Origin{Agent: r.UserAgent(), Addr: callersAddr(r)}}
	nobody := Caller{visit: v}
	var who access.Principal
	var err error
	if auth := r.Header.Values("Authorization"); len(auth) > 0 {
		scheme, text, _ := strings.Cut(auth[0], " ")
		if !strings.EqualFold(scheme, "Bearer") || len(auth) > 1 {
			return nobody
		}
		who, err = s.cfg.People.Token(access.Secret(text))
	} else {
		if v.cookie, who, err = s.session(r.CookiesNamed(cookieName(secure))); v.cookie == "" {
			return nobody
		}
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

// session finds the one cookie of a session. A script of a page on another port of this host can set more of its name, and must
// not lock its visitor out with them; of two that both let in, one is not his. How many there are is bounded by the header.
func (s *Server) session(all []*http.Cookie) (cookie access.Secret, who access.Principal, err error) {
	err = access.ErrNoSession
	for _, c := range all {
		p, bad := s.cfg.People.Session(access.Secret(c.Value))
		switch {
		case bad == nil && err == nil:
			return "", access.Principal{}, access.ErrNoSession
		case bad == nil:
			cookie, who, err = access.Secret(c.Value), p, nil
		case len(all) == 1:
			cookie, err = access.Secret(c.Value), bad
		}
	}
	return cookie, who, err
}

// callersAddr is where a request comes from, zero when that is not known.
func callersAddr(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}

// stolen tells of a session whether a program on the appliance uses it that did not log in. Browsers send a cookie to every
// port of a host, so an add-on with a page of its own is sent it. A proxy there is where its people log in from.
func (s *Server) stolen(r *http.Request, from netip.Addr, who access.Principal) bool {
	if !s.fromInside(r, from) {
		return false
	}
	for _, i := range s.cfg.People.Sessions(who.Name) {
		if i.ID == who.ID {
			return i.From.Unmap() != from
		}
	}
	return true
}

// fromInside tells of an address whether it is one of a program on the appliance.
func (s *Server) fromInside(r *http.Request, from netip.Addr) bool {
	own, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return from.IsLoopback() || s.cfg.From.IsValid() && s.cfg.From.Contains(from) || own != nil && addrIn(own) == from
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
