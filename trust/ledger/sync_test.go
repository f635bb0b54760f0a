package ledger_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

func TestFirstSyncBringsTheWholeHistory(t *testing.T) {
	for _, count := range []int{1, 2, 255, 256, 257, 600} {
		w := newWorld(t, count-1)
		w.mirror(uint64(count))
		r := w.open()
		rep := w.sync(r)
		if !rep.Changed || rep.Count != uint64(count) {
			t.Fatalf("%d transactions: report %+v", count, rep)
		}
		w.wantHead(r, w.l.At(uint64(count)))
		w.wantAnswers(r, uint64(count))
		w.wantNoEvidence(r)
	}
}

func TestLaterSyncsContinueAndKeepOnlyWhatTheHeadNeeds(t *testing.T) {
	w := newWorld(t, 249)
	m := w.mirror(250)
	r := w.open()
	w.sync(r)
	for _, count := range []uint64{251, 256, 257, 513, 514} {
		w.grow(w.l, int(count-w.l.Count()))
		m.Serve(w.l.Tree(count))
		if rep := w.sync(r); !rep.Changed {
			t.Fatalf("%d: nothing changed", count)
		}
		w.wantHead(r, w.l.At(count))
		w.wantAnswers(r, count)
		var files int
		err := filepath.WalkDir(filepath.Join(w.cfg.Dir, "tx"), func(_ string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files++
			}
			return err
		})
		if want := int(count+255) / 256; err != nil || files != want {
			t.Fatalf("%d: %d segment files, want %d (%v)", count, files, want, err)
		}
	}
}

func TestSyncFetchesOnlyWhatIsNew(t *testing.T) {
	w := newWorld(t, 249)
	m := w.mirror(250)
	r := w.open()
	whole := w.sync(r).Bytes
	w.grow(w.l, 1)
	m.Serve(w.l.Tree(251))
	if more := w.sync(r).Bytes; more == 0 || more > whole/100 {
		t.Fatalf("one more transaction took %d bytes; all of them took %d", more, whole)
	}
}

func TestNoChangePollIsOneConditionalRequestOfAtMost2KB(t *testing.T) {
	w := newWorld(t, 9)
	w.l.Now = func() time.Time { return time.Unix(1_780_000_000, 0) }
	mirrors := []*trusttest.Mirror{w.mirror(10), w.mirror(10)}
	r := w.open()
	w.sync(r)
	before, err := os.Stat(filepath.Join(w.cfg.Dir, "head"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mirrors {
		m.Requests()
	}
	if rep := w.sync(r); rep.Changed {
		t.Fatal("nothing changed, and the report says so not")
	}
	for _, m := range mirrors {
		seen := m.Requests()
		if len(seen) != 1 || seen[0].Path != "/checkpoint" || seen[0].Status != 304 || seen[0].Bytes > 2048 {
			t.Errorf("requests %+v, want one conditional one of at most 2048 bytes", seen)
		}
	}
	if after, err := os.Stat(filepath.Join(w.cfg.Dir, "head")); err != nil || !after.ModTime().Equal(before.ModTime()) || !os.SameFile(before, after) {
		t.Errorf("the head was written again for nothing (%v)", err)
	}
}

func TestFreshnessIsTheNewestTimeOverOurHistory(t *testing.T) {
	w := newWorld(t, 9)
	start := time.Unix(1_780_000_000, 0).UTC()
	w.l.Now = func() time.Time { return start }
	w.mirror(10)
	w.l.Now = func() time.Time { return start.Add(2 * time.Hour) }
	w.mirror(10)
	w.l.Now = func() time.Time { return start.Add(3 * time.Hour) }
	w.mirror(9) // newer word, older history
	r := w.open()
	rep := w.sync(r)
	if h, _ := r.Head(); !h.Time.Equal(start.Add(2 * time.Hour)) {
		t.Fatalf("time is %v, want %v", h.Time, start.Add(2*time.Hour))
	}
	if rep.Mirrors[0].Stale || rep.Mirrors[1].Stale || !rep.Mirrors[2].Stale {
		t.Fatalf("mirrors %+v, want the last one stale", rep.Mirrors)
	}
}

func TestFreshnessDoesNotRiseWithoutTheTransactions(t *testing.T) {
	w := newWorld(t, 9)
	start := time.Unix(1_780_000_000, 0).UTC()
	w.l.Now = func() time.Time { return start }
	m := w.mirror(10)
	r := w.open()
	w.sync(r)
	w.grow(w.l, 1)
	w.l.Now = func() time.Time { return start.Add(time.Hour) }
	m.Serve(w.l.Tree(11))
	m.Break("/tx/", trusttest.Status(404))
	_, err := r.Sync(w.ctx())
	w.wantReason(err, trust.LedgerInconsistent)
	if h, _ := r.Head(); !h.Time.Equal(start) {
		t.Fatalf("time is %v: a freeze behind a fresh checkpoint went unseen", h.Time)
	}
}

func TestNewestRootVersionIsKeptAndFetched(t *testing.T) {
	w := newWorld(t, 1)
	w.l.Root = 3
	m := w.mirror(2)
	r := w.open()
	if rep := w.sync(r); rep.Root != 3 {
		t.Fatalf("root %d, want 3", rep.Root)
	}
	if h, _ := r.Head(); h.RootVersion != 3 {
		t.Fatalf("head names root %d, want 3", h.RootVersion)
	}
	_, err := r.FetchRoot(w.ctx(), 3)
	w.wantReason(err, trust.RootMissing)
	m.Break("/root/", trusttest.Portal())
	_, err = r.FetchRoot(w.ctx(), 3)
	w.wantReason(err, trust.RootMissing)
}

func TestNextRootIsTakenFromTheMirrorWhoseCopyVerifies(t *testing.T) {
	w := newWorld(t, 1)
	key, thief := trusttest.Key("root"), trusttest.Key("thief")
	expires := time.Unix(1_900_000_000, 0).UTC()
	file := func(version int, signer ed25519.PrivateKey) []byte {
		payload, err := trust.EncodeRoot(trust.Root{
			Version: version, Expires: expires, Keys: []trust.PublisherKey{trusttest.PublisherKey(key)}, Threshold: 1,
			Ledgers: []trust.RootLedger{{Origin: origin, NoteKeys: w.cfg.NoteKeys, URLs: []string{"https://ledger.example"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return trusttest.Seal(t, trust.RootType, payload, signer)
	}
	first, err := trust.VerifyFirstRoot(file(1, key))
	if err != nil {
		t.Fatal(err)
	}
	for _, served := range [][]byte{file(2, thief), file(3, key), []byte("<html>"), file(2, key)} {
		dir := w.l.Tree(2)
		trusttest.Write(t, filepath.Join(dir, "root", "2.json"), served)
		w.cfg.Mirrors = append(w.cfg.Mirrors, trusttest.NewMirror(t, dir).URL)
	}
	r := w.open()
	next, b, err := r.FetchNextRoot(w.ctx(), first)
	if err != nil || next.Version != 2 || string(b) != string(file(2, key)) {
		t.Fatalf("got %+v, %v", next, err)
	}
	_, _, err = r.FetchNextRoot(w.ctx(), next)
	w.wantReason(err, trust.RootMissing)
	if b, err = r.FetchRoot(w.ctx(), 2); err != nil || len(b) == 0 {
		t.Fatal(err)
	}
}

func TestFileIsTakenFromTheMirrorThatHasTheRightOne(t *testing.T) {
	w := newWorld(t, 1)
	content := []byte(`{"channel":"stable"}`)
	a, b, c := w.mirror(2), w.mirror(2), w.mirror(2)
	a.Break("/file/", trusttest.Garbage())
	dir := w.l.Tree(2)
	d := trusttest.PutFile(t, dir, content)
	b.Break("/file/", trusttest.Mute())
	c.Serve(dir)
	r := w.open()
	got, err := r.FetchFile(w.ctx(), d, 1000)
	if err != nil || string(got) != string(content) {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, err := r.FetchFile(w.ctx(), d, 5); err == nil {
		t.Fatal("a file over the limit was taken")
	}
	if _, err := r.FetchFile(w.ctx(), "sha256:../../checkpoint", 1000); err == nil {
		t.Fatal("a path was taken for a digest")
	}
}

func TestReplicaAnswersWithoutAnyMirrorAfterARestart(t *testing.T) {
	w := newWorld(t, 299)
	w.mirror(300)
	r := w.open()
	w.sync(r)
	closeOnce(r)
	w.cfg.Mirrors = nil
	for _, indexed := range []bool{true, false} {
		if !indexed {
			if err := os.Remove(filepath.Join(w.cfg.Dir, "index")); err != nil {
				t.Fatal(err)
			}
		}
		r := w.open()
		w.wantHead(r, w.l.At(300))
		w.wantAnswers(r, 300)
		_, err := r.Sync(w.ctx())
		w.wantReason(err, trust.EvidenceUnavailable)
		w.wantAnswers(r, 300)
		closeOnce(r)
	}
}

func TestLookupsByNameAndPublisher(t *testing.T) {
	w := newWorld(t, 0)
	s := image(2)
	w.l.Put(w.pub.Notarize(s), w.pub.Notarize(trusttest.Image(s.Repository, "other", "")))
	w.l.Put(w.pub.Notarize(s, trusttest.Withdraw))
	w.l.Put(w.pub.Succeed(func(p *trust.Publisher) { p.Label = "renamed" }))
	forged := trusttest.NewPublisher(t, origin, "forger")
	forged.Doc = w.pub.Doc
	forged.ID = w.pub.ID
	w.l.Put(forged.Succeed(func(p *trust.Publisher) { p.Label = "mine now" })) // signed by another root key
	w.mirror(w.l.Count())
	r := w.open()
	w.sync(r)
	for version, want := range map[string]int{"": 3, s.Version: 2, "other": 1, "none": 0} {
		if got, err := r.ByName(trust.KindImage, s.Repository, version); err != nil || len(got) != want {
			t.Errorf("version %q: %d records, %v; want %d", version, len(got), err, want)
		}
	}
	if got, err := r.ByName(trust.KindChannel, s.Repository, ""); err != nil || len(got) != 0 {
		t.Errorf("other kind: %d records, %v", len(got), err)
	}
	got, err := r.ByDigest(s.Config)
	if err != nil || len(got) != 2 || got[1].Notarization.Status != trust.Untrusted || !got[0].Pos.Before(got[1].Pos) {
		t.Errorf("by digest: %+v, %v", got, err)
	}
	for range 2 { // from disk, from the cache
		chain, err := r.PublisherChain(w.pub.ID)
		if err != nil || len(chain) != 2 || chain[1].Publisher.Label != "renamed" {
			t.Fatalf("chain %+v, %v; want the two valid documents", chain, err)
		}
	}
	if chain, err := r.PublisherChain("p-unknown"); err != nil || len(chain) != 0 {
		t.Errorf("unknown publisher: %v, %v", chain, err)
	}
}

func TestLostHeadIsStateMissingAndNeverAFreshStart(t *testing.T) {
	w := newWorld(t, 9)
	w.mirror(10)
	r := w.open()
	w.sync(r)
	closeOnce(r)
	name := filepath.Join(w.cfg.Dir, "head")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func() error{
		"torn":  func() error { return os.WriteFile(name, whole[:len(whole)/2], 0o600) },
		"empty": func() error { return os.WriteFile(name, nil, 0o600) },
		"bit flip": func() error {
			b := append([]byte(nil), whole...)
			b[len(b)-10] ^= 1
			return os.WriteFile(name, b, 0o600)
		},
		"gone": func() error { return os.Remove(name) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		_, err := ledger.Open(w.cfg)
		if ledger.ReasonOf(err) != trust.StateMissing {
			t.Errorf("%s: open: %v, want STATE_MISSING", what, err)
		}
		if err := ledger.Init(w.cfg); ledger.ReasonOf(err) != trust.StateMissing {
			t.Errorf("%s: init: %v, want STATE_MISSING", what, err)
		}
	}
	if err := ledger.Reinit(w.cfg); err != nil {
		t.Fatal(err)
	}
	r = w.open()
	w.sync(r)
	w.wantAnswers(r, 10)
	closeOnce(r)
	w.cfg.Dir = filepath.Join(t.TempDir(), "never")
	if _, err := ledger.Open(w.cfg); ledger.ReasonOf(err) != trust.StateMissing {
		t.Errorf("missing folder: %v, want STATE_MISSING", err)
	}
}

func TestInitTwiceKeepsTheReplica(t *testing.T) {
	w := newWorld(t, 9)
	w.mirror(10)
	r := w.open()
	w.sync(r)
	if _, err := ledger.Open(w.cfg); !errors.Is(err, durable.ErrLocked) {
		t.Fatalf("second process: %v, want ErrLocked", err)
	}
	closeOnce(r)
	if err := ledger.Init(w.cfg); err != nil {
		t.Fatal(err)
	}
	r = w.open()
	w.wantHead(r, w.l.At(10))
	closeOnce(r)
	w.cfg.Origin = "other.example/ledger"
	if _, err := ledger.Open(w.cfg); err == nil || !strings.Contains(err.Error(), "castellan trust reinit") {
		t.Fatalf("a replica was opened as another ledger's, or no way out was named: %v", err)
	}
	if err := os.Remove(filepath.Join(w.cfg.Dir, "head")); err != nil {
		t.Fatal(err)
	}
	if err := ledger.Reinit(w.cfg); err != nil {
		t.Fatal(err)
	}
	closeOnce(w.open())
}

func TestLedgerOverTheCapIsTooBigAndKeepsTheOldHead(t *testing.T) {
	w := newWorld(t, 9)
	m := w.mirror(10)
	w.cfg.MaxBytes = 40 << 10
	r := w.open()
	w.sync(r)
	w.grow(w.l, 600)
	m.Serve(w.l.Tree(610))
	for range 2 {
		rep, err := r.Sync(w.ctx())
		w.wantReason(err, trust.LedgerTooBig)
		if rep.Bytes > w.cfg.MaxBytes {
			t.Fatalf("%d bytes were fetched, %d are allowed", rep.Bytes, w.cfg.MaxBytes)
		}
	}
	w.wantHead(r, w.l.At(10))
	w.wantAnswers(r, 10)
	m.Serve(w.l.Tree(12)) // what did not fit must not stand in the way of what does
	w.sync(r)
	w.wantAnswers(r, 12)
	closeOnce(r)
	m.Serve(w.l.Tree(610))
	w.cfg.MaxBytes = 10 << 20
	r = w.open()
	w.sync(r)
	w.wantAnswers(r, 610)
	// A count nobody can hold is refused before anything is asked for.
	m.Requests()
	dir := w.l.Tree(610)
	trusttest.Write(t, filepath.Join(dir, "checkpoint"), w.l.Say(ledger.Checkpoint{
		Origin: origin, Point: ledger.Point{Count: 1 << 40}, Time: time.Now(), Root: 1,
	}))
	m.Serve(dir)
	_, err := r.Sync(w.ctx())
	w.wantReason(err, trust.LedgerTooBig)
	if seen := m.Requests(); len(seen) != 1 {
		t.Fatalf("%d requests, want one", len(seen))
	}
}

func TestIndexOf100000RecordsTakesAtMost15MB(t *testing.T) {
	const n = 12_000
	l, pub := trusttest.NewLedger(t, origin), trusttest.NewPublisher(t, origin, "core")
	dir, _ := madeTree(t, l, n, func(i int) trusttest.Entry { return trusttest.Record(t, pub.Notarize(image(uint64(i)))) })
	r := openIn(t, l, trusttest.NewMirror(t, dir).URL)
	if _, err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := r.Stats(); s.Notarizations != n {
		t.Fatalf("counted %+v", s)
	}
	if per := r.IndexBytes() / n; per > 150 {
		t.Errorf("%d bytes for each record", per)
	}
}

// TestTheLastSyncIsRemembered with what each mirror did; withdrawals are counted, from the index file too.
func TestTheLastSyncIsRemembered(t *testing.T) {
	w := newWorld(t, 1)
	good, bad := w.mirror(2), w.mirror(2)
	bad.Break("/checkpoint", trusttest.Status(500))
	r := w.open()
	if _, _, ok := r.LastSync(); ok {
		t.Error("there was one before the first")
	}
	w.l.Append(trusttest.Record(t, w.pub.Notarize(image(1), trusttest.Withdraw)))
	good.Serve(w.l.Tree(3))
	report := w.sync(r)
	met, at, ok := r.LastSync()
	if !ok || at.IsZero() || met.Count != 3 || len(met.Mirrors) != 2 || met.Count != report.Count {
		t.Fatalf("%+v at %v, %v", met, at, ok)
	}
	for _, m := range met.Mirrors {
		if m.URL == good.URL && (m.Err != nil || m.Count != 3) || m.URL == bad.URL && m.Err == nil {
			t.Errorf("mirror %+v", m)
		}
	}
	if s := r.Stats(); s.Withdrawals != 1 || s.Notarizations != 2 {
		t.Errorf("counted %+v", s)
	}
	closeOnce(r)
	if s := w.open().Stats(); s.Withdrawals != 1 {
		t.Errorf("after a restart: %+v", s)
	}
}

// TestAnswersAreCompleteUpToTheHeadWhileSyncing asks all the time: what Head counts, look-ups find.
func TestAnswersAreCompleteUpToTheHeadWhileSyncing(t *testing.T) {
	w := newWorld(t, 249)
	m := w.mirror(250)
	r := w.open()
	w.sync(r)
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				h, err := r.Head()
				if err != nil {
					t.Error(err)
					return
				}
				got, err := r.ByDigest(image(h.Count).Manifest)
				if err != nil || len(got) != 1 {
					t.Errorf("head is %d: %d records for its transaction, %v", h.Count, len(got), err)
					return
				}
				if chain, err := r.PublisherChain(w.pub.ID); err != nil || len(chain) != 1 {
					t.Errorf("chain %v, %v", chain, err)
					return
				}
			}
		})
	}
	for range 12 {
		w.grow(w.l, 3)
		m.Serve(w.l.Tree(w.l.Count()))
		w.sync(r)
	}
	close(done)
	asking.Wait()
}

func TestClaimOfTooMuchHidesNoHistoryThatFits(t *testing.T) {
	w := newWorld(t, 9)
	boast := w.mirror(10)
	w.mirror(10)
	dir := w.l.Tree(10)
	p := w.l.At(10)
	p.Count = 1 << 40
	trusttest.Write(t, filepath.Join(dir, "checkpoint"), w.l.Say(ledger.Checkpoint{Origin: origin, Point: p, Time: time.Now(), Root: 1}))
	boast.Serve(dir)
	r := w.open()
	w.sync(r)
	w.wantHead(r, w.l.At(10))
	w.wantAnswers(r, 10)
	_, err := r.Sync(w.ctx()) // nothing is left to follow but the claim
	w.wantReason(err, trust.LedgerTooBig)
}

func TestLeftoverDownloadReplacesNoGoodSegment(t *testing.T) {
	w := newWorld(t, 299)
	m := w.mirror(300)
	r := w.open()
	w.sync(r)
	closeOnce(r)
	full := trusttest.SegmentFile(w.cfg.Dir, 0, ledger.SegmentTxs)
	trusttest.Write(t, full+".unverified", []byte("of another history"))
	trusttest.Write(t, trusttest.SegmentFile(w.cfg.Dir, 1, 44), []byte("decayed"))
	if err := os.Remove(filepath.Join(w.cfg.Dir, "index")); err != nil {
		t.Fatal(err)
	}
	r = w.open()
	w.sync(r)
	w.wantHead(r, w.l.At(300))
	w.wantAnswers(r, 300)
	if got := m.Requests(); len(got) == 0 {
		t.Error("the decayed segment was not fetched")
	}
}
