package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/backup/archive"
)

func TestWhatStaysOutOfABackup(t *testing.T) {
	for _, c := range []struct {
		glob, name string
		out        bool
	}{
		{"*.log", "data/a.log", true}, {"*.log", "data/b/a.log", true}, {"cache/*", "data/x/cache/y", true}, {"cache/*", "data/cache", false},
		{"data/cache/**", "data/cache/y", true}, {"**/tmp", "data/tmp", true}, {"/data/x", "data/x", true}, {"a/b/c/d", "data/x", false}, {"[", "data/[", false},
	} {
		if got := globs(c.glob, c.name); got != c.out {
			t.Errorf("%q on %q: %v", c.glob, c.name, got)
		}
	}
	for name, out := range map[string]bool{"data/home-assistant_v2.db": false, "data/home-assistant_v2.db-shm": true, "data/home-assistant.log.1": true,
		"data/custom/__pycache__": true, "data/backups/x.tar": true, "data/configuration.yaml": false} {
		if got := coreLeavesOut(name, false); got != out {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !coreLeavesOut("data/home-assistant_v2.db", true) || coreLeavesOut("data/sub/home-assistant_v2.db", true) {
		t.Error("the database is not what was left out")
	}
}

func TestCommandsAreTakenApart(t *testing.T) {
	for in, want := range map[string][]string{
		"save now": {"save", "now"}, ` sh -c "a 'b' \"c\"" `: {"sh", "-c", `a 'b' "c"`}, `x '' y\ z`: {"x", "", "y z"}, `"open`: nil, `end\`: nil, "  ": nil,
	} {
		got, err := commandWords(in)
		if !reflect.DeepEqual(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestTheScheduleIsKeptOnceAndCaughtUpOnce(t *testing.T) {
	s := archive.Schedule{Days: []time.Weekday{time.Saturday}, Hour: 3}
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) } // the 7th is a Saturday
	for _, c := range []struct {
		last, now time.Time
		due       bool
	}{
		{at(1, 12), at(7, 2), false}, {at(1, 12), at(7, 3), true}, {at(7, 3), at(7, 23), false}, {at(7, 3), at(13, 12), false},
		{at(1, 12), at(29, 12), true}, {at(29, 12), at(29, 13), false}, // four were missed: one is made
	} {
		if got := backupDue(s, c.last, c.now); got != c.due {
			t.Errorf("last %s, now %s: due %v", c.last, c.now, got)
		}
	}
}

// cutHouse is a house whose restore was cut: prepared, with what comes afterwards written down.
func cutHouse(t *testing.T) (b *backupHouse, place string, p *archive.Prepared) {
	t.Helper()
	dir, place := t.TempDir(), filepath.Join(t.TempDir(), "data", "core_x")
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(place, 0o755))
	must(os.WriteFile(filepath.Join(place, "f"), []byte("saved"), 0o644))
	store, err := archive.Open(filepath.Join(dir, "backups"), archive.Options{Reserve: -1})
	must(err)
	t.Cleanup(func() { must(store.Close()) })
	made, err := store.Create(t.Context(), archive.Request{Name: "n", Type: archive.Partial, Units: []archive.Unit{{Kind: archive.Addon, Slug: "core_x", Name: "X", Version: "1",
		Trees: []archive.Tree{{Name: "data", Path: place}}}}})
	must(err)
	must(os.WriteFile(filepath.Join(place, "f"), []byte("newer"), 0o644))
	b = &backupHouse{house: &house{log: slog.New(slog.DiscardHandler)}, store: store, files: backupFiles{journal: filepath.Join(dir, "restore.json"), after: filepath.Join(dir, "restored.json")}}
	f, err := store.Read(made.Slug)
	must(err)
	defer f.Close()
	p, err = f.Prepare(context.Background(), b.files.journal, archive.Key{}, []archive.Target{{Unit: "core_x", Trees: map[string]string{"data": place}}}, nil)
	must(err)
	must(fileStore(b.files.after).Save([]byte(`{"settings":{"core_x":{"Options":{"volume":5}}},"start":["core_x"]}`)))
	return b, place, p
}

// placing is the journal of a restore as it is when the exchange begins.
func placing(t *testing.T, raw []byte, place string) []byte {
	t.Helper()
	var plan map[string]any
	if err := json.Unmarshal(raw, &plan); err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(plan["folders"].([]any)[0].(string), "data")
	var st syscall.Stat_t
	if err := syscall.Stat(from, &st); err != nil {
		t.Fatal(err)
	}
	plan["phase"] = "placing"
	plan["swaps"] = []any{map[string]any{"from": from, "to": place, "aside": from + ".before", "inode": st.Ino}}
	out, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestACutRestoreEndsWithAllOrNothing(t *testing.T) {
	for _, c := range []struct {
		name, phase, data string
		settings          map[string]addons.Settings
	}{
		{"while it was prepared", "preparing", "newer", nil},
		{"while it was put in place", "placing", "saved", map[string]addons.Settings{"core_x": {}}},
		{"after it was put in place", "", "saved", map[string]addons.Settings{"core_x": {}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, place, p := cutHouse(t)
			switch raw, err := os.ReadFile(b.files.journal); {
			case err != nil:
				t.Fatal(err)
			case c.phase == "placing":
				if err := os.WriteFile(b.files.journal, placing(t, raw, place), 0o600); err != nil {
					t.Fatal(err)
				}
			case c.phase == "":
				if err := p.Place(); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // and a second start
				if err := b.resume(); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(filepath.Join(place, "f")); string(got) != c.data {
				t.Errorf("data %q, %v", got, err)
			}
			then, err := b.afterCut()
			if err != nil || then == nil || !reflect.DeepEqual(then.Start, []string{"core_x"}) || len(then.Settings) != len(c.settings) {
				t.Errorf("left to do: %+v, %v", then, err)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(place), ".*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestARestoreThatCannotBeginIsNoneThatWasMade(t *testing.T) {
	b, place, p := cutHouse(t)
	begun, err := exchange(func() error { return fmt.Errorf("%w: the disk is full", archive.ErrNotBegun) }, b.files.journal)
	if begun || err == nil {
		t.Errorf("begun %v, %v", begun, err)
	}
	if err := p.Drop(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(place, "f")); string(got) != "newer" || onHost(b.files.journal) {
		t.Errorf("data %q, %v", got, err)
	}
}

func TestARestoreThatIsGivenUpLeavesNoSettings(t *testing.T) {
	b, place, p := cutHouse(t)
	if err := b.giveUp(p, []string{"core_x"}); err != nil {
		t.Fatal(err)
	}
	if err := b.resume(); err != nil { // the power went right after it
		t.Fatal(err)
	}
	then, err := b.afterCut()
	if err != nil || then == nil || then.Settings != nil || !reflect.DeepEqual(then.Start, []string{"core_x"}) {
		t.Errorf("left to do: %+v, %v", then, err)
	}
	if got, err := os.ReadFile(filepath.Join(place, "f")); string(got) != "newer" || onHost(b.files.journal) {
		t.Errorf("data %q, %v", got, err)
	}
}

func TestABackupBringsNoPartThatIsNoneOfOurs(t *testing.T) {
	store, err := archive.Open(t.TempDir(), archive.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, c := range []struct {
		kind archive.Kind
		slug string
		good bool
	}{
		{archive.Folder, "share", true}, {archive.Folder, "addons/local", true}, {archive.Addon, "core_x", true}, {archive.HomeAssistant, "homeassistant", true},
		{archive.Folder, "data", false}, {archive.Folder, "addons/data", false}, {archive.Folder, "addon_configs", false}, {archive.Folder, "share/x", false},
		{archive.Addon, "core_x/y", false}, {archive.HomeAssistant, "core_x", false},
	} {
		made, err := store.Create(t.Context(), archive.Request{Name: "n", Type: archive.Full, Units: []archive.Unit{{Kind: c.kind, Slug: c.slug, Name: "N"}}})
		if err != nil {
			t.Fatal(err)
		}
		f, err := store.Read(made.Slug)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, want := range []api.RestoreRequest{{Full: true}, {Addons: []string{c.slug}}} {
			if _, err := (&restore{backup: f}).wanted(want); (err == nil) != c.good {
				t.Errorf("%s %s, %+v: %v", c.kind, c.slug, want, err)
			}
		}
	}
}

// TestTheClockTakesNoBackupThatWasJustMade: those of a clock that ran ahead look newer than all that follow.
func TestTheClockTakesNoBackupThatWasJustMade(t *testing.T) {
	now, three := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC), 3
	store, err := archive.Open(t.TempDir(), archive.Options{Reserve: -1, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	b := &backupHouse{house: &house{log: slog.New(slog.DiscardHandler), cfg: &config.Config{}}, store: store}
	b.cfg.Backup.Keep = config.BackupKeep{BeforeUpdate: &three, Scheduled: &three}
	for range 5 {
		made, err := store.Create(t.Context(), archive.Request{Name: "n", Type: archive.Partial, Origin: archive.BeforeUpdate, Service: "core",
			Units: []archive.Unit{{Kind: archive.HomeAssistant, Slug: coreUnit}}})
		if err != nil {
			t.Fatal(err)
		}
		b.sweep(t.Context(), made.Slug)
		if _, err := store.Path(made.Slug); err != nil {
			t.Errorf("dated %s: %v", made.Date, err)
		}
		if made.Date.Year() == 2031 {
			now = now.Add(time.Hour)
		}
		if items, _ := store.List(t.Context()); len(items) >= three {
			now = time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
		}
	}
	if items, err := store.List(t.Context()); len(items) != three+1 { // one too many: it is the one that serves
		t.Errorf("%d are left, %v", len(items), err)
	}
}

func TestKeysAreTold(t *testing.T) {
	for _, c := range []struct {
		err  error
		says string
	}{
		{archive.ErrWrongKey, "Invalid password for backup 0a1b2c3d"}, {archive.ErrKeyNeeded, "it is encrypted"}, {archive.ErrNotFound, `there is no backup "0a1b2c3d"`},
	} {
		if err := backupError("0a1b2c3d", c.err); !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.err, err)
		}
	}
	identity, _, err := archive.NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	if k, err := keyOf(" " + identity + "\n"); err != nil || k == (archive.Key{}) {
		t.Errorf("a recovery key: %v", err)
	}
	if _, err := keyOf("AGE-SECRET-KEY-1BROKEN"); err == nil {
		t.Error("a broken recovery key was taken for a passphrase")
	}
}
