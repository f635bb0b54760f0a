package habackup

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// extract unpacks an add-on with these members into a new folder.
func extract(t *testing.T, inner string) (string, []Skip, error) {
	t.Helper()
	b := open(t, member{name: "./backup.json", content: infoJSON}, member{name: "./core_mosquitto.tar.gz", content: inner})
	dir := filepath.Join(t.TempDir(), "new")
	skips, err := b.Extract(t.Context(), "core_mosquitto", dir)
	if err != nil {
		if list, _ := os.ReadDir(filepath.Dir(dir)); len(list) != 0 {
			t.Errorf("left behind: %v", list)
		}
	}
	return dir, skips, err
}

func TestExtract(t *testing.T) {
	dir, skips, err := extract(t, addonArchive(t,
		member{name: "data/options.json", content: "{}", mode: 0o600},
		member{name: "data/deep/er/file", content: strings.Repeat("x", 100_000), mode: 0o4755},
		member{name: "data/deep", kind: tar.TypeDir, mode: 0o555},
		member{name: "data/deep/link", kind: tar.TypeSymlink, link: "../options.json"},
		member{name: "data/dangling", kind: tar.TypeSymlink, link: "not/there"},
		member{name: "data/hard", kind: tar.TypeLink, link: "data/options.json"},
		member{name: "config", kind: tar.TypeDir, mode: 0o755},
		member{name: "config/my.conf", content: "hello"},
	))
	if err != nil || len(skips) != 0 {
		t.Fatal(skips, err)
	}
	for name, want := range map[string]string{"data/options.json": "{}", "data/deep/link": "{}", "data/hard": "{}", "config/my.conf": "hello", "data/deep/er/file": strings.Repeat("x", 100_000)} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %.40q, %v", name, got, err)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("beside data and config: %v", list)
	}
	for name, want := range map[string]os.FileMode{
		"data": os.ModeDir | os.ModeSetgid | 0o750, "data/options.json": 0o600, "data/deep": os.ModeDir | 0o555,
		"data/deep/er/file": 0o755, // without the set-user-ID bit
		"config":            os.ModeDir | 0o755,
	} {
		fi, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode() != want || !fi.ModTime().Equal(then) || fi.Sys().(*syscall.Stat_t).Uid != uint32(os.Getuid()) {
			t.Errorf("%s: mode %v, want %v; time %v", name, fi.Mode(), want, fi.ModTime())
		}
	}
	if to, err := os.Readlink(dir + "/data/dangling"); err != nil || to != "not/there" {
		t.Errorf("got %q, %v", to, err)
	}
	stays(t, dir)
}

func TestCheckWritesNothing(t *testing.T) {
	good := addonArchive(t, member{name: "data/a", content: strings.Repeat("abc", 10_000)})
	for _, c := range []struct{ name, inner, want string }{
		{"good", good, ""},
		{"left out", addonArchive(t, member{name: "data/x", kind: tar.TypeSymlink, link: "/etc"}), ""},
		{"name up", addonArchive(t, member{name: "data/../../x", content: "x"}), "leaves its folder"},
		{"cut off", good[:len(good)/2], "cut off, damaged or encrypted"},
		{"empty", "", "its archive is empty or cut off"},
	} {
		b := open(t, member{name: "./backup.json", content: infoJSON}, member{name: "./core_mosquitto.tar.gz", content: c.inner})
		if err := b.Check(t.Context(), "core_mosquitto"); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestMembersThatAreLeftOut(t *testing.T) {
	for _, c := range []struct {
		name string
		m    []member
		want string // in the reason; "" = kept
	}{
		{"absolute link", []member{{name: "data/x", kind: tar.TypeSymlink, link: "/etc/passwd"}}, "the link leads out of the folder, to \"/etc/passwd\""},
		{"link up", []member{{name: "data/x", kind: tar.TypeSymlink, link: "../../etc"}}, "the link leads out of the folder"},
		{"link to the other folder", []member{{name: "data/x", kind: tar.TypeSymlink, link: "../config/y"}}, "the link leads out of the folder"},
		{"link up after a name", []member{{name: "data/p/q/r", kind: tar.TypeSymlink, link: "../../s"}, {name: "data/s/f", content: "x"}, {name: "data/y", kind: tar.TypeSymlink, link: "p/q/r/../../.."}}, "the link leads out of the folder"},
		{"link to the top", []member{{name: "data/a/x", kind: tar.TypeSymlink, link: ".."}}, ""},
		{"hard link out", []member{{name: "data/x", kind: tar.TypeLink, link: "/etc/passwd"}}, "the hard link leads out of the folder"},
		{"hard link up", []member{{name: "data/x", kind: tar.TypeLink, link: "data/../../../etc/passwd"}}, "the hard link leads out of the folder"},
		{"hard link to nothing", []member{{name: "data/x", kind: tar.TypeLink, link: "data/y"}}, "which is not there"},
		{"device", []member{{name: "data/x", kind: tar.TypeBlock}}, "it is a device"},
		{"pipe", []member{{name: "data/x", kind: tar.TypeFifo}}, "it is a device, a pipe"},
		{"link in place of the folder", []member{{name: "config", kind: tar.TypeSymlink, link: "/etc"}}, "a folder belongs in its place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, skips, err := extract(t, addonArchive(t, c.m...))
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(skips) != 0 || c.want != "" && (len(skips) != 1 || !strings.Contains(skips[0].Why, c.want)) {
				t.Errorf("left out: %+v, want %q", skips, c.want)
			}
			stays(t, dir)
		})
	}
	many := make([]member, 300)
	for i := range many {
		many[i] = member{name: "data/x", kind: tar.TypeFifo}
	}
	if _, skips, err := extract(t, addonArchive(t, many...)); err != nil || len(skips) != maxSkips || skips[maxSkips-1].Why != "and more" {
		t.Errorf("%d reasons, %v", len(skips), err)
	}
}

func TestHostileArchivesAreRefused(t *testing.T) {
	good := addonArchive(t, member{name: "data/a", content: strings.Repeat("abc", 10_000)})
	bomb := archive(t, member{name: "data/x", content: "x", pax: map[string]string{"XNU.sparse.numblocks": "1", "XNU.sparse.map": "0,1", "XNU.sparse.size": "1152921504606846976"}})
	bomb = bytes.ReplaceAll(bomb, []byte("XNU.sparse"), []byte("GNU.sparse")) // which the library does not write
	flipped := []byte(good)
	flipped[len(flipped)-6] ^= 1 // in the checksum
	for _, c := range []struct{ name, inner, want string }{
		{"absolute name", addonArchive(t, member{name: "/etc/cron.d/x", content: "x"}), "was made to do harm"},
		{"name up", addonArchive(t, member{name: "data/../../x", content: "x"}), "leaves its folder; this archive was made to do harm"},
		{"name up that comes back", addonArchive(t, member{name: "data/../data/x", content: "x"}), "leaves its folder"},
		{"deep", addonArchive(t, member{name: "data/" + strings.Repeat("d/", 200) + "x"}), "folders deep"},
		{"twice", addonArchive(t, member{name: "data/x", content: "1"}, member{name: "data/x", content: "2"}), "it is in the archive twice"},
		{"through a link", addonArchive(t, member{name: "data/l", kind: tar.TypeSymlink, link: "."}, member{name: "data/l/x", content: "1"}), "it is in the archive twice"},
		{"file in place of the folder", addonArchive(t, member{name: "data/x", content: "1"}, member{name: "data/x/y", content: "2"}), "data/x"},
		{"sparse bomb", zipped(t, bomb), `"data/x" is a sparse file`},
		{"larger than the disk", addonArchive(t, member{name: "data/x", size: 1 << 60}), "which is the limit or all the disk has room for"},
		{"cut off", good[:len(good)/2], "cut off, damaged or encrypted"},
		{"cut off at the end", good[:len(good)-4], "cut off, damaged or encrypted"},
		{"checksum", string(flipped), "cut off, damaged or encrypted: gzip: invalid checksum"},
		{"garbage", strings.Repeat("garbage", 1000), "cut off, damaged or encrypted"},
		{"empty", "", "its archive is empty or cut off"},
		{"more after the end", zipped(t, append(archive(t, member{name: "data/a"}), make([]byte, 4<<20)...)), "its archive goes on after its end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := extract(t, c.inner); err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 700 {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestBombs(t *testing.T) {
	b := open(t, member{name: "./backup.json", content: infoJSON},
		member{name: "./core_mosquitto.tar.gz", content: zipped(t, archive(t, member{name: "image.tar", content: strings.Repeat("\x00", 8<<20)}))})
	r, err := b.members(t.Context(), "core_mosquitto", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, _, err = r.next()
	}
	if !errors.As(err, new(*limitError)) {
		t.Errorf("8 MiB out of %d bytes: %v", b.Addons[0].Size, err)
	}
	if r, err = b.members(t.Context(), "core_mosquitto", 1<<30); err != nil {
		t.Fatal(err)
	}
	r.count = maxMembers
	if _, _, err := r.next(); err == nil || !strings.Contains(err.Error(), "holds more than 1000000 files") {
		t.Errorf("got %v", err)
	}
}

func TestExtractStops(t *testing.T) {
	b := open(t, member{name: "./backup.json", content: infoJSON}, member{name: "./core_mosquitto.tar.gz", content: addonArchive(t)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(t.TempDir(), "new")
	if _, err := b.Extract(ctx, "core_mosquitto", dir); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Extract(t.Context(), "core_mosquitto", dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("a folder that is there already: %v", err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error("it was removed, and was not ours")
	}
	if _, err := b.Extract(t.Context(), "core_mosquitto", "/nowhere/at/all"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestFolders(t *testing.T) {
	b := open(t, member{name: "./backup.json", content: infoJSON},
		member{name: "./addons_local.tar.gz", content: zipped(t, archive(t, member{name: ".", kind: tar.TypeDir, mode: 0o755}, member{name: "./mine/config.yaml", content: "x"}, member{name: "./again", kind: tar.TypeLink, link: "./mine/config.yaml"}))},
		member{name: "./homeassistant.tar.gz", content: zipped(t, archive(t, member{name: "./homeassistant.json", content: "{}"}, member{name: "data/configuration.yaml", content: "y"}))},
		member{name: "./ssl.tar", content: string(archive(t, member{name: "./../x", content: "x"}))})
	for folder, want := range map[string]string{"addons/local": "mine/config.yaml again", "homeassistant": "configuration.yaml"} {
		dir := filepath.Join(t.TempDir(), "new")
		if skips, err := b.ExtractFolder(t.Context(), folder, dir); err != nil || len(skips) != 0 {
			t.Errorf("%s: %v, %v", folder, skips, err)
		}
		for name := range strings.FieldsSeq(want) {
			if _, err := os.Stat(filepath.Join(dir, "data", name)); err != nil {
				t.Error(err)
			}
		}
	}
	for folder, want := range map[string]string{"ssl": "was made to do harm", "media": "holds no archive of it", "../x": "known are share"} {
		if _, err := b.ExtractFolder(t.Context(), folder, filepath.Join(t.TempDir(), "new")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", folder, err, want)
		}
	}
}
