package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/access"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// chronicle is a house with a log whose clock is set by hand.
func chronicle(t *testing.T, now *time.Time) *house {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	if err := audit.Init(dir); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(dir, audit.Options{Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &house{log: slog.New(slog.DiscardHandler), audit: l, cfg: &config.Config{}}
}

func (h *house) add(t *testing.T, kind audit.Kind, payload any) {
	t.Helper()
	if _, err := h.audit.Append(t.Context(), kind, payload); err != nil {
		t.Fatal(err)
	}
}

// judge logs a verdict about an image of a component.
func (h *house) judgeAs(t *testing.T, component string, outcome trust.Outcome, reason trust.Reason) {
	t.Helper()
	v := trust.Verdict{Subject: trust.Subject{Component: component, Version: "2", Manifest: trust.DigestOf([]byte(component))}, Outcome: outcome}
	if reason != "" {
		v.Findings = []trust.Finding{{Reason: reason, Decided: true}}
	}
	if _, err := h.audit.RecordVerdict(t.Context(), v, trust.Input{Request: trust.Request{Subject: v.Subject}}); err != nil {
		t.Fatal(err)
	}
}

func TestTheLogIsFiltered(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	h := chronicle(t, &now)
	hour := func() { now = now.Add(time.Hour) }
	h.add(t, audit.KindBoot, map[string]any{"version": "1"}) // and a head with it
	hour()
	h.judgeAs(t, "core", trust.Allow, "")
	hour()
	h.judgeAs(t, "radio", trust.Refuse, trust.Revoked)
	hour()
	h.judgeAs(t, "radio", trust.Defer, trust.LedgerExpired)
	hour()
	h.add(t, audit.KindAction, supervisor.Action{Service: "radio", What: "Stopped", Why: "a 50% chance"})
	hour()
	if err := h.account(access.Event{What: "user added", User: "bert", Role: access.Viewer}, "anna (session)"); err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		q    api.LogQuery
		want string // sequence numbers
	}{
		{api.LogQuery{}, "[1 2 3 4 5 6 7]"},
		{api.LogQuery{Last: 2}, "[6 7]"},
		{api.LogQuery{Last: 2, Before: 6}, "[4 5]"},
		{api.LogQuery{Before: 1}, "[]"},
		{api.LogQuery{Kinds: []string{"verdict"}}, "[3 4 5]"},
		{api.LogQuery{Kinds: []string{"boot", "account"}}, "[1 7]"},
		{api.LogQuery{Service: "radio"}, "[4 5 6]"},
		{api.LogQuery{Outcome: "REFUSE"}, "[4]"},
		{api.LogQuery{Outcome: "ALLOW", Service: "radio"}, "[]"},
		{api.LogQuery{Since: begin.Add(3 * time.Hour)}, "[5 6 7]"},
		{api.LogQuery{Until: begin.Add(2 * time.Hour)}, "[1 2 3]"},
		{api.LogQuery{Since: begin.Add(time.Hour), Until: begin.Add(3 * time.Hour)}, "[3 4]"},
		{api.LogQuery{Text: "STOPPED"}, "[6]"},
		{api.LogQuery{Text: "50%"}, "[6]"},
		{api.LogQuery{Text: "revoked"}, "[4]"},
		{api.LogQuery{Text: "bert"}, "[]"},
		{api.LogQuery{Text: "bert", Names: true}, "[7]"},
		{api.LogQuery{Text: "user added"}, "[7]"},
	} {
		numbers := func(list []api.LogRecord) string {
			out := []uint64{}
			for _, r := range list {
				out = append(out, r.Seq)
			}
			return fmt.Sprint(out)
		}
		list, err := h.Log().Records(t.Context(), c.q)
		if err != nil || numbers(list) != c.want {
			t.Errorf("%+v: %s, %v, want %s", c.q, numbers(list), err, c.want)
		}
		if c.q.Last > 0 {
			continue
		}
		var walked []api.LogRecord
		if err := h.Log().Walk(t.Context(), c.q, func(r api.LogRecord) error { walked = append(walked, r); return nil }); err != nil || numbers(walked) != c.want {
			t.Errorf("%+v walked: %s, %v, want %s", c.q, numbers(walked), err, c.want)
		}
	}
	list, err := h.Log().Records(t.Context(), api.LogQuery{Outcome: "REFUSE"})
	if err != nil || list[0].Reason != "REVOKED" {
		t.Errorf("%+v, %v", list, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Log().Walk(gone, api.LogQuery{}, func(api.LogRecord) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("who asked has left: %v", err)
	}
}

// TestAWholeExportCanBeChecked elsewhere, and names nobody.
func TestAWholeExportCanBeChecked(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	h := chronicle(t, &now)
	h.judgeAs(t, "core", trust.Allow, "")
	for _, what := range []string{"user added", "password set", "token made"} {
		if err := h.account(access.Event{What: what, User: "berthold", Role: access.Viewer, Token: "3f2a", Name: "living room"}, "annabel (session)"); err != nil {
			t.Fatal(err)
		}
	}
	b := &bytes.Buffer{}
	if err := h.Log().Walk(t.Context(), api.LogQuery{Names: true}, func(r api.LogRecord) error { _, err := fmt.Fprintf(b, "%s\n", r.Line); return err }); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"berthold", "living room", "annabel"} {
		if strings.Contains(b.String(), name) {
			t.Errorf("an export holds %q:\n%s", name, b)
		}
	}
	file := filepath.Join(t.TempDir(), "log.jsonl")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := run(t, "log", "verify", file); code != 0 || !strings.Contains(stdout, "chain good") {
		t.Errorf("log verify: %d %s %s", code, stdout, stderr)
	}
	if err := os.WriteFile(file, bytes.Replace(b.Bytes(), []byte("user added"), []byte("user seen!"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := run(t, "log", "verify", file); code == 0 {
		t.Error("one that was altered is good")
	}
}

func TestAccountsInTheLogNamePeopleToAdmins(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	h := chronicle(t, &now)
	if err := h.account(access.Event{What: "token made", User: "bert", Role: access.Viewer, Token: "3f2a", Name: "living room"}, "anna (session)"); err != nil {
		t.Fatal(err)
	}
	for names, want := range map[bool]string{false: "token made as viewer, token 3f2a", true: "token made bert as viewer, token 3f2a for living room, by anna (session)"} {
		list, err := h.Log().Records(t.Context(), api.LogQuery{Kinds: []string{"account"}, Names: names})
		if err != nil || len(list) != 1 || list[0].Summary != want {
			t.Errorf("names %v: %+v, %v; want %q", names, list, err, want)
			continue
		}
		var rec struct{ Payload map[string]string }
		if err := json.Unmarshal(list[0].Line, &rec); err != nil || !slices.ContainsFunc([]string{rec.Payload["user"]}, func(s string) bool { return strings.HasPrefix(s, "private:") }) {
			t.Errorf("the line names people: %s %v", list[0].Line, err)
		}
	}
	if err := h.audit.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.account(access.Event{What: "user added", User: "eve"}, "anna"); err == nil {
		t.Errorf("a log that takes nothing: %v", err)
	}
}
