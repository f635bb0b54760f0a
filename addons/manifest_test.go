package addons

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/castellan/castellan/tests/testenv"
)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parsed(t testing.TB, name string) Manifest {
	t.Helper()
	m, err := ParseManifest(name, sample(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEveryKeyIsReadAndNormalised(t *testing.T) {
	m := parsed(t, "everything.yaml")
	var want any
	if err := json.Unmarshal(sample(t, "everything.json"), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, asJSON(t, m.Normalised())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if m.Publisher != "p-garden" || m.Codenotary != "author@example.org" {
		t.Errorf("publisher %q, codenotary %q", m.Publisher, m.Codenotary)
	}
	for key := range manifestKeys {
		if _, ok := m.Normalised()[key]; !ok && key != "codenotary" && key != "castellan" {
			t.Errorf("%s is not in the sample or is lost", key)
		}
	}
	if _, ok := m.Options["place"]; !ok || m.Ulimits["memlock"].Soft != -1 || *m.Ports["80/tcp"] != 8080 || m.Ports["443"] != nil {
		t.Errorf("%+v", m)
	}
}

func TestDefaults(t *testing.T) {
	m, err := ParseManifest("a/config.yml", []byte("name: A\nversion: 1\nslug: a\ndescription: d\narch: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"advanced":false,"apparmor":true,"arch":[],"audio":false,"auth_api":false,"backup":"hot","boot":"auto","breaking_versions":[],` +
		`"description":"d","devicetree":false,"docker_api":false,"full_access":false,"gpio":false,"hassio_api":false,"hassio_role":"default",` +
		`"homeassistant_api":false,"host_dbus":false,"host_ipc":false,"host_network":false,"host_pid":false,"host_uts":false,"ingress":false,` +
		`"ingress_port":8099,"ingress_stream":false,"init":true,"journald":false,"kernel_modules":false,"legacy":false,"map":[],"name":"A",` +
		`"options":{},"panel_admin":true,"panel_icon":"mdi:puzzle","realtime":false,"schema":{},"slug":"a","stage":"stable","startup":"application",` +
		`"stdin":false,"timeout":10,"tmpfs":false,"uart":false,"udev":false,"ulimits":{},"usb":false,"version":"1","video":false}`
	got, err := json.Marshal(m.Normalised())
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTrapsOfRealFiles(t *testing.T) {
	m := parsed(t, "traps.yaml")
	if m.Version != "4.0" || m.Core != "2021.3.0.dev20210216" || m.Startup != StartServices || !m.UART || m.Backup != "cold" || m.BackupPre != "save" ||
		len(m.BackupExclude) != 1 || m.Map[0] != (MapEntry{Type: "config", ReadOnly: true}) {
		t.Errorf("%+v", m)
	}
	good := map[string]any{"domains": []any{"a.example.org"}, "password": "abc1"}
	clean, _, err := m.Schema.Validate(Merge(m.Options, good), Outside{})
	if err != nil || clean["region"] != "Europe (Long Range)" || clean["model"] != "tiny" || clean["password"] != "abc1" {
		t.Errorf("%v, %v", clean, err)
	}
	for option, bad := range map[string]any{"region": "Mars", "model": "huge", "domains": []any{"x.org"}, "password": "abcd"} {
		if _, _, err := m.Schema.Validate(Merge(Merge(m.Options, good), map[string]any{option: bad}), Outside{}); err == nil {
			t.Errorf("%s: %v was taken", option, bad)
		}
	}
	if _, _, err := m.Schema.Validate(m.Options, Outside{}); err == nil || !strings.Contains(err.Error(), "domains[0]: it has no value") {
		t.Errorf("the defaults: %v", err)
	}
	var names []string
	for _, f := range m.Schema.Form(nil) {
		names = append(names, f["name"].(string))
	}
	if got := strings.Join(names, " "); got != "region network_key model domains password" {
		t.Errorf("the form is in the order %s", got)
	}
}

// Each line is laid over the smallest add-on. What follows => is the normalised value of its first key, or the place of
// the mistake after a !.
var configCases = []string{
	`{"version": null} => null`,
	`{"version": 1.10} => "1.10"`,
	`{"version": [1]} => !['version']`,
	`{"version": "__del__"} => !['version']`,
	`{"arch": "__del__"} => !['arch']`,
	`{"arch": ["sparc"]} => !['arch'][0]`,
	`{"arch": "amd64"} => !['arch']`,
	`{"name": "__del__"} => !root`,
	`{"name": ""} => !root`,
	`{"name": 5} => !['name']`,
	`{"slug": "a-b_c.D"} => "a-b_c.D"`,
	`{"slug": "a b"} => !['slug']`,
	`{"slug": "../x"} => !['slug']`,
	`{"startup": "before"} => "services"`,
	`{"startup": "after"} => "application"`,
	`{"startup": "later"} => !['startup']`,
	`{"boot": "manual_only"} => "manual_only"`,
	`{"stage": "beta"} => !['stage']`,
	`{"init": "no"} => false`,
	`{"host_network": "Enable"} => true`,
	`{"host_network": "maybe"} => !['host_network']`,
	`{"ports": {"80/tcp": 8080, "81": null}} => {"80/tcp": 8080, "81": null}`,
	`{"ports": {"80/sctp": 1}} => !['ports']['80/sctp']`,
	`{"ports": {"80/tcp": 0}} => !['ports']['80/tcp']`,
	`{"ports": {"80/tcp": "90"}} => {"80/tcp": 90}`,
	`{"ports": []} => !['ports']`,
	`{"map": ["config", "ssl:rw", "bogus", {"type": "data", "path": "/x"}, {"path": "/y"}]} => [{"type": "config", "read_only": true}, {"type": "ssl", "read_only": false}, {"type": "data", "path": "/x", "read_only": true}]`,
	`{"map": ["bogus", {"type": "nope"}]} => !['map'][0]['type']`,
	`{"map": [{"type": "ssl", "read_only": "yes"}]} => !['map'][0]['read_only']`,
	`{"map": [{"type": "ssl", "mode": 1}]} => !['map'][0]['mode']`,
	`{"map": null} => !['map']`,
	`{"privileged": ["CHOWN"]} => !['privileged'][0]`,
	`{"apparmor": "custom"} => !['apparmor']`,
	`{"image": "x/y:1"} => !['image']`,
	`{"image": "Docker.io/X/y"} => !['image']`,
	`{"image": "y"} => "y"`,
	`{"image": "host:5000/a/{arch}"} => "host:5000/a/{arch}"`,
	`{"schema": true} => !['schema']`,
	`{"schema": null} => !['schema']`,
	`{"schema": false} => false`,
	`{"schema": {"a": [["str"]]}} => !['schema']['a'][0]`,
	`{"schema": {"a": {"b": 5}}} => !['schema']['a']['b']`,
	`{"schema": {"a": "string"}} => !['schema']['a']`,
	`{"services": ["mqtt:want"]} => ["mqtt:want"]`,
	`{"services": ["redis:want"]} => !['services'][0]`,
	`{"timeout": 5} => !['timeout']`,
	`{"timeout": "20"} => 20`,
	`{"timeout": 301} => !['timeout']`,
	`{"ingress_port": 0, "ingress": true, "ports": {"62001/tcp": 1}} => !root`,
	`{"ingress_port": 0, "ingress": true, "ports": {"61999/tcp": 1}} => 0`,
	`{"ingress_port": 65536} => !['ingress_port']`,
	`{"webui": "http://[HOST]:[PORT:80]/x"} => "http://[HOST]:[PORT:80]/x"`,
	`{"webui": "http://[HOST]:80/"} => !['webui']`,
	`{"watchdog": "tcp://[HOST]:80"} => "tcp://[HOST]:80"`,
	`{"watchdog": "tcp://host:80"} => !['watchdog']`,
	`{"machine": ["raspberrypi4", "!tinker"]} => ["raspberrypi4", "!tinker"]`,
	`{"machine": ["toaster"]} => !['machine'][0]`,
	`{"machine": ["tinker", "tinker"]} => !['machine']`,
	`{"hassio_role": "root"} => !['hassio_role']`,
	`{"ulimits": {"nofile": 1024, "core": {"soft": 0, "hard": 1}}} => {"nofile": 1024, "core": {"soft": 0, "hard": 1}}`,
	`{"ulimits": {"core": {"soft": 0}}} => !['ulimits']['core']['hard']`,
	`{"ulimits": {"core": null}} => !['ulimits']['core']`,
	`{"devices": ["/dev/a:/dev/b:rwm"]} => ["/dev/a"]`,
	`{"devices": "/dev/a"} => !['devices']`,
	`{"environment": {"A": 1}} => !['environment']['A']`,
	`{"breaking_versions": ["2.0", 3.0]} => ["2.0", "3.0"]`,
	`{"url": "mailto:a@b"} => !['url']`,
	`{"url": "ftp://a"} => "ftp://a"`,
	`{"options": []} => !['options']`,
	`{"homeassistant": 2026.7} => "2026.7"`,
	`{"panel_title": ""} => ""`,
	`{"castellan": {"publisher": 5}} => !['castellan']['publisher']`,
}

func TestConfigs(t *testing.T) {
	for _, c := range configCases {
		in, want, _ := strings.Cut(c, " => ")
		d := json.NewDecoder(strings.NewReader(in))
		d.UseNumber()
		var input map[string]any
		if err := d.Decode(&input); err != nil {
			t.Fatal(c, err)
		}
		if where, bad := strings.CutPrefix(want, "!"); bad {
			checkConfig(t, input, false, nil, where)
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(want), &value); err != nil {
			t.Fatal(c, err)
		}
		_, key, _ := strings.Cut(in, `{"`)
		key, _, _ = strings.Cut(key, `"`)
		checkConfig(t, input, true, map[string]any{key: value}, "")
	}
}

func TestARefusalNamesFileLinePathAndWhatToWrite(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a/config.yaml", "name: A\nversion: 1\nslug: a\ndescription: d\narch:\n  - arm\n", `cannot read a/config.yaml: line 6: ['arch'][0]: want one of aarch64, amd64, armhf, armv7, i386`},
		{"config.yaml", "name: A\nversion: 1\nslug: a\ndescription: 5\narch: []\n", `line 4: ['description']: want a text, got a whole number; write it in quotes: "5"`},
		{"config.yaml", "name: A\nversion: 1\nslug: a\ndescription: d\narch: []\nports:\n  80: 80\n", `line 7: ['ports'][80]: the key must be a text; write it in quotes: "80"`},
		{"config.yaml", "name: A\nname: B\n", `line 2: ['name']: it stands in line 1 already; keep one of the two`},
		{"config.yaml", "name: A\nurl: [\n", "cannot read config.yaml: line 2: "},
		{"config.yaml", "- a\n", "cannot read config.yaml: line 1: want a dictionary with name"},
		{"config.yaml", "", "want a dictionary with name"},
		{"config.yaml", "name: A\n---\nname: B\n", "line 3: a second YAML document begins"},
		{"config.yaml", "name: !secret a\n", "line 1: ['name']: the tag !secret is not known here"},
		{"config.yaml", "name: *a\n", "nothing above is named &a"},
		{"config.json", "{\n \"name\": \"A\",\n \"name\": \"B\"}", "line 3: ['name']: it stands in line 2 already"},
		{"config.json", "{\n\"name\": ", "it ends in the middle"},
		{"config.json", "{}\n{}", "line 2: something follows the closing bracket"},
		{"config.json", "{\"name\": \"A\"}", "['version']: it is missing; write a line version: … (and 3 more)"},
	} {
		_, err := ParseManifest(c.name, []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
}

func TestYAMLIsReadAsVersion11(t *testing.T) {
	for text, want := range map[string]any{
		"yes": true, "Off": false, "ON": true, "y": "y", "yEs": "yEs", "~": nil, "": nil, "Null": nil, "nil": "nil",
		"017": int64(15), "0o17": "0o17", "08": "08", "0x1F": int64(31), "0b101": int64(5), "1_000": int64(1000), "+1": int64(1), "-0": int64(0),
		"22:30": int64(1350), "22:30:15": int64(81015), "03:00": "03:00", "1:75": "1:75", "-1:30": int64(-90), "1:30.5": 90.5,
		"1e3": "1e3", "1.0e3": "1.0e3", "1.0e+3": 1000.0, ".5": 0.5, "5.": 5.0, "1.10": 1.1, "1.2.3": "1.2.3",
		"2024-01-01": "2024-01-01", "18446744073709551616": 18446744073709551616.0, "'yes'": "yes", `"1"`: "1", "!!str 1.10": "1.10", `!!int "5"`: int64(5),
	} {
		n, err := readFile("x.yaml", []byte("a: "+text+"\n"))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := n.get("a").value(); !cmp.Equal(got, want) {
			t.Errorf("%q is %T %v, want %T %v", text, got, got, want, want)
		}
	}
}

func TestAnchorsAndMergesAreBounded(t *testing.T) {
	n, err := readFile("x.yaml", []byte("a: &a {x: 1, y: [2]}\nb: *a\nc:\n  <<: *a\n  x: 3\nd:\n  <<: [*a, {z: 4, x: 9}]\n"))
	want := map[string]any{"a": map[string]any{"x": int64(1), "y": []any{int64(2)}}, "b": map[string]any{"x": int64(1), "y": []any{int64(2)}},
		"c": map[string]any{"x": int64(3), "y": []any{int64(2)}}, "d": map[string]any{"x": int64(1), "y": []any{int64(2)}, "z": int64(4)}}
	if err != nil || !cmp.Equal(n.value(), any(want)) {
		t.Errorf("%v, %v", err, n)
	}
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x]\n")
	for _, c := range "123456789" {
		prev := string(c - 1)
		bomb.WriteString("a" + string(c) + ": &a" + string(c) + " [" + strings.Repeat("*a"+prev+",", 9) + "]\n")
	}
	if _, err := readFile("x.yaml", []byte(bomb.String())); err == nil || !strings.Contains(err.Error(), "aliases make more than") {
		t.Errorf("a bomb of aliases: %v", err)
	}
	if _, err := readFile("x.yaml", []byte("a: &a [*a]\n")); err == nil {
		t.Error("a value holds itself")
	}
}

func FuzzManifest(f *testing.F) {
	for _, name := range []string{"everything.yaml", "traps.yaml", "everything.json"} {
		f.Add(sample(f, name), strings.HasSuffix(name, ".json"))
	}
	for _, c := range configCases {
		in, _, _ := strings.Cut(c, " => ")
		f.Add([]byte(in), true)
	}
	f.Add([]byte("a: &a [*a, <<: {b: 1}]\n? x\n: !!str y\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, isJSON bool) {
		name := "config.yaml"
		if isJSON {
			name = "config.json"
		}
		m, err := ParseManifest(name, data)
		var invalid *InvalidError
		switch {
		case err != nil && (!errors.As(err, &invalid) || len(invalid.Problems) == 0 || len(err.Error()) > 4<<10):
			t.Fatalf("%.300v", err)
		case err != nil:
			return
		}
		m.Normalised()
		m.Rights()
		m.Schema.Form(nil)
		if r := m.Rating(true, true); r < 1 || r > 8 {
			t.Fatalf("rating %d", r)
		}
		if clean, _, err := m.Schema.Validate(m.Options, house); err == nil {
			if _, _, err := m.Schema.Validate(clean, house); err != nil {
				t.Fatalf("what is clean is not taken again: %v", err)
			}
		}
		for _, p := range []Place{{}, {Arch: "amd64", Machine: "green", Core: "2026.8.3"}} {
			if m.Unavailable(p) == "" && m.Image != "" && m.Reference(p.Arch) == "" {
				t.Fatal("available, but without a reference")
			}
		}
	})
}

// BenchmarkThousandManifests is a store of 1,000 add-ons read from its files, by the clock and by the processor's time.
func BenchmarkThousandManifests(b *testing.B) {
	samples := [][]byte{sample(b, "everything.yaml"), sample(b, "traps.yaml"), sample(b, "broker.yaml")}
	began := testenv.ProcessorTime(b)
	for b.Loop() {
		for i := range 1000 {
			m, err := ParseManifest("config.yaml", samples[i%len(samples)])
			if err != nil {
				b.Fatal(err)
			}
			m.Normalised()
		}
	}
	took := testenv.ProcessorTime(b) - began
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/1000")
	b.ReportMetric(float64(took.Microseconds())/1000/float64(b.N), "cpu-ms/1000")
}
