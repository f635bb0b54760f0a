//go:build bench

package bench

import (
	"slices"
	"testing"
	"time"
)

// looks is how often the status is asked for.
const looks = 30

// BenchmarkStatus is how long a person waits for castellan status, from the start of the program to the prompt, beside a
// daemon with a large store. Half of the looks, and 95 of 100, are over by then.
func BenchmarkStatus(b *testing.B) {
	h := newHouse(b, itself)
	h.configureAddons()
	for i := range offered {
		h.offer(i)
	}
	for b.Loop() {
		h.runAddons()
		h.castellan("status") // the program is in memory
		took := make([]time.Duration, looks)
		for i := range took {
			began := time.Now()
			h.castellan("status")
			took[i] = time.Since(began)
		}
		slices.Sort(took)
		b.ReportMetric(ms(median(took)), "status-ms")
		b.ReportMetric(ms(took[looks*95/100]), "status-p95-ms")
		h.stop(h.daemon)
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}
