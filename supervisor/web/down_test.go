package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// TestATroubleHasAPageThatAsksNobody: there is no API behind it, and each page says what goes on and the one next step.
func TestATroubleHasAPageThatAsksNobody(t *testing.T) {
	for trouble, want := range map[Trouble][]string{
		Starting:     {"Castellan is starting", "go on running", "nothing to do"},
		CannotStart:  {"Castellan cannot start", "go on running", "journalctl -u castellan"},
		StorageFull:  {"The storage is full", "Nothing is updated meanwhile", "du -xh /"},
		RegisterShut: {"Nobody can log in", "Everything runs", "castellan user list"},
	} {
		h := Down(Config{Host: "<b>attic</b>", Log: slog.New(slog.DiscardHandler)}, func() Trouble { return trouble })
		ask := func(method, path, accept string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, path, nil)
			r.Header.Set("Accept-Language", accept)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		for _, path := range []string{"/", "/ui/", "/ui/addons/x?y=<script>", "/ui/login"} {
			w := ask("GET", path, "en")
			for _, text := range want {
				if !strings.Contains(w.Body.String(), text) {
					t.Errorf("%s at %s does not say %q", trouble, path, text)
				}
			}
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("%s at %s answers %d, %v", trouble, path, w.Code, w.Header())
			}
			if b := w.Body.String(); strings.Contains(b, "<b>attic") || strings.Contains(b, "<script>") || strings.Contains(b, "⟨") || strings.Contains(b, "<form") {
				t.Errorf("%s at %s: %s", trouble, path, b)
			}
		}
		if de := ask("GET", "/ui/", "de").Body.String(); strings.Contains(de, want[0]) || strings.Contains(de, "⟨") {
			t.Errorf("%s is told in English to who reads German", trouble)
		}
		if w := ask("POST", "/castellan/login", ""); w.Code != 503 || !strings.Contains(w.Body.String(), `"error_key":"`+string(trouble)+`"`) {
			t.Errorf("a program is answered %d %s", w.Code, w.Body)
		}
		if w := ask("GET", assetPath("app.css"), ""); w.Code != 200 {
			t.Errorf("the style answers %d", w.Code)
		}
	}
}

// TestManyWordsOneTrouble: what fails because the disk is full, or the engine away, is told as that.
func TestManyWordsOneTrouble(t *testing.T) {
	for _, c := range []struct {
		what   string
		err    *api.Error
		engine string
		want   string
	}{
		{"a write", &api.Error{Status: 400, Message: "write /var/lib/castellan/x: no space left on device"}, "", "The storage is full"},
		{"a quota", &api.Error{Status: 500, Key: "backup_error", Message: "disk quota exceeded"}, "", "The storage is full"},
		{"the engine, in its words", &api.Error{Status: 400, Message: "Cannot connect to the Docker daemon at unix:///x"}, "", "Docker does not answer"},
		{"something while the engine is away", &api.Error{Status: 400, Message: "context deadline exceeded"}, "no answer", "Docker does not answer"},
		{"the register", &api.Error{Status: 503, Key: "closed", Message: "nobody is let in"}, "", "Nobody can log in"},
		{"something else", &api.Error{Status: 400, Message: "odd"}, "", "That did not work"},
	} {
		answers := quiet()
		answers["GET /castellan/status"] = api.Status{State: "running", Engine: api.EngineStatus{Error: c.engine}, Services: []api.ServiceStatus{}}
		answers["GET /castellan/changes"] = c.err
		u, _ := fakeUI(t, "viewer", answers)
		page := get(u, "/ui/").Body.String()
		if !strings.Contains(page, "<h1>") || !strings.Contains(page, c.want) || !strings.Contains(page, c.err.Message) {
			t.Errorf("%s: %q is missing in\n%s", c.what, c.want, page)
		}
	}
}
