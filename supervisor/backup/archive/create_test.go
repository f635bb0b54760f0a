package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/config/durable"
)

// TestHooksAreUndone ends a backup in every way: what was stopped is started, once, and nothing is left.
func TestHooksAreUndone(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name  string
		spoil func(u *Unit, cancel func())
		fails bool
	}{
		{"well", func(*Unit, func()) {}, false},
		{"before fails", func(u *Unit, _ func()) {
			before := u.Before
			u.Before = func(ctx context.Context) error { return errors.Join(before(ctx), boom) }
		}, true},
		{"panic in the middle", func(u *Unit, _ func()) {
			u.Exclude = func(string, fs.FileInfo) bool { return inside(func() { panic("boom") }) }
		}, true},
		{"cancelled in the middle", func(u *Unit, cancel func()) { u.Exclude = func(string, fs.FileInfo) bool { return inside(cancel) } }, true},
		{"after fails", func(u *Unit, _ func()) {
			after := u.After
			u.After = func(ctx context.Context) error { return errors.Join(after(ctx), boom) }
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, s := t.TempDir(), newStore(t, t.TempDir())
			for i := range 50 {
				write(t, filepath.Join(dir, fmt.Sprint("core/f", i)), "x")
			}
			var calls []string
			ctx, cancel := context.WithCancel(t.Context())
			u := addon(dir, "core")
			u.Before = func(context.Context) error { calls = append(calls, "stop"); return nil }
			u.After = func(ctx context.Context) error {
				calls = append(calls, "start")
				if _, limited := ctx.Deadline(); ctx.Err() != nil || !limited {
					t.Error("the context of After is over or has no end")
				}
				return nil
			}
			c.spoil(&u, cancel)
			stopped = func() bool { return len(calls) == 1 }
			m, err := func() (m Made, err error) {
				defer func() {
					if p := recover(); p != nil {
						err = fmt.Errorf("panic: %v", p)
					}
				}()
				return s.Create(ctx, request(u))
			}()
			if (err != nil) != c.fails {
				t.Errorf("error %v, want one: %v", err, c.fails)
			}
			if !slices.Equal(calls, []string{"stop", "start"}) {
				t.Errorf("calls %v", calls)
			}
			if n := len(left(t, s)); (n == 0) != c.fails {
				t.Errorf("left: %v", left(t, s))
			}
			if c.name == "after fails" && (len(m.After) != 1 || !errors.Is(m.After[0], boom)) {
				t.Errorf("After says %v", m.After)
			}
			if _, err := s.Create(t.Context(), request(addon(dir, "core"))); err != nil {
				t.Errorf("the next backup: %v", err)
			}
		})
	}
}

// stopped tells whether the unit is being read now, and not counted.
var stopped func() bool

func inside(do func()) bool {
	if stopped() {
		do()
	}
	return false
}

// TestFilesMoveWhileTheyAreRead lets a hostile service do at the worst moment what it can do to a file.
func TestFilesMoveWhileTheyAreRead(t *testing.T) {
	dir, s := t.TempDir(), newStore(t, t.TempDir())
	core, secret := filepath.Join(dir, "core"), filepath.Join(dir, "secret")
	write(t, secret, "of the host")
	big := strings.Repeat("0123456789abcdef", 64<<10)
	for _, n := range []string{"gone", "linked", "piped", "folder/x", "same"} {
		write(t, filepath.Join(core, n), big)
	}
	u := addon(dir, "core")
	// Exclude is asked between looking at a file and opening it.
	before := map[string]func(name string){
		"gone":   func(n string) { must(t, os.Remove(n)) },
		"linked": func(n string) { must(t, os.Remove(n)); must(t, os.Symlink(secret, n)) },
		"piped":  func(n string) { must(t, os.Remove(n)); must(t, unix.Mkfifo(n, 0o600)) },
		"folder": func(n string) { must(t, os.RemoveAll(n)); must(t, os.Symlink(dir, n)) },
	}
	reading := false
	u.Before = func(context.Context) error { reading = true; return nil }
	u.Exclude = func(name string, _ fs.FileInfo) bool {
		base := filepath.Base(name)
		if do := before[base]; do != nil && reading {
			do(filepath.Join(core, base))
		}
		return false
	}
	made := create(t, s, request(u))
	why := map[string]string{}
	for _, n := range made.Notes {
		why[n.Name] = n.Why
	}
	for _, name := range []string{"data/linked", "data/piped", "data/folder"} {
		if !strings.Contains(why[name], "exchanged") {
			t.Errorf("note on %s: %q, want that it was exchanged", name, why[name])
		}
	}
	if len(why["data/same"]+why["data/gone"]) > 0 {
		t.Errorf("notes on what did not change or is gone: %v", why)
	}
	b, err := s.Read(made.Slug)
	must(t, err)
	defer b.Close()
	to := filepath.Join(dir, "to")
	_, err = b.Extract(t.Context(), "core", to, Key{}, nil)
	must(t, err)
	if got, _ := os.ReadFile(filepath.Join(to, "data/same")); string(got) != big {
		t.Errorf("the file after it came back with %d bytes", len(got))
	}
	for name, text := range describe(t, to) {
		if strings.Contains(text, fmt.Sprintf("%x", "of the host")) {
			t.Errorf("%s holds a file of the host", name)
		}
	}
}

// TestFilesChangeInTheMiddle changes a file after its first chunk was read.
func TestFilesChangeInTheMiddle(t *testing.T) {
	for name, c := range map[string]struct {
		holes  bool
		change func(name string) error
		why    string
	}{
		"shrinks":            {false, func(n string) error { return os.Truncate(n, 300<<10) }, "became shorter"},
		"shrinks with holes": {true, func(n string) error { return os.Truncate(n, 300<<10) }, "became shorter"},
		"grows":              {false, func(n string) error { return appendTo(n, "more") }, "written to"},
		"stays":              {false, func(string) error { return nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "file")
			write(t, file, strings.Repeat("0123456789abcdef", 64<<10))
			if c.holes {
				must(t, os.Truncate(file, 8<<20))
			}
			var out bytes.Buffer
			did := false
			p := &packer{ctx: t.Context(), tar: tar.NewWriter(&out), raw: &out, buf: make([]byte, 256<<10), xbuf: make([]byte, 128<<10), links: map[inode]string{}}
			p.read = func(int64) {
				if !did {
					must(t, c.change(file))
				}
				did = true
			}
			w := walker{ctx: t.Context(), visit: p.add, note: p.skip}
			must(t, w.tree(Tree{"data", dir}))
			must(t, p.text("last", []byte("x"), start))
			must(t, p.tar.Close())
			var names []string
			for r := tar.NewReader(&out); ; {
				h, err := r.Next()
				if err == io.EOF {
					break
				}
				must(t, err)
				names = append(names, h.Name)
				body, err := io.ReadAll(r)
				if int64(len(body)) != h.Size || err != nil {
					t.Errorf("%s: %d of %d bytes, %v", h.Name, len(body), h.Size, err)
				}
				if strings.HasPrefix(name, "shrinks") && h.Name == "data/file" && len(bytes.Trim(body[300<<10:], "\x00")) > 0 {
					t.Error("something else than zeros stands for the rest")
				}
			}
			if !did || !slices.Equal(names, []string{"data/", "data/file", "last"}) {
				t.Errorf("changed: %v, members: %v", did, names)
			}
			if got := fmt.Sprint(p.notes); c.why == "" && len(p.notes) > 0 || !strings.Contains(got, c.why) {
				t.Errorf("notes %s, want %q", got, c.why)
			}
		})
	}
}

func appendTo(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func TestNoRoomIsToldBeforeAndWhile(t *testing.T) {
	dir := t.TempDir()
	fill(t, filepath.Join(dir, "core"), 1, 1<<20)
	s, err := Open(filepath.Join(dir, "backups"), Options{Reserve: 1 << 60})
	must(t, err)
	defer s.Close()
	if _, err := s.Create(t.Context(), request(addon(dir, "core"))); !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "MiB free") {
		t.Errorf("before: %v", err)
	}
	s.reserve = 0
	full := &creation{out: nil, watch: watcher{dir: dir, reserve: 1 << 60}}
	if err := full.watch.wrote(look - 1); err != nil {
		t.Errorf("looked too early: %v", err)
	}
	if err := full.watch.wrote(1); !errors.Is(err, ErrNoSpace) {
		t.Errorf("while: %v", err)
	}
	if len(left(t, s)) != 0 {
		t.Errorf("left: %v", left(t, s))
	}
}

func TestOneProcessHasTheFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".new-123"), "half a backup")
	write(t, filepath.Join(dir, "mine.txt"), "the owner's")
	s := newStore(t, dir)
	if got := left(t, s); !slices.Equal(got, []string{"mine.txt"}) {
		t.Errorf("after the sweep: %v", got)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("a second process: %v", err)
	}
}

func TestRequestsThatCouldNotBeReadBack(t *testing.T) {
	dir, s := t.TempDir(), newStore(t, t.TempDir())
	for name, spoil := range map[string]func(r *Request){
		"no name":       func(r *Request) { r.Name = "" },
		"control bytes": func(r *Request) { r.Name = "a\nb" },
		"no type":       func(r *Request) { r.Type = "some" },
		"no units":      func(r *Request) { r.Units = nil },
		"slug":          func(r *Request) { r.Units[0].Slug = "../core" },
		"twice":         func(r *Request) { r.Units = append(r.Units, r.Units[0]) },
		"same file": func(r *Request) {
			r.Units[0].Slug = "a/b"
			u := r.Units[0]
			u.Slug = "a_b"
			r.Units = append(r.Units, u)
		},
		"kind":         func(r *Request) { r.Units[0].Kind = "x" },
		"meta":         func(r *Request) { r.Units[0].Meta = []byte("{") },
		"tree":         func(r *Request) { r.Units[0].Trees[0].Name = "a/b" },
		"relative":     func(r *Request) { r.Units[0].Trees[0].Path = "x" },
		"repositories": func(r *Request) { r.Repositories = make([]string, maxRepositories+1) },
	} {
		r := request(addon(dir, "core"))
		spoil(&r)
		if _, err := s.Create(t.Context(), r); err == nil || len(left(t, s)) > 0 {
			t.Errorf("%s: %v, left %v", name, err, left(t, s))
		}
	}
}

// TestAFolderThatIsGoneIsToldAtOnce: what can't be looked into is taken neither for free names nor for names that are taken.
func TestAFolderThatIsGoneIsToldAtOnce(t *testing.T) {
	for name, instead := range map[string]func(dir string) error{
		"nothing": func(string) error { return nil },
		"a file":  func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "backups")
			s := newStore(t, dir)
			must(t, os.Rename(dir, dir+".away"))
			must(t, instead(dir))
			_, err := s.Create(t.Context(), Request{Name: "n", Type: Partial, Units: []Unit{{Kind: Folder, Slug: "share", Name: "share", Trees: []Tree{{Name: "data", Path: t.TempDir()}}}}})
			if err == nil || !strings.Contains(err.Error(), "cannot make the backup") {
				t.Errorf("got %v", err)
			}
		})
	}
}
