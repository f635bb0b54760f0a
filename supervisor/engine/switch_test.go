package engine

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust"
	"github.com/docker/docker/api/types/container"
)

// BenchmarkSwitch measures how long a service is away while its container is replaced by one of another image: from
// the first to the last of the connections, one begun every millisecond, that got no answer. The service stops at
// once on SIGTERM. Every way to switch takes its turn in every iteration, so that they share the machine's moods;
// the medians and their ratios are reported. A few iterations are enough: -benchtime 15x.
//
//	naive      stop, remove, create, start through the engine's API
//	compose    docker compose up -d, where it is installed
//	floor      the new container created before; stop and start through the engine's API, nothing else
//	castellan  this package in the supervisor's order
func BenchmarkSwitch(b *testing.B) {
	b.Run("bridge", func(b *testing.B) {
		benchSwitch(b, spec.Container{Ports: []spec.Port{{Host: 18080, Container: 8080}}}, "naive", "compose", "floor")
	})
	b.Run("host", func(b *testing.B) {
		benchSwitch(b, spec.Container{Network: "host", Env: map[string]string{"APP_ADDR": ":18080"}}, "naive", "compose", "floor")
	})
}

// bench is a service on its way from one image to another.
type bench struct {
	*house
	b        *testing.B
	spec     spec.Container
	images   [2]supervisor.Image
	permits  [2]trust.Permit
	compose  []string // the command, nil where there is none
	sequence int
}

func benchSwitch(b *testing.B, c spec.Container, against ...string) {
	h := newHouse(b, testenv.Engine(b))
	s := &bench{house: h, b: b, spec: c}
	for i := range s.images {
		s.images[i], s.permits[i] = h.pulled(testenv.Build{Tag: fmt.Sprintf("%d.0", i+1)}, "core")
	}
	if exec.Command("docker", "compose", "version").Run() == nil {
		s.compose = []string{"docker", "compose"}
	} else if exec.Command("docker-compose", "version").Run() == nil {
		s.compose = []string{"docker-compose"}
	}
	ways := map[string]func() time.Duration{
		"naive": s.naive, "floor": s.floor, "castellan": s.castellan, "compose": s.composeUp,
	}
	if s.compose == nil {
		delete(ways, "compose")
	}
	away := map[string][]time.Duration{}
	for b.Loop() {
		for name, way := range ways {
			away[name] = append(away[name], way())
		}
	}
	b.ReportMetric(0, "ns/op") // says nothing here
	own := median(away["castellan"])
	b.ReportMetric(ms(own), "castellan-ms")
	for _, name := range against {
		if m := median(away[name]); m > 0 {
			b.ReportMetric(ms(m), name+"-ms")
			b.ReportMetric(float64(own)/float64(m), "castellan/"+name)
		}
	}
}

func (s *bench) naive() time.Duration {
	ctx, cli := s.b.Context(), s.docker()
	old := s.raw(0)
	s.must(cli.ContainerStart(ctx, old, container.StartOptions{}))
	return s.outage(func() string {
		s.must(cli.ContainerStop(ctx, old, container.StopOptions{}))
		s.must(cli.ContainerRemove(ctx, old, container.RemoveOptions{}))
		next := s.raw(1)
		s.must(cli.ContainerStart(ctx, next, container.StartOptions{}))
		return next
	})
}

func (s *bench) floor() time.Duration {
	ctx, cli := s.b.Context(), s.docker()
	old, next := s.raw(0), s.raw(1)
	s.must(cli.ContainerStart(ctx, old, container.StartOptions{}))
	return s.outage(func() string {
		s.must(cli.ContainerStop(ctx, old, container.StopOptions{}))
		s.must(cli.ContainerStart(ctx, next, container.StartOptions{}))
		s.must(cli.ContainerRemove(ctx, old, container.RemoveOptions{}))
		return next
	})
}

// castellan is hops 8 to 11 of an update as the supervisor asks for them.
func (s *bench) castellan() time.Duration {
	ctx := s.b.Context()
	s.sequence++
	old := s.create(s.permits[0], s.images[0], fmt.Sprintf("old%d", s.sequence), s.spec)
	s.must(s.Start(ctx, old.ID))
	s.must(s.Settle(ctx, old.ID, "core", "unless-stopped"))
	return s.outage(func() string {
		next := s.create(s.permits[1], s.images[1], fmt.Sprintf("new%d", s.sequence), s.spec)
		s.must(s.Settle(ctx, old.ID, "core", "no"))
		s.must(s.Stop(ctx, old.ID, 0))
		s.must(s.Start(ctx, next.ID))
		s.must(s.Settle(ctx, next.ID, "core", "unless-stopped"))
		s.must(s.Remove(ctx, old.ID))
		return next.ID
	})
}

func (s *bench) composeUp() time.Duration {
	dir := s.b.TempDir()
	up := func(i int) {
		network := "bridge"
		more := "ports: ['18080:8080']"
		if s.spec.Network == "host" {
			network, more = "host", "environment: ['APP_ADDR=:18080']"
		}
		file := fmt.Sprintf("version: '3'\nservices:\n  core:\n    image: castellan.test/app:%d.0\n    network_mode: %s\n    %s\n", i+1, network, more)
		s.must(os.WriteFile(filepath.Join(dir, "docker-compose.yml"), []byte(file), 0o600))
		s.command(dir, "up", "-d")
	}
	up(0)
	away := s.outage(func() string { up(1); return "" })
	s.command(dir, "down", "-t", "1")
	return away
}

func (s *bench) command(dir string, args ...string) {
	cmd := exec.Command(s.compose[0], append(slices.Clone(s.compose[1:]), args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.b.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// raw creates a container through the engine's API, labelled only so that it is cleaned up.
func (s *bench) raw(i int) string {
	cfg, host, err := translate(s.spec)
	s.must(err)
	cfg.Image = string(s.images[i].ID)
	cfg.Labels[supervisor.LabelHouse] = s.cfg.House
	r, err := s.docker().ContainerCreate(s.b.Context(), cfg, host, nil, nil, "")
	s.must(err)
	return r.ID
}

// outage probes while change runs, until the service has answered for 200 ms on end, and removes the container that
// change leaves.
func (s *bench) outage(change func() string) time.Duration {
	get(s.b, "http://"+testenv.HostIP+":18080/health")
	p := startProbes(testenv.HostIP + ":18080")
	time.Sleep(50 * time.Millisecond)
	id := change()
	testenv.Eventually(s.b, 20*time.Second, "the service answers again", func() bool { return p.quiet() > 200*time.Millisecond })
	away, version := p.stop(), get(s.b, "http://"+testenv.HostIP+":18080/version")
	if version != "2.0" {
		s.b.Fatalf("after the switch version %q answers", version)
	}
	if away == 0 {
		s.b.Fatal("no probe failed: nothing was switched")
	}
	if id != "" {
		s.must(s.docker().ContainerRemove(s.b.Context(), id, container.RemoveOptions{Force: true}))
	}
	return away
}

// probes opens a connection every millisecond and asks for a page on it.
type probes struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu          sync.Mutex
	first, last time.Time // beginnings of failed ones
	began       time.Time
}

const probeTimeout = 100 * time.Millisecond

func startProbes(addr string) *probes {
	ctx, cancel := context.WithCancel(context.Background())
	p := &probes{cancel: cancel, began: time.Now()}
	p.done.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case start := <-tick.C:
				p.done.Go(func() {
					if !probe(addr) {
						p.failed(start)
					}
				})
			}
		}
	})
	return p
}

func probe(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, probeTimeout)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(probeTimeout)) // a closed connection fails below
	if _, err := fmt.Fprintf(c, "GET /health HTTP/1.1\r\nHost: core\r\nConnection: close\r\n\r\n"); err != nil {
		return false
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	return err == nil && resp.StatusCode == http.StatusOK
}

func (p *probes) failed(start time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first.IsZero() || start.Before(p.first) {
		p.first = start
	}
	if start.After(p.last) {
		p.last = start
	}
}

// quiet is how long ago the last failed probe began; the newest that can have failed began a timeout ago.
func (p *probes) quiet() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.IsZero() {
		return time.Since(p.began) - probeTimeout
	}
	return time.Since(p.last) - probeTimeout
}

// stop ends the probes and returns the time between the first and the last that failed.
func (p *probes) stop() time.Duration {
	p.cancel()
	p.done.Wait()
	if p.first.IsZero() {
		return 0
	}
	return p.last.Sub(p.first) + time.Millisecond
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
