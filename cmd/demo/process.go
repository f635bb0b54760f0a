package main

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
	"syscall"
	"time"
)

// process is a long-running program of the demo with its log file.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	log  string
}

// start runs a program until stop; it dies with the demo.
func start(name, logDir string, env []string, program string, args ...string) (*process, error) {
	p := &process{name: name, done: make(chan struct{}), log: filepath.Join(logDir, name+".log")}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	return p, nil
}

// running tells whether the program is still there.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop asks it to end and kills it after 20 s.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // gone already is fine
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// kill ends it without asking, as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // gone already is fine
	<-p.done
}

// lastLines is the end of its log, for an error.
func (p *process) lastLines() string {
	b, _ := os.ReadFile(p.log) // only to show it
	return tail(b)
}

// result is what a command said.
type result struct {
	exit           int
	stdout, stderr string
}

// run executes a program to its end. Only a program that could not be run is an error.
func run(ctx context.Context, env []string, program string, args ...string) (result, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	r := result{stdout: out.String(), stderr: errOut.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.exit = exit.ExitCode()
		return r, nil
	}
	return r, err
}

// must is run with a wanted exit code; into, if not nil, takes the JSON on stdout.
func must(ctx context.Context, env []string, exit int, into any, program string, args ...string) error {
	r, err := run(ctx, env, program, args...)
	if err != nil {
		return err
	}
	line := filepath.Base(program) + " " + strings.Join(args, " ")
	if r.exit != exit {
		return fmt.Errorf("%s: exit code %d, want %d\n%s%s", line, r.exit, exit, r.stdout, r.stderr)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(r.stdout), into); err != nil {
			return fmt.Errorf("%s: cannot read its JSON: %w\n%s", line, err, r.stdout)
		}
	}
	return nil
}
