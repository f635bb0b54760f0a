package ledger_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

// outages are ways a mirror is of no use. None of them is an attack.
func outages() map[string]trusttest.Fault {
	return map[string]trusttest.Fault{
		"404": trusttest.Status(404), "500": trusttest.Status(500), "429": trusttest.Status(429),
		"captive portal": trusttest.Portal(), "garbage": trusttest.Garbage(), "nothing": trusttest.Nothing(),
		"never answers": trusttest.Mute(), "reset at byte 0": trusttest.ResetAt(0), "reset at byte 100": trusttest.ResetAt(100),
		"stalls at byte 100": trusttest.StallAt(100), "1 byte at a time": trusttest.Drip(patience / 40),
		"endless": trusttest.Endless(nil), "endless frame": trusttest.Endless([]byte{0, 0, 200, 0}),
		"other scheme": trusttest.Redirect("ftp://ledger.example/"), "redirect loop": trusttest.Redirect("/checkpoint"),
	}
}

func TestDeadLedgerKeepsTheLastReplicaInBoundedTime(t *testing.T) {
	for name, fault := range outages() {
		for _, path := range []string{"/", "/tx/"} {
			t.Run(name+" on "+path, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 9)
				m := w.mirror(10)
				r := w.open()
				w.sync(r)
				w.grow(w.l, 20)
				m.Serve(w.l.Tree(30))
				m.Break(path, fault)
				_, err := r.Sync(w.ctx()) // ends before its 30 s, or the reason below is missing
				if got := ledger.ReasonOf(err); got != trust.EvidenceUnavailable && got != trust.LedgerInconsistent {
					t.Fatalf("got %q: %v", got, err)
				}
				w.wantHead(r, w.l.At(10))
				w.wantAnswers(r, 10)
				w.wantNoEvidence(r)
				m.Heal()
				w.sync(r)
				w.wantAnswers(r, 30)
			})
		}
	}
}

func TestSilentAndAbsentHostsAreNoAttack(t *testing.T) {
	w := newWorld(t, 9)
	m := w.mirror(10)
	r := w.open()
	w.sync(r)
	closeOnce(r)
	w.cfg.Mirrors = []string{trusttest.Silent(t), trusttest.Nowhere(t)}
	r = w.open()
	_, err := r.Sync(w.ctx())
	w.wantReason(err, trust.EvidenceUnavailable)
	w.wantAnswers(r, 10)
	w.wantNoEvidence(r)
	closeOnce(r)
	w.grow(w.l, 1)
	m.Serve(w.l.Tree(11))
	w.cfg.Mirrors = append(w.cfg.Mirrors, m.URL)
	r = w.open()
	w.sync(r)
	w.wantAnswers(r, 11)
}

func TestBrokenMirrorsBesideAGoodOneInAnyOrder(t *testing.T) {
	for name, fault := range outages() {
		for position := range 2 {
			t.Run(fmt.Sprintf("%s/good one is number %d", name, position+1), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 299)
				for i := range 2 {
					if m := w.mirror(300); i != position {
						m.Break("/tx/", fault)
					}
				}
				r := w.open()
				w.sync(r)
				w.wantAnswers(r, 300)
				w.wantNoEvidence(r)
			})
		}
	}
}

func TestDownloadContinuesWhereAnotherMirrorBrokeOff(t *testing.T) {
	w := newWorld(t, 199)
	a, b := w.mirror(200), w.mirror(200)
	a.Break("/tx/", trusttest.ResetAt(100_000))
	b.Break("/tx/", trusttest.ResetAt(150_000))
	r := w.open()
	rep, err := r.Sync(w.ctx())
	for range 3 {
		if err == nil {
			break
		}
		rep, err = r.Sync(w.ctx()) // goes on with what the last one left
	}
	if err != nil {
		t.Fatal(err)
	}
	w.wantAnswers(r, 200)
	var ranged int
	for _, q := range append(a.Requests(), b.Requests()...) {
		if q.Header.Get("Range") != "" {
			ranged++
		}
	}
	if ranged == 0 {
		t.Errorf("nothing was continued: %+v", rep)
	}
}

func TestInterruptedFirstSyncGoesOnAfterARestart(t *testing.T) {
	w := newWorld(t, 899)
	m := w.mirror(900)
	m.Break("/tx/000", trusttest.Status(500))
	r := w.open()
	rep, err := r.Sync(w.ctx())
	w.wantReason(err, trust.EvidenceUnavailable)
	closeOnce(r)
	m.Heal()
	r = w.open()
	w.wantHead(r, ledger.Genesis)
	again := w.sync(r)
	w.wantAnswers(r, 900)
	if again.Bytes > rep.Bytes/2 {
		t.Errorf("%d bytes after %d bytes that were there", again.Bytes, rep.Bytes)
	}
}

func TestMirrorThatIgnoresRangesStillServes(t *testing.T) {
	w := newWorld(t, 19)
	m := w.mirror(20)
	r := w.open()
	w.sync(r)
	w.grow(w.l, 20)
	m.Serve(w.l.Tree(40))
	m.Break("/tx/", noRanges)
	w.sync(r)
	w.wantAnswers(r, 40)
}

func TestSyncStopsWithItsContext(t *testing.T) {
	w := newWorld(t, 9)
	w.cfg.Patience = time.Hour
	w.mirror(10).Break("/", trusttest.Mute())
	r := w.open()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := r.Sync(ctx); err == nil {
		t.Fatal("nothing answered, and Sync is content")
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := r.Sync(ctx); err == nil {
		t.Fatal("Sync began with a context that had ended")
	}
}

func TestLastingInconsistencyIsLoudAfterADay(t *testing.T) {
	w := newWorld(t, 19)
	m := w.mirror(10)
	now := time.Unix(1_780_000_000, 0).UTC()
	w.cfg.Now = func() time.Time { return now }
	r := w.open()
	w.sync(r)
	dir := w.l.Tree(20)
	spoil(t, dir, mutations["reordered"])
	m.Serve(dir)
	began := now
	for _, c := range []struct {
		after time.Duration
		loud  bool
	}{{0, false}, {23 * time.Hour, false}, {25 * time.Hour, true}} {
		now = began.Add(c.after)
		w.log.Reset()
		_, err := r.Sync(w.ctx())
		w.wantReason(err, trust.LedgerInconsistent)
		if loud := strings.Contains(w.log.String(), "level=ERROR"); loud != c.loud {
			t.Errorf("after %v: loud is %v, want %v", c.after, loud, c.loud)
		}
		closeOnce(r) // it must survive a restart
		r = w.open()
	}
	m.Serve(w.l.Tree(20))
	w.sync(r)
	m.Serve(dir)
	w.log.Reset()
	w.sync(r)
	if strings.Contains(w.log.String(), "level=ERROR") {
		t.Error("still loud after it healed")
	}
}

func TestBadConfigurationIsRefusedAtOpen(t *testing.T) {
	for name, spoil := range map[string]func(*ledger.Config){
		"no note key":      func(c *ledger.Config) { c.NoteKeys = nil },
		"bad note key":     func(c *ledger.Config) { c.NoteKeys = []string{"ledger+00000000+AAAA"} },
		"mirror with ftp":  func(c *ledger.Config) { c.Mirrors = []string{"ftp://x"} },
		"mirror no host":   func(c *ledger.Config) { c.Mirrors = []string{"http://"} },
		"minimum no hash":  func(c *ledger.Config) { c.Minimum.Count = 5 },
		"minimum bad hash": func(c *ledger.Config) { c.Minimum = trust.Anchor{Count: 5, Alh: "sha256:x"} },
		"resume bad hash":  func(c *ledger.Config) { c.Resume = &trust.Anchor{Count: 5, Alh: "x"} },
		"no origin":        func(c *ledger.Config) { c.Origin = "" },
	} {
		w := newWorld(t, 0)
		spoil(&w.cfg)
		if r, err := ledger.Open(w.cfg); err == nil {
			closeOnce(r)
			t.Errorf("%s: opened", name)
		}
	}
}

func noRanges(w http.ResponseWriter, r *http.Request, honest http.Handler, _ <-chan struct{}) {
	r.Header.Del("Range")
	honest.ServeHTTP(w, r)
}
