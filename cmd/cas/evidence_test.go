package main

import (
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/trusttest"
)

// A root document that replaces the note key must be found and followed, though no checkpoint is valid before it is.
func TestANewerRootIsFollowedByTheReplica(t *testing.T) {
	l := trusttest.NewLedger(t, "ledger.example.org/main")
	p := trusttest.NewPublisher(t, l.Origin, "core")
	l.Put(p.Document())
	m := trusttest.NewMirror(t, l.Tree(1))
	key := trusttest.Key("root")
	document := func(version int) (trust.Root, []byte) {
		r := trust.Root{
			Version: version, Expires: time.Now().AddDate(1, 0, 0).Truncate(time.Second), Threshold: 1,
			Keys:    []trust.PublisherKey{trusttest.PublisherKey(key)},
			Ledgers: []trust.RootLedger{{Origin: l.Origin, NoteKeys: []string{l.NoteKey}, URLs: []string{m.URL}}},
		}
		payload, err := trust.EncodeRoot(r)
		if err != nil {
			t.Fatal(err)
		}
		return r, trusttest.Seal(t, trust.RootType, payload, key)
	}
	first, _ := document(1)
	for name, replaced := range map[string]bool{"same note key": false, "another note key": true} {
		t.Run(name, func(t *testing.T) {
			if replaced {
				other := trusttest.NewLedger(t, l.Origin)
				l.Signer, l.NoteKey = other.Signer, other.NoteKey
			}
			l.Root = 2
			l.Put(p.Notarize(trusttest.Image("example.org/core", "1", name)))
			dir := l.Tree(l.Count())
			_, second := document(2)
			trusttest.Write(t, filepath.Join(dir, "root", "2.json"), second)
			m.Serve(dir)
			a := &app{home: t.TempDir(), out: io.Discard, err: io.Discard}
			t.Setenv("CAS_HOME", a.home)
			e, err := a.openEvidence(t.Context(), authority{ledger: first.Ledgers[0], root: first, rooted: true})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			head, err := e.Head()
			if err != nil || e.syncErr != nil || e.rootState != "" || e.root.Version != 2 || head.Count != l.Count() {
				t.Errorf("root %d %s, head %d, %v, %v; want root 2 and head %d", e.root.Version, e.rootState, head.Count, e.syncErr, err, l.Count())
			}
		})
	}
}
