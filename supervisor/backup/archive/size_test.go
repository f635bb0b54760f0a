package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHolesStaySmall saves two gigabytes of hole in no time and no space, and brings them back as such.
func TestHolesStaySmall(t *testing.T) {
	dir, s := t.TempDir(), newStore(t, t.TempDir())
	must(t, os.Mkdir(filepath.Join(dir, "core"), 0o755))
	holey(t, filepath.Join(dir, "core/disk.img"), 2<<30)
	must(t, os.WriteFile(filepath.Join(dir, "core/endless"), nil, 0o600))
	must(t, os.Truncate(filepath.Join(dir, "core/endless"), maxFile+1))
	m := create(t, s, request(addon(dir, "core")))
	if m.Size > 64<<10 {
		t.Errorf("the backup has %d bytes", m.Size)
	}
	if p := m.Part("core"); p.Unpacked > 64<<10 || p.LeftOut != 2 || !strings.Contains(m.Notes[0].Why, "GiB") {
		t.Errorf("part %+v, notes %v", p, m.Notes)
	}
	b, err := s.Read(m.Slug)
	must(t, err)
	defer b.Close()
	to := filepath.Join(dir, "to")
	_, err = b.Extract(t.Context(), "core", to, Key{}, nil)
	must(t, err)
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(to, "data/disk.img"), &st))
	if st.Size != 2<<30 || st.Blocks*512 > 1<<20 {
		t.Errorf("came back with %d bytes on %d blocks", st.Size, st.Blocks)
	}
	f, err := os.Open(filepath.Join(to, "data/disk.img"))
	must(t, err)
	defer f.Close()
	text := make([]byte, 6)
	if _, err := f.ReadAt(text, 1<<30); err != nil || string(text) != "middle" {
		t.Errorf("in the middle: %q, %v", text, err)
	}
}

// TestManyPieces holds the map of a file in more pieces than are kept in mind to its bound.
func TestManyPieces(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(name)
	must(t, err)
	defer f.Close()
	for i := range int64(maxPieces + 100) {
		_, err := f.WriteAt([]byte("x"), i*16384)
		must(t, err)
	}
	fi, err := f.Stat()
	must(t, err)
	list := pieces(f, fi)
	if len(list) != maxPieces+1 || list[maxPieces].at+list[maxPieces].n != fi.Size() {
		t.Errorf("%d pieces, the last %v of %d", len(list), list[len(list)-1], fi.Size())
	}
}

// TestHolesWithoutEnd refuses a file that says it is larger than any.
func TestHolesWithoutEnd(t *testing.T) {
	var raw bytes.Buffer
	p := &packer{tar: tar.NewWriter(&raw), raw: &raw}
	must(t, p.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "data/"}))
	must(t, p.sparse(&tar.Header{Name: "data/holes", Size: 1 << 50}, []piece{{1 << 50, 0}}))
	g := sound()
	g.raw = raw.Bytes()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, g.build(t), 0o600))
	b, err := OpenFile(file)
	must(t, err)
	defer b.Close()
	b.reserve = 0
	var r *Refusal
	if _, err := b.Extract(t.Context(), "core", filepath.Join(dir, "to"), Key{}, nil); !errors.As(err, &r) || r.Reason != TooLarge {
		t.Errorf("got %v", err)
	}
}

// TestMemoryDoesNotGrow saves and brings back more than what may be in memory at any time.
func TestMemoryDoesNotGrow(t *testing.T) {
	dir, s := t.TempDir(), newStore(t, t.TempDir())
	fill(t, filepath.Join(dir, "core"), 3, 2*maxPeak/3)
	fill(t, filepath.Join(dir, "core/small"), 3000, 100)
	peak := heap()
	m := create(t, s, request(addon(dir, "core")))
	if got := peak(); got > maxPeak {
		t.Errorf("making it took %d MiB, want at most %d", got>>20, maxPeak>>20)
	}
	b, err := s.Read(m.Slug)
	must(t, err)
	defer b.Close()
	peak = heap()
	_, err = b.Extract(t.Context(), "core", filepath.Join(dir, "to"), Key{}, nil)
	if got := peak(); got > maxPeak || err != nil {
		t.Errorf("bringing it back took %d MiB, want at most %d; %v", got>>20, maxPeak>>20, err)
	}
}

// TestCancelIsPrompt reads no further chunk of a file once the context is over.
func TestCancelIsPrompt(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 1, 4<<20)
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	chunks := 0
	p := &packer{ctx: ctx, tar: tar.NewWriter(&out), raw: &out, buf: make([]byte, 256<<10), xbuf: make([]byte, 128<<10), links: map[inode]string{}}
	p.read = func(int64) { chunks++; cancel() }
	w := walker{ctx: ctx, visit: p.add, note: p.skip}
	if err := w.tree(Tree{"data", dir}); !errors.Is(err, context.Canceled) || chunks != 1 {
		t.Errorf("%v after %d chunks", err, chunks)
	}
}
