package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// outerFiles reads an outer archive as any tar program does.
func outerFiles(t testing.TB, name string) (names []string, files map[string][]byte) {
	t.Helper()
	f, err := os.Open(name)
	must(t, err)
	defer f.Close()
	files = map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names, files
		}
		must(t, err)
		names = append(names, h.Name)
		files[h.Name], err = io.ReadAll(r)
		must(t, err)
	}
}

// TestOtherProgramsReadIt opens a backup with the libraries alone, in the order in which a person would use the tools.
func TestOtherProgramsReadIt(t *testing.T) {
	dir, s := t.TempDir(), newStore(t, t.TempDir())
	sample(t, filepath.Join(dir, "core"), false)
	write(t, filepath.Join(dir, "share/pic"), "pixels")
	seal, err := SealWith("correct horse")
	must(t, err)
	ha := Unit{Kind: HomeAssistant, Slug: "homeassistant", Version: "2026.3.1", NoDatabase: true, Trees: []Tree{{"data", filepath.Join(dir, "core")}}}
	r := request(ha, addon(dir, "core"), Unit{Kind: Folder, Slug: "addons/local", Trees: []Tree{{"data", filepath.Join(dir, "share")}}})
	r.Seal, r.Type = seal, Full
	m := create(t, s, r)
	names, files := outerFiles(t, s.path(m.Slug))
	if diff := cmp.Diff([]string{"backup.json", "homeassistant.tar.zst.age", "core.tar.zst.age", "addons_local.tar.zst.age"}, names); diff != "" {
		t.Errorf("outer archive: want -, got +\n%s", diff)
	}
	var h map[string]any
	must(t, json.Unmarshal(files["backup.json"], &h))
	mb := func(n string) float64 { return megabytes(int64(len(files[n]))) }
	want := map[string]any{
		"version": 2.0, "slug": m.Slug, "type": "full", "name": "Night & day", "date": "2026-03-01T02:00:00.000001Z", "supervisor_version": "0.9.0",
		"compressed": true, "protected": true, "folders": []any{"addons/local"}, "repositories": []any{"https://example.org/addons"}, "extra": map[string]any{},
		"homeassistant": map[string]any{"version": "2026.3.1", "size": mb("homeassistant.tar.zst.age"), "exclude_database": true},
		"addons":        []any{map[string]any{"slug": "core", "name": "The core", "version": "1.2.3", "size": mb("core.tar.zst.age")}},
	}
	delete(h, "castellan")
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("backup.json: want -, got +\n%s", diff)
	}
	id, err := age.NewScryptIdentity("correct horse")
	must(t, err)
	plainText, err := age.Decrypt(bytes.NewReader(files["core.tar.zst.age"]), id)
	must(t, err)
	z, err := zstd.NewReader(plainText)
	must(t, err)
	defer z.Close()
	found := map[string]int64{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		n, err := io.Copy(io.Discard, r)
		must(t, err)
		if h.Typeflag == tar.TypeLink {
			n = found[h.Linkname]
		}
		found[h.Name] = n
	}
	for name, size := range map[string]int64{"unit.json": -1, "data/db/main.db": 500_000, "data/holes.img": 8 << 20, "notes.json": -1, "data/näme with \xff bytes\n": 1} {
		if n, ok := found[name]; !ok || size >= 0 && n != size {
			t.Errorf("%s has %d bytes (%v), want %d", name, n, ok, size)
		}
	}
}

// TestStandardToolsReadIt does the same with tar and zstd, and age where it is installed; without them the test above
// is what there is.
func TestStandardToolsReadIt(t *testing.T) {
	dir, s := t.TempDir(), newStore(t, t.TempDir())
	sample(t, filepath.Join(dir, "core"), false)
	identity, recipient, err := NewRecoveryKey()
	must(t, err)
	keyFile := filepath.Join(dir, "key")
	write(t, keyFile, identity+"\n")
	seal, err := SealFor(recipient)
	must(t, err)
	script := `set -e; tar -xf "$1"; zstd -qdc core.tar.zst | tar --xattrs -xpf - data`
	for _, c := range []struct {
		needs, script string
		seal          Seal
	}{
		{"tar zstd", script, Seal{}},
		{"tar zstd age", strings.Replace(script, "zstd -qdc core.tar.zst", `age -d -i "$2" core.tar.zst.age | zstd -qdc`, 1), seal},
	} {
		if !installed(strings.Fields(c.needs)...) {
			t.Logf("not installed: one of %s", c.needs)
			continue
		}
		r := request(addon(dir, "core"))
		r.Seal = c.seal
		m := create(t, s, r)
		cmd := exec.CommandContext(context.Background(), "sh", "-c", c.script, "sh", s.path(m.Slug), keyFile)
		cmd.Dir = t.TempDir()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.needs, err, out)
		}
		if diff := cmp.Diff(describe(t, filepath.Join(dir, "core")), describe(t, filepath.Join(cmd.Dir, "data"))); diff != "" {
			t.Errorf("with %s: want -, got +\n%s", c.needs, diff)
		}
	}
}

func installed(programs ...string) bool {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return false
		}
	}
	return true
}
