package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheHostTokenIsMadeOnceAndKeptFromOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host.token")
	first, err := hostToken(path)
	if err != nil || len(first) != 112 {
		t.Fatalf("made %q, %v", first, err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if again, err := hostToken(path); err != nil || again != first {
		t.Errorf("the next start has %q, %v", again, err)
	}
	for what, spoil := range map[string]func() error{
		"others may read it": func() error { return os.Chmod(path, 0o644) },
		"holds no token":     func() error { return os.WriteFile(path, []byte("short\n"), 0o600) },
	} {
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := hostToken(path); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want %q", err, what)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if other, err := hostToken(path); err != nil || other == first {
		t.Errorf("after its removal: %q, %v", other, err)
	}
}
