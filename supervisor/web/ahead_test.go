package web

import (
	"bufio"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// TestTheHeadGoesAhead: a browser has the head of the first page, and with it the address of the style, before the appliance knows
// what waits; the page is whole all the same. What a script asks for comes in one piece.
func TestTheHeadGoesAhead(t *testing.T) {
	answers, known := quiet(), make(chan struct{})
	late := newGate(t, "/castellan/plan", answers, known)
	for _, packed := range []bool{true, false} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", late.URL+"/ui/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: "castellan", Value: "in"})
		c := http.Client{Transport: &http.Transport{DisableCompression: true}}
		if packed {
			r.Header.Set("Accept-Encoding", "gzip")
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = resp.Body
		if packed {
			if body, err = gzip.NewReader(resp.Body); err != nil {
				t.Fatal(err)
			}
		}
		page := bufio.NewReader(body)
		head := ""
		for !strings.Contains(head, assetPath("start.js")) {
			line, err := page.ReadString('\n')
			if head += line; err != nil {
				t.Fatalf("before all is known there is %q, then %v", head, err)
			}
		}
		known <- struct{}{}
		rest, err := io.ReadAll(page)
		if err != nil {
			t.Fatal(err)
		}
		if whole := head + string(rest); strings.Count(whole, "<head>") != 1 || strings.Count(whole, "</head>") != 1 || strings.Count(whole, "<title>Overview") != 1 || !strings.HasSuffix(strings.TrimSpace(whole), "</html>") {
			t.Errorf("the page is %s", whole)
		}
		_ = resp.Body.Close() // it was read
	}
	u, _ := fakeUI(t, "admin", answers)
	if w := get(u, "/ui/", "HX-Request", "true"); w.Flushed {
		t.Error("a script gets the page in pieces")
	}
}

// newGate serves a UI behind which one call is answered when known says so.
func newGate(t *testing.T, path string, answers map[string]any, known <-chan struct{}) *httptest.Server {
	t.Helper()
	f := &fakeAPI{answers: answers, role: "admin"}
	u, _ := fakeUI(t, "admin", answers)
	u.cfg.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			select {
			case <-known:
			case <-t.Context().Done():
			}
		}
		f.ServeHTTP(w, r)
	})
	s := httptest.NewServer(u)
	t.Cleanup(s.Close)
	return s
}

// TestAFaultIsNotHalfAPage: no head goes ahead of a page that will not be there.
func TestAFaultIsNotHalfAPage(t *testing.T) {
	answers := quiet()
	answers["GET /castellan/status"] = &api.Error{Status: 503, Key: "engine_away", Message: "the engine is away"}
	u, _ := fakeUI(t, "admin", answers)
	if w := get(u, "/ui/"); w.Code != http.StatusServiceUnavailable || w.Flushed || strings.Count(w.Body.String(), "<title>") != 1 {
		t.Errorf("answers %d, %s", w.Code, w.Body)
	}
}

func TestEveryIconIsADrawing(t *testing.T) {
	if len(icons()) < 70 {
		t.Errorf("%d icons are read", len(icons()))
	}
	for name, inner := range icons() {
		if !strings.HasPrefix(inner, "<") || strings.Contains(inner, "symbol") || strings.Contains(inner, "script") {
			t.Errorf("%s is %q", name, inner)
		}
	}
	if _, err := icon("no-such"); err == nil {
		t.Error("an icon that is not there is drawn")
	}
}
