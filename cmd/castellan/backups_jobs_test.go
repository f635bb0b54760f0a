package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/backup/archive"
	"github.com/castellan/castellan/supervisor/jobs"
)

// workingHouse is cutHouse with jobs. heard is what was told of them.
func workingHouse(t *testing.T) (b *backupHouse, heard *[]jobs.Event) {
	t.Helper()
	b, _, p := cutHouse(t)
	if err := p.Drop(); err != nil {
		t.Fatal(err)
	}
	heard = &[]jobs.Event{}
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.turn = make(chan struct{}, 1)
	b.jobs = jobs.New(t.Context(), jobs.Config{Observe: func(e jobs.Event) { *heard = append(*heard, e) }})
	return b, heard
}

func TestOneBackupAtATimeAndItsCallerMayLeave(t *testing.T) {
	b, _ := workingHouse(t)
	try := func(ctx context.Context, wait bool, do func(context.Context) error) (jobs.Outcome, error) {
		return b.jobs.Run(ctx, jobs.Spec{Name: "backup"}, func(ctx context.Context, _ *jobs.Job) error {
			_, err := inTurn(ctx, b, wait, func(ctx context.Context) (int, error) { return 0, do(ctx) })
			return err
		})
	}
	going, end := make(chan struct{}), make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan jobs.Outcome, 1)
	go func() {
		o, _ := try(ctx, false, func(context.Context) error { close(going); <-end; return nil })
		left <- o
	}()
	<-going
	if _, err := try(t.Context(), false, func(context.Context) error { t.Error("two at a time"); return nil }); err == nil || !strings.Contains(err.Error(), "Another job is running") {
		t.Errorf("a second one: %v", err)
	}
	leave()
	o := <-left
	if j, err := b.jobs.Get(o.ID); o.Over || err != nil || *j.Done {
		t.Errorf("it does not go on: %+v, %+v, %v", o, j, err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := try(t.Context(), true, func(context.Context) error { return errors.New("mine") })
		waited <- err
	}()
	close(end)
	if err := <-waited; err == nil || err.Error() != "mine" {
		t.Errorf("who waited was told %v", err)
	}
	// The daemon ends: so does the work, whoever waits for it.
	begun := make(chan struct{})
	go func() {
		_, err := try(t.Context(), true, func(ctx context.Context) error { close(begun); <-ctx.Done(); return ctx.Err() })
		waited <- err
	}()
	<-begun
	b.stop()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("at the end of the daemon: %v", err)
	}
	b.turn <- struct{}{} // it is free again
}

// TestABackupIsAJobOfItsParts: what is made before an update is part of the update's job, and each part of it has its bytes.
func TestABackupIsAJobOfItsParts(t *testing.T) {
	b, heard := workingHouse(t)
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "f"), make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	tree := []archive.Tree{{Name: "data", Path: data}}
	var slug string
	save := func(units ...archive.Unit) func(context.Context) (archive.Made, error) {
		return func(ctx context.Context) (archive.Made, error) {
			r := archive.Request{Name: "n", Type: archive.Partial, Units: units}
			shown(ctx, &r)
			made, err := b.store.Create(ctx, r)
			slug = made.Slug
			return made, err
		}
	}
	units := []archive.Unit{{Kind: archive.Supervisor, Slug: "supervisor"}, {Kind: archive.HomeAssistant, Slug: coreUnit, Trees: tree},
		{Kind: archive.Addon, Slug: "core_x", Trees: tree}, {Kind: archive.Folder, Slug: "share", Trees: tree}}
	o, err := b.jobs.Run(t.Context(), jobs.Spec{Name: "home_assistant_core_update"}, func(ctx context.Context, j *jobs.Job) error {
		_, err := b.asJob(ctx, jobPartialBackup, save(units...))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	update, err := b.jobs.Get(o.ID)
	if err != nil || len(update.Children) != 1 {
		t.Fatalf("%+v, %v", update, err)
	}
	backup := update.Children[0]
	if backup.Name != "backup_manager_partial_backup" || *backup.Reference != slug || *backup.Stage != "folders" || backup.Extra["current"] != int64(9<<20) || backup.Extra["total"] != int64(9<<20) {
		t.Errorf("the backup: %+v", backup.Fields)
	}
	var parts []string
	for _, c := range backup.Children {
		parts = append(parts, c.Name+" "+*c.Reference)
		if !*c.Done || c.Progress != 100 || c.Name != "backup_store_repositories" && c.Extra["total"] != int64(3<<20) {
			t.Errorf("part: %+v", c.Fields)
		}
	}
	want := "backup_store_repositories supervisor; backup_store_homeassistant homeassistant; backup_addon_save core_x; backup_folder_save share"
	if got := strings.Join(parts, "; "); got != want {
		t.Errorf("parts %s, want %s", got, want)
	}
	stages := ""
	for _, e := range *heard {
		if e.Root != o.ID {
			t.Errorf("told of another job: %+v", e)
		}
		if e.UUID == backup.UUID && e.Stage != nil && !strings.HasSuffix(stages, *e.Stage+" ") {
			stages += *e.Stage + " "
		}
	}
	if !strings.HasSuffix(stages, "folders ") {
		t.Errorf("stages were told: %s", stages)
	}

	// One that fails says so in the part that did, and one that nobody's job wants is a job of its own.
	broken := archive.Unit{Kind: archive.Addon, Slug: "core_y", Trees: tree, Before: func(context.Context) error { return errors.New("it does not stop") }}
	if _, err := b.asJob(t.Context(), jobFullBackup, save(broken)); err == nil {
		t.Fatal("it was made")
	}
	j := b.jobs.List()[0]
	if j.Name != "backup_manager_full_backup" || len(j.Errors) != 1 || len(j.Children[0].Errors) != 1 || !strings.Contains(j.Children[0].Errors[0].Message, "it does not stop") {
		t.Errorf("it failed as %+v", j)
	}
}

func TestABackupHeedsTheConditionThatIsSwitchedOff(t *testing.T) {
	b, _ := workingHouse(t)
	var log strings.Builder
	b.log = slog.New(slog.NewTextHandler(&log, nil))
	r := archive.Request{Name: "mine"}
	if b.heed(&r); r.Doubt != nil {
		t.Error("it is begun in doubt, though nobody said so")
	}
	if err := b.jobs.Ignore([]string{jobs.FreeSpace}); err != nil {
		t.Fatal(err)
	}
	if b.heed(&r); r.Doubt == nil {
		t.Fatal("it is refused nevertheless")
	}
	if r.Doubt(archive.ErrNoSpace); !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "backup=mine") {
		t.Errorf("the log says %q", log.String())
	}
}

// TestACancelledBackupLeavesNothing: what rests for it is started again, and the next one has its turn.
func TestACancelledBackupLeavesNothing(t *testing.T) {
	b, _ := workingHouse(t)
	before, err := b.store.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begun, started := make(chan struct{}), false
	unit := archive.Unit{Kind: archive.Addon, Slug: "core_x", Trees: []archive.Tree{{Name: "data", Path: t.TempDir()}},
		Before: func(ctx context.Context) error { close(begun); <-ctx.Done(); return ctx.Err() },
		After:  func(ctx context.Context) error { started = ctx.Err() == nil; return nil }}
	ended := make(chan error, 1)
	go func() {
		_, err := b.asJob(t.Context(), jobFullBackup, func(ctx context.Context) (archive.Made, error) {
			r := archive.Request{Name: "n", Type: archive.Full, Units: []archive.Unit{unit}}
			shown(ctx, &r)
			made, err := b.store.Create(ctx, r)
			return made, backupError("", err)
		})
		ended <- err
	}()
	<-begun
	j := b.jobs.List()[0]
	if err := b.jobs.Cancel(j.UUID); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, jobs.ErrCancelled) || !started {
		t.Errorf("%v; what rested was started: %v", err, started)
	}
	if j, err = b.jobs.Get(j.UUID); err != nil || len(j.Errors) != 1 || j.Errors[0].Message != `cannot make the backup "n": core_x: cancelled` {
		t.Errorf("it ended as %+v, %v", j, err)
	}
	after, err := b.store.List(t.Context())
	if err != nil || len(after) != len(before) {
		t.Errorf("%d backups, there were %d, %v", len(after), len(before), err)
	}
	b.turn <- struct{}{} // it is free
}
