package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/docker/docker/api/types/container"
)

func TestLogsAndStandardInput(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	c := h.running(permit, img, "c1", spec.Container{OpenStdin: true, Env: map[string]string{"APP_ECHO": "1"}})

	follow, err := h.Logs(t.Context(), "core", LogQuery{Lines: -1, Follow: true})
	h.must(err)
	lines := bufio.NewScanner(follow)
	h.must(h.WriteStdin(t.Context(), c.ID, []byte("first\nsecond\n")))
	h.must(h.WriteStdin(t.Context(), c.ID, []byte("third\n")))
	for _, want := range []string{"first", "second", "third"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("got %q, want %q: %v", lines.Text(), want, lines.Err())
		}
	}
	for range 2 {
		h.must(follow.Close())
	}
	if lines.Scan() {
		t.Errorf("a closed log goes on: %q", lines.Text())
	}
	read := func(of string, tail int) string {
		t.Helper()
		l, err := h.Logs(t.Context(), of, LogQuery{Lines: tail})
		h.must(err)
		defer l.Close()
		b, err := io.ReadAll(l)
		h.must(err)
		return string(b)
	}
	for tail, want := range map[int]string{-1: "first\nsecond\nthird\n", 1: "third\n", 0: ""} {
		if got := read(c.ID, tail); got != want {
			t.Errorf("tail %d: %q", tail, got)
		}
	}

	// Both streams, and the log of a service whose container has ended; following it ends by itself.
	ended := h.create(permit, img, "c2", spec.Container{Entrypoint: []string{"/app", "print", "3"}})
	h.must(h.Start(t.Context(), ended.ID))
	testenv.Eventually(t, 10*time.Second, "it has ended", func() bool {
		list, err := h.List(t.Context(), "")
		h.must(err)
		return slices.ContainsFunc(list, func(c supervisor.Container) bool { return c.ID == ended.ID && !c.Running })
	})
	l, err := h.Logs(t.Context(), ended.ID, LogQuery{Lines: -1, Follow: true})
	h.must(err)
	if b, err := io.ReadAll(l); err != nil || len(b) != len("word\nxxx") || !strings.Contains(string(b), "word\n") || !strings.Contains(string(b), "xxx") {
		t.Errorf("both streams: %q, %v", b, err)
	}
	h.must(l.Close())
	if got := read("core", 1); got != "third\n" {
		t.Errorf("the running container's log is meant, got %q", got)
	}

	// A follower ends with its context.
	ctx, cancel := context.WithCancel(t.Context())
	l, err = h.Logs(ctx, "core", LogQuery{Follow: true})
	h.must(err)
	cancel()
	if _, err := io.ReadAll(l); err == nil {
		t.Error("the log of a cancelled reader ends as if it were complete")
	}
	h.must(l.Close())
	if _, err := h.Logs(t.Context(), "nobody", LogQuery{Lines: 1}); err == nil || !strings.Contains(err.Error(), `no container or service "nobody"`) {
		t.Errorf("log of nobody: %v", err)
	}
}

func TestStandardInputThatCannotBeWritten(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	deaf := h.running(permit, img, "c1", spec.Container{OpenStdin: true})
	closed := h.running(permit, img, "c2", spec.Container{})
	h.cfg.CallTimeout = 2 * time.Second // what a program that does not read may cost
	for want, do := range map[string]func() error{
		"does not read":          func() error { return h.WriteStdin(t.Context(), deaf.ID, bytes.Repeat([]byte("x"), MaxStdin)) },
		"without standard input": func() error { return h.WriteStdin(t.Context(), closed.ID, []byte("x")) },
		"at most":                func() error { return h.WriteStdin(t.Context(), deaf.ID, make([]byte, MaxStdin+1)) },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, supervisor.ErrEngineAway) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	h.must(h.Stop(t.Context(), deaf.ID, time.Second))
	if err := h.WriteStdin(t.Context(), deaf.ID, []byte("x")); err == nil || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("stopped: %v", err)
	}
}

func TestStatsOfARealContainer(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	c := h.running(permit, img, "c1", spec.Container{Memory: 64 << 20})
	get(t, "http://"+c.IP+":8080/health")
	s, err := h.Stats(t.Context(), "core")
	h.must(err)
	if s.MemoryLimit != 64<<20 || s.MemoryUsage < 100<<10 || s.MemoryUsage > 64<<20 || s.MemoryPercent <= 0 || s.NetworkRx == 0 || s.NetworkTx == 0 || s.CPUPercent > 100 {
		t.Errorf("figures: %+v", s)
	}
	h.must(h.Stop(t.Context(), c.ID, time.Second))
	if s, err := h.Stats(t.Context(), c.ID); err != nil || s != (Stats{}) {
		t.Errorf("of a stopped one: %+v, %v", s, err)
	}
}

// TestStatsOfBothControlGroupVersions has what engines answer on either.
func TestStatsOfBothControlGroupVersions(t *testing.T) {
	const v1 = `{"cpu_stats":{"cpu_usage":{"total_usage":3000000},"system_cpu_usage":20000000},
		"precpu_stats":{"cpu_usage":{"total_usage":1000000},"system_cpu_usage":11000000},
		"memory_stats":{"usage":3000,"limit":9000,"stats":{"total_inactive_file":1000,"inactive_file":1}},
		"networks":{"eth0":{"rx_bytes":5,"tx_bytes":6},"eth1":{"rx_bytes":1,"tx_bytes":1}},
		"blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":7},{"op":"Write","value":8},{"op":"Read","value":1},{"op":"Total","value":99}]}}`
	const v2 = `{"cpu_stats":{"cpu_usage":{"total_usage":3000000},"system_cpu_usage":20000000},
		"precpu_stats":{"cpu_usage":{"total_usage":1000000},"system_cpu_usage":11000000},
		"memory_stats":{"usage":3000,"limit":9000,"stats":{"inactive_file":1000}},
		"networks":{"eth0":{"rx_bytes":6,"tx_bytes":7}},
		"blkio_stats":{"io_service_bytes_recursive":[{"op":"read","value":8},{"op":"write","value":8}]}}`
	want := Stats{CPUPercent: 22.22, MemoryUsage: 2000, MemoryLimit: 9000, MemoryPercent: 22.22, NetworkRx: 6, NetworkTx: 7, BlkRead: 8, BlkWrite: 8}
	for _, text := range []string{v1, v2} {
		var s container.StatsResponse
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if got := statsOf(s); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	// A clock that stands, a cache above the usage: nothing wraps around.
	if got := statsOf(container.StatsResponse{MemoryStats: container.MemoryStats{Usage: 1, Stats: map[string]uint64{"inactive_file": 2}}}); got != (Stats{}) {
		t.Errorf("got %+v", got)
	}
}

// TestLogsWithTimes: each line has its time once, also one that the engine keeps in pieces, and the times lead back to it.
func TestLogsWithTimes(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	began := time.Now().Add(-time.Minute) // the engine's clock is ours, but nobody says how exactly
	c := h.running(permit, img, "c1", spec.Container{OpenStdin: true, Env: map[string]string{"APP_ECHO": "1"}})
	long := strings.Repeat("a word ", 6000) // 42 kB
	read := func(q LogQuery) (texts []string, times []time.Time) {
		t.Helper()
		q.Timed = true
		l, err := h.Logs(t.Context(), "core", q)
		h.must(err)
		defer l.Close()
		b, err := io.ReadAll(l)
		h.must(err)
		for line := range strings.Lines(string(b)) {
			stamp, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			at, err := time.Parse(time.RFC3339Nano, stamp)
			if err != nil || at.Before(began) || at.After(time.Now().Add(time.Minute)) {
				t.Fatalf("line %.80q has no time, or a wrong one: %v", line, err)
			}
			texts, times = append(texts, text), append(times, at)
		}
		return texts, times
	}
	follow, err := h.Logs(t.Context(), "core", LogQuery{Lines: -1, Follow: true, Timed: true})
	h.must(err)
	defer follow.Close()
	lines := bufio.NewReader(follow)
	for _, want := range []string{"first", long, "third"} {
		h.must(h.WriteStdin(t.Context(), c.ID, []byte(want+"\n")))
		line, err := lines.ReadString('\n')
		if _, text, _ := strings.Cut(line, " "); err != nil || text != want+"\n" {
			t.Fatalf("followed: %.80q, %v", line, err)
		}
	}
	all, times := read(LogQuery{Lines: -1})
	if !slices.Equal(all, []string{"first", long, "third"}) {
		t.Fatalf("%d lines: %.80q", len(all), all)
	}
	for name, c := range map[string]struct {
		q    LogQuery
		want []string
	}{
		"from the second on": {LogQuery{Lines: -1, Since: times[1]}, all[1:]},
		"to the second":      {LogQuery{Lines: -1, Until: times[1]}, all[:2]},
		"after the second":   {LogQuery{Lines: -1, Since: times[1].Add(1)}, all[2:]},
		"the second":         {LogQuery{Lines: -1, Since: times[1], Until: times[1]}, all[1:2]},
		"the last":           {LogQuery{Lines: 1}, all[2:]},
	} {
		if got, _ := read(c.q); !slices.Equal(got, c.want) {
			t.Errorf("%s: %d lines: %.80q", name, len(got), got)
		}
	}
	h.must(h.Stop(t.Context(), c.ID, time.Second))
	h.must(h.Start(t.Context(), c.ID))
	h.must(h.WriteStdin(t.Context(), c.ID, []byte("again\n")))
	testenv.Eventually(t, 10*time.Second, "it is in the log", func() bool {
		got, _ := read(LogQuery{Lines: 1})
		return len(got) == 1 && got[0] == "again"
	})
	if got, _ := read(LogQuery{Lines: 100, Latest: true}); !slices.Equal(got, []string{"again"}) {
		t.Errorf("since its last start: %.80q", got)
	}
}

// TestTwoStreamsInOneLog: a line that the other stream interrupts goes on as one of its own.
func TestTwoStreamsInOneLog(t *testing.T) {
	var out bytes.Buffer
	line := &stampedLine{w: &out}
	one, two := &stamped{line}, &stamped{line}
	for _, p := range []struct {
		to   *stamped
		text string
	}{{one, "1Z a"}, {one, "1Z b c\n"}, {two, "2Z err"}, {one, "3Z d\n"}, {two, "2Z or\n"}, {two, "4Z \n"}, {one, "5Z end"}} {
		if n, err := p.to.Write([]byte(p.text)); n != len(p.text) || err != nil {
			t.Fatal(n, err)
		}
	}
	if want := "1Z ab c\n2Z err\n3Z d\n2Z or\n4Z \n5Z end"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
