package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/updater"
)

// deciding is a house with the parts that decisions need: radio runs 1 and is offered 2.
func deciding(t *testing.T, file string) *house {
	t.Helper()
	h := reloadable(t, "services: [{name: radio, image: example.org/radio, version: '2', update: auto}]\naddons: {timezone: Europe/Berlin}\n")
	if err := h.journal.Update(func(tx *state.Tx) error {
		return tx.Put("service", "radio", []byte(`{"format":1,"service":{"name":"radio"},"current":{"version":"1"}}`))
	}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "log")
	if err := audit.Init(dir); err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	h.audit, h.clock = log, trust.NewClock(h.memory, func() bool { return true })
	h.openDecisions(fileStore(file))
	return h.house
}

// records are the log's records about decisions, oldest first, as people see them.
func records(t *testing.T, h *house) (out []string) {
	t.Helper()
	list, err := h.Log().Records(t.Context(), api.LogQuery{Kinds: []string{"action"}, Last: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		out = append(out, r.Summary)
	}
	return out
}

func outcome(t *testing.T, h *house, owner updater.OwnerRequest) string {
	t.Helper()
	plan, err := h.makePlan(owner)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Steps) > 0 {
		return "moves"
	}
	return plan.Skips[0].Code
}

func TestEachDecisionCountsAtOnceHasARecordAndOutlivesTheDaemon(t *testing.T) {
	file := filepath.Join(t.TempDir(), "decisions.json")
	h := deciding(t, file)
	ctx, d := t.Context(), h.Decisions()
	closed := time.Now().In(h.zone()).Add(2 * time.Hour) // a window that opens in two hours
	hours := api.WindowRequest{From: closed.Format("15:04"), To: closed.Add(time.Hour).Format("15:04")}
	for i, c := range []struct {
		do     func() (api.Decision, error)
		plan   string
		asked  string // the plan when radio is asked for
		record string
	}{
		{func() (api.Decision, error) {
			return d.SetMode(ctx, api.ModeRequest{Service: "radio", Mode: "ask"}, "ann")
		}, "ask", "moves", "radio mode ask"},
		{func() (api.Decision, error) {
			return d.SetMode(ctx, api.ModeRequest{Service: "radio", Mode: "off"}, "ann")
		}, "off", "moves", "radio mode off"},
		{func() (api.Decision, error) {
			return d.SetMode(ctx, api.ModeRequest{Service: "radio", Mode: "default"}, "ann")
		}, "moves", "moves", "radio mode default"},
		{func() (api.Decision, error) {
			return d.Hold(ctx, api.HoldRequest{Service: "radio", Until: "2099-12-24", Why: "s3cret guests"}, "ann")
		}, "hold", "hold", "radio hold"},
		{func() (api.Decision, error) { return d.Hold(ctx, api.HoldRequest{Service: "radio", End: true}, "ann") }, "moves", "moves", "radio hold ended"},
		{func() (api.Decision, error) {
			return d.Skip(ctx, api.SkipRequest{Service: "radio", Version: "2"}, "ann")
		}, "skipped", "moves", "radio skip (- -> 2)"},
		{func() (api.Decision, error) {
			return d.Skip(ctx, api.SkipRequest{Service: "radio", Version: "2", End: true}, "ann")
		}, "moves", "moves", "radio skip ended (- -> 2)"},
		{func() (api.Decision, error) { return d.AddWindow(ctx, hours, "ann") }, "window", "moves", "window added: every day " + hours.From + "-" + hours.To + " Europe/Berlin"},
		{func() (api.Decision, error) { return d.RemoveWindow(ctx, 1, "ann") }, "moves", "moves", "window removed: every day " + hours.From + "-" + hours.To + " Europe/Berlin"},
	} {
		got, err := c.do()
		list := records(t, h)
		if err != nil || !got.Changed || got.Seq == 0 || len(list) != i+1 || list[i] != c.record {
			t.Fatalf("%+v, %v; records %q, want %q", got, err, list, c.record)
		}
		if plan, asked := outcome(t, h, updater.OwnerRequest{}), outcome(t, h, updater.OwnerRequest{Service: "radio"}); plan != c.plan || asked != c.asked {
			t.Errorf("%s: %s, asked for %s, want %s and %s", c.record, plan, asked, c.plan, c.asked)
		}
		if again, err := c.do(); err != nil || again.Changed || again.Seq != 0 {
			t.Errorf("%s, said twice: %+v, %v", c.record, again, err)
		}
		h.openDecisions(fileStore(file)) // the daemon starts again
		if plan := outcome(t, h, updater.OwnerRequest{}); plan != c.plan {
			t.Errorf("%s: %s after a start, want %s", c.record, plan, c.plan)
		}
		select {
		case <-h.kick:
		default:
			t.Errorf("%s: the update loop was not asked for a turn", c.record)
		}
	}
	for rec, err := range h.audit.Records(audit.Filter{}) {
		if err != nil || strings.Contains(string(rec.Payload), "s3cret") || strings.Contains(string(rec.Payload), "ann") {
			t.Errorf("a private text is in the log: %s, %v", rec.Payload, err)
		}
	}
}

func TestDecisionsThatMakeNoSenseAreRefused(t *testing.T) {
	h := deciding(t, filepath.Join(t.TempDir(), "decisions.json"))
	ctx, d := t.Context(), h.Decisions()
	for what, c := range map[string]struct {
		do   func() (api.Decision, error)
		says string
	}{
		"nobody":    {func() (api.Decision, error) { return d.SetMode(ctx, api.ModeRequest{Service: "tv", Mode: "off"}, "x") }, `no service "tv"`},
		"of nobody": {func() (api.Decision, error) { return d.Hold(ctx, api.HoldRequest{Service: "tv", End: true}, "x") }, `no service "tv"`},
		"over": {func() (api.Decision, error) {
			return d.Hold(ctx, api.HoldRequest{Service: "radio", Until: "2020-01-01"}, "x")
		}, "that is over"},
		"no date": {func() (api.Decision, error) {
			return d.Hold(ctx, api.HoldRequest{Service: "radio", Until: "soon"}, "x")
		}, "no date"},
		"runs":      {func() (api.Decision, error) { return d.Skip(ctx, api.SkipRequest{Service: "radio", Version: "1"}, "x") }, "runs 1 already"},
		"no window": {func() (api.Decision, error) { return d.AddWindow(ctx, api.WindowRequest{From: "1", To: "2"}, "x") }, "no time of day"},
		"wrong place": {func() (api.Decision, error) {
			return d.AddWindow(ctx, api.WindowRequest{From: "01:00", To: "02:00", Zone: "x"}, "x")
		}, "no time zone"},
	} {
		_, err := c.do()
		var answer *api.Error
		if !errors.As(err, &answer) || !strings.Contains(answer.Message, c.says) || answer.Next == "" {
			t.Errorf("%s: %v, want %q and a next step", what, err, c.says)
		}
	}
	if list := records(t, h); len(list) != 0 {
		t.Errorf("records of what was refused: %q", list)
	}
	got, err := d.Hold(ctx, api.HoldRequest{Service: "radio", Until: "2099-07-01"}, "ann")
	if want := time.Date(2099, 6, 30, 22, 0, 0, 0, time.UTC); err != nil || !got.Service.Hold.Until.Equal(want) {
		t.Errorf("a date is meant in the appliance's zone: %+v, %v, want %s", got.Service, err, want)
	}
}

func TestDecisionsThatCannotBeReadHoldBackAndAreListed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "decisions.json")
	if err := os.WriteFile(file, []byte(`{"format":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	h := deciding(t, file)
	if plan, asked := outcome(t, h, updater.OwnerRequest{}), outcome(t, h, updater.OwnerRequest{Service: "radio"}); plan != "hold" || asked != "moves" {
		t.Errorf("plan %s, asked %s", plan, asked)
	}
	_, err := h.Decisions().SetMode(t.Context(), api.ModeRequest{Service: "radio", Mode: "auto"}, "ann")
	var answer *api.Error
	if !errors.As(err, &answer) || answer.Key != "decisions_unreadable" || !strings.Contains(answer.Message, "install the newer Castellan again") {
		t.Errorf("%v", err)
	}
	list, err := h.Decisions().Decided(t.Context())
	if err != nil || list.Error == "" || list.Open || len(list.Services) != 1 || list.Services[0].Mode != "auto" {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestSkipsAreForgottenWhenANewerVersionRuns(t *testing.T) {
	h := deciding(t, filepath.Join(t.TempDir(), "decisions.json"))
	if _, err := h.Decisions().Skip(t.Context(), api.SkipRequest{Service: "radio", Version: "2"}, "ann"); err != nil {
		t.Fatal(err)
	}
	h.tidy([]updater.Installed{{Service: "radio", Version: "1"}})
	if got := outcome(t, h, updater.OwnerRequest{}); got != "skipped" {
		t.Errorf("an older one runs: %s", got)
	}
	h.tidy([]updater.Installed{{Service: "radio", Version: "3"}})
	list, err := h.Decisions().Decided(t.Context())
	if err != nil || len(list.Services[0].Skips) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestARemovedServiceTakesItsDecisionsAlong(t *testing.T) {
	h := deciding(t, filepath.Join(t.TempDir(), "decisions.json"))
	if _, err := h.Decisions().Hold(t.Context(), api.HoldRequest{Service: "radio"}, "ann"); err != nil {
		t.Fatal(err)
	}
	gone := supervisor.Change{Service: supervisor.Service{Name: "radio"}, Kind: supervisor.KindRemove, State: supervisor.StateCreated}
	if h.observe(gone, supervisor.Progress{}); outcome(t, h, updater.OwnerRequest{}) != "hold" {
		t.Error("its hold is gone before the service is")
	}
	gone.State = supervisor.StateCommitted
	if h.observe(gone, supervisor.Progress{}); outcome(t, h, updater.OwnerRequest{}) != "moves" {
		t.Error("a new one under its name is on hold")
	}
}

func TestTheUpdateLoopLooksWhenAWindowOpens(t *testing.T) {
	h := deciding(t, filepath.Join(t.TempDir(), "decisions.json"))
	if got := h.nextEnd(time.Hour); got != time.Hour {
		t.Errorf("without a window: %s", got)
	}
	h.plan = updater.Plan{Skips: []updater.Skip{{Ends: h.now().Add(-time.Hour)}, {Ends: h.now().Add(20 * time.Minute)}}}
	if got := h.nextEnd(time.Hour); got < 19*time.Minute || got > 20*time.Minute+windowSpread {
		t.Errorf("a window opens in 20 minutes: %s", got)
	}
	if got := h.nextEnd(time.Minute); got != time.Minute {
		t.Errorf("the ledger is looked at as often as before: %s", got)
	}
}

func TestEachSkipHasOneRecord(t *testing.T) {
	h := deciding(t, filepath.Join(t.TempDir(), "decisions.json"))
	tell := func(want ...string) {
		t.Helper()
		plan, err := h.makePlan(updater.OwnerRequest{})
		if err != nil {
			t.Fatal(err)
		}
		h.tellSkips(t.Context(), plan)
		if got := records(t, h); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	tell()
	mode := func(m string) {
		t.Helper()
		if _, err := h.Decisions().SetMode(t.Context(), api.ModeRequest{Service: "radio", Mode: m}, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	mode("ask")
	said := []string{"radio mode ask", "radio waits: ask (- -> 2)"}
	tell(said...)
	tell(said...)
	h.skips = skipStory{} // the daemon starts again
	tell(said...)
	mode("off")
	said = append(said, "radio mode off", "radio waits: off (- -> 2)")
	tell(said...)
	mode("ask") // comes and goes
	said = append(said, "radio mode ask")
	tell(said...)
	for key := range h.skips.told {
		h.skips.told[key] = h.now().Add(-tellAgain)
	}
	tell(append(said, "radio waits: ask (- -> 2)")...)
}
