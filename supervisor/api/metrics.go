package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mediaMetrics is the text format of Prometheus.
const mediaMetrics = "text/plain; version=0.0.4; charset=utf-8"

// getMetrics says nothing that a status does not: no secret, and no text that somebody else wrote.
func (s *Server) getMetrics(ctx context.Context, _ Caller, _ none) (io.ReadCloser, error) {
	st, err := s.cfg.Backend.Status(ctx)
	if err != nil {
		return nil, err
	}
	changes, err := s.cfg.Backend.Changes(ctx)
	if err != nil {
		return nil, err
	}
	var m metrics
	m.add("castellan_build_info", "gauge", "The version of the daemon.", sample{1, []string{"version", s.cfg.Version}})
	m.add("castellan_engine_up", "gauge", "Whether the engine answers.", sample{value: one(st.Engine.Error == "")})
	m.add("castellan_config_in_force", "gauge", "Whether the configuration file is in force as it is.", sample{value: one(st.Config.Error == "")})
	m.ledgers(append([]LedgerStatus{st.Ledger}, st.Ledgers...))
	m.add("castellan_services", "gauge", "Services by state.", tally("state", st.Services, func(r ServiceStatus) string { return r.State })...)
	m.add("castellan_services_waiting", "gauge", "Services with a newer version that is not there yet.", sample{value: float64(len(slices.DeleteFunc(
		slices.Clone(st.Services), func(r ServiceStatus) bool { return r.Available == "" })))})
	m.add("castellan_badges", "gauge", "Services by what the evidence says of their image.", tally("badge", st.Services, func(r ServiceStatus) string { return r.Badge })...)
	m.add("castellan_changes", "gauge", "Changes that are remembered, by state.", tally("state", changes, func(c Change) string { return c.State })...)
	if s.cfg.Verdicts != nil {
		m.add("castellan_verdicts_total", "counter", "Verdicts since the start, by outcome.", samples("outcome", s.cfg.Verdicts())...)
	}
	m.add("castellan_log_records_total", "counter", "Records of the verification log.", sample{value: float64(st.LogSeq)})
	open := 0
	for _, j := range s.cfg.Jobs.List() {
		if j.Done == nil || !*j.Done {
			open++
		}
	}
	m.add("castellan_jobs_open", "gauge", "Jobs that are not over.", sample{value: float64(open)})
	m.add("castellan_event_streams", "gauge", "Event streams that are open.", sample{value: float64(s.cfg.Events.Streams())})
	if n := resident(); n > 0 {
		m.add("process_resident_memory_bytes", "gauge", "Memory of the daemon.", sample{value: float64(n)})
	}
	return io.NopCloser(&m.Buffer), nil
}

// metrics is an answer in the making.
type metrics struct{ bytes.Buffer }

// sample is one value, with names and values of its labels in turn.
type sample struct {
	value  float64
	labels []string
}

func (m *metrics) add(name, kind, help string, list ...sample) {
	fmt.Fprintf(m, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, s := range list {
		m.WriteString(name)
		for i := 0; i+1 < len(s.labels); i += 2 {
			fmt.Fprintf(m, "%s%s=\"%s\"", map[bool]string{true: "{", false: ","}[i == 0], s.labels[i], escaped.Replace(s.labels[i+1]))
		}
		if len(s.labels) > 0 {
			m.WriteByte('}')
		}
		m.WriteString(" " + strconv.FormatFloat(s.value, 'g', -1, 64) + "\n")
	}
}

// escaped is a label's value as the format wants it.
var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (m *metrics) ledgers(all []LedgerStatus) {
	var ages, sizes, fresh []sample
	seen := map[string]bool{}
	for _, l := range all {
		if seen[l.Origin] {
			continue
		}
		seen[l.Origin] = true
		of := []string{"origin", l.Origin}
		sizes = append(sizes, sample{float64(l.Count), of})
		fresh = append(fresh, sample{one(l.State == "fresh"), of})
		if !l.Time.IsZero() {
			ages = append(ages, sample{max(0, time.Since(l.Time).Seconds()), of})
		}
	}
	m.add("castellan_ledger_age_seconds", "gauge", "Age of the newest valid checkpoint.", ages...)
	m.add("castellan_ledger_transactions", "gauge", "Size of the tree, in transactions that were verified.", sizes...)
	m.add("castellan_ledger_fresh", "gauge", "Whether the ledger is fresh.", fresh...)
}

// tally counts a list by a label.
func tally[T any](label string, list []T, by func(T) string) []sample {
	n := map[string]uint64{}
	for _, v := range list {
		n[by(v)]++
	}
	return samples(label, n)
}

func samples(label string, n map[string]uint64) (out []sample) {
	for _, k := range slices.Sorted(maps.Keys(n)) {
		out = append(out, sample{float64(n[k]), []string{label, k}})
	}
	return out
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// resident is the memory of this process, 0 where /proc does not tell.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return 0
	}
	return n * int64(os.Getpagesize())
}
