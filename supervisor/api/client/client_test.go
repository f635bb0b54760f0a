package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// remote is a client of h on the network.
func remote(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	sum := sha256.Sum256(srv.Certificate().Raw)
	c, err := NewRemote(Remote{URL: srv.URL, Token: "cst_of-the-house", Fingerprint: fingerprint(sum[:])})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEventsComeFromTheDaemonThatWasNamed(t *testing.T) {
	c := remote(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != "/castellan/events?topics=job" || r.Header.Get("Authorization") != "Bearer cst_of-the-house" {
			t.Errorf("asked for %s with %q", r.URL.RequestURI(), r.Header.Get("Authorization"))
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = io.WriteString(w, "id: 1\nevent: job\ndata: {}\n\n")
	})
	list, err := c.Events(t.Context(), []string{"job"}, "")
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range list {
		if err != nil || e.ID != "1" || e.Name != "job" {
			t.Errorf("event %+v, %v", e, err)
		}
		break
	}
}

func TestAnotherProgramIsNotTakenForTheDaemon(t *testing.T) {
	for _, answer := range []struct{ media, body string }{
		{"text/html", "<h1>Log in to the guests' network</h1>"}, {"application/json", "{}"}, {"application/json", ""}, {"application/json", `{"result":"no"}`},
	} {
		c := remote(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", answer.media)
			_, _ = io.WriteString(w, answer.body)
		})
		_, status := c.Status(t.Context())
		_, logs := c.CoreLogs(t.Context(), 10, false)
		_, events := c.Events(t.Context(), nil, "")
		for what, err := range map[string]error{"status": status, "logs": logs, "events": events} {
			if err == nil || !strings.HasPrefix(err.Error(), "cannot read the answer of ") {
				t.Errorf("%s of one that says %q: %v", what, answer.body, err)
			}
		}
	}
}

func TestADaemonThatThinksForEverIsLeft(t *testing.T) {
	over := make(chan struct{})
	c := remote(t, func(http.ResponseWriter, *http.Request) { <-over })
	defer close(over)
	c.wait = time.Millisecond
	if _, err := c.Status(t.Context()); !errors.Is(err, ErrNotReachable) || !strings.Contains(err.Error(), "no answer within 1ms") {
		t.Errorf("status: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("had enough"))
	if err := c.CheckCore(ctx); err == nil || !strings.Contains(err.Error(), "had enough") {
		t.Errorf("check: %v", err)
	}
}

func TestAnErrorInPlainTextIsRead(t *testing.T) {
	c := remote(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "Core does not run. Next: castellan core start\n")
	})
	_, err := c.CoreLogs(t.Context(), 10, false)
	var known *api.Error
	if !errors.As(err, &known) || known.Status != 404 || known.Message != "Core does not run" || known.Next != "castellan core start" {
		t.Errorf("got %v", err)
	}
}

func TestNoTokenInTheClear(t *testing.T) {
	for url, ok := range map[string]bool{
		"http://127.0.0.1:8480": true, "http://[::1]:8480": true, "http://localhost:8480": true, "https://castellan.local:8480": true,
		"http://castellan.local:8480": false, "http://192.168.1.5:8480": false, "http://127.0.0.1.evil.example": false,
	} {
		if _, err := NewRemote(Remote{URL: url, Token: "t"}); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
}
