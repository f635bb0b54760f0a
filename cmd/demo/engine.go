package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// engine is the Docker engine the demo uses: one that runs already, or its own.
type engine struct {
	host    string // as DOCKER_HOST, "unix:///…"
	version string
	own     *exec.Cmd // nil when it was there before
	started string    // what had to be done, for the terminal
	dir     string    // of the demo
	traces  traces
}

// findEngine uses DOCKER_HOST or the standard socket when an engine answers there. Otherwise it installs Debian's
// docker.io when dockerd is missing and starts a dockerd of its own below dir, with sockets and data of its own.
func findEngine(ctx context.Context, dir string) (*engine, error) {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	use := func(v, how string, installed bool) (*engine, error) {
		e := &engine{host: host, version: v, started: how + ": " + host, dir: dir, traces: traces{Host: host, Installed: installed}}
		return e, e.traces.begin(dir)
	}
	if v, err := engineVersion(ctx, host); err == nil {
		return use(v, "in use", false)
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("no Docker engine answers on %s and only root can start one; run: sudo make run", host)
	}
	what, installed := "started its own", false
	if _, err := exec.LookPath("dockerd"); err != nil {
		if err := installDocker(ctx); err != nil {
			return nil, err
		}
		what, installed = "installed docker.io, started its own", true
		// Where systemd runs, the package has started the engine.
		for range 40 {
			if v, err := engineVersion(ctx, host); err == nil {
				return use(v, "installed docker.io", true)
			}
			if _, err := os.Stat("/run/systemd/system"); err != nil || !pause(ctx, 250*time.Millisecond) {
				break
			}
		}
	}
	return startEngine(ctx, dir, what, installed)
}

func installDocker(ctx context.Context) error {
	for _, args := range [][]string{
		{"update"},
		{"install", "-y", "--no-install-recommends", "docker.io", "iptables"},
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot install docker.io: apt-get %s: %w\n%s\nNext: install a Docker engine by hand and run again",
				strings.Join(args, " "), err, tail(out))
		}
	}
	return nil
}

// startEngine starts an engine that leaves the host's packet filter and forwarding alone: the demo needs published
// ports on loopback, which the engine's proxy serves, and no way out of its containers.
func startEngine(ctx context.Context, home, what string, installed bool) (*engine, error) {
	dir := filepath.Join(home, "docker")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "daemon.json") // so that the host's own is not read
	if err := os.WriteFile(config, []byte("{}\n"), 0o644); err != nil {
		return nil, err
	}
	// A pid file that a cut left behind keeps dockerd from starting.
	_ = os.Remove(filepath.Join(dir, "dockerd.pid"))
	logFile, err := os.Create(filepath.Join(dir, "dockerd.log"))
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	e := &engine{host: "unix://" + filepath.Join(dir, "docker.sock"), dir: home}
	e.traces = traces{Host: e.host, Own: true, Installed: installed}
	if err := e.traces.begin(home); err != nil {
		return nil, err
	}
	e.own = exec.Command("dockerd", "--data-root", filepath.Join(dir, "data"), "--exec-root", execRoot,
		"-p", filepath.Join(dir, "dockerd.pid"), "-H", e.host, "--config-file", config, "--log-level", "warn",
		"--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	e.own.Stdout, e.own.Stderr = logFile, logFile
	e.own.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := e.own.Start(); err != nil {
		return nil, fmt.Errorf("cannot start dockerd: %w", err)
	}
	for range 240 {
		if v, err := engineVersion(ctx, e.host); err == nil {
			e.version, e.started = v, what
			return e, nil
		}
		if !pause(ctx, 125*time.Millisecond) {
			break
		}
	}
	e.stop()
	out, _ := os.ReadFile(logFile.Name()) // only to show it
	return nil, fmt.Errorf("dockerd did not get ready within 30 s:\n%s", tail(out))
}

// stop ends an engine of our own and leaves another one alone.
func (e *engine) stop() {
	if e == nil || e.own == nil {
		return
	}
	_ = e.own.Process.Signal(syscall.SIGTERM) // gone already is fine
	done := make(chan struct{})
	go func() { _ = e.own.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		_ = syscall.Kill(-e.own.Process.Pid, syscall.SIGKILL)
		<-done
	}
	e.own = nil
	if err := e.traces.remove(context.Background(), e.dir); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
}

// pause waits, and tells whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// tail is the end of a program's output, for an error.
func tail(out []byte) string {
	if len(out) > 2000 {
		out = out[len(out)-2000:]
	}
	return strings.TrimSpace(string(out))
}
