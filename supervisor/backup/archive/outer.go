package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"time"
)

// block is tar's unit of size.
const block = 512

func padded(n int64) int64 { return (n + block - 1) / block * block }

// header is the one block before a file in the outer archive. Its length does not depend on size, so that it can be
// written again once that is known.
func header(name string, size int64, at time.Time) ([]byte, error) {
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: at.Truncate(time.Second), Format: tar.FormatGNU,
	})
	if err == nil && b.Len() != block {
		err = fmt.Errorf("the header of %s has %d bytes, want %d", name, b.Len(), block)
	}
	return b.Bytes(), err
}

// slots says where the parts lie in a file whose backup.json has headSize bytes, and where the file ends.
func slots(headSize int64, parts []Part) (at []int64, end int64) {
	end = block + padded(headSize)
	for _, p := range parts {
		at = append(at, end)
		end += block + padded(p.Size)
	}
	return at, end + 2*block
}
