package trust

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func newMemory(t *testing.T) *Memory {
	t.Helper()
	m, err := InitMemory(filepath.Join(t.TempDir(), "trust.json"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *Memory) reopen(t *testing.T) *Memory {
	t.Helper()
	got, err := OpenMemory(m.path)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLostMemoryIsAnErrorAndNeverAFreshStart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "trust.json")
	missing := func(content string) {
		t.Helper()
		if content != "" {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := OpenMemory(path)
		var state *StateError
		if !errors.As(err, &state) || ReasonOf(err) != StateMissing {
			t.Fatalf("content %q: got %v, want STATE_MISSING", content, err)
		}
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "trust reinit") {
			t.Errorf("error %q names no file or no next step", err)
		}
	}
	missing("")
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Fatal("opening made a file")
	}
	for _, bad := range []string{
		"{", "null", "[]", "{}", `{"format":2}`, `{"format":1}x`, `{"format":1,"format":1}`, `{"Format":1}`, `{"format":1,"extra":true}`, "\x00\x00",
	} {
		missing(bad)
	}
	if _, err := InitMemory(path); err == nil {
		t.Error("initialised over an existing file")
	}
}

func TestMemorySurvivesARestart(t *testing.T) {
	m := newMemory(t)
	d := DigestOf([]byte("x"))
	mark := Mark{Digest: d, Publisher: "p-x", Ledger: worldOrigin, UID: 1 << 62, Pos: Position{3, 1}, Severity: SeverityStop, ByRoot: true}
	for _, err := range []error{m.pin("a", "p-x", worldOrigin), m.raise("a", worldOrigin, Position{7, 2}, false), m.mark(mark), m.mark(mark), m.Deny(d), m.Deny(d), m.note(Verdict{Outcome: Allow})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := m.reopen(t)
	if !reflect.DeepEqual(got.read(), m.read()) || len(got.Marks()) != 1 || len(got.Denied()) != 1 {
		t.Errorf("got %+v, want %+v", got.read(), m.read())
	}
	if fi, _ := os.Stat(m.path); fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	if err := m.Undeny(d); err != nil || len(m.reopen(t).Denied()) != 0 {
		t.Errorf("still denied: %v", err)
	}
	if m.Deny("latest") == nil {
		t.Error("denied a tag")
	}
}

func TestFailedWriteLeavesTheOldStateInForce(t *testing.T) {
	m := newMemory(t)
	if err := m.raise("a", worldOrigin, Position{Tx: 5}, false); err != nil {
		t.Fatal(err)
	}
	good := m.path
	m.path = filepath.Join(filepath.Dir(good), "gone", "trust.json")
	if err := m.raise("a", worldOrigin, Position{Tx: 9}, false); err == nil {
		t.Fatal("want an error")
	}
	if p := m.Pin("a"); p.Floor != (Position{Tx: 5}) {
		t.Errorf("floor %v in memory and 5 on disk", p.Floor)
	}
	m.path = good
	if p := m.reopen(t).Pin("a"); p.Floor != (Position{Tx: 5}) {
		t.Errorf("floor %v on disk, want 5", p.Floor)
	}
}

func TestRestoredBackupLowersNothing(t *testing.T) {
	now, old := newMemory(t), newMemory(t)
	mark := func(s string) Mark { return Mark{Digest: DigestOf([]byte(s)), Publisher: "p-x"} }
	if err := errors.Join(
		now.pin("a", "p-now", "l"), now.raise("a", "l", Position{Tx: 9}, false), now.raise("b", "l", Position{Tx: 1}, false), now.raise("d", "l", Position{Tx: 3}, false),
		now.mark(mark("seen now")), now.Deny(DigestOf([]byte("now"))),
		old.pin("a", "p-old", "l"), old.raise("a", "l", Position{Tx: 5}, false), old.raise("b", "l", Position{Tx: 4}, false), old.pin("c", "p-old", "l"),
		old.raise("d", "another", Position{Tx: 8}, false), old.mark(mark("seen then")), old.Deny(DigestOf([]byte("then"))),
	); err != nil {
		t.Fatal(err)
	}
	_, err := old.AddOverride(Override{Component: "a", Digest: DigestOf(nil), Reasons: []Reason{SignatureMissing}, Why: "w", By: "b"}, "", worldStart, nolog)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := now.Merge(old); err != nil {
			t.Fatal(err)
		}
	}
	got := now.reopen(t)
	for c, want := range map[string]Pin{
		"a": {"a", "p-now", Position{Tx: 9}, "l"}, "b": {"b", "", Position{Tx: 4}, "l"},
		"c": {"c", "p-old", Position{}, "l"}, "d": {"d", "", Position{Tx: 3}, "l"},
	} {
		if p := got.Pin(c); p == nil || *p != want {
			t.Errorf("pin %+v, want %+v", p, want)
		}
	}
	if len(got.Marks()) != 2 || len(got.Denied()) != 2 || len(got.Overrides()) != 0 {
		t.Errorf("%d marks, %d denied, %d overrides; want 2, 2 and 0", len(got.Marks()), len(got.Denied()), len(got.Overrides()))
	}
}

func TestAnOverrideThatWaitsCanBeTakenBack(t *testing.T) {
	m := newMemory(t)
	add := func() Override {
		t.Helper()
		o, err := m.AddOverride(Override{Component: "a", Digest: DigestOf(nil), Reasons: []Reason{SignatureMissing}, Why: "w", By: "b"}, "", worldStart, nolog)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	first, used, late := add(), add(), add()
	if err := m.consume(used.ID, "c1"); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the log is full")
	for _, c := range []struct {
		id   string
		now  time.Time
		log  error
		want error
	}{
		{first.ID, worldStart, broken, broken},
		{first.ID, worldStart, nil, nil},
		{first.ID, worldStart, nil, ErrNoOverride},
		{used.ID, worldStart, nil, ErrNoOverride},
		{late.ID, worldStart.Add(OverrideTTL), nil, ErrNoOverride},
		{"none", worldStart, nil, ErrNoOverride},
	} {
		var told []string
		err := m.EndOverride(c.id, c.now, func(o Override) error { told = append(told, o.ID); return c.log })
		if !errors.Is(err, c.want) || (len(told) == 1) != (c.want == nil || c.want == broken) {
			t.Errorf("%s at %v: %v, told %v; want %v", c.id, c.now, err, told, c.want)
		}
	}
	left := m.reopen(t).Overrides()
	if len(left) != 2 || left[0].ID != used.ID || left[1].ID != late.ID {
		t.Errorf("left %+v", left)
	}
}

func TestOldOverridesAreDropped(t *testing.T) {
	m := newMemory(t)
	at := worldStart
	add := func() Override {
		t.Helper()
		o, err := m.AddOverride(Override{Component: "a", Digest: DigestOf(nil), Reasons: []Reason{SignatureMissing}, Why: "w", By: "b"}, "", at, nolog)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	used := add()
	if err := m.consume(used.ID, "c1"); err != nil {
		t.Fatal(err)
	}
	add()
	at = at.Add(time.Hour)
	add()
	if got := m.Overrides(); len(got) != 2 || got[0].ID != used.ID {
		t.Fatalf("got %+v, want the used and the new one", got)
	}
	at = at.Add(keptOverride)
	add()
	if got := m.Overrides(); len(got) != 1 {
		t.Fatalf("got %+v, want the new one", got)
	}
	for i := len(m.Overrides()); i < maxOverrides; i++ {
		add()
	}
	if _, err := m.AddOverride(Override{Component: "a", Digest: DigestOf(nil), Reasons: []Reason{SignatureMissing}, Why: "w", By: "b"}, "", at, nolog); err == nil {
		t.Error("the list grows without end")
	}
}

func TestFloorMovesToAnotherLedgerOnlyWithTheRoot(t *testing.T) {
	m := newMemory(t)
	for _, step := range []struct {
		ledger string
		tx     uint64
		moved  bool
		want   Pin
	}{
		{"old", 900, false, Pin{"core", "", Position{Tx: 900}, "old"}},
		{"new", 950, false, Pin{"core", "", Position{Tx: 900}, "old"}},
		{"new", 3, true, Pin{"core", "", Position{Tx: 3}, "new"}},
		{"new", 2, true, Pin{"core", "", Position{Tx: 3}, "new"}},
		{"new", 0, true, Pin{"core", "", Position{Tx: 3}, "new"}},
	} {
		if err := m.raise("core", step.ledger, Position{Tx: step.tx}, step.moved); err != nil {
			t.Fatal(err)
		}
		if p := m.Pin("core"); *p != step.want {
			t.Errorf("after %+v: %+v", step, *p)
		}
	}
}

func FuzzOpenMemory(f *testing.F) {
	f.Add([]byte(`{"format":1}`))
	f.Add([]byte(`{"format":1,"pins":{"a":{"component":"a","publisher":"p","floor":{"tx":1,"entry":0}}},"clock":{"floor":"2026-08-01T00:00:00Z","elapsed":5}}`))
	f.Add([]byte(`{"format":1,"overrides":[{"id":"x","reasons":["REVOKED"],"expires":"0001-01-01T00:00:00Z"}],"judged":{"a":[{}]}}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "trust.json")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := OpenMemory(path)
		if err != nil {
			return
		}
		c := &Clock{Memory: m, System: time.Now, Uptime: func() time.Duration { return 0 }, Synced: func() bool { return false }}
		c.Now()
		if err := m.write(m.read()); err != nil {
			return // a time JSON can't write
		}
		if got := m.reopen(t); !reflect.DeepEqual(got.Pins(), m.Pins()) {
			t.Errorf("got %+v, want %+v", got.Pins(), m.Pins())
		}
	})
}
