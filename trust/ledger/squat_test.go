package ledger_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

func TestFastForwardByAStolenNoteKeyEndsWithTheKey(t *testing.T) {
	w := newWorld(t, 3)
	now := time.Unix(1_790_000_000, 0)
	w.l.Now = func() time.Time { return now }
	m := w.mirror(4)
	r := w.open()
	w.sync(r)

	// A thief signs with the stolen key.
	dir := w.l.Tree(4)
	trusttest.Write(t, filepath.Join(dir, "checkpoint"), w.l.Say(ledger.Checkpoint{Origin: origin, Point: w.l.At(4), Time: now.AddDate(9, 0, 0), Root: 1000}))
	m.Serve(dir)
	w.sync(r)

	// The root document names another key.
	other := trusttest.NewLedger(t, origin)
	w.l.Signer, w.l.NoteKey = other.Signer, other.NoteKey
	w.l.Root = 2
	now = now.Add(time.Hour)
	w.grow(w.l, 1)
	m.Serve(w.l.Tree(5))
	if err := r.Follow(w.ctx(), trust.RootLedger{Origin: origin, NoteKeys: []string{other.NoteKey}, URLs: []string{m.URL}}, nil); err != nil {
		t.Fatal(err)
	}
	w.sync(r)
	h, _ := r.Head()
	if !h.Time.Equal(now) || h.RootVersion != 2 {
		t.Errorf("time %v root %d, want %v and 2", h.Time, h.RootVersion, now)
	}
}

// The key of a publisher's next document can be foretold by anybody, and so can that of a record on its way.
func TestForgedNextDocumentSilencesNobody(t *testing.T) {
	w := newWorld(t, 1)
	thief := trusttest.NewPublisher(t, origin, "thief")
	forged := *w.pub
	forged.Root = thief.Root
	w.l.Put(forged.Succeed(func(p *trust.Publisher) { p.Label = "squatted" })) // p/<id>/2, not signed by the root key
	stolen := w.pub.Key
	w.pub.Key = trusttest.Key("core working 2")
	w.l.Put(w.pub.Succeed(func(p *trust.Publisher) {
		p.Keys = []trust.PublisherKey{trusttest.PublisherKey(w.pub.Key)}
		p.Revoked = []trust.Revocation{{KeyID: trusttest.PublisherKey(stolen).KeyID, Reason: trust.Compromised}}
	}))
	w.mirror(w.l.Count())
	r := w.open()
	w.sync(r)
	chain, err := r.PublisherChain(w.pub.ID)
	if err != nil || len(chain) != 2 {
		t.Errorf("chain of %d documents, %v; the revocation of the stolen key is lost", len(chain), err)
	}
}

func TestForgedRecordUnderTheSameKeySilencesNobody(t *testing.T) {
	w := newWorld(t, 1)
	real := w.pub.Notarize(image(50), trusttest.Withdraw)
	rec, err := trust.ParseRecord(real)
	if err != nil {
		t.Fatal(err)
	}
	forged := w.pub.Sign(*rec.Notarization, trusttest.Key("thief"))
	other := *rec.Notarization
	other.Subjects = trusttest.Subjects(image(51))
	w.l.Put(forged)
	w.l.Put(real)
	w.l.Put(w.pub.Sign(other, w.pub.Key)) // his own second word under the same key counts for nothing
	w.l.Put(real)                         // nor does it count twice
	w.mirror(w.l.Count())
	r := w.open()
	w.sync(r)
	chain, err := r.PublisherChain(w.pub.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range map[string]trust.Evidence{"all": r, "one publisher": r.For([]string{w.pub.ID})} {
		got, err := ev.ByDigest(image(50).Manifest)
		if err != nil {
			t.Fatal(err)
		}
		var good []uint64
		for _, n := range got {
			if _, err := trust.VerifyNotarization(chain, n); err == nil {
				good = append(good, n.Pos.Tx)
			}
		}
		if len(good) != 1 || good[0] != 4 {
			t.Errorf("records that count stand at %v, want transaction 4 alone", good)
		}
		if got, err := ev.ByDigest(image(51).Manifest); err != nil || len(got) != 0 {
			t.Errorf("second word under one key: %d records, %v", len(got), err)
		}
	}
	if s := r.Stats(); s.Repeated != 3 {
		t.Errorf("counted %d repeats, want 3", s.Repeated)
	}
	word := func(known ...string) trust.Status {
		facts, err := trust.Collect(r, image(50), nil, trust.Root{}, known...)
		if err != nil {
			t.Fatal(err)
		}
		return trust.ReadWord(facts, trust.Root{}, known, image(50).Manifest).Status
	}
	if got := word(w.pub.ID); got != trust.Untrusted {
		t.Errorf("status %s, want the withdrawal", got)
	}
}
