package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ways in which a call can go wrong.
const (
	lost     = "lost"     // the power went before it
	applied  = "applied"  // after it
	half     = "half"     // within an exchange on a file system that can't do it at once
	fails    = "fails"    // it says so, and nothing was done
	fellLate = "fellLate" // it says so, and it was done
)

var errDisk = errors.New("the disk says no")

// cutDisk is a disk on which call number `at` goes wrong. After a power cut nothing works any more, and what was not
// synced is gone.
type cutDisk struct {
	osDisk
	at    int
	way   string
	calls []string
	dead  bool
	open  []*cutFile
}

var _ disk = (*cutDisk)(nil)

func (d *cutDisk) call(name string, do func() error) error {
	if d.dead {
		return errDisk
	}
	d.calls = append(d.calls, name)
	if len(d.calls) != d.at {
		return do()
	}
	switch d.way {
	case fails:
		return errDisk
	case fellLate:
		return errors.Join(do(), errDisk)
	case applied:
		_ = do()
	}
	d.dead = true
	for _, f := range d.open {
		if !f.synced {
			_ = f.same.Truncate(700)
		}
	}
	return errDisk
}

func (d *cutDisk) create(dir string) (f outFile, err error) {
	err = d.call("create", func() (err error) { f, err = d.osDisk.create(dir); return err })
	if err != nil {
		return nil, err
	}
	same, err := os.OpenFile(f.Name(), os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	c := &cutFile{outFile: f, d: d, same: same}
	d.open = append(d.open, c)
	return c, nil
}

func (d *cutDisk) publish(tmp, name string) error {
	return d.call("publish", func() error { return d.osDisk.publish(tmp, name) })
}

func (d *cutDisk) remove(name string) error {
	return d.call("remove", func() error { return d.osDisk.remove(name) })
}

func (d *cutDisk) write(name string, data []byte) error {
	return d.call("write", func() error { return d.osDisk.write(name, data) })
}

func (d *cutDisk) removeAll(dir string) error {
	return d.call("removeAll", func() error { return d.osDisk.removeAll(dir) })
}

func (d *cutDisk) exchange(from, to, aside string) error {
	if d.way == half && len(d.calls)+1 == d.at && exists(to) {
		_ = os.Rename(to, aside)
	}
	return d.call("exchange", func() error { return d.osDisk.exchange(from, to, aside) })
}

type cutFile struct {
	outFile
	d      *cutDisk
	same   *os.File // whatever its name has become
	synced bool
}

func (f *cutFile) Write(p []byte) (n int, err error) {
	f.synced = false
	err = f.d.call("append", func() (err error) { n, err = f.outFile.Write(p); return err })
	return n, err
}

func (f *cutFile) WriteAt(p []byte, at int64) (n int, err error) {
	f.synced = false
	err = f.d.call("patch", func() (err error) { n, err = f.outFile.WriteAt(p, at); return err })
	return n, err
}

func (f *cutFile) Sync() error {
	return f.d.call("sync", func() error { f.synced = true; return f.outFile.Sync() })
}

// TestPowerCutWhileMaking cuts the power, or fails, at every call that making a backup and taking one in does.
func TestPowerCutWhileMaking(t *testing.T) {
	data := t.TempDir()
	write(t, filepath.Join(data, "core/file"), strings.Repeat("x", 10_000))
	origin := newStore(t, t.TempDir())
	foreign := request(addon(data, "core"))
	foreign.Origin, foreign.Service = BeforeUpdate, "core"
	file := origin.path(create(t, origin, foreign).Slug)
	for name, do := range map[string]func(s *Store) error{
		"create": func(s *Store) error {
			_, err := s.Create(context.Background(), request(addon(data, "core"), addon(data, "other")))
			return err
		},
		"add": func(s *Store) error {
			f, err := os.Open(file)
			must(t, err)
			defer f.Close()
			_, err = s.Add(context.Background(), f)
			return err
		},
	} {
		clean := &cutDisk{}
		run := func(d *cutDisk) (*Store, error) {
			s, err := open(t.TempDir(), Options{Reserve: -1}, d)
			must(t, err)
			err = do(s)
			must(t, s.Close())
			return s, err
		}
		if _, err := run(clean); err != nil {
			t.Fatal(err)
		}
		if len(clean.calls) < 6 || !slices.Contains(clean.calls, "patch") {
			t.Fatalf("%s: calls %v", name, clean.calls)
		}
		for at := range clean.calls {
			for _, way := range []string{lost, applied, fails, fellLate} {
				where := fmt.Sprintf("%s, call %d (%s) %s", name, at+1, clean.calls[at], way)
				s, err := run(&cutDisk{at: at + 1, way: way})
				if err == nil {
					t.Errorf("%s: no error", where)
				}
				if way == fails || way == fellLate {
					if got := left(t, s); len(got) > 0 && (clean.calls[at] != "create" || way == fails) {
						t.Errorf("%s: left %v", where, got)
					}
				}
				s = newStore(t, s.dir)
				list, err := s.List(t.Context())
				must(t, err)
				whole := way == applied && clean.calls[at] == "publish"
				if len(list) != len(left(t, s)) || whole != (len(list) == 1) {
					t.Errorf("%s: after the next start %v, want one: %v", where, left(t, s), whole)
				}
				for _, i := range list {
					b, err := s.Read(i.Slug)
					must(t, err)
					must(t, b.Verify(t.Context(), nil))
					must(t, b.Close())
				}
			}
		}
	}
}

// place is a world to restore into: two units, of which one has two folders and one is not there.
type place struct {
	dir     string
	journal string
	targets []Target
}

func newPlace(t testing.TB) place {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "data/core/file"), "now")
	write(t, filepath.Join(dir, "configs/core/file"), "now")
	return place{dir, filepath.Join(dir, "restore.json"), []Target{
		{Unit: "core", Trees: map[string]string{"data": filepath.Join(dir, "data/core"), "config": filepath.Join(dir, "configs/core")}},
		{Unit: "fresh", Trees: map[string]string{"data": filepath.Join(dir, "data/fresh")}},
	}}
}

// state reads the places: "now now -" before and "then then then" after a restore.
func (p place) state(t testing.TB) string {
	var out []string
	for _, n := range []string{"data/core", "configs/core", "data/fresh"} {
		b, err := os.ReadFile(filepath.Join(p.dir, n, "file"))
		if err != nil {
			b = []byte("-")
		}
		out = append(out, string(b))
	}
	return strings.Join(out, " ")
}

// clutter lists what a restore has left.
func (p place) clutter(t testing.TB) (out []string) {
	for name := range describe(t, p.dir) {
		if strings.Contains(name, beside) || strings.HasSuffix(name, ".json") {
			out = append(out, name)
		}
	}
	return out
}

func thenBackup(t testing.TB) *Backup {
	dir := t.TempDir()
	for _, n := range []string{"core", "core-config", "fresh"} {
		write(t, filepath.Join(dir, n, "file"), "then")
	}
	s := newStore(t, t.TempDir())
	b, err := s.Read(create(t, s, request(addon(dir, "core"), addon(dir, "fresh"))).Slug)
	must(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

const before, after = "now now -", "then then then"

// TestPowerCutWhileRestoring cuts the power at every call a restore does, and again at every call of its resumption.
func TestPowerCutWhileRestoring(t *testing.T) {
	b := thenBackup(t)
	run := func(d disk, p place) error {
		r, err := b.prepare(t.Context(), d, p.journal, Key{}, p.targets, nil)
		if err != nil {
			return err
		}
		return r.Place()
	}
	clean, p := &cutDisk{}, newPlace(t)
	must(t, run(clean, p))
	if p.state(t) != after || p.clutter(t) != nil {
		t.Fatalf("a clean run: %s, left %v", p.state(t), p.clutter(t))
	}
	writes := 0
	for at, call := range clean.calls {
		if call == "write" {
			writes++
		}
		for _, way := range []string{lost, applied, half} {
			decided := writes > 2 || writes == 2 && (call != "write" || way == applied)
			want := map[bool]string{false: before, true: after}[decided]
			for again := range 10 {
				p := newPlace(t)
				where := fmt.Sprintf("call %d (%s) %s, resumption cut at %d", at+1, call, way, again)
				if err := run(&cutDisk{at: at + 1, way: way}, p); err == nil {
					t.Errorf("%s: no error", where)
				}
				_ = resume(&cutDisk{at: again, way: way}, p.journal)
				if err := Resume(p.journal); err != nil {
					t.Errorf("%s: %v", where, err)
				}
				if got := p.state(t); got != want {
					t.Errorf("%s: %q, want %q", where, got, want)
				}
				if writes > 0 && (writes > 1 || way == applied || call != "write") && p.clutter(t) != nil {
					t.Errorf("%s: left %v", where, p.clutter(t))
				}
			}
		}
	}
	if writes != 2 || !slices.Contains(clean.calls, "exchange") {
		t.Errorf("calls %v", clean.calls)
	}
}

// TestRestoreThatCannotBeginSaysSo meets a disk that does not take the journal of the exchange, or one that fails within it.
func TestRestoreThatCannotBeginSaysSo(t *testing.T) {
	b := thenBackup(t)
	for _, way := range []string{fails, fellLate} {
		p, d := newPlace(t), &cutDisk{way: way}
		r, err := b.prepare(t.Context(), d, p.journal, Key{}, p.targets, nil)
		must(t, err)
		d.at = len(d.calls) + 1
		if err := r.Place(); err == nil || errors.Is(err, ErrNotBegun) != (way == fails) {
			t.Errorf("%s: %v", way, err)
		}
		want := map[string]string{fails: before, fellLate: after}[way]
		if way == fails {
			must(t, r.Drop())
		} else {
			must(t, Resume(p.journal))
		}
		if p.state(t) != want || p.clutter(t) != nil {
			t.Errorf("%s: %s, left %v", way, p.state(t), p.clutter(t))
		}
	}
}

// TestRestoreRefusesWhatItCouldNotPlace leaves everything as it was.
func TestRestoreRefusesWhatItCouldNotPlace(t *testing.T) {
	b := thenBackup(t)
	for name, spoil := range map[string]func(p *place){
		"no such part":    func(p *place) { p.targets[0].Unit = "other" },
		"nothing":         func(p *place) { p.targets = nil },
		"no trees":        func(p *place) { p.targets[0].Trees = nil },
		"twice":           func(p *place) { p.targets[1] = p.targets[0] },
		"one in another":  func(p *place) { p.targets[1].Trees["data"] = p.targets[0].Trees["data"] + "/sub" },
		"relative":        func(p *place) { p.targets[0].Trees["data"] = "data" },
		"detour":          func(p *place) { p.targets[0].Trees["data"] += "/../core" },
		"another disk":    func(p *place) { p.targets[0].Trees["data"] = "/dev/shm/castellan-no-such" },
		"mount point":     func(p *place) { p.targets[0].Trees["data"] = "/proc" },
		"file":            func(p *place) { p.targets[0].Trees["data"] = filepath.Join(p.dir, "data/core/file") },
		"unended restore": func(p *place) { write(t, p.journal, "{}") },
	} {
		p := newPlace(t)
		spoil(&p)
		if _, err := b.Prepare(t.Context(), p.journal, Key{}, p.targets, nil); err == nil || p.state(t) != before {
			t.Errorf("%s: %v, %s", name, err, p.state(t))
		}
	}
	p := newPlace(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Prepare(ctx, p.journal, Key{}, p.targets, nil); !errors.Is(err, context.Canceled) || p.state(t) != before || p.clutter(t) != nil {
		t.Errorf("cancelled: %v, %s, left %v", err, p.state(t), p.clutter(t))
	}
	r, err := b.Prepare(t.Context(), p.journal, Key{}, p.targets, nil)
	must(t, err)
	if string(r.Units[0].Meta) != `{"options":{"password":"hunter2"}}` || r.Units[1].Slug != "fresh" {
		t.Errorf("units %v", r.Units)
	}
	if _, err := b.Prepare(t.Context(), p.journal, Key{}, p.targets, nil); !errors.Is(err, ErrUnended) {
		t.Errorf("a second restore: %v", err)
	}
	must(t, r.Drop())
	if p.state(t) != before || p.clutter(t) != nil {
		t.Errorf("dropped: %s, left %v", p.state(t), p.clutter(t))
	}
	for _, text := range []string{`{`, `{"format":2,"phase":"placing"}`, `{"format":1,"phase":"other"}`} {
		must(t, os.WriteFile(p.journal, []byte(text), 0o600))
		if err := Resume(p.journal); err == nil || !exists(p.journal) {
			t.Errorf("journal %s: %v", text, err)
		}
	}
	_ = unix.Unlink(p.journal)
	must(t, Resume(p.journal))
}
