package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// byToken is the caller on the bridge. Who has the host token may do everything.
func (s *Server) byToken(r *http.Request) Caller {
	token := tokenOf(r.Header)
	if s.cfg.HostToken != "" && same(s.cfg.HostToken, token) {
		return theHost
	}
	if s.cfg.Guests == nil {
		return Caller{}
	}
	c, ok := s.cfg.Guests.Caller(token)
	if !ok {
		return Caller{}
	}
	return Caller{Kind: KindAddon, Name: "add-on " + c.Slug, Slug: c.Slug, token: token, manifest: c.Manifest}
}

// theHost is who has the host token.
var theHost = Caller{Kind: KindHost, Name: "the host token", Role: Admin}

// same compares in constant time.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// tokenOf finds the token where the Supervisor looks for it, in that order.
func tokenOf(h http.Header) string {
	for _, name := range []string{"X-Supervisor-Token", "X-Hassio-Key"} {
		if t := h.Get(name); t != "" {
			return t
		}
	}
	if words := strings.Fields(h.Get("Authorization")); len(words) > 0 {
		return words[len(words)-1]
	}
	return ""
}

// tell lets the backend log a refusal, unless the add-on was told on just before.
func (s *Server) tell(ctx context.Context, c Caller, what string) {
	if s.refused.news(c.Slug) {
		s.cfg.Guests.Refused(context.WithoutCancel(ctx), c.Slug, what)
	}
}

// refusals bounds how often the verification log hears of one add-on. Slugs are those of [AddonBackend.Caller].
type refusals struct {
	mu  sync.Mutex
	per map[string]*rate.Limiter
}

func (f *refusals) news(slug string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.per == nil {
		f.per = map[string]*rate.Limiter{}
	}
	if f.per[slug] == nil {
		f.per[slug] = rate.NewLimiter(rate.Every(time.Minute), 5)
	}
	return f.per[slug].Allow()
}
