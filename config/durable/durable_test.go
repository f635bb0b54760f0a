package durable

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWriteFileReplacesWholeAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "head")
	for _, want := range []string{"a long first content", "b"} {
		if err := WriteFile(name, []byte(want), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	if fi, _ := os.Stat(name); fi.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, want 0640", fi.Mode().Perm())
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("folder holds %v, want one file", entries)
	}
}

func TestWriteFileKeepsTheOldOneWhenItCannotReplaceIt(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "sub") // a folder that is not empty cannot be replaced by a file
	if err := MkdirAll(filepath.Join(name, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(name, []byte("x"), 0o600); err == nil {
		t.Fatal("want an error")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("folder holds %v, want only the old entry", entries)
	}
}

func TestLockIsExclusiveAndEndsWithClose(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	first, err := Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(name); !errors.Is(err, ErrLocked) {
		t.Fatalf("second lock: %v, want ErrLocked", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func TestSyncTreeWantsAFolder(t *testing.T) {
	dir := t.TempDir()
	if err := SyncTree(dir); err != nil {
		t.Error(err)
	}
	if err := SyncTree(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing folder was synced")
	}
}

func TestRemoveAndRename(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "sub", "b")
	if err := MkdirAll(filepath.Dir(b), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(a, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Rename(a, b); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Remove(b); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSweepRemovesOnlyWhatPowerCutsLeft(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-2 * leftover)
	for name, stays := range map[string]bool{
		".head.tmp-123": false, ".trust.json.tmp-9": false, ".head.tmp-new": true, "head": true, "x.tmp-1": true, ".fresh.tmp-7": true,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if name != ".fresh.tmp-7" {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
		if err := Sweep(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("%s is there: %v, want %v", name, err == nil, stays)
		}
	}
	if err := Sweep(filepath.Join(dir, "missing")); err != nil {
		t.Error(err)
	}
}
