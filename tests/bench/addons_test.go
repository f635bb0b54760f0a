//go:build bench

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

// An appliance with a large store and many add-ons.
const offered, installed = 1000, 30

// BenchmarkAddons is what a daemon with 1,000 add-ons in its store and 30 of them running holds in memory, and how long it
// takes from its start until those 30 run again, in start-up order, beside what the engine needs for the same containers
// all at once.
func BenchmarkAddons(b *testing.B) {
	const settle = 20 * time.Second
	h := newHouse(b, itself)
	h.image("1.0")
	h.configureAddons()
	for i := range offered {
		h.offer(i)
	}
	for b.Loop() {
		h.runAddons()
		for i := range installed {
			h.castellan("addon", "install", slug(i), "--start", "--yes")
		}
		time.Sleep(settle)
		mb := h.memory()
		b.ReportMetric(mb["VmRSS"], "rss-MB")
		b.ReportMetric(mb["RssAnon"], "own-MB")
		b.ReportMetric(mb["VmHWM"], "peak-MB")

		began := time.Now()
		h.castellan("addon", "list", "--all", "--json")
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "list-ms")

		var ours, engines time.Duration
		for range 3 {
			h.stop(h.daemon)
			h.stopAll()
			engines = least(engines, h.startAll())
			h.stopAll()
			began := time.Now()
			h.daemon = h.start("castellan", "run", "--config", h.path("castellan.yaml"))
			h.allRun()
			ours = least(ours, time.Since(began))
			time.Sleep(2 * time.Second) // the daemon has more to do at its start
		}
		b.ReportMetric(float64(ours.Milliseconds()), "start-ms")
		b.ReportMetric(float64(engines.Milliseconds()), "engine-ms")
		b.ReportMetric(float64(ours)/float64(engines), "ratio")
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

func least(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

func slug(i int) string { return fmt.Sprintf("local_app%03d", i) }

// configureAddons writes a configuration without services.
func (h *house) configureAddons() {
	h.configure("")
	text, err := os.ReadFile(h.path("castellan.yaml"))
	h.must(err)
	more := "services: []\naddons: {builtins: [local], settle: 300ms, network: {name: bench-addons, subnet: 10.99.0.0/24}}\n"
	h.must(os.WriteFile(h.path("castellan.yaml"), []byte(strings.Replace(string(text), "services:\n", more, 1)), 0o644))
}

// offer puts an add-on of usual size into the folder of local ones.
func (h *house) offer(i int) {
	dir := filepath.Join(h.path("state"), "addons", "local", fmt.Sprint("folder", i))
	h.must(os.MkdirAll(filepath.Join(dir, "translations"), 0o755))
	startup := []string{"initialize", "system", "services", "application"}[i%4]
	text := fmt.Sprintf("name: Application %[1]d\nversion: \"1.0\"\nslug: app%03[1]d\ndescription: An add-on of usual length, which does what add-ons do\n"+
		"url: https://example.org/addons/app%[1]d\narch: [amd64, aarch64]\nimage: %[2]s/app\nstartup: %[3]s\nmap: [ssl, all_app_configs]\n"+
		"ports: {8080/tcp: null}\noptions:\n  logins: []\n  level: info\n  certfile: fullchain.pem\nschema:\n  logins:\n    - username: str\n      password: password\n"+
		"  level: list(trace|debug|info|notice|warning|error|fatal)?\n  certfile: str\n", i, h.registry, startup)
	h.must(os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o644))
	h.must(os.WriteFile(filepath.Join(dir, "translations", "en.yaml"), []byte("configuration:\n  level: {name: Level, description: How much it says}\n"), 0o644))
	h.must(os.WriteFile(filepath.Join(dir, "CHANGELOG.md"), []byte(strings.Repeat("## 1.0\n\n- It does more.\n", 100)), 0o644))
}

// runAddons starts the daemon and waits until the store is there.
func (h *house) runAddons() {
	h.Helper()
	h.daemon = h.start("castellan", "run", "--config", h.path("castellan.yaml"))
	testenv.Eventually(h, time.Minute, "the store is there", func() bool {
		out, err := h.command("castellan", "addon", "list", "--all", "--json").Output()
		return err == nil && strings.Count(string(out), `"slug"`) == offered
	})
	var list api.AddonList
	h.read(h.castellan("addon", "list", "--all", "--json"), &list)
	if len(list.Addons) != offered {
		h.Fatalf("%d add-ons are offered", len(list.Addons))
	}
}

func (h *house) addonContainers() []listed {
	return h.containers("io.castellan.appliance=castellan-bench")
}

// each does something with all containers at the same time.
func (h *house) each(do func(id string)) {
	var wg sync.WaitGroup
	for _, c := range h.addonContainers() {
		wg.Go(func() { do(c.ID) })
	}
	wg.Wait()
}

// stopAll is a cut of the power as far as containers go: they end at once, and the engine starts none of them.
func (h *house) stopAll() {
	h.each(func(id string) { h.engine("POST", "/containers/"+id+"/stop?t=0", nil, nil) })
}

// startAll is the engine alone.
func (h *house) startAll() time.Duration {
	began := time.Now()
	h.each(h.startRaw)
	return time.Since(began)
}

func (h *house) allRun() {
	h.Helper()
	testenv.Eventually(h, time.Minute, "all run", func() bool {
		var running []listed
		h.engine("GET", "/containers/json?filters=%7B%22label%22%3A%5B%22io.castellan.appliance%3Dcastellan-bench%22%5D%7D", nil, &running)
		return len(running) == installed
	})
}
