package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// pack is a downloaded pack. Every object in it was measured before it was unpacked, and is found by the digest of its
// content only.
type pack struct{ file *packfile.Packfile }

// openPack measures and indexes the file.
func openPack(ctx context.Context, dir, name string, l Limits) (p *pack, err error) {
	defer func() { // the library parses a stranger's bytes
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("%w: its pack cannot be read (%s)", ErrHostile, clean(fmt.Sprint(r)))
		}
	}()
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	if err := measure(ctx, f, l); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	w := new(idxfile.Writer)
	parser, err := packfile.NewParser(packfile.NewScanner(f), w)
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(); err != nil {
		return nil, fmt.Errorf("its pack is damaged: %w", err)
	}
	index, err := w.Index()
	if err != nil {
		return nil, fmt.Errorf("its pack is damaged: %w", err)
	}
	fs := osfs.New(dir)
	file, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	return &pack{packfile.NewPackfileWithCache(index, fs, file, cache.NewObjectLRU(8*cache.MiByte), 0)}, nil
}

// measure reads the pack once and refuses what would cost too much to unpack: a few kilobytes can hold gigabytes.
func measure(ctx context.Context, f io.ReadSeeker, l Limits) error {
	sc := packfile.NewScanner(f)
	_, count, err := sc.Header()
	if err != nil {
		return fmt.Errorf("its answer is not a pack: %w", err)
	}
	if int64(count) > int64(l.Objects) {
		return fmt.Errorf("%w: %d objects, the limit is %d", ErrHostile, count, l.Objects)
	}
	depth := map[int64]int{} // of deltas, by offset
	var total int64
	for range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := sc.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("its pack is damaged: %w", err)
		}
		if h.Length > l.Object {
			return tooLarge(h.Length, l)
		}
		size, out := h.Length, &prefix{}
		if _, _, err := sc.NextObject(out); err != nil {
			return fmt.Errorf("its pack is damaged: %w", err)
		}
		if h.Type.IsDelta() {
			size = out.target()
			depth[h.Offset] = 1
			if h.Type == plumbing.OFSDeltaObject {
				depth[h.Offset] += depth[h.OffsetReference]
			}
			if depth[h.Offset] > maxDeltaDepth {
				return fmt.Errorf("%w: differences of differences, more than %d deep", ErrHostile, maxDeltaDepth)
			}
		}
		if size < 0 || size > l.Object {
			return tooLarge(size, l)
		}
		if total += size; total > l.Total {
			return fmt.Errorf("%w: more than %d bytes when unpacked", ErrHostile, l.Total)
		}
	}
	return nil
}

func tooLarge(size int64, l Limits) error {
	return fmt.Errorf("%w: it holds a file of %d bytes, the limit is %d", ErrHostile, size, l.Object)
}

// prefix keeps the head of a delta, which says how large its result is.
type prefix struct {
	head [20]byte
	n    int
}

func (p *prefix) Write(b []byte) (int, error) {
	p.n += copy(p.head[p.n:], b)
	return len(b), nil
}

// target is the second of the two numbers a delta begins with; -1 when it has none.
func (p *prefix) target() int64 {
	head := p.head[:p.n]
	var v int64
	for range 2 {
		v = 0
		for shift := 0; ; shift += 7 {
			if len(head) == 0 || shift > 56 {
				return -1
			}
			c := head[0]
			head = head[1:]
			v |= int64(c&0x7f) << shift
			if c&0x80 == 0 {
				break
			}
		}
	}
	return v
}

func (p *pack) close() { _ = p.file.Close() } // only read

func (p *pack) commit(h plumbing.Hash) (*object.Commit, error) {
	o, err := p.file.Get(h)
	if err != nil {
		return nil, fmt.Errorf("its pack lacks commit %s: %w", h, err)
	}
	if o.Type() == plumbing.TagObject { // a server that names no commit for its tags
		return nil, errors.New("it is a tag without a commit")
	}
	return object.DecodeCommit(nil, o)
}

func (p *pack) tree(h plumbing.Hash) (*object.Tree, error) {
	o, err := p.file.Get(h)
	if err != nil {
		return nil, fmt.Errorf("its pack lacks folder %s: %w", h, err)
	}
	return object.DecodeTree(nil, o)
}

var errNoFile = errors.New("it is not a file")

// blob is a file's content; nil when it is larger than limit.
func (p *pack) blob(h plumbing.Hash, limit int64) ([]byte, int64, error) {
	o, err := p.file.Get(h)
	if err != nil {
		return nil, 0, fmt.Errorf("its pack lacks file %s: %w", h, err)
	}
	if o.Type() != plumbing.BlobObject {
		return nil, 0, errNoFile
	}
	if o.Size() > limit {
		return nil, o.Size(), nil
	}
	r, err := o.Reader()
	if err != nil {
		return nil, 0, err
	}
	defer r.Close() // only read
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	return data, int64(len(data)), err
}
