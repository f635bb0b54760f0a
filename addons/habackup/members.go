package habackup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Limits on an inner archive, as unpacked.
const (
	maxMembers = 1_000_000
	maxBytes   = 128 << 30
	maxName    = 4096
	maxDepth   = 100
)

// members reads an inner archive.
type members struct {
	tar   *tar.Reader
	bytes *bounded
	count int
}

// members opens a part's archive; limit bounds its size as unpacked.
func (b *Backup) members(ctx context.Context, name string, limit int64) (*members, error) {
	if b.Protected {
		return nil, ErrProtected
	}
	p, ok := b.archive(name)
	if !ok {
		return nil, errors.New("the backup holds no archive of it")
	}
	in := bufio.NewReaderSize(b.open(p), 64<<10)
	head, err := in.Peek(16)
	if err != nil {
		return nil, errors.New("its archive is empty or cut off")
	}
	var r io.Reader = in
	switch {
	case bytes.HasPrefix(head, []byte("SecureTar")):
		return nil, ErrProtected
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		if r, err = gzip.NewReader(in); err != nil {
			return nil, fmt.Errorf("its archive is damaged: %w", err)
		}
	}
	limited := &bounded{ctx: ctx, r: r, left: limit, limit: limit}
	return &members{tar: tar.NewReader(limited), bytes: limited}, nil
}

// next gives the next member and its clean name, "." for the top. io.EOF ends them: the archive is whole then.
func (m *members) next() (*tar.Header, string, error) {
	h, err := m.tar.Next()
	if err == io.EOF {
		return nil, "", m.end()
	}
	if err != nil {
		return nil, "", damaged(err)
	}
	if m.count++; m.count > maxMembers {
		return nil, "", fmt.Errorf("its archive holds more than %d files", maxMembers)
	}
	name := h.Name
	switch {
	case len(name) > maxName || strings.Count(name, "/") > maxDepth:
		return nil, "", fmt.Errorf("the name %.100q… is longer than %d bytes or %d folders deep", name, maxName, maxDepth)
	case name == "" || strings.HasPrefix(name, "/") || strings.Contains(name, "\x00"):
		return nil, "", fmt.Errorf("the name %.200q is not one below a folder; this archive was made to do harm", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return nil, "", fmt.Errorf("the name %.200q leaves its folder; this archive was made to do harm", name)
		}
	}
	if sparse(h) {
		return nil, "", fmt.Errorf("%.200q is a sparse file, which Home Assistant does not make", name)
	}
	return h, path.Clean(name), nil
}

// end reads on to the compressor's checksum, past the zeros that end a tar file.
func (m *members) end() error {
	n, err := io.Copy(io.Discard, io.LimitReader(m.bytes, 1<<20))
	if err != nil {
		return damaged(err)
	}
	if n == 1<<20 {
		return errors.New("its archive goes on after its end")
	}
	return io.EOF
}

func damaged(err error) error {
	if errors.As(err, new(*limitError)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("its archive is cut off, damaged or encrypted: %w", shown(err))
}

// bounded reads up to a limit, and until its context ends.
type bounded struct {
	ctx         context.Context
	r           io.Reader
	left, limit int64
	failed      error // of r, other than its end
}

type limitError struct{ limit int64 }

func (e *limitError) Error() string {
	return fmt.Sprintf("it unpacks to more than %d MiB, which is the limit or all the disk has room for", e.limit>>20)
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.left <= 0 {
		return 0, &limitError{b.limit}
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err != nil && err != io.EOF {
		b.failed = err
	}
	return n, err
}
