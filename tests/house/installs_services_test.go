package house

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

// inside runs a verb of the sample app in the container of an add-on, with more variables of its environment.
func (h *house) inside(slug string, env []string, args ...string) string {
	h.t.Helper()
	line := []string{"-H", h.engine, "exec"}
	for _, e := range env {
		line = append(line, "-e", e)
	}
	a := run(h.t, nil, "docker", append(append(line, h.container("addon_"+slug).ID, "/app"), args...)...)
	if a.exit != 0 {
		h.t.Fatal(a)
	}
	return a.stdout
}

// supervisorAnswers waits until an add-on reaches the Supervisor: the address comes with the first add-on.
func (h *house) supervisorAnswers(slug string) {
	h.t.Helper()
	testenv.Eventually(h.t, 30*time.Second, slug+" reaches the supervisor", func() bool {
		return run(h.t, nil, "docker", "-H", h.engine, "exec", h.container("addon_"+slug).ID, "/app", "call", "http://supervisor/supervisor/ping").exit == 0
	})
}

// TestServicesOfAddons has one add-on offer what another uses, each with its own token, from inside its container; and
// looks at what an owner sees of one that runs.
func TestServicesOfAddons(t *testing.T) {
	h := storeHouse(t)
	for slug, more := range map[string]string{"broker": "services: [\"mqtt:provide\"]", "sensor": "services: [\"mqtt:want\"]", "other": "stdin: true"} {
		h.image(slug, "1.0", "APP_ECHO=1")
		h.addonConfig(slug, "1.0", more)
	}
	h.offers()
	for _, slug := range []string{"broker", "sensor", "other"} {
		h.castellan("addon", "install", "local_"+slug, "--start", "--yes").says(t, 0)
	}
	const mqtt = "http://supervisor/services/mqtt"
	const offer = `{"host":"local-broker","port":1883,"ssl":false,"protocol":"3.1.1","username":"u","password":"secret-of-broker"}`
	h.supervisorAnswers("local_broker")
	token := h.inside("local_sensor", nil, "read", "/proc/1/environ")
	_, token, _ = strings.Cut("\x00"+token, "\x00SUPERVISOR_TOKEN=")
	token, _, _ = strings.Cut(token, "\x00")

	for _, c := range []struct{ slug, body, says, word string }{
		{"local_sensor", "", "400 ", ""}, // nobody provides it yet
		{"local_other", "", "403 ", ""},
		{"local_sensor", offer, "403 ", ""}, // it may use it and not provide it
		{"local_broker", offer, "200 ", `"result":"ok"`},
		{"local_sensor", "", "200 ", "secret-of-broker"},
		{"local_other", "", "403 ", ""},
	} {
		args := []string{"call", mqtt}
		if c.body != "" {
			args = append(args, c.body)
		}
		got := h.inside(c.slug, nil, args...)
		if !strings.HasPrefix(got, c.says) || !strings.Contains(got, c.word) {
			t.Errorf("%s %q: %s, want %s%s", c.slug, c.body, got, c.says, c.word)
		}
		if c.says == "403 " && strings.Contains(got, "secret-of-broker") {
			t.Errorf("%s learns the password: %s", c.slug, got)
		}
	}

	h.castellan("addon", "uninstall", "local_sensor").says(t, 0)
	for _, bad := range []string{token, "", "x"} {
		if got := h.inside("local_broker", []string{"SUPERVISOR_TOKEN=" + bad}, "call", mqtt); !strings.HasPrefix(got, "401 ") {
			t.Errorf("token %q of an add-on that is gone: %s", bad, got)
		}
	}
	if got := h.inside("local_broker", nil, "call", mqtt); !strings.HasPrefix(got, "200 ") {
		t.Errorf("the provider itself: %s", got)
	}
	h.ownerSees("local_other")
}

// ownerSees writes to an add-on and reads what it says and uses.
func (h *house) ownerSees(slug string) {
	t := h.t
	t.Helper()
	file := h.path("followed")
	out, err := os.Create(file)
	must(t, err)
	defer out.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	follow := exec.CommandContext(ctx, bin(t, "castellan"), "addon", "logs", slug, "-f", "-n", "1")
	follow.Env, follow.Stdout = append(os.Environ(), "CASTELLAN_SOCKET="+h.settings.socket), out
	must(t, follow.Start())
	defer func() { cancel(); _ = follow.Wait() }() // it was ended
	say := func(word string) {
		cmd := exec.Command(bin(t, "castellan"), "addon", "stdin", slug)
		cmd.Env, cmd.Stdin = append(os.Environ(), "CASTELLAN_SOCKET="+h.settings.socket), strings.NewReader(word+"\n")
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("stdin: %v: %s", err, b)
		}
		testenv.Eventually(t, 20*time.Second, "the log followed says "+word, func() bool {
			b, _ := os.ReadFile(filepath.Clean(file)) // empty until it says something
			return strings.Contains(string(b), word)
		})
	}
	say("first-word")
	say("second-word")
	if a := h.castellan("addon", "logs", slug, "-n", "1"); a.exit != 0 || a.stdout != "second-word\n" {
		t.Errorf("the last line: %s", a)
	}
	h.castellan("addon", "logs", slug, "-n", "0").says(t, 2, "--lines 0")
	a := h.castellan("addon", "stats", slug, "--json")
	var stats api.AddonStats
	if err := json.Unmarshal([]byte(a.stdout), &stats); err != nil || stats.MemoryUsage <= 0 {
		t.Errorf("stats (%v): %s", err, a)
	}
	h.castellan("addon", "stdin", "local_broker").says(t, 2, "the standard input is empty")
}
