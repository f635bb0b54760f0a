package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// This is the door to add-ons' own pages for people who log in on the network. What such a page brings is a stranger's
// program in the browser of somebody who may do much here, so it is kept apart:
//
//   - It has an origin of its own: another port than the one where people log in. Its scripts can't read what is answered
//     there, because no answer allows another origin to (CORS), nor change anything there, because they name an origin that
//     is refused, and do not know the CSRF token.
//   - Cookies know no ports, so the browser sends those of the login here too. The add-on is sent none of ours, and can set
//     none that is called as ours in an answer. What lets a visitor in here is the cookie of a session for pages, which
//     scripts can't read. It lets him in nowhere else.
//   - That session counts while what it was begun with does: a login, or an API token, of a user with that role still. The
//     streams and WebSockets that are open end too, some seconds later.
//   - A program on the appliance that was sent the cookie on its own port can't use it: from there it counts only when the
//     session was begun from there ([Server.fromInside]).
//   - The origin where people log in may show a page in a frame, and no other may: what looks like a page is where it says.
//
// BUG: All add-ons' pages share this origin. What keeps them apart is that none knows the token in the other's address: a
// script may not look for it, but two pages that are open in one window are within each other's reach, and what scripts
// keep in the browser (storage, cookies they set themselves) is the same for all. It is so at Home Assistant too, where
// they share its own origin.

// ServeIngress answers on l, a listener on the network of the house with a port of its own, as [Server.ServePeople] does, with
// add-ons' own pages and nothing else. Who may see them has begun a session at [Server.ServePeople].
func (s *Server) ServeIngress(ctx context.Context, l net.Listener, n Network) error {
	return s.serveNetwork(ctx, l, n, s.IngressHandler(n))
}

// IngressHandler is what [Server.ServeIngress] answers with, without a listener.
func (s *Server) IngressHandler(n Network) http.Handler {
	if s.cfg.People == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, noPeople()) })
	}
	names := n.names()
	d := door{
		who:    func(r *http.Request) Caller { return Caller{visit: &visit{tls: n.Certificate != nil}} }, // his session says who he is
		within: peopleWithin, frames: n.frames,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if err := sameSite(r, names); err != nil {
			s.fail(w, r, err)
			return
		}
		if !strings.HasPrefix(r.URL.EscapedPath(), ingressOutside) || !s.servePage(w, r, d) {
			s.unknown(w, r)
		}
	})
}

// welcome tells of the owner of a session for pages whether he may see them still, and whether a request can be his.
func (s *Server) welcome(r *http.Request) func(owner Caller) bool {
	from := callersAddr(r)
	inside := s.fromInside(r, from)
	return func(owner Caller) bool {
		return owner.visit != nil && s.in(owner) && (!inside || owner.visit.from.Addr == from)
	}
}

// frames names who may show pages in a frame: the origin where people log in, by the name this visitor uses, and pages of
// their own. sameSite has found the name good.
func (n Network) frames(r *http.Request) string {
	scheme, host := "http", hostOf(r.Host) // http stands for both, which a proxy needs
	if n.Certificate != nil {
		scheme = "https"
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		// The language of policies has no such addresses. A page at another host that has the port can't be meant: without
		// the cookie, which is not sent for another site's frames, nobody is let in.
		host = "*"
	}
	return sameOrigin + " " + scheme + "://" + host + ":" + strconv.Itoa(int(n.UI))
}
