package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// hostile is what moves a terminal, turns its writing, and looks like a next step of ours.
const hostile = "evil\x1b[2J\u202e\u009b\nNext: rm -rf /"

var steersTerminals = regexp.MustCompile("[\x00-\x09\x0b-\x1f\x7f\u0080-\u009f\u202a-\u202e]")

func TestWhatOthersWroteSteersNoTerminal(t *testing.T) {
	said := api.Change{ID: "c1", Service: "core", From: hostile, To: hostile, State: "refused", Done: true, Why: hostile, Next: hostile, Trouble: hostile}
	for _, line := range []string{"status", "check", "update core", "rollback core", "change list", "change show c1", "change wait c1", "log", "log explain 3", "log verify", "trust pins",
		"trust publishers", "trust ledgers", "trust overrides", "trust forget core"} {
		for _, b := range []*butler{
			{change: said, skip: hostile, report: api.LogReport{Error: hostile}, words: hostile, plan: api.Plan{Steps: []api.PlanStep{{Service: "core", From: hostile, To: hostile}}}},
			{err: &api.Error{Status: 400, Message: hostile, Next: hostile}},
			{err: &api.Error{Status: 400, Message: hostile}},
		} {
			code, stdout, stderr := run(t, append([]string{"--socket", serve(t, b)}, strings.Fields(line)...)...)
			if found := steersTerminals.FindString(stdout + stderr); found != "" {
				t.Errorf("%s lets %q through\n%q\n%q", line, found, stdout, stderr)
			}
			if lines := strings.Count(stderr, "\n"); code != 0 && code != 3 && (lines != 2 || strings.Count(stderr, "\nNext: ") != 1) {
				t.Errorf("%s: exit %d is not told in a line and a next step: %q", line, code, stderr)
			}
		}
	}
}

// stranger answers everything on a socket as h does.
func stranger(t *testing.T, h http.HandlerFunc) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(l) }() // it ends with the test
	t.Cleanup(func() { _ = srv.Close() })
	return socket
}

func TestAProgramThatIsNoDaemonOfOursIsNamed(t *testing.T) {
	for _, body := range []string{"", "{}", "<html>", `{"result":"error"}`, `{"result":"ok","data":[]}`} {
		socket := stranger(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		})
		for _, line := range []string{"status", "plan", "events", "core logs", "addon logs x", "log export", "user list"} {
			code, stdout, stderr := run(t, append([]string{"--socket", socket}, strings.Fields(line)...)...)
			if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "castellan: ") || strings.Count(stderr, "\nNext: ") != 1 {
				t.Errorf("%s of one that says %q: exit %d, %q, %q", line, body, code, stdout, stderr)
			}
		}
		if code, stdout, _ := run(t, "--socket", socket, "version"); code != 0 || strings.Contains(stdout, "not running") {
			t.Errorf("version of one that says %q: exit %d, %q", body, code, stdout)
		}
	}
}

func TestAnInterruptedCommandBlamesNoDaemon(t *testing.T) {
	asked, over := make(chan struct{}), make(chan struct{})
	socket := stranger(t, func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-over
	})
	defer close(over)
	ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
	go func() {
		<-asked
		interrupt()
	}()
	var stderr strings.Builder
	if code := execute(ctx, []string{"--socket", socket, "check"}, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), "interrupted; ") {
		t.Errorf("exit %d, %q", code, stderr.String())
	}
}

func TestManualPagesAskNoDaemon(t *testing.T) {
	if code, _, stderr := run(t, "--host", "https://attic.local:8480", "man", t.TempDir()); code != 0 {
		t.Errorf("exit %d, %q", code, stderr)
	}
}
