//go:build bench

package bench

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

// BenchmarkSwitch measures how long a service is away while its container is replaced by one of another image
// ([testenv.Outage]). The service stops at once on SIGTERM. Every way to switch takes its turn in every iteration, so
// that they share the machine's moods; the medians and their ratios are reported.
//
//	castellan  `castellan rollback`: the whole daemon, which goes back and forth between two versions
//	naive      stop, remove, create, start through the engine's API
//	compose    docker compose up -d, where it is installed
//	floor      the new container created before; stop and start through the engine's API, nothing else
func BenchmarkSwitch(b *testing.B) {
	b.Run("bridge", func(b *testing.B) { benchSwitch(b, false) })
	b.Run("host", func(b *testing.B) { benchSwitch(b, true) })
}

const (
	ownPort = "18080" // Castellan's service; the others take turns on the next one
	rawPort = "18081"
)

// contest is the ways to switch on one network.
type contest struct {
	*house
	onHost  bool
	images  [2]string // IDs
	compose []string  // the command
}

func benchSwitch(b *testing.B, onHost bool) {
	h := newHouse(b, itself)
	h.image("1.0")
	h.image("2.0")
	container := fmt.Sprintf("ports: [{host: %s, container: 8080}]", ownPort)
	if onHost {
		container = fmt.Sprintf("network: host, env: {APP_ADDR: \":%s\"}", ownPort)
	}
	app := service{"app", "1.0", container}
	h.configure("", app)
	h.run(app)
	c := &contest{house: h, onHost: onHost, compose: findCompose()}
	c.images[0] = h.imageOf("app")
	app.version = "2.0"
	h.configure("", app)
	testenv.Eventually(b, 30*time.Second, "the second version is there to be taken", func() bool {
		return h.command("castellan", "update", "app").Run() == nil
	})
	c.images[1] = h.imageOf("app")

	ways := map[string]func() time.Duration{"castellan": c.castellanWay, "naive": c.naive, "floor": c.floor}
	if c.compose != nil {
		for i, id := range c.images {
			h.engine("POST", fmt.Sprintf("/images/%s/tag?repo=castellan.test/bench&tag=%d", url.PathEscape(id), i), nil, nil)
		}
		ways["compose"] = c.composeUp
	}
	away := map[string][]time.Duration{}
	for b.Loop() {
		for name, way := range ways {
			away[name] = append(away[name], way())
		}
	}
	b.ReportMetric(0, "ns/op") // says nothing here
	own := median(away["castellan"])
	b.ReportMetric(own, "castellan-ms")
	for name, times := range away {
		if name != "castellan" {
			b.ReportMetric(median(times), name+"-ms")
			b.ReportMetric(own/median(times), "castellan/"+name)
		}
	}
}

func findCompose() []string {
	for _, c := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.Command(c[0], append(slices.Clone(c[1:]), "version")...).Run() == nil {
			return c
		}
	}
	return nil
}

func (c *contest) castellanWay() time.Duration {
	return testenv.Outage(c, testenv.HostIP+":"+ownPort, func() { c.castellan("rollback", "app") })
}

func (c *contest) naive() time.Duration {
	old, next := c.raw(c.images[0], c.onHost, rawPort), ""
	c.startRaw(old)
	defer func() { c.removeRaw(next) }()
	return testenv.Outage(c, testenv.HostIP+":"+rawPort, func() {
		c.stopRaw(old)
		c.removeRaw(old)
		next = c.raw(c.images[1], c.onHost, rawPort)
		c.startRaw(next)
	})
}

func (c *contest) floor() time.Duration {
	old, next := c.raw(c.images[0], c.onHost, rawPort), c.raw(c.images[1], c.onHost, rawPort)
	c.startRaw(old)
	defer func() { c.removeRaw(old); c.removeRaw(next) }()
	return testenv.Outage(c, testenv.HostIP+":"+rawPort, func() {
		c.stopRaw(old)
		c.startRaw(next)
	})
}

func (c *contest) composeUp() time.Duration {
	dir := filepath.Join(c.TempDir(), "bench")
	c.must(os.MkdirAll(dir, 0o700))
	up := func(i int) {
		more := "network_mode: bridge\n    ports: ['" + rawPort + ":8080']"
		if c.onHost {
			more = "network_mode: host\n    environment: ['APP_ADDR=:" + rawPort + "']"
		}
		file := fmt.Sprintf("version: '3'\nservices:\n  app:\n    image: castellan.test/bench:%d\n    labels: ['io.castellan.bench=1']\n    %s\n", i, more)
		c.must(os.WriteFile(filepath.Join(dir, "docker-compose.yml"), []byte(file), 0o600))
		c.composeDo(dir, "up", "-d")
	}
	up(0)
	defer c.composeDo(dir, "down", "-t", "1")
	return testenv.Outage(c, testenv.HostIP+":"+rawPort, func() { up(1) })
}

func (c *contest) composeDo(dir string, args ...string) {
	cmd := exec.Command(c.compose[0], append(slices.Clone(c.compose[1:]), args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		c.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// median is in milliseconds.
func median(d []time.Duration) float64 {
	d = slices.Sorted(slices.Values(d))
	return float64(d[len(d)/2].Microseconds()) / 1000
}
