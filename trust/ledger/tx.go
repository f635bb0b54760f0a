package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/codenotary/immudb/embedded/htree"
	"github.com/codenotary/immudb/embedded/store"

	"github.com/castellan/castellan/trust"
)

// Limits on one transaction. A ledger server must refuse what exceeds them before it commits it: a transaction that
// appliances cannot read would end their history there.
const (
	// MaxTransactionBytes bounds a transaction as immudb exports it: TRUST.md's 1 MiB of records, and room for the
	// header, keys and lengths around them.
	MaxTransactionBytes = trust.MaxRecordBytes + 128<<10
	// MaxTransactionEntries bounds the entries of a transaction.
	MaxTransactionEntries = 1024
	// MaxKeyBytes bounds a raw key; ours are below 64 bytes, immudb's default limit is 1024.
	MaxKeyBytes = 1024

	maxHeaderBytes      = 512 // immudb's largest is 124 bytes and 268 of metadata
	minHeaderBytes      = 8 + 32 + 8 + 2 + 2 + 32 + 8 + 32
	minTransactionBytes = 4 + minHeaderBytes + 2 + 2 + 4 + 3
	maxKVMetadataBytes  = 11
)

// Entry is one key and value of a checked transaction. Key and Value are immudb's raw bytes and point into the
// exported transaction.
type Entry struct {
	Key, Value []byte
	Metadata   bool // the entry carries KV metadata (deleted, expiring, not indexed)
}

// Transaction is a transaction whose own hashes are in order; see [CheckTransaction] for what that means.
type Transaction struct {
	ID      uint64
	Time    time.Time // the server's clock at commit, covered by Alh; a claim
	PrevAlh Hash
	Alh     Hash
	Header  []byte // as exported; with PrevAlh it is all that Alh is computed from
	Entries []Entry
}

// CheckTransaction checks one transaction as immudb exports it (store.ImmuStore.ExportTx) against the history
// before it: its ID follows prev.Count, its PrevAlh is prev.Alh, its entries hash to its entries root, its values
// are there, and not one byte of it is left out of the hashes. What it returns points into exported.
func CheckTransaction(prev Point, exported []byte) (Transaction, error) {
	var c checker
	return c.follow(prev, exported)
}

// checker holds the buffers that checking many transactions can share. The zero value is ready; it serves one
// goroutine.
type checker struct {
	tree    *htree.HTree
	width   int
	digests [][sha256.Size]byte
	entries []Entry
}

// follow is CheckTransaction. The entries are valid until the next call.
func (c *checker) follow(prev Point, exported []byte) (Transaction, error) {
	tx, err := c.check(exported)
	if err != nil {
		return tx, fmt.Errorf("cannot accept transaction %d: %w", prev.Count+1, err)
	}
	if tx.ID != prev.Count+1 {
		return tx, fmt.Errorf("cannot accept transaction %d: it says it is %d", prev.Count+1, tx.ID)
	}
	if tx.PrevAlh != prev.Alh {
		return tx, fmt.Errorf("cannot accept transaction %d: it follows %s, ours is %s",
			tx.ID, tx.PrevAlh.Digest().Short(), prev.Alh.Digest().Short())
	}
	return tx, nil
}

// check is the part of the check that needs no history. immudb's own parsers panic on some hostile bytes (a TxHeader
// with an "extra" attribute longer than its metadata, for one), so that a panic here means: not a transaction.
func (c *checker) check(exported []byte) (tx Transaction, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed: %v", r)
		}
	}()
	if len(exported) > MaxTransactionBytes {
		return tx, fmt.Errorf("%d bytes, at most %d are allowed", len(exported), MaxTransactionBytes)
	}
	in := input(exported)
	headerLen, ok := in.uint32()
	if !ok || headerLen < minHeaderBytes || headerLen > maxHeaderBytes {
		return tx, errors.New("malformed header length")
	}
	raw, ok := in.take(int(headerLen))
	if !ok {
		return tx, errors.New("truncated header")
	}
	var h store.TxHeader
	if err := h.ReadFrom(raw); err != nil {
		return tx, err
	}
	if h.Version != 0 && h.Version != 1 {
		return tx, fmt.Errorf("header version %d, want 0 or 1", h.Version)
	}
	if h.NEntries < 1 || h.NEntries > MaxTransactionEntries {
		return tx, fmt.Errorf("%d entries, want 1 to %d", h.NEntries, MaxTransactionEntries)
	}
	// Bytes that ReadFrom skipped are in no hash: a mirror could change them at will.
	again, err := h.Bytes()
	if err != nil {
		return tx, err
	}
	if !bytes.Equal(again, raw) {
		return tx, errors.New("header has bytes that no hash covers")
	}
	if err := c.readEntries(&in, h.NEntries, h.Version); err != nil {
		return tx, err
	}
	if err := readTrailer(&in); err != nil {
		return tx, err
	}
	if root, err := c.root(); err != nil {
		return tx, err
	} else if root != h.Eh {
		return tx, fmt.Errorf("entries hash to %x, the header says %x", root[:6], h.Eh[:6])
	}
	return Transaction{
		ID: h.ID, Time: time.Unix(h.Ts, 0).UTC(), PrevAlh: h.PrevAlh, Alh: h.Alh(), Header: raw, Entries: c.entries,
	}, nil
}

func (c *checker) readEntries(in *input, n, version int) error {
	digest, err := store.EntrySpecDigestFor(version)
	if err != nil {
		return err
	}
	c.digests, c.entries = c.digests[:0], c.entries[:0]
	for i := range n {
		keyLen, ok := in.uint16()
		if !ok || keyLen < 1 || keyLen > MaxKeyBytes {
			return fmt.Errorf("entry %d: key of %d bytes, want 1 to %d", i, keyLen, MaxKeyBytes)
		}
		key, ok1 := in.take(int(keyLen))
		mdLen, ok2 := in.uint16()
		if !ok1 || !ok2 || mdLen > maxKVMetadataBytes {
			return fmt.Errorf("entry %d: malformed key or metadata", i)
		}
		rawMeta, ok1 := in.take(int(mdLen))
		valueLen, ok2 := in.uint32()
		if !ok1 || !ok2 || valueLen > MaxTransactionBytes {
			return fmt.Errorf("entry %d: malformed value length", i)
		}
		value, ok := in.take(int(valueLen))
		if !ok {
			return fmt.Errorf("entry %d: truncated value", i)
		}
		meta, err := kvMetadata(rawMeta, version)
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		c.digests = append(c.digests, digest(&store.EntrySpec{Key: key, Metadata: meta, Value: value}))
		c.entries = append(c.entries, Entry{Key: key, Value: value, Metadata: len(rawMeta) > 0})
	}
	return nil
}

// readTrailer wants what immudb writes after the last entry: one flag, "are these hashes in place of values".
func readTrailer(in *input) error {
	n, ok := in.uint16()
	flag, ok2 := in.take(int(n))
	switch {
	case !ok || !ok2 || n != 1 || len(*in) != 0:
		return errors.New("malformed end")
	case flag[0] == 1:
		return errors.New("hashes in place of values: the copy is not complete")
	case flag[0] != 0:
		return errors.New("malformed end")
	}
	return nil
}

func (c *checker) root() (Hash, error) {
	if c.tree == nil || c.width < len(c.digests) {
		tree, err := htree.New(len(c.digests))
		if err != nil {
			return Hash{}, err
		}
		c.tree, c.width = tree, len(c.digests)
	}
	if err := c.tree.BuildWith(c.digests); err != nil {
		return Hash{}, err
	}
	return c.tree.Root(), nil
}

// Attributes of immudb's KV metadata, in the order it writes them.
const (
	attrDeleted      = 0
	attrExpiresAt    = 1
	attrNonIndexable = 2
)

// kvMetadata builds the KV metadata that raw stands for. immudb exports no parser for it, only setters; what they
// give must be the same bytes, for only those are hashed.
func kvMetadata(raw []byte, version int) (*store.KVMetadata, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if version == 0 {
		return nil, errors.New("metadata in a version 0 transaction, whose hash does not cover it")
	}
	md := store.NewKVMetadata()
	in := input(raw)
	for len(in) > 0 {
		var err error
		attr, _ := in.take(1)
		switch attr[0] {
		case attrDeleted:
			err = md.AsDeleted(true)
		case attrExpiresAt:
			at, ok := in.take(8)
			if !ok {
				return nil, errors.New("truncated metadata")
			}
			err = md.ExpiresAt(time.Unix(int64(binary.BigEndian.Uint64(at)), 0))
		case attrNonIndexable:
			err = md.AsNonIndexable(true)
		default:
			return nil, fmt.Errorf("unknown metadata attribute %d", attr[0])
		}
		if err != nil {
			return nil, err
		}
	}
	if !bytes.Equal(md.Bytes(), raw) {
		return nil, errors.New("metadata has bytes that no hash covers")
	}
	return md, nil
}

// input is bytes from outside, read from the front. A read beyond the end says so and takes nothing.
type input []byte

func (in *input) take(n int) ([]byte, bool) {
	if n < 0 || n > len(*in) {
		return nil, false
	}
	b := (*in)[:n:n]
	*in = (*in)[n:]
	return b, true
}

func (in *input) uint16() (uint16, bool) {
	b, ok := in.take(2)
	if !ok {
		return 0, false
	}
	return binary.BigEndian.Uint16(b), true
}

func (in *input) uint32() (uint32, bool) {
	b, ok := in.take(4)
	if !ok {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}
