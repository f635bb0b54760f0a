// Command demo shows Castellan at work on real parts: a Docker engine, an OCI registry, `cas serve` with its ledger,
// sample images made FROM scratch, a channel, and the daemon. It drives `cas` and `castellan` as a person would.
//
//	demo -dir .run          tell the story on the terminal, then keep everything running until interrupted
//	demo -dir .run -check   tell it unattended: one JSON line a chapter, exit 0 only if all ended as they should
//	demo -dir .run -stop    end a demo that runs
//	demo -dir .run -clean   end it and remove every trace
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/castellan/castellan/config/durable"
)

func main() {
	dir := flag.String("dir", ".run", "folder for everything the demo makes")
	check := flag.Bool("check", false, "unattended: JSON lines, end when the story ends")
	stop := flag.Bool("stop", false, "end a running demo")
	clean := flag.Bool("clean", false, "end a running demo and remove every trace")
	flag.Parse()
	abs, err := filepath.Abs(*dir)
	if err == nil {
		switch {
		case *stop, *clean:
			err = end(abs, *clean)
		default:
			err = tell(abs, *check)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// tell runs the whole story, and, unless unattended, keeps the parts running afterwards.
func tell(dir string, check bool) error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	if err := requirements(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := durable.Lock(filepath.Join(dir, "lock"))
	if errors.Is(err, durable.ErrLocked) {
		return fmt.Errorf("a demo runs in %s already; end it with: make stop", dir)
	} else if err != nil {
		return err
	}
	defer lock.Close()
	machine, err := alone()
	if err != nil {
		return err
	}
	defer machine.Close()
	if err := os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return err
	}
	defer os.Remove(filepath.Join(dir, "pid"))

	d := &demo{dir: dir, root: ".", check: check}
	defer d.stop()
	if err := d.story(ctx); err != nil {
		return err
	}
	if check {
		return nil
	}
	d.farewell()
	<-ctx.Done()
	fmt.Println("\nstopping …")
	return nil
}

// end stops a running demo and, if asked, removes what it left.
func end(dir string, clean bool) error {
	if b, err := os.ReadFile(filepath.Join(dir, "pid")); err == nil {
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			return fmt.Errorf("cannot read %s/pid: %w", dir, err)
		}
		// The lock, not the pid, tells whether the demo runs: pids are used again.
		if lock, err := durable.Lock(filepath.Join(dir, "lock")); err == nil {
			_ = lock.Close()
		} else if errors.Is(err, durable.ErrLocked) {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				return fmt.Errorf("cannot stop the demo (pid %d): %w", pid, err)
			}
			if err := waitUnlocked(filepath.Join(dir, "lock"), time.Minute); err != nil {
				return err
			}
		}
	}
	if !clean {
		return nil
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	t, err := readTraces(dir)
	if err != nil {
		return err
	}
	if t != nil {
		machine, err := alone()
		if err != nil {
			return err
		}
		defer machine.Close()
		if err := t.remove(context.Background(), dir); err != nil {
			return err
		}
		if t.Installed {
			fmt.Println("The demo has installed docker.io, which stays; to remove it: apt-get purge docker.io")
		}
	}
	return os.RemoveAll(dir)
}

// alone keeps other demos of the machine from starting, and from removing traces: the engine's sockets and the bridges have
// the same names for all of them.
func alone() (io.Closer, error) {
	lock, err := durable.Lock(filepath.Join(os.TempDir(), "castellan-demo.lock"))
	if errors.Is(err, durable.ErrLocked) {
		return nil, errors.New("another demo runs on this machine; end it in its own folder with: make stop")
	}
	return lock, err
}

func waitUnlocked(name string, limit time.Duration) error {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if lock, err := durable.Lock(name); err == nil {
			return lock.Close()
		}
	}
	return fmt.Errorf("the demo did not stop within %s", limit)
}

// requirements checks space; Go and git were needed to get here.
func requirements(dir string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(dir), &st); err != nil {
		return err
	}
	if free := st.Bavail * uint64(st.Bsize); free < 1<<30 {
		return fmt.Errorf("%s has %d MB free; the demo needs 1024 MB", filepath.Dir(dir), free>>20)
	}
	return nil
}

// chapter is one part of the story.
type chapter struct {
	name  string
	title string
	tell  func(context.Context, *demo) (map[string]any, error)
}

// story tells all chapters in order; the first that does not end as it should ends it.
func (d *demo) story(ctx context.Context) error {
	for i, c := range chapters {
		if !d.check {
			fmt.Printf("\n%d/%d  %s\n", i+1, len(chapters), c.title)
		}
		began := time.Now()
		facts, err := c.tell(ctx, d)
		took := time.Since(began)
		if d.check {
			line := map[string]any{"chapter": c.name, "ok": err == nil, "seconds": float64(took.Milliseconds()) / 1000}
			for k, v := range facts {
				line[k] = v
			}
			if err != nil {
				line["error"] = err.Error()
			}
			b, _ := json.Marshal(line) // strings and numbers only
			fmt.Println(string(b))
		} else if err == nil {
			fmt.Printf("     done in %.1f s\n", took.Seconds())
		}
		if err != nil {
			return fmt.Errorf("chapter %q: %w%s", c.name, err, d.lastWords())
		}
	}
	return nil
}

// say shows a line of the story on the terminal.
func (d *demo) say(format string, args ...any) {
	if !d.check {
		fmt.Printf("     "+format+"\n", args...)
	}
}
