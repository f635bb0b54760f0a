package main

import (
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

func TestChangeCommands(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	good := api.Change{ID: "c-2", Service: "addon_core_ssh", Slug: "core_ssh", Kind: "update", From: "8", To: "9", State: "committed", Done: true, Good: true, Created: at, Updated: at}
	bad := api.Change{ID: "c-1", Service: "core", Kind: "update", From: "1", To: "2\x1b[31m", State: "refused", Done: true, Reason: "REVOKED", Why: "its publisher withdrew it", Next: "wait", Verdict: 7, Created: at, Updated: at}
	b := &butler{changes: []api.Change{good, bad}}
	socket := serve(t, b)
	code, out, _ := run(t, "--socket", socket, "change", "list")
	if code != 0 || strings.Index(out, "c-2") > strings.Index(out, "c-1") || strings.Contains(out, "\x1b") {
		t.Errorf("list: exit %d\n%s", code, out)
	}
	for _, service := range []string{"core_ssh", "addon_core_ssh"} {
		if _, out, _ := run(t, "--socket", socket, "change", "list", "--service", service); !strings.Contains(out, "c-2") || strings.Contains(out, "c-1") {
			t.Errorf("list of %s:\n%s", service, out)
		}
	}
	if _, out, _ := run(t, "--socket", socket, "change", "list", "--last", "1"); strings.Contains(out, "c-1") {
		t.Errorf("the last one:\n%s", out)
	}
	if code, _, stderr := run(t, "--socket", socket, "change", "list", "--last", "0"); code != exitUsage || nexts(stderr) != 1 {
		t.Errorf("--last 0: exit %d, %s", code, stderr)
	}
	if _, out, _ := run(t, "--socket", socket, "change", "show", "c-1"); !strings.Contains(out, "why: its publisher withdrew it") || !strings.Contains(out, "castellan log explain 7") {
		t.Errorf("show:\n%s", out)
	}
	if code, _, stderr := run(t, "--socket", socket, "change", "wait", "c-1"); code != exitRefused || nexts(stderr) != 1 {
		t.Errorf("wait for a refused one: exit %d, %s", code, stderr)
	}
	if code, _, _ := run(t, "--socket", socket, "change", "wait", "c-2"); code != 0 {
		t.Errorf("wait for a good one: exit %d", code)
	}
}
