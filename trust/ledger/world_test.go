package ledger_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(childMain())
	}
	goleak.VerifyTestMain(m)
}

const origin = "ledger.example/castellan"

// patience is what replicas in tests grant a mirror: enough for a good one on a busy machine.
const patience = 2 * time.Second

// world is a ledger with one publisher, and an appliance that follows it.
type world struct {
	*testing.T
	l   *trusttest.Ledger
	pub *trusttest.Publisher
	cfg ledger.Config
	log *bytes.Buffer
}

// newWorld has a ledger with the publisher's document and images 1 to n, each in a transaction of its own.
func newWorld(t *testing.T, n int) *world {
	t.Helper()
	w := &world{T: t, l: trusttest.NewLedger(t, origin), log: &bytes.Buffer{}}
	w.pub = trusttest.NewPublisher(t, origin, "core")
	w.l.Put(w.pub.Document())
	w.grow(w.l, n)
	w.cfg = ledger.Config{
		Dir: filepath.Join(t.TempDir(), "replica"), Origin: origin, NoteKeys: []string{w.l.NoteKey}, Patience: patience,
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	if err := ledger.Init(w.cfg); err != nil {
		t.Fatal(err)
	}
	return w
}

// image is the image that transaction tx notarizes.
func image(tx uint64) trust.Subject {
	return trusttest.Image("ghcr.io/castellan/core", "2026."+string(rune('a'+tx%26)), string(rune(tx)))
}

// grow adds n notarized images to l.
func (w *world) grow(l *trusttest.Ledger, n int) {
	w.Helper()
	for range n {
		l.Put(w.pub.Notarize(image(l.Count() + 1)))
	}
}

func (w *world) mirror(count uint64) *trusttest.Mirror {
	w.Helper()
	m := trusttest.NewMirror(w, w.l.Tree(count))
	w.cfg.Mirrors = append(w.cfg.Mirrors, m.URL)
	return m
}

// open opens the replica and closes it with the test, unless that was done before.
func (w *world) open() *ledger.Replica {
	w.Helper()
	r, err := ledger.Open(w.cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { closeOnce(r) })
	return r
}

var closed sync.Map // of *ledger.Replica; tests run in parallel

func closeOnce(r *ledger.Replica) {
	if _, again := closed.LoadOrStore(r, true); !again {
		_ = r.Close()
	}
}

func (w *world) sync(r *ledger.Replica) ledger.Report {
	w.Helper()
	rep, err := r.Sync(w.ctx())
	if err != nil {
		w.Fatal(err)
	}
	return rep
}

// ctx ends long before the test would, so that what hangs is named.
func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	w.Cleanup(cancel)
	return ctx
}

func (w *world) wantHead(r *ledger.Replica, p ledger.Point) {
	w.Helper()
	h, err := r.Head()
	if err != nil {
		w.Fatal(err)
	}
	if h.Count != p.Count || h.Alh != p.Alh.Digest() {
		w.Fatalf("head is %d (%s), want %v", h.Count, h.Alh.Short(), p)
	}
}

// wantAnswers asks for the image of every transaction up to count, and for none beyond.
func (w *world) wantAnswers(r *ledger.Replica, count uint64) {
	w.Helper()
	for tx := uint64(2); tx <= count; tx++ {
		got, err := r.ByDigest(image(tx).Manifest)
		if err != nil {
			w.Fatal(err)
		}
		if len(got) != 1 || got[0].Pos != (trust.Position{Tx: tx}) {
			w.Fatalf("transaction %d: got %d records, want the one that stands there", tx, len(got))
		}
	}
	if got, err := r.ByDigest(image(count + 1).Manifest); err != nil || len(got) != 0 {
		w.Fatalf("beyond the head: got %d records, %v", len(got), err)
	}
}

func (w *world) wantReason(err error, want trust.Reason) {
	w.Helper()
	if got := ledger.ReasonOf(err); got != want {
		w.Fatalf("got reason %q, want %q: %v", got, want, err)
	}
}

// wantNoEvidence makes sure that nothing was taken for an attack.
func (w *world) wantNoEvidence(r *ledger.Replica) {
	w.Helper()
	if h, _ := r.Head(); h.Quarantined != "" {
		w.Fatalf("quarantined: %s", h.Quarantined)
	}
	if files := w.evidence(); len(files) != 0 {
		w.Fatalf("evidence files %v", files)
	}
}

func (w *world) evidence() []string {
	w.Helper()
	files, err := filepath.Glob(filepath.Join(w.cfg.Dir, "equivocation-*.json"))
	if err != nil {
		w.Fatal(err)
	}
	return files
}

// wantProof makes sure that there is one evidence file and that it proves equivocation to a stranger.
func (w *world) wantProof() {
	w.Helper()
	files := w.evidence()
	if len(files) != 1 {
		w.Fatalf("evidence files %v, want one", files)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		w.Fatal(err)
	}
	keys, err := ledger.Verifiers(w.cfg.NoteKeys)
	if err != nil {
		w.Fatal(err)
	}
	if err := ledger.CheckEvidence(b, keys); err != nil {
		w.Fatalf("evidence: %v\n%s", err, b)
	}
	other, err := ledger.Verifiers([]string{trusttest.NewLedger(w, origin).NoteKey})
	if err != nil {
		w.Fatal(err)
	}
	if ledger.CheckEvidence(b, other) == nil {
		w.Fatal("evidence convinces those who do not know the ledger's key")
	}
}
