package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

func TestCompletionsAskTheDaemon(t *testing.T) {
	socket := serve(t, &butler{vault: cellar{new([]string)}, change: api.Change{ID: "c1", Service: "core", To: "2"}, addon: api.AddonInfo{Addon: api.Addon{Slug: "core_x", Name: "X"}}})
	for line, want := range map[string]string{
		"update ":                "core\t1\n",
		"hold c":                 "core\t1\n",
		"hold x":                 ":4\n",
		"addon start ":           "core_x\tX\n",
		"addon install core":     "core_x\tX\n",
		"repo remove ":           "core\tOfficial[2J\n",
		"completion ":            "bash\nzsh\nfish\n",
		"mode core ":             ":4\n",
		"sta":                    "status\t",
		"trust house accept cor": "core\t1\n",
		"user add ":              ":0\n",
		"token add ":             ":0\n",
		"change show ":           "c1\tcore 2\n",
		"backup show 0":          "0a1b2c3d\tweekly[2J\n",
	} {
		args := append([]string{"__complete", "--socket", socket}, strings.Split(line, " ")...)
		if code, stdout, stderr := run(t, args...); code != 0 || !strings.HasPrefix(stdout, want) {
			t.Errorf("%q: exit %d, %q, want %q (%s)", line, code, stdout, want, stderr)
		}
	}
}

// A daemon that hangs must not hang a shell.
func TestCompletionsDoNotWait(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket) // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	began := time.Now()
	code, stdout, _ := run(t, "__complete", "--socket", socket, "update", "")
	if took := time.Since(began); code != 0 || !strings.HasPrefix(stdout, ":4") || took < completeWithin || took > 20*completeWithin {
		t.Errorf("exit %d, %q after %v", code, stdout, took)
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range shells {
		if code, stdout, stderr := run(t, "completion", shell); code != 0 || !strings.Contains(stdout, "__complete") {
			t.Errorf("%s: exit %d, %d bytes, %s", shell, code, len(stdout), stderr)
		}
	}
	if code, _, stderr := run(t, "completion", "tcsh"); code != exitUsage || nexts(stderr) != 1 {
		t.Errorf("tcsh: exit %d, %q", code, stderr)
	}
}

func TestManualPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if code, _, stderr := run(t, "man", dir); code != 0 {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	for name, want := range map[string]string{
		"castellan.1":              ".BR castellan\\-status (1)",
		"castellan-addon-list.1":   ".SH NAME\ncastellan\\-addon\\-list \\- Show the installed add\\-ons",
		"castellan-hold.1":         ".B \\-\\-until STRING\n",
		"castellan-addon-lint.1":   `PATH\[u2026]`,
		"castellan-trust-force.1":  ".SH EXAMPLES",
		"castellan-trust-reinit.1": ".SH EXIT STATUS",
	} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(b), want) || !strings.HasPrefix(string(b), ".TH ") {
			t.Errorf("%s: %v, want %q in\n%s", name, err, want, b)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "castellan-man.1")); err == nil {
		t.Error("the hidden command has a page")
	}
}
