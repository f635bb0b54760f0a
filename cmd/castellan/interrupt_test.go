package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// asProgram is set where the test program is to be the real one.
const asProgram = "CASTELLAN_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestAQuestionCanBeLeft(t *testing.T) {
	_, socket := openDoor(t, t.TempDir(), nowhere)
	for _, line := range []string{"user add anna --role admin", "user reset"} {
		keys, screen := terminal(t)
		var shown strings.Builder
		root := newRoot()
		root.SetIn(screen)
		root.SetOut(&shown)
		ctx, interrupt := context.WithCancel(t.Context())
		root.SetErr(prompted{&shown, interrupt})
		root.SetArgs(append([]string{"--socket", socket}, strings.Fields(line)...))
		before, err := term.GetState(int(screen.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		if err := root.ExecuteContext(ctx); err == nil || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("%s: got %v", line, err)
		}
		if after, err := term.GetState(int(screen.Fd())); err != nil || *after != *before {
			t.Errorf("%s: the terminal is left as it was for a password: %v", line, err)
		}
		_ = keys.Close() // wakes what still reads
	}
}

// prompted interrupts who asks.
type prompted struct {
	*strings.Builder
	interrupt func()
}

func (p prompted) Write(b []byte) (int, error) {
	defer p.interrupt()
	return p.Builder.Write(b)
}

func TestWhatWaitsForAFileCanBeInterrupted(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe") // nobody will write to it
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "log", "verify", pipe)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // it has begun to read, and handles signals by then
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit %d, %q", cmd.ProcessState.ExitCode(), stderr.String())
	}
}
