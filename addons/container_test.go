package addons_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// house is an appliance that has everything but what a test takes away.
func appliance() addons.Place {
	return addons.Place{
		Slug: "core_sample_app", Dir: "/srv/ha", Arch: "amd64", TimeZone: "Europe/Berlin", Token: "t0ken", AppArmor: true,
		Network: "hassio", API: "172.30.32.2", Majors: map[string]uint32{"hidraw": 243, "gpiochip": 254, "cec": 240},
	}
}

// plain is what every add-on gets in that house.
func plain() spec.Container {
	return spec.Container{
		Env:     map[string]string{"TZ": "Europe/Berlin", "SUPERVISOR_TOKEN": "t0ken", "HASSIO_TOKEN": "t0ken"},
		Network: "hassio", Aliases: []string{"core-sample-app"}, Hostname: "core-sample-app", Domain: "local.hass.io",
		ExtraHosts: map[string]string{"supervisor": "172.30.32.2", "hassio": "172.30.32.2"},
		Labels:     map[string]string{"supervisor_managed": ""},
		Mounts: []spec.Mount{
			{Source: "/dev", Target: "/dev", ReadOnly: true, NonRecursive: true}, {Source: "/srv/ha/data/core_sample_app", Target: "/data"},
		},
		Tmpfs: []string{"/dev/shm"}, OOMScoreAdj: 200, Seccomp: "unconfined", StopTimeout: 10 * time.Second,
	}
}

func host(n uint16) *uint16 { return &n }

func schema(t *testing.T, text string) addons.Manifest {
	t.Helper()
	m, err := addons.ParseManifest("config.yaml", []byte("name: a\nversion: 1\nslug: a\ndescription: a\narch: [amd64]\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestContainersOfManifests changes one thing in the manifest, the settings or the house, and says what changes in the
// container.
func TestContainersOfManifests(t *testing.T) {
	for name, row := range map[string]struct {
		m    addons.Manifest
		s    addons.Settings
		p    func(*addons.Place)
		want func(*spec.Container)
	}{
		"nothing": {m: addons.Manifest{AppArmor: true}},
		"environment, in which the Supervisor's names win": {
			m:    addons.Manifest{AppArmor: true, Environment: map[string]string{"A": "b", "TZ": "Mars", "SUPERVISOR_TOKEN": "mine"}},
			want: func(c *spec.Container) { c.Env["A"] = "b" },
		},
		"legacy": {
			m:    addons.Manifest{AppArmor: true, Legacy: true, Options: map[string]any{"port": int64(1), "on": true, "list": []any{"x"}, "name": "a"}},
			s:    addons.Settings{Options: map[string]any{"name": "b"}},
			want: func(c *spec.Container) { c.Env["port"], c.Env["on"], c.Env["name"] = "1", "True", "b" },
		},
		"host network": {
			m:    addons.Manifest{AppArmor: true, HostNetwork: true, Ports: map[string]*uint16{"80/tcp": host(80)}},
			want: func(c *spec.Container) { c.Network, c.Aliases = "host", nil },
		},
		"host names": {
			m: addons.Manifest{AppArmor: true, HostUTS: true, HostIPC: true},
			want: func(c *spec.Container) {
				c.UTSMode, c.IPCMode, c.Hostname, c.Domain, c.Tmpfs = "host", "host", "", "", nil
			},
		},
		"ports": {
			m: addons.Manifest{AppArmor: true, Ports: map[string]*uint16{"80": host(8080), "53/udp": host(53), "53/tcp": nil, "9/tcp": host(9), "10": host(10), "x": host(1)}},
			s: addons.Settings{Ports: map[string]*uint16{"80/tcp": host(81), "53": host(54), "9": nil, "77/tcp": host(77)}},
			want: func(c *spec.Container) {
				c.Ports = []spec.Port{{Host: 10, Container: 10, Protocol: "tcp"}, {Host: 54, Container: 53, Protocol: "tcp"},
					{Host: 53, Container: 53, Protocol: "udp"}, {Host: 81, Container: 80, Protocol: "tcp"}}
			},
		},
		"rights held back by protected mode": {m: addons.Manifest{AppArmor: true, FullAccess: true, DockerAPI: true, HostPID: true}},
		"rights without it": {
			m: addons.Manifest{AppArmor: true, FullAccess: true, DockerAPI: true, HostPID: true, UART: true}, s: addons.Settings{Unprotect: true},
			want: func(c *spec.Container) {
				c.DeviceRules, c.PIDMode = []string{"a *:* rwm"}, "host"
				c.Mounts = append(c.Mounts, spec.Mount{Source: "/run/docker.sock", Target: "/run/docker.sock", ReadOnly: true})
			},
		},
		"device groups": {
			m: addons.Manifest{AppArmor: true, UART: true, Video: true, Audio: true, USB: true},
			want: func(c *spec.Container) {
				for _, n := range strings.Fields("29 81 116 166 180 188 189 204 226 240 243") {
					c.DeviceRules = append(c.DeviceRules, "c "+n+":* rwm")
				}
			},
		},
		"pins": {
			m: addons.Manifest{AppArmor: true, GPIO: true},
			want: func(c *spec.Container) {
				c.DeviceRules = []string{"c 254:* rwm"}
				c.Mounts = append(c.Mounts, spec.Mount{Source: "/sys/class/gpio", Target: "/sys/class/gpio"},
					spec.Mount{Source: "/sys/devices/platform/soc", Target: "/sys/devices/platform/soc"})
			},
		},
		"devices, those that are there": {
			m:    addons.Manifest{AppArmor: true, Devices: []string{"/dev/ttyAMA0", "/dev/gone", "/etc/passwd", "/dev/../etc/shadow", "/dev/ttyAMA0"}},
			p:    func(p *addons.Place) { p.Exists = func(name string) bool { return name != "/dev/gone" } },
			want: func(c *spec.Container) { c.Devices = []string{"/dev/ttyAMA0"} },
		},
		"what a host lacks": {
			m:    addons.Manifest{AppArmor: true, Udev: true, KernelModules: true, DeviceTree: true, HostDBus: true, Journald: true, GPIO: true},
			p:    func(p *addons.Place) { p.Exists, p.Majors = func(string) bool { return false }, nil },
			want: func(c *spec.Container) { c.CapAdd = []string{"SYS_MODULE"} },
		},
		"what a host has": {
			m: addons.Manifest{AppArmor: true, Udev: true, KernelModules: true, DeviceTree: true, HostDBus: true, Journald: true, Privileged: []string{"SYS_MODULE", "NET_ADMIN"}},
			want: func(c *spec.Container) {
				c.CapAdd = []string{"NET_ADMIN", "SYS_MODULE"}
				c.Mounts = append(c.Mounts, spec.Mount{Source: "/sys/firmware/devicetree/base", Target: "/device-tree", ReadOnly: true})
				for _, d := range []string{"/run/udev", "/lib/modules", "/run/dbus", "/var/log/journal", "/run/log/journal"} {
					c.Mounts = append(c.Mounts, spec.Mount{Source: d, Target: d, ReadOnly: true})
				}
			},
		},
		"realtime": {
			m: addons.Manifest{AppArmor: true, Realtime: true, Ulimits: map[string]addons.Ulimit{"rtprio": {Soft: 1, Hard: 2}, "nofile": {Soft: 3, Hard: 4}}},
			want: func(c *spec.Container) {
				c.CapAdd = []string{"SYS_NICE"}
				c.Ulimits = []spec.Ulimit{{Name: "memlock", Soft: 128 << 20, Hard: 128 << 20}, {Name: "nofile", Soft: 3, Hard: 4}, {Name: "rtprio", Soft: 1, Hard: 2}}
			},
		},
		"init, input, temporary files, patience": {
			m: addons.Manifest{AppArmor: true, Init: true, Stdin: true, Tmpfs: true, Timeout: 300},
			want: func(c *spec.Container) {
				c.Init, c.OpenStdin, c.Tmpfs, c.StopTimeout = true, true, []string{"/tmp", "/dev/shm"}, 5*time.Minute
			},
		},
		"AppArmor switched off":       {m: addons.Manifest{}, want: func(c *spec.Container) { c.AppArmor = "unconfined" }},
		"AppArmor the kernel lacks":   {m: addons.Manifest{AppArmor: true}, p: func(p *addons.Place) { p.AppArmor, p.Profile = false, "core_sample_app.1a" }, want: func(c *spec.Container) { c.AppArmor = "unconfined" }},
		"AppArmor profile of its own": {m: addons.Manifest{AppArmor: true}, p: func(p *addons.Place) { p.Profile = "core_sample_app.1a" }, want: func(c *spec.Container) { c.AppArmor = "core_sample_app.1a" }},
		"an appliance without an API": {m: addons.Manifest{AppArmor: true}, p: func(p *addons.Place) { p.API, p.Token = "", "" }, want: func(c *spec.Container) {
			c.ExtraHosts, c.Env = nil, map[string]string{"TZ": "Europe/Berlin"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p, want := appliance(), plain()
			if row.p != nil {
				row.p(&p)
			}
			if row.want != nil {
				row.want(&want)
			}
			got, err := row.m.Container(p, row.s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFoldersAsMapSays(t *testing.T) {
	const dir = "/srv/ha/"
	for name, row := range map[string]struct {
		entries []addons.MapEntry
		want    []spec.Mount // beside /dev
	}{
		"none": {nil, []spec.Mount{{Source: dir + "data/core_sample_app", Target: "/data"}}},
		"new names": {
			[]addons.MapEntry{{Type: "app_config"}, {Type: "homeassistant_config", ReadOnly: true}, {Type: "all_app_configs", ReadOnly: true}, {Type: "local_apps", ReadOnly: true},
				{Type: "ssl", ReadOnly: true}, {Type: "backup"}, {Type: "share"}, {Type: "media", ReadOnly: true}},
			[]spec.Mount{
				{Source: dir + "data/core_sample_app", Target: "/data"}, {Source: dir + "addon_configs/core_sample_app", Target: "/config", Plain: true},
				{Source: dir + "homeassistant", Target: "/homeassistant", ReadOnly: true}, {Source: dir + "addon_configs", Target: "/app_configs", ReadOnly: true},
				{Source: dir + "ssl", Target: "/ssl", ReadOnly: true}, {Source: dir + "local", Target: "/local_apps", ReadOnly: true}, {Source: dir + "backup", Target: "/backup"},
				{Source: dir + "share", Target: "/share", Propagation: "rslave"}, {Source: dir + "media", Target: "/media", ReadOnly: true, Propagation: "rslave"},
			},
		},
		"legacy names": {
			[]addons.MapEntry{{Type: "addon_config"}, {Type: "all_addon_configs", ReadOnly: true}, {Type: "addons"}},
			[]spec.Mount{
				{Source: dir + "data/core_sample_app", Target: "/data"}, {Source: dir + "addon_configs/core_sample_app", Target: "/config", Plain: true},
				{Source: dir + "addon_configs", Target: "/addon_configs", ReadOnly: true}, {Source: dir + "local", Target: "/addons"},
			},
		},
		"config silences its successors": {
			[]addons.MapEntry{{Type: "config"}, {Type: "app_config"}, {Type: "homeassistant_config"}},
			[]spec.Mount{{Source: dir + "data/core_sample_app", Target: "/data"}, {Source: dir + "homeassistant", Target: "/config"}},
		},
		"places of its own; the last entry of a type counts": {
			[]addons.MapEntry{{Type: "data", Path: "/var/lib/app"}, {Type: "ssl"}, {Type: "ssl", Path: "/certs/", ReadOnly: true}},
			[]spec.Mount{{Source: dir + "data/core_sample_app", Target: "/var/lib/app"}, {Source: dir + "ssl", Target: "/certs", ReadOnly: true}},
		},
	} {
		m := addons.Manifest{Map: row.entries}
		c, err := m.Container(appliance(), addons.Settings{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(row.want, c.Mounts[1:]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		var want []string
		for _, mount := range row.want {
			want = append(want, mount.Source)
		}
		slices.Sort(want)
		if got := m.Folders(appliance()); !slices.Equal(got, want) {
			t.Errorf("%s: folders %q, want %q", name, got, want)
		}
	}
}

func TestContainersThatAreNotMade(t *testing.T) {
	for want, row := range map[string]struct {
		m addons.Manifest
		p func(*addons.Place)
	}{
		"no name of a folder":          {p: func(p *addons.Place) { p.Slug = "../core" }},
		"a host name at most 63":       {p: func(p *addons.Place) { p.Slug = strings.Repeat("a", 64) }},
		"no absolute path":             {p: func(p *addons.Place) { p.Dir = "ha" }},
		"no network for add-ons":       {p: func(p *addons.Place) { p.Network = "" }},
		`ssl at "certs"`:               {m: addons.Manifest{Map: []addons.MapEntry{{Type: "ssl", Path: "certs"}}}},
		`ssl at "/../"`:                {m: addons.Manifest{Map: []addons.MapEntry{{Type: "ssl", Path: "/../"}}}},
		"at /data: leave one out":      {m: addons.Manifest{Map: []addons.MapEntry{{Type: "ssl", Path: "/data"}}}},
		"both /dev and /srv/ha/backup": {m: addons.Manifest{Map: []addons.MapEntry{{Type: "backup", Path: "/dev/"}}}},
	} {
		p := appliance()
		if row.p != nil {
			row.p(&p)
		}
		if _, err := row.m.Container(p, addons.Settings{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), p.Slug) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

// TestDevicesThatTheOwnerPicked finds them wherever the schema has one, and nowhere else.
func TestDevicesThatTheOwnerPicked(t *testing.T) {
	m := schema(t, `
options: {device: /dev/ttyUSB0, more: [], path: /dev/sda}
schema:
  device: device(subsystem=tty)
  more: [{stick: "device?", name: str}]
  all: ["device?"]
  path: str
`)
	c, err := m.Container(appliance(), addons.Settings{Options: map[string]any{
		"device": "/dev/ttyACM0", "more": []any{map[string]any{"stick": "/dev/ttyUSB1"}, "odd", map[string]any{"stick": int64(1)}}, "all": []any{"/dev/ttyUSB2", "/etc/passwd"},
	}})
	if want := []string{"/dev/ttyACM0", "/dev/ttyUSB1", "/dev/ttyUSB2"}; err != nil || !slices.Equal(c.Devices, want) {
		t.Errorf("devices %q, want %q; %v", c.Devices, want, err)
	}
}

func TestHealthFollowsTheWatchdog(t *testing.T) {
	http := func(url string) spec.Check { return spec.Check{Name: "watchdog", HTTP: &spec.HTTPCheck{URL: url}} }
	tcp := func(a string) spec.Check { return spec.Check{Name: "watchdog", TCP: &spec.TCPCheck{Address: a}} }
	ssl := addons.Settings{Options: map[string]any{"ssl": true}}
	for _, row := range []struct {
		watchdog string
		host     bool
		s        addons.Settings
		want     []spec.Check
	}{
		{"tcp://[HOST]:1883", false, addons.Settings{}, []spec.Check{tcp(":1883")}},
		{"tcp://[HOST]:[PORT:1883]", false, addons.Settings{}, []spec.Check{tcp(":1883")}},
		{"http://[HOST]:[PORT:80]/health?a=b", false, addons.Settings{}, []spec.Check{http("http://:80/health?a=b")}},
		{"http://[HOST]:80", false, addons.Settings{}, []spec.Check{http("http://:80")}},
		{"http://[HOST]:[PORT:80]/", true, addons.Settings{Ports: map[string]*uint16{"80": host(8080)}}, []spec.Check{http("http://:8080/")}},
		{"https://[HOST]:[PORT:443]/", false, addons.Settings{}, []spec.Check{tcp(":443")}},
		{"[PROTO:ssl]://[HOST]:[PORT:80]/", false, addons.Settings{}, []spec.Check{http("http://:80/")}},
		{"[PROTO:ssl]://[HOST]:[PORT:80]/", false, ssl, []spec.Check{tcp(":80")}},
		{"http://[HOST]:80@elsewhere.example/", false, addons.Settings{}, []spec.Check{tcp(":80")}},
		{"http://[HOST]:80.example/", false, addons.Settings{}, []spec.Check{tcp(":80")}},
		{"http://[HOST]:99999/", false, addons.Settings{}, nil},
		{"http://elsewhere.example:80/", false, addons.Settings{}, nil},
		{"", false, addons.Settings{}, nil},
	} {
		m := addons.Manifest{Watchdog: row.watchdog, HostNetwork: row.host, Ports: map[string]*uint16{"80/tcp": nil}, Options: map[string]any{"ssl": false}}
		want := spec.Health{Checks: row.want}
		if row.want == nil {
			want.Settle = 10 * time.Second
		}
		if diff := cmp.Diff(want, m.Health(row.s, false)); diff != "" {
			t.Errorf("%s: %s", row.watchdog, diff)
		}
		want = spec.Health{Checks: append(row.want, spec.Check{Name: "healthcheck", Engine: true})}
		if diff := cmp.Diff(want, m.Health(row.s, true)); diff != "" {
			t.Errorf("%s with the image's check: %s", row.watchdog, diff)
		}
	}
}

// TestContainersOfTheCorpus makes one of every real add-on, on the barest host, and looks closer at a few.
func TestContainersOfTheCorpus(t *testing.T) {
	dir := os.Getenv("CASTELLAN_CORPUS")
	if dir == "" {
		return // the tables above hold our own
	}
	files, err := filepath.Glob(filepath.Join(dir, "addons", "*", "config.yaml"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d manifests, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := addons.ParseManifest(file, data)
		if err != nil {
			t.Error(err)
			continue
		}
		p := appliance()
		p.Slug = "core_" + m.Slug
		c, err := m.Container(p, addons.Settings{})
		if err != nil {
			t.Error(err)
			continue
		}
		var targets []string
		for _, mount := range c.Mounts {
			targets = append(targets, mount.Target)
		}
		for _, row := range []struct{ slug, targets, caps, rules, network string }{
			{"core_mosquitto", "/dev /data /ssl /share", "", "", "hassio"},
			{"core_samba", "/dev /data /homeassistant /app_configs /ssl /local_apps /backup /share /media", "", "", "host"},
			{"core_zwave_js", "/dev /data /config", "", "", "hassio"},
			{"core_ssh", "/dev /data /homeassistant /addon_configs /ssl /addons /backup /share /media /run/dbus", "", "c 116:* rwm c 166:* rwm c 188:* rwm c 204:* rwm", "hassio"},
		} {
			got := row
			got.targets, got.caps = strings.Join(targets, " "), strings.Join(c.CapAdd, " ")
			got.rules, got.network = strings.Join(c.DeviceRules, " "), c.Network
			if row.slug == p.Slug && got != row {
				t.Errorf("got  %+v\nwant %+v", got, row)
			}
		}
		if m.Slug == "mosquitto" {
			if h := m.Health(addons.Settings{}, false); len(h.Checks) != 1 || h.Checks[0].TCP == nil || h.Checks[0].TCP.Address != ":1883" {
				t.Errorf("health of mosquitto: %+v", h)
			}
		}
	}
}
