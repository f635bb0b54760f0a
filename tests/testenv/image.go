package testenv

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/castellan/castellan/trust"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// SampleApp is the main package behind [Build.Main] when it is empty.
const SampleApp = "github.com/castellan/castellan/tests/testenv/app"

// Build says what image [BuildImage] makes.
type Build struct {
	Registry   string            // "host:port" of [Registry]
	Repository string            // "core"; "app" when empty
	Tag        string            // also APP_VERSION; "1.0" when empty
	Main       string            // import path or folder of a main package; the sample app when empty
	Platforms  []string          // "linux/arm64", …; this machine's when empty. The first is the one [Image] names
	Index      bool              // an index even for one platform
	Env        map[string]string // in the image's configuration
	Health     *v1.HealthConfig  // HEALTHCHECK of the image
	Pad        int               // bytes of noise in the layer that differs from image to image
}

// Image is an image that lies in a registry.
type Image struct {
	Registry   string
	Repository string
	Tag        string
	Platform   trust.Platform
	Index      trust.Digest // "" without an index
	Manifest   trust.Digest
	Config     trust.Digest
	Raw        trust.Raw
}

// Reference is the reference by tag.
func (i Image) Reference() string { return i.Registry + "/" + i.Repository + ":" + i.Tag }

// PullRef is the reference by the platform manifest's digest.
func (i Image) PullRef() string { return i.Registry + "/" + i.Repository + "@" + string(i.Manifest) }

// Subject is the image as a component's.
func (i Image) Subject(component string, class trust.Class) trust.Subject {
	return trust.Subject{
		Component: component, Class: class, Repository: "castellan.test/" + i.Repository, Version: i.Tag,
		Platform: i.Platform, Index: i.Index, Manifest: i.Manifest, Config: i.Config,
	}
}

// BuildImage compiles a static program, makes an image FROM scratch of it and pushes that.
func BuildImage(t testing.TB, b Build) Image {
	t.Helper()
	b.Repository, b.Tag, b.Main = or(b.Repository, "app"), or(b.Tag, "1.0"), or(b.Main, SampleApp)
	if len(b.Platforms) == 0 {
		b.Platforms = []string{"linux/" + runtime.GOARCH}
	}
	tag, err := name.NewTag(b.Registry + "/" + b.Repository + ":" + b.Tag)
	must(t, err)

	out := Image{Registry: b.Registry, Repository: b.Repository, Tag: b.Tag, Platform: trust.ParsePlatform(b.Platforms[0])}
	var images []mutate.IndexAddendum
	for _, p := range b.Platforms {
		platform, err := v1.ParsePlatform(p)
		must(t, err)
		img := scratchImage(t, b, *platform)
		images = append(images, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}})
	}
	first := images[0].Add.(v1.Image)
	out.Manifest, out.Config = digest(t, first.Digest), digest(t, first.ConfigName)
	out.Raw.Manifest, err = first.RawManifest()
	must(t, err)
	if len(images) == 1 && !b.Index {
		must(t, remote.Write(tag, first))
		return out
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), images...)
	out.Index = digest(t, index.Digest)
	out.Raw.Index, err = index.RawManifest()
	must(t, err)
	must(t, remote.WriteIndex(tag, index))
	return out
}

func scratchImage(t testing.TB, b Build, p v1.Platform) v1.Image {
	t.Helper()
	env := []string{"APP_VERSION=" + b.Tag}
	for k, v := range b.Env {
		env = append(env, k+"="+v)
	}
	slices.Sort(env)
	// The program is a layer all images share; what differs lies in a second one, as with real releases.
	release := []byte(strings.Join(env, "\n"))
	noise := make([]byte, b.Pad)
	_, _ = rand.NewChaCha8(sha256.Sum256(release)).Read(noise) // never fails
	layers := []v1.Layer{
		layerOf(t, "app", 0o755, compile(t, b.Main)),
		layerOf(t, "release", 0o644, append(release, noise...)),
	}
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layers...)
	must(t, err)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	cfg, err := img.ConfigFile()
	must(t, err)
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Variant = p.OS, p.Architecture, p.Variant
	cfg.Config = v1.Config{Entrypoint: []string{"/app"}, Env: env, Healthcheck: b.Health}
	img, err = mutate.ConfigFile(img, cfg)
	must(t, err)
	return img
}

// layerOf is a layer with one file, and an empty /data and /tmp.
func layerOf(t testing.TB, file string, mode int64, content []byte) v1.Layer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, dir := range []string{"data/", "tmp/"} {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o777}))
	}
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file, Mode: mode, Size: int64(len(content))}))
	_, err := w.Write(content)
	must(t, err)
	must(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	})
	must(t, err)
	return layer
}

var (
	compiledMu sync.Mutex
	compiled   = map[string][]byte{} // by package, for the life of the test binary
)

// compile builds for this machine. Images for other platforms get the same program: it could not run here anyway.
func compile(t testing.TB, main string) []byte {
	t.Helper()
	compiledMu.Lock()
	defer compiledMu.Unlock()
	if b, ok := compiled[main]; ok {
		return b
	}
	out := filepath.Join(t.TempDir(), "app")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, main)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build %s: %v\n%s", main, err, text)
	}
	b, err := os.ReadFile(out)
	must(t, err)
	compiled[main] = b
	return b
}

func digest(t testing.TB, of func() (v1.Hash, error)) trust.Digest {
	t.Helper()
	h, err := of()
	must(t, err)
	d, err := trust.ParseDigest(h.String())
	must(t, err)
	return d
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("cannot prepare the test: %w", err))
	}
}

// Program is the sample app for this machine, for images that are built elsewhere.
func Program(t testing.TB) []byte {
	t.Helper()
	return compile(t, SampleApp)
}
