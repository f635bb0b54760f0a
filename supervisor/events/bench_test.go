package events

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// processor is the time of it that the process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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

// BenchmarkLatency is how long an event takes from Publish to a client's socket, alone and with 199 others that get it
// too: at most 20 ms in 95 of 100. Events come as often as those of five jobs under way; 200 clients that are sent more
// than two cores carry would tell how much that is, not how long an event takes.
func BenchmarkLatency(b *testing.B) {
	for _, streams := range []int{1, 200} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			h := New(b.Context(), Config{})
			srv := serve(b, h, func(error) {})
			for i := range streams - 1 {
				c, in := dial(b, srv, fmt.Sprint(i%20))
				_ = c.SetReadDeadline(time.Time{})
				go func() { _, _ = in.WriteTo(io.Discard) }()
			}
			c, in := dial(b, srv, "me")
			var took []time.Duration
			pause := time.NewTicker(50 * time.Millisecond)
			defer pause.Stop()
			used := processor(b)
			for i := 0; b.Loop(); i++ {
				<-pause.C
				began := time.Now()
				publish(b, h, About{Job, "1", ""}, i)
				expect(b, c, in, "data: "+strconv.Itoa(i))
				took = append(took, time.Since(began))
			}
			used = processor(b) - used
			slices.Sort(took)
			for name, d := range map[string]time.Duration{
				"p50-ms": took[len(took)/2], "p95-ms": took[len(took)*95/100], "max-ms": took[len(took)-1], "cpu-ms/event": used / time.Duration(len(took)),
			} {
				b.ReportMetric(float64(d.Microseconds())/1000, name)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
