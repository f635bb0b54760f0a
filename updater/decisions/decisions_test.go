package decisions

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/updater"
)

var (
	noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	ann  = Said{"ann", noon}
)

// disk is a file as a power cut may leave it: fails counts down to the call that is cut, applied tells whether its bytes
// are there nevertheless.
type disk struct {
	bytes   []byte
	fails   int
	applied bool
	broken  error // of Load
}

var errCut = errors.New("cut off")

func (d *disk) Load() ([]byte, error) { return d.bytes, d.broken }
func (d *disk) Save(b []byte) error {
	d.fails--
	if d.fails == 0 && !d.applied {
		return errCut
	}
	d.bytes = b
	if d.fails == 0 {
		return errCut
	}
	return nil
}

// story is a day of decisions.
var story = []func(*Decisions) error{
	func(d *Decisions) error { return d.SetMode("core", updater.ModeAuto, ann) },
	func(d *Decisions) error { return d.SetHold("core", noon.Add(time.Hour), "guests", ann) },
	func(d *Decisions) error { return d.AddSkip("core", "2026.8.3", ann) },
	func(d *Decisions) error { return d.AddSkip("addon_x", "2", ann) },
	func(d *Decisions) error { _, err := d.AddWindow(night, ann); return err },
	func(d *Decisions) error { return d.EndHold("core") },
	func(d *Decisions) error { return d.EndSkip("addon_x", "2") },
	func(d *Decisions) error { d.RemoveWindow(1); return nil },
	func(d *Decisions) error { return d.SetMode("core", "", ann) },
	func(d *Decisions) error { d.Tidy(noon, map[string]string{"core": "2026.9.0"}); return nil },
}

var night = func() updater.Window {
	w, err := updater.NewWindow(updater.WindowSpec{From: "02:00", To: "04:00", Zone: "Europe/Berlin"})
	if err != nil {
		panic(err)
	}
	return w
}()

func text(t *testing.T, s *Store) string {
	t.Helper()
	all, err := s.All()
	if err != nil {
		t.Fatal(err)
	}
	b, err := encode(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every write is cut, both ways: what is in force is as before, the next start finds old or new, the log knows of it,
// and the owner can decide again.
func TestPowerCut(t *testing.T) {
	for cut := 1; cut <= len(story); cut++ {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d applied %v", cut, applied), func(t *testing.T) {
				d, recorded, was := &disk{fails: cut, applied: applied}, 0, ""
				s := Open(d)
				for i, edit := range story {
					before := text(t, s)
					changed, err := s.Update(edit, func() error { recorded++; return nil })
					if i+1 < cut {
						if err != nil || !changed {
							t.Fatalf("decision %d: changed %v, %v", i+1, changed, err)
						}
						continue
					}
					if !errors.Is(err, errCut) || changed || text(t, s) != before || recorded != cut {
						t.Fatalf("the cut decision: changed %v, %v, %d records; %s", changed, err, recorded, text(t, s))
					}
					was = before
					break
				}
				s = Open(d)
				again, err := s.Update(story[cut-1], nil)
				if err != nil || again == applied || text(t, s) == was {
					t.Errorf("after the start: changed %v, %v", again, err)
				}
			})
		}
	}
}

func TestAFileThatWasCutIsAsBefore(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "decisions.json")
	s := Open(durableFile(name))
	if _, err := s.Update(story[0], nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".decisions.json.tmp-1"), []byte(`{"form`), 0o600); err != nil { // a write that was cut
		t.Fatal(err)
	}
	if again := Open(durableFile(name)); text(t, again) != text(t, s) {
		t.Errorf("got %s, want %s", text(t, again), text(t, s))
	}
}

type durableFile string

func (f durableFile) Load() ([]byte, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
func (f durableFile) Save(b []byte) error { return durable.WriteFile(string(f), b, 0o600) }

func TestWhatCannotBeReadHoldsBackAndIsNotOverwritten(t *testing.T) {
	for _, c := range []struct {
		name string
		disk disk
		says string
	}{
		{"newer", disk{bytes: []byte(`{"format":2,"services":{},"rooms":[]}`)}, "format 2 is newer than 1; install the newer Castellan again"},
		{"no format", disk{bytes: []byte(`{"services":{}}`)}, "no format"},
		{"cut off", disk{bytes: []byte(`{"format":1,"serv`)}, "restore the file"},
		{"unknown key", disk{bytes: []byte(`{"format":1,"services":{},"windows":[],"last_window":0,"x":1}`)}, "restore the file"},
		{"twice", disk{bytes: []byte(`{"format":1,"services":{"a":{},"a":{}},"windows":[],"last_window":0}`)}, "restore the file"},
		{"too large", disk{bytes: make([]byte, maxBytes+1)}, "at most"},
		{"disk", disk{broken: errCut}, "cut off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := string(c.disk.bytes)
			s := Open(&c.disk)
			list := []updater.Installed{{Service: "core", Mode: updater.ModeAuto}}
			s.Apply(list)
			_, err := s.Update(story[0], nil)
			if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), c.says) || !strings.Contains(list[0].Decided.Unknown, c.says) {
				t.Errorf("%v and %q, want %q", err, list[0].Decided.Unknown, c.says)
			}
			if _, err := s.All(); err == nil || s.Err() == nil || string(c.disk.bytes) != before {
				t.Error("it is read or written nevertheless")
			}
		})
	}
	// A zone that the database lost holds back too, but can be undone.
	s := Open(&disk{bytes: []byte(`{"format":1,"services":{},"windows":[{"id":3,"days":[],"from":"02:00","to":"03:00","zone":"Old/Town","by":"ann","at":"2026-09-01T12:00:00Z"}],"last_window":3}`)})
	list := []updater.Installed{{Service: "core"}}
	if s.Apply(list); !strings.Contains(list[0].Decided.Unknown, "castellan window remove 3") {
		t.Errorf("%+v", list[0].Decided)
	}
	if _, err := s.Update(func(d *Decisions) error { d.RemoveWindow(3); return nil }, nil); err != nil {
		t.Error(err)
	}
	if s.Apply(list); list[0].Decided.Unknown != "" {
		t.Errorf("%+v", list[0].Decided)
	}
}

func TestDecisionsAreUndone(t *testing.T) {
	s := Open(&disk{})
	empty := text(t, s)
	do := func(want bool, edit func(*Decisions) error) {
		t.Helper()
		if changed, err := s.Update(edit, nil); err != nil || changed != want {
			t.Fatalf("changed %v, %v, want %v", changed, err, want)
		}
	}
	for _, edit := range story[:5] {
		do(true, edit)
		do(false, edit) // said twice
	}
	list := []updater.Installed{{Service: "core", Mode: updater.ModeAsk}, {Service: "addon_x", Mode: updater.ModeAsk}, {Service: "dns", Mode: updater.ModeHold}}
	s.Apply(list)
	core, x, dns := list[0], list[1], list[2]
	if core.Mode != updater.ModeAuto || core.Decided.Hold.Why != "guests" || core.Decided.Skipped[0] != "2026.8.3" || len(core.Decided.Windows) != 1 ||
		x.Mode != updater.ModeAsk || x.Decided.Skipped[0] != "2" || x.Decided.Hold != nil || dns.Mode != updater.ModeHold {
		t.Errorf("%+v", list)
	}
	for _, edit := range story[5:] {
		do(true, edit)
		do(false, edit)
	}
	if got := strings.Replace(text(t, s), `"last_window":1`, `"last_window":0`, 1); got != empty {
		t.Errorf("left: %s", got)
	}
}

func TestTidyForgetsWhatIsOver(t *testing.T) {
	d := Decisions{}
	for _, v := range []string{"2026.8.2", "2026.8.3", "2026.9.0", "main-abc"} {
		if err := d.AddSkip("core", v, ann); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.SetHold("core", noon.Add(time.Hour), "", ann); err != nil {
		t.Fatal(err)
	}
	d.Tidy(noon, map[string]string{})
	if s := d.Services["core"]; len(s.Skips) != 4 || s.Hold == nil {
		t.Fatalf("nothing is over yet: %+v", s)
	}
	d.Tidy(noon.Add(time.Hour), map[string]string{"core": "v2026.8.3"})
	s := d.Services["core"]
	if len(s.Skips) != 2 || s.Skips[0].Version != "2026.9.0" || s.Skips[1].Version != "main-abc" || s.Hold != nil {
		t.Errorf("%+v", s)
	}
	d.Tidy(noon, map[string]string{"core": "main-abc"})
	if got := d.Services["core"].Skips; len(got) != 1 {
		t.Errorf("what runs is skipped: %+v", got)
	}
}

func TestDecisionsAreBounded(t *testing.T) {
	d := Decisions{}
	for i := range 2 * MaxSkips {
		if err := d.AddSkip("core", fmt.Sprint(i+1), ann); err != nil {
			t.Fatal(err)
		}
	}
	if s := d.Services["core"].Skips; len(s) != MaxSkips || s[0].Version != fmt.Sprint(MaxSkips+1) {
		t.Errorf("%d skips from %s", len(s), s[0].Version)
	}
	for i := range MaxServices - 1 {
		if err := d.SetMode(fmt.Sprint("s", i), updater.ModeOff, ann); err != nil {
			t.Fatal(err)
		}
	}
	for i := range MaxWindows {
		w, err := updater.NewWindow(updater.WindowSpec{From: fmt.Sprintf("%02d:00", i), To: "23:00", Zone: "UTC"})
		if id, err2 := d.AddWindow(w, ann); err != nil || err2 != nil || id != i+1 {
			t.Fatal(id, err, err2)
		}
	}
	_, more := d.AddWindow(night, ann)
	for what, err := range map[string]error{
		"window":      more,
		"service":     d.SetMode("one-more", updater.ModeOff, ann),
		"mode":        d.SetMode("core", "sometimes", ann),
		"hold's mode": d.SetMode("core", updater.ModeHold, ann),
		"past":        d.SetHold("core", noon, "", ann),
		"why":         d.SetHold("core", time.Time{}, strings.Repeat("x", MaxWhy+1), ann),
		"no version":  d.AddSkip("core", "", ann),
		"a long one":  d.AddSkip("core", strings.Repeat("1", 129), ann),
	} {
		if err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	raw, err := encode(d)
	if err != nil || len(raw) > maxBytes/2 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	if _, err := decode(raw); err != nil {
		t.Errorf("all that can be decided can't be read: %v", err)
	}
}

// TestAFileFromElsewhereIsHeldToTheBounds: no decision made it so large, and the copy of the last good one is told of.
func TestAFileFromElsewhereIsHeldToTheBounds(t *testing.T) {
	many := func(n int, each func(int) string) string {
		var all []string
		for i := range n {
			all = append(all, each(i))
		}
		return strings.Join(all, ",")
	}
	of := func(service string) string {
		return `{"format":1,"services":{` + service + `},"windows":[],"last_window":0}`
	}
	const said = `"by":"ann","at":"2026-09-01T12:00:00Z"`
	window := func(i int) string {
		return fmt.Sprintf(`{"id":%d,"days":[],"from":"02:00","to":"03:00","zone":"UTC",%s}`, i, said)
	}
	for _, c := range []struct{ name, text, says string }{
		{"a hold of 10 MB", of(`"core":{"hold":{"why":"` + strings.Repeat("x", 10<<20) + `",` + said + `}}`), "the file has 10485"},
		{"a hold of 1 MB", of(`"core":{"hold":{"why":"` + strings.Repeat("x", 1<<20) + `",` + said + `}}`), `of service "core" the reason of a hold has 1048576 bytes, at most 500 are kept`},
		{"services", of(many(MaxServices+1, func(i int) string { return fmt.Sprintf(`"s%d":{"mode":{"mode":"off",%s}}`, i, said) })), "1001 services, at most 1000"},
		{"skips", of(`"core":{"skips":[` + many(MaxSkips+1, func(i int) string { return fmt.Sprintf(`{"version":"%d",%s}`, i, said) }) + `]}`), "17 versions are skipped"},
		{"a version", of(`"core":{"skips":[{"version":"` + strings.Repeat("1", 129) + `",` + said + `}]}`), "a version is skipped that is none"},
		{"windows", `{"format":1,"services":{},"windows":[` + many(MaxWindows+1, window) + `],"last_window":99}`, "17 maintenance windows"},
		{"a zone", strings.Replace(`{"format":1,"services":{},"windows":[`+window(1)+`],"last_window":1}`, "UTC", strings.Repeat("x", 513), 1), "window 1 has a word of 513 bytes"},
		{"days", strings.Replace(`{"format":1,"services":{},"windows":[`+window(1)+`],"last_window":1}`, `[]`, `[`+many(99, func(int) string { return `"mon"` })+`]`, 1), "window 1 opens on 99 days"},
		{"a mode", of(`"core":{"mode":{"mode":"sometimes",` + said + `}}`), `the mode "sometimes" is none of off, ask, auto`},
		{"a caller", of(`"core":{"mode":{"mode":"off","by":"` + strings.Repeat("x", 513) + `","at":"2026-09-01T12:00:00Z"}}`), "a name has 513 bytes"},
		{"a service's name", of(`"` + strings.Repeat("x", 513) + `":{"mode":{"mode":"off",` + said + `}}`), "a name has 513 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, aside := &disk{}, &disk{}
			good := Open(d)
			if err := good.KeepAside(aside, "decisions.json.good"); err != nil {
				t.Fatal(err)
			}
			if _, err := good.Update(story[1], nil); err != nil {
				t.Fatal(err)
			}
			want := string(d.bytes)
			d.bytes = []byte(c.text)
			s := Open(d)
			if err := s.KeepAside(aside, "decisions.json.good"); err != nil {
				t.Fatal(err)
			}
			_, err := s.Update(story[0], nil)
			if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "kept in decisions.json.good") || len(err.Error()) > 500 {
				t.Errorf("got %.600v, want %q", err, c.says)
			}
			if string(d.bytes) != c.text || string(aside.bytes) != want {
				t.Error("the file, or the copy of the last good one, is written over")
			}
			if again := Open(aside); again.Err() != nil || text(t, again) != text(t, good) {
				t.Errorf("the copy does not serve: %v", again.Err())
			}
		})
	}
	// What can't be copied is told, and decides nothing.
	s := Open(&disk{})
	if err := s.KeepAside(&disk{fails: 1}, "x"); !errors.Is(err, errCut) || s.Err() != nil {
		t.Errorf("%v, %v", err, s.Err())
	}
}

func TestNothingChangesWithoutItsRecord(t *testing.T) {
	d := &disk{}
	s := Open(d)
	if changed, err := s.Update(story[0], func() error { return errCut }); changed || !errors.Is(err, errCut) || d.bytes != nil {
		t.Errorf("changed %v, %v, wrote %q", changed, err, d.bytes)
	}
}

func TestOwnersWhoDecideTogetherLoseNothing(t *testing.T) {
	s := Open(durableFile(filepath.Join(t.TempDir(), "decisions.json")))
	var all sync.WaitGroup
	var recorded, changed atomic.Int32
	for i := range 8 {
		all.Go(func() {
			for range 2 { // the second time it is so already
				did, err := s.Update(func(d *Decisions) error { return d.AddSkip("core", fmt.Sprint(i+1), ann) },
					func() error { recorded.Add(1); return nil })
				if err != nil {
					t.Error(err)
				}
				if did {
					changed.Add(1)
				}
				s.Apply([]updater.Installed{{Service: "core"}})
			}
		})
	}
	all.Wait()
	list, err := s.All()
	if n := len(list.Services["core"].Skips); err != nil || n != 8 || recorded.Load() != 8 || changed.Load() != 8 {
		t.Errorf("%d skips, %d records, %d changes, %v", n, recorded.Load(), changed.Load(), err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"format":1,"services":{"core":{"mode":{"mode":"auto","by":"ann","at":"2026-09-01T12:00:00Z"},"skips":[{"version":"2","by":"","at":"2026-09-01T12:00:00Z"}]}},"windows":[{"id":-7,"days":["mon"],"from":"02:00","to":"04:00","zone":"UTC","by":"","at":"2026-09-01T12:00:00Z"}],"last_window":9}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &disk{bytes: b}
		s := Open(d)
		list := []updater.Installed{{Service: "core"}}
		s.Apply(list)
		changed, err := s.Update(story[1], nil)
		switch {
		case s.Err() != nil && (err == nil || string(d.bytes) != string(b) || list[0].Decided.Unknown == ""):
			t.Errorf("what can't be read counts, or is overwritten: %v", err)
		case s.Err() == nil && changed:
			if again := Open(d); again.Err() != nil {
				t.Errorf("what was written can't be read: %v", again.Err())
			}
		}
	})
}
