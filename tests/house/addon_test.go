package house

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/engine"
	"github.com/castellan/castellan/supervisor/health"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust"
)

// addonHouse is an engine with the network that add-ons share, and the folders of an appliance on a disk of their own.
type addonHouse struct {
	*engine.Engine
	t   testing.TB
	net engine.NetworkSpec
	dir string
	ref string // what is pulled next
}

func newAddonHouse(t testing.TB) *addonHouse {
	t.Helper()
	h := &addonHouse{t: t, dir: t.TempDir(), net: engine.NetworkSpec{
		Name: "casthouse", Subnet: netip.MustParsePrefix("10.78.32.0/23"), Gateway: netip.MustParseAddr("10.78.32.1"),
		Range: netip.MustParsePrefix("10.78.33.0/24"), API: netip.MustParseAddr("10.78.32.2"),
	}}
	var err error
	h.Engine, err = engine.New(engine.Config{
		Host: testenv.Engine(t), House: t.Name(), Network: h.net,
		PullRef: func(context.Context, trust.Subject) (string, func(), error) { return h.ref, nil, nil },
	})
	must(t, err)
	// Disks that are mounted into the media folder later are to be seen, as on a host with systemd.
	for _, args := range [][]string{{"mount", "-t", "tmpfs", "tmpfs", h.dir}, {"mount", "--make-shared", h.dir}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		found, err := h.List(ctx, "")
		if err != nil {
			t.Errorf("cannot clean up: %v", err)
		}
		for _, c := range found {
			_ = h.Remove(ctx, c.ID) // the namespace takes it along otherwise
		}
		_ = h.Close()
		_ = exec.Command("umount", "-Rl", h.dir).Run() // likewise
	})
	_, err = h.EnsureNetwork(t.Context())
	must(t, err)
	return h
}

// run installs and starts an add-on as its manifest says.
func (h *addonHouse) run(i testenv.Image, m addons.Manifest, slug string, s addons.Settings) supervisor.Container {
	h.t.Helper()
	p := addons.Place{
		Slug: slug, Dir: h.dir, Arch: "amd64", TimeZone: "Europe/Berlin", Token: "token-of-" + slug, Network: h.net.Name, API: h.net.API.String(),
		Exists: func(name string) bool { _, err := os.Stat(name); return !errors.Is(err, fs.ErrNotExist) },
	}
	for _, dir := range m.Folders(p) {
		must(h.t, os.MkdirAll(dir, 0o755))
	}
	c, err := m.Container(p, s)
	must(h.t, err)
	permit := testenv.Permit(h.t, slug, i)
	h.ref = i.PullRef()
	img, err := h.Pull(h.t.Context(), permit, nil)
	must(h.t, err)
	made, err := h.Create(h.t.Context(), permit, img.ID, supervisor.Naming{Service: slug, Change: "c-" + slug, Version: m.Version, Name: "addon_" + slug}, c)
	must(h.t, err)
	must(h.t, h.Start(h.t.Context(), made.ID))
	found, err := h.List(h.t.Context(), "")
	must(h.t, err)
	for _, c := range found {
		if c.ID == made.ID && c.Running {
			return c
		}
	}
	h.t.Fatalf("%s does not run: %+v", slug, found)
	return supervisor.Container{}
}

// TestAnAddOnSeesWhatItsManifestAsksFor looks from inside two add-ons that share the network.
func TestAnAddOnSeesWhatItsManifestAsksFor(t *testing.T) {
	h := newAddonHouse(t)
	image := testenv.BuildImage(t, testenv.Build{Registry: testenv.Registry(t), Repository: "addon", Tag: "1.10", Env: map[string]string{"TEST": t.Name()}})
	port := uint16(18095)
	m := addons.Manifest{
		Version: "1.10", Slug: "one", Tmpfs: true, Stdin: true, AppArmor: true, Udev: true, UART: true,
		Environment: map[string]string{"FROM_AUTHOR": "yes", "APP_ECHO": "1"},
		Map:         []addons.MapEntry{{Type: "ssl", ReadOnly: true}, {Type: "share"}, {Type: "media", ReadOnly: true}, {Type: "app_config"}},
		Ports:       map[string]*uint16{"8080/tcp": nil}, Watchdog: "http://[HOST]:[PORT:8080]/health", Timeout: 10,
		Devices: []string{"/dev/ttyUSB77", "/dev/null"}, // the first is not plugged in
	}
	one := h.run(image, m, "core_one", addons.Settings{Ports: map[string]*uint16{"8080": &port}})
	two := h.run(image, addons.Manifest{Version: "1.10", Slug: "two", HostNetwork: true, Environment: map[string]string{"APP_ADDR": ":18096"}}, "core_two", addons.Settings{})
	three := h.run(image, addons.Manifest{Version: "1.10", Slug: "three"}, "core_three", addons.Settings{})

	inside := func(c supervisor.Container, verb, arg string) (string, bool) {
		t.Helper()
		exit, out, err := h.Exec(t.Context(), c.ID, []string{"/app", verb, arg})
		must(t, err)
		return string(out), exit == 0
	}
	for file, writable := range map[string]bool{
		"/data/options.json": true, "/share/x": true, "/config/x": true, "/tmp/x": true, "/dev/shm/x": true,
		"/ssl/x": false, "/media/x": false, "/dev/x": false,
	} {
		if out, ok := inside(one, "write", file); ok != writable {
			t.Errorf("%s: written %v, want %v: %s", file, ok, writable, out)
		}
	}
	for folder, name := range map[string]string{"data/core_one": "options.json", "share": "x", "addon_configs/core_one": "x"} {
		if _, err := os.Stat(h.dir + "/" + folder + "/" + name); err != nil {
			t.Errorf("what the add-on wrote: %v", err)
		}
	}
	if out, err := exec.Command("sh", "-c", "mkdir -p "+h.dir+"/media/disk && mount -t tmpfs tmpfs "+h.dir+"/media/disk && touch "+h.dir+"/media/disk/film").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, ok := inside(one, "read", "/media/disk/film"); !ok {
		t.Errorf("a disk that was mounted later: %s", out)
	}
	env, _ := inside(one, "read", "/proc/1/environ")
	for _, want := range []string{"FROM_AUTHOR=yes", "TZ=Europe/Berlin", "SUPERVISOR_TOKEN=token-of-core_one", "HASSIO_TOKEN=token-of-core_one"} {
		if !strings.Contains("\x00"+env, "\x00"+want+"\x00") {
			t.Errorf("environment lacks %s: %q", want, env)
		}
	}
	for _, row := range []struct {
		c                supervisor.Container
		verb, arg, wants string
	}{
		{one, "read", "/proc/sys/kernel/hostname", "core-one\n"},
		{one, "read", "/proc/sys/kernel/domainname", "local.hass.io\n"},
		{one, "lookup", "core-three", three.IP + "\n"},
		{three, "lookup", "core-one", one.IP + "\n"},
		{three, "lookup", "supervisor", "10.78.32.2\n"},
		{two, "lookup", "hassio", "10.78.32.2\n"},
	} {
		if out, ok := inside(row.c, row.verb, row.arg); !ok || out != row.wants {
			t.Errorf("%s: %s %s: %q, want %q", row.c.Name, row.verb, row.arg, out, row.wants)
		}
	}
	if _, ok := inside(three, "get", "http://core-one:8080/health"); !ok {
		t.Error("one add-on does not reach the other")
	}
	if two.IP != "" || !h.net.Range.Contains(netip.MustParseAddr(one.IP)) {
		t.Errorf("addresses %q and %q", two.IP, one.IP)
	}
	// What its manifest calls healthy is, at its own address; and its port is where the owner put it.
	for _, c := range m.Health(addons.Settings{}, false).Checks {
		if err := health.Try(t.Context(), health.Target{IP: one.IP}, c); err != nil {
			t.Errorf("check %s: %v", c.Name, err)
		}
	}
	for _, address := range []string{":18095", ":18096"} {
		testenv.Eventually(t, 10*time.Second, address+" answers", func() bool {
			return exec.Command("curl", "-fsS", "--max-time", "2", "http://"+testenv.HostIP+address+"/health").Run() == nil
		})
	}
	must(t, h.WriteStdin(t.Context(), "core_one", []byte("hello\n")))
	log, err := h.Logs(t.Context(), "core_one", engine.LogQuery{Lines: 10, Follow: true})
	must(t, err)
	defer log.Close()
	buf := make([]byte, 64)
	if n, err := log.Read(buf); err != nil || string(buf[:n]) != "hello\n" {
		t.Errorf("log: %q, %v", buf[:n], err)
	}
}
