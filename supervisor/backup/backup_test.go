package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/supervisor"
)

// worker makes the test binary a process that runs one call on a store until it is killed: "call store data".
const worker = "CASTELLAN_TEST_BACKUP_WORKER"

func TestMain(m *testing.M) {
	if f := strings.Fields(os.Getenv(worker)); len(f) == 3 {
		s, err := Open(f[1])
		if err == nil {
			err = callOf(s, f[0])(context.Background(), "core", "c1", []string{f[2]})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func callOf(s *Store, name string) func(context.Context, string, string, []string) error {
	switch name {
	case "prepare":
		return s.Prepare
	case "take":
		return s.Take
	case "restore":
		return s.Restore
	}
	return func(ctx context.Context, service, change string, _ []string) error {
		return s.Drop(ctx, service, change)
	}
}

// describe lists everything there is to know of a tree, by path.
func describe(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		st := stat(fi)
		name, _ := filepath.Rel(dir, p)
		s := fmt.Sprintf("%v %d:%d", fi.Mode(), st.Uid, st.Gid)
		if fi.Mode().Type() != fs.ModeSymlink {
			s += " " + fi.ModTime().Format(time.RFC3339Nano)
		}
		switch fi.Mode().Type() {
		case 0:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			s += fmt.Sprintf(" %d %x", len(b), b[:min(len(b), 64)])
			if st.Nlink > 1 {
				if first[st.Ino] == "" {
					first[st.Ino] = name
				}
				s += " linked to " + first[st.Ino]
			}
		case fs.ModeSymlink:
			to, _ := os.Readlink(p)
			s += " to " + to
		case fs.ModeDevice | fs.ModeCharDevice:
			s += fmt.Sprint(" ", st.Rdev)
		}
		if fi.Mode().IsRegular() || fi.IsDir() {
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			x, err := attributesOf(int(f.Fd()))
			_ = f.Close()
			if err != nil {
				return err
			}
			for _, k := range slices.Sorted(maps.Keys(x)) {
				s += fmt.Sprintf(" %s=%x", k, x[k])
			}
		}
		out[name] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// furnish fills dir with one of everything a program may keep.
func furnish(t testing.TB, dir string) {
	t.Helper()
	write(t, filepath.Join(dir, "home.db"), strings.Repeat("x", 100_000))
	write(t, filepath.Join(dir, "sub/deep/a"), "a")
	write(t, filepath.Join(dir, "empty"), "")
	sparse, err := os.Create(filepath.Join(dir, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = sparse.WriteAt([]byte("end"), 64<<20)
	steps := []error{err, sparse.Truncate(96 << 20), sparse.Close(),
		os.Link(filepath.Join(dir, "home.db"), filepath.Join(dir, "sub/also")),
		os.Symlink("/etc/passwd", filepath.Join(dir, "outside")),
		os.Symlink("gone", filepath.Join(dir, "dangling")),
		os.Mkdir(filepath.Join(dir, "private"), 0o700),
		os.Chmod(filepath.Join(dir, "sub"), 0o2770|fs.ModeSetgid),
		os.Chmod(filepath.Join(dir, "empty"), 0o755|fs.ModeSetuid),
		unix.Mkfifo(filepath.Join(dir, "pipe"), 0o620),
		os.Chtimes(filepath.Join(dir, "sub"), time.Unix(1e9, 5), time.Unix(1e9, 7)),
	}
	if os.Getuid() == 0 {
		steps = append(steps, os.Lchown(filepath.Join(dir, "home.db"), 1000, 1001), os.Lchown(filepath.Join(dir, "outside"), 1000, 1001))
	}
	if err := unix.Setxattr(filepath.Join(dir, "sub/deep/a"), "user.note", []byte("kept"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
		steps = append(steps, err)
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	// Old enough for the marks of a delta to count.
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "home.db"), old, old); err != nil {
		t.Fatal(err)
	}
}

func wreck(t testing.TB, dir string) {
	t.Helper()
	write(t, filepath.Join(dir, "home.db"), "migrated")
	write(t, filepath.Join(dir, "new"), "new")
	if err := os.RemoveAll(filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
}

func TestDataComesBackAsItWas(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct{ name, store string }{{"one file system", ""}, {"two file systems", "/dev/shm"}} {
		t.Run(c.name, func(t *testing.T) {
			root, err := os.MkdirTemp(c.store, "castellan-test-")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(root)
			data := filepath.Join(t.TempDir(), "core")
			absent := filepath.Join(filepath.Dir(data), "absent")
			furnish(t, data)
			if c.store != "" && sameDevice(root, data) {
				t.Skip("there is only one file system")
			}
			want := describe(t, data)
			s, err := Open(filepath.Join(root, "snapshots"))
			if err != nil {
				t.Fatal(err)
			}
			paths := []string{data, absent}
			for range 2 {
				if err := s.Prepare(ctx, "core", "c1", paths); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if err := s.Take(ctx, "core", "c1", paths); err != nil {
					t.Fatal(err)
				}
			}
			wreck(t, data)
			write(t, filepath.Join(absent, "x"), "x")
			if err := s.Restore(ctx, "core", "c1", paths); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, describe(t, data)); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			if _, err := os.Lstat(absent); !errors.Is(err, fs.ErrNotExist) {
				t.Error("a folder that was not there is there")
			}
			var st unix.Stat_t
			if err := unix.Stat(filepath.Join(data, "sparse"), &st); err != nil || st.Blocks*512 > 1<<20 {
				t.Errorf("the holes are filled: %d bytes on disk, %v", st.Blocks*512, err)
			}
			// The service runs again and writes: a second Restore must leave that alone.
			write(t, filepath.Join(data, "since"), "x")
			if err := s.Restore(ctx, "core", "c1", paths); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(filepath.Join(data, "since")); err != nil {
				t.Error("Restore ran a second time")
			}
			for range 2 {
				if err := s.Drop(ctx, "core", "c1"); err != nil {
					t.Fatal(err)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(root, "snapshots/*/*")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(data), ".*")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestTakeCopiesWhatChangedSincePrepare(t *testing.T) {
	ctx := context.Background()
	s, data := newStore(t)
	furnish(t, data)
	write(t, filepath.Join(data, "grows"), "one")
	write(t, filepath.Join(data, "gone"), "x")
	write(t, filepath.Join(data, "turns"), "a file")
	if err := s.Prepare(ctx, "core", "c1", []string{data}); err != nil {
		t.Fatal(err)
	}
	kept := tree(filepath.Join(s.dir, "core", "c1"), 0)

	write(t, filepath.Join(data, "grows"), "two") // as long as before, maybe within one tick of the clock
	write(t, filepath.Join(data, "sub/new"), "x")
	if err := errors.Join(os.Remove(filepath.Join(data, "gone")), os.Remove(filepath.Join(data, "turns")),
		os.Symlink("grows", filepath.Join(data, "turns")), os.Chmod(filepath.Join(data, "empty"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := s.Take(ctx, "core", "c1", []string{data}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(describe(t, data), describe(t, kept)); diff != "" {
		t.Errorf("want -, kept +:\n%s", diff)
	}
}

func TestUnchangedFilesAreNotCopiedAgain(t *testing.T) {
	ctx := context.Background()
	s, data := newStore(t)
	write(t, filepath.Join(data, "big"), strings.Repeat("x", 1<<20))
	deadline := time.Now().Add(10 * time.Second)
	for {
		if err := s.Prepare(ctx, "core", "c1", []string{data}); err != nil {
			t.Fatal(err)
		}
		big := filepath.Join(tree(filepath.Join(s.dir, "core", "c1"), 0), "big")
		before, _ := inode(big)
		if err := s.Prepare(ctx, "core", "c1", []string{data}); err != nil {
			t.Fatal(err)
		}
		if after, _ := inode(big); before == after {
			return // the mark counts once the file has been quiet
		}
		if time.Now().After(deadline) {
			t.Fatal("a file that nobody writes is copied again and again")
		}
		time.Sleep(quiet / 10)
	}
}

func newStore(t testing.TB) (*Store, string) {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "snapshots"))
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "core")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	return s, data
}

func TestWithoutTakeRestoreDoesNothing(t *testing.T) {
	ctx := context.Background()
	s, data := newStore(t)
	write(t, filepath.Join(data, "a"), "1")
	if err := s.Prepare(ctx, "core", "c1", []string{data}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(data, "a"), "2")
	if err := errors.Join(s.Restore(ctx, "core", "c1", []string{data}), s.Restore(ctx, "core", "never", []string{data})); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(data, "a")); string(b) != "2" {
		t.Errorf("got %q", b)
	}
}

func TestWhatCannotBePutBackIsRefusedBeforehand(t *testing.T) {
	ctx := context.Background()
	s, data := newStore(t)
	write(t, filepath.Join(data, "file"), "x")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"relative":                  "is not a clean absolute path",
		data + "/../x":              "is not a clean absolute path",
		filepath.Join(data, "file"): "is not a folder",
		link:                        "is not a folder",
		"/proc":                     "is a mount point",
	} {
		if err := s.Prepare(ctx, "core", "c1", []string{path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
	for _, name := range []string{"", "..", "a/b", ".hidden"} {
		if err := s.Take(ctx, name, "c1", []string{data}); err == nil {
			t.Errorf("took a snapshot of %q", name)
		}
	}
	s.reserve = 1 << 60
	if err := s.Prepare(ctx, "core", "c2", []string{data}); !errors.Is(err, supervisor.ErrNoSpace) {
		t.Errorf("got %v, want no space", err)
	}
}

// TestHostileServiceGetsNothingOfTheHost swaps files, folders, links and pipes under the copier's feet.
func TestHostileServiceGetsNothingOfTheHost(t *testing.T) {
	s, data := newStore(t)
	host := t.TempDir()
	write(t, filepath.Join(host, "secret/secret"), "secret")
	for i := range 50 {
		write(t, filepath.Join(data, fmt.Sprintf("d%d/secret", i)), "mine")
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			d := filepath.Join(data, fmt.Sprintf("d%d", rand.IntN(50)))
			_ = os.RemoveAll(d) // what fails here fails for the attacker
			switch rand.IntN(4) {
			case 0:
				_ = os.Symlink(filepath.Join(host, "secret"), d)
			case 1:
				_ = os.Mkdir(d, 0o755)
				_ = os.Symlink(filepath.Join(host, "secret/secret"), filepath.Join(d, "secret"))
			case 2:
				_ = os.Mkdir(d, 0o755)
				_ = unix.Mkfifo(filepath.Join(d, "secret"), 0o600)
			case 3:
				_ = os.Mkdir(d, 0o755)
				_ = os.WriteFile(filepath.Join(d, "secret"), []byte("mine"), 0o600)
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for i := range 60 {
		if err := s.Prepare(ctx, "core", fmt.Sprint("c", i%3), []string{data}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	<-stopped
	err := filepath.WalkDir(s.dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, err := os.ReadFile(p)
			if string(b) == "secret" {
				t.Errorf("%s holds a file of the host", p)
			}
			return err
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestKillAtAnyMoment kills a process that takes and one that restores, again and again at other moments, and lets a
// last one finish: the data must be the old data, whole.
func TestKillAtAnyMoment(t *testing.T) {
	for _, c := range []struct{ name, store string }{{"one file system", ""}, {"two file systems", "/dev/shm"}} {
		t.Run(c.name, func(t *testing.T) {
			root, err := os.MkdirTemp(c.store, "castellan-test-")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(root)
			data := filepath.Join(t.TempDir(), "core")
			for i := range 300 {
				write(t, filepath.Join(data, fmt.Sprintf("%d/f%d", i%7, i)), fmt.Sprint("old", i))
			}
			if c.store != "" && sameDevice(root, data) {
				t.Skip("there is only one file system")
			}
			want := describe(t, data)
			untilDone := func(call string) {
				for try := range 200 {
					cmd := exec.Command(os.Args[0], "-test.run=^$")
					cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s", worker, call, root, data))
					var said strings.Builder
					cmd.Stderr = &said
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					kill := time.AfterFunc(time.Duration(5+5*try)*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
					err := cmd.Wait()
					kill.Stop()
					if err == nil {
						return
					}
					if cmd.ProcessState.Exited() {
						t.Fatalf("%s: %s", call, said.String())
					}
					if call == "restore" { // never a mixture
						if n := mixed(t, data); n != "" {
							t.Fatalf("after a kill in restore: %s", n)
						}
					}
				}
				t.Fatalf("%s does not end", call)
			}
			untilDone("prepare")
			untilDone("take")
			for i := range 300 {
				write(t, filepath.Join(data, fmt.Sprintf("%d/f%d", i%7, i)), fmt.Sprint("new", i))
			}
			untilDone("restore")
			if diff := cmp.Diff(want, describe(t, data)); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			untilDone("drop")
			if left, _ := filepath.Glob(filepath.Join(root, "core/*")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// mixed says what is wrong when a tree holds old and new files, or too few.
func mixed(t *testing.T, data string) string {
	t.Helper()
	count := map[string]int{}
	err := filepath.WalkDir(data, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if len(b) >= 3 {
			count[string(b[:3])]++
		}
		return err
	})
	if err != nil {
		return err.Error()
	}
	if count["old"] == 300 && count["new"] == 0 || count["new"] == 300 && count["old"] == 0 {
		return ""
	}
	return fmt.Sprint(count)
}

// BenchmarkTake is the downtime a snapshot costs: 1000 files of 64 KiB copied while the service ran, ten written since.
func BenchmarkTake(b *testing.B) {
	ctx := context.Background()
	s, data := newStore(b)
	s.reserve = 0
	for i := range 1000 {
		write(b, filepath.Join(data, fmt.Sprintf("%d/f%d", i%10, i)), strings.Repeat("x", 64<<10))
	}
	time.Sleep(2 * quiet) // for the marks to count
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		change := fmt.Sprint("c", n)
		if err := s.Prepare(ctx, "core", change, []string{data}); err != nil {
			b.Fatal(err)
		}
		for i := range 10 {
			write(b, filepath.Join(data, fmt.Sprintf("0/f%d", i*10)), strings.Repeat("y", 64<<10))
		}
		b.StartTimer()
		if err := s.Take(ctx, "core", change, []string{data}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Drop(ctx, "core", change); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
