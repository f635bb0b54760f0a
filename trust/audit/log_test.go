package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

// newLog is an empty log; close it with the test.
func newLog(t testing.TB, o Options) (*Log, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	if err := Init(dir); err != nil {
		t.Fatal(err)
	}
	return openLog(t, dir, o), dir
}

func openLog(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

type event struct {
	What string `json:"what"`
}

func appendN(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		if _, err := l.Append(t.Context(), KindAction, event{fmt.Sprintf("event %d", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// verified fails the test unless dir verifies.
func verified(t testing.TB, path string, held ...string) Report {
	t.Helper()
	r, err := Verify(path, held...)
	if err != nil {
		t.Fatalf("%v\n%+v", err, r.Breaks)
	}
	return r
}

func TestRecordsAreChosenByTheirTime(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	l, _ := newLog(t, Options{Now: func() time.Time { now = now.Add(time.Minute); return now }})
	appendN(t, l, 5)
	for _, c := range []struct {
		f    Filter
		want int
	}{
		{Filter{}, 5}, {Filter{Until: now}, 4}, {Filter{Since: now}, 1}, {Filter{Since: now.Add(-2 * time.Minute), Until: now.Add(-time.Minute)}, 1}, {Filter{Until: now.Add(-time.Hour)}, 0},
	} {
		c.f.Kinds = []Kind{KindAction}
		n := 0
		for range l.Records(c.f) {
			n++
		}
		if n != c.want {
			t.Errorf("%+v: %d records, want %d", c.f, n, c.want)
		}
	}
}

// TestAccountsNameNobodyInTheirLines, nor hold anything else that the side file keeps.
func TestAccountsNameNobodyInTheirLines(t *testing.T) {
	l, dir := newLog(t, Options{})
	p := AccountPayload{What: "token made", User: "berthold", Role: "viewer", Token: "3f2a", Name: "living room", By: "annabel"}
	if _, err := l.Append(t.Context(), KindAccount, p); err != nil {
		t.Fatal(err)
	}
	for rec, err := range l.Records(Filter{Kinds: []Kind{KindAccount}}) {
		var got AccountPayload
		if err := errors.Join(err, json.Unmarshal(rec.Payload, &got)); err != nil {
			t.Fatal(err)
		}
		for _, private := range []string{p.User, p.Name, p.By} {
			if strings.Contains(string(rec.Payload), private) {
				t.Errorf("the line holds %q: %s", private, rec.Payload)
			}
		}
		for _, s := range []*string{&got.User, &got.Name, &got.By} {
			*s, _ = l.Text(*s)
		}
		if got != p {
			t.Errorf("put back: %+v", got)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	verified(t, dir)
	if !slices.Contains(Kinds(), KindAccount) {
		t.Error("it is no kind")
	}
}

func TestRecordsComeBackInOrderAndVerify(t *testing.T) {
	l, dir := newLog(t, Options{})
	appendN(t, l, 5)
	var whats []string
	for rec, err := range l.Records(Filter{Kinds: []Kind{KindAction}}) {
		if err != nil {
			t.Fatal(err)
		}
		whats = append(whats, string(rec.Payload))
	}
	if len(whats) != 5 || whats[4] != `{"what":"event 4"}` {
		t.Errorf("got %q", whats)
	}
	newest := uint64(0)
	for rec := range l.Records(Filter{Newest: true}) {
		newest = rec.Seq
		break
	}
	if newest != l.Last() || newest != 6 { // five actions and the first head
		t.Errorf("newest %d, last %d, want 6", newest, l.Last())
	}
	if r, err := l.Verify(); err != nil || r.Records != 6 || r.Heads != 1 {
		t.Errorf("open log: %+v, %v", r, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r := verified(t, dir); r.First != 1 || r.Last != 6 || r.Torn {
		t.Errorf("got %+v", r)
	}
	if _, err := l.Append(t.Context(), KindBoot, event{}); !errors.Is(err, ErrClosed) {
		t.Errorf("append to a closed log: %v", err)
	}
}

func TestReopenedLogContinuesTheChain(t *testing.T) {
	l, dir := newLog(t, Options{})
	for range 3 {
		appendN(t, l, 2)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, dir, Options{})
	}
	if r := verified(t, dir); r.Last != 7 {
		t.Errorf("got %+v", r)
	}
}

func TestConcurrentAppendsShareSyncsAndLoseNothing(t *testing.T) {
	l, _ := newLog(t, Options{SegmentBytes: 4 << 10})
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				seq, err := l.Append(t.Context(), KindAction, event{fmt.Sprint(w, i)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if seen[seq] {
					t.Errorf("number %d twice", seq)
				}
				seen[seq] = true
				mu.Unlock()
			}
		})
	}
	for range 5 { // while it is written
		if _, err := l.Verify(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if r, err := l.Verify(); err != nil || r.Records != 401 || r.Files < 3 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestOnlyOneWriter(t *testing.T) {
	_, dir := newLog(t, Options{})
	if _, err := Open(dir, Options{}); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
}

func TestMissingLogIsNeverASilentFreshStart(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrMissing) {
		t.Errorf("empty folder: %v, want ErrMissing", err)
	}
	if err := Init(dir); err != nil {
		t.Fatal(err)
	}
	if err := Init(dir); err == nil {
		t.Error("second Init succeeded")
	}
	if err := os.Remove(segmentPath(dir, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrMissing) {
		t.Errorf("no segment: %v, want ErrMissing", err)
	}
	if err := os.Remove(filepath.Join(dir, "device.key")); err != nil {
		t.Fatal(err)
	}
	if err := Init(dir); err != nil {
		t.Errorf("Init of a folder without key and lines: %v", err)
	}
}

func TestBadPayloadsAreRefusedAndLeaveTheLogInOrder(t *testing.T) {
	l, _ := newLog(t, Options{})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name    string
		ctx     context.Context
		kind    Kind
		payload any
		want    string
	}{
		{"kind of nobody", t.Context(), "party", event{}, "not a kind"},
		{"verdict by the side door", t.Context(), KindVerdict, event{}, "not a kind"},
		{"kind of the log", t.Context(), KindPrune, event{}, "not a kind"},
		{"no object", t.Context(), KindAction, "text", "not a JSON object"},
		{"no JSON", t.Context(), KindAction, func() {}, "unsupported type"},
		{"too big", t.Context(), KindAction, event{strings.Repeat("x", maxPayload)}, "at most"},
		{"cancelled", cancelled, KindAction, event{}, "context canceled"},
	} {
		if _, err := l.Append(tc.ctx, tc.kind, tc.payload); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q in it", tc.name, err, tc.want)
		}
	}
	if _, err := l.Append(t.Context(), KindRecovered, map[string]any{"replica": "damaged, fetched again"}); err != nil {
		t.Errorf("a recovery of somebody else: %v", err)
	}
	if r, err := l.Verify(); err != nil || r.Records != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestHeadsAreSignedDailyAndAtEachOverride(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	var notes []string
	l, dir := newLog(t, Options{Now: func() time.Time { return now }, OnHead: func(n string) { notes = append(notes, n) }})
	kinds := func() (out []Kind) {
		for rec := range l.Records(Filter{}) {
			out = append(out, rec.Kind)
		}
		return out
	}
	appendN(t, l, 2) // the first record of all gets a head
	now = now.Add(24 * time.Hour)
	appendN(t, l, 2)
	if _, err := l.Append(t.Context(), KindOverride, trust.Override{ID: "o1", Why: "my house", By: "ann"}); err != nil {
		t.Fatal(err)
	}
	note, err := l.SignHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Kind{KindAction, KindHead, KindAction, KindAction, KindHead, KindAction, KindOverride, KindHead, KindHead}
	if got := kinds(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 4 || notes[3] != note {
		t.Errorf("got %d notes, want 4 with the last as returned", len(notes))
	}
	if r := verified(t, dir, notes...); r.Held != 4 {
		t.Errorf("%d held heads hold, want 4", r.Held)
	}
}
