package store

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is a git server on loopback, with faults to switch on, and a store that follows it.
type world struct {
	testing.TB
	dir    string
	state  string
	server *httptest.Server
	cfg    Config

	mu       sync.Mutex
	fault    func(http.ResponseWriter, *http.Request, http.Handler)
	requests []string
	now      time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, dir: t.TempDir(), state: filepath.Join(t.TempDir(), "store"), now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(w.git(w.dir, nil, "--exec-path")), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + w.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		fault := w.fault
		w.requests = append(w.requests, r.Method+" "+r.URL.Path)
		w.mu.Unlock()
		if fault != nil {
			fault(rw, r, backend)
			return
		}
		backend.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.server.Close)
	w.cfg = Config{Dir: w.state, Now: w.clock, Seed: "test", Limits: Limits{Stall: 20 * time.Second}}
	if err := Init(w.state); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) set(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = now
}

func (w *world) fail(fault func(http.ResponseWriter, *http.Request, http.Handler)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
}

// asked returns the requests since the last call.
func (w *world) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.requests
	w.requests = nil
	return out
}

func (w *world) url(name string) string { return w.server.URL + "/" + name }

func (w *world) open() *Store {
	w.Helper()
	s, err := Open(w.cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = s.Close() })
	return s
}

// follow makes a repository of files on the server and adds it.
func (w *world) follow(s *Store, name string, files map[string]string) Repository {
	w.Helper()
	w.commit(name, files)
	r, err := s.Add(context.Background(), w.url(name), "")
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) git(dir string, input []byte, args ...string) string {
	w.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(input)
	date := w.now.Format(time.RFC3339)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b", "GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("git %v: %v: %s", args, err, stderr.String())
	}
	return string(out)
}

// commit replaces everything in a repository by files and returns the commit. A content "-> x" is a symbolic link,
// "module <hash>" a submodule.
func (w *world) commit(name string, files map[string]string) string {
	w.Helper()
	dir := filepath.Join(w.dir, name)
	if _, err := os.Stat(dir); err != nil {
		w.git(w.dir, nil, "init", "-q", "--bare", "-b", "main", dir)
	}
	var index strings.Builder
	for path, content := range files {
		mode, hash := "100644", ""
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			mode, content = "120000", target
		}
		if h, ok := strings.CutPrefix(content, "module "); ok {
			mode, hash = "160000", h
		} else {
			hash = strings.TrimSpace(w.git(dir, []byte(content), "hash-object", "-w", "--stdin"))
		}
		fmt.Fprintf(&index, "%s %s\t%s\x00", mode, hash, path)
	}
	_ = os.Remove(filepath.Join(dir, "index"))
	w.git(dir, []byte(index.String()), "update-index", "-z", "--add", "--index-info")
	return w.point(dir, strings.TrimSpace(w.git(dir, nil, "write-tree")))
}

// point makes a commit of a tree and moves main to it.
func (w *world) point(dir, tree string) string {
	args := []string{"commit-tree", "-m", "x", tree}
	if out, err := exec.Command("git", "-C", dir, "rev-parse", "-q", "--verify", "main").Output(); err == nil {
		args = append(args, "-p", strings.TrimSpace(string(out)))
	}
	c := strings.TrimSpace(w.git(dir, nil, args...))
	w.git(dir, nil, "update-ref", "refs/heads/main", c)
	return c
}

// raw writes a tree object that git itself would refuse, of "mode name" -> hash.
func (w *world) raw(name string, entries ...[2]string) string {
	dir := filepath.Join(w.dir, name)
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "%s\x00", e[0])
		for i := 0; i < 40; i += 2 {
			var v byte
			if _, err := fmt.Sscanf(e[1][i:i+2], "%02x", &v); err != nil {
				w.Fatal(err)
			}
			b.WriteByte(v)
		}
	}
	return strings.TrimSpace(w.git(dir, b.Bytes(), "hash-object", "-t", "tree", "-w", "--literally", "--stdin"))
}

const repositoryYAML = "name: Samples\nurl: https://example.org\nmaintainer: Ann <ann@example.org>\n"

// addon is a small valid config.yaml.
func addon(slug, version string) string {
	return fmt.Sprintf("name: The %s\nversion: %q\nslug: %s\ndescription: A sample.\narch: [aarch64, amd64]\nimage: ghcr.io/x/{arch}-%s\n", slug, version, slug, slug)
}

// sample is a repository of two add-ons.
func sample(version string) map[string]string {
	return map[string]string{
		"repository.yaml":     repositoryYAML,
		"one/config.yaml":     addon("one", version),
		"one/DOCS.md":         "# One " + version,
		"one/icon.png":        picture(128, 128),
		"b/two-x/config.json": `{"name": "Two", "version": "2", "slug": "two", "description": "d", "arch": ["amd64"]}`,
	}
}

func with(files map[string]string, more ...string) map[string]string {
	for i := 0; i < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	return files
}

func picture(w, h int) string {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		panic(err)
	}
	return b.String()
}

func slugs(s *Store) string {
	var out []string
	for _, e := range s.Entries() {
		_, slug, _ := strings.Cut(e.Slug, "_")
		out = append(out, slug+"@"+e.Version)
	}
	slices.Sort(out) // a repository's slug hangs on the server's port
	return strings.Join(out, " ")
}

// problem finds one whose path is path and whose reason contains text.
func problem(list []Problem, path, text string) bool {
	for _, p := range list {
		if p.Path == path && strings.Contains(p.Reason, text) {
			return true
		}
	}
	return false
}

// onDisk lists a folder with its contents, to compare what is on disk.
func onDisk(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s %d %d\n", path, fi.Mode(), fi.Size(), fi.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
