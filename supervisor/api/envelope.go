package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
)

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
	s.cfg.Log.DebugContext(r.Context(), "call failed", "method", r.Method, "path", r.URL.Path, "caller", callerOf(r).String(),
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
