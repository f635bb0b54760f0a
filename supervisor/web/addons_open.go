package web

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// An add-on's own pages stand in a frame, from the port that shows nothing else: another origin, whose scripts can do nothing
// here. The frame may not lead the window elsewhere. What lets the browser in there is the cookie of a session for pages.

// pagesCookie is the cookie of such a session.
const pagesCookie = "ingress_session"

// openPage is the page around the frame.
type openPage struct {
	*addonPage
	Frame string // address of the add-on's page, "" = there is none to show
	Why   string // key of why not
	Words string // the daemon's
}

func (v *visit) addonOpen() (answer, error) {
	info, err := v.api.Addon(v.ctx(), v.slug(), v.lang)
	if err != nil {
		return answer{}, err
	}
	p, err := v.aboutAddon(info, "open")
	if err != nil {
		return answer{}, err
	}
	out := openPage{addonPage: p}
	s, err := v.status()
	if err != nil {
		return answer{}, err
	}
	switch {
	case !info.Ingress && p.URL == "":
		out.Why = "open_none"
	case !info.Ingress:
		out.Why = "open_outside"
	case info.State != "running":
		out.Why = "open_stopped"
	case !v.may("operator"):
		out.Why = "open_operator"
	case s.Network.IngressPort == 0:
		out.Why, out.Words = "open_nowhere", s.Network.IngressError
	}
	if out.Why != "" {
		return show("addon_open", out)
	}
	path, err := v.api.AddonPages(v.ctx(), info.Slug)
	if err != nil {
		return answer{}, err
	}
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		out.Why = "open_none"
		return show("addon_open", out)
	}
	if err := v.enterPages(); err != nil {
		return answer{}, err
	}
	origin, policed := v.pagesOrigin(s.Network.IngressPort)
	out.Frame = origin + path
	v.w.Header().Set("Content-Security-Policy", policy(policed))
	return show("addon_open", out)
}

// enterPages sees to it that the browser has a session for pages that lasts.
func (v *visit) enterPages() error {
	known := v.ui.inside(v.r, v.me.CSRF) // a page of ours asks, for who is logged in
	if c, err := v.r.Cookie(pagesCookie); err == nil && known.KeepPages(v.ctx(), c.Value) == nil {
		return nil
	}
	s, err := known.BeginPages(v.ctx())
	if err != nil {
		return err
	}
	http.SetCookie(v.w, &http.Cookie{Name: pagesCookie, Value: s.Session, Path: "/", HttpOnly: true, Secure: v.r.TLS != nil, SameSite: http.SameSiteStrictMode})
	return nil
}

// postAddonOpen keeps the session while the page is open, also when its add-on asks for nothing.
func (v *visit) postAddonOpen() (answer, error) {
	if c, err := v.r.Cookie(pagesCookie); err == nil {
		if err := v.api.KeepPages(v.ctx(), c.Value); err != nil {
			return answer{}, err
		}
	}
	return seeOther(v.home() + "/open"), nil
}

// pagesOrigin is where add-ons' pages are for this visitor, and how a policy calls it: it knows no address of IPv6.
func (v *visit) pagesOrigin(port uint16) (origin, policed string) {
	scheme, host := "http", v.r.Host
	if v.r.TLS != nil {
		scheme = "https"
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	n := strconv.Itoa(int(port))
	origin = scheme + "://" + net.JoinHostPort(host, n)
	if strings.Contains(host, ":") {
		return origin, scheme + "://*:" + n
	}
	return origin, origin
}
