package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust/ledger"
)

// segments keeps the exported transactions as the files that mirrors serve. They are derived from the store. Since
// history only grows, a partial segment is a prefix of the full one: each segment is one file, written at its end,
// and every width that a live checkpoint may still ask for can be read from it.
//
//	tx/x001/067   a full segment, renamed into place after a sync
//	tail          the newest segment while it is not full; made again at each start
type segments struct {
	dir   string
	store Store

	mu    sync.RWMutex
	count uint64 // transactions in the files
	tail  *os.File
	size  int64 // bytes of tail
}

func openSegments(dir string, store Store) (*segments, error) {
	if err := durable.MkdirAll(filepath.Join(dir, "tx"), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the segment folder: %w", err)
	}
	s := &segments{dir: dir, store: store}
	head, err := store.Head()
	if err != nil {
		return nil, err
	}
	for n := uint64(0); (n+1)*ledger.SegmentTxs <= head.Count; n++ {
		if _, err := os.Stat(s.path(n)); err != nil {
			break // from here on they are written again
		}
		s.count += ledger.SegmentTxs
	}
	if err := s.newTail(); err != nil {
		return nil, err
	}
	return s, s.grow(head.Count)
}

func (s *segments) path(n uint64) string {
	return filepath.Join(s.dir, "tx", filepath.FromSlash(ledger.SegmentPath(n, ledger.SegmentTxs)))
}

func (s *segments) tailPath() string { return filepath.Join(s.dir, "tail") }

func (s *segments) newTail() error {
	if s.tail != nil {
		_ = s.tail.Close() // it was synced and renamed
	}
	f, err := os.OpenFile(s.tailPath(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("cannot write segment: %w", err)
	}
	s.tail, s.size = f, 0
	return nil
}

// grow writes the transactions up to count. A failure leaves what was whole before.
func (s *segments) grow(count uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.count < count {
		exported, err := s.store.Export(s.count + 1)
		if err != nil {
			return err
		}
		frame := ledger.AppendFrame(nil, exported)
		if _, err := s.tail.WriteAt(frame, s.size); err != nil { // a torn write is overwritten by the next try
			return fmt.Errorf("cannot write segment: %w", err)
		}
		s.size += int64(len(frame))
		s.count++
		if s.count%ledger.SegmentTxs != 0 {
			continue
		}
		if err := s.finish(ledger.SegmentOf(s.count)); err != nil {
			// It is full and not in place: take its last transaction again.
			s.size -= int64(len(frame))
			s.count--
			return err
		}
	}
	return nil
}

// finish moves the full tail to its place as segment n.
func (s *segments) finish(n uint64) error {
	if err := s.tail.Truncate(s.size); err != nil {
		return fmt.Errorf("cannot finish segment %d: %w", n, err)
	}
	if err := s.tail.Sync(); err != nil {
		return fmt.Errorf("cannot finish segment %d: %w", n, err)
	}
	if err := durable.MkdirAll(filepath.Dir(s.path(n)), 0o755); err != nil {
		return fmt.Errorf("cannot finish segment %d: %w", n, err)
	}
	if err := durable.Rename(s.tailPath(), s.path(n)); err != nil {
		return fmt.Errorf("cannot finish segment %d: %w", n, err)
	}
	return s.newTail()
}

// errNoSegment says that the ledger has not grown that far.
var errNoSegment = errors.New("the ledger does not have it yet")

// open returns the first width transactions of segment n; the caller closes the file.
func (s *segments) open(n uint64, width int) (*io.SectionReader, io.Closer, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if ledger.SegmentWidth(n, s.count) < width {
		return nil, nil, errNoSegment
	}
	path := s.path(n)
	if n == s.count/ledger.SegmentTxs {
		path = s.tailPath()
	}
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; restart the server to write it again", err)
		}
		return nil, nil, fmt.Errorf("cannot read segment: %w", err)
	}
	end, err := prefixEnd(f, width)
	if err != nil {
		_ = f.Close() // only read
		return nil, nil, fmt.Errorf("cannot read segment %d: %w; remove %s and restart the server to write it again", n, err, path)
	}
	return io.NewSectionReader(f, 0, end), f, nil
}

// prefixEnd is where the first width transactions end.
func prefixEnd(f io.ReaderAt, width int) (int64, error) {
	var off int64
	var head [4]byte
	for range width {
		if _, err := f.ReadAt(head[:], off); err != nil {
			return 0, err
		}
		n := binary.BigEndian.Uint32(head[:])
		if n == 0 || n > ledger.MaxTransactionBytes {
			return 0, fmt.Errorf("a transaction of %d bytes at byte %d", n, off)
		}
		off += int64(len(head)) + int64(n)
	}
	return off, nil
}

func (s *segments) close() error { return s.tail.Close() }
