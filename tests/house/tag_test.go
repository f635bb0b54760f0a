package house

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/trusttest"
)

// TestTagMoves points the tag at another image while an update is under way. The image that was judged runs, or none.
func TestTagMoves(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	for _, c := range []struct {
		name    string
		version string
		when    func(*http.Request) bool // the tag moves before the first such request goes through
		exit    int                      // of the update
	}{
		{"before it is looked up", "1.1.0", func(*http.Request) bool { return true }, 4},
		{"between two looks at the manifest", "1.2.0", func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/sha256:") }, 0},
		{"after the verdict, before the content is fetched", "1.3.0", func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/blobs/") }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			good := w.core(c.version)
			was := h.service(h.core)
			var first sync.Once
			moved := false
			w.registry.breaks("/v2/", func(rw http.ResponseWriter, r *http.Request, honest http.Handler, _ <-chan struct{}) {
				if c.when(r) {
					first.Do(func() { w.push(w.backing, "core", c.version, "APP_OTHER=1"); moved = true })
				}
				honest.ServeHTTP(rw, r)
			})
			defer w.registry.heals()
			h.castellan("update", h.core, "--to", c.version).says(t, c.exit)
			h.soundness()
			switch s := h.service(h.core); {
			case !moved && c.exit != 0:
				t.Error("the tag was never looked up")
			case c.exit == 0 && (s.Version != c.version || !holds(good.Subject(h.core, trust.ClassCore), s.Image)):
				t.Errorf("%s runs as %s, judged was %s", s.Image, s.Version, good.Manifest)
			case c.exit != 0 && (s.Version != was.Version || s.Image != was.Image):
				t.Errorf("core changed to %s although the update did not go", s.Version)
			}
			for _, v := range h.verdicts(h.core) {
				if v.Outcome.Allowed() && v.Subject.Version == c.version && v.Subject.Manifest != good.Manifest {
					t.Errorf("manifest %s was allowed as %s", v.Subject.Manifest, c.version)
				}
			}
		})
	}
}

// TestRegistryThatLies answers requests for a digest with other bytes. Nothing of it runs, what runs is left alone, and
// when the registry is honest again the update goes.
func TestRegistryThatLies(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	for _, c := range []struct{ about, version, state string }{{"config", "1.1.0", "planned"}, {"layers", "1.2.0", "verified"}} {
		t.Run(c.about, func(t *testing.T) {
			image := w.core(c.version)
			before := h.container(h.core)
			lies, told := trusttest.Garbage(), make(chan struct{}, 1000)
			w.registry.breaks("/v2/house/core/blobs/", func(rw http.ResponseWriter, r *http.Request, honest http.Handler, gone <-chan struct{}) {
				if strings.HasSuffix(r.URL.Path, string(image.Config)) == (c.about == "config") {
					lies(rw, r, honest, gone)
					told <- struct{}{}
				} else {
					honest.ServeHTTP(rw, r)
				}
			})
			defer w.registry.heals()
			h.castellan("update", h.core, "--to", c.version, "--detach").says(t, 0)
			for range 3 { // it is asked for again, so the first lies were found out
				select {
				case <-told:
				case <-time.After(time.Minute):
					t.Fatalf("nobody asks for it: %+v", h.lastChange())
				}
			}
			if now := h.lastChange(); now.State != c.state {
				t.Errorf("the change is %s, want %s", now.State, c.state)
			}
			if now := h.container(h.core); now.ID != before.ID {
				t.Errorf("the container changed")
			}
			w.registry.heals()
			testenv.Eventually(t, time.Minute, "the update has ended", func() bool { return h.lastChange().Done })
			h.soundness()
			h.runs(h.core, c.version, "verified")
		})
	}
}

// holds tells whether an image ID of the engine is the subject's: engines name images by manifest or by config.
func holds(s trust.Subject, id string) bool {
	for _, d := range s.Digests() {
		if string(d) == id {
			return true
		}
	}
	return false
}
