package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// statusKind maps an HTTP status to a kind of error.
func statusKind(status int) error {
	switch {
	case status == http.StatusNotFound:
		return ErrNotFound
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ErrUnauthorized
	case status == http.StatusTooManyRequests:
		return ErrRateLimited
	case status >= 500, status == http.StatusRequestTimeout:
		return ErrUnreachable
	}
	return ErrBadContent
}

// answerError is an answer that is not the content.
type answerError struct {
	status     int
	detail     string
	retryAfter time.Duration
}

func (e *answerError) Error() string {
	s := fmt.Sprintf("answers %d %s", e.status, http.StatusText(e.status))
	if e.detail != "" {
		s += " (" + e.detail + ")"
	}
	return s
}

func (e *answerError) Unwrap() error { return statusKind(e.status) }

// statusError reads what the registry says for itself (OCI distribution specification, error codes), in its limits.
func statusError(resp *http.Response) error {
	e := &answerError{status: resp.StatusCode}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.retryAfter = time.Duration(min(s, 3600)) * time.Second
	}
	var body struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	// Best effort: whatever can't be read leaves only the status.
	if b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10)); err == nil && json.Unmarshal(b, &body) == nil && len(body.Errors) > 0 {
		e.detail = printable(body.Errors[0].Code + ": " + body.Errors[0].Message)
	}
	return e
}

// classify gives errors of the registry client and of the network a kind, and drops URLs, which may hold tokens.
func classify(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if t := new(transport.Error); errors.As(err, &t) {
		e := &answerError{status: t.StatusCode}
		if len(t.Errors) > 0 {
			e.detail = printable(string(t.Errors[0].Code) + ": " + t.Errors[0].Message)
		}
		return e
	}
	for _, k := range kinds {
		if errors.Is(err, k) {
			return err
		}
	}
	if u := new(url.Error); errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: no answer in time", ErrUnreachable)
	}
	return fmt.Errorf("%w: %s", ErrUnreachable, printable(err.Error()))
}

// printable is foreign text fit for a log line.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}
