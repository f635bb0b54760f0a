package house

import (
	"crypto/rand"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

// standing is what must be as before when a container is given back.
type standing struct {
	Name, Restart string
	Running       bool
}

func (w *world) standing(id string) standing {
	w.t.Helper()
	c := w.inspect(id)
	return standing{strings.TrimPrefix(c.Name, "/"), c.HostConfig.RestartPolicy.Name, c.State.Running}
}

// foreign runs a Home Assistant of somebody else's in the same folder, as an owner would by hand.
func (w *world) foreign(name string, i testenv.Image) (id string) {
	w.t.Helper()
	must(w.t, w.pull(i))
	var made struct{ ID string }
	must(w.t, w.askWith("POST", "/containers/create?name="+name, map[string]any{
		"Image": i.PullRef(),
		"HostConfig": map[string]any{
			"NetworkMode": "host", "Binds": []string{w.path("ha") + ":/config"}, "RestartPolicy": map[string]any{"Name": "always"},
		},
	}, &made))
	w.t.Cleanup(func() { _ = w.ask("DELETE", "/containers/"+made.ID+"?force=1&v=1", nil) }) // the namespace takes it along otherwise
	must(w.t, w.ask("POST", "/containers/"+made.ID+"/start", nil))
	return made.ID
}

// pull makes the engine hold an image behind the daemon's back.
func (w *world) pull(i testenv.Image) error {
	return w.ask("POST", "/images/create?fromImage="+url.QueryEscape(i.PullRef()), io.Discard) // it is there when the answer ends
}

// adopting is a house that is to take the place of a foreign container, which runs 0.9.0.
func adopting(t testing.TB) (h *house, port, id string) {
	t.Helper()
	w := newWorld(t)
	port = freePort(t)
	name := "homeassistant-" + strings.ToLower(rand.Text()[:6])
	h = homeHouse(w, port, "run_within: 3s", "adopt: "+name)
	id = w.foreign(name, w.home("0.9.0", port))
	testenv.Eventually(t, 10*time.Second, "the foreign one has written its version", func() bool {
		return strings.Contains(w.folder(), ".HA_VERSION=0.9.0|")
	})
	return h, port, id
}

// sick makes a version that overwrites the configuration and never gets well the channel's, well a good one.
func (w *world) sick(version, port string) {
	w.goodHome(version, port, "CORE_ILL=frontend", "CORE_WRITE=/config/configuration.yaml")
	w.release(version)
}

func (w *world) well(version, port string) {
	w.goodHome(version, port)
	w.release(version)
}

// ended waits until the last change is over and tells how it ended.
func (h *house) ended() string {
	h.t.Helper()
	testenv.Eventually(h.t, 30*time.Second, "the change ends", func() bool {
		list, err := h.client.Changes(h.t.Context())
		return err == nil && len(list.Changes) > 0 && list.Changes[0].Done
	})
	return h.lastChange().State
}

func TestAdoption(t *testing.T) {
	h, port, id := adopting(t)
	before, inside := h.standing(id), h.folder()
	if want := (standing{before.Name, "always", true}); before != want {
		t.Fatalf("the foreign one is %+v", before)
	}
	h.sick("1.0.0", port)
	h.start()
	if end := h.ended(); end != "rolled-back" {
		t.Errorf("it ended %s", end)
	}
	testenv.Eventually(t, 10*time.Second, "the foreign one runs as before", func() bool { return h.standing(id) == before })
	if got := h.folder(); got != inside {
		t.Errorf("folder %q, before %q", got, inside)
	}
	if got := h.containers(); len(got) != 0 {
		t.Errorf("containers are left: %+v", got)
	}

	h.well("1.1.0", port)
	h.castellan("check").says(t, 0)
	h.rest()
	h.runs(h.core, "1.1.0", "verified")
	if got, want := h.standing(id), (standing{before.Name + ".before-castellan", "no", false}); got != want {
		t.Errorf("the foreign one is %+v, want %+v", got, want)
	}
	if got, want := h.folder(), strings.Replace(inside, "0.9.0", "1.1.0", 1); got != want {
		t.Errorf("folder %q, want %q", got, want)
	}
	h.soundness()
}

// TestKillsDuringAnAdoption kills the daemon in each state of an adoption that ends ill, and of one that ends well. In
// the end one of the two runs, and at no time both.
func TestKillsDuringAnAdoption(t *testing.T) {
	h, port, id := adopting(t)
	before, inside := h.standing(id), h.folder()
	most := h.watchBoth(id)

	h.sick("1.0.0", port)
	h.killIn("1.0.0", "pulled", "created", "switched", "rolling-back")
	h.start()
	if end := h.ended(); end != "rolled-back" {
		t.Errorf("it ended %s", end)
	}
	testenv.Eventually(t, 10*time.Second, "the foreign one runs as before", func() bool { return h.standing(id) == before })
	if got := h.folder(); got != inside {
		t.Errorf("folder %q, before %q", got, inside)
	}

	h.well("1.1.0", port)
	h.castellan("check").says(t, 0)
	h.killIn("1.1.0", "created", "switched", "healthy")
	h.restart()
	h.runs(h.core, "1.1.0", "verified")
	if got, want := h.standing(id), (standing{before.Name + ".before-castellan", "no", false}); got != want {
		t.Errorf("the foreign one is %+v, want %+v", got, want)
	}
	h.soundness()
	if n := most(); n != 1 {
		t.Errorf("%d ran at the same time", n)
	}
}

// killIn runs the daemon once for each state and kills it when the change to a version is there, or further.
func (h *house) killIn(version string, states ...string) {
	h.t.Helper()
	order := []string{"planned", "resolved", "verified", "pulled", "created", "switched", "rolling-back", "healthy"}
	rank := func(state string) int {
		for i, s := range order {
			if s == state {
				return i
			}
		}
		return len(order)
	}
	hit := 0
	for _, want := range states {
		if h.daemon == nil || !h.daemon.running() {
			h.launch()
		}
		var got string
		for end := time.Now().Add(20 * time.Second); ; {
			list, err := h.client.Changes(h.t.Context())
			if err == nil && len(list.Changes) > 0 && list.Changes[0].To == version {
				if got = list.Changes[0].State; rank(got) >= rank(want) {
					break
				}
			}
			if time.Now().After(end) {
				h.t.Fatalf("the change does not get to %s: it is %q, %v\n%s", want, got, err, h.daemon.tail())
			}
			<-time.After(time.Millisecond)
		}
		h.daemon.kill()
		h.t.Logf("to be killed when %s, was killed when %s", want, got)
		if got == want {
			hit++
		}
	}
	if hit < len(states)/2 {
		h.t.Errorf("only %d kills came as they were to", hit)
	}
}

// watchBoth looks all the time how many of the foreign container and the house's run; see watchGenerations.
func (h *house) watchBoth(id string) (most func() int) {
	stop, out := make(chan struct{}), make(chan int, 1)
	go func() {
		seen := 0
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				out <- seen
				return
			case <-tick.C:
			}
			var list []container
			if h.ask("GET", "/containers/json", &list) != nil {
				continue
			}
			n := 0
			for _, c := range list {
				if c.running() && (c.ID == id || c.Labels["io.castellan.appliance"] == h.id) {
					n++
				}
			}
			seen = max(seen, n)
		}
	}()
	return func() int { close(stop); return <-out }
}
