package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
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
}

// findEngine uses DOCKER_HOST or the standard socket when an engine answers there. Otherwise it installs Debian's
// docker.io when dockerd is missing and starts a dockerd of its own below dir, with sockets and data of its own.
func findEngine(ctx context.Context, dir string) (*engine, error) {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	if v, err := engineVersion(ctx, host); err == nil {
		return &engine{host: host, version: v, started: "in use: " + host}, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("no Docker engine answers on %s and only root can start one; run: sudo make run", host)
	}
	what := "started its own"
	if _, err := exec.LookPath("dockerd"); err != nil {
		if err := installDocker(ctx); err != nil {
			return nil, err
		}
		what = "installed docker.io, started its own"
		// Where systemd runs, the package has started the engine.
		for range 40 {
			if v, err := engineVersion(ctx, host); err == nil {
				return &engine{host: host, version: v, started: "installed docker.io: " + host}, nil
			}
			if _, err := os.Stat("/run/systemd/system"); err != nil || !pause(ctx, 250*time.Millisecond) {
				break
			}
		}
	}
	return startEngine(ctx, filepath.Join(dir, "docker"), what)
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

func startEngine(ctx context.Context, dir, what string) (*engine, error) {
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
	e := &engine{host: "unix://" + filepath.Join(dir, "docker.sock")}
	// exec-root holds sockets, whose names are limited to 108 bytes.
	e.own = exec.Command("dockerd", "--data-root", filepath.Join(dir, "data"), "--exec-root", "/run/castellan-demo-docker",
		"-p", filepath.Join(dir, "dockerd.pid"), "-H", e.host, "--config-file", config, "--log-level", "warn")
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
}

// engineVersion asks an engine for its version.
func engineVersion(ctx context.Context, host string) (string, error) {
	socket, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		return "", fmt.Errorf("the demo needs an engine on a unix socket, not %s", host)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequestWithContext(ctx, "GET", "http://docker/version", nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var v struct{ Version string }
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.Version == "" {
		return "", fmt.Errorf("no Docker engine answers on %s", host)
	}
	return v.Version, nil
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
