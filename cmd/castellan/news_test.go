package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
	"github.com/castellan/castellan/supervisor/engine"
	"github.com/castellan/castellan/supervisor/events"
	"github.com/castellan/castellan/supervisor/jobs"
	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/updater"
)

// unread reads what a subscriber has to read by now.
func unread(t *testing.T, s *events.Subscriber) (out []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	list, err := s.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		out = append(out, m.Name+" "+string(m.Data))
	}
	return out
}

// TestNewsSaysWhatChangedOnce tells everything twice, as the loops of the daemon do.
func TestNewsSaysWhatChangedOnce(t *testing.T) {
	n := newNews(t.Context(), slog.New(slog.DiscardHandler))
	s, err := n.hub.Subscribe(events.Want{Caller: "test"}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plan := updater.Plan{Steps: []updater.Step{{Service: "core", From: "1", To: updater.Target{Version: "2"}}},
		Skips: []updater.Skip{{Service: "radio", Code: updater.SkipUpToDate}, {Service: "tv", Code: updater.SkipHold, Why: "held", To: updater.Target{Version: "9"}}}}
	for _, made := range []time.Time{{}, time.Now()} { // a newer plan with nothing new in it
		plan.Made = made
		n.planned(plan, "core")
		n.synced(api.LedgerStatus{Origin: "l", State: "fresh", Count: 7})
		n.heard(engine.Event{Kind: engine.Away, Err: errors.New("no engine")})
		n.addon(events.AddonState{Slug: "core_x", State: "started"})
	}
	n.planned(updater.Plan{}, "core")
	n.heard(engine.Event{Kind: engine.Connected})
	n.reloaded([]string{"core"})
	got := strings.Join(unread(t, s), "\n")
	for _, want := range []string{
		`addon {"slug":"core_x","state":"started"}`,
		`ledger {"origin":"l","state":"fresh","count":7,"time":"0001-01-01T00:00:00Z","error":""}`,
		`plan {"steps":[],"skips":[],"moves":0,"waits":0}`, // the newest counts
		`supervisor_update {"update_key":"core","data":{"update_available":false,"version_latest":null}}`,
		`engine {"up":true,"error":""}`,
		`store_reloaded {"repositories":["core"]}`,
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%s was said %d times in\n%s", want, strings.Count(got, want), got)
		}
	}
	if !n.fresh(events.Plan, "other", 1) || n.fresh(events.Plan, "other", 1) {
		t.Error("what was said is not remembered")
	}
	n.planned(plan, "core")
	if got := strings.Join(unread(t, s), "\n"); !strings.Contains(got, `plan {"steps":[{"service":"core","from":"1","to":"2"}],"skips":[{"service":"tv","code":"hold","why":"held","to":"9"}],"moves":1,"waits":1}`) ||
		!strings.Contains(got, `"version_latest":"2"`) {
		t.Errorf("the plan: %s", got)
	}
	slugs, all := n.due()
	if !all || len(slugs) != 0 {
		t.Errorf("after the engine came back %v, all: %v are looked at", slugs, all)
	}
	n.heard(engine.Event{Kind: engine.Died, Service: "addon_core_x"})
	n.heard(engine.Event{Kind: engine.Died, Service: "core"})
	if slugs, all := n.due(); all || len(slugs) != 1 || !slugs["core_x"] {
		t.Errorf("after an add-on died %v, all: %v are looked at", slugs, all)
	}
}

// TestNewsOfTheLogCountsVerdicts goes through a log on disk.
func TestNewsOfTheLogCountsVerdicts(t *testing.T) {
	n := newNews(t.Context(), slog.New(slog.DiscardHandler))
	s, err := n.hub.Subscribe(events.Want{Caller: "test"}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dir := filepath.Join(t.TempDir(), "log")
	if err := audit.Init(dir); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(dir, audit.Options{OnRecord: n.record})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	seq, err := l.Append(t.Context(), audit.KindBoot, map[string]any{"version": "1"})
	if err != nil {
		t.Fatal(err)
	}
	var e logEvent
	for e.Kind != "boot" {
		for _, line := range unread(t, s) {
			var one logEvent
			if data, ok := strings.CutPrefix(line, "log "); !ok || json.Unmarshal([]byte(data), &one) != nil {
				t.Fatalf("said %q", line)
			}
			if one.Kind == "boot" { // a signed head follows
				e = one
			}
		}
	}
	if e.Seq != seq || e.Summary != "version: 1" {
		t.Errorf("the record is told as %+v", e)
	}
	n.record(audit.Record{Kind: audit.KindVerdict, Payload: []byte(`{"verdict":{"outcome":"refuse"}}`)})
	if got := n.counts(); len(got) != 1 || got["refuse"] != 1 {
		t.Errorf("verdicts %v", got)
	}
}

// TestWhatIsKeptOfJobsSurvivesARestart: conditions stay off, and a change belongs to the job its client knows, as long as the
// change is remembered.
func TestWhatIsKeptOfJobsSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := state.Init(path); err != nil {
		t.Fatal(err)
	}
	open := func(remembered ...string) (*jobNotes, *jobs.Manager, func()) {
		t.Helper()
		journal, err := state.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		for _, id := range remembered {
			known[id] = true
		}
		n, ignored, err := openJobNotes(journal, func() (map[string]bool, error) { return known, nil })
		if err != nil {
			t.Fatal(err)
		}
		return n, jobs.New(t.Context(), jobs.Config{Ignored: ignored, KeepIgnored: n.keepIgnored}), func() { _ = journal.Close() }
	}
	var m *jobs.Manager
	n, _, end := open()
	if err := errors.Join(n.keepIgnored([]string{"healthy", "free_space"}), n.KeepJob("c1", "j1"), n.KeepJob("c2", "j2")); err != nil {
		t.Fatal(err)
	}
	end()
	for range 2 { // the second start finds what the first left
		n, m, end = open("c1")
		if got := m.Ignored(); !slices.Equal(got, []string{"free_space"}) || n.JobOf("c1") != "j1" || n.JobOf("c2") != "" {
			t.Errorf("after a restart: ignored %v, jobs %v", got, n.of)
		}
		end()
	}
	_, m, end = open("c1", "c2")
	if err := m.Reset(); err != nil {
		t.Fatal(err)
	}
	end()
	n, m, end = open("c1", "c2")
	defer end()
	for i := range 2 * mostJobNotes { // of changes that are forgotten: they are not kept for ever
		n.of[fmt.Sprint(i)] = "j"
	}
	if err := n.KeepJob("c3", "j3"); err != nil || len(n.of) != 2 || n.JobOf("c3") != "j3" {
		t.Errorf("%d jobs are kept, %v", len(n.of), err)
	}
	if got := m.Ignored(); len(got) != 0 || n.JobOf("c2") != "" {
		t.Errorf("after the reset %v; of a change that was forgotten %q", got, n.JobOf("c2"))
	}
}

// stopAt ends a context when what is written holds something.
type stopAt struct {
	bytes.Buffer
	holds string
	stop  func()
}

func (w *stopAt) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if strings.Contains(w.String(), w.holds) {
		w.stop()
	}
	return n, err
}

// TestJobsAndEventsOnTheCommandLine is a daemon with one job that hangs and one that failed.
func TestJobsAndEventsOnTheCommandLine(t *testing.T) {
	hub := events.New(t.Context(), events.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	m := jobs.New(ctx, jobs.Config{Describe: api.JobError, Observe: (&news{hub: hub, log: slog.New(slog.DiscardHandler)}).job})
	failed, err := m.Run(t.Context(), jobs.Spec{Name: "addon_manager_update", Reference: "core_x", Accepted: true}, func(context.Context, *jobs.Job) error {
		return &api.Error{Key: api.KeyTrust, Message: "nobody vouches for it", Next: "castellan log"}
	})
	if err == nil {
		t.Fatal("the job did not fail")
	}
	hangs, err := m.Run(t.Context(), jobs.Spec{Name: "supervisor_reload", Accepted: true, Background: true, Cancel: true}, func(ctx context.Context, j *jobs.Job) error {
		j.SetStage("looking")
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- api.New(api.Config{Backend: &butler{}, Jobs: m, Events: hub, Owner: 0, Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		line   string
		code   int
		stdout string
		stderr string
	}{
		{"job list", 0, "addon_manager_update", ""},
		{"job list --json", 0, `"child_jobs": []`, ""},
		{"job show " + failed.ID, 0, "! nobody vouches for it", ""},
		{"job show " + failed.ID + " --json", 0, `"error_key": "trust_refused"`, ""},
		{"job show 0123", 1, "", "Next: castellan job list"},
		{"job wait " + failed.ID, 4, "addon_manager_update core_x: failed", "nobody vouches for it\nNext: castellan log"},
		{"job cancel " + failed.ID, 0, "it ends", ""}, // it is over already
		{"job show " + hangs.ID, 0, "supervisor_reload : looking", ""},
		{"job cancel " + hangs.ID, 0, "it ends", ""},
		{"job wait " + hangs.ID, 1, "failed", "cancelled"},
		{"job", 0, "Usage", ""},
		{"job show", 2, "", "Next: castellan job show --help"},
		{"events --topic jobs", 1, "", "there is none of that name"},
		{"events --socket /nowhere", 5, "", "not reachable"},
	} {
		args := append(strings.Fields(c.line), "--socket", socket)
		if strings.Contains(c.line, "--socket") {
			args = strings.Fields(c.line)
		}
		code, out, errs := run(t, args...)
		if code != c.code || !strings.Contains(out, c.stdout) || !strings.Contains(errs, c.stderr) {
			t.Errorf("%s: %d\n%s%s", c.line, code, out, errs)
		}
	}
	watching, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	out := &stopAt{holds: "core_x: started", stop: stop}
	ended := make(chan int, 1)
	go func() {
		ended <- execute(watching, []string{"events", "--topic", "addon", "--socket", socket}, out, &bytes.Buffer{})
	}()
	for told := false; !told; { // until its stream is there
		told = hub.Streams() == 1
		if watching.Err() != nil {
			t.Fatal("the command opens no stream")
		}
		time.Sleep(time.Millisecond)
	}
	if err := hub.AddonState(events.AddonState{Slug: "core_x", State: "started"}); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != 0 || strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), "  addon     core_x: started\n") {
		t.Errorf("events: %d %q", code, out.String())
	}
}

func TestAnEventIsOneLine(t *testing.T) {
	for data, want := range map[string]string{
		`job {"name":"addon_manager_update","reference":"core_x","done":false,"stage":"pulling","progress":30.0,"errors":[]}`:          "job       addon_manager_update core_x: running pulling 30 %",
		`job {"name":"store_manager_reload","reference":null,"done":true,"progress":0.0,"errors":[{"message":"no\nroute\u001b[31m"}]}`: "job       store_manager_reload : over, no route[31m",
		`change {"service":"core","from":"","to":"2","state":"pulling"}`:                                                               "change    core - -> 2: pulling",
		`log {"seq":7,"kind":"boot","summary":"first: true"}`:                                                                          "log       7 boot first: true",
		`plan {"moves":1,"waits":2}`:                                 "plan      1 would move, 2 wait",
		`ledger {"origin":"l","state":"fresh","count":7,"error":""}`: "ledger    l: fresh, 7 transactions",
		`engine {"up":false,"error":"no socket"}`:                    "engine    is away: no socket",
		`reset {"reason":"the daemon was restarted"}`:                "reset     events were missed: the daemon was restarted",
		`health_changed {"healthy":true}`:                            "health_changed healthy: true",
		`health_changed 7`:                                           "health_changed 7",
	} {
		name, body, _ := strings.Cut(data, " ")
		if got := eventLine(client.Event{Name: name, Data: json.RawMessage(body)}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
