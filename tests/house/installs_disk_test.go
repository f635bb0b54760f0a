package house

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

// smallDisk mounts a disk of some megabytes at a folder.
func smallDisk(t testing.TB, dir, size string) {
	t.Helper()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("cannot mount a small disk: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() }) // the namespace takes it along otherwise
}

// absent fails the test unless nothing is left of an installation of radio that failed.
func (h *house) absent() {
	h.t.Helper()
	if a := h.addon(radio); a.State != "absent" || a.Version != "" {
		h.t.Errorf("it is %s at %q", a.State, a.Version)
	}
	for _, k := range h.containers() {
		if k.service() == "addon_"+radio {
			h.t.Errorf("container %s is left", k.ID)
		}
	}
	if _, err := os.Lstat(h.path("data", "addons", "data", radio)); !errors.Is(err, fs.ErrNotExist) {
		h.t.Errorf("its data folder is left: %v", err)
	}
}

// TestInstallToAFullDisk installs an add-on that the engine's disk has no room for.
func TestInstallToAFullDisk(t *testing.T) {
	testenv.Engine(t)
	small := t.TempDir()
	smallDisk(t, small, "48m")
	w := newWorldOn(t, testenv.PrivateEngine(t, "--data-root", small).Host)
	w.core("1.0")
	w.release("1.0")
	b := testenv.Build{Registry: w.registry.host, Repository: "house/radio", Tag: "1.0", Pad: 60 << 20, Env: map[string]string{"APP_WORLD": w.dir}}
	testenv.BuildImage(t, b)
	h := newHouse(w, withStore)
	h.begin()
	h.addonConfig("radio", "1.0")
	h.offers()
	h.castellan("addon", "install", radio, "--yes").says(t, 1, "the disk is full")
	h.absent()
	h.runs(h.core, "1.0", "verified")
	if out, err := exec.Command("mount", "-o", "remount,size=400m", small).CombinedOutput(); err != nil {
		t.Fatalf("cannot make the disk larger: %v: %s", err, out)
	}
	h.castellan("addon", "install", radio, "--start", "--yes").says(t, 0)
	h.addonIs(radio, "1.0", "running", "unsigned")
	h.castellan("log", "verify").says(t, 0)
}

// TestFullDataFolder fills the disk of the daemon's own data. What runs goes on, what is asked for ends with words, and
// with room on the disk the daemon goes on without help.
func TestFullDataFolder(t *testing.T) {
	w := newWorld(t)
	w.core("1.0")
	w.release("1.0")
	w.image("radio", "1.0")
	h := newHouse(w, withStore)
	must(t, os.MkdirAll(h.path("data"), 0o700))
	smallDisk(t, h.path("data"), "160m")
	h.begin()
	h.addonConfig("radio", "1.0", "options: {volume: 5}", "schema: {volume: int}")
	h.offers()
	fill := func() (free func()) {
		t.Helper()
		f, err := os.Create(h.path("data", "filler"))
		must(t, err)
		defer f.Close()
		for _, size := range []int{1 << 20, 1 << 12} { // to the last page
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		return func() { must(t, os.Remove(f.Name())) }
	}
	free := fill()
	// What cannot be written down is not done; it waits for the disk.
	install := start(t, h.path("install.log"), []string{"CASTELLAN_SOCKET=" + h.settings.socket}, bin(t, "castellan"), "addon", "install", radio, "--yes")
	testenv.Eventually(t, 30*time.Second, "the command says that the disk is full", func() bool {
		return strings.Contains(install.tail(), "no space left on device")
	})
	h.runs(h.core, "1.0", "verified")
	if a := h.addon(radio); a.State == "stopped" || a.State == "running" {
		t.Errorf("installed onto a full disk: %+v", a)
	}
	free()
	if code := install.wait(t, time.Minute); code != 0 { // it had ended with words
		t.Logf("the installation ended with %d: %s", code, install.tail())
		h.castellan("addon", "install", radio, "--yes").says(t, 0)
	}
	h.castellan("addon", "start", radio).says(t, 0)
	h.addonIs(radio, "1.0", "running", "unsigned")

	free = fill()
	a := h.castellan("addon", "options", radio, "--set", "volume=9")
	set := a.exit == 0
	t.Logf("options on a full disk: %s", a)
	h.addonIs(radio, "1.0", "running", "unsigned")
	free()
	h.daemon.kill()
	h.start()
	if _, is := h.addon(radio).Overrides["volume"]; is != set {
		t.Errorf("volume is set: %v, the command said %v", is, set)
	}
	h.castellan("addon", "restart", radio).says(t, 0)
	h.addonIs(radio, "1.0", "running", "unsigned")
	h.castellan("log", "verify").says(t, 0)
}
