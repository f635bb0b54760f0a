package api

import (
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// rewritePage makes the request that an add-on sees. Nothing of what lets the person, or anybody, into the appliance is in it.
func rewritePage(p *httputil.ProxyRequest, c *pageCall) {
	out := p.Out
	out.URL.Scheme, out.URL.Host = "http", pageHost(c.page.Slug)
	if plain, err := url.PathUnescape(c.rest); err == nil { // the server has read it before
		out.URL.Path, out.URL.RawPath = plain, c.rest
	}
	out.URL.RawQuery = p.In.URL.RawQuery // as it was written
	out.Trailer = nil                    // careless programs take it for headers, and what is said below is not in there
	for name := range out.Header {
		low := strings.ToLower(name)
		if strings.Contains(name, "_") || // some programs take it for the one with a dash
			strings.HasPrefix(low, "x-remote-") || strings.HasPrefix(low, "x-hass") || strings.HasPrefix(low, "x-supervisor") ||
			strings.HasPrefix(low, "x-castellan") {
			delete(out.Header, name)
		}
	}
	for _, name := range []string{"Authorization", "Proxy-Authorization", "X-Ingress-Path", "X-Real-Ip"} {
		out.Header.Del(name)
	}
	theirCookies(out.Header)
	if !strings.EqualFold(out.Header.Get("Upgrade"), "websocket") { // nothing else is spoken here
		out.Header.Del("Upgrade")
		out.Header.Del("Connection")
	}
	if core := c.who.owner.Kind == KindHost; core {
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} { // of the browser's way to it
			if v := p.In.Header.Values(name); len(v) > 0 {
				out.Header[name] = v
			}
		}
	}
	host, proto := out.Header.Get("X-Forwarded-Host"), out.Header.Get("X-Forwarded-Proto")
	p.SetXForwarded()
	for name, v := range map[string]string{"X-Forwarded-Host": host, "X-Forwarded-Proto": proto} {
		if v != "" {
			out.Header.Set(name, v)
		}
	}
	out.Header.Set("X-Ingress-Path", c.visible)
	switch {
	case c.who.user != "":
		out.Header.Set("X-Remote-User-Id", c.who.user)
	case c.who.owner.Kind == KindPerson:
		user, _, _ := strings.Cut(c.who.owner.String(), " (") // how he came in is not the add-on's to know
		for _, name := range []string{"X-Remote-User-Id", "X-Remote-User-Name", "X-Remote-User-Display-Name"} {
			out.Header.Set(name, user)
		}
	}
}

// ourCookie tells whether a cookie is none of an add-on's.
func ourCookie(name string) bool {
	low := strings.ToLower(name)
	for _, begin := range []string{"__host-", "__secure-"} {
		low = strings.TrimPrefix(low, begin)
	}
	return low == ingressCookie || strings.HasPrefix(low, "castellan")
}

// theirCookies leaves an add-on's own cookies in a request.
func theirCookies(h http.Header) {
	var keep []string
	for _, line := range h.Values("Cookie") {
		for part := range strings.SplitSeq(line, ";") {
			part = strings.TrimSpace(part)
			name, _, _ := strings.Cut(part, "=")
			if part != "" && !ourCookie(strings.TrimSpace(name)) {
				keep = append(keep, part)
			}
		}
	}
	h.Del("Cookie")
	if len(keep) > 0 {
		h.Set("Cookie", strings.Join(keep, "; "))
	}
}

// takenAway are headers of an answer that would count for more than the add-on's own pages.
var takenAway = []string{"Clear-Site-Data", "Strict-Transport-Security", "Public-Key-Pins", "Service-Worker-Allowed", "Alt-Svc", "Set-Cookie2", "Report-To", "Nel",
	"Reporting-Endpoints", "Refresh", "Www-Authenticate", "Access-Control-Allow-Credentials", "X-Frame-Options", "Origin-Agent-Cluster", "X-Accel-Redirect", "X-Sendfile"}

// tamePage makes an add-on's answer count for its own pages only.
func tamePage(r *http.Response, c *pageCall) {
	for _, name := range takenAway {
		r.Header.Del(name)
	}
	lines := r.Header.Values("Set-Cookie")
	r.Header.Del("Set-Cookie")
	for _, line := range lines {
		if cookie := c.cookie(line); cookie != "" {
			r.Header.Add("Set-Cookie", cookie)
		}
	}
	if c.frames == sameOrigin {
		r.Header.Set("X-Frame-Options", "SAMEORIGIN")
	} else { // where it is framed, it did not foresee
		unframed(r.Header)
		r.Header.Set("Cross-Origin-Resource-Policy", "same-origin") // other ports of the name have no use for its parts
	}
	r.Header.Add("Content-Security-Policy", "frame-ancestors "+c.frames) // beside the add-on's own: both count
	r.Header.Set("Referrer-Policy", "same-origin")                       // the address holds the token
	if location := r.Header.Get("Location"); location != "" {
		c.redirect(r, location)
	}
}

// unframed takes out of an add-on's policies who may show it in a frame.
func unframed(h http.Header) {
	for _, name := range []string{"Content-Security-Policy", "Content-Security-Policy-Report-Only"} {
		var keep []string
		for policy := range strings.SplitSeq(strings.Join(h.Values(name), ","), ",") {
			var rest []string
			for directive := range strings.SplitSeq(policy, ";") {
				words := strings.Fields(directive)
				if len(words) > 0 && !strings.EqualFold(words[0], "frame-ancestors") {
					rest = append(rest, strings.Join(words, " "))
				}
			}
			if len(rest) > 0 {
				keep = append(keep, strings.Join(rest, "; "))
			}
		}
		h.Del(name)
		if len(keep) > 0 {
			h.Set(name, strings.Join(keep, ", "))
		}
	}
}

// cookie is a cookie of an add-on as a browser may keep it: for its own pages. "" = it may not.
func (c *pageCall) cookie(line string) string {
	k, err := http.ParseSetCookie(line)
	if err != nil || ourCookie(k.Name) || strings.HasPrefix(strings.ToLower(k.Name), "__host-") {
		return ""
	}
	k.Domain = ""
	k.Path = c.within(k.Path)
	return k.String()
}

// within is a path of the browser's within an add-on's pages.
func (c *pageCall) within(p string) string {
	p = path.Clean("/" + strings.ReplaceAll(p, `\`, "/"))
	if p == c.visible || strings.HasPrefix(p, c.visible+"/") {
		p = strings.TrimPrefix(p, c.visible)
	}
	return c.visible + "/" + strings.TrimPrefix(p, "/")
}

// redirect keeps a redirection within an add-on's pages. One that leads elsewhere becomes a page that says so: the person
// goes there knowingly or not at all.
func (c *pageCall) redirect(r *http.Response, location string) {
	here := &url.URL{Path: r.Request.URL.Path, RawPath: r.Request.URL.RawPath}
	to, err := here.Parse(location)
	inside := err == nil && to.Opaque == "" && (to.Host == "" && to.Scheme == "" ||
		(to.Scheme == "http" || to.Scheme == "https" || to.Scheme == "") && to.User == nil && (to.Host == r.Request.Host || to.Host == r.Request.URL.Host))
	if inside {
		escaped, slash := to.EscapedPath(), strings.HasSuffix(to.Path, "/")
		if !stray(escaped) {
			target := c.within(escaped)
			if slash && !strings.HasSuffix(target, "/") {
				target += "/"
			}
			r.Header.Set("Location", (&url.URL{RawQuery: to.RawQuery, Fragment: to.Fragment, Opaque: target}).String())
			return
		}
	}
	link := ""
	if err == nil && (to.Scheme == "http" || to.Scheme == "https" || to.Scheme == "" && to.Host != "") {
		link = strings.NewReplacer("<", "%3c", ">", "%3e", `"`, "%22", "'", "%27").Replace(to.String()) // a query is as it came
	}
	page := inWords("Leave the appliance?", c.page.Name+" wants to send you elsewhere.", link)
	_ = r.Body.Close() // nobody reads it
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(strings.NewReader(page)), int64(len(page)), nil
	r.StatusCode, r.Status = http.StatusOK, ""
	for _, name := range []string{"Location", "Content-Encoding", "Etag", "Last-Modified", "Content-Disposition", "Accept-Ranges", "Content-Range", "Trailer"} {
		r.Header.Del(name)
	}
	r.Header.Set("Content-Length", strconv.Itoa(len(page)))
	for name, v := range ownPage(c) {
		r.Header.Set(name, v)
	}
}
