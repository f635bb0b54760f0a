package main

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

// A newer root document is the way out of a quarantine and the way to a new note key. Both make every sync fail until
// it is followed, so it must be followed all the same.
func TestANewRootIsFollowedWhenTheSyncFails(t *testing.T) {
	for name, breaks := range map[string]func(l *trusttest.Ledger) (now *trusttest.Ledger, resume *trust.Anchor){
		"the ledger told two stories": func(l *trusttest.Ledger) (*trusttest.Ledger, *trust.Anchor) {
			fork := l.Fork(2)
			grow(fork, "other", 5)
			at := fork.Anchor(5)
			return fork, &at
		},
		"the note key was replaced": func(l *trusttest.Ledger) (*trusttest.Ledger, *trust.Anchor) {
			other := trusttest.NewLedger(t, l.Origin)
			l.Signer, l.NoteKey = other.Signer, other.NoteKey
			grow(l, "more", 5)
			return l, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := trusttest.NewLedger(t, "ledger.example.org/main")
			grow(l, "tx", 4)
			m := trusttest.NewMirror(t, l.Tree(4))
			rootKey := trusttest.Key("root")
			first := rootDocument(t, rootKey, 1, l, m.URL, nil)
			h := ledgerHouse(t, first)
			if err := h.sync(t.Context()); err != nil {
				t.Fatal(err)
			}

			now, resume := breaks(l)
			now.Root = 2
			dir := now.Tree(5)
			m.Serve(dir)
			if err := h.sync(t.Context()); err == nil {
				t.Fatal("nothing was wrong")
			}
			trusttest.Write(t, filepath.Join(dir, "root", "2.json"), rootDocument(t, rootKey, 2, now, m.URL, resume))
			if err := h.sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			head, err := h.replica.Head()
			if root, state := h.roots.current(); err != nil || head.Quarantined != "" || head.Alh != now.Anchor(5).Alh || root.Version != 2 || state != "" {
				t.Errorf("head %+v, %v; root %d %s", head, err, root.Version, state)
			}
		})
	}
}

// A stolen note key may name any root version; that must end with the root document that drops the key.
func TestARootNamedByAStolenKeyIsNotWaitedForEver(t *testing.T) {
	l := trusttest.NewLedger(t, "ledger.example.org/main")
	grow(l, "tx", 4)
	m := trusttest.NewMirror(t, l.Tree(4))
	rootKey := trusttest.Key("root")
	h := ledgerHouse(t, rootDocument(t, rootKey, 1, l, m.URL, nil))
	if err := h.sync(t.Context()); err != nil {
		t.Fatal(err)
	}

	dir := l.Tree(4)
	trusttest.Write(t, filepath.Join(dir, "checkpoint"), l.Say(ledger.Checkpoint{
		Origin: l.Origin, Point: l.At(4), Time: time.Now().AddDate(0, 0, 1), Root: 1000,
	}))
	m.Serve(dir)
	if err := h.sync(t.Context()); err == nil {
		t.Fatal("root 1000 was not missed")
	}
	if _, state := h.roots.current(); state != trust.RootMissing {
		t.Fatalf("state %q, want ROOT_MISSING", state)
	}

	other := trusttest.NewLedger(t, l.Origin)
	l.Signer, l.NoteKey, l.Root = other.Signer, other.NoteKey, 2
	dir = l.Tree(4)
	trusttest.Write(t, filepath.Join(dir, "root", "2.json"), rootDocument(t, rootKey, 2, l, m.URL, nil))
	m.Serve(dir)
	_ = h.sync(t.Context()) // it still looked for what the thief had named
	if root, state := h.roots.current(); root.Version != 2 || state != "" {
		t.Errorf("root %d, state %q; want 2 and nothing against it", root.Version, state)
	}
	if err := h.sync(t.Context()); err != nil {
		t.Error(err)
	}
}

func grow(l *trusttest.Ledger, what string, to uint64) {
	for l.Count() < to {
		l.Append(trusttest.Entry{Key: fmt.Appendf(nil, "%s %d", what, l.Count()), Value: []byte("x")})
	}
}

func TestStatusCountsWhatTheLedgerHoldsInVain(t *testing.T) {
	l := trusttest.NewLedger(t, "ledger.example.org/main")
	grow(l, "tx", 4)
	m := trusttest.NewMirror(t, l.Tree(4))
	h := ledgerHouse(t, rootDocument(t, trusttest.Key("root"), 1, l, m.URL, nil))
	h.cfg = &config.Config{}
	if err := h.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := h.ledgerStatus(); st.Count != 4 || st.Ignored["foreign"] != 4 {
		t.Errorf("status %+v, want 4 foreign entries", st)
	}
}

func rootDocument(t *testing.T, key ed25519.PrivateKey, version int, l *trusttest.Ledger, url string, resume *trust.Anchor) []byte {
	t.Helper()
	payload, err := trust.EncodeRoot(trust.Root{
		Version: version, Expires: time.Now().AddDate(1, 0, 0).Truncate(time.Second), Threshold: 1, Keys: []trust.PublisherKey{trusttest.PublisherKey(key)},
		Ledgers: []trust.RootLedger{{Origin: l.Origin, NoteKeys: []string{l.NoteKey}, URLs: []string{url}, Resume: resume}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return trusttest.Seal(t, trust.RootType, payload, key)
}

// ledgerHouse is the part of a house that follows a ledger.
func ledgerHouse(t *testing.T, root []byte) *house {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	data := t.TempDir()
	h := &house{log: slog.New(slog.DiscardHandler)}
	var err error
	must(audit.Init(filepath.Join(data, "log")))
	h.audit, err = audit.Open(filepath.Join(data, "log"), audit.Options{})
	must(err)
	t.Cleanup(func() { _ = h.audit.Close() })
	h.memory, err = trust.InitMemory(filepath.Join(data, "trust.json"))
	must(err)
	h.clock = trust.NewClock(h.memory, func() bool { return true })
	trusttest.Write(t, filepath.Join(data, "shipped", "1.json"), root)
	h.roots, err = openRoots(filepath.Join(data, "shipped"), filepath.Join(data, "root"))
	must(err)
	h.roots.now = h.clock.Now
	newest, _ := h.roots.current()
	rc := replicaConfig(newest, filepath.Join(data, "ledger"))
	must(ledger.Init(rc))
	h.replica, err = ledger.Open(rc)
	must(err)
	t.Cleanup(func() { _ = h.replica.Close() })
	h.ledgers, err = newLedgers(&ledgers{dir: filepath.Join(data, "ledgers"), log: h.log, roots: h.roots.current, root: h.replica,
		installed: func() []string { return nil }, pin: h.memory.Pin, note: h.note, news: h.wake})
	must(err)
	t.Cleanup(func() { _ = h.ledgers.Close() })
	h.owner = openOwner(filepath.Join(data, "house"))
	return h
}
