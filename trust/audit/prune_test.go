package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/trust"
)

// settled waits until nothing is under way, prunings included.
func settled(l *Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.flushing {
		l.idle.Wait()
	}
}

func TestOldSegmentsArePrunedWithARecordAndTheRestVerifies(t *testing.T) {
	l, dir := newLog(t, Options{SegmentBytes: 2 << 10, MaxSegments: 3})
	ref, err := l.Private("Ann Owner")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), KindPin, event{ref}); err != nil {
		t.Fatal(err)
	}
	verdict := func(name string) {
		t.Helper()
		in := trust.Input{Request: trust.Request{Subject: trust.Subject{Component: name}}}
		if _, err := l.RecordVerdict(t.Context(), trust.Verdict{Subject: in.Subject}, in); err != nil {
			t.Fatal(err)
		}
	}
	verdict("old")
	verdict("both")
	for range 60 {
		appendN(t, l, 1)
		settled(l)
	}
	verdict("both")
	settled(l)
	r, err := l.Verify()
	if err != nil {
		t.Fatal(err)
	}
	if r.Files > 3 || r.First < 5 || r.Pruned != r.First-1 {
		t.Errorf("got %+v", r)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "evidence"))
	if err != nil || len(entries) != 1 {
		t.Errorf("evidence left: %v, %v, want that of the verdict that is left", entries, err)
	}
	if _, ok := l.Text(ref); ok {
		t.Error("the private text of a pruned line is still there")
	}
	held := r.Hash
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, dir, Options{SegmentBytes: 2 << 10, MaxSegments: 3})
	appendN(t, l, 1)
	if r := verified(t, dir); r.Hash == held {
		t.Error("nothing was appended")
	}
}

func TestSegmentThatVanishedWithoutARecordIsABreak(t *testing.T) {
	l, dir := newLog(t, Options{SegmentBytes: 1 << 10})
	for range 20 {
		appendN(t, l, 1)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	segs, err := segments(dir)
	if err != nil || len(segs) < 4 {
		t.Fatalf("%d segments, %v", len(segs), err)
	}
	for name, victim := range map[string]segment{"first": segs[0], "middle": segs[2]} {
		data, err := os.ReadFile(victim.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(victim.path); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(dir); err == nil {
			t.Errorf("%s segment removed: not noticed", name)
		}
		if err := os.WriteFile(victim.path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verified(t, dir)
}

func TestEvidenceOverItsBudgetPrunesToo(t *testing.T) {
	l, _ := newLog(t, Options{SegmentBytes: 4 << 10, EvidenceBytes: 64 << 10})
	for i := range 60 {
		in := trust.Input{Request: trust.Request{Subject: trust.Subject{Component: fmt.Sprint(i)}, Requires: nil,
			Raw: &trust.Raw{Manifest: []byte(strings.Repeat("x", 4<<10))}}}
		if _, err := l.RecordVerdict(t.Context(), trust.Verdict{Subject: in.Subject}, in); err != nil {
			t.Fatal(err)
		}
		settled(l)
	}
	if got := l.evidenceBytes(); got > 96<<10 {
		t.Errorf("%d bytes of evidence, the budget is %d", got, 64<<10)
	}
	if _, err := l.Verify(); err != nil {
		t.Error(err)
	}
}

func TestHeadIsSignedAgainAfterADay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := Init(dir); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 49 {
			appendN(t, l, 1)
			time.Sleep(time.Hour)
		}
		heads := 0
		for range l.Records(Filter{Kinds: []Kind{KindHead}}) {
			heads++
		}
		if heads != 3 {
			t.Errorf("%d heads in 48 hours, want 3", heads)
		}
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			l, _ := newLog(b, Options{})
			b.SetParallelism(writers)
			if writers == 1 {
				for b.Loop() {
					appendN(b, l, 1)
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := l.Append(b.Context(), KindAction, event{"an event of the usual length in a line"}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	l, dir := newLog(b, Options{})
	for range 64 {
		if _, err := l.Append(b.Context(), KindAction, event{strings.Repeat("x", 900)}); err != nil {
			b.Fatal(err)
		}
	}
	fi, err := os.Stat(segmentPath(dir, 1))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(fi.Size())
	for b.Loop() {
		if _, err := l.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}
