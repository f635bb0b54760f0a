package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"

	"github.com/codenotary/immudb/embedded/store"

	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

// sampleLedger has transactions of every shape a store writes.
func sampleLedger(t testing.TB, make func(testing.TB, string) *trusttest.Ledger, metadata bool) *trusttest.Ledger {
	l := make(t, origin)
	l.Append(trusttest.Entry{Key: []byte("a"), Value: []byte("1")})
	l.Append(trusttest.Entry{Key: []byte("empty")}, trusttest.Entry{Key: []byte("b"), Value: bytes.Repeat([]byte("2"), 10_000)})
	var many []trusttest.Entry
	for i := range 77 {
		many = append(many, trusttest.Entry{Key: binary.BigEndian.AppendUint16(nil, uint16(i)), Value: []byte{byte(i)}})
	}
	l.Append(many...)
	if metadata {
		md := store.NewKVMetadata()
		_ = md.AsDeleted(true)
		l.Append(trusttest.Entry{Key: []byte("deleted"), Metadata: md})
		md = store.NewKVMetadata()
		_ = md.ExpiresAt(time.Unix(2_000_000_000, 0))
		_ = md.AsNonIndexable(true)
		l.Append(trusttest.Entry{Key: []byte("both"), Value: []byte("x"), Metadata: md}, trusttest.Entry{Key: []byte("none"), Value: []byte("y")})
	}
	return l
}

func TestEveryTransactionOfARealStoreIsAccepted(t *testing.T) {
	for name, l := range map[string]*trusttest.Ledger{
		"version 1": sampleLedger(t, trusttest.NewLedger, true),
		"version 0": sampleLedger(t, trusttest.NewOldLedger, false),
	} {
		at := ledger.Genesis
		for id := uint64(1); id <= l.Count(); id++ {
			tx, err := ledger.CheckTransaction(at, l.Export(id))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			at = ledger.Point{Count: tx.ID, Alh: tx.Alh}
			if at != l.At(id) {
				t.Fatalf("%s: transaction %d: %v, the store says %v", name, id, at, l.At(id))
			}
		}
	}
}

func TestTransactionsMadeWithoutAStoreAreThoseAStoreTakes(t *testing.T) {
	var c trusttest.Chain
	for range 3 {
		before := c.Point
		if before.Count == 0 {
			before = ledger.Genesis
		}
		if _, err := ledger.CheckTransaction(before, c.Next(t, trusttest.Entry{Key: []byte("k"), Value: []byte("v")})); err != nil {
			t.Fatal(err)
		}
	}
}

// exportedParts finds its way in an exported transaction.
func header(exported []byte) (store.TxHeader, int) {
	var h store.TxHeader
	n := int(binary.BigEndian.Uint32(exported))
	if err := h.ReadFrom(exported[4 : 4+n]); err != nil {
		panic(err)
	}
	return h, 4 + n
}

func TestTamperedTransactionIsRefused(t *testing.T) {
	l := sampleLedger(t, trusttest.NewLedger, true)
	good := l.Export(5) // two entries, the first with two attributes of metadata
	_, body := header(good)
	edit := func(change func(b []byte) []byte) []byte { return change(append([]byte(nil), good...)) }
	lengthen := func(b []byte) []byte { binary.BigEndian.PutUint32(b, binary.BigEndian.Uint32(b)+1); return b }
	reHeader := func(change func(*store.TxHeader)) []byte {
		h, body := header(good)
		change(&h)
		raw, err := h.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(raw))), raw...), good[body:]...)
	}
	at := func(i int, v byte) []byte { return edit(func(b []byte) []byte { b[i] = v; return b }) }
	mdAt := body + 2 + len("both") + 2
	sum := sha256.Sum256([]byte("y"))
	for name, bad := range map[string][]byte{
		"empty":                {},
		"header slack":         edit(func(b []byte) []byte { return lengthen(append(b[:body:body], append([]byte{0}, b[body:]...)...)) }),
		"header length beyond": edit(func(b []byte) []byte { binary.BigEndian.PutUint32(b, 1<<31); return b }),
		"header length short":  edit(func(b []byte) []byte { binary.BigEndian.PutUint32(b, 10); return b }),
		"version 2":            at(4+8+32+8+1, 2),
		"no entries":           reHeader(func(h *store.TxHeader) { h.NEntries = 0 }),
		"too many entries":     reHeader(func(h *store.TxHeader) { h.NEntries = 1 << 30 }),
		"one entry fewer":      reHeader(func(h *store.TxHeader) { h.NEntries = 1 }),
		"one entry more":       reHeader(func(h *store.TxHeader) { h.NEntries = 3 }),
		"other entries root":   reHeader(func(h *store.TxHeader) { h.Eh[0] ^= 1 }),
		"other ID":             reHeader(func(h *store.TxHeader) { h.ID = 6 }),
		"other history":        reHeader(func(h *store.TxHeader) { h.PrevAlh[0] ^= 1 }),
		"key":                  at(body+2, 'B'),
		"key length 0":         at(body+1, 0),
		"metadata attribute":   at(mdAt, 7),
		"metadata twice":       at(mdAt+9, 1),
		"metadata length":      at(mdAt-1, 200),
		"value":                at(len(good)-4, 'z'),
		"value length":         at(len(good)-5, 99),
		"hashes for values": edit(func(b []byte) []byte {
			b = b[:len(b)-3-1-4]
			b = append(binary.BigEndian.AppendUint32(b, 32), sum[:]...)
			return append(b, 0, 1, 1)
		}),
		"says hashes for values": at(len(good)-1, 1),
		"end flag 2":             at(len(good)-1, 2),
		"no end":                 good[:len(good)-3],
		"longer end":             edit(func(b []byte) []byte { b[len(b)-2] = 2; return append(b, 0) }),
		"bytes after the end":    edit(func(b []byte) []byte { return append(b, 0) }),
		"over the size":          make([]byte, ledger.MaxTransactionBytes+1),
	} {
		if _, err := ledger.CheckTransaction(l.At(4), bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ledger.CheckTransaction(l.At(4), good); err != nil {
		t.Fatal(err)
	}
}

// TestNoByteOfATransactionIsOutsideOfItsHash changes each byte: the transaction is refused, or it is another one.
func TestNoByteOfATransactionIsOutsideOfItsHash(t *testing.T) {
	l := sampleLedger(t, trusttest.NewLedger, true)
	good := l.Export(5)
	for i := range good {
		for _, x := range []byte{0x01, 0x80, 0xff} {
			b := append([]byte(nil), good...)
			b[i] ^= x
			if tx, err := ledger.CheckTransaction(l.At(4), b); err == nil && tx.Alh == ledger.Hash(l.At(5).Alh) {
				t.Fatalf("byte %d can be changed unseen", i)
			}
		}
		if _, err := ledger.CheckTransaction(l.At(4), good[:i]); err == nil {
			t.Fatalf("the first %d bytes pass for the whole", i)
		}
	}
}

func TestVersion0TransactionHasNoMetadata(t *testing.T) {
	l := sampleLedger(t, trusttest.NewOldLedger, false)
	b := l.Export(1)
	_, body := header(b)
	mdAt := body + 2 + len("a")
	forged := append(append([]byte(nil), b[:mdAt]...), 0, 1, 0 /* deleted */)
	forged = append(forged, b[mdAt+2:]...)
	if _, err := ledger.CheckTransaction(ledger.Genesis, forged); err == nil {
		t.Fatal("metadata that no hash covers was accepted")
	}
}

func FuzzTransaction(f *testing.F) {
	for _, l := range []*trusttest.Ledger{
		sampleLedger(f, trusttest.NewLedger, true), sampleLedger(f, trusttest.NewOldLedger, false),
	} {
		for id := uint64(1); id <= l.Count(); id++ {
			if b := l.Export(id); len(b) < 1000 {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var prev ledger.Point
		tx, err := ledger.CheckTransaction(prev, b)
		if err != nil {
			// The history before it is what it says: whatever is not refused now is whole.
			if len(b) < 44 {
				return
			}
			prev.Count = binary.BigEndian.Uint64(b[4:]) - 1
			copy(prev.Alh[:], b[12:44])
			if tx, err = ledger.CheckTransaction(prev, b); err != nil {
				return
			}
		}
		size := 4 + len(tx.Header) + 3
		for _, e := range tx.Entries {
			size += 2 + len(e.Key) + 2 + 4 + len(e.Value)
			if e.Metadata {
				size++
			}
		}
		if size > len(b) || tx.ID != prev.Count+1 {
			t.Fatalf("accepted %d bytes as %d, transaction %d after %d", len(b), size, tx.ID, prev.Count)
		}
	})
}
