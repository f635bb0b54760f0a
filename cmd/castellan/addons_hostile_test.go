package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/castellan/castellan/supervisor/spec"
)

// TestSecretsAreReadFromTheirFolderOnly: an add-on that may write there leads the daemon nowhere else, and does not hold it
// up.
func TestSecretsAreReadFromTheirFolderOnly(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "shadow.yaml")
	write := func(text string) func(string) error {
		return func(name string) error { return os.WriteFile(name, []byte(text), 0o600) }
	}
	if err := write("root: hidden\n")(elsewhere); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what       string
		make       func(name string) error
		name, want string
	}{
		{"a text", write("wifi: pass word\npin: 1234\n"), "wifi", "pass word"},
		{"a number", write("wifi: pass word\npin: 1234\n"), "pin", "1234"},
		{"no such name", write("wifi: x\n"), "door", ""},
		{"a list", write("wifi: [x]\n"), "wifi", ""},
		{"no file", func(string) error { return nil }, "wifi", ""},
		{"too large", write("wifi: x\n#" + strings.Repeat("x", maxSecrets)), "wifi", ""},
		{"a link out of the folder", func(name string) error { return os.Symlink(elsewhere, name) }, "root", ""},
		{"a pipe that nobody writes to", func(name string) error { return syscall.Mkfifo(name, 0o600) }, "wifi", ""},
		{"a thousand levels", write("wifi: x\ndeep: " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000)), "wifi", ""},
		{"a bomb", write("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
			"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\nwifi: x\n"), "a", ""},
	} {
		dir := t.TempDir()
		if err := c.make(filepath.Join(dir, "secrets.yaml")); err != nil {
			t.Fatal(err)
		}
		if got, ok := secretIn(dir, c.name); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: got %q %v, want %q", c.what, got, ok, c.want)
		}
	}
}

func TestALinkIsNoFolderOfAnAddon(t *testing.T) {
	dir := t.TempDir()
	folder, link, file := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	if err := errors.Join(os.Mkdir(folder, 0o755), os.Symlink("/", link), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{folder: true, link: false, file: false, filepath.Join(dir, "absent"): false} {
		if err := (hostFiles{}).Plain(t.Context(), []string{folder, name}); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnAddonCannotKeepItsOptionsFromBeingWritten: the folder is the add-on's own, and with it every name in there.
func TestAnAddonCannotKeepItsOptionsFromBeingWritten(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(outside, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, make := range map[string]func(name string) error{
		"nothing": func(string) error { return nil },
		"a link":  func(name string) error { return os.Symlink(outside, name) },
		"a full folder": func(name string) error {
			return errors.Join(os.MkdirAll(filepath.Join(name, "x"), 0o755), os.Symlink(filepath.Dir(outside), filepath.Join(name, "up")))
		},
	} {
		name := filepath.Join(t.TempDir(), "options.json")
		if err := make(name); err != nil {
			t.Fatal(err)
		}
		err := (hostFiles{}).Write(t.Context(), []spec.File{{Path: name, Content: []byte("{}"), Mode: 0o600}})
		if b, _ := os.ReadFile(name); err != nil || string(b) != "{}" {
			t.Errorf("%s: %q, %v", what, b, err)
		}
	}
	if b, _ := os.ReadFile(outside); string(b) != "mine" {
		t.Error("a link was followed")
	}
}
