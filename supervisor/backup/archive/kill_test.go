package archive

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// worker makes the test binary a process that runs one call until it is killed: "call folder".
const worker = "CASTELLAN_TEST_ARCHIVE_WORKER"

func TestMain(m *testing.M) {
	if f := strings.Fields(os.Getenv(worker)); len(f) == 2 {
		if err := work(f[0], f[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// work makes the backup of <dir>/live, or restores the one there is to it.
func work(call, dir string) error {
	if err := Resume(filepath.Join(dir, "journal")); err != nil {
		return err
	}
	s, err := Open(filepath.Join(dir, "backups"), Options{Reserve: -1})
	if err != nil {
		return err
	}
	ctx := context.Background()
	if call == "create" {
		_, err = s.Create(ctx, request(addon(dir, "live")))
		return err
	}
	list, err := s.List(ctx)
	if err != nil || len(list) != 1 {
		return fmt.Errorf("%d backups: %w", len(list), err)
	}
	b, err := s.Read(list[0].Slug)
	if err != nil {
		return err
	}
	p, err := b.Prepare(ctx, filepath.Join(dir, "journal"), Key{}, []Target{{Unit: "live", Trees: map[string]string{"data": filepath.Join(dir, "live")}}}, nil)
	if err != nil {
		return err
	}
	return p.Place()
}

// TestKillAtAnyMoment kills a process that makes a backup, and one that restores it, again and again a bit later each
// time, until one comes through.
func TestKillAtAnyMoment(t *testing.T) {
	const files = 400
	dir := t.TempDir()
	age := func(text string) {
		for i := range files {
			write(t, filepath.Join(dir, fmt.Sprintf("live/%d/f%d", i%7, i)), text+strings.Repeat(fmt.Sprint(i), 500))
		}
	}
	// whole tells which of the two the folder holds; a mixture is neither.
	whole := func() string {
		count := map[string]int{}
		for i := range files {
			b, _ := os.ReadFile(filepath.Join(dir, fmt.Sprintf("live/%d/f%d", i%7, i)))
			if string(b) == "old"+strings.Repeat(fmt.Sprint(i), 500) || string(b) == "new"+strings.Repeat(fmt.Sprint(i), 500) {
				count[string(b[:3])]++
			}
		}
		for k, n := range count {
			if n == files {
				return k
			}
		}
		return fmt.Sprint(count)
	}
	run := func(call string, each func()) {
		for wait := 5 * time.Millisecond; wait < time.Minute; wait += wait / 12 { // until even a slow machine gets it done
			cmd := exec.Command(os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s", worker, call, dir))
			var said strings.Builder
			cmd.Stderr = &said
			must(t, cmd.Start())
			kill := time.AfterFunc(wait, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
			err := cmd.Wait()
			kill.Stop()
			if err == nil {
				return
			}
			if cmd.ProcessState.Exited() {
				t.Fatalf("%s: %s", call, said.String())
			}
			each()
		}
		t.Fatalf("%s does not end", call)
	}
	age("old")
	made := 0
	run("create", func() {
		list, err := os.ReadDir(filepath.Join(dir, "backups"))
		for _, e := range list {
			if err == nil && strings.HasSuffix(e.Name(), ".tar") { // killed after it was done
				made++
				b, err := OpenFile(filepath.Join(dir, "backups", e.Name()))
				must(t, err)
				must(t, b.Verify(t.Context(), nil))
				must(t, b.Close())
				must(t, os.Remove(filepath.Join(dir, "backups", e.Name())))
			}
		}
	})
	if list, _ := filepath.Glob(filepath.Join(dir, "backups/.new*")); len(list) > 0 {
		t.Errorf("left: %v", list)
	}
	age("new")
	run("restore", func() {
		switch got := whole(); got {
		case "new":
		case "old": // put in place and killed before it was cleared up
			must(t, Resume(filepath.Join(dir, "journal")))
			age("new")
		default:
			t.Fatalf("after a kill in restore: %s", got)
		}
	})
	if got := whole(); got != "old" {
		t.Errorf("after the restore: %s", got)
	}
	if list, _ := filepath.Glob(filepath.Join(dir, "*"+beside)); len(list) > 0 {
		t.Errorf("left: %v", list)
	}
}
