package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The local folder is read in place, so the walk itself must hold the limits.
func TestLimitsOfTheLocalFolder(t *testing.T) {
	w := newWorld(t)
	w.cfg.Builtins, w.cfg.Local = []string{"local"}, t.TempDir()
	w.cfg.Limits = Limits{Files: 600, Depth: 3, Addons: 2}
	write := func(name, content string) {
		t.Helper()
		name = filepath.Join(w.cfg.Local, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	s := w.open()
	state := func(entries string, path, reason string) {
		t.Helper()
		if err := s.Refresh(t.Context(), "local"); err != nil {
			t.Fatal(err)
		}
		if got := slugs(s); got != entries || path != "" && !problem(s.Repositories()[0].Problems, path, reason) {
			t.Errorf("entries %q, problems %q; want %q, and %q at %q", got, s.Repositories()[0].Problems, entries, reason, path)
		}
	}
	write("a/config.yaml", addon("a", "1"))
	write("1/2/3/config.yaml", addon("deep", "1"))
	write("1/2/3/4/config.yaml", addon("deeper", "1"))
	write("x\x1by/config.yaml", addon("x", "1"))
	state("a@1 deep@1", "1/2/3/4", "deep")
	state("a@1 deep@1", "x\ufffdy", "control")
	write("b/config.yaml", addon("b", "1"))
	state("a@1 deep@1", "b/config.yaml", "may hold 2 add-ons")
	for i := range 250 {
		write(fmt.Sprintf("bad%03d/config.yaml", i), "name: [")
	}
	s.cfg.Limits.Addons = 10
	state("a@1 b@1 deep@1", "", "")
	list := s.Repositories()[0].Problems
	if n := len(list); n != maxProblems+1 || !strings.Contains(list[n-1].Reason, "more problems") {
		t.Errorf("%d problems, the last %q", n, list[n-1])
	}
	for i := range 150 {
		write(fmt.Sprintf("more%03d/x", i), "")
	}
	if err := s.Refresh(t.Context(), "local"); !errors.Is(err, ErrHostile) || slugs(s) != "a@1 b@1 deep@1" {
		t.Errorf("too many files: %v, entries %q", err, slugs(s))
	}
}

// A pack whose bytes were altered anywhere is refused or harmless: it never ends the process.
func TestDamagedPacks(t *testing.T) {
	w := newWorld(t)
	w.commit("r", sample("1"))
	w.commit("r", sample("2"))
	good := []byte(w.git(w.dir+"/r", nil, "pack-objects", "-q", "--all", "--stdout", "--delta-base-offset"))
	dir := t.TempDir()
	open := func(data []byte) error {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "pack"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := openPack(t.Context(), dir, "pack", DefaultLimits())
		if err == nil {
			p.close()
		}
		return err
	}
	if err := open(good); err != nil {
		t.Fatal(err)
	}
	refused, tried := 0, 0
	for i := 0; i < len(good); i += 3 {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			bad := append([]byte{}, good...)
			bad[i] ^= flip
			tried++
			if open(bad) != nil {
				refused++
			}
		}
		if i%30 == 0 && open(good[:i]) == nil {
			t.Errorf("a pack cut at %d of %d is taken", i, len(good))
		}
	}
	t.Logf("%d of %d altered packs refused", refused, tried)
	if refused < tried/2 {
		t.Errorf("%d of %d altered packs refused", refused, tried)
	}
}
