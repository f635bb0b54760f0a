package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// visitor is a request as a listener hands it over.
func visitor() *http.Request {
	r := httptest.NewRequest("POST", "http://attic.local:8480/ui/x", nil)
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("Cookie", "castellan=abc")
	r.Header.Set("User-Agent", "tablet")
	r.Header.Set("X-CSRF-Token", "not this one")
	r.Header.Set("Origin", "http://attic.local:8480")
	return r
}

func TestInsideCallsInTheVisitorsName(t *testing.T) {
	var got *http.Request
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		_, _ = io.WriteString(w, `{"result":"ok","data":{"name":"anna","role":"admin"}}`)
	})
	me, err := NewInside(h, Visitor{Request: visitor(), CSRF: "t"}).Me(t.Context())
	if err != nil || me.Name != "anna" {
		t.Fatalf("got %+v, %v", me, err)
	}
	if got.RemoteAddr != "192.0.2.7:4711" || got.Host != "attic.local:8480" || got.URL.Path != "/castellan/me" {
		t.Errorf("the API is asked %s by %s at %s", got.URL, got.RemoteAddr, got.Host)
	}
	for name, want := range map[string]string{"Cookie": "castellan=abc", "User-Agent": "tablet", "X-CSRF-Token": "t", "Origin": ""} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
}

func TestInsideWithoutAForm(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-CSRF-Token") != "" {
			t.Error("a token goes along that no form carried")
		}
		_, _ = io.WriteString(w, `{"result":"ok","data":{}}`)
	})
	if _, err := NewInside(h, Visitor{Request: visitor()}).Me(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestInsideStreams(t *testing.T) {
	ended := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		_ = http.NewResponseController(w).Flush()
		for {
			if _, err := io.WriteString(w, "tick\n"); err != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	resp, err := NewInside(h, Visitor{Request: visitor()}).Raw(t.Context(), "GET", "/x", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if _, err := io.ReadFull(resp.Body, b); err != nil || !strings.HasPrefix(string(b), "tick") {
		t.Fatalf("read %q, %v", b, err)
	}
	_ = resp.Body.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the handler goes on after its reader has left")
	}
}

// TestInsideSurvives: what goes wrong in the API is an error of the call.
func TestInsideSurvives(t *testing.T) {
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want func(error) bool
	}{
		"a panic before the answer": {func(http.ResponseWriter, *http.Request) { panic("no") }, func(err error) bool { return err != nil }},
		"a panic within the answer": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"result":`)
			panic("no")
		}, func(err error) bool { return err != nil }},
		"nothing at all": {func(http.ResponseWriter, *http.Request) {}, func(err error) bool { return err != nil }},
		"a refusal": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			_, _ = io.WriteString(w, `{"result":"error","message":"no","error_key":"forbidden"}`)
		}, func(err error) bool {
			var e *api.Error
			return errors.As(err, &e) && e.Status == 403 && e.Key == "forbidden"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewInside(c.h, Visitor{Request: visitor()}).Me(t.Context()); !c.want(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestInsideEndsWithTheVisitor(t *testing.T) {
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := NewInside(h, Visitor{Request: visitor()}).Me(ctx); err == nil {
		t.Error("a call goes on that nobody waits for")
	}
}

// TestInsideHangsInTheMiddle: an answer that stops half way does not hold up its reader, even when the handler does not notice.
func TestInsideHangsInTheMiddle(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"result":`)
		<-over
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("it took too long")
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	if _, err := NewInside(h, Visitor{Request: visitor()}).Me(ctx); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}
