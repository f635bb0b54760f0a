package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust"
	"github.com/docker/docker/api/types/image"
)

// addonFolder has a program and the Dockerfile of an image FROM scratch.
func addonFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "rootfs", "app"), testenv.SampleApp)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the program: %v: %s", err, out)
	}
	write(t, dir, "Dockerfile.amd", "FROM scratch\nARG VERSION\nENV APP_VERSION=$VERSION\nCOPY rootfs/ /\nRUN [\"/app\", \"exit\", \"0\"]\nENTRYPOINT [\"/app\"]\n")
	write(t, dir, ".git/config", "secret")
	if err := os.Symlink("app", filepath.Join(dir, "rootfs", "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestALocalAddOnIsBuilt(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	dir := addonFolder(t)
	req := BuildRequest{
		Context: dir, Dockerfile: "Dockerfile.amd", Tag: "local/amd64-addon-sample:1.2",
		Args: map[string]string{"VERSION": "1.2"}, Labels: map[string]string{"io.hass.version": "1.2"},
	}
	var lines []string
	img, err := h.Build(t.Context(), req, func(l string) { lines = append(lines, l) })
	h.must(err)
	t.Cleanup(func() {
		_, _ = h.docker().ImageRemove(h.t.Context(), req.Tag, image.RemoveOptions{Force: true, PruneChildren: true})
	})
	r, err := h.docker().ImageInspect(t.Context(), req.Tag)
	h.must(err)
	if r.ID != string(img.ID) || img.Platform.OS != "linux" || img.Size == 0 || r.Config.Labels["io.hass.version"] != "1.2" || !slices.Contains(r.Config.Env, "APP_VERSION=1.2") {
		t.Errorf("image %+v, inspected %s %v %v", img, r.ID, r.Config.Labels, r.Config.Env)
	}
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "COPY rootfs/ /") {
		t.Errorf("progress: %q", all)
	}
	if again, err := h.Build(t.Context(), req, nil); err != nil || again.ID != img.ID {
		t.Errorf("the same folder builds another image: %v, %v", again.ID, err)
	}

	// What a Dockerfile gets wrong is said in its own words, and is no fault of the engine's.
	for file, want := range map[string]string{
		"FROM scratch\nCOPY rootfs/ /\nRUN [\"/app\", \"exit\", \"3\"]\n": "code: 3",
		"FROM scratch\nCOPY missing /\n":                                  "missing",
		"FROM scratch\nCOPY .git/config /\n":                              ".git",
	} {
		write(t, dir, "Dockerfile", file)
		_, err := h.Build(t.Context(), BuildRequest{Context: dir, Tag: req.Tag}, nil)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, supervisor.ErrEngineAway) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	write(t, dir, "Dockerfile", "FROM scratch\nCOPY rootfs/ /\nRUN [\"/app\", \"sleep\", \"1h\"]\n")
	if _, err := h.Build(t.Context(), BuildRequest{Context: dir, Tag: req.Tag, Timeout: 3 * time.Second}, nil); err == nil || !strings.Contains(err.Error(), "did not end within 3s") {
		t.Errorf("a build that hangs: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := h.Build(ctx, BuildRequest{Context: dir, Tag: req.Tag}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a build whose caller left: %v", err)
	}
}

// TestWhatWasBuiltIsFoundWithoutItsName: the next build of the version takes it.
func TestWhatWasBuiltIsFoundWithoutItsName(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	dir := addonFolder(t)
	build := func(whose, version string) trust.Digest {
		t.Helper()
		img, err := h.Build(t.Context(), BuildRequest{Context: dir, Dockerfile: "Dockerfile.amd", Tag: "local/built:1", For: whose,
			Args: map[string]string{"VERSION": version}}, nil)
		h.must(err)
		t.Cleanup(func() { h.must(h.RemoveImage(context.WithoutCancel(t.Context()), img.ID)) })
		return img.ID
	}
	first, second, other := build("local_A", "1"), build("local_A", "2"), build("local_a", "1")
	if first == second || first == other {
		t.Fatal("two of the builds are the same image")
	}
	is := func(whose string, want ...trust.Digest) {
		t.Helper()
		got, err := h.Built(t.Context(), whose)
		h.must(err)
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("built for %s: %v, want %v", whose, got, want)
		}
	}
	is("local_A", first, second)
	is("local_a", other)
	is("local_")
	h.must(h.RemoveImage(t.Context(), first))
	is("local_A", second)
}

func TestFoldersThatAreNotBuilt(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	outside := t.TempDir()
	write(t, outside, "secret", "x")
	for want, spoil := range map[string]func(dir string) error{
		"out of the folder": func(dir string) error { return os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "a")) },
		"is a link to ../..": func(dir string) error {
			write(t, dir, "sub/x", "")
			return os.Symlink("../../x", filepath.Join(dir, "sub", "a"))
		},
		"neither a file nor a folder": func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600) },
		"has more than 256 MiB": func(dir string) error {
			write(t, dir, "big", "")
			return os.Truncate(filepath.Join(dir, "big"), maxContextBytes+1)
		},
		"is no regular file": func(dir string) error {
			h.must(os.Remove(filepath.Join(dir, "Dockerfile")))
			return os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "Dockerfile"))
		},
		"cannot find its Dockerfile": func(dir string) error { return os.Remove(filepath.Join(dir, "Dockerfile")) },
	} {
		dir := t.TempDir()
		write(t, dir, "Dockerfile", "FROM scratch\nCOPY . /\n")
		h.must(spoil(dir))
		_, err := h.Build(t.Context(), BuildRequest{Context: dir, Tag: "local/a:1"}, nil)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, supervisor.ErrEngineAway) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	for _, b := range []BuildRequest{
		{Context: "rel", Tag: "a:1"}, {Context: outside, Tag: "a"}, {Context: outside, Tag: "A:1"}, {Context: outside, Tag: "a:1", Dockerfile: "../Dockerfile"},
		{Context: outside, Tag: "a:1", Dockerfile: "secret", Labels: map[string]string{supervisor.LabelHouse: "mine"}},
	} {
		if _, err := h.Build(t.Context(), b, nil); err == nil {
			t.Errorf("%+v was built", b)
		}
	}
}

// TestPackLeavesOut looks into the archive.
func TestPackLeavesOut(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "Dockerfile", "FROM scratch")
	write(t, dir, "sub/.git/HEAD", "x")
	write(t, dir, "sub/.git2", "kept")
	root, err := openContext(dir, "Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var buf bytes.Buffer
	if err := pack(&buf, root); err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(&buf); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%s %d", h.Name, h.Size))
	}
	if want := []string{"Dockerfile 12", "sub/ 0", "sub/.git2 4"}; !slices.Equal(names, want) {
		t.Errorf("packed %q, want %q", names, want)
	}
}
