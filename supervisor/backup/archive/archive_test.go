package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// start is when the test clock begins.
var start = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

func newStore(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Reserve: -1, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// describe lists everything there is to know of a tree, by path.
func describe(t testing.TB, dir string) map[string]string {
	t.Helper()
	out, first := map[string]string{}, map[uint64]string{}
	must(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, p)
		s := fmt.Sprintf("%v %d:%d", fi.Mode(), stat(fi).Uid, stat(fi).Gid)
		switch fi.Mode().Type() {
		case fs.ModeSymlink:
			to, err := os.Readlink(p)
			out[name] = s + " to " + to
			return err
		case 0:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			s += fmt.Sprintf(" %d %x", len(b), b[:min(len(b), 40)])
			if stat(fi).Nlink > 1 {
				if first[stat(fi).Ino] == "" {
					first[stat(fi).Ino] = name
				}
				s += " linked to " + first[stat(fi).Ino]
			}
		}
		value := make([]byte, 1000)
		if n, err := unix.Lgetxattr(p, "user.colour", value); err == nil {
			s += fmt.Sprintf(" colour=%x", value[:n])
		}
		out[name] = s + " " + fi.ModTime().UTC().Format(time.RFC3339Nano)
		return nil
	}))
	return out
}

// sample makes a tree of everything that comes back, and what is left out beside it when odd.
func sample(t testing.TB, dir string, odd bool) {
	t.Helper()
	write(t, filepath.Join(dir, "db/main.db"), strings.Repeat("rows ", 100_000))
	write(t, filepath.Join(dir, "empty"), "")
	write(t, filepath.Join(dir, "deep", strings.Repeat("a-long-folder-name/", 12), "file"), "x")
	write(t, filepath.Join(dir, "näme with \xff bytes\n"), "x")
	must(t, os.Mkdir(filepath.Join(dir, "bare"), 0o2750))
	must(t, os.Chmod(filepath.Join(dir, "bare"), 0o750|fs.ModeSetgid))
	must(t, os.Link(filepath.Join(dir, "db/main.db"), filepath.Join(dir, "zlink.db")))
	must(t, os.Symlink("/usr/share/zoneinfo/Europe/Berlin", filepath.Join(dir, "localtime")))
	must(t, os.Symlink("../../up", filepath.Join(dir, "db/up")))
	must(t, os.Chown(filepath.Join(dir, "empty"), 1234, 3_000_000))
	must(t, os.Lchown(filepath.Join(dir, "localtime"), 7, 8))
	must(t, unix.Setxattr(filepath.Join(dir, "db/main.db"), "user.colour", []byte{0, 1, 255, '\n', '='}, 0))
	must(t, unix.Setxattr(filepath.Join(dir, "bare"), "user.colour", []byte("blue"), 0))
	holey(t, filepath.Join(dir, "holes.img"), 8<<20)
	must(t, unix.Setxattr(filepath.Join(dir, "holes.img"), "user.colour", []byte("none"), 0))
	must(t, os.Chown(filepath.Join(dir, "holes.img"), 5_000_000, 6))
	when := time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.UTC)
	for _, n := range []string{"db/main.db", "empty", "holes.img", "bare", "db", "."} {
		must(t, os.Chtimes(filepath.Join(dir, n), when, when))
	}
	if !odd {
		return
	}
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, "socket")}))
	must(t, os.Chtimes(dir, when, when))
}

// holey makes a file with data at the beginning, in the middle and nowhere else.
func holey(t testing.TB, name string, size int64) {
	t.Helper()
	f, err := os.Create(name)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("begin"), 0)
	must(t, err)
	_, err = f.WriteAt([]byte("middle"), size/2)
	must(t, err)
	must(t, f.Truncate(size))
}

// addon is a unit over folders below dir.
func addon(dir, slug string) Unit {
	return Unit{
		Kind: Addon, Slug: slug, Name: "The " + slug, Version: "1.2.3", Image: "example.org/" + slug + "@sha256:" + strings.Repeat("a", 64),
		Trees: []Tree{{"data", filepath.Join(dir, slug)}, {"config", filepath.Join(dir, slug+"-config")}},
		Meta:  json.RawMessage(`{"options":{"password":"hunter2"}}`),
	}
}

func request(units ...Unit) Request {
	return Request{Name: "Night & day", Type: Partial, Origin: Owner, Version: "0.9.0", Repositories: []string{"https://example.org/addons"}, Units: units}
}

func create(t testing.TB, s *Store, r Request) Made {
	t.Helper()
	m, err := s.Create(context.Background(), r)
	must(t, err)
	return m
}

// left lists the files in the folder of a store.
func left(t testing.TB, s *Store) (names []string) {
	t.Helper()
	list, err := os.ReadDir(s.dir)
	must(t, err)
	for _, e := range list {
		if e.Name() != ".lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestWhatIsSavedComesBack(t *testing.T) {
	identity, recipient, err := NewRecoveryKey()
	must(t, err)
	recovery, err := SealFor(recipient)
	must(t, err)
	words, err := SealWith("correct horse")
	must(t, err)
	key, err := RecoveryKey(" " + strings.ToLower(identity) + "\n")
	must(t, err)
	phrase, err := Passphrase("correct horse")
	must(t, err)
	for _, c := range []struct {
		name string
		seal Seal
		key  Key
	}{{"open", Seal{}, Key{}}, {"recovery key", recovery, key}, {"passphrase", words, phrase}} {
		t.Run(c.name, func(t *testing.T) {
			dir, s := t.TempDir(), newStore(t, t.TempDir())
			sample(t, filepath.Join(dir, "core"), true)
			write(t, filepath.Join(dir, "core-config/a.yaml"), "x: 1")
			want, wantConfig := describe(t, filepath.Join(dir, "core")), describe(t, filepath.Join(dir, "core-config"))
			delete(want, "pipe")
			delete(want, "socket")
			r := request(addon(dir, "core"), addon(dir, "absent"), Unit{Kind: Supervisor, Slug: "supervisor", Meta: json.RawMessage(`{}`)})
			r.Seal = c.seal
			last := int64(-1)
			r.Progress = func(done, total int64) {
				if done < last || done > total || total < 500_000 {
					t.Errorf("progress %d of %d after %d", done, total, last)
				}
				last = done
			}
			m := create(t, s, r)
			var why []string
			for _, n := range m.Notes {
				why = append(why, n.Unit+" "+n.Name+": "+n.Why)
			}
			slices.Sort(why)
			if diff := cmp.Diff([]string{"absent config: the folder is not there", "absent data: the folder is not there", "core data/pipe: it is a named pipe", "core data/socket: it is a socket"}, why); diff != "" {
				t.Errorf("notes: want -, got +\n%s", diff)
			}
			b, err := s.Read(m.Slug)
			must(t, err)
			defer b.Close()
			if diff := cmp.Diff(m.Info, b.Info); diff != "" {
				t.Errorf("said when made -, read +\n%s", diff)
			}
			must(t, b.Verify(t.Context(), nil))
			to := filepath.Join(t.TempDir(), "to")
			a, err := b.Extract(t.Context(), "core", to, c.key, nil)
			must(t, err)
			if diff := cmp.Diff(want, describe(t, filepath.Join(to, "data"))); diff != "" {
				t.Errorf("data: want -, got +\n%s", diff)
			}
			if diff := cmp.Diff(wantConfig, describe(t, filepath.Join(to, "config"))); diff != "" {
				t.Errorf("config: want -, got +\n%s", diff)
			}
			if string(a.Meta) != `{"options":{"password":"hunter2"}}` || len(a.Notes) != 2 || a.LeftOut != 2 {
				t.Errorf("meta %s, notes %v", a.Meta, a.Notes)
			}
			var st unix.Stat_t
			must(t, unix.Stat(filepath.Join(to, "data/holes.img"), &st))
			if st.Blocks*512 > 256<<10 {
				t.Errorf("the holes take %d bytes", st.Blocks*512)
			}
			if u, err := b.Unit(t.Context(), "supervisor", c.key); err != nil || string(u.Meta) != `{}` {
				t.Errorf("supervisor: %s, %v", u.Meta, err)
			}
			raw, err := os.ReadFile(s.path(m.Slug))
			must(t, err)
			if strings.Contains(string(raw), "hunter2") {
				t.Error("a setting is readable without the key or outside its part")
			}
			if len(left(t, s)) != 1 {
				t.Errorf("left: %v", left(t, s))
			}
		})
	}
}
