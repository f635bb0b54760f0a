package ledger

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// SegmentTxs is how many transactions a full segment holds: segment n has transactions n·256+1 to n·256+256.
const SegmentTxs = 256

// SegmentPath is the path of segment n below "tx/", as C2SP tlog-tiles writes tile paths: the number in groups of
// three digits, all but the last with an "x" before them. Width is the number of transactions; a full segment has
// [SegmentTxs] and any smaller width names a partial one.
//
//	SegmentPath(1067, 256) = "x001/067"
//	SegmentPath(5, 12)     = "005.p/12"
func SegmentPath(n uint64, width int) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	if width < SegmentTxs {
		s += fmt.Sprintf(".p/%d", width)
	}
	return s
}

// ParseSegmentPath reads exactly what [SegmentPath] writes.
func ParseSegmentPath(path string) (n uint64, width int, err error) {
	rest, width := path, SegmentTxs
	if base, w, ok := strings.Cut(path, ".p/"); ok {
		v, err := parseDecimal(w)
		if err != nil || v < 1 || v >= SegmentTxs {
			return 0, 0, fmt.Errorf("cannot read segment path %.80q: width must be 1 to %d", path, SegmentTxs-1)
		}
		rest, width = base, int(v)
	}
	if len(rest) > 30 {
		return 0, 0, fmt.Errorf("cannot read segment path %.80q: too long", path)
	}
	for _, group := range strings.Split(rest, "/") {
		group = strings.TrimPrefix(group, "x")
		if len(group) != 3 || strings.Trim(group, "0123456789") != "" {
			return 0, 0, fmt.Errorf("cannot read segment path %.80q: want groups of three digits", path)
		}
		v := uint64(group[0]-'0')*100 + uint64(group[1]-'0')*10 + uint64(group[2]-'0')
		if n > (1<<63)/1000 {
			return 0, 0, fmt.Errorf("cannot read segment path %.80q: number too large", path)
		}
		n = n*1000 + v
	}
	if SegmentPath(n, width) != path {
		return 0, 0, fmt.Errorf("cannot read segment path %.80q: want %q", path, SegmentPath(n, width))
	}
	return n, width, nil
}

// SegmentOf is the segment that holds transaction tx, which counts from 1.
func SegmentOf(tx uint64) uint64 { return (tx - 1) / SegmentTxs }

// SegmentWidth is how many transactions of segment n there are when the ledger has count.
func SegmentWidth(n, count uint64) int {
	if count <= n*SegmentTxs {
		return 0
	}
	return int(min(count-n*SegmentTxs, SegmentTxs))
}

// frameHeader is the uint32, big endian, before each transaction of a segment.
const frameHeader = 4

// AppendFrame adds one exported transaction to the bytes of a segment.
func AppendFrame(segment, exported []byte) []byte {
	segment = binary.BigEndian.AppendUint32(segment, uint32(len(exported)))
	return append(segment, exported...)
}

// errFrame says that bytes are no frame of a segment; more bytes would not change that.
var errFrame = errors.New("no transaction")

// SegmentReader takes a segment apart. It holds one transaction in memory.
type SegmentReader struct {
	r   *bufio.Reader
	buf []byte
	off int64
}

// NewSegmentReader reads from the start of a segment.
func NewSegmentReader(r io.Reader) *SegmentReader {
	return &SegmentReader{r: bufio.NewReaderSize(r, 32<<10)}
}

// Next is the next exported transaction, valid until the following call. At the end of the segment the error is
// io.EOF, within a transaction io.ErrUnexpectedEOF or the reader's own.
func (s *SegmentReader) Next() ([]byte, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < minTransactionBytes || n > MaxTransactionBytes {
		return nil, fmt.Errorf("%w at byte %d: %d bytes, want %d to %d", errFrame, s.off, n, minTransactionBytes, MaxTransactionBytes)
	}
	if cap(s.buf) < int(n) {
		s.buf = make([]byte, n)
	}
	s.buf = s.buf[:n]
	if _, err := io.ReadFull(s.r, s.buf); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	s.off += frameHeader + int64(n)
	return s.buf, nil
}

// Offset is the number of bytes of the whole transactions read so far.
func (s *SegmentReader) Offset() int64 { return s.off }
