package ledger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

// TestEquivocationIsProvenAndQuarantined lets a ledger tell a second story that leaves the first at any place, and is
// told at any length, while the appliance stands anywhere.
func TestEquivocationIsProvenAndQuarantined(t *testing.T) {
	for _, c := range []struct{ fork, ours, theirs uint64 }{
		{5, 10, 7},      // they are behind our head
		{5, 10, 10},     // the same count
		{5, 10, 20},     // beyond our head: their own headers prove it
		{9, 10, 11},     // our last transaction alone
		{0, 10, 12},     // another ledger from the start
		{255, 300, 256}, // across segments, behind
		{255, 300, 900}, // and beyond
		{299, 300, 300},
	} {
		t.Run(fmt.Sprintf("fork at %d, we have %d, they say %d", c.fork, c.ours, c.theirs), func(t *testing.T) {
			w := newWorld(t, int(c.ours)-1)
			w.l.Now = func() time.Time { return time.Unix(1_780_000_000, 0) }
			m := w.mirror(c.ours)
			r := w.open()
			w.sync(r)
			liar := w.l.Fork(c.fork)
			for liar.Count() < c.theirs {
				liar.Append(trusttest.Entry{Key: fmt.Appendf(nil, "other %d", liar.Count()), Value: []byte("story")})
			}
			m.Serve(liar.Tree(c.theirs))
			rep, err := r.Sync(w.ctx())
			w.wantReason(err, trust.LedgerQuarantined)
			if rep.Changed {
				t.Error("the head moved")
			}
			w.wantProof()
			quarantined := func() {
				t.Helper()
				h, err := r.Head()
				if err != nil || !strings.Contains(h.Quarantined, w.evidence()[0]) {
					t.Fatalf("head says %q, %v", h.Quarantined, err)
				}
				w.wantHead(r, w.l.At(c.ours))
				w.wantAnswers(r, c.ours) // what is known stays known: a REVOKED must be found
				_, err = r.Sync(w.ctx())
				w.wantReason(err, trust.LedgerQuarantined)
			}
			quarantined()
			m.Serve(w.l.Tree(c.ours)) // the first story again: too late
			quarantined()
			closeOnce(r)
			r = w.open()
			quarantined()
			w.wantProof()
			if !strings.Contains(w.log.String(), "two stories") {
				t.Error("no alarm in the log")
			}
		})
	}
}

func TestTwoStoriesAtOnceAreEquivocation(t *testing.T) {
	w := newWorld(t, 9)
	w.mirror(10)
	liar := w.l.Fork(5)
	w.grow(liar, 6) // the same images, in other transactions: hashes differ by time or entries
	liar.Append(trusttest.Entry{Key: []byte("x"), Value: []byte("y")})
	m := w.mirror(10)
	dir := liar.Tree(10)
	m.Serve(dir)
	r := w.open()
	if liar.At(10) == w.l.At(10) {
		t.Fatal("the fork is none")
	}
	_, err := r.Sync(w.ctx())
	w.wantReason(err, trust.LedgerQuarantined)
	w.wantProof()
	w.wantHead(r, ledger.Genesis)
}

func TestPerVictimMirrorIsFoundOutByTheFirstHonestOne(t *testing.T) {
	w := newWorld(t, 19)
	honest := w.l.Fork(10)
	for range 30 {
		honest.Append(trusttest.Entry{Key: []byte("other"), Value: []byte("story")})
	}
	m := w.mirror(20) // the victim's story
	r := w.open()
	w.sync(r)
	closeOnce(r)
	other := trusttest.NewMirror(t, honest.Tree(40))
	w.cfg.Mirrors = []string{m.URL, other.URL}
	r = w.open()
	_, err := r.Sync(w.ctx())
	w.wantReason(err, trust.LedgerQuarantined)
	w.wantProof()
}

func TestForkedBytesWithoutASignatureAreABadCopy(t *testing.T) {
	w := newWorld(t, 19)
	m := w.mirror(10)
	r := w.open()
	w.sync(r)
	impostor := w.l.Fork(5)
	impostor.Signer = trusttest.NewLedger(t, origin).Signer
	for range 10 {
		impostor.Append(trusttest.Entry{Key: []byte("x"), Value: []byte("y")})
	}
	m.Serve(impostor.Tree(15))
	_, err := r.Sync(w.ctx())
	w.wantReason(err, trust.EvidenceUnavailable)
	w.wantNoEvidence(r)
}

func TestDecayOfOurOwnFilesIsNotTakenForEquivocation(t *testing.T) {
	w := newWorld(t, 29)
	m := w.mirror(30)
	r := w.open()
	w.sync(r)
	// A header of ours decays on the disk while we run: its hash no longer is what an old, honest checkpoint says.
	name := trusttest.SegmentFile(w.cfg.Dir, 0, 30)
	trusttest.EditSegment(t, name, func(txs [][]byte) [][]byte { txs[19][4+8+32+7] ^= 1; return txs })
	m.Serve(w.l.Tree(20))
	_, err := r.Sync(w.ctx())
	w.wantReason(err, trust.EvidenceUnreadable)
	w.wantNoEvidence(r)
	_, err = r.ByDigest(image(25).Manifest)
	w.wantReason(err, trust.EvidenceUnreadable)
	w.wantHead(r, w.l.At(30)) // remembered
	if _, err := r.Sync(w.ctx()); err == nil {
		t.Fatal("a mirror with 20 transactions repaired 30")
	}
	m.Serve(w.l.Tree(31 - 1))
	w.sync(r)
	w.wantAnswers(r, 30)
	w.wantNoEvidence(r)
}

func TestHistoryMustContainTheRootsMinimum(t *testing.T) {
	for name, count := range map[string]uint64{"beyond the minimum": 20, "at the minimum": 10} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 19)
			liar := w.l.Fork(5)
			for liar.Count() < 30 {
				liar.Append(trusttest.Entry{Key: []byte("x"), Value: []byte("y")})
			}
			w.cfg.Minimum = w.l.Anchor(10)
			m := w.mirror(8)
			r := w.open()
			_, err := r.Sync(w.ctx())
			w.wantReason(err, trust.EvidenceUnavailable) // a mirror that is behind is no attack
			w.wantNoEvidence(r)
			w.wantHead(r, ledger.Genesis)
			m.Serve(w.l.Tree(count))
			w.sync(r)
			w.wantAnswers(r, count)
			closeOnce(r)

			w.cfg.Dir = filepath.Join(t.TempDir(), "another")
			if err := ledger.Init(w.cfg); err != nil {
				t.Fatal(err)
			}
			m.Serve(liar.Tree(count))
			r = w.open()
			_, err = r.Sync(w.ctx())
			w.wantReason(err, trust.LedgerQuarantined)
			w.wantProof()
			w.wantHead(r, ledger.Genesis)
		})
	}
}

func TestNewMinimumThatContradictsOurHistoryQuarantines(t *testing.T) {
	w := newWorld(t, 19)
	w.mirror(20)
	r := w.open()
	w.sync(r)
	other := w.l.Fork(5)
	for range 15 {
		other.Append(trusttest.Entry{Key: []byte("x"), Value: []byte("y")})
	}
	root := trust.RootLedger{Origin: origin, NoteKeys: w.cfg.NoteKeys, URLs: w.cfg.Mirrors, Minimum: w.l.Anchor(15)}
	if err := r.Follow(w.ctx(), root, nil); err != nil {
		t.Fatal(err)
	}
	w.wantNoEvidence(r)
	root.Minimum = other.Anchor(15)
	if err := r.Follow(w.ctx(), root, nil); err != nil {
		t.Fatal(err)
	}
	w.wantProof()
	_, err := r.Sync(w.ctx())
	w.wantReason(err, trust.LedgerQuarantined)
}

// TestServerRestoredFromABackupContinuesWhereTheRootSays follows the way out: a root version with a resume, and a
// new note key.
func TestServerRestoredFromABackupContinuesWhereTheRootSays(t *testing.T) {
	for _, c := range []struct {
		name         string
		ours, resume uint64
	}{{"we are beyond", 300, 260}, {"at a segment's end", 300, 256}, {"within the first", 30, 20}, {"we are behind", 10, 20}, {"we are there", 20, 20}, {"at nothing", 10, 0}} {
		for _, quarantined := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/quarantined=%v", c.name, quarantined), func(t *testing.T) {
				w := newWorld(t, int(max(c.ours, c.resume))-1)
				m := w.mirror(c.ours)
				r := w.open()
				w.sync(r)
				restored := w.l.Fork(c.resume)
				if quarantined {
					bad := w.l.Fork(min(c.resume, c.ours) / 2)
					for bad.Count() < c.ours {
						bad.Append(trusttest.Entry{Key: []byte("x"), Value: []byte("y")})
					}
					m.Serve(bad.Tree(c.ours))
					_, err := r.Sync(w.ctx())
					w.wantReason(err, trust.LedgerQuarantined)
				}
				fresh := trusttest.NewLedger(t, origin)
				restored.Signer, restored.NoteKey = fresh.Signer, fresh.NoteKey
				for range 5 {
					restored.Append(trusttest.Entry{Key: []byte("after the backup"), Value: []byte("1")})
				}
				restored.Put(w.pub.Notarize(image(1000)))
				anchor := restored.Anchor(c.resume)
				root := trust.RootLedger{Origin: origin, NoteKeys: []string{restored.NoteKey}, URLs: w.cfg.Mirrors, Resume: &anchor}
				for range 2 { // every start hands it in again
					if err := r.Follow(w.ctx(), root, nil); err != nil {
						t.Fatal(err)
					}
				}
				if h, _ := r.Head(); h.Quarantined != "" {
					t.Fatal(h.Quarantined)
				}
				_, err := r.Sync(w.ctx()) // the old line, under the key that no longer counts
				w.wantReason(err, trust.EvidenceUnavailable)
				m.Serve(restored.Tree(restored.Count()))
				w.sync(r)
				check := func() {
					t.Helper()
					w.wantHead(r, restored.At(restored.Count()))
					w.wantAnswers(r, c.resume)
					if got, err := r.ByDigest(image(1000).Manifest); err != nil || len(got) != 1 {
						t.Fatalf("record after the resume: %v, %v", got, err)
					}
				}
				check()
				closeOnce(r)
				w.cfg.NoteKeys, w.cfg.Resume = root.NoteKeys, root.Resume
				r = w.open()
				check()
			})
		}
	}
}

func TestEvidenceThatProvesNothingIsRefused(t *testing.T) {
	w := newWorld(t, 19)
	m := w.mirror(10)
	r := w.open()
	w.sync(r)
	liar := w.l.Fork(5)
	for range 10 {
		liar.Append(trusttest.Entry{Key: []byte("x"), Value: []byte("y")})
	}
	m.Serve(liar.Tree(15))
	_, err := r.Sync(w.ctx())
	w.wantReason(err, trust.LedgerQuarantined)
	good, err := os.ReadFile(w.evidence()[0])
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ledger.Verifiers(w.cfg.NoteKeys)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(e map[string]any){
		"header left out": func(e map[string]any) { e["headers"] = e["headers"].([]any)[1:] },
		"headers swapped": func(e map[string]any) { h := e["headers"].([]any); h[0], h[1] = h[1], h[0] },
		"no header":       func(e map[string]any) { e["headers"] = []any{} },
		"header garbage":  func(e map[string]any) { e["headers"].([]any)[0] = "AAAA" },
		"not signed": func(e map[string]any) {
			delete(e["lower"].(map[string]any), "note")
			delete(e["upper"].(map[string]any), "note")
		},
		"one story":     func(e map[string]any) { e["lower"] = e["upper"]; e["headers"] = []any{} },
		"other origin":  func(e map[string]any) { e["origin"] = "other.example/ledger" },
		"other format":  func(e map[string]any) { e["format"] = "x" },
		"unknown field": func(e map[string]any) { e["more"] = 1 },
		"omitted":       func(e map[string]any) { e["omitted"] = 3 },
		"hash altered":  func(e map[string]any) { e["upper"].(map[string]any)["alh"] = string(w.l.At(3).Alh.Digest()) },
	} {
		var e map[string]any
		if err := json.Unmarshal(good, &e); err != nil {
			t.Fatal(err)
		}
		change(e)
		bad, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if ledger.CheckEvidence(bad, keys) == nil {
			t.Errorf("%s: proves equivocation", name)
		}
	}
	if ledger.CheckEvidence(nil, keys) == nil || ledger.CheckEvidence(good[:len(good)/2], keys) == nil {
		t.Error("half a file proves equivocation")
	}
}
