package api

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// CoreAPI is the way to Home Assistant Core's own API. Calls are safe for concurrent use.
type CoreAPI interface {
	// Token lets the appliance in at Core. An error says why there is none.
	Token() (string, error)
	// Dial connects to Core; secure says whether TLS is spoken there.
	Dial(ctx context.Context) (c net.Conn, secure bool, err error)
}

// coreAnswers is how long Core may take to begin an answer, as at Home Assistant's Supervisor.
const coreAnswers = 5 * time.Minute

// coreRest is what stands behind Core's address: "/api/states" for /core/api/states; ok is false for what is none of Core's API.
func coreRest(escaped string) (rest string, ok bool) {
	for _, begin := range []string{"/core", "/homeassistant"} {
		if rest, ok := strings.CutPrefix(escaped, begin); ok && (rest == "/websocket" || rest == "/api" || strings.HasPrefix(rest, "/api/")) {
			return rest, true
		}
	}
	return "", false
}

// roundabout tells of a path at Core whether it leads back here with Core's rights, as Home Assistant's Supervisor bars it too:
// hassio, hassio_ingress and hassio_push. stray has found the path to stay where it is.
func roundabout(rest string) bool {
	for range maxDecodes + 1 {
		parts := strings.FieldsFunc(strings.ToLower(rest), func(c rune) bool { return c == '/' || c == '\\' })
		for i, part := range parts {
			if i > 0 && part != "." {
				if strings.HasPrefix(part, "hassio") {
					return true
				}
				break
			}
		}
		next, err := url.PathUnescape(rest)
		if err != nil || next == rest {
			return false
		}
		rest = next
	}
	return true
}

// serveCore answers a request of an add-on for Home Assistant Core, and tells whether it was one. The add-on shows its own
// token, and Core sees the appliance's.
func (s *Server) serveCore(w http.ResponseWriter, r *http.Request, d door) bool {
	rest, ok := coreRest(r.URL.EscapedPath())
	if !ok || !d.core {
		return false
	}
	c := d.who(r)
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
	if state := s.state(); !ready(state) {
		s.fail(w, r, badRequest("System is not ready with state: %s", state))
		return true
	}
	if stray(rest) {
		s.fail(w, r, badRequest("cannot answer: the path leads out of Home Assistant's API"))
		return true
	}
	if rest == "/websocket" { // who calls is said in there
		s.coreSocket(w, r)
		return true
	}
	if err := c.mayCore(); err != nil {
		s.fail(w, r, err)
		return true
	}
	if roundabout(rest) {
		s.refuse(r, c, errNever)
		s.fail(w, r, errNever)
		return true
	}
	token, err := s.coreToken()
	if err != nil {
		s.fail(w, r, err)
		return true
	}
	done, free := s.coreCalls.begin(c.Slug)
	if !free {
		s.fail(w, r, &Error{Status: http.StatusTooManyRequests, Message: c.Slug + " has too many calls to Home Assistant open", Next: "wait for the answers"})
		return true
	}
	defer done()
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	ctx, cancel := s.whileIn(r.Context(), c) // Core has streams of its own
	defer cancel()
	r = r.WithContext(ctx)
	s.stream(w, r.WithContext(context.WithValue(r.Context(), coreKey{}, coreCall{rest, token})), s.core())
	return true
}

// authRoutes are the calls with which add-ons ask whether somebody's password is right.
var authRoutes = []route{
	{"POST", "/auth", noPerson, every, "Whether a user of Home Assistant gave the right password; this appliance can't tell.", call((*Server).postAuth)},
}

// postAuth says that nobody can be asked: Core lets its own Supervisor alone check passwords, and a no would look like a
// wrong one.
func (s *Server) postAuth(context.Context, Caller, authIn) (none, error) {
	return none{}, &Error{Status: http.StatusBadRequest, Key: "not_supported", Message: "cannot check a password: Home Assistant Core tells this appliance nothing of its users",
		Next: "give the add-on users of its own, if it can have some"}
}

// authIn is a form or JSON, and is not looked at.
type authIn struct {
	Raw []byte
}

// mayCore tells whether a caller may use Core's API.
func (c Caller) mayCore() error {
	switch {
	case c.Kind == KindNone:
		return &Error{Status: http.StatusUnauthorized, Message: "no token"}
	case c.Kind != KindAddon:
		return forbidden("that is for add-ons", "call Home Assistant itself")
	case !c.manifest.CoreAPI:
		return forbidden("the manifest does not ask for homeassistant_api", "ask the author of the add-on")
	}
	return nil
}

// coreToken is the appliance's token at Core.
func (s *Server) coreToken() (string, error) {
	bad := &Error{Status: http.StatusBadGateway, Key: "no_core_token", Message: "cannot ask Home Assistant Core: this appliance has no token for it",
		Next: "make a long-lived token on its profile page and name its file as home_assistant.token_file"}
	if s.cfg.Core == nil {
		return "", bad
	}
	token, err := s.cfg.Core.Token()
	if err != nil {
		s.cfg.Log.Debug("no token for Home Assistant Core", "error", err)
		return "", bad
	}
	return token, nil
}

type coreKey struct{}

type coreCall struct{ rest, token string }

// coreProxy makes what sends requests on to Core.
func (s *Server) coreProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			c, _ := p.In.Context().Value(coreKey{}).(coreCall)
			out := p.Out
			out.URL.Scheme, out.URL.Host, out.Host = "http", "core.internal:80", "" // whatever Core speaks, the connection speaks it
			if plain, err := url.PathUnescape(c.rest); err == nil {                 // the server has read it before
				out.URL.Path, out.URL.RawPath = plain, c.rest
			}
			out.URL.RawQuery = p.In.URL.RawQuery
			for _, name := range []string{"X-Supervisor-Token", "X-Hassio-Key", "Cookie", "X-Ingress-Path", "Upgrade", "Connection", "X-Real-Ip", "Origin"} {
				out.Header.Del(name)
			}
			out.Header.Set("Authorization", "Bearer "+c.token)
		},
		Transport: &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dialCore(ctx) },
			DisableCompression: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
			ResponseHeaderTimeout: coreAnswers, MaxResponseHeaderBytes: ingressHeaders,
		},
		FlushInterval:  -1,
		ModifyResponse: func(r *http.Response) error { r.Header.Del("Set-Cookie"); return nil },
		ErrorHandler:   func(w http.ResponseWriter, r *http.Request, err error) { s.fail(w, r, s.coreAway(err)) },
		ErrorLog:       slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) coreAway(err error) error {
	s.cfg.Log.Debug("Home Assistant Core can't be asked", "error", err)
	return &Error{Status: http.StatusBadGateway, Key: "core_away", Message: "Home Assistant Core does not answer", Next: "ha core info"}
}

// dialCore connects to Core. Its certificate is for its outside name, and the way leads through this machine only.
func (s *Server) dialCore(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, ingressDials)
	defer cancel()
	c, secure, err := s.cfg.Core.Dial(ctx)
	if err != nil || !secure {
		return c, err
	}
	over := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	if err := over.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return over, nil
}
