package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor/backup/archive"
	"github.com/castellan/castellan/updater"
)

func TestOneBackupServesForAnUpdateAndAFailureHoldsItBack(t *testing.T) {
	now := time.Now()
	failure := errors.New("the disk is full")
	const hours, week = time.Hour, 7 * 24 * time.Hour
	for _, c := range []struct {
		name string
		try  backupTry
		shut time.Duration
		wait bool
		done bool
		says string
	}{
		{"none was made", backupTry{}, 0, false, false, ""},
		{"it is being made", backupTry{From: "1", At: now, busy: true}, 0, false, false, "is being made"},
		{"an owner waits for another", backupTry{From: "1", At: now, busy: true}, 0, true, false, ""},
		{"it was made", backupTry{From: "1", At: now.Add(-hours)}, 0, false, true, ""},
		{"it was made and an owner asks", backupTry{From: "1", At: now}, 0, true, false, ""},
		{"it is old", backupTry{From: "1", At: now.Add(-25 * hours)}, 0, false, false, ""},
		{"it is old, and the window opens again", backupTry{From: "1", At: now.Add(-25 * hours)}, 23 * hours, false, true, ""},
		{"it is a week old, and so is the last window", backupTry{From: "1", At: now.Add(-week)}, week - hours, false, true, ""},
		{"it is a week old, and windows open each night", backupTry{From: "1", At: now.Add(-week)}, 23 * hours, false, false, ""},
		{"it holds the data of another version", backupTry{From: "0", At: now}, 0, false, false, ""},
		{"it is dated by a clock that was wrong", backupTry{From: "1", At: now.Add(hours)}, week, false, false, ""},
		{"it failed", backupTry{From: "1", At: now, err: failure}, 0, false, false, "the disk is full"},
		{"it failed and an owner asks", backupTry{From: "1", At: now, err: failure}, 0, true, false, ""},
		{"it failed long ago", backupTry{From: "1", At: now.Add(-2 * hours), err: failure}, week, false, false, ""},
	} {
		done, err := c.try.serves("1", now, c.shut, c.wait)
		if done != c.done || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", c.name, done, err)
		}
	}
}

// TestABackupLongerThanItsWindowStarvesNoUpdate: the update loop looks each ten minutes, as long as a window is open. The
// update comes with the second window, however long the backup takes, also when the daemon starts anew in between and a
// newer version has come.
func TestABackupLongerThanItsWindowStarvesNoUpdate(t *testing.T) {
	for _, c := range []struct {
		days  []string
		takes time.Duration
		after time.Duration // from the first look, at the latest
	}{
		{[]string{"sat"}, 5 * time.Minute, 20 * time.Minute},
		{[]string{"sat"}, 2 * time.Hour, 8 * 24 * time.Hour},
		{[]string{"sat"}, 59*time.Minute + 59*time.Second, 8 * 24 * time.Hour},
		{[]string{"sat", "wed"}, 3 * time.Hour, 5 * 24 * time.Hour},
		{nil, 30 * time.Hour, 3 * 24 * time.Hour},
	} {
		t.Run(fmt.Sprint(c.days, " ", c.takes), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w, err := updater.NewWindow(updater.WindowSpec{Days: c.days, From: "02:00", To: "03:00", Zone: "UTC"})
				if err != nil {
					t.Fatal(err)
				}
				hours, backups := updater.Windows{w}, 0
				time.Sleep(time.Until(hours.Next(time.Now())))
				b := firstHouse(t, dir)
				var began time.Time
				for version := 2; ; version++ {
					if !hours.Open(time.Now()) {
						time.Sleep(time.Until(hours.Next(time.Now())))
						b.mu.Lock()
						busy := b.tries["core"].busy
						if b.mu.Unlock(); !busy {
							b = firstHouse(t, dir) // another start of the daemon
						}
					}
					if began.IsZero() {
						began = time.Now()
					}
					err := b.tried(t.Context(), updater.Step{Service: "core", From: "1", To: updater.Target{Version: fmt.Sprint(version)}}, hours, false,
						func(context.Context) (string, error) {
							backups++
							time.Sleep(c.takes)
							return "0a1b2c3d", os.WriteFile(filepath.Join(dir, "backups", "0a1b2c3d.tar"), nil, 0o600)
						})
					took := time.Since(began)
					if err == nil {
						if backups != 1 || took > c.after {
							t.Errorf("the update came after %s and %d backups", took, backups)
						}
						return
					}
					if !errors.Is(err, errBackupUnderWay) || took > c.after {
						t.Fatalf("after %s and %d backups: %v", took, backups, err)
					}
					time.Sleep(10 * time.Minute)
					synctest.Wait()
				}
			})
		})
	}
}

// firstHouse is a daemon that has just started on dir.
func firstHouse(t *testing.T, dir string) *backupHouse {
	t.Helper()
	store, err := archive.Open(filepath.Join(dir, "backups"), archive.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil { // its lock; the folder can be asked nevertheless
		t.Fatal(err)
	}
	b := &backupHouse{house: &house{log: slog.New(slog.DiscardHandler), kick: make(chan struct{}, 1)}, ctx: context.Background(), store: store,
		files: backupFiles{state: filepath.Join(dir, "backups.json")}, tries: map[string]backupTry{}}
	if err := b.load(); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestABackupThatItsOwnerRemovedServesForNothing(t *testing.T) {
	b := firstHouse(t, t.TempDir())
	step := updater.Step{Service: "core", From: "1"}
	b.remember("core", backupTry{From: "1", At: time.Now(), Slug: "0a1b2c3d"})
	made := make(chan struct{})
	err := b.tried(t.Context(), step, nil, false, func(context.Context) (string, error) { close(made); return "", errors.New("the disk is full") })
	if <-made; !errors.Is(err, errBackupUnderWay) {
		t.Error(err)
	}
}
