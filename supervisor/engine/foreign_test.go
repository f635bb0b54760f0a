package engine

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/google/go-cmp/cmp"
)

// theirs makes a container that is nobody's.
func (h *house) theirs(name string, cfg container.Config, host container.HostConfig) string {
	h.t.Helper()
	img, _ := h.pulled(testenv.Build{}, "theirs")
	cfg.Image = string(img.ID)
	made, err := h.docker().ContainerCreate(h.t.Context(), &cfg, &host, nil, nil, name)
	h.must(err)
	h.t.Cleanup(func() {
		_ = h.docker().ContainerRemove(h.t.Context(), made.ID, container.RemoveOptions{Force: true})
	})
	return made.ID
}

// state is what of a foreign container must be as before.
type state struct {
	Name    string
	Running bool
	Restart container.RestartPolicy
}

func (h *house) state(id string) state {
	h.t.Helper()
	r, err := h.docker().ContainerInspect(h.t.Context(), id)
	h.must(err)
	return state{r.Name, r.State.Running, r.HostConfig.RestartPolicy}
}

func TestAForeignContainerIsHeldAsideAndGivenBack(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	always := container.RestartPolicy{Name: "always"}
	id := h.theirs("homeassistant", container.Config{Env: []string{"SECRET=abc"}}, container.HostConfig{
		RestartPolicy: always, NetworkMode: "host",
		Mounts: []mount.Mount{{Type: "bind", Source: "/tmp", Target: "/config", ReadOnly: true}},
	})
	h.must(h.docker().ContainerStart(t.Context(), id, container.StartOptions{}))
	f, err := h.Inspect(t.Context(), "homeassistant")
	h.must(err)
	want := Foreign{
		Aside: Aside{ID: id, Name: "homeassistant", Restart: "always", Running: true}, Image: f.Image, Network: "host",
		Mounts: []ForeignMount{{Source: "/tmp", Target: "/config", ReadOnly: true}}, Env: []string{"APP_VERSION", "SECRET", "TEST"},
	}
	if diff := cmp.Diff(want, f); diff != "" || !strings.HasPrefix(f.Image, "sha256:") {
		t.Errorf("%s, image %q", diff, f.Image)
	}
	text, err := json.Marshal(f.Aside) // as a journal has it
	h.must(err)
	var a Aside
	h.must(json.Unmarshal(text, &a))

	before := h.state(id)
	aside := state{"/homeassistant.before-castellan", false, container.RestartPolicy{Name: "no"}}
	// Each row is where a cut left the container: what runs next finishes the way there or back.
	cuts := map[string]func(){
		"not begun":      func() {},
		"policy changed": func() { h.must(restartPolicyOf(h, id, "no")) },
		"stopped": func() {
			h.must(restartPolicyOf(h, id, "no"))
			h.must(h.docker().ContainerStop(t.Context(), id, container.StopOptions{}))
		},
	}
	for cut, leave := range cuts {
		for way, do := range map[string]func() (state, error){
			"hold": func() (state, error) { return aside, h.HoldAside(t.Context(), a) },
			"give": func() (state, error) { return before, h.GiveBack(t.Context(), a) },
		} {
			leave()
			for range 2 {
				want, err := do()
				if got := h.state(id); err != nil || got != want {
					t.Errorf("%s after %s: %+v, want %+v; %v", way, cut, got, want, err)
				}
			}
			h.must(h.GiveBack(t.Context(), a))
			if got := h.state(id); got != before {
				t.Errorf("given back: %+v, want %+v", got, before)
			}
		}
	}
}

func restartPolicyOf(h *house, id string, policy container.RestartPolicyMode) error {
	_, err := h.docker().ContainerUpdate(h.t.Context(), id, container.UpdateConfig{RestartPolicy: container.RestartPolicy{Name: policy}})
	return err
}

func TestAStoppedOneWithRetriesComesBackStopped(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	id := h.theirs("mqtt", container.Config{}, container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3}})
	before := h.state(id)
	f, err := h.Inspect(t.Context(), "mqtt")
	h.must(err)
	h.must(h.HoldAside(t.Context(), f.Aside))
	// Its name is free, and taken by somebody: giving back says so and loses nothing.
	other := h.theirs("mqtt", container.Config{}, container.HostConfig{})
	if err := h.GiveBack(t.Context(), f.Aside); err == nil || !strings.Contains(err.Error(), "another container is called mqtt") {
		t.Errorf("got %v", err)
	}
	h.must(h.docker().ContainerRemove(t.Context(), other, container.RemoveOptions{}))
	h.must(h.GiveBack(t.Context(), f.Aside))
	if got := h.state(id); got != before {
		t.Errorf("given back: %+v, want %+v", got, before)
	}
}

func TestAContainerThatItsOwnerRemoved(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	id := h.theirs("gone", container.Config{}, container.HostConfig{})
	a, ok, err := h.Foreign(t.Context(), "gone")
	if err != nil || !ok || a.ID != id {
		t.Errorf("found: %+v, %v, %v", a, ok, err)
	}
	h.must(h.docker().ContainerRemove(t.Context(), id, container.RemoveOptions{}))
	if _, ok, err := h.Foreign(t.Context(), "gone"); ok || err != nil {
		t.Errorf("found after its removal: %v, %v", ok, err)
	}
	h.must(h.HoldAside(t.Context(), a))
	h.must(h.GiveBack(t.Context(), a))
}

func TestContainersThatAreNotHeldAside(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	ours := h.running(permit, img, "c1", spec.Container{})
	next := h.theirs("next-door", container.Config{Labels: map[string]string{supervisor.LabelHouse: "other"}}, container.HostConfig{})
	fleeting := h.theirs("fleeting", container.Config{}, container.HostConfig{AutoRemove: true})
	h.must(h.docker().ContainerStart(t.Context(), fleeting, container.StartOptions{}))
	moved := h.theirs("moved", container.Config{}, container.HostConfig{})
	for name, a := range map[string]Aside{
		"ours":       {ID: ours.ID, Name: ours.Name, Restart: "no"},
		"another's":  {ID: next, Name: "next-door", Restart: "no"},
		"with --rm":  {ID: fleeting, Name: "fleeting", Restart: "no"},
		"renamed":    {ID: moved, Name: "earlier", Restart: "no"},
		"short ID":   {ID: moved[:12], Name: "moved", Restart: "no"},
		"no policy":  {ID: moved, Name: "moved"},
		"held twice": {ID: moved, Name: "moved.before-castellan", Restart: "no"},
	} {
		if err := h.HoldAside(t.Context(), a); err == nil || len(a.ID) == 64 && a.Restart != "" && name != "held twice" && !errors.Is(err, supervisor.ErrNotPermitted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{ours.Name, "next-door"} {
		if _, err := h.Inspect(t.Context(), name); !errors.Is(err, supervisor.ErrNotPermitted) {
			t.Errorf("inspect %s: %v", name, err)
		}
	}
	if !h.look(ours.ID).Running || !h.state(fleeting).Running {
		t.Error("what is refused was stopped all the same")
	}
}
