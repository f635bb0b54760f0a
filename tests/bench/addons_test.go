//go:build bench

package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

// An appliance with a large store and many add-ons.
const offered, installed = 1000, 30

// rounds of starts, in half of which the engine has its turn first; and samples of memory.
const rounds, samples = 6, 20

// BenchmarkAddons is what a daemon with 1,000 add-ons in its store and 30 of them running holds in memory, and how long it
// takes from its start until those 30 run again, in start-up order, beside what the engine needs for the same containers
// all at once. Medians of all rounds are reported; of memory the highest of samples a second apart, half-way through which
// all add-ons are listed and a turn is asked for.
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
		time.Sleep(settle) // "at rest" is this long after the last command
		mb := h.memory()
		for i := range samples {
			if i == samples/2 {
				began := time.Now()
				h.castellan("addon", "list", "--all", "--json")
				b.ReportMetric(ms(time.Since(began)), "list-ms")
				h.castellan("check")
			}
			time.Sleep(time.Second) // between two samples
			for name, now := range h.memory() {
				mb[name] = max(mb[name], now)
			}
		}
		b.ReportMetric(mb["VmRSS"], "rss-MB")
		b.ReportMetric(mb["RssAnon"], "own-MB")
		b.ReportMetric(mb["VmHWM"], "peak-MB")

		var firsts, ours, engines []time.Duration
		var ratios []float64
		for i := range rounds {
			var first, own, engine time.Duration
			if i%2 == 0 {
				engine = h.engineStarts()
				first, own = h.daemonStarts()
			} else {
				first, own = h.daemonStarts()
				engine = h.engineStarts()
			}
			b.Logf("round %d: castellan %s, of that %s until the first, engine %s", i+1, own, first, engine)
			firsts, ours, engines = append(firsts, first), append(ours, own), append(engines, engine)
			ratios = append(ratios, float64(own)/float64(engine))
		}
		b.ReportMetric(ms(middle(firsts)), "first-ms")
		b.ReportMetric(ms(middle(ours)), "start-ms")
		b.ReportMetric(ms(middle(engines)), "engine-ms")
		b.ReportMetric(float64(middle(ours))/float64(middle(engines)), "ratio")
		b.ReportMetric(slices.Min(ratios), "ratio-least")
		b.ReportMetric(slices.Max(ratios), "ratio-most")
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// middle is the median; of an even number the mean of the two in the middle.
func middle(times []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(times))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// engineStarts is how long the engine alone needs for all containers at the same time, after a cut of the power: until it
// says the last one was started.
func (h *house) engineStarts() time.Duration {
	h.Helper()
	h.powerCut()
	began := time.Now()
	h.each(h.startRaw)
	_, all := span(h.starts(began))
	return all.Sub(began)
}

// daemonStarts is how long it takes from the daemon's start until the engine says the first and the last add-on was
// started, after a cut of the power. It returns when the daemon is done with its start, its first turn included.
func (h *house) daemonStarts() (one, all time.Duration) {
	h.Helper()
	h.powerCut()
	began := time.Now()
	h.daemon = h.start("castellan", "run", "--config", h.path("castellan.yaml"))
	h.allRun()
	starts := h.starts(began)
	h.inOrder(starts)
	first, last := span(starts)
	testenv.Eventually(h, time.Minute, "the daemon is done with its start", func() bool {
		var list api.AddonList
		out, err := h.command("castellan", "addon", "list", "--json").Output()
		if err != nil || json.Unmarshal(out, &list) != nil || len(list.Addons) != installed {
			return false
		}
		return !slices.ContainsFunc(list.Addons, func(a api.Addon) bool { return a.State != "running" })
	})
	h.castellan("check") // a turn of its own, which comes after the first
	return first.Sub(began), last.Sub(began)
}

// stages are the start-up stages in their order; add-ons take turns in them.
var stages = []string{"initialize", "system", "services", "application"}

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
	startup := stages[i%len(stages)]
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

// powerCut is one as far as containers go: they end at once, no daemon runs, and the engine starts none of them.
func (h *house) powerCut() {
	h.Helper()
	h.stop(h.daemon)
	h.each(func(id string) { h.engine("POST", "/containers/"+id+"/stop?t=0", nil, nil) })
	if n := len(h.running()); n != 0 {
		h.Fatalf("%d containers run after the power was cut", n)
	}
}

// running counts the containers that run, by their service.
func (h *house) running() map[string]int {
	h.Helper()
	var list []struct{ Labels map[string]string }
	h.engine("GET", "/containers/json?filters="+url.QueryEscape(`{"label":["io.castellan.appliance=castellan-bench"]}`), nil, &list)
	out := map[string]int{}
	for _, c := range list {
		out[c.Labels["io.castellan.service"]]++
	}
	return out
}

// allRun waits until each add-on that is installed has one container that runs. It asks seldom: the engine has other work.
func (h *house) allRun() {
	h.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(250 * time.Millisecond) {
		now, all := h.running(), true
		for i := range installed {
			all = all && now["addon_"+slug(i)] == 1
		}
		if all && len(now) == installed {
			return
		}
		if time.Now().After(end) {
			h.Fatalf("not within a minute: all run; %v do", now)
		}
	}
}

// starts is when the engine started each add-on, which must be since a round began.
func (h *house) starts(began time.Time) map[int]time.Time {
	h.Helper()
	out := map[int]time.Time{}
	for _, c := range h.addonContainers() {
		var is struct {
			Config struct{ Labels map[string]string }
			State  struct{ StartedAt time.Time }
		}
		h.engine("GET", "/containers/"+c.ID+"/json", nil, &is)
		var n int
		if _, err := fmt.Sscanf(is.Config.Labels["io.castellan.service"], "addon_local_app%03d", &n); err != nil {
			h.Fatalf("a container of %q: %v", is.Config.Labels["io.castellan.service"], err)
		}
		if out[n] = is.State.StartedAt; out[n].Before(began) {
			h.Fatalf("%s was started at %s, before the round began at %s", slug(n), out[n], began)
		}
	}
	if len(out) != installed {
		h.Fatalf("%d add-ons were started, want %d", len(out), installed)
	}
	return out
}

func span(starts map[int]time.Time) (first, last time.Time) {
	all := slices.SortedFunc(maps.Values(starts), time.Time.Compare)
	return all[0], all[len(all)-1]
}

// inOrder fails the benchmark unless no add-on was started before all those of the stages before its own were.
func (h *house) inOrder(starts map[int]time.Time) {
	h.Helper()
	of := make([]map[int]time.Time, len(stages))
	for n, at := range starts {
		if of[n%len(stages)] == nil {
			of[n%len(stages)] = map[int]time.Time{}
		}
		of[n%len(stages)][n] = at
	}
	for i := 1; i < len(stages); i++ {
		_, before := span(of[i-1])
		if first, _ := span(of[i]); first.Before(before) {
			h.Fatalf("stage %s began at %s, before the last of stage %s was started at %s", stages[i], first, stages[i-1], before)
		}
	}
}
