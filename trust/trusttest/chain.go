package trusttest

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/codenotary/immudb/embedded/htree"
	"github.com/codenotary/immudb/embedded/store"

	"github.com/castellan/castellan/trust/ledger"
)

// Chain makes transactions as immudb exports them without a store, for benchmarks and for what no store would write.
// The zero value starts an empty ledger.
type Chain struct {
	ledger.Point
}

// Next is the transaction that follows, and c is behind it.
func (c *Chain) Next(tb testing.TB, entries ...Entry) []byte {
	tb.Helper()
	if c.Count == 0 {
		c.Alh = emptyHash
	}
	h := &store.TxHeader{
		ID: c.Count + 1, Ts: time.Unix(1_700_000_000, 0).Unix(), PrevAlh: c.Alh, BlTxID: c.Count, Version: 1,
	}
	b := Repair(tb, h, entries...)
	c.Point = ledger.Point{Count: h.ID, Alh: h.Alh()}
	return b
}

// exported completes h and is the export of the transaction: header, entries, and the flag that says that these are
// values and not hashes of them.
func exported(tb testing.TB, h *store.TxHeader, entries []*store.EntrySpec) []byte {
	tb.Helper()
	digest, err := store.EntrySpecDigestFor(h.Version)
	if err != nil {
		tb.Fatal(err)
	}
	digests := make([][32]byte, len(entries))
	for i, e := range entries {
		digests[i] = digest(e)
	}
	tree, err := htree.New(len(entries))
	if err != nil {
		tb.Fatal(err)
	}
	if err := tree.BuildWith(digests); err != nil {
		tb.Fatal(err)
	}
	h.NEntries, h.Eh = len(entries), tree.Root()
	header, err := h.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(header)))
	b = append(b, header...)
	for _, e := range entries {
		var md []byte
		if e.Metadata != nil {
			md = e.Metadata.Bytes()
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(e.Key)))
		b = append(b, e.Key...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(md)))
		b = append(b, md...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(e.Value)))
		b = append(b, e.Value...)
	}
	return append(b, 0, 1, 0)
}
