package config

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEmptyFileGivesTheDefaults(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing but a comment\n", "---\n", "services: []\n"} {
		c, err := Parse("c.yaml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if c.DataDir != "/var/lib/castellan" || c.Trust.Poll != 5*time.Minute || c.Limits.Parallel != 2 ||
			c.Appliance.Arch != runtime.GOARCH || c.Log.Level != "info" || c.Channel.Poll != time.Hour {
			t.Errorf("%q: got %+v", text, c)
		}
	}
}

func TestExampleAndShippedFileLoad(t *testing.T) {
	for _, name := range []string{"castellan.example.yaml", "../rootfs/etc/castellan/castellan.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(name, data); err != nil {
			t.Error(err)
		}
	}
}

func TestExampleShowsEveryKeyAndTheTrueDefaults(t *testing.T) {
	data, err := os.ReadFile("castellan.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range knownKeys(reflect.TypeFor[Config](), nil) {
		if !strings.Contains(string(data), key+":") {
			t.Errorf("key %q is not in the example", key)
		}
	}
	example, err := Parse("example", data)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := Parse("empty", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(example.Addons.Builtins, empty.Addons.Builtins) {
		t.Errorf("the example lists %v, the default is %v", example.Addons.Builtins, empty.Addons.Builtins)
	}
	example.Appliance.Machine, empty.Appliance.Machine = "", ""
	for _, pair := range [][2]any{
		{example.DataDir, empty.DataDir}, {example.Socket, empty.Socket}, {example.Appliance, empty.Appliance},
		{example.Engine, empty.Engine}, {example.API.TLS, empty.API.TLS}, {example.Registry.Listen, empty.Registry.Listen}, {example.Log, empty.Log},
		{example.Trust.RootDir, empty.Trust.RootDir}, {example.Trust.Poll, empty.Trust.Poll}, {example.Limits, empty.Limits},
		{example.Addons.Dir, empty.Addons.Dir}, {example.Addons.Network, empty.Addons.Network}, {example.Addons.Refresh, empty.Addons.Refresh},
		{example.Addons.Parallel, empty.Addons.Parallel}, {example.Addons.WaitMinAge, empty.Addons.WaitMinAge},
		{example.Backup.Dir, empty.Backup.Dir}, {example.Backup.BeforeUpdate, empty.Backup.BeforeUpdate}, {*example.Backup.Schedule.Hour, *empty.Backup.Schedule.Hour},
		{*example.Backup.Keep.BeforeUpdate, *empty.Backup.Keep.BeforeUpdate}, {*example.Backup.Keep.Scheduled, *empty.Backup.Keep.Scheduled},
		{example.Trust.Profile, empty.Trust.Profile}, {example.Channel.Name, empty.Channel.Name}, {example.Channel.Poll, empty.Channel.Poll},
	} {
		if pair[0] != pair[1] {
			t.Errorf("the example says %+v, the default is %+v", pair[0], pair[1])
		}
	}
}

func TestValuesArriveAsWritten(t *testing.T) {
	c, err := Parse("c.yaml", []byte(`
trust: {poll: 90s, map: {mqtt: p-abcdefghijklmnopqrst}}
services:
  - name: mqtt
    image: localhost:5000/some/mqtt
    version: 1.10
    container:
      env: {DEBUG: "1", RATE: 2, MODE: 0755, ON: true}
      ports: [{host: 1883, container: 1883}, {host: 1883, container: 1883, protocol: udp}]
    health: {checks: [{name: up, tcp: {address: ":1883"}, period: 500ms}]}
    data: [/srv/mqtt]
`))
	if err != nil {
		t.Fatal(err)
	}
	s := c.Services[0]
	if s.Version != "1.10" { // and not the number 1.1
		t.Errorf("version %q, want 1.10", s.Version)
	}
	if s.Class != "addon" || s.Update != "ask" || s.Container.Network != "bridge" || s.Container.Ports[0].Protocol != "tcp" {
		t.Errorf("defaults of a service: %+v", s)
	}
	if c.Trust.Poll != 90*time.Second || s.Health.Checks[0].Period != 500*time.Millisecond || s.Container.Env["RATE"] != "2" ||
		s.Container.Env["MODE"] != "0755" || s.Container.Env["ON"] != "true" {
		t.Errorf("got %+v %+v", c.Trust, s)
	}
}

// service is a good service to break.
const service = "channel: {urls: [https://c.example/s.json]}\nservices:\n  - name: a\n    target: core\n"

func TestMistakesAreNamedWithLineAndNextStep(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key", "data_dir: /d\nwibble: 1\n", "cannot load c.yaml: line 2: unknown key \"wibble\"; the known keys are in the manual, castellan.example.yaml\n    2 | wibble: 1\n        ^"},
		{"mistyped key", "trust:\n  prolife: strict\n", "line 2: unknown key \"prolife\"; did you mean \"profile\"?\n    2 |   prolife: strict\n          ^"},
		{"case variant", "Data_dir: /d\n", `line 1: unknown key "Data_dir"; did you mean "data_dir"?`},
		{"repeated key", "socket: /a\nsocket: /b\n", "line 2: "},
		{"text for a number", "limits:\n  parallel: many\n", "line 2: want a whole number, got text\n    2 |   parallel: many\n                    ^"},
		{"list for text", "data_dir: [a]\n", "line 1: "},
		{"text for a list", "services: core\n", "line 1: "},
		{"text for keys", "trust: yes please\n", "line 1: "},
		{"port out of range", service + "    container: {ports: [{host: 70000, container: 1}]}\n", "line 5: "},
		{"negative port", service + "    container: {ports: [{host: -1, container: 1}]}\n", "line 5: "},
		{"no duration", "trust: {poll: soon}\n", `line 1: "soon" is not a duration; write for example "30s"`},
		{"duration without unit", "trust:\n  poll: 30\n", `line 2: "30" has no unit; write for example "30s"`},
		{"poll that floods", "trust: {poll: 10ms}\n", "trust.poll: 10ms: want 10s to 168h0m0s"},
		{"backups among the add-ons", "backup: {dir: /var/lib/castellan/addons/share/b}\n", "backup.dir: /var/lib/castellan/addons/share/b is in addons.dir"},
		{"backups in what is saved", service + "    data: [/srv/a]\nbackup: {dir: /srv/a/b}\n", "line 6: backup.dir: /srv/a/b is in /srv/a, the data of services[0]"},
		{"what is saved among the backups", service + "    data: [/srv/a]\nbackup: {dir: /srv}\n", "line 5: services[0].data[0]: /srv/a is in backup.dir, /srv"},
		{"no recovery key", "backup: {recipient: age1x}\n", `backup.recipient: "age1x": want the public half`},
		{"secret half of the key", "backup: {recipient: AGE-SECRET-KEY-1SECRET}\n", "the secret half of a key"},
		{"no day", "backup: {schedule: {days: [someday]}}\n", `backup.schedule.days[0]: "someday": want one of sun, mon`},
		{"day twice", "backup: {schedule: {days: [mon, mon]}}\n", `"mon" is in the list already`},
		{"no hour", "backup: {schedule: {hour: 24}}\n", "backup.schedule.hour: 24: want 0 to 23"},
		{"keeps less than none", "backup: {keep: {scheduled: -1}}\n", "backup.keep.scheduled: -1: want 1 to 100, or 0 for all"},
		{"broken YAML", "services:\n  - name: a\n   target: b\n", "line 3: "},
		{"tab", "services:\n\t- name: a\n", "line 2: "},
		{"not closed", "trust: {poll: 5m\n", "line 1: "},
		{"binary", "data_dir: \x00\x01\n", "line 1: control character 0x00 at byte 11; is this a text file?"},
		{"two documents", "socket: /a\n---\nsocket: /b\n", "line 3: a second YAML document begins"},
		{"alias", "trust: &t {poll: 5m}\nchannel: *t\n", "anchors, aliases and tags are not supported"},
		{"merge", "trust: &t {poll: 5m}\nchannel:\n  <<: *t\n", "anchors, aliases and tags are not supported"},
		{"tag", "socket: !!str /a\n", "anchors, aliases and tags are not supported"},
		{"top level is no map", "- a\n- b\n", "line 1: "},
		{"long line", "socket: /" + strings.Repeat("x", maxLine) + "\n", "line 1: the line is longer than 4096 bytes"},
		{"large", strings.Repeat("# comment\n", maxBytes/10+1), "it is larger than 262144 bytes"},
		{"nested brackets", "trust: " + strings.Repeat("[", 100) + "\n", "nested more than 64 deep"},
		{"nested lists", "trust: " + "\n" + strings.Repeat("- ", 200) + "a\n", "nested more than 64 deep"},

		{"relative folder", "data_dir: var\n", "line 1: data_dir: \"var\": want an absolute path"},
		{"folder with ..", "data_dir: /a/../b\n", "data_dir: \"/a/../b\": want an absolute path"},
		{"long socket", "socket: /" + strings.Repeat("x", 120) + "\n", "at most 100 bytes, this one 121"},
		{"appliance id", "appliance: {id: my house}\n", `appliance.id: "my house": use letters`},
		{"arch", "appliance: {arch: mips}\n", `appliance.arch: "mips": want one of auto, amd64, arm64`},
		{"engine", "engine: {host: docker.sock}\n", `engine.host: "docker.sock": want "unix:///path"`},
		{"engine port", "engine: {host: tcp://h}\n", `engine.host: "tcp://h": want`},
		{"registry on the network", "registry: {listen: 0.0.0.0:5599}\n", "want a loopback address with a port"},
		{"registry without fixed port", "registry: {listen: 127.0.0.1:0}\n", "want a loopback address with a port"},
		{"mirror", "registry:\n  mirrors:\n    ghcr.io:\n      - ftp://x\n", "line 4: registry.mirrors.'ghcr.io'[0]: want a URL that begins with https://"},
		{"mirror host", "registry: {mirrors: {a/b: [https://x]}}\n", "is not a registry host"},
		{"no mirror", "registry: {mirrors: {ghcr.io: []}}\n", "no mirror is given"},
		{"rate", "registry: {rate_limit: 5}\n", "want bytes per second, at least 1024"},
		{"profile", "trust: {profile: lax}\n", "trust.profile: \"lax\": want one of default, strict"},
		{"deny", "trust:\n  deny:\n    - sha256:abc\n", "line 3: trust.deny[0]: \"sha256:abc\" is not a digest"},
		{"house", "trust: {house: me}\n", "trust.house: \"me\" is not a publisher ID"},
		{"map without service", "trust: {map: {x: p-abcdefghijklmnopqrst}}\n", `no service has the name "x"`},
		{"level", "log: {level: loud}\n", "log.level: \"loud\": want one of debug, info, warn, error"},
		{"parallel", "limits: {parallel: 99}\n", "limits.parallel: 99: want 1 to 16"},
		{"API without port", "api:\n  listen: 8480\n", `line 2: api.listen: "8480": want a port, as ":8480"`},
		{"API at a name", "api: {listen: \"home.example:8480\"}\n", `api.listen: "home.example:8480": want a port`},
		{"API at port 0", "api: {listen: \":0\"}\n", `api.listen: ":0": want a port`},
		{"API on the port of the registry", "api: {listen: \":5599\"}\n", "api.listen: tcp port 5599 is taken by registry.listen"},
		{"pages at a name", "api: {listen: \":8480\", ingress_listen: \"home.example:8481\"}\n", `api.ingress_listen: "home.example:8481": want a port, as ":8481", an address with one, as "192.168.1.5:8481", or "off"`},
		{"pages where people log in", "api: {listen: \":8480\", ingress_listen: \"127.0.0.1:8480\"}\n", "api.ingress_listen: port 8480 is that of api.listen: pages of add-ons need a port of their own"},
		{"pages without people", "api:\n  ingress_listen: \":8481\"\n", "line 2: api.ingress_listen: it counts with api.listen only"},
		{"pages after the last port", "api: {listen: \":65535\"}\n", "api.ingress_listen: ingress_listen is missing: there is no port after the one of api.listen"},
		{"pages on the port of the registry", "api: {listen: \":5598\"}\n", "api.ingress_listen: tcp port 5599 is taken by registry.listen"},
		{"API's TLS", "api: {tls: yes}\n", `api.tls: "yes": want one of off, self, files`},
		{"API without certificate", "api: {tls: files}\n", `api.cert: cert is missing; api.tls "files" needs cert and key`},
		{"API without key", "api: {tls: files, cert: /c.pem}\n", `api.key: key is missing`},
		{"API with a certificate too many", "api: {tls: self, cert: /c.pem}\n", `api.cert: it counts with api.tls "files" only, tls is "self"`},
		{"API's certificate somewhere", "api: {tls: files, cert: c.pem, key: /k.pem}\n", `api.cert: "c.pem": want an absolute path`},
		{"API's host is a URL", "api:\n  hosts:\n    - https://home.example/\n", `line 3: api.hosts[0]: "https://home.example/": want a name without port`},
		{"API's host with a port", "api: {hosts: [\"home.example:8480\"]}\n", `want a name without port`},
		{"API's host is all", "api: {hosts: [\"*\"]}\n", `want a name without port`},
		{"port of the pages", "api: {listen: \":80\"}\n" + service + "    container: {ports: [{host: 81, container: 81}]}\n", "tcp port 81 is taken by api.ingress_listen"},
		{"port of the API", "api: {listen: \":80\"}\n" + service + "    container: {ports: [{host: 80, container: 80}]}\n", "tcp port 80 is taken by api.listen"},
		{"channel URL", "channel: {urls: [stable.json]}\n", "channel.urls[0]: want a URL"},

		{"service without name", "services:\n  - target: core\n", `services[0].name: "": want lower-case letters`},
		{"bad name", "services:\n  - name: Core\n", `line 2: services[0].name: "Core": want lower-case letters`},
		{"name of an add-on", "services:\n  - name: addon_x\n    image: x/y\n    version: \"1\"\n", `names that begin with addon_ are those of add-ons`},
		{"name twice", service + "  - name: a\n    image: x/y\n    version: \"1\"\n", `line 5: services[1].name: "a" is the name of services[0] already`},
		{"target twice", service + "  - name: b\n    target: core\n", `line 6: services[1].target: "core" is the target of services[0] already`},
		{"nothing to run", "services:\n  - name: a\n", `service "a" says nothing to run; give it a target, or an image with a version`},
		{"target and image", service + "    image: x/y\n", "delete image and version, or target"},
		{"target without channel", "services:\n  - name: a\n    target: core\n", "no channel to follow; set channel.urls"},
		{"image with tag", "services:\n  - name: a\n    image: x/y:1\n    version: \"1\"\n", "line 3: services[0].image: \"x/y:1\": want a repository without tag or digest"},
		{"image without version", "services:\n  - name: a\n    image: x/y\n", `services[0].version: "": want the tag of the image`},
		{"class", service + "    class: king\n", `services[0].class: "king": want one of core, supervisor, addon, local`},
		{"update", service + "    update: never\n", `want one of auto, ask, hold`},
		{"local by itself", "services:\n  - name: a\n    image: x/y\n    version: \"1\"\n    class: local\n    update: auto\n", "a local build is never updated by itself"},
		{"env name", service + "    container: {env: {\"a b\": c}}\n", "is not the name of an environment variable"},
		{"own label", service + "    container: {labels: {io.castellan.service: x}}\n", "labels under io.castellan. are Castellan's own"},
		{"device", service + "    container: {devices: [ttyUSB0]}\n", "want a path under /dev"},
		{"capability", service + "    container: {cap_add: [net]}\n", "want a capability"},
		{"signal", service + "    container: {stop_signal: stop}\n", "want a signal"},
		{"memory", service + "    container: {memory: 512}\n", "want bytes, at least"},
		{"mount", service + "    container: {mounts: [{source: a/b, target: /x}]}\n", "mounts[0].source"},
		{"mount target twice", service + "    container: {mounts: [{source: /a, target: /x}, {source: /b, target: /x}]}\n", "/x is the target of mounts[0] already"},
		{"port twice", service + "    container: {ports: [{host: 80, container: 80}]}\n  - name: b\n    image: x/y\n    version: \"1\"\n    container:\n      ports:\n        - host: 80\n          container: 81\n", `line 11: services[1].container.ports[0].host: tcp port 80 is taken by service "a"`},
		{"port of the registry", service + "    container: {ports: [{host: 5599, container: 1}]}\n", "tcp port 5599 is taken by registry.listen"},
		{"port on the host network", service + "    container: {network: host, ports: [{host: 80, container: 80}]}\n", "ports cannot be published with network host"},
		{"port zero", service + "    container: {ports: [{container: 80}]}\n", "want a port from 1 to 65535"},
		{"check without kind", service + "    health: {checks: [{name: c}]}\n", "needs exactly one of http, tcp, exec and engine, it has 0"},
		{"check with two kinds", service + "    health: {checks: [{name: c, engine: true, tcp: {address: \":1\"}}]}\n", "it has 2"},
		{"check twice", service + "    health: {checks: [{name: c, engine: true}, {name: c, engine: true}]}\n", "is the name of checks[0] already"},
		{"check URL", service + "    health: {checks: [{name: c, http: {url: \":80\"}}]}\n", "want a URL such as"},
		{"check address", service + "    health: {checks: [{name: c, tcp: {address: mqtt}}]}\n", "want an address such as"},
		{"check command", service + "    health: {checks: [{name: c, exec: {}}]}\n", "no command is given"},
		{"deadline", service + "    health: {deadline: 48h}\n", "want 0s to 1h0m0s"},
		{"data shared", service + "    data: [/srv/x]\n  - name: b\n    image: x/y\n    version: \"1\"\n    data: [/srv/x/y]\n", `/srv/x/y and /srv/x of service "a" are one inside the other`},
		{"data holds data_dir", service + "    data: [/var/lib]\n", "holds data_dir"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Parse("c.yaml", []byte(tc.text))
			if err == nil {
				t.Fatalf("accepted: %+v", c)
			}
			if !strings.HasPrefix(err.Error(), "cannot load c.yaml: ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got:\n%v\nwant in it:\n%s", err, tc.want)
			}
			if strings.Contains(err.Error(), "Go ") || strings.Contains(err.Error(), "config.") {
				t.Errorf("speaks of the program and not of the file:\n%v", err)
			}
		})
	}
}

func TestSecretsInURLsAreRefusedAndNotRepeated(t *testing.T) {
	for _, text := range []string{
		"registry: {mirrors: {ghcr.io: [\"https://ann:hunter2@mirror.example\"]}}\n",
		"channel:\n  urls:\n    - https://ann:hunter2@channel.example/stable.json\n",
		service + "    health: {checks: [{name: c, http: {url: \"http://ann:hunter2@:80/\"}}]}\n",
	} {
		_, err := Parse("c.yaml", []byte(text))
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "must not hold a user") {
			t.Errorf("got %v", err)
		}
	}
}

func TestMissingFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "castellan.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(want string) {
		t.Helper()
		if _, err := Load(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	fails("castellan.yaml: no such file or directory; write one, or name another with --config")
	write(" \n")
	fails("castellan.yaml: it is empty; write at least the line services: []")
	write("trust:\n  root_dir: " + dir + "/root\n")
	fails("line 2: trust.root_dir: stat " + dir + "/root: no such file or directory; install the root documents there")
	if err := os.Mkdir(dir+"/root", 0o755); err != nil {
		t.Fatal(err)
	}
	good := "trust:\n  root_dir: " + dir + "/root\n"
	write(good)
	if _, err := Load(name); err != nil {
		t.Error(err)
	}
	core := good + "channel: {urls: [https://c.example/s.json]}\nservices:\n  - name: core\n    target: core\n    home_assistant:\n      config: /srv/ha\n"
	write(core + "      token_file: " + dir + "/token\n")
	fails("line 9: services[0].home_assistant.token_file: stat " + dir + "/token: no such file")
	write(good + "registry:\n  credentials_file: " + dir + "/creds\n")
	fails("line 4: registry.credentials_file: stat " + dir + "/creds: no such file")
	if err := os.WriteFile(dir+"/creds", []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	fails("can be read by others; run chmod 600")
	if err := os.Chmod(dir+"/creds", 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(name); err != nil {
		t.Error(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "it is not a file") {
		t.Errorf("a folder: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	for _, name := range []string{"castellan.example.yaml", "../rootfs/etc/castellan/castellan.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(service + "    container: {ports: [{host: 80, container: 80}]}\n"))
	f.Add([]byte("a: &a [*a]\n? - ! x\n: |\n  y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("c.yaml", data)
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v", c, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "cannot load c.yaml: ") {
			t.Errorf("got %q", err)
		}
	})
}
