package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/castellan/castellan/trust"
)

func TestFileIsHashedByItsBytes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tool-v1.2.3.tar.gz")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := Artifact{
		Kind: trust.KindFile, Name: "tool-v1.2.3.tar.gz", Version: "1.2.3", Size: 5,
		Subjects: []trust.RecordSubject{{Name: "tool-v1.2.3.tar.gz", Digest: trust.DigestOf([]byte("hello"))}},
	}
	for _, arg := range []string{path, "file://" + path} {
		got, err := Resolve(t.Context(), arg, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", arg, d)
		}
	}
	d := trust.DigestOf([]byte("hello"))
	for _, s := range []string{string(d), d.Hex(), strings.ToUpper(d.Hex())} {
		a, err := FromDigest(s)
		if err != nil || a.Subjects[0].Digest != d {
			t.Errorf("FromDigest(%s) = %v, %v", s, a, err)
		}
	}
}

func TestArtifactsThatAreNoneAreRefused(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{
		"":                    "it is empty",
		" ":                   "it is empty",
		"file://":             "it is empty",
		dir:                   "a folder",
		fifo:                  "not a regular file",
		"./missing":           "no such file",
		"missing":             "no such file",
		"git://x":             "is not known",
		"sha256:12":           "64 lower-case hex digits",
		"UPPER/Case:x":        "write it as",
		"docker://":           "it is empty",
		"localhost:1/nobody:": "write it as",
	} {
		if _, err := Resolve(t.Context(), arg, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", arg, err, want)
		}
	}
}

func TestFileNeverAnswersForAnImage(t *testing.T) {
	t.Chdir(t.TempDir())
	ref := "ghcr.io/owner/core:1.2"
	if err := os.MkdirAll(filepath.Dir(ref), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ref, []byte("a trusted file"), 0o644); err != nil {
		t.Fatal(err)
	}
	if a, err := Resolve(t.Context(), ref, Options{}); err == nil || !strings.Contains(err.Error(), "oci://"+ref) {
		t.Errorf("got %+v, %v; want to be asked which one", a, err)
	}
	for _, arg := range []string{"file://" + ref, "./" + ref} {
		if a, err := Resolve(t.Context(), arg, Options{}); err != nil || a.Kind != trust.KindFile {
			t.Errorf("%s: %+v, %v", arg, a, err)
		}
	}
}

// image makes an image for one platform.
func image(t *testing.T, os, arch, variant string, labels map[string]string) v1.Image {
	t.Helper()
	img, err := random.Image(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	cf, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture, cf.Variant, cf.Config.Labels = os, arch, variant, labels
	img, err = mutate.ConfigFile(img, cf)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func startRegistry(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestRegistryImageGivesIndexManifestsAndConfigs(t *testing.T) {
	host := startRegistry(t, nil)
	amd := image(t, "linux", "amd64", "", nil)
	arm := image(t, "linux", "arm64", "v8", nil)
	att := image(t, "unknown", "unknown", "", nil)
	idx := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}},
		mutate.IndexAddendum{Add: att, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}})
	ref, err := name.ParseReference(host + "/home/core:2026.8.2")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, idx); err != nil {
		t.Fatal(err)
	}
	digest := func(h v1.Hash, err error) trust.Digest {
		if err != nil {
			t.Fatal(err)
		}
		return trust.Digest(h.String())
	}
	repo := host + "/home/core"
	want := []trust.RecordSubject{
		{Name: repo, Digest: digest(idx.Digest()), Role: "index"},
		{Name: repo, Digest: digest(amd.Digest()), Role: "manifest", Platform: "linux/amd64"},
		{Name: repo, Digest: digest(amd.ConfigName()), Role: "config", Platform: "linux/amd64"},
		{Name: repo, Digest: digest(arm.Digest()), Role: "manifest", Platform: "linux/arm64/v8"},
		{Name: repo, Digest: digest(arm.ConfigName()), Role: "config", Platform: "linux/arm64/v8"},
	}
	for _, arg := range []string{ref.Name(), "oci://" + ref.Name(), repo + "@" + string(want[0].Digest)} {
		a, err := Resolve(t.Context(), arg, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, a.Subjects); d != "" {
			t.Errorf("%s: %s", arg, d)
		}
		if a.Kind != trust.KindImage || a.Name != repo || a.Size <= 0 {
			t.Errorf("%s: %+v", arg, a)
		}
		if wantVersion := map[bool]string{true: "2026.8.2"}[!strings.Contains(arg, "@")]; a.Version != wantVersion {
			t.Errorf("%s: version %q, want %q", arg, a.Version, wantVersion)
		}
	}
}

func TestSinglePlatformImageSaysItsPlatformAndVersion(t *testing.T) {
	host := startRegistry(t, nil)
	img := image(t, "linux", "arm", "v7", map[string]string{"org.opencontainers.image.version": "3.1"})
	ref, _ := name.ParseReference(host + "/a/b:latest")
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	a, err := Resolve(t.Context(), ref.Name(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Version != "3.1" || len(a.Subjects) != 2 || a.Subjects[1].Platform != "linux/arm/v7" {
		t.Errorf("got %+v", a)
	}
}

func TestIndexThatLiesAboutAPlatformIsRefused(t *testing.T) {
	host := startRegistry(t, nil)
	idx := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image(t, "linux", "amd64", "", nil),
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})
	ref, _ := name.ParseReference(host + "/a/b:1")
	if err := remote.WriteIndex(ref, idx); err != nil {
		t.Fatal(err)
	}
	if _, err := Resolve(t.Context(), ref.Name(), Options{}); err == nil || !strings.Contains(err.Error(), "but it is for linux/amd64") {
		t.Errorf("got %v", err)
	}
}

func TestHostileRegistriesCostOneBoundedError(t *testing.T) {
	for what, h := range map[string]http.HandlerFunc{
		"answers 500":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"answers HTML": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>log in</html>") },
		"sends for ever": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
		"never answers":      func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"redirects for ever": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) },
	} {
		t.Run(what, func(t *testing.T) {
			host := startRegistry(t, func(http.Handler) http.Handler { return h })
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if _, err := Resolve(ctx, host+"/a/b:1", Options{Timeout: 2 * time.Second}); err == nil {
				t.Error("no error")
			}
			if ctx.Err() != nil {
				t.Error("took longer than its timeout")
			}
		})
	}
}

func TestEngineImageIsNamedByWhatTheEngineHolds(t *testing.T) {
	const id = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	classic := `{"Id":"` + id + `","RepoTags":["ghcr.io/home/core:2026.8.2"],"RepoDigests":["ghcr.io/home/core@` + id + `"],
		"Os":"linux","Architecture":"arm64","Variant":"v8","Size":12}`
	containerd := strings.Replace(classic, `"Size":12`, `"Size":12,"Descriptor":{"mediaType":"application/vnd.oci.image.%s.v1+json","digest":"`+id+`"}`, 1)
	for _, tt := range []struct {
		what, body string
		want       trust.RecordSubject
	}{
		{"classic store", classic, trust.RecordSubject{Name: "ghcr.io/home/core", Digest: id, Role: "config", Platform: "linux/arm64/v8"}},
		{"containerd, manifest", fmt.Sprintf(containerd, "manifest"), trust.RecordSubject{Name: "ghcr.io/home/core", Digest: id, Role: "manifest", Platform: "linux/arm64/v8"}},
		{"containerd, index", fmt.Sprintf(containerd, "index"), trust.RecordSubject{Name: "ghcr.io/home/core", Digest: id, Role: "index"}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			host := startEngine(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/images/ghcr.io/home/core:2026.8.2/json" {
					w.WriteHeader(404)
					return
				}
				io.WriteString(w, tt.body)
			})
			a, err := Resolve(t.Context(), "docker://ghcr.io/home/core:2026.8.2", Options{DockerHost: host})
			if err != nil {
				t.Fatal(err)
			}
			want := Artifact{Kind: trust.KindImage, Name: "ghcr.io/home/core", Version: "2026.8.2", Size: 12,
				Subjects: []trust.RecordSubject{tt.want}, Remote: []string{"ghcr.io/home/core@" + id}}
			if d := cmp.Diff(want, a); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEnginesThatFailAreErrors(t *testing.T) {
	for what, tt := range map[string]struct {
		h    http.HandlerFunc
		want string
	}{
		"does not have it": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "pull it first"},
		"answers 500":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "500"},
		"answers garbage":  {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "garbage") }, "not readable"},
		"gives no digest":  {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"Id":"x"}`) }, "its ID"},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.invalid", http.StatusFound)
		}, "302"},
		"sends too much": {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, maxInspectBytes+10)) }, "longer than"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := Resolve(t.Context(), "docker://x/y:1", Options{DockerHost: startEngine(t, tt.h)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	_, err := Resolve(t.Context(), "docker://x/y:1", Options{DockerHost: "unix://" + filepath.Join(t.TempDir(), "none")})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "is the engine running") {
		t.Errorf("no engine: %v", err)
	}
	if _, err := Resolve(t.Context(), "docker://x/y:1", Options{DockerHost: "ssh://host"}); err == nil || !strings.Contains(err.Error(), "unix://PATH") {
		t.Errorf("ssh: %v", err)
	}
	if got := escapePath("a/../b?x#y%/./c"); got != "a/%2e/b%3Fx%23y%25/%2e/c" {
		t.Errorf("escapePath = %s", got)
	}
}

func startEngine(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "eng") // t.TempDir can be longer than a socket's name may be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return "unix://" + l.Addr().String()
}
