package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/api"
)

// TestSettingsTellTheConfiguration: what people see is what the file says, and no password of an address.
func TestSettingsTellTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "castellan.yaml")
	if err := os.WriteFile(filepath.Join(dir, "1.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`data_dir: /data
registry: {mirrors: {ghcr.io: ["https://mirror.example/x"]}}
trust: {profile: strict, root_dir: `+dir+`}
channel: {urls: ["https://files.example/stable.json?key=hunter2"]}
backup: {schedule: {days: [sat, sun]}}
services:
  - {name: web, image: nginx, version: "1", container: {env: {PASSWORD: hunter2}}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, s := range settingsOf(c) {
		if _, twice := got[s.Key]; twice {
			t.Errorf("%s is told twice", s.Key)
		}
		got[s.Key] = s.Values
		if strings.Contains(strings.Join(s.Values, " "), "hunter2") {
			t.Errorf("%s tells a secret: %q", s.Key, s.Values)
		}
	}
	for key, want := range map[string][]string{
		"data_dir": {"/data"}, "registry.mirrors.ghcr.io": {"https://mirror.example/x"}, "trust.profile": {"strict"}, "channel.urls": {"https://files.example/stable.json"},
		"backup.dir": {"/data/backups"}, "backup.schedule.days": {"sat", "sun"}, "backup.schedule.hour": {"3"}, "backup.before_update": {"false"}, "services.web.update": {"ask"},
		"registry.credentials_file": {}, "api.tls": {"self"},
	} {
		if v, ok := got[key]; !ok || !slices.Equal(v, want) {
			t.Errorf("%s is %q, want %q", key, v, want)
		}
	}
}

func TestNoteFingerprint(t *testing.T) {
	// printf 'abc' | sha256sum; "YWJj" is abc in base64
	const want = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
	if got := noteFingerprint("ledger.example/x+1234abcd+YWJj"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestABundleIsKeptForAWhile: what is downloaded is what was looked at, until another is gathered.
func TestABundleIsKeptForAWhile(t *testing.T) {
	plantJournal(t, "api_key=hunter2hunter2\n")
	h := &house{path: filepath.Join(t.TempDir(), "castellan.yaml")}
	b := &butler{}
	h.api = api.New(api.Config{Backend: b, Version: "1.2.3", Log: quietLog()})
	d := &supportDesk{house: h}
	first, err := d.Gather(t.Context(), "")
	if err != nil || len(first.Files) < 8 || first.Size == 0 {
		t.Fatalf("gathered %+v, %v", first, err)
	}
	journal, err := d.File(t.Context(), first.ID, "journal.txt")
	if err != nil || strings.Contains(journal.Text, "hunter2") || journal.Hidden["secret"] != 1 {
		t.Errorf("the journal is %+v, %v", journal, err)
	}
	if status, err := d.File(t.Context(), first.ID, "status.json"); err != nil || !strings.Contains(status.Text, `"core"`) {
		t.Errorf("the status is %+v, %v", status, err)
	}
	if again, err := d.Gather(t.Context(), first.ID); err != nil || again.ID != first.ID || !again.Made.Equal(first.Made) {
		t.Errorf("the one that is kept is %s, %v", again.ID, err)
	}
	second, err := d.Gather(t.Context(), "")
	if err != nil || second.ID == first.ID {
		t.Fatalf("another is %s, %v", second.ID, err)
	}
	for _, c := range []struct{ id, name string }{{first.ID, "journal.txt"}, {second.ID, "../castellan.yaml"}, {"", "journal.txt"}} {
		if _, err := d.File(t.Context(), c.id, c.name); err == nil {
			t.Errorf("%s of %q is there", c.name, c.id)
		}
	}
	z, err := d.Zip(t.Context(), first.ID) // of one that is gone it is a new one
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "b.zip")
	f, err := os.Create(name)
	if err == nil {
		_, err = f.ReadFrom(z)
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	if files := unzip(t, name); !strings.Contains(files["MANIFEST"], "sha256:") || !strings.Contains(files["status.json"], `"core"`) {
		t.Errorf("the zip holds %q", files["MANIFEST"])
	}
}
