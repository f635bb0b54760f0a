package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust/ledger"
)

// keepPartials is how long a partial segment stays in an exported tree after a wider one took its place: as long as a
// cache may still hold the checkpoint that asks for it.
const keepPartials = 48 * time.Hour

// Export writes the static tree to dir, for a CDN, any web server or a USB stick: segments, root documents and channel
// files first, the checkpoint last. A copy that is interrupted anywhere leaves the tree as good as it was; it can run
// again and again on the same folder.
func (s *Server) Export(ctx context.Context, dir string) error {
	s.exporting.Lock()
	defer s.exporting.Unlock()
	p := s.current.Load()
	if err := s.exportTree(ctx, dir, p); err != nil {
		return fmt.Errorf("cannot export the ledger to %s: %w", dir, err)
	}
	return nil
}

func (s *Server) exportTree(ctx context.Context, dir string, p *published) error {
	ours, err := s.holdsOurLine(dir)
	if err != nil {
		return err
	}
	for n := uint64(0); ledger.SegmentWidth(n, p.point.Count) > 0; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		width := ledger.SegmentWidth(n, p.point.Count)
		name := filepath.Join(dir, "tx", filepath.FromSlash(ledger.SegmentPath(n, width)))
		if _, err := os.Stat(name); err == nil && ours {
			continue // within one line, what is there under this name never changes
		}
		if err := s.exportSegment(n, width, name); err != nil {
			return err
		}
	}
	if !ours {
		if err := dropOtherLines(dir, p.point.Count); err != nil {
			return err
		}
	}
	for v := 1; v <= p.root; v++ {
		if err := copyOnce(s.rootPath(v), filepath.Join(dir, "root", strconv.Itoa(v)+".json")); err != nil {
			return err
		}
	}
	files, err := os.ReadDir(filepath.Join(s.cfg.Dir, "files"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".") {
			continue // an upload on its way
		}
		if err := copyOnce(filepath.Join(s.cfg.Dir, "files", f.Name()), filepath.Join(dir, "file", "sha256", f.Name())); err != nil {
			return err
		}
	}
	if err := writeNew(filepath.Join(dir, "checkpoint"), p.note); err != nil {
		return err
	}
	return s.dropOldPartials(dir, p)
}

// holdsOurLine tells whether the tree in dir ends in a point of our history. After a resume it does not, and segments of
// the line that ended would lie under the names of ours; nor does a tree without a checkpoint, whose first copy was
// never finished. Nothing is believed because of it, so its signature, perhaps by a key of before, does not matter.
func (s *Server) holdsOurLine(dir string) (bool, error) {
	b, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	text, _, _ := strings.Cut(string(b), "\n\n")
	c, err := ledger.ParseCheckpoint(text + "\n")
	if err != nil {
		return false, nil // a tree like this is of no use to anybody and is written anew
	}
	head, err := s.store.Head()
	if err != nil || c.Count > head.Count || c.Origin != s.origin {
		return false, err
	}
	alh, err := s.store.Alh(c.Count)
	return alh == c.Alh.Digest(), err
}

// dropOtherLines removes all segments that a history of count transactions does not have: under their names the line
// that goes on would find what another has left.
func dropOtherLines(dir string, count uint64) error {
	top := filepath.Join(dir, "tx")
	return filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an empty ledger has no segments
		}
		if err != nil || d.IsDir() {
			return err
		}
		path, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		n, width, err := ledger.ParseSegmentPath(filepath.ToSlash(path))
		if err != nil || width == ledger.SegmentWidth(n, count) {
			return nil // not a segment, or just written
		}
		return durable.Remove(name)
	})
}

func (s *Server) exportSegment(n uint64, width int, name string) error {
	r, c, err := s.segs.open(n, width)
	if err != nil {
		return err
	}
	defer c.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return writeNew(name, b)
}

func copyOnce(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeNew(to, b)
}

func writeNew(name string, b []byte) error {
	if err := durable.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(name, b, 0o644)
}

// dropOldPartials removes partial segments that no cached checkpoint can ask for any more.
func (s *Server) dropOldPartials(dir string, p *published) error {
	newest := filepath.Join(dir, "tx", filepath.FromSlash(ledger.SegmentPath(ledger.SegmentOf(max(p.point.Count, 1)),
		ledger.SegmentWidth(ledger.SegmentOf(max(p.point.Count, 1)), p.point.Count))))
	return filepath.WalkDir(filepath.Join(dir, "tx"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an empty ledger has no segments
		}
		if err != nil || d.IsDir() || path == newest || !strings.HasSuffix(filepath.Dir(path), ".p") {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if s.cfg.Now().Sub(fi.ModTime()) < keepPartials {
			return nil
		}
		return durable.Remove(path)
	})
}
