package ledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/castellan/castellan/config/durable"
)

// segment is a stretch of history: hashes[i] is the hash after i of its transactions, hashes[0] what comes before.
type segment struct {
	n      uint64
	hashes []Hash
}

func (s segment) first() uint64 { return s.n * SegmentTxs }
func (s segment) end() Hash     { return s.hashes[len(s.hashes)-1] }

// segmentScan takes a segment apart, transaction by transaction, and checks that they follow each other.
type segmentScan struct {
	segment
	width int
	size  int64 // bytes of the whole transactions so far
	c     checker
}

// What a mirror did wrong, beside what the network does.
var (
	errBytes   = errors.New("bytes do not match")
	errMissing = errors.New("the mirror does not have it")
)

// tries is how often one mirror may break off and be asked to go on, within one segment.
const tries = 4

// take reads on from r, which continues where the scan stands, and copies whole transactions to out. The error is nil
// when the segment is complete, an errBytes when it can't become complete, else what r said. Without out, r is a file
// that has to end there; what a mirror sends beyond is neither read nor waited for.
func (s *segmentScan) take(r io.Reader, out io.Writer) error {
	frames := NewSegmentReader(r)
	for len(s.hashes) <= s.width {
		exported, err := frames.Next()
		if errors.Is(err, errFrame) {
			return fmt.Errorf("%w: %w", errBytes, err)
		} else if err == io.EOF {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
		if err := s.add(exported); err != nil {
			return fmt.Errorf("%w: %w", errBytes, err)
		}
		if out != nil {
			if _, err := out.Write(AppendFrame(nil, exported)); err != nil {
				return onDisk(err)
			}
		}
		s.size += frameHeader + int64(len(exported))
	}
	if out != nil {
		return nil
	}
	if _, err := frames.Next(); err != io.EOF {
		return fmt.Errorf("%w: more than %d transactions", errBytes, s.width)
	}
	return nil
}

func (s *segmentScan) add(exported []byte) error {
	tx, err := s.c.check(exported)
	if err != nil {
		return fmt.Errorf("transaction %d: %w", s.first()+uint64(len(s.hashes)), err)
	}
	if len(s.hashes) == 0 {
		s.hashes = append(s.hashes, tx.PrevAlh)
	}
	if want := s.first() + uint64(len(s.hashes)); tx.ID != want {
		return fmt.Errorf("transaction %d stands where %d belongs", tx.ID, want)
	}
	if tx.PrevAlh != s.end() {
		return fmt.Errorf("transaction %d does not follow the one before it", tx.ID)
	}
	s.hashes = append(s.hashes, tx.Alh)
	return nil
}

// complete tells whether all transactions are there and end in want.
func (s *segmentScan) complete(want Hash) bool { return len(s.hashes) == s.width+1 && s.end() == want }

func (s *segmentScan) reset() { s.hashes, s.size = nil, 0 }

// scanFile checks a file against the hash it must end in.
func scanFile(name string, n uint64, width int, want Hash) (segment, error) {
	f, err := os.Open(name)
	if err != nil {
		return segment{}, err
	}
	defer f.Close()
	s := &segmentScan{segment: segment{n: n}, width: width}
	if err := s.take(f, nil); err != nil {
		return segment{}, err
	}
	if !s.complete(want) {
		return segment{}, fmt.Errorf("%w: it ends in %s, want %s", errBytes, s.end().Digest().Short(), want.Digest().Short())
	}
	return s.segment, nil
}

// obtain gives segment n, which must end in want, from the disk or else from the mirrors, in an unverified file. The
// disk is asked first, as if it were a mirror: what an interrupted sync left behind is used, what decayed is replaced.
func (j *job) obtain(ctx context.Context, n uint64, width int, want Hash) (segment, error) {
	name := j.r.tree.segment(n, width)
	if s, err := scanFile(name, n, width, want); err == nil {
		// What a sync left here that was cut off may be of another history, and must not take the good file's place.
		if err := os.Remove(name + unverified); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return segment{}, onDisk(err)
		}
		return s, nil
	}
	if s, err := scanFile(name+unverified, n, width, want); err == nil {
		return s, nil
	}
	if err := durable.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return segment{}, onDisk(err)
	}
	f, err := os.OpenFile(name+unverified, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return segment{}, onDisk(err)
	}
	defer f.Close()
	d := &download{job: j, f: f, want: want, path: "/tx/" + SegmentPath(n, width)}
	d.n, d.width = n, width
	if err := d.resume(n, width); err != nil {
		return segment{}, err
	}
	if err := d.run(ctx); err != nil {
		return segment{}, err
	}
	return d.segment, nil
}

// download is one segment on its way from mirrors to an unverified file.
type download struct {
	segmentScan
	*job
	f    *os.File
	want Hash
	path string
}

// resume continues what the file holds: whole transactions that follow each other. A file that has none of them
// starts with the shorter segment we have committed, so that only what is new is fetched.
func (d *download) resume(n uint64, width int) error {
	if err := d.take(d.f, nil); err == nil || errors.Is(err, errBytes) || len(d.hashes) == 0 {
		d.reset()
		if have := SegmentWidth(n, d.r.head.Count); have > 0 && have < width {
			if err := d.seed(d.r.tree.segment(n, have)); err != nil {
				return err
			}
		}
	}
	return d.truncate()
}

// seed copies a committed segment. One that can't be read is as none.
func (d *download) seed(name string) error {
	old, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer old.Close()
	if err := d.truncate(); err != nil {
		return err
	}
	if err := d.takeToFile(old); isDisk(err) || errors.Is(err, errBytes) {
		d.reset()
	}
	return nil
}

// truncate makes the file end with the last whole transaction, and continues there.
func (d *download) truncate() error {
	if err := d.f.Truncate(d.size); err != nil {
		return onDisk(err)
	}
	_, err := d.f.Seek(d.size, io.SeekStart)
	return onDisk(err)
}

func (d *download) takeToFile(r io.Reader) error {
	out := bufio.NewWriterSize(d.f, 64<<10)
	err := d.take(r, out)
	if flushErr := out.Flush(); flushErr != nil {
		return onDisk(flushErr)
	}
	return err
}

// run asks one mirror after the other until the segment is whole. Bytes of one mirror can't spoil another's: when a
// segment that several had a part in does not match, the one at hand is asked for all of it.
func (d *download) run(ctx context.Context) error {
	var errs []error
	for _, m := range d.inOrder() {
		for try := 1; ; try++ {
			resumed, before := d.size > 0, d.size
			err := d.from(ctx, m)
			if err == nil && d.complete(d.want) {
				return onDisk(d.f.Sync())
			}
			if err == nil {
				err = fmt.Errorf("%w: %s%s ends in another hash than the checkpoint leads to", errBytes, m.url, d.path)
			}
			if isDisk(err) || ReasonOf(err) != "" || ctx.Err() != nil {
				return err
			}
			if errors.Is(err, errBytes) {
				d.reset()
			}
			if err := d.truncate(); err != nil {
				return err
			}
			if errors.Is(err, errBytes) && resumed {
				continue // the part we had may be what was wrong
			}
			if d.size > before && try < tries {
				continue // it broke off, but brought something
			}
			d.blame(m, err)
			errs = append(errs, err)
			break
		}
	}
	return fmt.Errorf("cannot get transactions %d to %d: %w", d.first()+1, d.first()+uint64(d.width), errors.Join(errs...))
}

// from reads from one mirror, where the file ends if the mirror can do that.
func (d *download) from(ctx context.Context, m *mirror) error {
	largest := int64(d.width-max(0, len(d.hashes)-1)) * (MaxTransactionBytes + frameHeader)
	a, err := m.get(ctx, request{path: d.path, from: d.size, max: largest + d.size})
	if err != nil {
		return err
	}
	defer a.close()
	if a.from != d.size {
		d.reset()
		if err := d.truncate(); err != nil {
			return err
		}
	}
	before := d.size
	err = d.takeToFile(&budget{r: a.body, job: d.job})
	d.received += d.size - before
	if errors.Is(err, io.ErrUnexpectedEOF) && a.body.over {
		err = fmt.Errorf("%w: it ends after transaction %d", errBytes, d.first()+uint64(max(0, len(d.hashes)-1)))
	}
	if err != nil {
		return fmt.Errorf("cannot get %s%s: %w", m.url, d.path, err)
	}
	return nil
}

// budget ends reading when the replica would outgrow its cap.
type budget struct {
	r io.Reader
	*job
}

// Read takes what it gives from the bytes that are left.
func (b *budget) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, b.tooBig()
	}
	return n, err
}
