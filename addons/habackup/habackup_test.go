package habackup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// member is one of an archive's.
type member struct {
	name, content string
	kind          byte // a file when 0
	link          string
	mode          int64
	size          int64 // said to be, when not that of content
	pax           map[string]string
}

var then = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

func archive(t testing.TB, list ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range list {
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Linkname: m.link, Mode: m.mode, ModTime: then, Size: int64(len(m.content)), Uid: os.Getuid(), Gid: os.Getgid(), PAXRecords: m.pax}
		if m.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if m.mode == 0 {
			h.Mode = 0o640
		}
		if m.size != 0 {
			h.Size = m.size
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.content)); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close() // complains about members that say more than they hold, which is the point of them
	return out.Bytes()
}

func zipped(t testing.TB, data []byte) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const (
	infoJSON = `{"version":2,"slug":"a1b2c3d4","type":"full","name":"Before the holidays","date":"2026-08-01T10:00:00+00:00","compressed":true,
		"protected":false,"homeassistant":{"version":"2026.8.1","size":1.5,"exclude_database":false},"folders":["ssl","addons/local"],
		"addons":[{"slug":"core_mosquitto","name":"Mosquitto","version":"6.5.2","size":0.1},{"slug":"gone","name":"Gone","version":1.10}],
		"repositories":["https://github.com/hassio-addons/repository"],"supervisor_version":"2026.08.0","extra":{}}`
	addonJSON = `{"user":{"version":"6.5.2","image":"homeassistant/{arch}-addon-mosquitto","options":{"logins":[{"username":"a"}],"n":3,"f":1.5,"big":9007199254740993},
		"boot":"manual","auto_update":true,"watchdog":true,"network":{"1883/tcp":1884,"8883/tcp":null},"protected":false,"access_token":"x"},
		"system":{"name":"Mosquitto"},"version":"6.5.2","state":"started"}`
)

func addonArchive(t testing.TB, more ...member) string {
	return zipped(t, archive(t, append([]member{
		{name: ".", kind: tar.TypeDir, mode: 0o700}, {name: "./image.tar", content: "image"}, {name: "./addon.json", content: addonJSON},
		{name: "data", kind: tar.TypeDir, mode: 0o2750},
	}, more...)...))
}

// write makes a backup file.
func write(t testing.TB, list ...member) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a1b2c3d4.tar")
	if err := os.WriteFile(name, archive(t, list...), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func open(t testing.TB, list ...member) *Backup {
	t.Helper()
	b, err := Open(write(t, list...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestListing(t *testing.T) {
	inner := addonArchive(t)
	b := open(t, member{name: "./core_mosquitto.tar.gz", content: inner}, member{name: "./backup.json", content: infoJSON})
	want := Info{
		Slug: "a1b2c3d4", Name: "Before the holidays", Date: "2026-08-01T10:00:00+00:00", Type: "full", HomeAssistant: "2026.8.1",
		Addons:       []Addon{{"core_mosquitto", "Mosquitto", "6.5.2", int64(len(inner))}, {"gone", "Gone", "1.10", 0}},
		Folders:      []string{"ssl", "addons/local"},
		Repositories: []string{"https://github.com/hassio-addons/repository"}, version: 2,
	}
	if !reflect.DeepEqual(b.Info, want) {
		t.Errorf("got  %+v\nwant %+v", b.Info, want)
	}
	m, err := b.Addon("core_mosquitto")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(1884)
	wantMeta := Meta{
		Version: "6.5.2", Boot: "manual", AutoUpdate: true, Watchdog: true, State: "started", Image: "homeassistant/{arch}-addon-mosquitto",
		Options: map[string]any{"logins": []any{map[string]any{"username": "a"}}, "n": int64(3), "f": 1.5, "big": int64(9007199254740993)},
		Ports:   map[string]*uint16{"1883/tcp": &port, "8883/tcp": nil}, System: []byte(`{"name":"Mosquitto"}`),
	}
	if !reflect.DeepEqual(m, wantMeta) {
		t.Errorf("got  %+v\nwant %+v", m, wantMeta)
	}
	for slug, want := range map[string]string{"gone": "the backup holds no archive of it", "../x": "the backup holds no archive of it"} {
		if _, err := b.Addon(slug); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", slug, err)
		}
	}
}

func TestVersion1(t *testing.T) {
	b := open(t, member{name: "./snapshot.json", content: `{"slug":"x","type":"partial","name":"old","date":"2019","homeassistant":"0.99.1","folders":["homeassistant"],"addons":[]}`},
		member{name: "./homeassistant.tar.gz", content: zipped(t, archive(t, member{name: "configuration.yaml", content: "a: 1"}))})
	if b.HomeAssistant != "0.99.1" || b.Type != "partial" {
		t.Errorf("got %+v", b.Info)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if skips, err := b.ExtractFolder(t.Context(), "homeassistant", dir); err != nil || len(skips) != 0 {
		t.Fatal(skips, err)
	}
	if got, _ := os.ReadFile(dir + "/data/configuration.yaml"); string(got) != "a: 1" {
		t.Errorf("got %q", got)
	}
}

func TestWhatIsNoBackupIsRefused(t *testing.T) {
	good := archive(t, member{name: "./core_mosquitto.tar.gz", content: addonArchive(t)}, member{name: "./backup.json", content: infoJSON})
	info := func(json string) []byte { return archive(t, member{name: "./backup.json", content: json}) }
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "it holds no backup.json"},
		{"garbage", bytes.Repeat([]byte("garbage "), 1000), "it is cut off or no tar file"},
		{"cut in a part", good[:600], "it is cut off in \"core_mosquitto.tar.gz\"; copy or download it again"},
		{"another tar", archive(t, member{name: "x", content: "y"}), "is it a backup of Home Assistant's Supervisor?"},
		{"twice", archive(t, member{name: "./backup.json", content: infoJSON}, member{name: "backup.json", content: infoJSON}), `it holds "backup.json" twice`},
		{"no JSON", info("hello"), "cannot understand its backup.json: invalid character"},
		{"wrong types", info(`{"addons":7}`), "cannot understand its backup.json: json: cannot unmarshal number"},
		{"deep", info(strings.Repeat("[", 100_000)), "cannot understand its backup.json"},
		{"newer", info(`{"version":3}`), "its format has version 3, only 1 and 2 are known"},
		{"slug with a way", info(`{"addons":[{"slug":"../../etc"}]}`), `lists "../../etc", which is no add-on's slug`},
		{"slug twice", info(`{"addons":[{"slug":"a"},{"slug":"a"}]}`), `lists "a", which is no add-on's slug or there already`},
		{"unknown folder", info(`{"folders":["etc"]}`), `lists the folder "etc"; known are share`},
		{"many", info(`{"addons":[` + strings.Repeat(`{"slug":"a"},`, 1001) + `{"slug":"b"}]}`), "lists more than 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "b.tar")
			if err := os.WriteFile(name, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(name); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cannot open backup "+name) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "it is not a file") {
		t.Errorf("a folder: %v", err)
	}
}

func TestProtectedBackupsSaySo(t *testing.T) {
	sealed := "SecureTar\x02" + strings.Repeat("\x00", 600)
	for _, json := range []string{strings.Replace(infoJSON, `"protected":false`, `"protected":true`, 1), infoJSON} {
		b := open(t, member{name: "./core_mosquitto.tar.gz", content: sealed}, member{name: "./backup.json", content: json})
		_, err := b.Addon("core_mosquitto")
		_, err2 := b.Extract(t.Context(), "core_mosquitto", filepath.Join(t.TempDir(), "x"))
		if !errors.Is(err, ErrProtected) || !errors.Is(err2, ErrProtected) || !strings.Contains(err.Error(), "make a backup without a password") {
			t.Errorf("got %v and %v", err, err2)
		}
		if len(b.Addons) != 2 {
			t.Error("the listing of a protected backup can be read")
		}
	}
}

func TestSettingsThatCannotBeMeantAreRefused(t *testing.T) {
	for json, want := range map[string]string{
		`{"user":{"boot":"never"}}`:                  `user.boot: "never": want auto or manual`,
		`{"user":{"options":[1]}}`:                   "user.options: ",
		`{"user":{"network":{"80":70000}}}`:          `user.network.80: "70000": want 1 to 65535 or null`,
		`{"user":{"network":{"../x":1}}}`:            `user.network: "../x": want a port as "80/tcp"`,
		`{"user":{"watchdog":"yes"}}`:                "cannot understand addon.json",
		`{"user":`:                                   "unexpected end",
		`{"version":` + strings.Repeat("[", 100_000): "cannot understand addon.json",
	} {
		b := open(t, member{name: "./backup.json", content: infoJSON},
			member{name: "./core_mosquitto.tar", content: string(archive(t, member{name: "./addon.json", content: json}))})
		if _, err := b.Addon("core_mosquitto"); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 500 {
			t.Errorf("%.60s: got %v, want %q", json, err, want)
		}
	}
	b := open(t, member{name: "./backup.json", content: infoJSON},
		member{name: "./core_mosquitto.tar", content: string(archive(t, member{name: "./addon.json", content: `{"version":2.10,"state":"stopped"}`}))})
	if m, err := b.Addon("core_mosquitto"); err != nil || !m.Protected || m.Version != "2.10" || m.Options != nil || m.Ports != nil {
		t.Errorf("got %+v, %v; what is not said is protected and the add-on's own", m, err)
	}
}

func FuzzBackup(f *testing.F) {
	good := addonArchive(f, member{name: "data/a", content: "b"}, member{name: "data/l", kind: tar.TypeSymlink, link: "a"}, member{name: "data/h", kind: tar.TypeLink, link: "data/a"})
	f.Add([]byte(infoJSON), []byte(good))
	f.Add([]byte(`{"version":1,"homeassistant":"1"}`), archive(f, member{name: "data/../../x", content: "b"}))
	f.Fuzz(func(t *testing.T, info, inner []byte) {
		if len(inner) > 1<<20 {
			return
		}
		around := t.TempDir()
		name := filepath.Join(around, "b.tar")
		data := archive(t, member{name: "./backup.json", content: string(info)}, member{name: "core_mosquitto.tar", content: string(inner)})
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := Open(name)
		if err != nil {
			return
		}
		defer func() { _ = b.Close() }()
		_, _ = b.Addon("core_mosquitto")
		_, err = b.Extract(t.Context(), "core_mosquitto", filepath.Join(around, "new"))
		list, _ := os.ReadDir(around)
		if want := 2; err != nil && len(list) != 1 || len(list) > want {
			t.Errorf("after %v there is %v", err, list)
		}
		if err == nil {
			stays(t, filepath.Join(around, "new"))
		}
	})
}

// stays wants that every symbolic link below dir/data and dir/config stays there.
func stays(t testing.TB, dir string) {
	t.Helper()
	err := filepath.Walk(dir, func(name string, fi os.FileInfo, err error) error {
		if err != nil || fi.Mode().Type() != os.ModeSymlink {
			return err
		}
		top, _, _ := strings.Cut(strings.TrimPrefix(name, dir+"/"), "/")
		if to, err := filepath.EvalSymlinks(name); err == nil && !strings.HasPrefix(to+"/", filepath.Join(dir, top)+"/") {
			return fmt.Errorf("%s leads to %s", name, to)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
