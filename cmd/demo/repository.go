package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// repository is an add-on repository: a git repository that is served over HTTP on loopback.
type repository struct {
	dir string // work tree
	url string
	srv *http.Server
}

// startRepository makes an empty repository in dir and serves it with git's own server program.
func startRepository(ctx context.Context, dir string) (*repository, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	r := &repository{dir: dir}
	lib, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("the demo needs git: %w", err)
	}
	if err := r.git(ctx, "init", "--quiet", "--initial-branch=main"); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(lib)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(dir), "GIT_HTTP_EXPORT_ALL=1", "HOME=" + dir,
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}}
	r.url = fmt.Sprintf("http://%s/%s/.git", l.Addr(), filepath.Base(dir))
	r.srv = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go r.srv.Serve(l) // ends with close; its error says only that
	return r, nil
}

func (r *repository) close() {
	if r != nil {
		_ = r.srv.Close() // nothing of it is kept
	}
}

// git runs git in the work tree, with nothing of the user's configuration.
func (r *repository) git(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "user.name=Demo", "-c", "user.email=demo@castellan.example", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// write puts a file into the work tree.
func (r *repository) write(name, text string) error {
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// publish commits what was written.
func (r *repository) publish(ctx context.Context, message string) error {
	if err := r.git(ctx, "add", "--all"); err != nil {
		return err
	}
	return r.git(ctx, "commit", "--quiet", "--message", message)
}

// addon is one version of a sample add-on.
type addon struct {
	slug, version string
	notarize, ill bool
	more          string // lines of its configuration
}

// addon makes the image of a version, notarizes it if wanted, and writes its configuration.
func (d *demo) addon(ctx context.Context, a addon) error {
	ref, err := d.images.push(ctx, release{repo: "demo/" + a.slug, version: a.version, ill: a.ill})
	if err != nil {
		return err
	}
	if a.notarize {
		if err := d.cas(ctx, 0, nil, "notarize", ref); err != nil {
			return err
		}
	}
	return d.repo.write(a.slug+"/config.yaml", fmt.Sprintf(`name: Demo %[1]s
version: %[2]q
slug: %[1]s
description: The %[1]s sample of the demo
arch: [amd64, aarch64]
image: %[3]s/demo/%[1]s
watchdog: http://[HOST]:[PORT:8080]/health
options: {greeting: hello}
schema: {greeting: str}
%[4]s
`, a.slug, a.version, d.images.host, a.more))
}
