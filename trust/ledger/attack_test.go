package ledger_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/codenotary/immudb/embedded/store"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

// mutations are what a mirror can do to transactions 11 to 20 on their way; all but the last three leave them
// parseable.
var mutations = map[string]func(t *testing.T, txs [][]byte) [][]byte{
	"tampered value": func(_ *testing.T, txs [][]byte) [][]byte {
		txs[14][len(txs[14])-10] ^= 1
		return txs
	},
	"tampered and repaired": func(t *testing.T, txs [][]byte) [][]byte {
		h, _ := header(txs[14])
		txs[14] = trusttest.Repair(t, &h, trusttest.Entry{Key: []byte("k"), Value: []byte("v")})
		return txs
	},
	"tampered time": func(t *testing.T, txs [][]byte) [][]byte { txs[14][4+8+32+7] ^= 1; return txs },
	"reordered":     func(_ *testing.T, txs [][]byte) [][]byte { txs[14], txs[15] = txs[15], txs[14]; return txs },
	"missing":       func(_ *testing.T, txs [][]byte) [][]byte { return slices.Delete(txs, 14, 15) },
	"duplicated":    func(_ *testing.T, txs [][]byte) [][]byte { return slices.Insert(txs, 14, txs[14]) },
	"from another segment": func(_ *testing.T, txs [][]byte) [][]byte {
		return append([][]byte{txs[3]}, txs[1:]...)
	},
	"whole history forged": func(t *testing.T, txs [][]byte) [][]byte {
		var c trusttest.Chain
		for i := range txs {
			txs[i] = c.Next(t, trusttest.Entry{Key: []byte("k"), Value: []byte{byte(i)}})
		}
		return txs
	},
	"last ones missing": func(_ *testing.T, txs [][]byte) [][]byte { return txs[:15] },
	"header slack": func(_ *testing.T, txs [][]byte) [][]byte {
		b := txs[14]
		_, body := header(b)
		slack := append(append(append([]byte(nil), b[:body]...), 0), b[body:]...)
		binary.BigEndian.PutUint32(slack, uint32(body-4+1))
		txs[14] = slack
		return txs
	},
	"hashes for values": func(t *testing.T, txs [][]byte) [][]byte {
		h, _ := header(txs[14])
		b := trusttest.Repair(t, &h, trusttest.Entry{Key: []byte("k"), Value: make([]byte, 32)})
		b[len(b)-1] = 1
		txs[14] = b
		return txs
	},
	"truncated": func(_ *testing.T, txs [][]byte) [][]byte { txs[14] = txs[14][:len(txs[14])-20]; return txs },
}

func spoil(t *testing.T, dir string, edit func(*testing.T, [][]byte) [][]byte) {
	trusttest.EditSegment(t, trusttest.SegmentFile(dir, 0, 20), func(txs [][]byte) [][]byte { return edit(t, txs) })
}

func TestReplayAttackOfAMirrorChangesNothing(t *testing.T) {
	for name, edit := range mutations {
		for _, first := range []bool{true, false} { // first sync, or one that continues
			t.Run(fmt.Sprintf("%s/first=%v", name, first), func(t *testing.T) {
				w := newWorld(t, 19)
				m := w.mirror(10)
				r := w.open()
				at := uint64(0)
				if !first {
					w.sync(r)
					at = 10
				}
				dir := w.l.Tree(20)
				spoil(t, dir, edit)
				m.Serve(dir)
				for range 2 {
					_, err := r.Sync(w.ctx())
					w.wantReason(err, trust.LedgerInconsistent)
				}
				w.wantHead(r, w.l.At(at))
				w.wantAnswers(r, max(at, 1))
				w.wantNoEvidence(r)
				// The same replica recovers once the mirror is honest.
				m.Serve(w.l.Tree(20))
				w.sync(r)
				w.wantAnswers(r, 20)
			})
		}
	}
}

func TestBadCopyNeverMasksAGoodOne(t *testing.T) {
	for name, edit := range mutations {
		for position := range 3 {
			t.Run(fmt.Sprintf("%s/mirror %d of 3 is good", name, position+1), func(t *testing.T) {
				w := newWorld(t, 19)
				for i := range 3 {
					m := w.mirror(20)
					if i != position {
						dir := w.l.Tree(20)
						spoil(t, dir, edit)
						m.Serve(dir)
					}
				}
				r := w.open()
				w.sync(r)
				w.wantAnswers(r, 20)
				w.wantNoEvidence(r)
			})
		}
	}
}

func TestUnbelievableCheckpointIsIgnored(t *testing.T) {
	w := newWorld(t, 19)
	m := w.mirror(10)
	r := w.open()
	w.sync(r)
	impostor := trusttest.NewLedger(t, origin)
	c := ledger.Checkpoint{Origin: origin, Point: w.l.At(20), Time: time.Now(), Root: 9}
	other := c
	other.Origin = "other.example/ledger"
	for name, msg := range map[string][]byte{
		"unsigned": []byte(c.String() + "\n"), "other key": impostor.Say(c), "other origin": w.l.Say(other), "empty": nil,
		"signature of another checkpoint": append([]byte(c.String()), w.l.Checkpoint(10)[len(c.String())-1:]...),
		"count beyond any":                w.l.Say(ledger.Checkpoint{Origin: origin, Point: ledger.Point{Count: 1 << 60}, Time: time.Now()}),
	} {
		dir := w.l.Tree(20)
		trusttest.Write(t, filepath.Join(dir, "checkpoint"), msg)
		m.Serve(dir)
		rep, err := r.Sync(w.ctx())
		if ledger.ReasonOf(err) != trust.EvidenceUnavailable || rep.Mirrors[0].Err == nil {
			t.Errorf("%s: %+v, %v", name, rep, err)
		}
		w.wantHead(r, w.l.At(10))
		if h, _ := r.Head(); h.RootVersion == 9 {
			t.Errorf("%s: its root version was believed", name)
		}
	}
	w.wantNoEvidence(r)
	good := w.mirror(20)
	closeOnce(r)
	r = w.open()
	w.sync(r)
	w.wantAnswers(r, 20)
	good.Requests()
}

func TestOlderCheckpointMarksTheMirrorStaleAndNeverMovesBack(t *testing.T) {
	w := newWorld(t, 299)
	m := w.mirror(300)
	r := w.open()
	w.sync(r)
	for _, count := range []uint64{1, 256, 299} {
		m.Serve(w.l.Tree(count))
		rep := w.sync(r)
		if !rep.Mirrors[0].Stale || rep.Changed {
			t.Fatalf("%d: %+v", count, rep)
		}
		w.wantHead(r, w.l.At(300))
	}
	w.wantAnswers(r, 300)
	w.wantNoEvidence(r)
}

func TestEmptyLedgerAfterARecordedHistoryIsStale(t *testing.T) {
	w := newWorld(t, 9)
	m := w.mirror(10)
	r := w.open()
	w.sync(r)
	m.Serve(w.l.Tree(0))
	if rep := w.sync(r); !rep.Mirrors[0].Stale {
		t.Fatalf("%+v", rep)
	}
	w.wantAnswers(r, 10)
}

func TestForeignEntriesAreHashedIgnoredAndCounted(t *testing.T) {
	w := newWorld(t, 0)
	stranger := trusttest.NewPublisher(t, "other.example/ledger", "stranger")
	good := w.pub.Notarize(image(9))
	deleted := store.NewKVMetadata()
	_ = deleted.AsDeleted(true)
	hidden := trusttest.Record(t, w.pub.Notarize(image(10)))
	hidden.Metadata = deleted
	w.l.Append(hidden)
	w.l.Put(stranger.Notarize(image(11)), stranger.Document())
	w.l.Append(trusttest.EntryAt("n/wrong/1", w.pub.Notarize(image(12))))
	w.l.Append(trusttest.EntryAt("n/garbage/1", []byte(`{"payload":`)))
	w.l.Append(trusttest.EntryAt("p/x/1", bytes.ReplaceAll(good, []byte(`"payloadType"`), []byte(`"PayloadType"`))))
	w.l.Append(
		trusttest.Entry{Key: []byte("\x01set"), Value: []byte("\x00reference")},  // how immudb writes sorted sets
		trusttest.Entry{Key: []byte("\x00n/ref"), Value: []byte("\x01n/target")}, // a reference
		trusttest.Entry{Key: []byte("\x02CTL.DATABASE"), Value: []byte("sql")},
		trusttest.Entry{Key: []byte("\x00"), Value: nil},
		trusttest.Entry{Key: []byte("\x00n/"), Value: nil},
	)
	w.l.Put(good)
	w.l.Append(trusttest.Record(t, good)) // the operator appends it again
	w.mirror(w.l.Count())
	r := w.open()
	w.sync(r)
	want := ledger.Stats{
		Transactions: 9, Publishers: 1, Notarizations: 1, Repeated: 1, Malformed: 3, OtherLedger: 2, Metadata: 1, Foreign: 5,
	}
	check := func() {
		t.Helper()
		if got := r.Stats(); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		for tx, n := range map[uint64]int{9: 1, 10: 0, 11: 0, 12: 0} {
			if got, err := r.ByDigest(image(tx).Manifest); err != nil || len(got) != n {
				t.Errorf("image %d: %d records, %v; want %d", tx, len(got), err, n)
			}
		}
	}
	check()
	if got := r.Stats().Ignored(); !maps.Equal(got, map[string]uint64{"repeated": 1, "malformed": 3, "otherLedger": 2, "metadata": 1, "foreign": 5}) {
		t.Errorf("ignored %v", got)
	}
	if !strings.Contains(w.log.String(), "repeats keys") {
		t.Error("the repeated key raised no alarm")
	}
	closeOnce(r)
	r = w.open()
	check() // from the index file
	closeOnce(r)
	if err := os.Remove(filepath.Join(w.cfg.Dir, "index")); err != nil {
		t.Fatal(err)
	}
	r = w.open()
	check() // from the segments
}

func TestKeyRepeatedInALaterSyncIsIgnored(t *testing.T) {
	w := newWorld(t, 1)
	record := w.pub.Notarize(image(99))
	w.l.Put(record)
	m := w.mirror(3)
	r := w.open()
	w.sync(r)
	forged := w.pub.Sign(trust.Notarization{
		UID: 1, SignedAt: 1_700_000_000, Ledger: origin, Publisher: w.pub.ID, Doc: 1, Kind: trust.KindImage, Name: image(1).Repository,
		Status: trust.Trusted, Subjects: trusttest.Subjects(image(98)),
	}, w.pub.Key)
	w.l.Append(trusttest.Record(t, record), trusttest.Record(t, forged))
	m.Serve(w.l.Tree(4))
	w.sync(r)
	if s := r.Stats(); s.Repeated != 1 || s.Notarizations != 3 {
		t.Errorf("counted %+v", s)
	}
	if got, err := r.ByDigest(image(99).Manifest); err != nil || len(got) != 1 || got[0].Pos.Tx != 3 {
		t.Errorf("got %+v, %v; want the first occurrence", got, err)
	}
}
