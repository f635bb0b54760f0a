package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// door is one way into the API.
type door struct {
	who    func(*http.Request) Caller
	enter  func(http.Header, *http.Request) error // asked before anything else, with the headers of the answer; nil = everybody may enter
	people bool                                   // it is for people, who log in here
	within time.Duration                          // how long a call may take that does not last, 0 = as long as it takes
	core   bool                                   // Home Assistant comes this way, for people whom it knows
	frames func(*http.Request) string             // who may show add-ons' pages in a frame; nil = pages of the same origin
}

// handler makes the handler of the table for a door. Who calls, and whether he may, is known before a body is read.
func (s *Server) handler(d door) http.Handler {
	mux := http.NewServeMux()
	byPath := map[string][]route{}
	all := table()
	for _, rt := range all {
		byPath[rt.path] = append(byPath[rt.path], rt)
		if rt.method != "" {
			mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, rt, d) })
		}
	}
	// A known path with another method. It is a table of its own: there, {slug} stands below a path that is spelt out.
	rest := http.NewServeMux()
	for p, there := range byPath {
		rest.HandleFunc(p, func(w http.ResponseWriter, r *http.Request) { s.otherMethod(w, r, there) })
	}
	rest.HandleFunc("/", s.unknown)
	mux.Handle("/", rest)
	open := openTo(all, d.people)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.enter != nil {
			if err := d.enter(w.Header(), r); err != nil {
				s.fail(w, r, err)
				return
			}
		}
		// Not where people log in: a script of an add-on's page would be of our origin there, and act as its visitor. For them
		// there is [Server.ServeIngress].
		if !d.people && s.passing(w, r, d) {
			return
		}
		if why := suspicious(r.URL); why != "" {
			s.fail(w, r, badRequest("cannot answer: %s", why))
			return
		}
		if state := s.state(); d.within > 0 && !ready(state) {
			s.fail(w, r, badRequest("System is not ready with state: %s", state))
			return
		}
		c := d.who(r)
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
		if isOpen := open(r); c.Kind == KindNone && !isOpen {
			writePlain(w, http.StatusUnauthorized)
			return
		} else if err := c.forged(r); err != nil && !isOpen { // who logs in proves himself by what he sends
			s.fail(w, r, err)
			return
		}
		if c.Kind == KindAddon {
			done, free := s.calls.begin(c.Slug)
			if !free {
				s.fail(w, r, &Error{Status: http.StatusTooManyRequests,
					Message: fmt.Sprintf("%s has %d calls open", c.Slug, maxCalls), Next: "wait for the answers"})
				return
			}
			defer done()
		}
		if p := path.Clean("/" + r.URL.Path); p != r.URL.Path { // the mux would send the caller elsewhere, and some do not go
			s.unknown(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// state is that of the daemon.
func (s *Server) state() string {
	if s.cfg.State == nil {
		return "running"
	}
	return s.cfg.State()
}

// ready tells whether the daemon answers add-ons in a state, as Home Assistant's Supervisor does.
func ready(state string) bool { return state == "startup" || state == "running" || state == "freeze" }

type callerKey struct{}

func callerOf(r *http.Request) Caller {
	c, _ := r.Context().Value(callerKey{}).(Caller)
	return c
}

// openTo tells of a request whether it is for a route that is open to all; on the door of people, for one that those
// need who have not logged in: what is installed is not for everybody in the network.
func openTo(all []route, people bool) func(*http.Request) bool {
	right := every
	if people {
		right = never
	}
	var open [][]string // methods and path segments
	for _, rt := range all {
		if rt.people == Nobody && rt.addons == right {
			open = append(open, append([]string{rt.method}, strings.Split(rt.path, "/")...))
		}
	}
	return func(r *http.Request) bool {
		parts := strings.Split(r.URL.Path, "/")
		return slices.ContainsFunc(open, func(want []string) bool {
			return r.Method == want[0] && slices.EqualFunc(parts, want[1:], func(p, w string) bool { return p == w || strings.HasPrefix(w, "{") })
		})
	}
}

// serve answers one call of a route.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, rt route, d door) {
	c := callerOf(r)
	fail := func(w http.ResponseWriter, r *http.Request, err error) {
		if rt.next {
			err = forClient(err)
		}
		if rt.text {
			s.failText(w, r, err)
			return
		}
		s.fail(w, r, err)
	}
	if err := c.may(rt, r.PathValue("slug")); err != nil {
		s.refuse(r, c, err)
		fail(w, r, err)
		return
	}
	ctx := r.Context()
	switch ctl := http.NewResponseController(w); {
	case rt.long: // its time is up when it is done; a writer that knows no deadlines has none
		_ = ctl.SetWriteDeadline(time.Time{})
		if rt.media != "" {
			done, err := s.streams.begin(c)
			if err != nil {
				fail(w, r, err)
				return
			}
			defer done()
		}
		var cancel context.CancelFunc
		ctx, cancel = s.whileIn(ctx, c)
		defer cancel()
		r = r.WithContext(ctx)
	case d.within > 0:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.within)
		defer cancel()
		r = r.WithContext(ctx)
	}
	if rt.guard != nil {
		if err := rt.guard(s, r); err != nil {
			fail(w, r, err)
			return
		}
	}
	most := int64(maxBody)
	if c.Kind == KindNone || c.Kind == KindPerson && c.Role < Operator { // many of them at once must fit in memory
		most = maxStranger
	}
	if rt.stream {
		r.Body = streamed{r.Body, http.NewResponseController(w)}
	} else {
		r.Body = http.MaxBytesReader(w, r.Body, most)
	}
	data, err := rt.answer(ctx, s, c, r)
	if rt.long || d.people {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(takeWithin)) // as above
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	switch d := data.(type) {
	case rawAnswer:
		d.send(w, r)
		return
	case streamAnswer:
		if err := d(w, r); err != nil {
			fail(w, r, err)
		}
		return
	}
	if d, ok := data.(withCookie); ok {
		data = d.data
		if d.cookie != nil {
			http.SetCookie(w, d.cookie)
		}
	}
	write(w, http.StatusOK, envelope{Result: "ok", Data: data})
}

// refuse tells of a call that was not allowed. An add-on that lacks a right is told itself, and may try all day.
func (s *Server) refuse(r *http.Request, c Caller, err error) {
	if c.Kind == KindAddon {
		if errors.Is(err, errNever) {
			s.tell(r.Context(), c, fmt.Sprintf("%.10s %.120s", r.Method, pathInWords(r.URL.Path)))
		}
		return
	}
	s.cfg.Log.Warn("call refused", "path", pathInWords(r.URL.Path), "caller", c.String())
}

// otherMethod answers for a known path with a method that it does not have. An add-on that may do nothing there is told
// that first.
func (s *Server) otherMethod(w http.ResponseWriter, r *http.Request, there []route) {
	c := callerOf(r)
	refused := c.Kind == KindAddon
	for _, rt := range there {
		refused = refused && errors.Is(c.may(rt, r.PathValue("slug")), errNever)
	}
	switch allowed := methodsOf(there); {
	case refused:
		s.refuse(r, c, errNever)
		s.fail(w, r, errNever)
	case len(allowed) == 0:
		s.unknown(w, r)
	default:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		writePlain(w, http.StatusMethodNotAllowed)
	}
}

func methodsOf(there []route) (out []string) {
	for _, rt := range there {
		if rt.method != "" {
			out = append(out, rt.method)
		}
	}
	return out
}

// unknown answers for paths that are not in the table: for add-ons without hassio_api they are a missing right.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	c := callerOf(r)
	clean := strings.ToLower(path.Clean("/" + r.URL.Path)) // as a careless program would take it
	switch {
	case c.Kind == KindAddon && (clean == "/castellan" || strings.HasPrefix(clean, "/castellan/")):
		s.refuse(r, c, errNever)
		s.fail(w, r, errNever)
	case c.Kind == KindAddon && !c.manifest.HassioAPI:
		s.fail(w, r, forbidden("the manifest does not ask for hassio_api", "ask the author of the add-on"))
	default:
		s.fail(w, r, &Error{Status: http.StatusNotFound, Message: fmt.Sprintf("no such path %.120q", pathInWords(r.URL.Path))})
	}
}

// envelope is the Supervisor's answer. Extra carries the next step.
type envelope struct {
	Result  string         `json:"result"`
	Data    any            `json:"data,omitempty"`
	Message string         `json:"message,omitempty"`
	Key     string         `json:"error_key,omitempty"`
	Job     string         `json:"job_id,omitempty"`
	Extra   map[string]any `json:"extra_fields,omitempty"`
}

// failed is an error as it is answered, told at Debug: what a caller did wrong is the caller's.
func (s *Server) failed(r *http.Request, err error) *Error {
	var known *Error
	if !errors.As(err, &known) {
		known = &Error{Status: http.StatusBadRequest, Message: err.Error()}
	}
	s.cfg.Log.Log(r.Context(), slog.LevelDebug, "call failed", "method", r.Method, "path", pathInWords(r.URL.Path), "caller", callerOf(r).String(),
		"status", known.Status, "error", known.Message)
	return known
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	known := s.failed(r, err)
	if known.Status == http.StatusUnauthorized {
		writePlain(w, known.Status)
		return
	}
	out := envelope{Result: "error", Message: known.Message, Key: known.Key, Job: known.Job, Extra: maps.Clone(known.Extra)}
	if known.Next != "" {
		if out.Extra == nil {
			out.Extra = map[string]any{}
		}
		out.Extra["next"] = known.Next
	}
	if n, ok := out.Extra["seconds"].(int); ok && known.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(n))
	}
	write(w, known.Status, out)
}

// failText answers with an error where the answer would be text.
func (s *Server) failText(w http.ResponseWriter, r *http.Request, err error) {
	known := s.failed(r, err)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(known.Status)
	_, _ = fmt.Fprintln(w, known.Message) // a client that left does not concern us
}

func write(w http.ResponseWriter, status int, v envelope) {
	b, err := json.Marshal(v)
	if err != nil { // our own types: cannot happen, and must not look like success if it does
		status, b = http.StatusInternalServerError, []byte(`{"result":"error","message":"cannot encode the answer"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that left does not concern us
}

func writePlain(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "%d: %s", status, http.StatusText(status)) // as above
}
