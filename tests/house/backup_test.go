package house

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// backup makes one and returns its slug.
func (h *house) backup(args ...string) string {
	h.t.Helper()
	a := h.castellan(append([]string{"backup", "create", "--json"}, args...)...)
	var done api.BackupDone
	if a.exit != 0 || json.Unmarshal([]byte(a.stdout), &done) != nil || done.Slug == "" {
		h.t.Fatalf("backup create %v: %s", args, a)
	}
	return done.Slug
}

// jobs are all that the daemon knows.
func (h *house) jobs() []api.JobView {
	h.t.Helper()
	list, err := h.client.Jobs(context.Background())
	must(h.t, err)
	return list.Jobs
}

// TestABackupBringsAnAddonBack is the life of a backup: made cold, not in the way of an update unless it fails, and all that
// an owner needs after everything was deleted.
func TestABackupBringsAnAddonBack(t *testing.T) {
	w := newWorld(t)
	w.core("2026.11.1")
	w.release("2026.11.1")
	for _, version := range []string{"1.0", "1.1"} {
		w.image("radio", version, "APP_WRITE=/data/version")
	}
	h := newHouse(w, withStore)
	h.configure(h.config() + "backup: {before_update: true}\n")
	more := []string{"options: {volume: 5}", "schema: {volume: \"int(0,10)\"}", "backup: cold", "backup_exclude: ['cache/*']"}
	h.addonConfig("radio", "1.0", more...)
	h.begin()
	h.castellan("addon", "install", radio, "--yes").says(t, 0)
	h.castellan("addon", "options", radio, "--set", "volume=9").says(t, 0)
	h.castellan("addon", "start", radio).says(t, 0)
	h.addonIs(radio, "1.0", "running", "unsigned")

	data := func(name string) string { return h.path("data", "addons", "data", radio, name) }
	write := func(name, content string) {
		must(t, os.MkdirAll(filepath.Dir(data(name)), 0o755))
		must(t, os.WriteFile(data(name), []byte(content), 0o644))
	}
	is := func(when, name, want string) {
		t.Helper()
		if b, err := os.ReadFile(data(name)); string(b) != want {
			t.Errorf("%s: %s holds %q (%v), want %q", when, name, b, err, want)
		}
	}
	write("stations", "precious")
	write("cache/x", "worthless")
	slug := h.backup("--addon", radio, "--name", "mine")
	h.addonIs(radio, "1.0", "running", "unsigned")
	h.castellan("backup", "verify", slug).says(t, 0, "whole")
	h.castellan("backup", "list").says(t, 0, slug, "mine")
	var made, saved string
	for _, j := range h.jobs() {
		if j.Name == "backup_manager_partial_backup" && j.Reference != nil && *j.Reference == slug && j.Progress == 100 && len(j.Children) == 1 {
			made, saved = j.UUID, j.Children[0].Name+" "+*j.Children[0].Reference
		}
	}
	if saved != "backup_addon_save "+radio {
		t.Errorf("no job tells of the backup: %+v", h.jobs())
	}
	h.castellan("job", "wait", made).says(t, 0, "backup_manager_partial_backup "+slug+": done")
	h.castellan("backup", "show", slug).says(t, 0, radio, "not encrypted")

	// Over what runs.
	write("stations", "lost")
	h.castellan("backup", "restore", slug, "--addon", radio).says(t, 0, "restored")
	h.addonIs(radio, "1.0", "running", "unsigned")
	is("restored", "stations", "precious")
	is("restored", "cache/x", "")

	// A backup that fails stops the update and leaves nothing.
	h.addonConfig("radio", "1.1", more...)
	h.offers()
	folder := h.path("data", "backups")
	must(t, os.Rename(folder, folder+".away"))
	must(t, os.WriteFile(folder, nil, 0o600))
	h.castellan("addon", "update", radio).says(t, 1, "backup")
	h.addonIs(radio, "1.0", "running", "unsigned")
	must(t, os.Remove(folder))
	must(t, os.Rename(folder+".away", folder))
	h.castellan("addon", "update", radio).says(t, 0)
	h.addonIs(radio, "1.1", "running", "unsigned")
	h.castellan("backup", "list").says(t, 0, "addon_"+radio+"_1.0")

	// Everything deleted. The passphrase of another is an error of its own, and the older data comes back under 1.1.
	must(t, os.WriteFile(h.path("right"), []byte("correct horse battery\n"), 0o600))
	must(t, os.WriteFile(h.path("wrong"), []byte("incorrect horse battery\n"), 0o600))
	locked := h.backup("--addon", radio, "--passphrase-file", h.path("right"))
	h.castellan("addon", "uninstall", radio, "--data", "delete", "--yes").says(t, 0)
	h.addonIs(radio, "", "absent", "unsigned")
	h.castellan("backup", "restore", locked).says(t, 1, "encrypted", "--passphrase-file")
	h.castellan("backup", "restore", locked, "--passphrase-file", h.path("wrong")).says(t, 1, "Invalid password")
	if a := h.addon(radio); a.State != "absent" {
		t.Errorf("without the passphrase it is %s", a.State)
	}
	h.castellan("backup", "restore", locked, "--passphrase-file", h.path("right")).says(t, 0, "restored")
	h.addonIs(radio, "1.1", "running", "unsigned")
	is("after everything was deleted", "stations", "precious")
	if volume, _ := json.Marshal(h.addon(radio).Options["volume"]); string(volume) != "9" {
		t.Errorf("volume is %s", volume)
	}

	// A restore that is killed in the middle ends at the next start, with all of the old data or all of the new.
	write("stations", "lost")
	write("second", "lost")
	done := make(chan error, 1)
	go func() {
		_, err := h.client.RestorePartial(context.Background(), slug, api.RestorePartial{Addons: []byte(`["` + radio + `"]`)})
		done <- err
	}()
	after := h.path("data", "restored.json")
	testenv.Eventually(t, 30*time.Second, "the restore is about to stop services", func() bool { return exists(after) })
	h.daemon.kill()
	t.Logf("the restore was told: %v", <-done)
	h.restart()
	testenv.Eventually(t, 30*time.Second, "the restore has ended", func() bool { return !exists(after) })
	h.addonIs(radio, "1.1", "running", "unsigned")
	if exists(data("second")) {
		is("killed before the exchange", "stations", "lost")
	} else {
		is("killed after the exchange", "stations", "precious")
	}
	if left, _ := filepath.Glob(h.path("data", "addons", "data", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	// What does not fit the version that is installed is told and left as it is there.
	h.castellan("addon", "uninstall", radio, "--data", "delete", "--yes").says(t, 0)
	h.addonConfig("radio", "1.1", strings.Replace(strings.Join(more, "\n"), "int(0,10)", "int(0,8)", 1))
	h.offers()
	h.castellan("backup", "restore", slug).says(t, 0, "restored", radio+": options stay as they are here")
	if volume, _ := json.Marshal(h.addon(radio).Options["volume"]); string(volume) != "5" {
		t.Errorf("volume is %s", volume)
	}

	// A publisher must vouch for it now: what comes back is judged like anything else.
	h.castellan("addon", "uninstall", radio, "--data", "delete", "--yes").says(t, 0)
	h.addonConfig("radio", "1.1", append(more, "castellan: {publisher: "+h.publisher+"}")...)
	h.offers()
	h.castellan("backup", "restore", slug).says(t, 4)
	if a := h.addon(radio); a.State != "absent" || strings.Contains(h.radioData(), "stations") {
		t.Errorf("it is %s, with %q", a.State, h.radioData())
	}
	h.castellan("backup", "remove", slug).says(t, 0)
	h.castellan("backup", "show", slug).says(t, 1, "there is no backup", "castellan backup list")
}
