package web

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// fakeAPI answers as the API does, with what a test says; it remembers what was asked. Who comes with the cookie is logged in.
type fakeAPI struct {
	mu      sync.Mutex
	answers map[string]any // by method and path; an error is a refusal
	asked   []asked
	role    string
}

type asked struct {
	call, body, csrf, query string
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body) // of a test: it can't fail
	call := r.Method + " " + r.URL.Path
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, asked{call, string(b), r.Header.Get("X-CSRF-Token"), r.URL.RawQuery})
	if c, err := r.Cookie("castellan"); (err != nil || c.Value != "in") && call != "GET /castellan/setup" && call != "POST /castellan/login" {
		http.Error(w, "401: Unauthorized", http.StatusUnauthorized)
		return
	}
	data, ok := f.answers[call]
	if !ok {
		switch call {
		case "GET /castellan/me":
			data = api.Me{Name: "anna", Role: f.role, Kind: "session", CSRF: "token-of-anna"}
		case "GET /castellan/setup":
			data = api.SetupState{Owner: true}
		default:
			data = &api.Error{Status: 404, Message: "no such path"}
		}
	}
	env := map[string]any{"result": "ok", "data": data}
	if e, bad := data.(*api.Error); bad {
		env = map[string]any{"result": "error", "message": e.Message, "error_key": e.Key, "extra_fields": map[string]any{"next": e.Next}}
		w.WriteHeader(e.Status)
	}
	_ = json.NewEncoder(w).Encode(env) // to a test: it can't fail
}

// calls are those that changed something.
func (f *fakeAPI) calls() (out []asked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asked {
		if !strings.HasPrefix(a.call, "GET ") {
			out = append(out, a)
		}
	}
	return out
}

// fakeUI is a UI before a fake API.
func fakeUI(t *testing.T, role string, answers map[string]any) (*UI, *fakeAPI) {
	t.Helper()
	f := &fakeAPI{answers: answers, role: role}
	return New(Config{API: f, Version: "1", Host: "attic-pi", Log: slog.New(slog.NewTextHandler(t.Output(), nil))}), f
}

// get reads a page as somebody who is logged in.
func get(u *UI, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	return do(u, r, header...)
}

// post sends a form as a page of anna's would.
func post(u *UI, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	if !form.Has("csrf") {
		form.Set("csrf", "token-of-anna")
	}
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(u, r, header...)
}

func do(u *UI, r *http.Request, header ...string) *httptest.ResponseRecorder {
	r.AddCookie(&http.Cookie{Name: "castellan", Value: "in"})
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	u.ServeHTTP(w, r)
	return w
}
