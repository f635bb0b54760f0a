package archive

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"
)

// Limits on a part.
const (
	maxMembers = 10_000_000
	maxBytes   = 16 << 40
)

// inner reads the archive in a part.
type inner struct {
	part  *Part
	tar   *tar.Reader
	bytes *bounded
	dec   *zstd.Decoder
	raw   io.Reader // of the file, with the checksum
	sum   hash.Hash
	about unitFile
	count int64
}

// told is a writer that only tells how much came.
type told func(n int64)

func (t told) Write(p []byte) (int, error) {
	if t != nil {
		t(int64(len(p)))
	}
	return len(p), nil
}

// inner opens a part and reads its unit.json. done is told the bytes read of its file. The caller must close it.
func (b *Backup) inner(ctx context.Context, slug string, key Key, done func(n int64)) (*inner, error) {
	n := -1
	for i := range b.Parts {
		if b.Parts[i].Slug == slug {
			n = i
		}
	}
	if n < 0 {
		return nil, fmt.Errorf("the backup holds no part %.80q", slug)
	}
	r := &inner{part: &b.Parts[n], sum: sha256.New()}
	r.raw = bufio.NewReaderSize(io.TeeReader(b.raw(n), io.MultiWriter(r.sum, told(done))), 256<<10)
	var in io.Reader = r.raw
	if b.Protected {
		var err error
		if in, err = key.decrypt(r.raw, b.Seal); err != nil {
			return nil, err
		}
	}
	var err error
	r.dec, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(4*window))
	if err != nil {
		return nil, damaged(err)
	}
	r.bytes = &bounded{ctx: ctx, r: r.dec, left: r.part.Unpacked}
	r.tar = tar.NewReader(r.bytes)
	if err := r.begin(b.Slug); err != nil {
		r.close()
		return nil, damaged(err)
	}
	return r, nil
}

func (r *inner) close() { r.dec.Close() }

// begin reads the first member.
func (r *inner) begin(backup string) error {
	h, name, err := r.next()
	if err == io.EOF || err == nil && name != unitName {
		return refuse(Damaged, "it does not begin with %s", unitName)
	}
	if err != nil {
		return err
	}
	data, err := r.whole(h, maxUnit)
	if err != nil {
		return err
	}
	if err := jsonv2.Unmarshal(data, &r.about); err != nil {
		return refuse(Damaged, "cannot understand its %s: %s", unitName, plain(err.Error()))
	}
	if a := &r.about; a.Format != format || a.Backup != backup || a.Slug != r.part.Slug || a.Kind != r.part.Kind {
		return refuse(Foreign, "it is the part %.80q of backup %.20q in format %d, not %s of %s", a.Slug, a.Backup, a.Format, r.part.Slug, backup)
	}
	return nil
}

// whole reads a member of ours.
func (r *inner) whole(h *tar.Header, limit int64) ([]byte, error) {
	if h.Typeflag != tar.TypeReg || h.Size > limit || holes(h) {
		return nil, refuse(TooLarge, "its %.40q is no plain file of at most %d bytes", h.Name, limit)
	}
	return io.ReadAll(r.tar)
}

// next gives the next member and its clean name. io.EOF ends them: the part is whole then, and what backup.json says.
func (r *inner) next() (*tar.Header, string, error) {
	h, err := r.tar.Next()
	if err == io.EOF {
		return nil, "", r.end()
	}
	if err != nil {
		return nil, "", err
	}
	if r.count++; r.count > r.part.Files {
		return nil, "", refuse(TooMany, "it holds more than the %d files that it says", r.part.Files)
	}
	name := h.Name
	if h.Typeflag == tar.TypeDir {
		name = strings.TrimSuffix(name, "/")
	}
	if name == "" || strings.HasPrefix(name, "/") || strings.Contains(name, "\x00") || leaves(name) {
		return nil, "", refuse(Traversal, "the name %.200q leads out of the folder; this backup was made to do harm", h.Name)
	}
	if name != path.Clean(name) {
		return nil, "", refuse(Traversal, "the name %.200q makes a detour", h.Name)
	}
	if strings.Count(name, "/") > maxDepth+1 {
		return nil, "", refuse(TooDeep, "the name %.100q… is more than %d folders deep", name, maxDepth)
	}
	return h, name, nil
}

func leaves(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// end reads on past the zeros that end an archive to the ends of the decoders and of the file.
func (r *inner) end() error {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.bytes.Read(buf)
		for _, c := range buf[:n] {
			if c != 0 {
				return refuse(Extra, "its archive goes on after its end")
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if n, err := io.Copy(io.Discard, r.raw); err != nil || n > 0 {
		return refuse(Extra, "%s goes on after its end", r.part.File)
	}
	if err := r.part.compare(r.sum.Sum(nil)); err != nil {
		return err
	}
	if r.count != r.part.Files {
		return refuse(CutOff, "it holds %d files and says %d", r.count, r.part.Files)
	}
	return io.EOF
}

// holes tells whether a member is a file with holes.
func holes(h *tar.Header) bool {
	_, ok := h.PAXRecords["GNU.sparse.major"]
	return ok || h.Typeflag == tar.TypeGNUSparse
}

// bounded reads as much as it was said to hold, and until its context ends.
type bounded struct {
	ctx  context.Context
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.left == 0 { // is that all?
		var one [1]byte
		n, err := io.ReadFull(b.r, one[:])
		if n > 0 {
			return 0, refuse(TooLarge, "it unpacks to more than it says")
		}
		return 0, err
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// About is what a part says of its unit besides data.
type About struct {
	Part
	Meta  json.RawMessage // as it was given
	Notes []Note          // what is not in it as it was on the disk; of Extract only
}

// Unit reads what a part says of its unit, and no data.
func (b *Backup) Unit(ctx context.Context, slug string, key Key) (About, error) {
	r, err := b.inner(ctx, slug, key, nil)
	if err != nil {
		return About{}, fmt.Errorf("cannot read %.80q in backup %s: %w", slug, b.Slug, err)
	}
	defer r.close()
	return About{Part: *r.part, Meta: r.about.Meta}, nil
}
