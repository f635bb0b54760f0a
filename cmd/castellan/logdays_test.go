package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// TestVerdictsByDay counts a real log: by outcome, each record once, and also what comes between two questions.
func TestVerdictsByDay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := audit.Init(dir); err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	add := func(outcomes ...trust.Outcome) {
		for _, o := range outcomes {
			if _, err := log.RecordVerdict(t.Context(), trust.Verdict{Outcome: o}, trust.Input{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	v := logView{log: log, zone: "Europe/Berlin", days: &verdictDays{}}
	ask := func() (refused, all int) {
		days, err := v.Days(t.Context(), 3)
		if err != nil || len(days) != 3 {
			t.Fatalf("%d days, %v", len(days), err)
		}
		zone, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		if last := days[2].Day; last != time.Now().In(zone).Format(time.DateOnly) {
			t.Errorf("the last day is %s", last)
		}
		for _, d := range days {
			refused += d.Refused
			all += d.Allowed + d.Unsigned + d.Forced + d.Deferred + d.Refused
		}
		return refused, all
	}
	if _, all := ask(); all != 0 {
		t.Errorf("an empty log counts %d", all)
	}
	add(trust.Allow, trust.Allow, trust.Refuse, trust.Defer, trust.AllowUnsigned, trust.AllowOverridden)
	if refused, all := ask(); refused != 1 || all != 6 {
		t.Errorf("%d refused of %d, want 1 of 6", refused, all)
	}
	add(trust.Refuse)
	for range 2 {
		if refused, all := ask(); refused != 2 || all != 7 {
			t.Errorf("%d refused of %d, want 2 of 7", refused, all)
		}
	}
}
