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
// that they share the machine's moods. Medians and bests are reported, and Castellan's ratio to the others by both.
//
//	castellan  `castellan rollback`: the whole daemon, which goes back and forth between two versions
//	naive      stop, remove, create, start through the engine's API
//	compose    docker compose up -d, where it is installed
//	floor      the new container created before; stop and start through the engine's API, nothing else
//
// On a bridge that holds nothing else, the bridge loses its carrier with the old container, and the neighbour table
// what it knew: with engines before 29 the first connection to the new one then waits a second for ARP. With other
// containers beside it, as in "shared", it does not, if the new one gets the old one's address. While the others have
// their turns, Castellan and its service are stopped, so that each way is alone on the engine's own bridge.
func BenchmarkSwitch(b *testing.B) {
	b.Run("bridge", func(b *testing.B) { benchSwitch(b, "bridge") })
	b.Run("shared", func(b *testing.B) { benchSwitch(b, "shared") })
	b.Run("host", func(b *testing.B) { benchSwitch(b, "host") })
}

const (
	ownPort = "18080" // Castellan's service; the others take turns on the next one
	rawPort = "18081"
)

// contest is the ways to switch on one network.
type contest struct {
	*house
	network string // bridge or host
	app     [2]service
	current int       // index of the version that Castellan runs
	images  [2]string // IDs
	compose []string  // the command
}

func benchSwitch(b *testing.B, where string) {
	h := newHouse(b, itself)
	h.image("1.0")
	h.image("2.0")
	c := &contest{house: h, network: "bridge", compose: findCompose()}
	container := fmt.Sprintf("network: bridge, ports: [{host: %s, container: 8080}]", ownPort)
	if where == "host" {
		c.network = "host"
		container = fmt.Sprintf("network: host, env: {APP_ADDR: \":%s\"}", ownPort)
	}
	c.app = [2]service{{"app", "1.0", container}, {"app", "2.0", container}}
	h.configure("", c.app[0])
	h.run(c.app[0])
	c.images[0] = h.imageOf("app")
	h.configure("", c.app[1])
	testenv.Eventually(b, 30*time.Second, "the second version is there to be taken", func() bool {
		return h.command("castellan", "update", "app").Run() == nil
	})
	c.images[1], c.current = h.imageOf("app"), 1
	if where == "shared" {
		h.startRaw(h.raw(c.images[0], c.network, "18082"))
	}

	ways := map[string]func() time.Duration{"naive": c.naive, "floor": c.floor}
	if c.compose != nil {
		for i, id := range c.images {
			h.engine("POST", fmt.Sprintf("/images/%s/tag?repo=castellan.test/bench&tag=%d", url.PathEscape(id), i), nil, nil)
		}
		ways["compose"] = c.composeUp
	}
	away := map[string][]time.Duration{}
	for b.Loop() {
		away["castellan"] = append(away["castellan"], c.castellanWay())
		c.park()
		for name, way := range ways {
			away[name] = append(away[name], way())
		}
		h.run(c.app[c.current])
	}
	b.ReportMetric(0, "ns/op") // says nothing here
	own := slices.Sorted(slices.Values(away["castellan"]))
	for name, times := range away {
		slices.Sort(times)
		b.ReportMetric(ms(median(times)), name+"-ms")
		b.ReportMetric(ms(times[0]), name+"-best-ms")
		if name != "castellan" {
			b.ReportMetric(ms(median(own))/ms(median(times)), "ratio-"+name)
			b.ReportMetric(ms(own[0])/ms(times[0]), "ratio-"+name+"-best")
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

func (c *contest) outage(port string, change func()) time.Duration {
	return testenv.Outage(c, testenv.HostIP+":"+port, change)
}

func (c *contest) castellanWay() time.Duration {
	c.current = 1 - c.current
	return c.outage(ownPort, func() { c.castellan("rollback", "app") })
}

// park stops the daemon and its service; [house.run] brings both back.
func (c *contest) park() {
	c.stop(c.daemon)
	for _, k := range c.containers("io.castellan.service=app") {
		c.stopRaw(k.ID)
	}
}

func (c *contest) naive() time.Duration {
	old, next := c.raw(c.images[0], c.network, rawPort), ""
	c.startRaw(old)
	defer func() { c.removeRaw(next) }()
	return c.outage(rawPort, func() {
		c.stopRaw(old)
		c.removeRaw(old)
		next = c.raw(c.images[1], c.network, rawPort)
		c.startRaw(next)
	})
}

func (c *contest) floor() time.Duration {
	old, next := c.raw(c.images[0], c.network, rawPort), c.raw(c.images[1], c.network, rawPort)
	c.startRaw(old)
	defer func() { c.removeRaw(old); c.removeRaw(next) }()
	return c.outage(rawPort, func() {
		c.stopRaw(old)
		c.startRaw(next)
	})
}

func (c *contest) composeUp() time.Duration {
	dir := filepath.Join(c.TempDir(), "bench")
	c.must(os.MkdirAll(dir, 0o700))
	up := func(i int) {
		more := "ports: ['" + rawPort + ":8080']"
		if c.network == "host" {
			more = "environment: ['APP_ADDR=:" + rawPort + "']"
		}
		file := fmt.Sprintf("version: '3'\nservices:\n  app:\n    image: castellan.test/bench:%d\n    labels: ['io.castellan.bench=1']\n    network_mode: %s\n    %s\n", i, c.network, more)
		c.must(os.WriteFile(filepath.Join(dir, "docker-compose.yml"), []byte(file), 0o600))
		c.composeDo(dir, "up", "-d")
	}
	up(0)
	defer c.composeDo(dir, "down", "-t", "1")
	return c.outage(rawPort, func() { up(1) })
}

func (c *contest) composeDo(dir string, args ...string) {
	cmd := exec.Command(c.compose[0], append(slices.Clone(c.compose[1:]), args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		c.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

func median(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
