package archive

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzBackup gives the reader any bytes as a file: whatever it says of them, it writes nothing outside the folder it was
// told, and leaves that only when all is well.
func FuzzBackup(f *testing.F) {
	good := sound()
	f.Add(good.build(f))
	good.insert(&tar.Header{Typeflag: tar.TypeSymlink, Name: "data/l", Linkname: "../../x"}, "")
	good.insert(&tar.Header{Typeflag: tar.TypeLink, Name: "data/h", Linkname: "data/file"}, "")
	f.Add(good.build(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		must(t, os.WriteFile(file, data, 0o600))
		extractAnything(t, dir, file)
	})
}

// FuzzPart gives it any bytes as the archive in a part whose checksum and sizes are right.
func FuzzPart(f *testing.F) {
	for _, link := range []string{"", "../../x"} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range []*tar.Header{{Typeflag: tar.TypeDir, Name: "data/"}, {Typeflag: tar.TypeSymlink, Name: "data/l", Linkname: link}, {Typeflag: tar.TypeReg, Name: "data/l/x"}} {
			must(f, w.WriteHeader(h))
		}
		must(f, w.Flush())
		f.Add(b.Bytes(), int64(5))
		p := &packer{tar: tar.NewWriter(&b), raw: &b}
		must(f, p.sparse(&tar.Header{Name: "data/holes", Size: 1 << 30}, []piece{{4096, 0}, {1 << 30, 0}}))
		f.Add(b.Bytes(), int64(6))
	}
	f.Fuzz(func(t *testing.T, members []byte, files int64) {
		if len(members) > 64<<10 {
			return
		}
		g := sound()
		g.raw = append(members, make([]byte, padded(int64(len(members)))-int64(len(members)))...)
		g.part = func(p *Part) { p.Files = files & 0xff }
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		must(t, os.WriteFile(file, g.build(t), 0o600))
		extractAnything(t, dir, file)
	})
}

func extractAnything(t *testing.T, dir, file string) {
	t.Helper()
	before := describe(t, dir)
	delete(before, ".")
	b, err := OpenFile(file)
	if err != nil {
		return
	}
	defer b.Close()
	b.reserve = 0
	to := filepath.Join(dir, "to")
	for _, p := range b.Parts {
		_, err := b.unpack(t.Context(), p.Slug, to, Key{}, nil)
		if (err == nil) != exists(to) {
			t.Errorf("%v, and the folder is there: %v", err, exists(to))
		}
		must(t, os.RemoveAll(to))
	}
	after := describe(t, dir)
	delete(after, ".")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("something else changed: -before +after\n%s", diff)
	}
}
