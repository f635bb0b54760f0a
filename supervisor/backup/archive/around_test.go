package archive

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// turns notes whose turn it was, and how far each came.
type turns struct{ said []string }

func (l *turns) around(name string) Around {
	return func(ctx context.Context, do func(context.Context, func(done, total int64)) error) error {
		l.said = append(l.said, "begin "+name)
		last, of := int64(-1), int64(0)
		err := do(ctx, func(done, total int64) {
			if done < last || done > total {
				l.said = append(l.said, fmt.Sprintf("%s went from %d to %d of %d", name, last, done, total))
			}
			last, of = done, total
		})
		l.said = append(l.said, fmt.Sprintf("end %s at %d of %d: %v", name, last, of, err))
		return err
	}
}

func TestEachUnitsTurnIsToldWithItsBytes(t *testing.T) {
	dir, s, l := t.TempDir(), newStore(t, t.TempDir()), &turns{}
	write(t, filepath.Join(dir, "one/f"), strings.Repeat("x", 1000))
	write(t, filepath.Join(dir, "two/f"), strings.Repeat("y", 300))
	unit := func(name string) Unit {
		return Unit{Kind: Addon, Slug: name, Trees: []Tree{{"data", filepath.Join(dir, name)}}, Around: l.around(name),
			Before: func(context.Context) error { l.said = append(l.said, "stop "+name); return nil },
			After:  func(context.Context) error { l.said = append(l.said, "start "+name); return nil }}
	}
	m := create(t, s, request(unit("one"), unit("two"), Unit{Kind: Supervisor, Slug: "supervisor"}))
	if want := []string{"begin one", "stop one", "start one", "end one at 1000 of 1000: <nil>", "begin two", "stop two", "start two", "end two at 300 of 300: <nil>"}; !slices.Equal(l.said, want) {
		t.Errorf("made: %q", l.said)
	}
	l.said = nil
	b, err := s.Read(m.Slug)
	must(t, err)
	defer b.Close()
	target := func(name string) Target {
		return Target{Unit: name, Trees: map[string]string{"data": filepath.Join(dir, "back", name)}, Around: l.around(name)}
	}
	p, err := b.Prepare(t.Context(), filepath.Join(dir, "journal"), Key{}, []Target{target("two"), target("one")}, nil)
	must(t, err)
	must(t, p.Place())
	size := func(name string) int64 { return b.Part(name).Size }
	if want := []string{"begin two", fmt.Sprintf("end two at %d of %d: <nil>", size("two"), size("two")), "begin one",
		fmt.Sprintf("end one at %d of %d: <nil>", size("one"), size("one"))}; !slices.Equal(l.said, want) {
		t.Errorf("restored: %q", l.said)
	}
}

func TestATurnThatIsNotTakenFails(t *testing.T) {
	for name, c := range map[string]struct {
		around Around
		says   string
	}{
		"passed over": {func(context.Context, func(context.Context, func(int64, int64)) error) error { return nil }, "taken 0 times"},
		"twice": {func(ctx context.Context, do func(context.Context, func(int64, int64)) error) error {
			return errors.Join(do(ctx, nil), do(ctx, nil))
		}, "taken 2 times"},
		"refused": {func(context.Context, func(context.Context, func(int64, int64)) error) error {
			return errors.New("too many parts")
		}, "one: too many parts"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, s := t.TempDir(), newStore(t, t.TempDir())
			write(t, filepath.Join(dir, "one/f"), "x")
			u := Unit{Kind: Addon, Slug: "one", Trees: []Tree{{"data", filepath.Join(dir, "one")}}, Around: c.around}
			if _, err := s.Create(t.Context(), request(u)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("made: %v", err)
			}
			if len(left(t, s)) != 0 {
				t.Errorf("left: %v", left(t, s))
			}
			u.Around = nil
			m := create(t, s, request(u))
			b, err := s.Read(m.Slug)
			must(t, err)
			defer b.Close()
			back := Target{Unit: "one", Trees: map[string]string{"data": filepath.Join(dir, "back")}, Around: c.around}
			if _, err := b.Prepare(t.Context(), filepath.Join(dir, "journal"), Key{}, []Target{back}, nil); err == nil || exists(filepath.Join(dir, "journal")) || exists(filepath.Join(dir, "back")) {
				t.Errorf("restored: %v", err)
			}
		})
	}
}

// TestABackupThatMayNotFitIsBegunInDoubt: how much smaller than its files it comes out is a guess, the reserve is none.
func TestABackupThatMayNotFitIsBegunInDoubt(t *testing.T) {
	dir, s := t.TempDir(), newStore(t, t.TempDir())
	write(t, filepath.Join(dir, "core/f"), strings.Repeat("x", 8<<20)) // of which little is left
	r := request(Unit{Kind: Addon, Slug: "core", Trees: []Tree{{"data", filepath.Join(dir, "core")}}})
	told := ""
	for _, c := range []struct {
		name         string
		room         int64
		doubt        bool
		made, isTold bool
	}{
		{"it fits", 2 << 20, true, true, false},
		{"it may not", 1 << 20, false, false, false},
		{"it may not, and is begun", 1 << 20, true, true, true},
		{"there is no room at all", 0, true, false, false},
	} {
		s.fits = func(_ string, _, need int64) error {
			if need > c.room {
				return fmt.Errorf("%w: there are %d of %d bytes", ErrNoSpace, c.room, need)
			}
			return nil
		}
		told, r.Doubt = "", nil
		if c.doubt {
			r.Doubt = func(err error) { told += err.Error() }
		}
		_, err := s.Create(t.Context(), r)
		if (err == nil) != c.made || !c.made && !errors.Is(err, ErrNoSpace) || (told != "") != c.isTold || c.isTold && !strings.Contains(told, "there are 1048576 of 2097152 bytes") {
			t.Errorf("%s: %v, told %q", c.name, err, told)
		}
	}
}
