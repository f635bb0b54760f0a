package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

const (
	shimGrace   = 2 * time.Second  // how long the shim of a container that stopped may take to go by itself; milliseconds are usual
	orphanLimit = 20 * time.Second // how long all of it may take
)

// idInUse is how the engine says that containerd still has a task of the container it is to start, or is about to forget
// it: "id already in use", "container with given ID already exists" (moby issue 40613), "failed to start shim: mkdir
// /run/containerd/…/moby/5bc6…: file exists".
var idInUse = regexp.MustCompile(`(?i)\bid already in use|given id already exists|shim: mkdir \S+: file exists`)

// An engine that is killed while it starts a container says after its return that it does not run and never did. Its
// processes work on, on the same files, and nothing that the engine offers reaches them: a start fails, a stop finds
// nothing to do, a removal leaves them. They hang on a shim of containerd, one a container. When the shim goes, containerd
// kills them and forgets the task; then the container can be started.

// start starts a container, after what a killed engine left of it is gone.
func (e *Engine) start(ctx context.Context, cli *client.Client, id string) error {
	err := cli.ContainerStart(ctx, id, container.StartOptions{})
	if err == nil || !idInUse.MatchString(err.Error()) {
		return err
	}
	e.cfg.Log.Warn("an engine that was killed left a container running that this one does not know of: it is ended first", "container", short(id))
	if oerr := endOrphans(ctx, id); oerr != nil {
		return errors.Join(err, oerr)
	}
	ctx, cancel := context.WithTimeout(ctx, orphanLimit)
	defer cancel()
	return poll(ctx, pollEvery, func() (bool, error) { // containerd may still be at it
		err := cli.ContainerStart(ctx, id, container.StartOptions{})
		if err != nil && idInUse.MatchString(err.Error()) {
			return false, nil
		}
		return true, err
	})
}

// endOrphans ends what is left of a container that the engine says does not run, and returns when it is gone. When
// nothing is left, which is nearly always, it has looked once through the processes of this host.
func endOrphans(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, orphanLimit)
	defer cancel()
	begun := time.Now()
	var killed []process // the shim and what hung on it
	err := poll(ctx, pollEvery, func() (bool, error) {
		shims, err := shimsOf("/proc", id)
		if err != nil {
			return false, err
		}
		if killed == nil && time.Since(begun) > shimGrace { // once: what comes then is containerd's, cleaning up
			for _, shim := range shims {
				killed = append(append(killed, shim), childrenOf("/proc", shim)...)
				if err := shim.kill(id); err != nil {
					return false, err
				}
			}
		}
		for _, p := range killed {
			if p.alive() {
				return false, nil
			}
		}
		return len(shims) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("cannot end what a killed engine left of container %s, restart the host to be rid of it: %w", short(id), err)
	}
	return nil
}

// process is a folder of procfs.
type process struct {
	dir string
	pid int
}

// kill ends the shim of a container, unless its number has gone to another process meanwhile.
func (p process) kill(id string) error {
	handle, err := os.FindProcess(p.pid) // of one process for good
	if err != nil {
		return err
	}
	defer handle.Release()
	if !p.isShimOf(id) {
		return nil
	}
	if err := handle.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("process %d: %w", p.pid, err)
	}
	return nil
}

// isShimOf tells a containerd-shim-runc-v2, or the like, that was started with "-id" and the container's 64 digits.
func (p process) isShimOf(id string) bool {
	line, err := os.ReadFile(p.dir + "/cmdline")
	program, args, _ := bytes.Cut(line, []byte{0})
	return err == nil && bytes.HasPrefix([]byte(filepath.Base(string(program))), []byte("containerd-shim")) &&
		bytes.Contains(append([]byte{0}, args...), []byte("\x00-id\x00"+id+"\x00"))
}

func (p process) alive() bool {
	state, _ := p.stat()
	return state != "" && state != "Z" && state != "X"
}

// stat is the state of a process and the number of its parent, "" when it is gone (proc_pid_stat(5)).
func (p process) stat() (state string, parent int) {
	text, err := os.ReadFile(p.dir + "/stat")
	i := bytes.LastIndexByte(text, ')') // the name before it may hold anything
	if err != nil || i < 0 {
		return "", 0
	}
	fields := bytes.Fields(text[i+1:])
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(string(fields[1])) // the kernel's
	return string(fields[0]), parent
}

func shimsOf(proc, id string) ([]process, error) {
	if len(id) != 64 {
		return nil, fmt.Errorf("%q is no whole container ID", id)
	}
	return processes(proc, func(p process) bool { return p.isShimOf(id) }), nil
}

func childrenOf(proc string, parent process) []process {
	return processes(proc, func(p process) bool { _, of := p.stat(); return of == parent.pid })
}

func processes(proc string, want func(process) bool) (found []process) {
	dirs, _ := filepath.Glob(proc + "/[0-9]*") // the pattern is good
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && want(process{dir, pid}) {
			found = append(found, process{dir, pid})
		}
	}
	return found
}
