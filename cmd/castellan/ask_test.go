package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal: what is typed into the first is read from the second.
func terminal(t *testing.T) (keys, screen *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	fd := int(keys.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	return keys, screen
}

func TestAtATerminalTheOwnerIsAsked(t *testing.T) {
	for _, c := range []struct{ line, typed, shown, asked, says string }{
		{"addon install core_ssh", "y\n", "Install it? [y/N] ", `install ["core_ssh",{"asks":["host_network"]}]`, ""},
		{"addon install core_ssh", "n\n", "share the network of the appliance (host_network)", "", "did not install core_ssh"},
		{"addon install core_ssh", "\x04", "Install it?", "", "it was not agreed to"},
		{"addon install core_ssh --yes", "", "publisher: p-1", `install ["core_ssh",{"asks":["host_network"]}]`, ""},
		{"addon uninstall core_ssh --data delete", "core_ssh\n", "Type core_ssh to go on:", `uninstall ["core_ssh",{"data":"delete"}]`, ""},
		{"addon uninstall core_ssh --data delete", "y\n", "for good", "", "did not uninstall core_ssh"},
	} {
		t.Run(c.line+" "+c.typed, func(t *testing.T) {
			keys, screen := terminal(t)
			b := &butler{addon: sshOffered}
			root := newRoot()
			var shown strings.Builder
			root.SetIn(screen)
			root.SetOut(io.Discard)
			root.SetErr(&shown)
			root.SetArgs(append([]string{"--socket", serve(t, b)}, strings.Fields(c.line)...))
			if _, err := keys.WriteString(c.typed); err != nil {
				t.Fatal(err)
			}
			err := root.ExecuteContext(t.Context())
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if got := strings.Join(b.asked, " "); got != c.asked || !strings.Contains(shown.String(), c.shown) {
				t.Errorf("asked %q, want %q; shown %q, want %q", got, c.asked, shown.String(), c.shown)
			}
		})
	}
}
