package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// hangingUI is a UI before an API that does not answer the given calls until the test is over, whoever has left.
func hangingUI(t *testing.T, hangs string, answers map[string]any) *UI {
	t.Helper()
	f := &fakeAPI{answers: answers, role: "admin"}
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	return New(Config{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, hangs) {
			<-over
		}
		f.ServeHTTP(w, r)
	}), Version: "1", Host: "attic-pi", Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

// TestSlowAPI: a page is there in time, and says so, when something behind it does not answer at all.
func TestSlowAPI(t *testing.T) {
	for hangs, path := range map[string]string{"/castellan/trust/ledgers": "/ui/trust/ledgers", "/castellan/changes": "/ui/updates", "/castellan/addons": "/ui/addons", "/castellan/log": "/ui/trust"} {
		t.Run(hangs, func(t *testing.T) {
			u := hangingUI(t, hangs, quiet())
			u.within = 20 * time.Millisecond
			w := get(u, path)
			if page := w.Body.String(); w.Code != http.StatusGatewayTimeout || !strings.Contains(page, "That takes too long") || !strings.Contains(page, "/ui/help/slow") {
				t.Errorf("%s answers %d: %.300s", path, w.Code, page)
			}
		})
	}
}

// TestNamesAreAskedForOnce: a list of things that have no name any more does not ask for each of them, nor again after it failed.
func TestNamesAreAskedForOnce(t *testing.T) {
	for name, answer := range map[string]any{"unknown": api.AddonList{}, "failing": &api.Error{Status: 500, Message: "no"}} {
		t.Run(name, func(t *testing.T) {
			u, f := fakeUI(t, "admin", map[string]any{"GET /addons": answer, "GET /store": answer})
			r, err := http.NewRequestWithContext(context.Background(), "GET", "/ui/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.AddCookie(&http.Cookie{Name: "castellan", Value: "in"})
			v := u.visit(nil, r)
			for _, service := range []string{"addon_one", "addon_two", "core", "addon_one"} {
				v.called(service, "")
			}
			if n := len(f.asked); n != 2 { // the state of the house, and the list
				t.Errorf("%d calls are made: %v", n, f.asked)
			}
		})
	}
}
