package house

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// entry is a file of an archive, or a symbolic link.
type entry struct{ name, content, link string }

func packed(t testing.TB, list ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range list {
		h := &tar.Header{Name: e.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(e.content)), Uid: os.Getuid(), Gid: os.Getgid()}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		must(t, w.WriteHeader(h))
		_, err := w.Write([]byte(e.content))
		must(t, err)
	}
	must(t, w.Close())
	return out.Bytes()
}

// haBackup writes a backup file of Home Assistant's Supervisor that holds the radio, with these entries beside its settings.
func (h *house) haBackup(name, port string, protected bool, list ...entry) string {
	h.t.Helper()
	return h.haBackupOf(name, map[string]any{"options": map[string]any{"volume": 7}, "boot": "manual",
		"network": map[string]any{"8080/tcp": json.Number(port)}, "protected": true}, protected, list...)
}

// haBackupOf is haBackup with the settings an owner had made.
func (h *house) haBackupOf(name string, user map[string]any, protected bool, list ...entry) string {
	h.t.Helper()
	user["version"] = "0.9"
	about, err := json.Marshal(map[string]any{"version": 2, "slug": "a1b2c3d4", "name": "before", "type": "partial", "date": "2026-08-01T10:00:00+00:00",
		"protected": protected, "compressed": true, "folders": []string{}, "addons": []any{map[string]any{"slug": radio, "name": "Radio", "version": "0.9", "size": 0.1}}})
	must(h.t, err)
	settings, err := json.Marshal(map[string]any{"version": "0.9", "state": "started", "user": user})
	must(h.t, err)
	var inner bytes.Buffer
	z := gzip.NewWriter(&inner)
	_, err = z.Write(packed(h.t, append([]entry{{name: "./addon.json", content: string(settings)}}, list...)...))
	must(h.t, err)
	must(h.t, z.Close())
	if protected {
		inner.Reset()
		inner.WriteString("SecureTar\x02 and what nobody can read")
	}
	path := h.path(name)
	must(h.t, os.WriteFile(path, packed(h.t, entry{name: "./backup.json", content: string(about)}, entry{name: "./" + radio + ".tar.gz", content: inner.String()}), 0o600))
	return path
}

// radioData is everything of the add-on on the disk, by its path below the add-ons' folder, waiting imports too.
func (h *house) radioData() string {
	h.t.Helper()
	var out []string
	top := h.path("data", "addons", "data")
	must(h.t, filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out = append(out, strings.TrimPrefix(path, top+"/")+"="+strings.TrimSpace(string(b)))
		return err
	}))
	return strings.Join(out, "|")
}

func TestImportFromHomeAssistantsBackup(t *testing.T) {
	h := storeHouse(t)
	port := freePort(t)
	h.image("radio", "1.0", "APP_WRITE=/data/version")
	h.addonConfig("radio", "1.0", "options: {volume: 5}", "schema: {volume: \"int(0,10)\"}", "ports: {8080/tcp: null}")
	h.offers()

	// What cannot be read installs nothing.
	h.castellan("addon", "import", h.haBackup("locked.tar", port, true), radio, "--yes").says(t, 1, "it is encrypted", "without a password")
	h.castellan("addon", "import", h.path("absent.tar"), radio, "--yes").says(t, 1, "cannot open backup", "absent.tar")
	h.castellan("addon", "import", h.haBackup("up.tar", port, false, entry{name: "data/../../../escaped", content: "x"}), radio, "--yes").says(t, 1, "made to do harm")
	if a := h.addon(radio); a.State != "absent" || h.radioData() != "" {
		t.Errorf("it is %s, with %q", a.State, h.radioData())
	}

	good := h.haBackup("good.tar", port, false, entry{name: "data/stations/list.txt", content: "one"})
	h.castellan("addon", "import", good, radio, "--start", "--yes").says(t, 0)
	h.addonIs(radio, "1.0", "running", "unsigned")
	a := h.addon(radio)
	if volume, _ := json.Marshal(a.Options["volume"]); string(volume) != "7" || a.Boot != "manual" {
		t.Errorf("options %v, boot %s", a.Options, a.Boot)
	}
	if len(a.Ports) != 1 || a.Ports[0].Host == nil || fmt.Sprint(*a.Ports[0].Host) != port {
		t.Errorf("ports %+v, want %s", a.Ports, port)
	}
	const settled = radio + `/options.json={"volume":7}|` + radio + "/stations/list.txt=one|" + radio + "/version=1.0"
	if got := strings.Join(strings.Fields(h.radioData()), ""); got != settled {
		t.Errorf("data %q, want %q", got, settled)
	}

	// What it lives on meanwhile is not touched while it runs, nor by what turns out to be no good.
	must(t, os.WriteFile(h.path("data", "addons", "data", radio, "mine.txt"), []byte("precious"), 0o644))
	before := h.radioData()
	h.castellan("addon", "import", good, radio, "--yes").says(t, 1, "castellan addon stop "+radio)
	h.castellan("addon", "stop", radio).says(t, 0)
	cut, err := os.ReadFile(good)
	must(t, err)
	must(t, os.WriteFile(h.path("cut.tar"), bytes.Replace(cut, []byte("\x1f\x8b"), []byte("\x1f\x8c"), 1), 0o600))
	for name, bad := range map[string]string{
		"cut.tar":      h.path("cut.tar"),
		"locked":       h.path("locked.tar"),
		"up":           h.path("up.tar"),
		"absolute":     h.haBackup("absolute.tar", port, false, entry{name: h.path("escaped"), content: "x"}),
		"through link": h.haBackup("link.tar", port, false, entry{name: "data/l", link: h.path()}, entry{name: "data/l/escaped", content: "x"}, entry{name: "data/l", content: "again"}),
	} {
		if a := h.castellan("addon", "import", bad, radio, "--yes"); a.exit != 1 {
			t.Errorf("%s: %s", name, a)
		}
		if got := h.radioData(); got != before {
			t.Errorf("%s: data %q, before %q", name, got, before)
		}
	}

	// A link that leads out is left out; the rest takes the place of the old data, all of it.
	h.castellan("addon", "import", h.haBackup("links.tar", port, false, entry{name: "data/l", link: "/etc"}, entry{name: "data/new.txt", content: "new"}), radio, "--yes").says(t, 0, "imported")
	if got := h.radioData(); got != radio+"/new.txt=new" {
		t.Errorf("data %q", got)
	}
	h.castellan("addon", "start", radio).says(t, 0)
	h.addonIs(radio, "1.0", "running", "unsigned")
	for _, path := range []string{h.path("escaped"), h.path("data", "escaped"), h.path("data", "addons", "escaped"), "/escaped"} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s was written", path)
		}
	}
}
