package house

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/browser"
)

// programs are built once, when the first test needs them.
var programs struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "house-bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programs.dir = dir
	code := m.Run()
	browser.Close()
	_ = os.RemoveAll(dir) // a folder for temporary files
	os.Exit(code)
}

// bin is the path of castellan or cas.
func bin(t testing.TB, name string) string {
	t.Helper()
	programs.once.Do(func() {
		cmd := exec.Command("go", "build", "-tags", "nethttpomithttp2", "-o", programs.dir, "../../cmd/castellan", "../../cmd/cas")
		if out, err := cmd.CombinedOutput(); err != nil {
			programs.err = fmt.Errorf("cannot build the programs: %w\n%s", err, out)
		}
	})
	must(t, programs.err)
	return filepath.Join(programs.dir, name)
}

// process is a long-running program; what it says goes to a file.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// start runs a program until it ends, or the test does.
func start(t testing.TB, log string, env []string, program string, args ...string) *process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer out.Close()
	p := &process{cmd: exec.Command(program, args...), log: log, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	must(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // how it ended is in its state
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends it as a power cut does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // gone already is as good
	<-p.done
}

// stop asks it to end and returns how long that took and its exit code.
func (p *process) stop(t testing.TB) (time.Duration, int) {
	t.Helper()
	began := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // gone already is as good
	code := p.wait(t, 30*time.Second)
	return time.Since(began), code
}

// wait waits for its end and returns the exit code.
func (p *process) wait(t testing.TB, within time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		t.Fatalf("%s did not end within %s:\n%s", filepath.Base(p.cmd.Path), within, p.tail())
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// tail is the end of what it said.
func (p *process) tail() string {
	b, _ := os.ReadFile(p.log) // only to show it
	return string(b[max(0, len(b)-6000):])
}

// answer is what a command said.
type answer struct {
	line           string
	exit           int
	stdout, stderr string
	took           time.Duration
}

func (a answer) String() string {
	return fmt.Sprintf("%s: exit code %d after %s\n%s%s", a.line, a.exit, a.took.Round(time.Millisecond), a.stdout, a.stderr)
}

// says fails the test unless the command ended with the code and its answer holds every word.
func (a answer) says(t testing.TB, exit int, words ...string) {
	t.Helper()
	if a.exit != exit {
		t.Fatalf("want exit code %d: %s", exit, a)
	}
	for _, w := range words {
		if !strings.Contains(a.stdout+a.stderr, w) {
			t.Errorf("it does not say %q: %s", w, a)
		}
	}
}

// decode reads JSON from standard output.
func (a answer) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.stdout), into); err != nil {
		t.Fatalf("no JSON (%v): %s", err, a)
	}
}

// run executes a command to its end, which must come within two minutes.
func run(t testing.TB, env []string, program string, args ...string) answer {
	t.Helper()
	return runWith(t, nil, env, program, args...)
}

func runWith(t testing.TB, attr *syscall.SysProcAttr, env []string, program string, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = attr
	cmd.Env = append(os.Environ(), env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	began := time.Now()
	err := cmd.Run()
	a := answer{line: filepath.Base(program) + " " + strings.Join(args, " "), stdout: out.String(), stderr: errOut.String(), took: time.Since(began)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Fatalf("it does not end: %s", a)
	case errors.As(err, &exit):
		a.exit = exit.ExitCode()
	default:
		must(t, err)
	}
	return a
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
