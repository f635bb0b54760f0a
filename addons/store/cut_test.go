package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

var errCut = errors.New("the power is gone")

// cutDisk is a disk whose power goes at one step: before it, in the midst of it, or just after. Nothing works from then
// on, cleaning up neither.
type cutDisk struct {
	disk
	mu    sync.Mutex
	steps []string
	at    int // the step that is cut, -1 = none
	how   string
	fails error // instead of a cut: only that one step fails so
	dead  bool
}

func (d *cutDisk) step(name string, do func() error, half func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errCut
	}
	n := len(d.steps)
	d.steps = append(d.steps, name)
	if n != d.at {
		return do()
	}
	if d.fails != nil {
		if d.how == "applied" {
			_ = do()
		}
		return d.fails
	}
	d.dead = true
	switch d.how {
	case "after":
		if err := do(); err != nil {
			return err
		}
	case "midst":
		half()
	}
	return errCut
}

func none() {}

func (d *cutDisk) MkdirAll(dir string) error {
	return d.step("mkdirall "+filepath.Base(dir), func() error { return d.disk.MkdirAll(dir) }, none)
}

func (d *cutDisk) Mkdir(root *os.Root, name string) error {
	return d.step("mkdir "+name, func() error { return d.disk.Mkdir(root, name) }, none)
}

func (d *cutDisk) Create(root *os.Root, name string, data []byte) error {
	return d.step("create "+name, func() error { return d.disk.Create(root, name, data) },
		func() { _ = d.disk.Create(root, name, data[:len(data)/2]) })
}

func (d *cutDisk) SyncTree(dir string) error {
	return d.step("sync "+filepath.Base(dir), func() error { return d.disk.SyncTree(dir) }, none)
}

func (d *cutDisk) Rename(old, name string) error {
	return d.step("rename "+filepath.Base(name), func() error { return d.disk.Rename(old, name) }, none)
}

// WriteFile cut in its midst leaves its temporary file.
func (d *cutDisk) WriteFile(name string, data []byte) error {
	return d.step("write "+filepath.Base(name), func() error { return d.disk.WriteFile(name, data) }, func() {
		_ = os.WriteFile(filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".tmp-1"), data[:len(data)/2], 0o600)
	})
}

// RemoveAll cut in its midst has removed some files.
func (d *cutDisk) RemoveAll(dir string) error {
	return d.step("remove "+filepath.Base(dir), func() error { return d.disk.RemoveAll(dir) }, func() {
		_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				_ = os.Remove(path)
				return filepath.SkipAll
			}
			return nil
		})
	})
}

// scene is one thing a store does, with the states that may follow a cut in it.
type scene struct {
	name    string
	act     func(w *world, s *Store) error
	allowed []string // what slugs says
	end     string   // once it is done again
	again   func(w *world, s *Store) error
}

func scenes() []scene {
	refresh := func(_ *world, s *Store) error { return s.Refresh(context.Background(), "") }
	add := func(w *world, s *Store) error {
		_, err := s.Add(context.Background(), w.url("q"), "")
		return err
	}
	return []scene{
		{"refresh", refresh, []string{"one@1 two@2", "four@4 one@2"}, "four@4 one@2", refresh},
		{"add", add, []string{"one@1 two@2", "new@1 one@1 two@2"}, "four@4 new@1 one@2", func(w *world, s *Store) error {
			if err := add(w, s); err != nil && !errors.Is(err, ErrAdded) {
				return err
			}
			return refresh(w, s)
		}},
		{"remove", func(w *world, s *Store) error { return s.Remove(context.Background(), slugOf(w.url("r")), nil) },
			[]string{"one@1 two@2", ""}, "", func(w *world, s *Store) error {
				if err := s.Remove(context.Background(), slugOf(w.url("r")), nil); err != nil && !errors.Is(err, ErrNotFound) {
					return err
				}
				return nil
			}},
	}
}

// stage is a world with a repository "r" at its first version in the store, and a second one waiting.
func stage(t *testing.T) *world {
	w := newWorld(t)
	s := w.open()
	w.follow(s, "r", sample("1"))
	files := with(sample("2"), "four/config.yaml", addon("four", "4"), "repository.yaml", repositoryYAML+"castellan: {publishers: {one: p-aaaaaaaaaaaaaaaaaaaa}}\n")
	delete(files, "b/two-x/config.json")
	w.commit("r", files)
	w.commit("q", map[string]string{"repository.yaml": repositoryYAML, "new/config.yaml": addon("new", "1")})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.fail(remembered())
	return w
}

// remembered answers what was asked before without git: nothing changes on the server from here on.
func remembered() func(http.ResponseWriter, *http.Request, http.Handler) {
	var mu sync.Mutex
	answers := map[string]*httptest.ResponseRecorder{}
	return func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		key := r.Method + r.URL.String() + string(body)
		if answers[key] == nil {
			r.Body = io.NopCloser(bytes.NewReader(body))
			answers[key] = httptest.NewRecorder()
			next.ServeHTTP(answers[key], r)
		}
		rw.WriteHeader(answers[key].Code)
		_, _ = rw.Write(answers[key].Body.Bytes())
	}
}

// whole checks that every entry's files are those its index speaks of, and nothing else lies about.
func whole(t *testing.T, s *Store) string {
	t.Helper()
	for _, e := range s.Entries() {
		m, _, err := s.Manifest(e.Slug)
		if err != nil || m.Version != e.Version {
			t.Errorf("entry %s %s: manifest %s, %v", e.Slug, e.Version, m.Version, err)
		}
		if e.Docs {
			if data, err := s.Asset(e.Slug, Docs); err != nil || string(data) != "# One "+e.Version {
				t.Errorf("entry %s %s: %q, %v", e.Slug, e.Version, data, err)
			}
		}
	}
	for _, dir := range []string{"copies", "index", "tmp"} {
		list, err := os.ReadDir(s.path(dir))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		want := len(s.Repositories())
		if dir == "tmp" {
			want = 0
		}
		n := 0
		for _, d := range list {
			if !strings.HasPrefix(d.Name(), ".") { // durable sweeps its own an hour later
				n++
			}
		}
		if n > want {
			t.Errorf("%s holds %v, want at most %d", dir, list, want)
		}
	}
	return slugs(s)
}

// TestPowerCut cuts the power at every step of the file system, recorded from a clean run, and in every way.
func TestPowerCut(t *testing.T) {
	for _, sc := range scenes() {
		t.Run(sc.name, func(t *testing.T) {
			w := stage(t)
			start := t.TempDir()
			if err := os.CopyFS(start, os.DirFS(w.state)); err != nil {
				t.Fatal(err)
			}
			run := func(d *cutDisk) error {
				if err := errors.Join(os.RemoveAll(w.state), os.CopyFS(w.state, os.DirFS(start))); err != nil {
					t.Fatal(err)
				}
				d.disk = osDisk{}
				s, err := open(w.cfg, d)
				if err != nil {
					if d.dead {
						return err
					}
					t.Fatal(err)
				}
				defer s.Close()
				return sc.act(w, s)
			}
			clean := &cutDisk{at: -1}
			if err := run(clean); err != nil {
				t.Fatal(err)
			}
			if n := len(clean.steps); n < 6 {
				t.Fatalf("only %d steps: %q", n, clean.steps)
			}
			seen := map[string]bool{}
			for at := range clean.steps {
				for _, how := range []string{"before", "midst", "after"} {
					what := fmt.Sprintf("%s %q", how, clean.steps[at])
					d := &cutDisk{at: at, how: how}
					_ = run(d) // the cut
					if !d.dead {
						t.Fatalf("%s: step %d did not come", what, at)
					}
					s := w.open()
					got := whole(t, s)
					if !slices.Contains(sc.allowed, got) {
						t.Errorf("%s: entries %q, want one of %q", what, got, sc.allowed)
					}
					seen[got] = true
					if err := sc.again(w, s); err != nil {
						t.Errorf("%s: again: %v", what, err)
					}
					if got := whole(t, s); got != sc.end {
						t.Errorf("%s: entries %q once done again, want %q", what, got, sc.end)
					}
					_ = s.Close()
				}
			}
			if len(seen) != 2 {
				t.Errorf("the cuts led to %v, want old and new", seen)
			}
		})
	}
}

// TestAStepThatFails lets each step fail alone, as on a full disk: the store goes on with old or new, and heals. A step
// may also have taken effect though its error says otherwise, as a failed sync after a rename.
func TestAStepThatFails(t *testing.T) {
	for _, sc := range scenes() {
		for _, how := range []string{"lost", "applied"} {
			t.Run(sc.name+"/"+how, func(t *testing.T) { failEachStep(t, sc, how) })
		}
	}
}

func failEachStep(t *testing.T, sc scene, how string) {
	w := stage(t)
	start := t.TempDir()
	if err := os.CopyFS(start, os.DirFS(w.state)); err != nil {
		t.Fatal(err)
	}
	for at := 0; ; at++ {
		if err := errors.Join(os.RemoveAll(w.state), os.CopyFS(w.state, os.DirFS(start))); err != nil {
			t.Fatal(err)
		}
		d := &cutDisk{disk: osDisk{}, at: at, how: how, fails: &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}}
		s, err := open(w.cfg, d)
		if err != nil {
			continue // it can't even start, and says so
		}
		err = sc.act(w, s)
		if at >= len(d.steps) {
			_ = s.Close()
			if at < 6 {
				t.Errorf("only %d steps", at)
			}
			return
		}
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", d.steps[at], err)
		}
		if got := slugs(s); err != nil && got != "one@1 two@2" {
			t.Errorf("%s: entries %q after %v", d.steps[at], got, err)
		}
		if err != nil && sc.name != "remove" && !strings.Contains(err.Error(), "free some space") {
			t.Errorf("%s: %v", d.steps[at], err)
		}
		if how == "applied" { // the memory may lag behind the disk; a start sees what is there
			_ = s.Close()
			s = w.open()
			if got := whole(t, s); !slices.Contains(sc.allowed, got) {
				t.Errorf("%s: entries %q after a start, want one of %q", d.steps[at], got, sc.allowed)
			}
		}
		if err := sc.again(w, s); err != nil {
			t.Errorf("%s: again: %v", d.steps[at], err)
		}
		if got := slugs(s); got != sc.end {
			t.Errorf("%s: entries %q once done again, want %q", d.steps[at], got, sc.end)
		}
		_ = s.Close()
		s = w.open()
		if got := whole(t, s); got != sc.end {
			t.Errorf("%s: entries %q after a start, want %q", d.steps[at], got, sc.end)
		}
		_ = s.Close()
	}
}
