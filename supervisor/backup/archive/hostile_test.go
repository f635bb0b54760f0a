package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// forged is a backup built by hand.
type forged struct {
	members []*tar.Header // of the part "core", after unit.json
	bodies  map[*tar.Header]string
	about   unitFile
	raw     []byte        // instead of members
	tail    string        // after the part's archive
	after   string        // after the part's frame
	part    func(p *Part) // changes what backup.json says
	head    func(s string) string
	file    func(b []byte) []byte
}

func sound() *forged {
	dir := &tar.Header{Typeflag: tar.TypeDir, Name: "data/", Mode: 0o755}
	file := &tar.Header{Typeflag: tar.TypeReg, Name: "data/file", Mode: 0o644, Size: 4}
	notes := &tar.Header{Typeflag: tar.TypeReg, Name: notesName, Mode: 0o600, Size: 2}
	return &forged{
		members: []*tar.Header{dir, file, notes},
		bodies:  map[*tar.Header]string{file: "good", notes: "[]"},
		about:   unitFile{Format: format, Backup: "00c0ffee", Kind: Addon, Slug: "core"},
	}
}

// insert puts a member before the last one.
func (f *forged) insert(h *tar.Header, body string) {
	h.Size, h.Mode = int64(len(body)), 0o644
	f.bodies[h] = body
	f.members = slices.Insert(f.members, len(f.members)-1, h)
}

func (f *forged) build(t testing.TB) []byte {
	t.Helper()
	var inner bytes.Buffer
	w := tar.NewWriter(&inner)
	about, err := json.Marshal(f.about)
	must(t, err)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: unitName, Mode: 0o600, Size: int64(len(about))}))
	_, err = w.Write(about)
	must(t, err)
	for _, h := range f.members {
		if f.raw != nil {
			break
		}
		must(t, w.WriteHeader(h))
		_, err := w.Write([]byte(f.bodies[h]))
		must(t, err)
	}
	if f.raw == nil {
		must(t, w.Close())
	} else {
		must(t, w.Flush())
		inner.Write(f.raw)
	}
	inner.WriteString(f.tail)
	enc, err := zstd.NewWriter(nil)
	must(t, err)
	body := append(enc.EncodeAll(inner.Bytes(), nil), f.after...)
	sum := sha256.Sum256(body)
	p := Part{File: "core.tar.zst", Kind: Addon, Slug: "core", Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]), Unpacked: int64(inner.Len()), Files: int64(len(f.members) + 1)}
	info := Info{Slug: "00c0ffee", Name: "n", Date: start, Type: Full, Origin: Owner}
	said := p
	if f.part != nil {
		f.part(&said)
	}
	info.Parts = []Part{said}
	text, err := info.encode()
	must(t, err)
	if f.head != nil {
		text = []byte(f.head(string(text)))
	}
	var out bytes.Buffer
	for _, m := range []struct {
		name string
		body []byte
	}{{headName, text}, {p.File, body}} {
		h, err := header(m.name, int64(len(m.body)), start)
		must(t, err)
		out.Write(append(h, m.body...))
		out.Write(make([]byte, padded(int64(out.Len()))-int64(out.Len())))
	}
	out.Write(make([]byte, 2*block))
	if f.file != nil {
		return f.file(out.Bytes())
	}
	return out.Bytes()
}

func swapText(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

// TestHostileBackups refuses each with the reason, and nothing is left or written anywhere else.
func TestHostileBackups(t *testing.T) {
	add := func(kind byte, name, link, body string) func(*forged) {
		return func(f *forged) { f.insert(&tar.Header{Typeflag: kind, Name: name, Linkname: link}, body) }
	}
	for name, c := range map[string]struct {
		spoil func(f *forged)
		want  Reason // "" = it is good
		is    error
	}{
		"sound":            {func(*forged) {}, "", nil},
		"link to anywhere": {add(tar.TypeSymlink, "data/l", "/etc/passwd", ""), "", nil},
		"up and out":       {add(tar.TypeReg, "../evil", "", "x"), Traversal, nil},
		"up in the middle": {add(tar.TypeReg, "data/../../evil", "", "x"), Traversal, nil},
		"absolute":         {add(tar.TypeReg, "/evil", "", "x"), Traversal, nil},
		"detour":           {add(tar.TypeReg, "data//x", "", "x"), Traversal, nil},
		"dot":              {add(tar.TypeReg, "./data/x", "", "x"), Traversal, nil},
		"through a link": {func(f *forged) {
			add(tar.TypeSymlink, "data/l", "/tmp", "")(f)
			add(tar.TypeReg, "data/l/evil", "", "x")(f)
		}, Order, nil},
		"folder over a link": {func(f *forged) { add(tar.TypeSymlink, "data/l", "/tmp", "")(f); add(tar.TypeDir, "data/l/", "", "")(f) }, Twice, nil},
		"file over a link": {func(f *forged) {
			add(tar.TypeSymlink, "data/l", "/tmp/x", "")(f)
			add(tar.TypeReg, "data/l", "", "x")(f)
		}, Twice, nil},
		"file over a file":   {add(tar.TypeReg, "data/file", "", "x"), Twice, nil},
		"no folder":          {add(tar.TypeReg, "data/a/b", "", "x"), Order, nil},
		"beside the trees":   {add(tar.TypeReg, "evil", "", "x"), Extra, nil},
		"hard link up":       {add(tar.TypeLink, "data/h", "../../etc/passwd", ""), LinkOut, nil},
		"hard link absolute": {add(tar.TypeLink, "data/h", "/etc/passwd", ""), LinkOut, nil},
		"hard link to none":  {add(tar.TypeLink, "data/h", "data/none", ""), LinkOut, nil},
		"hard link to link": {func(f *forged) {
			add(tar.TypeSymlink, "data/l", "/etc/passwd", "")(f)
			add(tar.TypeLink, "data/h", "data/l", "")(f)
		}, LinkOut, nil},
		"device":   {add(tar.TypeBlock, "data/sda", "", ""), Device, nil},
		"pipe":     {add(tar.TypeFifo, "data/p", "", ""), Device, nil},
		"too deep": {add(tar.TypeReg, "data/"+strings.Repeat("d/", 200)+"x", "", "x"), TooDeep, nil},
		"after the notes": {func(f *forged) {
			f.members = append(f.members, &tar.Header{Typeflag: tar.TypeReg, Name: "data/late"})
		}, Extra, nil},
		"no notes":              {func(f *forged) { f.members = f.members[:2] }, CutOff, nil},
		"more files than said":  {func(f *forged) { f.part = func(p *Part) { p.Files-- } }, TooMany, nil},
		"fewer files than said": {func(f *forged) { f.part = func(p *Part) { p.Files++ } }, CutOff, nil},
		"more bytes than said":  {func(f *forged) { f.part = func(p *Part) { p.Unpacked -= 512 } }, TooLarge, nil},
		"bomb":                  {func(f *forged) { f.tail = strings.Repeat("\x00", 64<<20); f.part = func(p *Part) { p.Unpacked = 4096 } }, TooLarge, nil},
		"huge numbers":          {func(f *forged) { f.part = func(p *Part) { p.Unpacked = 1 << 60 } }, TooLarge, nil},
		"negative":              {func(f *forged) { f.part = func(p *Part) { p.Size = -1 } }, Damaged, nil},
		"overflow":              {func(f *forged) { f.part = func(p *Part) { p.Size = 1<<63 - 1 } }, TooLarge, nil},
		"something after":       {func(f *forged) { f.tail = "more" }, Extra, nil},
		"no frame after":        {func(f *forged) { f.after = "more" }, Damaged, nil},
		"wrong checksum":        {func(f *forged) { f.part = func(p *Part) { p.SHA256 = strings.Repeat("0", 64) } }, Checksum, nil},
		"no checksum":           {func(f *forged) { f.part = func(p *Part) { p.SHA256 = "x" } }, Damaged, nil},
		"another backup's part": {func(f *forged) { f.about.Backup = "deadbeef" }, Foreign, nil},
		"another unit's part":   {func(f *forged) { f.about.Slug = "other" }, Foreign, nil},
		"other size":            {func(f *forged) { f.part = func(p *Part) { p.Size-- } }, Extra, nil},
		"slug with a path":      {func(f *forged) { f.part = func(p *Part) { p.Slug = "../core" } }, Damaged, nil},
		"file with a path":      {func(f *forged) { f.part = func(p *Part) { p.File = "../core.tar.zst" } }, Damaged, nil},
		"cut":                   {func(f *forged) { f.file = func(b []byte) []byte { return b[:len(b)-1100] } }, CutOff, nil},
		"cut in the head":       {func(f *forged) { f.file = func(b []byte) []byte { return b[:700] } }, CutOff, nil},
		"empty":                 {func(f *forged) { f.file = func([]byte) []byte { return nil } }, NoBackup, nil},
		"longer":                {func(f *forged) { f.file = func(b []byte) []byte { return append(b, make([]byte, 512)...) } }, Extra, nil},
		"extra member":          {func(f *forged) { f.file = func(b []byte) []byte { b[len(b)-900] = 1; return b } }, Extra, nil},
		"no tar":                {func(f *forged) { f.file = func(b []byte) []byte { return bytes.Repeat([]byte("no"), 1000) } }, NoBackup, nil},
		"key twice":             {func(f *forged) { f.head = swapText(`"name"`, `"slug": "deadbeef", "name"`) }, Damaged, nil},
		"no json":               {func(f *forged) { f.head = func(string) string { return "{" } }, Damaged, nil},
		"newer":                 {func(f *forged) { f.head = swapText(`"format": 1`, `"format": 2, "what": {}`) }, "", ErrNewer},
		"home assistant's":      {func(f *forged) { f.head = swapText(`"castellan"`, `"other"`) }, "", ErrForeign},
		"says it is encrypted":  {func(f *forged) { f.head = swapText(`"protected": false`, `"protected": true`) }, Damaged, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := sound()
			c.spoil(f)
			dir := t.TempDir()
			file := filepath.Join(dir, "00c0ffee.tar")
			must(t, os.WriteFile(file, f.build(t), 0o600))
			before := describe(t, dir)
			b, err := OpenFile(file)
			if err == nil {
				defer b.Close()
				b.reserve = 0
				_, err = b.Extract(t.Context(), "core", filepath.Join(dir, "to"), Key{}, nil)
			}
			var r *Refusal
			switch {
			case c.want == "" && c.is == nil:
				if err != nil {
					t.Fatal(err)
				}
				return
			case c.is != nil && !errors.Is(err, c.is), c.want != "" && (!errors.As(err, &r) || r.Reason != c.want):
				t.Errorf("got %v, want %s %v", err, c.want, c.is)
			}
			after := describe(t, dir)
			delete(before, ".")
			delete(after, ".") // its times say that something was there
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("something is left: -before +after\n%s", diff)
			}
		})
	}
}

// TestKeys tries wrong ones: each says what is wrong, and nothing is left.
func TestKeys(t *testing.T) {
	dir, s := t.TempDir(), newStore(t, t.TempDir())
	write(t, filepath.Join(dir, "core/x"), "x")
	identity, recipient, err := NewRecoveryKey()
	must(t, err)
	other, _, err := NewRecoveryKey()
	must(t, err)
	seals, keys := map[string]Seal{"open": {}}, map[string]Key{"none": {}}
	seals["recovery"], err = SealFor(recipient)
	must(t, err)
	seals["words"], err = SealWith("correct horse")
	must(t, err)
	for name, id := range map[string]string{"recovery": identity, "other": other} {
		keys[name], err = RecoveryKey(id)
		must(t, err)
	}
	for name, p := range map[string]string{"words": "correct horse", "wrong": "Correct horse"} {
		keys[name], err = Passphrase(p)
		must(t, err)
	}
	for seal := range seals {
		r := request(addon(dir, "core"))
		r.Seal = seals[seal]
		b, err := s.Read(create(t, s, r).Slug)
		must(t, err)
		defer b.Close()
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			var want error
			switch {
			case seal == "open" || seal == key:
			case key == "none":
				want = ErrKeyNeeded
			default:
				want = ErrWrongKey
			}
			to := filepath.Join(dir, seal+key)
			_, err := b.Extract(t.Context(), "core", to, keys[key], nil)
			if !errors.Is(err, want) || (want == nil) != exists(to) {
				t.Errorf("%s opened with %s: %v, want %v; left %v", seal, key, err, want, exists(to))
			}
			if err != nil && strings.Contains(fmt.Sprint(err), "orrect horse") {
				t.Errorf("the error shows the passphrase: %v", err)
			}
		}
	}
	for name, bad := range map[string]func() error{
		"short":     func() error { _, err := SealWith("1234567"); return err },
		"recipient": func() error { _, err := SealFor(identity); return err },
		"identity":  func() error { _, err := RecoveryKey(recipient); return err },
		"empty":     func() error { _, err := Passphrase(""); return err },
	} {
		if err := bad(); err == nil || strings.Contains(err.Error(), identity) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(dir, "recipient")
	must(t, WriteRecipient(file, " "+recipient+"\n"))
	if got, err := ReadRecipient(file); err != nil || got.public != recipient {
		t.Errorf("kept %q, %v", got.public, err)
	}
	if _, err := ReadRecipient(file + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no key yet: %v", err)
	}
}
