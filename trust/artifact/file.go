package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/castellan/castellan/trust"
)

// readFile hashes a regular file. Folders and devices are refused: a device can be read for ever.
func readFile(ctx context.Context, path string) (Artifact, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0) // a named pipe must not block
	if err != nil {
		return Artifact{}, fmt.Errorf("cannot read artifact: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return Artifact{}, fmt.Errorf("cannot read artifact: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return Artifact{}, fmt.Errorf("cannot read artifact %s: it is %s; name a regular file", path, kindOf(fi))
	}
	h := sha256.New()
	n, err := io.Copy(h, &ctxReader{ctx, f})
	if err != nil {
		return Artifact{}, fmt.Errorf("cannot read artifact %s: %w", path, err)
	}
	name := filepath.Base(path)
	a := Artifact{
		Kind: trust.KindFile, Name: name, Size: n,
		Subjects: []trust.RecordSubject{{Name: name, Digest: trust.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))}},
	}
	if m := versionInName.FindStringSubmatch(name); m != nil {
		a.Version = m[1]
	}
	return a, nil
}

func kindOf(fi fs.FileInfo) string {
	if fi.IsDir() {
		return "a folder"
	}
	return "not a regular file (" + fi.Mode().Type().String() + ")"
}

// ctxReader ends a long read when ctx ends.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
