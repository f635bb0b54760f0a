package trusttest

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/codenotary/immudb/embedded/logger"
	"github.com/codenotary/immudb/embedded/store"
	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
)

// Entry is a raw key and value of an immudb transaction.
type Entry struct {
	Key, Value []byte
	Metadata   *store.KVMetadata
}

// Record is the entry under which an envelope belongs.
func Record(tb testing.TB, envelope []byte) Entry {
	tb.Helper()
	rec, err := trust.ParseRecord(envelope)
	if err != nil {
		tb.Fatal(err)
	}
	key, err := rec.Key()
	if err != nil {
		tb.Fatal(err)
	}
	return EntryAt(key, envelope)
}

// EntryAt is an envelope under any key.
func EntryAt(key string, envelope []byte) Entry {
	k, v := ledger.RecordEntry(key, envelope)
	return Entry{Key: k, Value: v}
}

// Ledger is an immudb store that does whatever a test wants, and its note key.
type Ledger struct {
	Origin  string
	Signer  note.Signer
	NoteKey string           // verifier key
	Now     func() time.Time // time of checkpoints
	Root    int              // root version its checkpoints name

	tb      testing.TB
	st      *store.ImmuStore
	tx      *store.Tx
	version int
}

// NewLedger is an empty ledger with a note key of its own.
func NewLedger(tb testing.TB, origin string) *Ledger {
	tb.Helper()
	return newLedger(tb, origin, 1)
}

// NewOldLedger is an empty ledger that writes transactions of header version 0, as immudb did before 1.2.
func NewOldLedger(tb testing.TB, origin string) *Ledger {
	tb.Helper()
	return newLedger(tb, origin, 0)
}

func newLedger(tb testing.TB, origin string, version int) *Ledger {
	tb.Helper()
	skey, vkey, err := note.GenerateKey(nil, origin)
	if err != nil {
		tb.Fatal(err)
	}
	l := &Ledger{Origin: origin, NoteKey: vkey, Now: time.Now, Root: 1, tb: tb, version: version}
	if l.Signer, err = note.NewSigner(skey); err != nil {
		tb.Fatal(err)
	}
	l.open()
	return l
}

// open makes an empty store. It is not synced, unlike a real one: no test cuts the power of the store itself.
func (l *Ledger) open() {
	l.tb.Helper()
	o := store.DefaultOptions().WithSynced(false).WithMultiIndexing(true).WithEmbeddedValues(true).
		WithMaxTxEntries(ledger.MaxTransactionEntries).WithMaxKeyLen(ledger.MaxKeyBytes).
		WithMaxValueLen(ledger.MaxTransactionBytes).WithMaxConcurrency(2).WithMaxActiveTransactions(4).
		WithTxLogCacheSize(16).WithWriteBufferSize(1 << 20).WithFileSize(1 << 26).
		WithWriteTxHeaderVersion(l.version).WithLogger(logger.NewSimpleLogger("", io.Discard))
	dir, err := os.MkdirTemp("", "castellan-ledger-")
	if err != nil {
		l.tb.Fatal(err)
	}
	st, err := store.Open(dir, o)
	if err != nil {
		l.tb.Fatal(err)
	}
	l.st, l.tx = st, store.NewTx(ledger.MaxTransactionEntries, ledger.MaxKeyBytes)
	l.tb.Cleanup(func() {
		_ = st.Close() // the folder goes with it
		_ = os.RemoveAll(dir)
	})
}

// Append commits one transaction of any entries and is its ID.
func (l *Ledger) Append(entries ...Entry) uint64 {
	l.tb.Helper()
	tx, err := l.st.NewWriteOnlyTx(context.Background())
	if err != nil {
		l.tb.Fatal(err)
	}
	for _, e := range entries {
		if err := tx.Set(e.Key, e.Metadata, e.Value); err != nil {
			l.tb.Fatal(err)
		}
	}
	h, err := tx.AsyncCommit(context.Background())
	if err != nil {
		l.tb.Fatal(err)
	}
	return h.ID
}

// Put commits envelopes in one transaction, under the keys they belong to.
func (l *Ledger) Put(envelopes ...[]byte) uint64 {
	l.tb.Helper()
	entries := make([]Entry, len(envelopes))
	for i, e := range envelopes {
		entries[i] = Record(l.tb, e)
	}
	return l.Append(entries...)
}

// Export is transaction id as immudb exports it.
func (l *Ledger) Export(id uint64) []byte {
	l.tb.Helper()
	b, err := l.st.ExportTx(id, false, false, l.tx)
	if err != nil {
		l.tb.Fatal(err)
	}
	return b
}

// Count is the number of transactions.
func (l *Ledger) Count() uint64 { return l.st.LastCommittedTxID() }

// At is the point after count transactions.
func (l *Ledger) At(count uint64) ledger.Point {
	l.tb.Helper()
	if count == 0 {
		return ledger.Genesis
	}
	h, err := l.st.ReadTxHeader(count, false, false)
	if err != nil {
		l.tb.Fatal(err)
	}
	return ledger.Point{Count: count, Alh: h.Alh()}
}

// Anchor is At as root documents write it.
func (l *Ledger) Anchor(count uint64) trust.Anchor {
	l.tb.Helper()
	p := l.At(count)
	return trust.Anchor{Count: p.Count, Alh: p.Alh.Digest()}
}

// Checkpoint is the signed checkpoint after count transactions.
func (l *Ledger) Checkpoint(count uint64) []byte {
	l.tb.Helper()
	return l.Say(ledger.Checkpoint{Origin: l.Origin, Point: l.At(count), Time: l.Now(), Root: l.Root})
}

// Say signs any checkpoint, true or not.
func (l *Ledger) Say(c ledger.Checkpoint) []byte {
	l.tb.Helper()
	msg, err := ledger.SignCheckpoint(l.Signer, c)
	if err != nil {
		l.tb.Fatal(err)
	}
	return msg
}

// Fork is another ledger under the same note key whose first count transactions are l's: what an operator makes who
// tells two stories, or who restores a backup.
func (l *Ledger) Fork(count uint64) *Ledger {
	l.tb.Helper()
	f := *l
	f.open()
	for id := uint64(1); id <= count; id++ {
		if _, err := f.st.ReplicateTx(context.Background(), l.Export(id), false, false); err != nil {
			l.tb.Fatal(err)
		}
	}
	if f.At(count) != l.At(count) {
		l.tb.Fatalf("fork has %v, want %v", f.At(count), l.At(count))
	}
	return &f
}

// Tree writes l up to count as a static tree into a new folder: all segments, the newest one partial, and the
// checkpoint.
func (l *Ledger) Tree(count uint64) string {
	l.tb.Helper()
	dir := l.tb.TempDir()
	l.WriteTree(dir, count)
	return dir
}

// WriteTree writes or continues a static tree in dir. What is there stays, the checkpoint is replaced last.
func (l *Ledger) WriteTree(dir string, count uint64) {
	l.tb.Helper()
	for n := uint64(0); n*ledger.SegmentTxs < count; n++ {
		width := ledger.SegmentWidth(n, count)
		name := SegmentFile(dir, n, width)
		if _, err := os.Stat(name); err == nil {
			continue
		}
		var b []byte
		for i := range width {
			b = ledger.AppendFrame(b, l.Export(n*ledger.SegmentTxs+uint64(i)+1))
		}
		Write(l.tb, name, b)
	}
	Write(l.tb, filepath.Join(dir, "checkpoint"), l.Checkpoint(count))
}

// SegmentFile is where a tree keeps a segment.
func SegmentFile(dir string, n uint64, width int) string {
	return filepath.Join(dir, "tx", filepath.FromSlash(ledger.SegmentPath(n, width)))
}

// EditSegment lets a test alter the transactions of a segment file.
func EditSegment(tb testing.TB, name string, edit func(exported [][]byte) [][]byte) {
	tb.Helper()
	f, err := os.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var all [][]byte
	for r := ledger.NewSegmentReader(f); ; {
		b, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, append([]byte(nil), b...))
	}
	var out []byte
	for _, b := range edit(all) {
		out = ledger.AppendFrame(out, b)
	}
	Write(tb, name, out)
}

// PutFile adds a file to a tree's content-addressed files and is its digest.
func PutFile(tb testing.TB, dir string, content []byte) trust.Digest {
	tb.Helper()
	d := trust.DigestOf(content)
	Write(tb, filepath.Join(dir, "file", "sha256", d.Hex()), content)
	return d
}

// Write puts a file and makes its folders.
func Write(tb testing.TB, name string, b []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		tb.Fatal(err)
	}
}

// Repair computes again what a header says of a transaction's entries, so that a forged transaction is consistent in
// itself: it is what an operator can make and a mirror can't, and what only the chain gives away.
func Repair(tb testing.TB, h *store.TxHeader, entries ...Entry) []byte {
	tb.Helper()
	specs := make([]*store.EntrySpec, len(entries))
	for i, e := range entries {
		specs[i] = &store.EntrySpec{Key: e.Key, Value: e.Value, Metadata: e.Metadata}
	}
	return exported(tb, h, specs)
}

// emptyHash is the PrevAlh of a first transaction.
var emptyHash = sha256.Sum256(nil)
