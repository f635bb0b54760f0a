package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/castellan/castellan/trust"
)

// rawPrefix is what immudb's server puts before every key and value; records have it in an embedded store too, so
// that both give the same bytes and the same hashes (TRUST.md §3.3).
const rawPrefix = 0x00

// RecordEntry is the raw key and value under which a ledger stores a record.
func RecordEntry(key string, envelope []byte) (rawKey, rawValue []byte) {
	return append([]byte{rawPrefix}, key...), append([]byte{rawPrefix}, envelope...)
}

// recordIn reads an entry as a record of origin, and gives its key. The error says which counter an entry that is none
// belongs to.
func recordIn(e Entry, origin string) (rec trust.Record, key string, err error) {
	if e.Metadata {
		return rec, "", errMetadata
	}
	if len(e.Key) < 3 || e.Key[0] != rawPrefix || e.Key[2] != '/' || e.Key[1] != 'p' && e.Key[1] != 'n' ||
		len(e.Value) < 1 || e.Value[0] != rawPrefix {
		return rec, "", errForeign
	}
	rec, err = trust.ParseRecord(e.Value[1:])
	if err != nil {
		return rec, "", fmt.Errorf("%w: %w", errMalformed, err)
	}
	key, err = rec.Key()
	if err != nil || key != string(e.Key[1:]) {
		return rec, "", fmt.Errorf("%w: key %.80q holds the record %q", errMalformed, e.Key[1:], key)
	}
	if rec.Ledger() != origin {
		return rec, "", errOtherLedger
	}
	return rec, key, nil
}

// Why an entry is no record; each has its counter in [Stats].
var (
	errMetadata    = errors.New("entry with metadata")
	errForeign     = errors.New("not one of our keys")
	errMalformed   = errors.New("malformed record")
	errOtherLedger = errors.New("record of another ledger")
)

func (s *Stats) count(err error) {
	switch {
	case errors.Is(err, errMetadata):
		s.Metadata++
	case errors.Is(err, errForeign):
		s.Foreign++
	case errors.Is(err, errOtherLedger):
		s.OtherLedger++
	default:
		s.Malformed++
	}
}

func (s *Stats) record(rec trust.Record) {
	if rec.Publisher != nil {
		s.Publishers++
		return
	}
	s.Notarizations++
	if rec.Notarization.Status == trust.Untrusted {
		s.Withdrawals++
	}
}

// indexer makes an index longer, one checked transaction after the other.
type indexer struct {
	origin string
	x      *index
	keyAt  func(place) (string, error) // the key of an entry x knows

	at      Point
	stats   Stats
	offsets []uint32
	pairs   []pair
	fresh   map[string]bool // keys since x
}

// indexBatch bounds what an indexer holds beside the index.
const indexBatch = 4096

func newIndexer(x *index, origin string, keyAt func(*index, place) (string, error)) *indexer {
	ix := &indexer{origin: origin, x: x, at: x.Point, stats: x.stats, fresh: map[string]bool{}}
	ix.keyAt = func(p place) (string, error) { return keyAt(ix.x, p) }
	return ix
}

// add takes the transaction that follows, and where it starts in its segment.
func (ix *indexer) add(tx Transaction, offset int64) error {
	for i, e := range tx.Entries {
		rec, key, err := recordIn(e, ix.origin)
		if err != nil {
			ix.stats.count(err)
			continue
		}
		again, err := ix.seen(key)
		if err != nil {
			return err
		}
		if again {
			// Anybody's next key can be foretold, and a forgery put there before he writes. All are indexed, and look-ups
			// take the first that its publisher signed.
			ix.stats.Repeated++
		} else {
			ix.stats.record(rec)
		}
		ix.fresh[key] = true
		ix.addRecord(rec, key, placeOf(trust.Position{Tx: tx.ID, Entry: uint32(i)}))
	}
	ix.stats.Transactions++
	ix.offsets = append(ix.offsets, uint32(offset))
	ix.at = Point{tx.ID, tx.Alh}
	return nil
}

func (ix *indexer) addRecord(rec trust.Record, key string, at place) {
	words := []uint64{keyWord(key)}
	if p := rec.Publisher; p != nil {
		words = append(words, publisherWord(p.ID))
	}
	if n := rec.Notarization; n != nil {
		words = append(words, nameWord(n.Kind, n.Name), versionWord(n.Kind, n.Name, n.Version))
		for _, s := range n.Subjects {
			words = append(words, digestWord(s.Digest))
		}
	}
	for _, w := range words {
		ix.pairs = append(ix.pairs, pair{w, at})
	}
}

// seen tells whether key stood before. A chance hit of the index is told apart by reading the key itself.
func (ix *indexer) seen(key string) (bool, error) {
	if ix.fresh[key] {
		return true, nil
	}
	for _, p := range ix.x.find(keyWord(key)) {
		old, err := ix.keyAt(p)
		if err != nil || old == key {
			return err == nil, err
		}
	}
	return false, nil
}

// flush moves what was added into the index.
func (ix *indexer) flush() *index {
	ix.x = ix.x.extend(ix.at, ix.stats, ix.offsets, ix.pairs)
	ix.offsets, ix.pairs = nil, nil
	clear(ix.fresh)
	return ix.x
}

// catchUp is x made to reach to, from the committed segment files. It checks the chain on the way: an error that is
// not a failure to read means that the files are not the history the head names.
func (t tree) catchUp(x *index, to Point, origin string) (*index, error) {
	if x.Count > to.Count {
		return nil, fmt.Errorf("index reaches transaction %d, the head %d", x.Count, to.Count)
	}
	ix := newIndexer(x, origin, func(x *index, p place) (string, error) { return t.keyAt(x, to.Count, p) })
	var c checker
	for x.Count < to.Count {
		n := SegmentOf(ix.at.Count + 1)
		if err := t.indexSegment(ix, &c, n, SegmentWidth(n, to.Count)); err != nil {
			return nil, err
		}
		if ix.at.Count == to.Count || len(ix.pairs) > indexBatch || len(ix.offsets) > indexBatch {
			x = ix.flush()
		}
	}
	if x.Point != to {
		return nil, fmt.Errorf("files hold transaction %s, the head says %s", x.Point, to)
	}
	return x, nil
}

func (t tree) indexSegment(ix *indexer, c *checker, n uint64, width int) error {
	f, err := os.Open(t.segment(n, width))
	if err != nil {
		return err
	}
	defer f.Close()
	r := NewSegmentReader(f)
	for i := range width {
		offset := r.Offset()
		exported, err := r.Next()
		if err != nil {
			return fmt.Errorf("cannot read %s: transaction %d: %w", f.Name(), n*SegmentTxs+uint64(i)+1, err)
		}
		if n*SegmentTxs+uint64(i) < ix.at.Count {
			continue // indexed before; the chain below starts with the first that was not
		}
		tx, err := c.follow(ix.at, exported)
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", f.Name(), err)
		}
		if err := ix.add(tx, offset); err != nil {
			return err
		}
	}
	if _, err := r.Next(); err != io.EOF {
		return fmt.Errorf("cannot read %s: bytes after its %d transactions", f.Name(), width)
	}
	return nil
}
