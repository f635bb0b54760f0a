package api

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Bounds on what add-ons answer.
const (
	ingressDials   = 10 * time.Second
	ingressAnswers = 2 * time.Minute // to the first byte; some think long
	ingressHeaders = 64 << 10
)

// pageKey is how a request knows what it is for.
type pageKey struct{}

// pageCall is one request for a page.
type pageCall struct {
	page    IngressPage
	rest    string // path at the add-on, as it was written
	visible string // prefix of the page in the browser
	frames  string // who may show it in a frame, as Content-Security-Policy says it
	who     *ingressSession
}

// sameOrigin is who may show a page in a frame where Home Assistant's frontend is of its origin.
const sameOrigin = "'self'"

func pageOf(ctx context.Context) *pageCall {
	p, _ := ctx.Value(pageKey{}).(*pageCall)
	return p
}

// pageHost is the name that a connection is made for: connections of one add-on are never another's.
func pageHost(slug string) string { return slug + ".ingress:80" }

// pages makes what sends requests on to add-ons.
func (s *Server) pages() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { rewritePage(p, pageOf(p.In.Context())) },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, host string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, ingressDials)
				defer cancel()
				return s.cfg.Ingress.Dial(ctx, strings.TrimSuffix(host, ".ingress:80"))
			},
			DisableCompression: true, MaxIdleConnsPerHost: 8, MaxIdleConns: 64, IdleConnTimeout: 30 * time.Second,
			ResponseHeaderTimeout: ingressAnswers, MaxResponseHeaderBytes: ingressHeaders,
		},
		FlushInterval:  -1,
		ModifyResponse: func(r *http.Response) error { tamePage(r, pageOf(r.Request.Context())); return nil },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p := pageOf(r.Context())
			var known *Error
			switch {
			case errors.As(err, &known):
				s.pageFailed(w, r, known.Status, fmt.Sprintf("%s: %s. %s", p.page.Name, known.Message, sentence(known.Next)))
			case errors.Is(err, syscall.ECONNREFUSED): // it has just been started, more often than not
				s.pageFailed(w, r, http.StatusBadGateway, fmt.Sprintf("%s does not show its pages yet. Wait a moment; if that does not help, look at its log.", p.page.Name))
			case r.Context().Err() != nil: // who asked is gone
				s.pageFailed(w, r, http.StatusBadGateway, "the request has ended")
			default:
				s.pageFailed(w, r, http.StatusBadGateway, fmt.Sprintf("%s does not answer. Look at its log, or restart it.", p.page.Name))
				s.cfg.Log.Debug("an add-on's page can't be had", "addon", p.page.Slug, "error", err)
			}
		},
		ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// servePage answers a request for a page, and tells whether it was one. It comes before the filter of paths: what stands
// behind the token is the add-on's, and so is the query.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request, d door) bool {
	prefix, token, rest, ok := pagePath(r.URL.EscapedPath())
	if !ok {
		return false
	}
	c := d.who(r)
	p := &pageCall{rest: rest, visible: prefix, frames: sameOrigin}
	if d.frames != nil {
		p.frames = d.frames(r)
	}
	r = r.WithContext(context.WithValue(context.WithValue(r.Context(), callerKey{}, c), pageKey{}, p))
	if state := s.state(); d.within > 0 && !ready(state) {
		s.fail(w, r, badRequest("System is not ready with state: %s", state))
		return true
	}
	clear(w.Header()) // of our own answers: the page has its own
	if s.cfg.Ingress == nil {
		s.fail(w, r, noIngress())
		return true
	}
	if c.Kind == KindAddon { // they may call each other, and see nobody's pages
		s.refuse(r, c, errNever)
		s.fail(w, r, errNever)
		return true
	}
	if d.core && c.Kind == KindNone {
		c = theHost
	}
	may := c.sameAs
	if c.visit != nil {
		may = s.welcome(r)
	}
	who, leave, ok, free := s.visits.enter(r, may)
	switch {
	case !ok && c.visit != nil:
		s.pageFailed(w, r, http.StatusUnauthorized, "the visit to the add-ons' pages has ended. Open the page from Castellan again.")
		return true
	case !ok:
		writePlain(w, http.StatusUnauthorized)
		return true
	case !free:
		s.pageFailed(w, r, http.StatusTooManyRequests, "too much is open at once. Close some pages.")
		return true
	}
	defer leave()
	if stray(rest) {
		s.fail(w, r, badRequest("cannot answer: the path leads out of the add-on"))
		return true
	}
	page, ok := s.cfg.Ingress.Page(r.Context(), token)
	if !ok {
		s.pageFailed(w, r, http.StatusNotFound, "no add-on has this page.")
		return true
	}
	if r.Header.Get("X-Ingress-Path") == ingressOutside+token { // the browser is at Home Assistant
		p.visible = ingressOutside + token
	}
	p.page, p.who = page, who
	ctx, cancel := s.whileIn(r.Context(), who.owner) // a page that is alive ends with what lets its visitor in
	defer cancel()
	if who.owner.visit != nil {
		ctx = context.WithValue(ctx, callerKey{}, who.owner)
	}
	r = r.WithContext(ctx)
	s.forward(w, r, page)
	return true
}

// forward sends a request on to an add-on. Who takes nothing in, or sends nothing of a body, is cut; a stream that rests
// is not.
func (s *Server) forward(w http.ResponseWriter, r *http.Request, page IngressPage) {
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength < 0 && !page.Stream {
		if err := measure(r); err != nil {
			s.pageFailed(w, r, http.StatusRequestEntityTooLarge, "what was sent is too long.")
			return
		}
	}
	s.stream(w, r, s.ingress())
}

// stream sends a request on and the answer back, piece by piece and without end if need be.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, by *httputil.ReverseProxy) {
	ctl := http.NewResponseController(w)
	_ = ctl.SetWriteDeadline(time.Time{}) // a writer that knows no deadlines has none; so below
	_ = ctl.SetReadDeadline(time.Time{})
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &patientBody{r.Body, ctl}
	}
	defer func() { _ = ctl.SetWriteDeadline(time.Now().Add(takeWithin)) }()
	by.ServeHTTP(&pageWriter{ResponseWriter: w, ctl: ctl}, r)
}

// stray tells whether a path, decoded as often as a careless program might, leads out of where it begins.
func stray(p string) bool {
	for range maxDecodes + 1 {
		for _, c := range p {
			if c < ' ' || c == 0x7f {
				return true
			}
		}
		for part := range strings.FieldsFuncSeq(p, func(c rune) bool { return c == '/' || c == '\\' }) {
			if name, _, _ := strings.Cut(part, ";"); name == ".." {
				return true
			}
		}
		next, err := url.PathUnescape(p)
		if err != nil || next == p {
			return false
		}
		p = next
	}
	return true
}

func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// inWords is a page that says something to a person, with a link when there is one: an address of http, https or none. What
// goes in stands in text and in one attribute alone. A template would call methods by their names, and so keep those of all
// packages in the program: four megabytes.
func inWords(title, words, link string) string {
	title, link = html.EscapeString(title), html.EscapeString(link)
	page := `<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>` + title + `</title><h1>` + title +
		`</h1><p>` + html.EscapeString(words) + `</p>`
	if link != "" {
		page += `<p><a href="` + link + `" rel="noopener noreferrer" target="_blank">` + link + `</a></p>`
	}
	return page + "\n"
}

// ownPage are the headers of what we say in the place of a page.
func ownPage(c *pageCall) map[string]string {
	return map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors " + c.frames,
		"Cache-Control":           "no-store",
		"Referrer-Policy":         "no-referrer",
		"X-Content-Type-Options":  "nosniff",
	}
}

// pageFailed answers in words: a person looks at it.
func (s *Server) pageFailed(w http.ResponseWriter, r *http.Request, status int, words string) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.fail(w, r, &Error{Status: status, Message: strings.TrimSuffix(words, ".")})
		return
	}
	_ = s.failed(r, &Error{Status: status, Message: words})
	h := w.Header()
	for name, v := range ownPage(pageOf(r.Context())) {
		h.Set(name, v)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, inWords(http.StatusText(status), words, "")) // a client that left does not concern us
}
