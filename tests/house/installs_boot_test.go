package house

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

// started is when the container of an add-on was started last.
func (h *house) started(slug string) time.Time {
	h.t.Helper()
	var out struct{ State struct{ StartedAt time.Time } }
	must(h.t, h.ask("GET", "/containers/"+h.container("addon_"+slug).ID+"/json", &out))
	return out.State.StartedAt
}

// upAddons counts the add-ons whose container runs; an engine that is away has none.
func (h *house) upAddons() (up []string) {
	list, _ := h.list() // see above
	for _, k := range list {
		if k.running() && k.service() != h.core {
			up = append(up, k.service())
		}
	}
	slices.Sort(up)
	return up
}

// up says whether the container of a service runs.
func (h *house) up(service string) bool {
	list, _ := h.list() // see above
	return slices.ContainsFunc(list, func(k container) bool { return k.service() == service && k.running() })
}

// addonContainers is the container of each add-on, nil while one has two.
func (h *house) addonContainers() map[string]string {
	list, _ := h.list() // see above
	of := map[string]string{}
	for _, k := range list {
		if of[k.service()] != "" {
			return nil
		}
		if k.service() != h.core {
			of[k.service()] = k.ID
		}
	}
	return of
}

// TestAddonsStartInOrder boots the host, and takes the engine away while the add-ons come up. In the end all that must run
// run, none twice, stage after stage; what is started by hand or runs once stays down.
func TestAddonsStartInOrder(t *testing.T) {
	engine := testenv.PrivateEngine(t)
	w := newWorldOn(t, engine.Host)
	w.core("1.0")
	w.release("1.0")
	h := newHouse(w, withStore)
	h.begin()
	stages := [][]string{{"local_sys1", "local_sys2"}, {"local_serv1", "local_serv2"}, {"local_app1", "local_app2"}}
	var must []string
	for slug, more := range map[string]string{
		"sys1": "startup: system", "sys2": "startup: system", "serv1": "startup: services", "serv2": "startup: services",
		"app1": "startup: application", "app2": "startup: application", "byhand": "boot: manual", "single": "startup: once",
	} {
		h.image(slug, "1.0")
		h.addonConfig(slug, "1.0", more)
		if slug != "byhand" && slug != "single" {
			must = append(must, "addon_local_"+slug)
		}
	}
	slices.Sort(must)
	h.offers()
	all := append(slices.Clone(must), "addon_local_byhand", "addon_local_single")
	for _, s := range all {
		h.castellan("addon", "install", s[len("addon_"):], "--yes").says(t, 0)
	}
	for _, s := range all {
		h.castellan("addon", "start", s[len("addon_"):], "--detach").says(t, 0)
	}
	for _, s := range all {
		h.addonIs(s[len("addon_"):], "1.0", "running", "unsigned")
	}

	for i, c := range []struct {
		name string
		away func() // while they come up
	}{{"a boot", nil}, {"the engine stops meanwhile", engine.Stop}, {"the engine is killed meanwhile", engine.Kill}} {
		t.Run(c.name, func(t *testing.T) {
			h.daemon.kill()
			engine.PowerCut()
			engine.Start()
			if up := h.upAddons(); len(up) != 0 {
				t.Fatalf("the engine starts add-ons by itself: %v", up)
			}
			before := h.addonContainers()
			h.boot("boot-" + string(rune('a'+i)))
			if c.away != nil {
				testenv.Eventually(t, time.Minute, "the first add-on runs", func() bool { return len(h.upAddons()) > 0 })
				c.away()
				engine.Start()
			}
			var now map[string]string
			testenv.Eventually(t, 90*time.Second, "all that must run run, each in its only container", func() bool {
				now = h.addonContainers()
				return slices.Equal(h.upAddons(), must) && len(now) == len(all) && h.up(h.core)
			})
			// What a killed engine lost track of is made anew, late; what came up by itself came up in order.
			asWas := func(slug string) bool { return now["addon_"+slug] == before["addon_"+slug] }
			for n := 1; n < len(stages); n++ {
				for _, first := range stages[n-1] {
					for _, then := range stages[n] {
						if !asWas(first) || !asWas(then) {
							continue
						}
						if f, s := h.started(first), h.started(then); s.Before(f) {
							t.Errorf("%s started at %s, %s of the stage before at %s", then, s, first, f)
						}
					}
				}
			}
			if c.away == nil && !maps.Equal(now, before) {
				t.Errorf("containers %v before the boot, %v after it", before, now)
			}
			// And what a killed engine left behind does not work on, unseen, on the same files.
			var run []string
			for _, k := range h.containers() {
				if k.running() {
					run = append(run, k.ID)
				}
			}
			slices.Sort(run)
			if alive := engine.Alive(); !slices.Equal(alive, run) {
				t.Errorf("containers with a process %v, that run %v", alive, run)
			}
			for _, s := range []string{"local_byhand", "local_single"} {
				if a := h.addon(s); a.State != "stopped" {
					t.Errorf("%s is %s", s, a.State)
				}
			}
			h.castellan("log", "verify").says(t, 0)
		})
	}
	h.castellan("addon", "start", "local_byhand").says(t, 0)
	h.addonIs("local_byhand", "1.0", "running", "unsigned")
}

// TestWatchdogOfAddons lets an add-on end whose owner wants it watched: it is started again. (Without that it
// stays ended: TestTroublesOfAddons.)
func TestWatchdogOfAddons(t *testing.T) {
	h := storeHouse(t)
	h.image("brief", "1.0", "APP_EXIT_AFTER=6s")
	h.addonConfig("brief", "1.0")
	h.offers()
	h.castellan("addon", "install", "local_brief", "--yes").says(t, 0)
	h.castellan("addon", "set", "local_brief", "--watchdog", "on").says(t, 0)
	h.castellan("addon", "start", "local_brief").says(t, 0)
	first, id := h.started("local_brief"), h.container("addon_local_brief").ID
	testenv.Eventually(t, time.Minute, "the watchdog starts it again", func() bool {
		if len(h.upAddons()) == 0 {
			return false
		}
		var out struct{ State struct{ StartedAt time.Time } }
		return h.ask("GET", "/containers/"+id+"/json", &out) == nil && out.State.StartedAt.After(first)
	})
}
