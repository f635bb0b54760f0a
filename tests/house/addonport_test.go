package house

import (
	"context"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/engine"
	"github.com/castellan/castellan/tests/testenv"
)

// portHouse is a house with an add-on that takes port 80 of the host, as a web proxy does, and one that calls the
// supervisor, which answers on port 80 too.
func portHouse(t testing.TB, w *world) *house {
	t.Helper()
	w.core("2026.11.1")
	w.release("2026.11.1")
	w.image("proxy", "1.0")
	w.image("caller", "1.0")
	h := newHouse(w, withStore)
	h.addonConfig("proxy", "1.0", `ports: {"8080/tcp": 80}`)
	h.addonConfig("caller", "1.0")
	h.begin()
	return h
}

// bothAnswer waits until each of the two add-ons runs and does what it is there for.
func (h *house) bothAnswer(when string) {
	h.t.Helper()
	h.addonIs("local_proxy", "1.0", "running", "unsigned")
	h.addonIs("local_caller", "1.0", "running", "unsigned")
	inside, err := engine.New(engine.Config{Host: h.engine, House: h.id})
	must(h.t, err)
	defer inside.Close()
	testenv.Eventually(h.t, 90*time.Second, when+": the supervisor answers inside the add-on", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		c, err := h.running("addon_local_caller")
		if err != nil {
			return false
		}
		exit, _, err := inside.Exec(ctx, c.ID, []string{"/app", "get", "http://supervisor/supervisor/ping"})
		return err == nil && exit == 0
	})
	var last error
	defer func() {
		if h.t.Failed() {
			list, err := h.list()
			h.t.Logf("on port 80: %v; containers: %+v, %v; sockets:\n%s", last, list, err, output("ss", "-ltnp"))
		}
	}()
	c := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	// What could not start, since the killed engine's proxy still held the port, is looked at again within half a minute.
	testenv.Eventually(h.t, 90*time.Second, when+": the add-on answers on port 80 of the host", func() bool {
		resp, err := c.Get("http://" + testenv.HostIP + "/health")
		if last = err; err != nil {
			return false
		}
		_ = resp.Body.Close() // only the status is of interest
		return resp.StatusCode == http.StatusOK
	})
}

// output is what a program says, for whoever finds out why a test failed.
func output(name string, args ...string) string {
	b, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// TestAddonMayHavePort80: in either order, an add-on with port 80 and the API for add-ons start beside each other, and
// still do after the daemon was killed.
func TestAddonMayHavePort80(t *testing.T) {
	h := portHouse(t, newWorld(t))
	h.castellan("addon", "install", "local_caller", "--yes").says(t, 0)
	h.castellan("addon", "start", "local_caller").says(t, 0)
	h.castellan("addon", "install", "local_proxy", "--yes").says(t, 0)
	h.castellan("addon", "start", "local_proxy").says(t, 0)
	h.bothAnswer("the API first")
	h.daemon.kill()
	h.restart()
	h.bothAnswer("the add-on first")
}

// TestAddonMayHavePort80AfterTheEngineRestarted: also when the engine had to make the bridge anew.
func TestAddonMayHavePort80AfterTheEngineRestarted(t *testing.T) {
	e := testenv.PrivateEngine(t)
	h := portHouse(t, newWorldOn(t, e.Host))
	// What an engine allows on its bridges; this one has no rules of its own, but those of the engine beside it hold.
	rule := []string{"FORWARD", "-i", h.bridge(), "-o", h.bridge(), "-j", "ACCEPT"}
	must(t, exec.Command("iptables", append([]string{"-I"}, rule...)...).Run())
	t.Cleanup(func() { must(t, exec.Command("iptables", append([]string{"-D"}, rule...)...).Run()) })
	for _, slug := range []string{"local_proxy", "local_caller"} {
		h.castellan("addon", "install", slug, "--yes").says(t, 0)
		h.castellan("addon", "start", slug).says(t, 0)
	}
	h.bothAnswer("at first")
	e.Kill()
	e.Start()
	h.bothAnswer("the engine was killed")
	e.Stop()
	must(t, exec.Command("ip", "link", "delete", h.bridge()).Run())
	e.Start()
	h.bothAnswer("the bridge is a new one")
}
