//go:build bench

package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkRest is what a daemon holds in memory that has installed ten services and was left alone: resident pages
// after settling, those of them that are its own (the others are pages of the program file, which the kernel can take
// back), and the most it ever held.
func BenchmarkRest(b *testing.B) {
	const settle = 20 * time.Second
	h := newHouse(b, itself)
	h.image("1.0")
	var services []service
	for i := range 10 {
		services = append(services, service{fmt.Sprint("app", i), "1.0", "network: bridge"})
	}
	h.configure("", services...)
	for b.Loop() {
		h.run(services...)
		time.Sleep(settle)
		mb := h.memory()
		b.ReportMetric(mb["VmRSS"], "rss-MB")
		b.ReportMetric(mb["RssAnon"], "own-MB")
		b.ReportMetric(mb["VmHWM"], "peak-MB")
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// memory is the daemon's memory by the kernel's names, in MB of a million bytes.
func (h *house) memory() map[string]float64 {
	h.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.daemon.Process.Pid))
	h.must(err)
	out := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64); err == nil {
			out[name] = kb * 1024 / 1e6
		}
	}
	return out
}
