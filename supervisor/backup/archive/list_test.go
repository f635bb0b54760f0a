package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestListReadsOnlyWhatItDoesNotKnow(t *testing.T) {
	dir, s := t.TempDir(), newStore(t, t.TempDir())
	write(t, filepath.Join(dir, "core/x"), "x")
	first := create(t, s, request(addon(dir, "core")))
	s.now = func() time.Time { return start.Add(time.Hour) }
	second := create(t, s, request(addon(dir, "core")))
	good, err := os.ReadFile(s.path(first.Slug))
	must(t, err)
	must(t, os.WriteFile(s.path("0000000a"), good, 0o600))          // under another name
	must(t, os.WriteFile(s.path("0000000b"), good[:3000], 0o600))   // cut off
	must(t, os.WriteFile(s.path("holiday"), []byte("pics"), 0o600)) // no backup
	must(t, os.Symlink(s.path(first.Slug), s.path("0000000c")))     // not a file
	must(t, os.WriteFile(s.path(".hidden"), good, 0o600))
	list, err := s.List(t.Context())
	must(t, err)
	var got []string
	for _, i := range list {
		if i.Problem == nil {
			got = append(got, i.Slug)
		} else {
			got = append(got, i.File)
		}
	}
	if want := []string{second.Slug, first.Slug, "0000000a.tar", "0000000b.tar", "holiday.tar"}; !slices.Equal(got, want) {
		t.Errorf("list %v, want %v", got, want)
	}
	if list[1].Size != int64(len(good)) || list[1].Parts[0].Version != "1.2.3" {
		t.Errorf("item %+v", list[1])
	}
	for _, slug := range []string{"0000000a", "0000000b", "0000000c", "holiday", "../x", "ffffffff"} {
		if b, err := s.Read(slug); err == nil {
			t.Errorf("%s was opened", slug)
			_ = b.Close()
		}
	}
	// What is known is not read again: same size and time, other content.
	fi, err := os.Stat(s.path(first.Slug))
	must(t, err)
	must(t, os.WriteFile(s.path(first.Slug), bytes.Repeat([]byte("x"), len(good)), 0o600))
	must(t, os.Chtimes(s.path(first.Slug), fi.ModTime(), fi.ModTime()))
	again, err := s.List(t.Context())
	must(t, err)
	if again[1].Slug != first.Slug {
		t.Errorf("a known file was read again: %+v", again[1])
	}
	must(t, os.Chtimes(s.path(first.Slug), start, start))
	if again, err = s.List(t.Context()); err != nil || len(again) != 5 || again[0].Slug != second.Slug || again[1].Problem == nil {
		t.Errorf("a changed file was not read again: %v, %+v", err, again)
	}
	must(t, s.Remove(second.Slug))
	if err := s.Remove(second.Slug); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	if list, err = s.List(t.Context()); err != nil || len(list) != 4 || len(s.seen) != 4 {
		t.Errorf("after a removal: %v, %d items, %d in mind", err, len(list), len(s.seen))
	}
}

func TestAddTakesABackupIn(t *testing.T) {
	dir, from, s := t.TempDir(), newStore(t, t.TempDir()), newStore(t, t.TempDir())
	write(t, filepath.Join(dir, "core/x"), strings.Repeat("x", 1000))
	r := request(addon(dir, "core"))
	r.Origin, r.Service = BeforeUpdate, "core"
	m := create(t, from, r)
	good, err := os.ReadFile(from.path(m.Slug))
	must(t, err)
	bad := bytes.Clone(good)
	bad[len(bad)-1024-300] ^= 1 // in the part
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		want func(error) bool
	}{
		"damaged":   {t.Context(), bytes.NewReader(bad), Damage},
		"cut":       {t.Context(), bytes.NewReader(good[:len(good)-600]), Damage},
		"lost":      {t.Context(), io.MultiReader(bytes.NewReader(good[:2000]), iotest.ErrReader(io.ErrUnexpectedEOF)), func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		"cancelled": {cancelled, bytes.NewReader(good), func(err error) bool { return errors.Is(err, context.Canceled) }},
		"no backup": {t.Context(), strings.NewReader("hello"), func(err error) bool { return err != nil && !strings.Contains(err.Error(), temporary) }},
	} {
		if _, err := s.Add(c.ctx, c.r); !c.want(err) || len(left(t, s)) > 0 {
			t.Errorf("%s: %v, left %v", name, err, left(t, s))
		}
	}
	info, err := s.Add(t.Context(), iotest.OneByteReader(bytes.NewReader(good)))
	must(t, err)
	list, err := s.List(t.Context())
	must(t, err)
	if info.Origin != Owner || len(list) != 1 || list[0].Origin != Owner || list[0].Service != "" || list[0].Slug != m.Slug {
		t.Errorf("taken in as %+v, listed %+v", info, list)
	}
	b, err := s.Read(m.Slug)
	must(t, err)
	defer b.Close()
	if _, err := b.Extract(t.Context(), "core", filepath.Join(dir, "to"), Key{}, nil); err != nil {
		t.Error(err)
	}
	if _, err := s.Add(t.Context(), bytes.NewReader(good)); !errors.Is(err, ErrExists) || len(left(t, s)) != 1 {
		t.Errorf("taken in twice: %v", err)
	}
}
