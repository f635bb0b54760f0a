package addons

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestRating(t *testing.T) {
	for _, c := range []struct {
		what            string
		change          func(m *Manifest)
		signed, profile bool
		want            int
	}{
		{"plain", func(*Manifest) {}, false, false, 5},
		{"own profile", func(*Manifest) {}, false, true, 6},
		{"signed", func(*Manifest) {}, true, false, 6},
		{"no apparmor, whatever profile", func(m *Manifest) { m.AppArmor = false }, false, true, 4},
		{"ingress", func(m *Manifest) { m.Ingress = true }, false, false, 7},
		{"ingress counts before auth", func(m *Manifest) { m.Ingress, m.AuthAPI = true, true }, false, false, 7},
		{"auth", func(m *Manifest) { m.AuthAPI = true }, false, false, 6},
		{"no more than eight", func(m *Manifest) { m.Ingress = true }, true, true, 8},
		{"risky capabilities cost once", func(m *Manifest) { m.Privileged, m.KernelModules = []string{"NET_ADMIN", "SYS_RAWIO"}, true }, false, false, 4},
		{"harmless capability", func(m *Manifest) { m.Privileged = []string{"SYS_NICE", "IPC_LOCK"} }, false, false, 5},
		{"manager", func(m *Manifest) { m.HassioRole = "manager" }, false, false, 4},
		{"admin", func(m *Manifest) { m.HassioRole = "admin" }, false, false, 3},
		{"host network", func(m *Manifest) { m.HostNetwork = true }, false, false, 4},
		{"host pid", func(m *Manifest) { m.HostPID = true }, false, false, 3},
		{"host uts alone", func(m *Manifest) { m.HostUTS = true }, false, false, 5},
		{"host uts with SYS_ADMIN", func(m *Manifest) { m.HostUTS, m.Privileged = true, []string{"SYS_ADMIN"} }, false, false, 3},
		{"docker", func(m *Manifest) { m.DockerAPI, m.Ingress = true, true }, true, true, 1},
		{"everything", func(m *Manifest) { m.FullAccess = true }, true, true, 1},
		{"no less than one", func(m *Manifest) {
			m.AppArmor, m.HassioRole, m.HostNetwork, m.HostPID, m.KernelModules = false, "admin", true, true, true
		}, false, false, 1},
	} {
		m := defaultManifest()
		c.change(&m)
		if got := m.Rating(c.signed, c.profile); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}

func TestRightsAreSortedCodes(t *testing.T) {
	got, err := json.Marshal(parsed(t, "everything.yaml").Rights())
	want := `["apparmor:off","audio","auth_api","cap:NET_RAW","cap:SYS_ADMIN","device:/dev/net/tun","device:/dev/ttyAMA0","devicetree","docker_api",` +
		`"full_access","gpio","hassio_api:manager","homeassistant_api","host_dbus","host_ipc","host_network","host_pid","host_uts","journald","kernel_modules",` +
		`"map:all_app_configs:ro","map:homeassistant_config:rw","map:share:rw","map:ssl:ro","realtime","service:mqtt","service:mysql","uart","udev","usb","video"]`
	if err != nil || string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if r := parsed(t, "broker.yaml").Rights(); strings.Join(r, " ") != "auth_api map:share:ro map:ssl:ro service:mqtt:provide" {
		t.Errorf("broker: %q", r)
	}
	limited := defaultManifest()
	limited.Ulimits = map[string]Ulimit{"nofile": {Soft: 1, Hard: 1}, "rtprio": {Hard: 99}}
	if r := limited.Rights(); strings.Join(r, " ") != "realtime" {
		t.Errorf("limits that give precedence: %q", r)
	}
	m := defaultManifest()
	m.HassioRole = "admin" // without hassio_api it opens nothing
	m.Map = []MapEntry{{Type: "data"}, {Type: "app_config"}, {Type: "addon_config"}}
	if r := m.Rights(); len(r) != 0 {
		t.Errorf("its own folders: %q", r)
	}
}

// TestDefaultsOfOptionsAreRightsToo: an author who writes a device or a secret into the defaults gets it as surely as with
// a key of its own.
func TestDefaultsOfOptionsAreRightsToo(t *testing.T) {
	m, err := ParseManifest("config.yaml", []byte(`name: x
version: "1"
slug: x
description: x
arch: [amd64]
options: {disk: /dev/../dev/sda, list: [{port: /dev/ttyS0}], none: /etc/passwd, text: /dev/sdb, key: "!secret wifi", deep: {a: ["!secret door"]}}
schema: {disk: device, list: [{port: "device(subsystem=tty)"}], none: device?, text: str, key: str, deep: {a: [str]}, own: device?}
`))
	if err != nil {
		t.Fatal(err)
	}
	if r := strings.Join(m.Rights(), " "); r != "device:/dev/sda device:/dev/ttyS0 secret:door secret:wifi" {
		t.Errorf("rights: %q", r)
	}
	if c, err := m.Container(Place{Slug: "core_x", Dir: "/d", Network: "hassio"}, Settings{}); err != nil || strings.Join(c.Devices, " ") != "/dev/sda /dev/ttyS0" {
		t.Errorf("container: %q, %v", c.Devices, err)
	}
	if w := RightInWords("secret:wifi"); w != "read the secret wifi of Home Assistant" {
		t.Error(w)
	}
	own := Settings{Options: map[string]any{"own": "/dev/ttyUSB0", "disk": "/dev/null", "list": []any{}, "key": "plain"}}
	if r := strings.Join(m.Reaches(own), " "); r != "device:/dev/null device:/dev/ttyUSB0 secret:door" {
		t.Errorf("with the owner's settings: %q", r)
	}
	m.Schema = Schema{open: true} // nobody looks into these options
	if r := m.Rights(); len(r) != 0 {
		t.Errorf("without a schema: %q", r)
	}
}

func TestOnlyWhatIsNotCoveredIsAskedAgain(t *testing.T) {
	for _, c := range []struct{ granted, now, beyond string }{
		{"", "", ""},
		{"usb", "usb", ""},
		{"usb", "", ""},
		{"", "usb map:ssl:ro", "usb map:ssl:ro"},
		{"map:ssl:rw", "map:ssl:ro", ""},
		{"map:ssl:ro", "map:ssl:rw", "map:ssl:rw"},
		{"map:share:rw", "map:ssl:ro", "map:ssl:ro"},
		{"hassio_api:admin", "hassio_api:manager", ""},
		{"hassio_api:manager", "hassio_api:backup", ""},
		{"hassio_api:manager", "hassio_api:admin", "hassio_api:admin"},
		{"hassio_api:backup", "hassio_api:homeassistant", "hassio_api:homeassistant"},
		{"hassio_api:backup", "hassio_api:default", ""},
		{"full_access", "device:/dev/mem usb uart gpio", "device:/dev/mem usb uart gpio"}, // protected mode holds back the first alone
		{"full_access", "docker_api host_network cap:SYS_ADMIN map:ssl:ro", "docker_api host_network cap:SYS_ADMIN map:ssl:ro"},
		{"device:/dev/a", "device:/dev/b", "device:/dev/b"},
		{"usb", "full_access", "full_access"},
		{"kernel_modules realtime", "cap:SYS_MODULE cap:SYS_NICE cap:SYS_TIME", "cap:SYS_TIME"},
		{"service:mqtt", "service:mqtt:provide", "service:mqtt:provide"},
	} {
		got := Rights(strings.Fields(c.now)).Beyond(strings.Fields(c.granted))
		if strings.Join(got, " ") != c.beyond {
			t.Errorf("granted %q, now %q: beyond %q, want %q", c.granted, c.now, got, c.beyond)
		}
	}
}

func TestEveryRightHasWords(t *testing.T) {
	codes := parsed(t, "everything.yaml").Rights()
	codes = append(codes, "service:mysql:provide")
	for _, c := range capabilities {
		codes = append(codes, "cap:"+c)
	}
	for _, r := range roles {
		codes = append(codes, "hassio_api:"+r)
	}
	for _, folder := range slices.Sorted(maps.Values(sharedFolders)) {
		codes = append(codes, "map:"+folder+":ro", "map:"+folder+":rw")
	}
	said := map[string]string{}
	for _, code := range slices.Compact(slices.Sorted(slices.Values(codes))) {
		words := RightInWords(code)
		if words == code || words == "" {
			t.Errorf("%s has no words", code)
		}
		if before, twice := said[words]; twice && !strings.HasPrefix(code+before, "cap:") && !strings.Contains(code+before, ":SYS_") {
			t.Errorf("%s and %s are told apart by nothing: %s", code, before, words)
		}
		said[words] = code
	}
	if RightInWords("teleport") != "teleport" || RightInWords("map:moon:ro") != "map:moon:ro" {
		t.Error("a code nobody knows is lost")
	}
}

func TestUnavailable(t *testing.T) {
	home := Place{Arch: "aarch64", Machine: "raspberrypi4-64", Core: "2026.8.3"}
	for _, c := range []struct {
		arch, machine, core, version string
		place                        Place
		want                         string
	}{
		{"aarch64 amd64", "", "", "1.0", home, ""},
		{"amd64", "", "", "1.0", home, "it runs on amd64, this appliance is aarch64"},
		{"", "", "", "1.0", home, "it names no processor it runs on"},
		{"aarch64", "raspberrypi4-64", "", "1.0", home, ""},
		{"aarch64", "green", "", "1.0", home, "it runs on green, this appliance is raspberrypi4-64"},
		{"aarch64", "!raspberrypi4-64", "", "1.0", home, "it does not run on raspberrypi4-64"},
		{"aarch64", "raspberrypi4-64 !raspberrypi4-64", "", "1.0", home, "it does not run on raspberrypi4-64"},
		{"aarch64", "!green", "", "1.0", home, "it runs on !green, this appliance is raspberrypi4-64"}, // as Home Assistant reads it
		{"aarch64", "raspberrypi4-64 !green", "", "1.0", home, ""},
		{"aarch64", "green", "", "1.0", Place{Arch: "aarch64"}, "this appliance is of an unknown kind"},
		{"aarch64", "", "2026.8.3", "1.0", home, ""},
		{"aarch64", "", "2026.9", "1.0", home, "it needs Home Assistant Core 2026.9, 2026.8.3 is installed; update Core first"},
		{"aarch64", "", "2021.3.0.dev20210216", "1.0", home, ""},
		{"aarch64", "", "nonsense", "1.0", home, ""},
		{"aarch64", "", "2026.9", "1.0", Place{Arch: "aarch64"}, ""},
		{"aarch64", "", "", "", home, "it has no version"},
		{"aarch64", "", "", "1 0", home, "its version is no tag of an image"},
		{"aarch64", "", "", "../x", home, "its version is no tag of an image"},
	} {
		m := Manifest{Arch: strings.Fields(c.arch), Machine: strings.Fields(c.machine), Core: c.core, Version: c.version, Image: "a/b"}
		if got := m.Unavailable(c.place); got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
			t.Errorf("%+v: %q, want %q", c, got, c.want)
		}
	}
}

func TestReference(t *testing.T) {
	for _, c := range [][3]string{
		{"ghcr.io/example/{arch}-addon", "1.10", "ghcr.io/example/aarch64-addon:1.10"},
		{"ghcr.io/example/log/{arch}", "v2", "ghcr.io/example/log/aarch64:v2"},
		{"example/all", "1.0", "example/all:1.0"},
		{"", "1.0", ""},
		{"example/all", "1@sha256:0", ""},
		{"example/all", "", ""},
	} {
		if got := (Manifest{Image: c[0], Version: c[1]}).Reference("aarch64"); got != c[2] {
			t.Errorf("%s %s: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// TestAccess: one word sums rights up, and the mightiest right counts.
func TestAccess(t *testing.T) {
	for want, cases := range map[Access][]Rights{
		AccessLow:    {nil, {"service:mqtt", "udev", "hassio_api:default"}, {"service:mqtt:provide"}},
		AccessMedium: {{"host_network"}, {"device:/dev/ttyUSB0", "udev"}, {"map:homeassistant_config:ro"}, {"homeassistant_api"}, {"a right of the future"}},
		AccessHigh:   {{"docker_api"}, {"audio", "hassio_api:manager"}, {"map:homeassistant_config:rw"}, {"cap:SYS_ADMIN", "host_network"}},
	} {
		for _, r := range cases {
			if got := r.Access(); got != want {
				t.Errorf("%q: %s, want %s", r, got, want)
			}
		}
	}
}
