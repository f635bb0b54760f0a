package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAddonNetworkIsDerived(t *testing.T) {
	for _, c := range []struct{ subnet, gateway, api, containers string }{
		{"172.30.32.0/23", "172.30.32.1", "172.30.32.2", "172.30.33.0/24"},
		{"10.0.0.0/8", "10.0.0.1", "10.0.0.2", "10.128.0.0/9"},
		{"192.168.7.16/28", "192.168.7.17", "192.168.7.18", "192.168.7.24/29"},
		{"192.168.0.0/16", "192.168.0.1", "192.168.0.2", "192.168.128.0/17"},
	} {
		cfg, err := Parse("c.yaml", []byte("addons: {network: {subnet: "+c.subnet+"}}\n"))
		if err != nil {
			t.Errorf("%s: %v", c.subnet, err)
			continue
		}
		n := cfg.Addons.Network
		if n.Gateway().String() != c.gateway || n.API().String() != c.api || n.Containers().String() != c.containers {
			t.Errorf("%s: got %s %s %s, want %s %s %s", c.subnet, n.Gateway(), n.API(), n.Containers(), c.gateway, c.api, c.containers)
		}
	}
}

func TestAddonDefaults(t *testing.T) {
	c, err := Parse("c.yaml", []byte("data_dir: /d\n"))
	if err != nil {
		t.Fatal(err)
	}
	if a := c.Addons; a.Dir != "/d/addons" || len(a.Builtins) != 5 || a.Refresh != 3*time.Hour || a.Network.Name != "hassio" || a.Parallel != 4 || a.WaitMinAge != 24*time.Hour {
		t.Errorf("got %+v", a)
	}
	if c, err = Parse("c.yaml", []byte("addons: {builtins: []}\n")); err != nil || len(c.Addons.Builtins) != 0 {
		t.Errorf("an empty list lists %v, %v", c, err)
	}
}

func TestHomeAssistantFillsWhatIsLeftOut(t *testing.T) {
	c, err := Parse("c.yaml", []byte(`
channel: {urls: [https://c.example/s.json]}
addons: {dir: /mnt/ha}
services:
  - name: core
    target: core
    home_assistant: {config: /mnt/ha/homeassistant, adopt: homeassistant}
`))
	if err != nil {
		t.Fatal(err)
	}
	s := c.Services[0]
	if s.Class != "core" || s.Container.Network != "host" || s.HomeAssistant.Port != 8123 || len(s.Data) != 1 || s.Data[0] != "/mnt/ha/homeassistant" {
		t.Errorf("got %+v %+v", s, s.HomeAssistant)
	}
	c, err = Parse("c.yaml", []byte(service+"    home_assistant: {config: /srv/ha, port: 80}\n    container: {network: bridge}\n    data: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Services[0]; s.Container.Network != "bridge" || s.HomeAssistant.Port != 80 || len(s.Data) != 0 {
		t.Errorf("what is written gives way: %+v %+v", s, s.HomeAssistant)
	}
}

func TestMistakesAboutAddonsAndHomeAssistant(t *testing.T) {
	core := service + "    home_assistant:\n      config: /srv/ha\n"
	second := "  - name: b\n    image: x/y\n    version: \"1\"\n"
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "addons:\n  tempo: 3\n", `line 2: unknown key "tempo"`},
		{"folder", "addons: {dir: x}\n", `addons.dir: "x": want an absolute path`},
		{"folder with everything", "data_dir: /a/b\naddons: {dir: /a}\n", "line 2: addons.dir: /a holds data_dir"},
		{"builtin", "addons:\n  builtins:\n    - core\n    - mine\n", `line 4: addons.builtins[1]: "mine": want one of core, community`},
		{"builtin twice", "addons: {builtins: [core, core]}\n", `addons.builtins[1]: "core" is in the list already`},
		{"refresh", "addons: {refresh: 1s}\n", "addons.refresh: 1s: want 10s to"},
		{"refresh without unit", "addons: {refresh: 3}\n", `"3" has no unit`},
		{"deadline", "addons: {deadline: 2h}\n", "addons.deadline: 2h0m0s: want 1s to 1h0m0s"},
		{"settle", "addons: {settle: 1ms}\n", "addons.settle: 1ms: want 100ms to 10m0s"},
		{"age", "addons: {wait_min_age: 1ms}\n", "addons.wait_min_age: 1ms: want 1m0s to 720h0m0s"},
		{"parallel", "addons: {parallel: 17}\n", "addons.parallel: 17: want 1 to 16"},
		{"zone", "addons: {timezone: Berlin}\n", `addons.timezone: "Berlin" is not the IANA name`},
		{"zone out of the tree", "addons: {timezone: ../../etc/passwd}\n", "is not the IANA name"},
		{"zone of the host", "addons: {timezone: Local}\n", "is not the IANA name"},
		{"network's name", "addons: {network: {name: host}}\n", `addons.network.name: "host": want a network's own name`},
		{"public subnet", "addons: {network: {subnet: 8.8.8.0/24}}\n", "addons.network.subnet: \"8.8.8.0/24\": want a private IPv4 network"},
		{"IPv6", "addons: {network: {subnet: \"fd00::/64\"}}\n", "want a private IPv4 network"},
		{"no prefix", "addons: {network: {subnet: 172.30.32.1}}\n", "want a private IPv4 network"},
		{"small", "addons: {network: {subnet: 10.0.0.0/29}}\n", "want at least 16 addresses"},
		{"more than private", "addons: {network: {subnet: 172.16.0.0/11}}\n", "none that is not private"},
		{"more than private too", "addons: {network: {subnet: 192.168.0.0/15}}\n", "none that is not private"},
		{"host bits", "addons: {network: {subnet: 172.30.32.7/23}}\n", "the network that holds it is written 172.30.32.0/23"},

		{"class", core + "    class: addon\n", "services[0].home_assistant: the service's class is addon; write class: core"},
		{"no folder", service + "    home_assistant: {port: 8123}\n", `services[0].home_assistant.config: "": want an absolute path`},
		{"no value", service + "    home_assistant:\n", "home_assistant says nothing; write at least its config folder"},
		{"age of nothing", "addons: {wait_min_age: 0s}\n", "want 1m at least"},
		{"mistyped", core + "      tokenfile: /x\n", `unknown key "tokenfile"; did you mean "token_file"?`},
		{"token", core + "      token_file: x\n", `home_assistant.token_file: "x": want an absolute path`},
		{"hurry", core + "      run_within: 10ms\n", "home_assistant.run_within: "},
		{"two", core + second + "    home_assistant: {config: /srv/x}\n", "services[0] is Home Assistant already"},
		{"adopts its own kind", core + "      adopt: b\n" + second, `services[0].home_assistant.adopt: "b" is services[1], which Castellan runs`},
		{"adopts nonsense", core + "      adopt: a/b\n", "want the name of a container"},
		{"port taken", "channel: {urls: [https://c.example/s.json]}\nservices:\n" + second + "    container: {ports: [{host: 8123, container: 1}]}\n  - name: core\n    target: core\n    home_assistant: {config: /srv/ha}\n", `home_assistant.port: tcp port 8123 is taken by service "b"`},
		{"port taken later", core + second + "    container: {ports: [{host: 8123, container: 1}]}\n", `tcp port 8123 is taken by service "a"`},
		{"backups in its folder", core + "backup: {dir: /srv/ha/backups}\n", "line 7: backup.dir: /srv/ha/backups is in /srv/ha, the data of services[0]"},
		{"backups in its folder, which is no data", core + "    data: [/srv/x]\nbackup: {dir: /srv/ha}\n", "line 8: backup.dir: /srv/ha is in /srv/ha, the data of services[0]"},
		{"its folder among the backups", core + "    data: [/srv/x]\nbackup: {dir: /srv}\n", "is in backup.dir, /srv, which holds the backups of it"},
		{"its folder among the backups by default", service + "    home_assistant:\n      config: /var/lib/castellan/backups/ha\n", "line 6: services[0].home_assistant.config: /var/lib/castellan/backups/ha is in backup.dir"},
		{"data shared", core + second + "    data: [/srv/ha/x]\n", "/srv/ha/x and /srv/ha of service \"a\" are one inside the other"},
		{"data of add-ons", "addons: {dir: /ha}\n" + service + "    data: [/ha/data/x]\n", "/ha/data/x is in a folder of addons.dir that belongs to the add-ons"},
		{"data of all", "addons: {dir: /ha/y}\n" + service + "    data: [/ha]\n", "/ha holds addons.dir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse("c.yaml", []byte(c.text))
			if err == nil {
				t.Fatalf("accepted: %+v", got)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got:\n%v\nwant in it:\n%s", err, c.want)
			}
		})
	}
}

func TestTimeZoneOfTheHost(t *testing.T) {
	for _, c := range []struct{ link, file, want string }{
		{"/usr/share/zoneinfo/Europe/Berlin", "", "Europe/Berlin"},
		{"../usr/share/zoneinfo/Asia/Tokyo", "Europe/Paris\n", "Asia/Tokyo"},
		{"/usr/share/zoneinfo/Nowhere/Town", "Europe/Paris\n", "Europe/Paris"},
		{"", "America/New_York\n", "America/New_York"},
		{"", "nonsense", "UTC"},
		{"", "", "UTC"},
	} {
		etc := t.TempDir()
		if c.link != "" {
			if err := os.Symlink(c.link, filepath.Join(etc, "localtime")); err != nil {
				t.Fatal(err)
			}
		}
		if c.file != "" {
			if err := os.WriteFile(filepath.Join(etc, "timezone"), []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := hostZone(etc); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}
