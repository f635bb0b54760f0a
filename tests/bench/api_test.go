//go:build bench

package bench

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// What is asked of the API: a small answer by several callers at once, and the whole store by one.
const (
	callers, small = 4, 20000
	large          = 200
)

// BenchmarkAPI is how many small answers a second the daemon gives, beside the program that asks, and how long the list of
// a store of 1,000 add-ons takes: half of the answers, and 95 of 100, are there by then.
func BenchmarkAPI(b *testing.B) {
	h := newHouse(b, itself)
	h.configureAddons()
	for i := range offered {
		h.offer(i)
	}
	for b.Loop() {
		h.runAddons()
		h.asks("/info", callers, small/10) // connections are made, and caches are warm
		took := h.asks("/info", callers, small)
		b.ReportMetric(float64(small)/took.all.Seconds(), "info/s")
		took = h.asks("/store", 1, large)
		b.ReportMetric(ms(took.each[large/2]), "store-ms")
		b.ReportMetric(ms(took.each[large*95/100]), "store-p95-ms")
		b.ReportMetric(float64(took.bytes)/large/1e3, "store-kB")
		h.stop(h.daemon)
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// times of calls; each is sorted.
type times struct {
	all   time.Duration
	each  []time.Duration
	bytes int64
}

// asks asks for a path n times, by some callers at once, each with a connection that stays.
func (h *house) asks(path string, callers, n int) (out times) {
	h.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	for range callers {
		wg.Go(func() {
			c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", h.socket())
			}}}
			defer c.CloseIdleConnections()
			for range n / callers {
				one := time.Now()
				resp, err := c.Get("http://castellan" + path)
				if err != nil {
					h.Error(err)
					return
				}
				read, err := io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close() // it was read
				if err != nil || resp.StatusCode != http.StatusOK {
					h.Errorf("%s: status %d, %v", path, resp.StatusCode, err)
					return
				}
				mu.Lock()
				out.each, out.bytes = append(out.each, time.Since(one)), out.bytes+read
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	out.all = time.Since(began)
	if h.Failed() {
		h.FailNow()
	}
	slices.Sort(out.each)
	return out
}
