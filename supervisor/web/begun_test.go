package web

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// TestSeveralAtOnceFail: updates that were asked for together and fail together share no state unguarded, which the race
// detector tells, and ask for the state of the house once.
func TestSeveralAtOnceFail(t *testing.T) {
	answers := quiet()
	answers["POST /castellan/update"] = &api.Error{Status: 500, Message: "no"}
	f := &fakeAPI{answers: answers, role: "admin"}
	var together sync.WaitGroup
	together.Add(4)
	u := New(Config{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			together.Done()
			together.Wait()
		}
		f.ServeHTTP(w, r)
	}), Host: "attic-pi", Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	form := url.Values{"service": {"addon_a", "addon_b", "addon_c", "addon_d"}}
	if w := post(u, "/ui/updates/all", form, "HX-Request", "true"); w.Code != http.StatusSeeOther {
		t.Fatalf("got %d: %s", w.Code, w.Body)
	}
	for _, service := range form["service"] {
		for on := true; on; _, on = u.begun.since(service) { // until it is over
			runtime.Gosched()
		}
	}
	asked := map[string]int{}
	for _, a := range f.asked {
		asked[a.call]++
	}
	if asked["POST /castellan/update"] != 4 || asked["GET /castellan/status"] != 1 {
		t.Errorf("got %v", asked)
	}
	if page := get(u, "/ui/updates").Body.String(); strings.Count(page, `class="note bad"`) != mostNotesEach {
		t.Errorf("what went wrong is not told: %.300s", page)
	}
}
