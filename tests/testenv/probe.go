package testenv

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

const (
	probeEvery   = time.Millisecond
	probeTimeout = 100 * time.Millisecond
	probeQuiet   = 200 * time.Millisecond // without a failure the service counts as back
)

// Outage is how long the service at addr ("host:port") is away while change runs: from the first to the last of the
// connections, one begun every millisecond and asked for /health, that got no answer. It returns when the service has
// answered for a while on end; a change without any outage fails the test, for then nothing was changed.
func Outage(t testing.TB, addr string, change func()) time.Duration {
	t.Helper()
	Eventually(t, 20*time.Second, addr+" answers before the change", func() bool { return probe(addr) })
	p := startProbes(addr)
	defer p.stop()
	time.Sleep(50 * time.Millisecond) // of probes that must not fail
	change()
	Eventually(t, 20*time.Second, addr+" answers after the change", func() bool { return p.quiet() > probeQuiet })
	away := p.stop()
	if away == 0 {
		t.Fatalf("no probe of %s failed: nothing was switched", addr)
	}
	return away
}

// probes opens a connection every millisecond.
type probes struct {
	end  chan struct{}
	once sync.Once
	done sync.WaitGroup

	mu          sync.Mutex
	first, last time.Time // beginnings of failed ones
	began       time.Time
}

func startProbes(addr string) *probes {
	p := &probes{end: make(chan struct{}), began: time.Now()}
	p.done.Go(func() {
		tick := time.NewTicker(probeEvery)
		defer tick.Stop()
		for {
			select {
			case <-p.end:
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

// probe tells whether the service answers one request on a connection of its own.
func probe(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, probeTimeout)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(probeTimeout)) // a closed connection fails below
	if _, err := fmt.Fprintf(c, "GET /health HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n"); err != nil {
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
	since := p.last
	if since.IsZero() {
		since = p.began
	}
	return time.Since(since) - probeTimeout
}

// stop ends the probes and returns the time between the first and the last that failed, 0 when none did.
func (p *probes) stop() time.Duration {
	p.once.Do(func() { close(p.end) })
	p.done.Wait()
	if p.first.IsZero() {
		return 0
	}
	return p.last.Sub(p.first) + probeEvery
}
