package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// told is one call of Watch's function.
type told struct {
	c   *Config
	err error
}

// watching starts a Watch on path and returns what it tells.
func watching(t *testing.T, path string) <-chan told {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	calls, done := make(chan told, 16), make(chan error, 1)
	go func() { done <- Watch(ctx, path, func(c *Config, err error) { calls <- told{c, err} }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	return calls
}

const deadline = 10 * time.Second

// level waits for a good configuration with this log level.
func level(t *testing.T, calls <-chan told, want string) {
	t.Helper()
	select {
	case got := <-calls:
		if got.err != nil || got.c.Log.Level != want {
			t.Fatalf("told %+v, %v, want level %s", got.c, got.err, want)
		}
	case <-time.After(deadline):
		t.Fatalf("nothing told, want level %s", want)
	}
}

// mistake waits for an error with this text.
func mistake(t *testing.T, calls <-chan told, want string) {
	t.Helper()
	select {
	case got := <-calls:
		if got.c != nil || got.err == nil || !strings.Contains(got.err.Error(), want) {
			t.Fatalf("told %+v, %v, want an error with %q", got.c, got.err, want)
		}
	case <-time.After(deadline):
		t.Fatalf("nothing told, want an error with %q", want)
	}
}

func text(root, level string) string {
	return fmt.Sprintf("trust: {root_dir: %s}\nlog: {level: %s}\n", root, level)
}

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatchFollowsEveryWayOfChangingAFile(t *testing.T) {
	dir, root := t.TempDir(), t.TempDir()
	name := filepath.Join(dir, "castellan.yaml")
	put(t, name, text(root, "info"))
	calls := watching(t, name)
	level(t, calls, "info")

	put(t, name, text(root, "debug")) // written in place
	level(t, calls, "debug")

	put(t, name+".new", text(root, "warn")) // renamed over, as editors do
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
	level(t, calls, "warn")

	put(t, name, "log: {level: loud}\n") // broken, then fixed
	mistake(t, calls, "want one of debug, info, warn, error")
	put(t, name, text(root, "error"))
	level(t, calls, "error")

	if err := os.Remove(name); err != nil { // deleted, then made again with what it held
		t.Fatal(err)
	}
	mistake(t, calls, "no such file")
	put(t, name, text(root, "error"))
	level(t, calls, "error")
}

func TestWatchTellsOncePerChange(t *testing.T) {
	dir, root := t.TempDir(), t.TempDir()
	name := filepath.Join(dir, "castellan.yaml")
	put(t, name, text(root, "info"))
	calls := watching(t, name)
	level(t, calls, "info")
	for range 5 { // the same content, and a neighbour: nothing to tell
		put(t, name, text(root, "info"))
		put(t, filepath.Join(dir, "other"), "x")
	}
	for i := range 20 { // in several steps: the last one counts
		put(t, name, text(root, "info")+strings.Repeat("#", i))
	}
	put(t, name, text(root, "debug"))
	level(t, calls, "debug")
	put(t, name, text(root, "warn"))
	level(t, calls, "warn")
}

func TestWatchFollowsSwappedLinks(t *testing.T) {
	dir, root := t.TempDir(), t.TempDir()
	for _, l := range []string{"info", "debug"} {
		if err := os.Mkdir(filepath.Join(dir, "v-"+l), 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, "v-"+l, "castellan.yaml"), text(root, l))
	}
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name+".new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("v-info", "..data")
	link("..data/castellan.yaml", "castellan.yaml")
	calls := watching(t, filepath.Join(dir, "castellan.yaml"))
	level(t, calls, "info")
	link("v-debug", "..data") // as a Kubernetes config map is updated
	level(t, calls, "debug")
	put(t, filepath.Join(dir, "v-debug", "castellan.yaml"), text(root, "warn"))
	level(t, calls, "warn")

	// A link into a folder elsewhere, whose own link is swapped.
	outside := t.TempDir()
	put(t, filepath.Join(outside, "c.yaml"), text(root, "error"))
	link(filepath.Join(outside, "c.yaml"), "castellan.yaml")
	level(t, calls, "error")
	put(t, filepath.Join(outside, "c.yaml"), text(root, "info"))
	level(t, calls, "info")
}

func TestWatchOfAFolderThatIsNotThereSaysSo(t *testing.T) {
	err := Watch(t.Context(), filepath.Join(t.TempDir(), "a", "b", "c.yaml"), func(*Config, error) {})
	if err == nil || !strings.Contains(err.Error(), "cannot watch") {
		t.Errorf("got %v", err)
	}
}
