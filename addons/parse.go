package addons

import (
	"regexp"
	"strconv"
	"strings"
)

// ParseManifest reads a config.yaml, .yml or .json; name is the path shown in errors, and its ending says the language.
// It takes what Home Assistant takes: keys nobody knows are dropped, old names are migrated. It never grants anything
// and never panics. The error is an *[InvalidError].
func ParseManifest(name string, data []byte) (Manifest, error) {
	n, err := readFile(name, data)
	if err != nil {
		return Manifest{}, err
	}
	m := defaultManifest()
	d := &decoder{}
	if n.kind != kindDict {
		d.fail(n, root, "want a dictionary with name, version, slug, description and arch")
		return Manifest{}, d.err(name)
	}
	if yes, ok := truth(valueOf(n.get("name"))); ok && !yes {
		d.fail(n, root, "name is missing; write a line name: and what people call the add-on")
		return Manifest{}, d.err(name)
	}
	d.manifest(n, &m)
	if err := d.err(name); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

func valueOf(n *node) any {
	if n == nil {
		return nil
	}
	if n.kind == kindText { // any text but none is a name
		return n.text != ""
	}
	return n.value()
}

func defaultManifest() Manifest {
	return Manifest{Startup: StartApplication, Boot: BootAuto, Init: true, Stage: "stable", AppArmor: true, HassioRole: "default",
		IngressPort: 8099, PanelIcon: "mdi:puzzle", PanelAdmin: true, Backup: "hot", Options: map[string]any{}, Timeout: 10,
		Map: []MapEntry{}, Ulimits: map[string]Ulimit{}, Breaking: []string{}}
}

func (d *decoder) manifest(n *node, m *Manifest) {
	found := map[string]bool{}
	for _, e := range n.entries {
		key := e.key
		if now, old := renamed[key]; old && !e.plain {
			key = now
		}
		read, known := manifestKeys[key]
		if !known || e.plain {
			continue
		}
		found[key] = true
		read(d, m, e.value, root.key(key))
	}
	for _, key := range []string{"version", "slug", "description", "arch"} {
		if !found[key] {
			d.fail(&node{}, root.key(key), "it is missing; write a line %s: …", key)
		}
	}
	if m.Ingress && m.IngressPort == 0 && found["ingress_port"] {
		for port := range m.Ports {
			number, _, _ := strings.Cut(port, "/")
			if p, err := strconv.Atoi(number); err == nil && p >= FirstIngressPort && p <= LastIngressPort {
				d.fail(n, root, "ports: %s is one of %d to %d, from which ingress_port: 0 picks; map another port, or name the ingress_port", port, FirstIngressPort, LastIngressPort)
				break
			}
		}
	}
}

// Ports that ingress_port: 0 picks from.
const (
	FirstIngressPort = 62000
	LastIngressPort  = 65500
)

// renamed are the old names of keys.
var renamed = map[string]string{"auto_uart": "uart", "snapshot": "backup", "snapshot_exclude": "backup_exclude", "snapshot_pre": "backup_pre", "snapshot_post": "backup_post"}

// What the texts of a manifest must look like.
var (
	slugForm     = regexp.MustCompile(`^[-_.A-Za-z0-9]{1,100}$`)
	imageForm    = regexp.MustCompile(`^(?:[a-z0-9][a-z0-9.\-]*(?::[0-9]+)?/)*(?:[a-z0-9{][a-z0-9.\-_{}]*/)*[a-z0-9{][a-z0-9.\-_{}]*$`)
	portForm     = regexp.MustCompile(`^[0-9]+(?:/tcp|/udp)?$`)
	webuiForm    = regexp.MustCompile(`^(?:https?|\[PROTO:\w+\])://\[HOST\]:\[PORT:\d+\].*$`)
	watchdogForm = regexp.MustCompile(`^(?:https?|\[PROTO:\w+\]|tcp)://\[HOST\]:(?:\[PORT:\d+\]|\d+).*$`)
	serviceForm  = regexp.MustCompile(`^(mqtt|mysql):(provide|want|need)$`)
	volumeForm   = regexp.MustCompile(`^(` + strings.Join(mapTypes, "|") + `)(?::(rw|ro))?\n?$`)
)

// Words that a manifest chooses from.
var (
	arches       = []string{"aarch64", "amd64", "armhf", "armv7", "i386"}
	mapTypes     = []string{"data", "config", "ssl", "local_apps", "addons", "backup", "share", "media", "homeassistant_config", "all_app_configs", "all_addon_configs", "app_config", "addon_config"}
	roles        = []string{"default", "homeassistant", "backup", "manager", "admin"}
	capabilities = []string{"BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "IPC_LOCK", "NET_ADMIN", "NET_RAW", "PERFMON", "SYS_ADMIN", "SYS_MODULE", "SYS_NICE", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME"}
	machines     = []string{"", "intel-nuc", "khadas-vim3", "generic-aarch64", "generic-x86-64", "odroid-c2", "odroid-c4", "odroid-m1", "odroid-n2", "odroid-xu", "qemuarm-64", "qemuarm", "qemux86-64", "qemux86", "raspberrypi", "raspberrypi2", "raspberrypi3-64", "raspberrypi3", "raspberrypi4-64", "raspberrypi4", "raspberrypi5-64", "yellow", "green", "tinker"}
)

// formed is a text of one line that looks like form.
func (d *decoder) formed(n *node, where *at, form *regexp.Regexp, want string) string {
	s := d.oneLine(n, where)
	if n.kind == kindText && len(n.text) <= maxText && !form.MatchString(s) {
		d.fail(n, where, "want %s", want)
	}
	return s
}

// unique tells whether no text stands twice.
func unique(list []string) bool {
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if seen[s] {
			return false
		}
		seen[s] = true
	}
	return true
}
