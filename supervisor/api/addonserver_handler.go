package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/time/rate"
)

// mux makes the handler of the table. Who calls is known before anything else is looked at.
func (s *AddonServer) mux() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, rt := range tokenRoutes {
		if rt.method != "" {
			methods[rt.path] = append(methods[rt.path], rt.method)
		}
		mux.HandleFunc(strings.TrimSpace(rt.method+" "+rt.path), func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, rt) })
	}
	for p, allowed := range methods { // a known path with another method
		mux.HandleFunc(p, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			writePlain(w, http.StatusMethodNotAllowed)
		})
	}
	mux.HandleFunc("/", s.unknown)
	open := func(r *http.Request) bool {
		return slices.ContainsFunc(tokenRoutes, func(rt addonRoute) bool {
			return rt.right == everybody && rt.path == r.URL.Path && rt.method == r.Method
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := s.cfg.Backend.Caller(tokenOf(r.Header))
		if !ok && !open(r) {
			writePlain(w, http.StatusUnauthorized)
			return
		}
		if ok {
			done, free := s.calls.begin(c.Slug)
			if !free {
				s.fail(w, r, &Error{Status: http.StatusTooManyRequests,
					Message: fmt.Sprintf("%s has %d calls open", c.Slug, maxCalls), Next: "wait for the answers"})
				return
			}
			defer done()
		}
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), callerKey{}, c), addonWithin)
		defer cancel()
		mux.ServeHTTP(w, r.WithContext(ctx))
	})
}

type callerKey struct{}

func callerOf(r *http.Request) AddonCaller {
	c, _ := r.Context().Value(callerKey{}).(AddonCaller)
	return c
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

func (s *AddonServer) answer(w http.ResponseWriter, r *http.Request, rt addonRoute) {
	c := callerOf(r)
	switch slug := r.PathValue("slug"); {
	case rt.right == never:
		s.tell(r, c, fmt.Sprintf("%.10s %.120s", r.Method, r.URL.Path))
		s.fail(w, r, forbidden("no add-on may do that", "let the owner do it"))
		return
	case rt.right == own && slug != "self" && slug != c.Slug:
		s.fail(w, r, forbidden("an add-on may see and change itself only", "call /addons/self/"))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	data, err := rt.handle(s, c, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	write(w, http.StatusOK, envelope{Result: "ok", Data: data})
}

// unknown answers for paths that are not in the table: without hassio_api in the manifest they are a missing right.
func (s *AddonServer) unknown(w http.ResponseWriter, r *http.Request) {
	c := callerOf(r)
	clean := strings.ToLower(path.Clean("/" + r.URL.Path)) // as a careless program would take it
	switch {
	case clean == "/castellan" || strings.HasPrefix(clean, "/castellan/"):
		s.answer(w, r, addonRoute{right: never})
	case !c.Manifest.HassioAPI:
		s.fail(w, r, forbidden("the manifest does not ask for hassio_api", "ask the author of the add-on"))
	default:
		s.fail(w, r, &Error{Status: http.StatusNotFound, Message: fmt.Sprintf("no such path %.120q", r.URL.Path)})
	}
}

func (s *AddonServer) fail(w http.ResponseWriter, r *http.Request, err error) {
	fail(w, r, s.cfg.Log.With("addon", callerOf(r).Slug), err)
}

func forbidden(message, next string) error {
	return &Error{Status: http.StatusForbidden, Key: "forbidden", Message: message, Next: next}
}

// readSecret is readBody for what may hold passwords: its errors name places, never content.
func readSecret(r *http.Request, into any) error {
	err := readBody(r, into)
	var known *Error
	if errors.As(err, &known) && strings.HasPrefix(known.Message, "Invalid json") {
		return badRequest("Invalid json")
	}
	return err
}

// unmarshal reads a part of a body that is valid JSON already.
func unmarshal(v jsontext.Value, into any, where string) error {
	if err := jsonv2.Unmarshal(v, into); err != nil {
		return badRequest("wrong type @ %s", where)
	}
	return nil
}

// tell lets the backend log a refusal, unless the add-on was told on just before.
func (s *AddonServer) tell(r *http.Request, c AddonCaller, what string) {
	if s.refused.news(c.Slug) {
		s.cfg.Backend.Refused(context.WithoutCancel(r.Context()), c.Slug, what)
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
