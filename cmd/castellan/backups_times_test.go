package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/backup/archive"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// TestTheOwnersScheduleCounts in the configuration's place, over a restart, from the moment it was set, and until he leaves it
// to the configuration again.
func TestTheOwnersScheduleCounts(t *testing.T) {
	dir, hour := t.TempDir(), 3
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(audit.Init(filepath.Join(dir, "log")))
	log, err := audit.Open(filepath.Join(dir, "log"), audit.Options{})
	must(err)
	defer log.Close()
	memory, err := trust.InitMemory(filepath.Join(dir, "trust.json"))
	must(err)
	store, err := archive.Open(filepath.Join(dir, "backups"), archive.Options{Reserve: -1})
	must(err)
	defer store.Close()
	keep := 7
	cfg := &config.Config{Backup: config.Backup{Dir: filepath.Join(dir, "backups"), Recipient: config.None, Keep: config.BackupKeep{BeforeUpdate: &keep, Scheduled: &keep},
		Schedule: config.BackupSchedule{Days: []string{"sun"}, Hour: &hour}}}
	open := func() backupShelf {
		b := &backupHouse{house: &house{log: quietLog(), cfg: cfg, audit: log, clock: trust.NewClock(memory, func() bool { return true })}, ctx: t.Context(), store: store,
			files: backupFiles{state: filepath.Join(dir, "backups.json")}}
		must(b.load())
		return backupShelf{b}
	}
	b := open()
	if p := b.Place(t.Context()); p.Decided || !slices.Equal(p.Days, []string{"sun"}) || p.Hour != 3 || p.Next.IsZero() || p.KeepScheduled != 7 || p.Free == 0 {
		t.Errorf("before: %+v", p)
	}
	began := time.Now().Add(-time.Second)
	must(b.Set(t.Context(), api.BackupSettings{Schedule: &api.BackupTimes{Days: []string{"mon", "tue"}, Hour: 22}, By: "user anna"}))
	days := 9
	must(b.Set(t.Context(), api.BackupSettings{DaysUntilStale: &days}))
	b = open()
	p := b.Place(t.Context())
	if !p.Decided || !slices.Equal(p.Days, []string{"mon", "tue"}) || p.Hour != 22 || p.DaysUntilStale != 9 {
		t.Errorf("set: %+v", p)
	}
	if d := p.Next.UTC().Weekday(); d != time.Monday && d != time.Tuesday || p.Next.UTC().Hour() != 22 {
		t.Errorf("the next is %s", p.Next)
	}
	if b.state.Scheduled.Before(began) {
		t.Errorf("a backup that was missed before it was set would come at once: it counts from %s", b.state.Scheduled)
	}
	must(b.Set(t.Context(), api.BackupSettings{Schedule: &api.BackupTimes{}}))
	if p := b.Place(t.Context()); !p.Decided || len(p.Days) != 0 || !p.Next.IsZero() {
		t.Errorf("none: %+v", p)
	}
	must(b.Set(t.Context(), api.BackupSettings{Schedule: &api.BackupTimes{Default: true}}))
	if p := b.Place(t.Context()); p.Decided || !slices.Equal(p.Days, []string{"sun"}) || p.DaysUntilStale != 9 {
		t.Errorf("as the configuration says: %+v", p)
	}
	n := 0
	for r, err := range log.Records(audit.Filter{}) {
		must(err)
		if r.Kind == audit.KindAction {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d records tell of it, want 3", n)
	}
	raw, err := json.Marshal(b.state)
	if err != nil || strings.Contains(string(raw), `"schedule"`) {
		t.Errorf("the state is %s, %v", raw, err)
	}
}
