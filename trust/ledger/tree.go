package ledger

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/castellan/castellan/config/durable"
)

// unverified ends the name of every file whose bytes were not yet compared with a signed checkpoint, or whose
// checkpoint was not yet compared with our history.
const unverified = ".unverified"

// tree is the folder of segment files, laid out as mirrors serve it.
type tree struct{ dir string }

func (t tree) segment(n uint64, width int) string {
	return filepath.Join(t.dir, "tx", filepath.FromSlash(SegmentPath(n, width)))
}

// exportedAt reads transaction tx from the files of a history with count transactions. The bytes are only as good
// as the disk.
func (t tree) exportedAt(x *index, count, tx uint64) ([]byte, error) {
	if tx < 1 || tx > uint64(len(x.offsets)) {
		return nil, fmt.Errorf("cannot find transaction %d: the index ends at %d", tx, len(x.offsets))
	}
	n := SegmentOf(tx)
	f, err := os.Open(t.segment(n, SegmentWidth(n, count)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	off := int64(x.offsets[tx-1])
	var frame [frameHeader]byte
	if _, err := f.ReadAt(frame[:], off); err != nil {
		return nil, fmt.Errorf("cannot read transaction %d in %s: %w", tx, f.Name(), err)
	}
	size := binary.BigEndian.Uint32(frame[:])
	if size > MaxTransactionBytes {
		return nil, fmt.Errorf("cannot read transaction %d in %s: %d bytes", tx, f.Name(), size)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, off+frameHeader); err != nil {
		return nil, fmt.Errorf("cannot read transaction %d in %s: %w", tx, f.Name(), err)
	}
	return b, nil
}

// transactionAt is exportedAt with the check of everything that needs no history, so that decay is found.
func (t tree) transactionAt(x *index, count, tx uint64) (Transaction, error) {
	b, err := t.exportedAt(x, count, tx)
	if err != nil {
		return Transaction{}, err
	}
	var c checker
	got, err := c.check(b)
	if err == nil && got.ID != tx {
		err = fmt.Errorf("it says it is %d", got.ID)
	}
	if err != nil {
		return Transaction{}, fmt.Errorf("cannot read transaction %d: the file has decayed: %w", tx, err)
	}
	return got, nil
}

func (t tree) entryAt(x *index, count uint64, p place) (Entry, error) {
	pos := p.position()
	tx, err := t.transactionAt(x, count, pos.Tx)
	if err != nil {
		return Entry{}, err
	}
	if int(pos.Entry) >= len(tx.Entries) {
		return Entry{}, fmt.Errorf("cannot find entry %d of transaction %d: it has %d", pos.Entry, pos.Tx, len(tx.Entries))
	}
	return tx.Entries[pos.Entry], nil
}

func (t tree) keyAt(x *index, count uint64, p place) (string, error) {
	e, err := t.entryAt(x, count, p)
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(string(e.Key), string(rune(rawPrefix))), nil
}

// alhAt is the hash of the history of x after tx transactions.
func (t tree) alhAt(x *index, tx uint64) (Hash, error) {
	switch tx {
	case 0:
		return Genesis.Alh, nil
	case x.Count:
		return x.Alh, nil
	}
	got, err := t.transactionAt(x, x.Count, tx)
	return got.Alh, err
}

// size is the number of bytes of all segment files and downloads.
func (t tree) size() (total int64, err error) {
	err = t.walk(func(_ string, _ string, info fs.FileInfo) error {
		total += info.Size()
		return nil
	})
	return total, err
}

// sweep removes every file a history with count transactions does not need: replaced partial segments, downloads,
// and what lies beyond. What a longer history of target transactions can use is kept too. Nobody may read an older
// history any more.
func (t tree) sweep(count, target uint64) error {
	return t.walk(func(name, path string, _ fs.FileInfo) error {
		n, width, err := ParseSegmentPath(strings.TrimSuffix(path, unverified))
		if err == nil && (width == SegmentWidth(n, target) || path == SegmentPath(n, SegmentWidth(n, count))) {
			return nil
		}
		if err := os.Remove(name); err != nil {
			return err
		}
		_ = os.Remove(filepath.Dir(name)) // the .p folder, when it is empty now
		return nil
	})
}

// walk visits every file below tx; path is its segment path.
func (t tree) walk(visit func(name, path string, info fs.FileInfo) error) error {
	top := filepath.Join(t.dir, "tx")
	return filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // swept with its last file
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		path, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		return visit(name, filepath.ToSlash(path), info)
	})
}

// keep gives a verified download its trusted name.
func (t tree) keep(n uint64, width int) error {
	name := t.segment(n, width)
	if _, err := os.Stat(name + unverified); err != nil {
		if os.IsNotExist(err) {
			return nil // it was there already, or a run before this one kept it
		}
		return onDisk(err)
	}
	return onDisk(durable.Rename(name+unverified, name))
}

// cut makes the partial segment that a history of count transactions needs from the longer one of x.
func (t tree) cut(x *index, count uint64) error {
	if count%SegmentTxs == 0 {
		return nil
	}
	n := SegmentOf(count)
	width := SegmentWidth(n, count)
	if _, err := os.Stat(t.segment(n, width)); err == nil {
		return nil
	}
	f, err := os.Open(t.segment(n, SegmentWidth(n, x.Count)))
	if err != nil {
		return onDisk(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(x.offsets[count])))
	if err != nil {
		return onDisk(err)
	}
	if err := durable.MkdirAll(filepath.Dir(t.segment(n, width)), 0o750); err != nil {
		return onDisk(err)
	}
	return onDisk(durable.WriteFile(t.segment(n, width), b, 0o640))
}

// scan checks that the transactions of a committed segment are whole and follow each other.
func (t tree) scan(n uint64, width int) (segment, error) {
	f, err := os.Open(t.segment(n, width))
	if err != nil {
		return segment{}, err
	}
	defer f.Close()
	s := &segmentScan{segment: segment{n: n}, width: width}
	if err := s.take(f, nil); err != nil {
		return segment{}, fmt.Errorf("cannot read %s: %w", f.Name(), err)
	}
	return s.segment, nil
}
