package house

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust"
)

const (
	coreToken   = "a-long-lived-token"
	coreProgram = "github.com/castellan/castellan/tests/testenv/core"
)

// homeHouse prepares a house whose core is Home Assistant, in a folder that somebody lives in. It listens on a port of
// its own, because houses share the host's network. more are further fields of home_assistant.
func homeHouse(w *world, port string, more ...string) *house {
	w.t.Helper()
	must(w.t, os.Mkdir(w.path("ha"), 0o755))
	must(w.t, os.WriteFile(w.path("ha", "configuration.yaml"), []byte("default_config:\n"), 0o644))
	must(w.t, os.WriteFile(w.path("core.token"), []byte(coreToken+"\n"), 0o600))
	fields := append([]string{"config: " + w.path("ha"), "port: " + port, "token_file: " + w.path("core.token")}, more...)
	return newHouse(w, withStore, func(s *settings) {
		s.home = "{" + strings.Join(fields, ", ") + "}"
		s.health = "{deadline: 4s}"
	})
}

// home pushes a version of Home Assistant that listens on a port. Nobody vouches for it.
func (w *world) home(version, port string, env ...string) testenv.Image {
	w.t.Helper()
	b := testenv.Build{Registry: w.registry.host, Repository: "house/core", Tag: version, Main: coreProgram, Env: map[string]string{
		"CORE_ADDR": ":" + port, "CORE_TOKEN": coreToken, "CORE_WRITE": "/config/.HA_VERSION", "APP_WORLD": w.dir,
	}}
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		b.Env[k] = v
	}
	return testenv.BuildImage(w.t, b)
}

// goodHome is home, and the publisher vouches for it.
func (w *world) goodHome(version, port string, env ...string) {
	w.t.Helper()
	w.cas("notarize", w.home(version, port, env...).Reference())
}

// folder is what lies in Home Assistant's configuration folder, with its content.
func (w *world) folder() string {
	w.t.Helper()
	list, err := os.ReadDir(w.path("ha"))
	must(w.t, err)
	var out []string
	for _, e := range list {
		b, err := os.ReadFile(w.path("ha", e.Name()))
		must(w.t, err)
		out = append(out, e.Name()+"="+string(b))
	}
	return strings.Join(out, "|")
}

// inspected is what the engine says of a container.
type inspected struct {
	ID         string `json:"Id"`
	Name       string
	State      struct{ Running bool }
	Config     struct{ Env []string }
	HostConfig struct {
		Privileged    bool
		NetworkMode   string
		OomScoreAdj   int
		Tmpfs         map[string]string
		RestartPolicy struct{ Name string }
	}
	Mounts []struct {
		Source, Destination string
		RW                  bool
	}
}

func (w *world) inspect(id string) (out inspected) {
	w.t.Helper()
	must(w.t, w.ask("GET", "/containers/"+id+"/json", &out))
	return out
}

// TestHomeAssistantUnderTheOwnersWord begins with a Home Assistant as it is today, that nobody vouches for but its owner,
// and updates it to a version that migrates its database for longer than it may take to answer.
func TestHomeAssistantUnderTheOwnersWord(t *testing.T) {
	w := newWorld(t)
	port := freePort(t)
	first := w.home("1.0.0", port, "CORE_STATES=STARTING:1s")
	w.releaseUnsigned("1.0.0")
	h := homeHouse(w, port, "run_within: 4s", "adopt: homeassistant-of-nobody")
	h.start()
	h.castellan("check")
	if got := h.containers(); len(got) != 0 {
		t.Fatalf("what nobody vouches for was let in: %+v", got)
	}
	h.castellan("trust", "house", "init").says(t, 0)
	h.castellan("trust", "house", "accept", "--channel", "stable", "--digest", w.channelDigest()).says(t, 0)
	h.castellan("check")
	testenv.Eventually(t, time.Minute, "the change is judged", func() bool { return h.service(h.core).Change == "" })
	h.castellan("trust", "house", "accept", h.core, "--version", "1.0.0").says(t, 0, string(first.Manifest))
	h.castellan("check")
	h.rest()
	h.runs(h.core, "1.0.0", "verified")
	h.asItsSupervisorRunsIt(port)

	w.home("1.1.0", port, "CORE_STATES=STARTING:1s,MIGRATING:6s")
	h.castellan("update", h.core, "--to", "1.1.0").says(t, 4)
	h.runs(h.core, "1.0.0", "verified")
	h.castellan("trust", "house", "accept", h.core, "--version", "1.1.0").says(t, 0)
	began := time.Now()
	h.change(0, "update", h.core, "--to", "1.1.0")
	if took := time.Since(began); took < 7*time.Second {
		t.Errorf("healthy after %s, in the middle of its migration", took)
	}
	h.runs(h.core, "1.1.0", "verified")
	if p := h.service(h.core).Publisher; p != "you" {
		t.Errorf("publisher %q, want you", p)
	}
	if got := w.folder(); got != ".HA_VERSION=1.1.0|configuration.yaml=default_config:\n" {
		t.Errorf("folder %q", got)
	}
	h.soundness()
}

// asItsSupervisorRunsIt looks at the container of core.
func (h *house) asItsSupervisorRunsIt(port string) {
	h.t.Helper()
	c := h.inspect(h.container(h.core).ID)
	if !c.HostConfig.Privileged || c.HostConfig.NetworkMode != "host" || c.HostConfig.OomScoreAdj != -300 {
		h.t.Errorf("rights %+v", c.HostConfig)
	}
	if _, ok := c.HostConfig.Tmpfs["/tmp"]; !ok {
		h.t.Errorf("tmpfs %v", c.HostConfig.Tmpfs)
	}
	api := strings.Replace(h.subnet(), ".0/24", ".2", 1)
	for _, want := range []string{"SUPERVISOR=" + api, "HASSIO=" + api} {
		if !slices.Contains(c.Config.Env, want) {
			h.t.Errorf("environment lacks %s: %q", want, c.Config.Env)
		}
	}
	mounts := map[string]string{}
	for _, m := range c.Mounts {
		mounts[m.Destination] = fmt.Sprintf("%s %v", m.Source, m.RW)
	}
	shared := h.path("data", "addons")
	for target, want := range map[string]string{
		"/config": h.path("ha") + " true", "/ssl": shared + "/ssl false", "/share": shared + "/share true", "/media": shared + "/media true", "/dev": "/dev false",
	} {
		if mounts[target] != want {
			h.t.Errorf("%s is %q, want %q", target, mounts[target], want)
		}
	}
}

// TestSickHomeAssistantGivesItsFolderBack updates to versions that overwrite the configuration and never get well.
func TestSickHomeAssistantGivesItsFolderBack(t *testing.T) {
	w := newWorld(t)
	port := freePort(t)
	w.goodHome("1.0.0", port)
	w.release("1.0.0")
	h := homeHouse(w, port, "run_within: 4s")
	h.begin()
	before, inside := h.picture(), w.folder()
	for _, row := range []struct{ version, env, why string }{
		{"1.1.0", "CORE_ILL=frontend", "its page: status 502"},
		{"1.2.0", "CORE_ILL=websocket", "its websocket: status 401"},
		{"1.3.0", "CORE_ILL=components", "its component frontend is not loaded"},
	} {
		w.goodHome(row.version, port, row.env, "CORE_WRITE=/config/configuration.yaml") // it writes before it answers
		c := h.change(1, "update", h.core, "--to", row.version)
		if c.State != "rolled-back" || !strings.Contains(c.Why, row.why) {
			t.Errorf("%s: %s; want rolled-back, %s", c.State, c.Why, row.why)
		}
		h.rest()
		h.runs(h.core, "1.0.0", "verified")
		if got := h.picture(); got != before {
			t.Errorf("%s: containers\n%s\nbefore\n%s", row.env, got, before)
		}
		if got := w.folder(); got != inside {
			t.Errorf("%s: folder %q, before %q", row.env, got, inside)
		}
	}
	h.soundness()
}

// releaseUnsigned is release by somebody whom the appliance does not know.
func (w *world) releaseUnsigned(version string) {
	w.t.Helper()
	b, err := json.Marshal(w.channelFile(version))
	must(w.t, err)
	must(w.t, os.WriteFile(w.path("web", "stable.json"), b, 0o644))
}

func (w *world) channelDigest() string {
	w.t.Helper()
	b, err := os.ReadFile(w.path("web", "stable.json"))
	must(w.t, err)
	return string(trust.DigestOf(b))
}
