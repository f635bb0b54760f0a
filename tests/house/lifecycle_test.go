package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust/trusttest"
)

// TestOneDaemonPerDataFolder starts a second daemon beside the first: on its data folder, and on its socket.
func TestOneDaemonPerDataFolder(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	for _, c := range []struct{ name, old, new, says string }{
		{"same folder", "socket: " + h.settings.socket, "socket: " + h.path("s2"), "another castellan runs on data_dir " + h.path("data")},
		{"same socket", "data_dir: " + h.path("data"), "data_dir: " + h.path("data2"), "another program answers there"},
	} {
		text := strings.Replace(h.config(), c.old, c.new, 1)
		text = strings.Replace(text, h.loopback(), strings.TrimPrefix(trusttest.Nowhere(t), "http://"), 1)
		must(t, os.WriteFile(h.path("second.yaml"), []byte(text), 0o600))
		run(t, nil, bin(t, "castellan"), "run", "--config", h.path("second.yaml")).says(t, 1, c.says)
		h.runs(h.core, "1.0.0", "verified")
	}
	h.soundness()
}

// TestCleanShutdown ends the daemon while a change is under way and while a client watches it. It ends in time, the
// containers run on, the socket is gone, and the change goes on at the next start.
func TestCleanShutdown(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.core("1.1.0", "APP_ILL=1")
	w.release("1.0.0")
	h := newHouse(w, func(s *settings) {
		s.health = `{deadline: 8s, checks: [{name: frontend, http: {url: "http://:8080/health"}, period: 30ms, successes: 2}]}`
	})
	h.begin()
	h.castellan("update", h.core, "--to", "1.1.0", "--detach").says(t, 0, "accepted")
	testenv.Eventually(t, 20*time.Second, "the new version is on probation", func() bool { return h.lastChange().State == "switched" })
	before := h.picture()
	took, code := h.daemon.stop(t)
	if took > 10*time.Second || code != 0 {
		t.Errorf("it ended with %d after %s:\n%s", code, took, h.daemon.tail())
	}
	t.Logf("ended after %s", took.Round(time.Millisecond))
	if _, err := os.Stat(h.settings.socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
	if now := h.picture(); now != before {
		t.Errorf("the containers changed with the daemon's end:\n%s\n%s", before, now)
	}
	h.castellan("status").says(t, 5, "not reachable", "Next: ")
	h.castellan("version").says(t, 0, "not running")
	h.restart()
	if c := h.lastChange(); c.State != "rolled-back" {
		t.Errorf("the change ended %s", c.State)
	}
	h.runs(h.core, "1.0.0", "verified")
	h.soundness()
}

// TestLostState takes away one file after the other that an initialised appliance must find. None of them is made anew
// in silence: the daemon does not start, and says what is missing and what to do. What runs goes on, and with the file
// back the house is as before.
func TestLostState(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	before := h.picture()
	for _, c := range []struct {
		file string
		says []string
	}{
		{"trust.json", []string{"trust.json", "reinit"}},
		{"ledger/head", []string{"ledger", "reinit"}},
		{"journal.db", []string{"journal.db", "restore a backup", "reinit"}},
		{"log/device.key", []string{"device.key", "restore"}},
	} {
		t.Run(c.file, func(t *testing.T) {
			h.daemon.kill()
			must(t, os.Rename(h.path("data", c.file), h.path("taken")))
			before := tree(t, h.path("data"))
			p := h.launch()
			if code := p.wait(t, 30*time.Second); code != 1 {
				t.Errorf("exit code %d", code)
			}
			said := p.tail()
			said = said[strings.LastIndex(said, "castellan: "):]
			for _, word := range c.says {
				if !strings.Contains(said, word) {
					t.Errorf("it does not say %q: %s", word, said)
				}
			}
			if after := tree(t, h.path("data")); after != before {
				t.Errorf("the data folder changed from\n%s\nto\n%s", before, after)
			}
			must(t, os.Rename(h.path("taken"), h.path("data", c.file)))
			h.restart()
			h.soundness()
		})
	}
	if now := h.picture(); now != before {
		t.Errorf("the containers changed:\n%s\n%s", before, now)
	}
}

// TestReinitIsSaidAloud begins anew where trust state was lost: only when it is asked for, only what is missing, and on
// record.
func TestReinitIsSaidAloud(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	config := []string{"--config", h.path("castellan.yaml")}
	h.castellan(append([]string{"trust", "reinit", "--yes"}, config...)...).says(t, 1, "the daemon runs")
	h.daemon.kill()
	h.castellan(append([]string{"trust", "reinit", "--yes"}, config...)...).says(t, 3, "nothing is missing")
	must(t, os.Remove(h.path("data", "trust.json")))
	must(t, os.Remove(h.path("data", "ledger", "head")))
	must(t, os.Remove(h.path("data", "journal.db")))
	h.castellan(append([]string{"trust", "reinit"}, config...)...).says(t, 2, "--yes")
	h.castellan(append([]string{"trust", "reinit", "--yes"}, config...)...).says(t, 0, "trust.json", "ledger/head", "journal.db")
	h.restart()
	h.soundness()
	if n := len(h.records("recovered")); n != 1 {
		t.Errorf("%d records of it in the log, want 1", n)
	}
	w.core("1.1.0")
	h.change(0, "update", h.core, "--to", "1.1.0")
	h.runs(h.core, "1.1.0", "verified")

	// A log that nobody can sign any more is kept as it is, beside a new one.
	h.daemon.kill()
	must(t, os.Remove(h.path("data", "log", "device.key")))
	h.castellan(append([]string{"trust", "reinit", "--yes"}, config...)...).says(t, 0, "log/device.key")
	h.restart()
	h.castellan("log", "verify").says(t, 0, "chain good")
	kept, err := filepath.Glob(h.path("data", "log.until-*"))
	must(t, err)
	h.castellan(append([]string{"log", "verify"}, kept...)...).says(t, 0, "chain good")
	h.runs(h.core, "1.1.0", "verified")
}

// TestEngineRestart kills the engine in the middle of an update, and stops it in good order in the middle of another.
// Each ends with one generation running.
func TestEngineRestart(t *testing.T) {
	engine := testenv.PrivateEngine(t)
	w := newWorldOn(t, engine.Host)
	w.core("1.0.0")
	w.core("1.1.0")
	w.core("1.2.0", ill)
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	for _, c := range []struct {
		name, to string
		at       string // state of the change when the engine goes
		end      func()
		state    string // the change ends so
	}{
		{"killed at the switch", "1.1.0", "created", engine.Kill, "committed"},
		{"killed on probation", "1.2.0", "switched", engine.Kill, "rolled-back"},
		{"stopped on probation", "1.2.0", "switched", engine.Stop, "rolled-back"},
		{"power cut on probation", "1.2.0", "switched", engine.PowerCut, "rolled-back"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.castellan("update", h.core, "--to", c.to, "--detach").says(t, 0)
			testenv.Eventually(t, 20*time.Second, "the change is "+c.at, func() bool {
				s := h.lastChange()
				return s.State == c.at || s.Done
			})
			c.end()
			if st := h.status(); st.Engine.Error == "" {
				t.Error("status does not say that the engine is away")
			}
			engine.Start()
			testenv.Eventually(t, 2*time.Minute, "the change has ended", func() bool { return h.lastChange().Done })
			if last := h.lastChange(); last.State != c.state && last.State != "committed" {
				t.Errorf("the change ended %s: %s", last.State, last.Why)
			}
			h.soundness()
		})
	}
}

// tree lists the files of a folder but for the replica's index, which is made anew from the ledger at any time.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var out strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if !strings.HasSuffix(path, "/ledger/index") {
			out.WriteString(path + "\n")
		}
		return err
	}))
	return out.String()
}
