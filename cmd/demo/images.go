package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// images builds the sample images FROM scratch and keeps them in an in-process OCI registry on loopback.
type images struct {
	root string // the repository's folder, where the sample's source is
	dir  string // where binaries go
	host string // "127.0.0.1:port" of the registry
	srv  *http.Server
}

// startImages serves a registry on a free loopback port; blobs are kept below dir.
func startImages(root, dir string) (*images, error) {
	blobs := filepath.Join(dir, "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot start the registry: %w", err)
	}
	h := registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)), registry.Logger(log.New(io.Discard, "", 0)))
	im := &images{root: root, dir: dir, host: l.Addr().String(),
		srv: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}}
	go im.srv.Serve(l) // ends with close; its error says only that
	return im, nil
}

func (im *images) close() error { return im.srv.Close() }

// release is one sample image to build.
type release struct {
	repo, version string
	ill           bool
}

// push compiles the sample, wraps it into an image index with one platform, pushes it, and returns its reference.
func (im *images) push(ctx context.Context, r release) (string, error) {
	ref := fmt.Sprintf("%s/%s:%s", im.host, r.repo, r.version)
	binary := filepath.Join(im.dir, filepath.Base(r.repo)+"-"+r.version)
	flags := fmt.Sprintf("-s -w -X main.name=%s -X main.version=%s", filepath.Base(r.repo), r.version)
	if r.ill {
		flags += " -X main.ill=yes"
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", flags, "-o", binary, "./cmd/demo/sample")
	build.Dir = im.root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build %s: %w\n%s", ref, err, out)
	}
	img, err := scratchImage(binary)
	if err != nil {
		return "", fmt.Errorf("cannot make %s: %w", ref, err)
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img,
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}})
	tag, err := name.NewTag(ref, name.Insecure)
	if err != nil {
		return "", err
	}
	return ref, remote.WriteIndex(tag, index, remote.WithContext(ctx))
}

// scratchImage is one layer with one file, "/sample", and nothing else.
func scratchImage(binary string) (v1.Image, error) {
	data, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	tw := tar.NewWriter(&layer)
	if err := tw.WriteHeader(&tar.Header{Name: "sample", Mode: 0o755, Size: int64(len(data)), Format: tar.FormatUSTAR}); err != nil {
		return nil, err
	}
	if _, err := tw.Write(data); err != nil {
		return nil, err
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", runtime.GOARCH
	cfg.Config.Entrypoint = []string{"/sample"}
	cfg.Config.Labels = map[string]string{imageLabel: "yes"}
	return mutate.ConfigFile(img, cfg)
}
