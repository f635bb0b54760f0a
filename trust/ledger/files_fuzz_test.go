package ledger_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

// sampleFile is a file of a small, real replica.
func sampleFile(f *testing.F, name string) []byte {
	f.Helper()
	l, pub := trusttest.NewLedger(f, origin), trusttest.NewPublisher(f, origin, "core")
	l.Put(pub.Document())
	l.Put(pub.Notarize(image(2)))
	cfg := ledger.Config{
		Dir: f.TempDir(), Origin: origin, NoteKeys: []string{l.NoteKey}, Mirrors: []string{trusttest.NewMirror(f, l.Tree(2)).URL},
	}
	if err := ledger.Init(cfg); err != nil {
		f.Fatal(err)
	}
	r, err := ledger.Open(cfg)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := r.Sync(f.Context()); err != nil {
		f.Fatal(err)
	}
	if err := r.Close(); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(cfg.Dir, name))
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func FuzzHeadFile(f *testing.F) {
	whole := sampleFile(f, "head")
	_, body, _ := bytes.Cut(whole, []byte("\n"))
	f.Add(body)
	f.Add([]byte(`{"origin":"o","count":0,"alh":"","time":-1,"root":0}`))
	f.Add([]byte(`{"origin":"o","count":1,"Count":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		again, err := ledger.ParseHeadForTest(ledger.SealHeadForTest(body))
		if err != nil {
			return
		}
		third, err := ledger.ParseHeadForTest(again)
		if err != nil || !bytes.Equal(third, again) {
			t.Fatalf("%s does not read back: %s, %v", again, third, err)
		}
	})
}

func FuzzIndexFile(f *testing.F) {
	whole := sampleFile(f, "index")
	f.Add(whole[:len(whole)-4])
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, body []byte) {
		b := ledger.SealIndexForTest(body)
		again, err := ledger.ParseIndexForTest(b, origin)
		if err != nil {
			return
		}
		if third, err := ledger.ParseIndexForTest(again, origin); err != nil || !bytes.Equal(third, again) {
			t.Fatalf("an index does not read back: %v", err)
		}
	})
}

func FuzzEvidence(f *testing.F) {
	f.Add([]byte(`{"format":"castellan equivocation v1","origin":"o","found":"2026-01-01T00:00:00Z","noteKeys":[],"lower":{"count":0,"alh":""},"upper":{"count":1,"alh":""},"headers":["AAAA"]}`))
	l := trusttest.NewLedger(f, origin)
	keys, err := ledger.Verifiers([]string{l.NoteKey})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if ledger.CheckEvidence(b, keys) == nil {
			t.Fatalf("proves equivocation without a signature: %s", b)
		}
	})
}
