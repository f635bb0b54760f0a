package ledger_test

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

// rate reports what n things in b's time were, by the clock and by the processor time the program took: a shared machine
// changes the first and not the second.
func rate(b *testing.B, n int, cpu time.Duration, unit string) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), unit+"/s")
	b.ReportMetric(float64(n)/cpu.Seconds(), unit+"/cpu-s")
}

// madeTree is a static tree of n transactions, made without a store, and its last point.
func madeTree(tb testing.TB, l *trusttest.Ledger, n int, entry func(i int) trusttest.Entry) (dir string, segments [][]byte) {
	tb.Helper()
	dir = tb.TempDir()
	var c trusttest.Chain
	for at := 0; at < n; at += ledger.SegmentTxs {
		var b []byte
		width := min(ledger.SegmentTxs, n-at)
		for i := range width {
			b = ledger.AppendFrame(b, c.Next(tb, entry(at+i)))
		}
		trusttest.Write(tb, trusttest.SegmentFile(dir, uint64(at/ledger.SegmentTxs), width), b)
		segments = append(segments, b)
	}
	trusttest.Write(tb, filepath.Join(dir, "checkpoint"), l.Say(ledger.Checkpoint{Origin: origin, Point: c.Point, Time: time.Now(), Root: 1}))
	return dir, segments
}

// BenchmarkReplayChain checks the hash chain of transactions that hold a notarization each; one core.
func BenchmarkReplayChain(b *testing.B) {
	l, pub := trusttest.NewLedger(b, origin), trusttest.NewPublisher(b, origin, "core")
	entry := trusttest.Record(b, pub.Notarize(image(1)))
	_, segments := madeTree(b, l, 10*ledger.SegmentTxs, func(int) trusttest.Entry { return entry })
	whole := bytes.Join(segments, nil)
	b.ReportAllocs()
	txs, start := 0, testenv.ProcessorTime(b)
	for b.Loop() {
		n, err := ledger.ScanForTest(bytes.NewReader(whole), 10*ledger.SegmentTxs)
		if err != nil {
			b.Fatal(err)
		}
		txs += n
	}
	rate(b, txs, testenv.ProcessorTime(b)-start, "tx")
	b.ReportMetric(float64(len(whole))/float64(10*ledger.SegmentTxs), "bytes/tx")
}

// BenchmarkReplayRecords checks the chain, decodes every record and checks its publisher's signature; one core.
func BenchmarkReplayRecords(b *testing.B) {
	l, pub := trusttest.NewLedger(b, origin), trusttest.NewPublisher(b, origin, "core")
	const n = 2 * ledger.SegmentTxs
	_, segments := madeTree(b, l, n, func(i int) trusttest.Entry {
		if i == 0 {
			return trusttest.Record(b, pub.Document())
		}
		return trusttest.Record(b, pub.Notarize(image(uint64(i))))
	})
	first, err := trust.ParseRecord(pub.Document())
	if err != nil {
		b.Fatal(err)
	}
	chain := []trust.PlacedPublisher{{Pos: trust.Position{Tx: 1}, Envelope: first.Envelope, Publisher: *first.Publisher}}
	records, start := 0, testenv.ProcessorTime(b)
	for b.Loop() {
		at := ledger.Genesis
		for _, s := range segments {
			r := ledger.NewSegmentReader(bytes.NewReader(s))
			for {
				exported, err := r.Next()
				if err == io.EOF {
					break
				}
				tx, err := ledger.CheckTransaction(at, exported)
				if err != nil {
					b.Fatal(err)
				}
				at = ledger.Point{Count: tx.ID, Alh: tx.Alh}
				rec, err := trust.ParseRecord(tx.Entries[0].Value[1:])
				if err != nil {
					b.Fatal(err)
				}
				if rec.Notarization == nil {
					continue
				}
				placed := trust.PlacedNotarization{Pos: trust.Position{Tx: tx.ID}, Envelope: rec.Envelope, Notarization: *rec.Notarization}
				if s, err := trust.VerifyNotarization(chain, placed); err != nil || len(s.Good) != 1 {
					b.Fatalf("%+v, %v", s, err)
				}
				records++
			}
		}
	}
	rate(b, records, testenv.ProcessorTime(b)-start, "records")
}

// warmReplica follows a ledger of n records, and knows image(n).
func warmReplica(b *testing.B, n int) (*ledger.Replica, *trusttest.Publisher) {
	b.Helper()
	l, pub := trusttest.NewLedger(b, origin), trusttest.NewPublisher(b, origin, "core")
	dir, _ := madeTree(b, l, n, func(i int) trusttest.Entry {
		if i == 0 {
			return trusttest.Record(b, pub.Document())
		}
		s := image(uint64(i + 1))
		s.Version = fmt.Sprint("2026.", i)
		return trusttest.Record(b, pub.Notarize(s))
	})
	r := openIn(b, l, trusttest.NewMirror(b, dir).URL)
	if _, err := r.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	return r, pub
}

// BenchmarkJudgeWarm collects and judges one image of a replica with 20,000 records.
func BenchmarkJudgeWarm(b *testing.B) {
	const n = 20_000
	r, pub := warmReplica(b, n)
	now := time.Now()
	s := image(n)
	s.Version = fmt.Sprint("2026.", n-1)
	raw := trusttest.Manifests(s.Repository, image(n).Version, string(rune(n)))
	in := trust.Input{
		Request: trust.Request{Subject: s, Action: trust.Install, Raw: &raw, FirstResolved: now.Add(-2 * time.Hour)},
		Root:    trust.Root{Version: 1, Expires: now.Add(time.Hour), Core: []string{pub.ID}},
		Now:     now,
	}
	b.ReportAllocs()
	judged, start := 0, testenv.ProcessorTime(b)
	for b.Loop() {
		judged++
		facts, err := trust.Collect(r, s, nil, in.Root)
		if err != nil {
			b.Fatal(err)
		}
		in.Facts = facts
		if v := trust.Judge(in); v.Outcome != trust.Allow && v.Reason() != trust.NotInChannel || v.Publisher != pub.ID {
			b.Fatalf("got %+v", v)
		}
	}
	b.ReportMetric(float64((testenv.ProcessorTime(b)-start).Microseconds())/float64(judged), "cpu-µs/judgement")
}

// BenchmarkLookupWarm asks for one digest, from the cache and from the disk.
func BenchmarkLookupWarm(b *testing.B) {
	const n = 20_000
	for name, next := range map[string]func(i int) uint64{
		"cached":    func(int) uint64 { return n },
		"from disk": func(i int) uint64 { return uint64(2 + i*7919%(n-2)) },
	} {
		b.Run(name, func(b *testing.B) {
			r, _ := warmReplica(b, n)
			i := 0
			for b.Loop() {
				if got, err := r.ByDigest(image(next(i)).Manifest); err != nil || len(got) != 1 {
					b.Fatalf("%d records, %v", len(got), err)
				}
				i++
			}
		})
	}
}

// BenchmarkFirstSync fetches, checks and indexes 20,000 records from a mirror on this machine.
func BenchmarkFirstSync(b *testing.B) {
	const n = 20_000
	l, pub := trusttest.NewLedger(b, origin), trusttest.NewPublisher(b, origin, "core")
	dir, _ := madeTree(b, l, n, func(i int) trusttest.Entry { return trusttest.Record(b, pub.Notarize(image(uint64(i)))) })
	m := trusttest.NewMirror(b, dir)
	synced, start := 0, testenv.ProcessorTime(b)
	for b.Loop() {
		r := openIn(b, l, m.URL)
		if _, err := r.Sync(b.Context()); err != nil {
			b.Fatal(err)
		}
		synced += n
		closeOnce(r)
	}
	rate(b, synced, testenv.ProcessorTime(b)-start, "tx")
}

// openIn opens a new replica.
func openIn(tb testing.TB, l *trusttest.Ledger, mirrors ...string) *ledger.Replica {
	tb.Helper()
	cfg := ledger.Config{
		Dir: filepath.Join(tb.TempDir(), "replica"), Origin: origin, NoteKeys: []string{l.NoteKey}, Mirrors: mirrors,
	}
	if err := ledger.Init(cfg); err != nil {
		tb.Fatal(err)
	}
	r, err := ledger.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closeOnce(r) })
	return r
}

// BenchmarkStart opens a replica of 20,000 records, with its index and without.
func BenchmarkStart(b *testing.B) {
	const n = 20_000
	r, _ := warmReplica(b, n)
	cfg := r.ConfigForTest()
	cfg.Mirrors = nil
	closeOnce(r)
	for _, indexed := range []bool{true, false} {
		b.Run(fmt.Sprintf("indexed=%v", indexed), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				if !indexed {
					removeAll(b, filepath.Join(cfg.Dir, "index"))
				}
				b.StartTimer()
				r, err := ledger.Open(cfg)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				closeOnce(r)
				b.StartTimer()
			}
		})
	}
}
