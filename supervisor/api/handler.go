package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
)

// maxBody is the Supervisor's body limit.
const maxBody = 16 << 20

// Handler is the API without a listener. Each route's access is checked before its body is read.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, rt := range routes {
		methods[rt.path] = append(methods[rt.path], rt.method)
		mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) {
			s.answer(w, r, rt)
		})
	}
	// A known path with another method. It is a table of its own: there, {slug} stands below a path that is spelt out.
	others := http.NewServeMux()
	for path, allowed := range methods {
		others.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			writePlain(w, http.StatusMethodNotAllowed)
		})
	}
	others.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, &Error{Status: http.StatusNotFound, Message: fmt.Sprintf("no such path %.120q", r.URL.Path)})
	})
	mux.Handle("/", others)
	return mux
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, rt route) {
	if rt.access == admin && !peerOf(r.Context()).admin(s.owner) {
		s.log.Warn("call refused", "path", rt.path, "peer", peerOf(r.Context()).String())
		s.fail(w, r, &Error{Status: http.StatusForbidden, Key: "forbidden",
			Message: fmt.Sprintf("%s may not call %s %s", peerOf(r.Context()), rt.method, rt.path), Next: "run the command as root"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	data, err := rt.handle(s, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if d, ok := data.(rawAnswer); ok {
		d.send(w, r)
		return
	}
	write(w, http.StatusOK, envelope{Result: "ok", Data: data})
}

// envelope is the Supervisor's answer. Extra carries the next step.
type envelope struct {
	Result  string         `json:"result"`
	Data    any            `json:"data,omitempty"`
	Message string         `json:"message,omitempty"`
	Key     string         `json:"error_key,omitempty"`
	Extra   map[string]any `json:"extra_fields,omitempty"`
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) { fail(w, r, s.log, err) }

// fail answers with an error and tells it at Debug: what a caller did wrong is the caller's.
func fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	var known *Error
	if !errors.As(err, &known) {
		known = &Error{Status: http.StatusBadRequest, Message: err.Error()}
	}
	out := envelope{Result: "error", Message: known.Message, Key: known.Key, Extra: maps.Clone(known.Extra)}
	if known.Next != "" {
		if out.Extra == nil {
			out.Extra = map[string]any{}
		}
		out.Extra["next"] = known.Next
	}
	log.Debug("call failed", "method", r.Method, "path", r.URL.Path, "status", known.Status, "error", known.Message)
	write(w, known.Status, out)
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

func badRequest(format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// readBody decodes a strict JSON object: unknown, duplicate and case-variant keys are refused. An empty body is {}.
func readBody(r *http.Request, into any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return &Error{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("the body is larger than %d bytes", big.Limit)}
		}
		return badRequest("cannot read the body: %v", err)
	}
	if len(b) == 0 {
		return nil
	}
	if err := jsonv2.Unmarshal(b, into, jsonv2.RejectUnknownMembers(true)); err != nil {
		var sem *jsonv2.SemanticError
		if errors.As(err, &sem) {
			if errors.Is(err, jsonv2.ErrUnknownName) {
				return badRequest("extra keys not allowed @ %s", sem.JSONPointer)
			}
			return badRequest("wrong type @ %s: want %s", sem.JSONPointer, sem.GoType)
		}
		return badRequest("Invalid json: %v", err)
	}
	return nil
}
