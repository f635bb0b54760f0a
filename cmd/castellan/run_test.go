package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListenTakesOverADeadSocketAndNothingElse(t *testing.T) {
	for _, c := range []struct {
		name  string
		there func(t *testing.T, path string)
		says  string // "" = it listens
	}{
		{"nothing", func(*testing.T, string) {}, ""},
		{"a socket nobody listens on", func(t *testing.T, path string) {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			_ = l.Close() // leaves the file
		}, ""},
		{"a socket with a listener", func(t *testing.T, path string) {
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
		}, "another program answers there"},
		{"somebody's file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "something that is no socket is there"},
		{"a folder", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "something that is no socket is there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			c.there(t, path)
			l, err := listen(path)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "set socket to another path") {
					t.Errorf("listen: %v, want %q and the next step", err, c.says)
				}
				if _, err := os.Lstat(path); err != nil {
					t.Errorf("what was there is gone: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o660 {
				t.Errorf("the socket: %v, %v, want 0660", fi, err)
			}
		})
	}
}

// The unit's sandbox must not take away what the trusted clock asks the kernel for: systemd's ProtectClock refuses
// even reading calls, and the clock would count as never synchronised.
func TestUnitLetsTheDaemonReadTheClockServeAddonsAndStartsItForEver(t *testing.T) {
	b, err := os.ReadFile("../../rootfs/usr/lib/systemd/system/castellan.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(k, "#") {
			unit[k] += " " + v
		}
	}
	if v, ok := unit["ProtectClock"]; ok {
		t.Errorf("ProtectClock=%s: adjtimex is refused", v)
	}
	if !strings.Contains(unit["SystemCallFilter"], "adjtimex") {
		t.Errorf("SystemCallFilter=%s lacks adjtimex", unit["SystemCallFilter"])
	}
	if strings.Contains(unit["CapabilityBoundingSet"], "CAP_SYS_TIME") {
		t.Error("the daemon could set the clock")
	}
	// The API for add-ons lives in a network namespace; no other kind is needed, and mount(2) stays refused.
	if strings.TrimSpace(unit["RestrictNamespaces"]) != "net" || strings.Contains(unit["SystemCallFilter"], "mount") {
		t.Errorf("RestrictNamespaces=%s SystemCallFilter=%s, want net and no mounts", unit["RestrictNamespaces"], unit["SystemCallFilter"])
	}
	for _, right := range []string{"CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_NET_BIND_SERVICE"} {
		if !strings.Contains(unit["CapabilityBoundingSet"]+" ", " "+right+" ") {
			t.Errorf("without %s the API for add-ons does not listen", right)
		}
	}
	if strings.TrimSpace(unit["Restart"]) != "always" || strings.TrimSpace(unit["StartLimitIntervalSec"]) != "0" {
		t.Errorf("Restart=%s StartLimitIntervalSec=%s: systemd would give it up", unit["Restart"], unit["StartLimitIntervalSec"])
	}
}
