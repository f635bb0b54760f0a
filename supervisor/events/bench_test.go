package events

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// resident is the process's memory in bytes, after a clean-up.
func resident(b *testing.B) int {
	b.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return kb << 10
}

// BenchmarkIdleStreams is what 200 streams that nothing happens on cost, the clients' ends included: at most 12 MB.
func BenchmarkIdleStreams(b *testing.B) {
	const streams, most = 200, 12 << 20
	h := New(b.Context(), Config{})
	srv := serve(b, h, func(error) {})
	before := resident(b)
	for i := range streams {
		dial(b, srv, fmt.Sprint(i%20))
	}
	publish(b, h, About{Log, "", ""}, "each has been awake")
	grew := resident(b) - before
	if h.Streams() != streams || grew > most {
		b.Errorf("%d streams cost %d bytes, at most %d", h.Streams(), grew, most)
	}
	for b.Loop() { // it has been measured; another time in this process would cost less
		continue
	}
	b.ReportMetric(float64(grew)/streams, "B/stream")
	b.ReportMetric(float64(grew)/(1<<20), "MB")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkLatency is how long an event takes from Publish to a client's socket, with 200 streams that get it too: at
// most 20 ms, of which the metric tells the 95th of a hundred.
func BenchmarkLatency(b *testing.B) {
	for _, streams := range []int{1, 200} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			h := New(b.Context(), Config{})
			srv := serve(b, h, func(error) {})
			for i := range streams - 1 {
				c, in := dial(b, srv, fmt.Sprint(i%20))
				go func() {
					for {
						_ = c.SetReadDeadline(time.Time{})
						if _, err := in.ReadString('\n'); err != nil {
							return
						}
					}
				}()
			}
			c, in := dial(b, srv, "me")
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				began := time.Now()
				publish(b, h, About{Job, "1", ""}, i)
				expect(b, c, in, "data: "+strconv.Itoa(i))
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			p95 := took[len(took)*95/100]
			b.ReportMetric(float64(p95.Microseconds())/1000, "p95-ms")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
			if len(took) >= 100 && p95 > 20*time.Millisecond {
				b.Errorf("p95 is %v, at most 20ms", p95)
			}
		})
	}
}
