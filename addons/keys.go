package addons

import "strings"

// readKey reads the value of one key.
type readKey func(d *decoder, m *Manifest, n *node, where *at)

func yes(field func(m *Manifest) *bool) readKey {
	return func(d *decoder, m *Manifest, n *node, where *at) { *field(m) = d.flag(n, where) }
}

func text(field func(m *Manifest) *string) readKey {
	return func(d *decoder, m *Manifest, n *node, where *at) { *field(m) = d.text(n, where) }
}

// written is a text that Home Assistant tells from an absent one even when it is empty.
func written(key string, field func(m *Manifest) *string) readKey {
	return func(d *decoder, m *Manifest, n *node, where *at) {
		if *field(m) = d.text(n, where); *field(m) == "" {
			m.blank = append(m.blank, key)
		}
	}
}

func texts(field func(m *Manifest) *[]string) readKey {
	return func(d *decoder, m *Manifest, n *node, where *at) { *field(m) = d.texts(n, where) }
}

func word(field func(m *Manifest) *string, words ...string) readKey {
	return func(d *decoder, m *Manifest, n *node, where *at) { *field(m) = d.oneOf(n, where, words...) }
}

// manifestKeys is every key of config.yaml that Home Assistant knows, and castellan, which is ours.
var manifestKeys = map[string]readKey{
	"name":        text(func(m *Manifest) *string { return &m.Name }),
	"description": text(func(m *Manifest) *string { return &m.Description }),
	"version":     func(d *decoder, m *Manifest, n *node, where *at) { m.Version = d.version(n, where) },
	"slug": func(d *decoder, m *Manifest, n *node, where *at) {
		m.Slug = d.formed(n, where, slugForm, "at most 100 letters, digits, - _ and .")
	},
	"arch": func(d *decoder, m *Manifest, n *node, where *at) {
		m.Arch = []string{}
		d.list(n, where, "a list, as [aarch64, amd64]", func(n *node, where *at) { m.Arch = append(m.Arch, d.oneOf(n, where, arches...)) })
	},
	"machine": readMachine,
	"url": func(d *decoder, m *Manifest, n *node, where *at) {
		if m.URL = d.text(n, where); n.kind == kindText && !isURL(m.URL) {
			d.fail(n, where, "want an address with scheme and host, as https://example.org/x")
		}
	},
	"startup": readStartup,
	"boot": func(d *decoder, m *Manifest, n *node, where *at) {
		m.Boot = Boot(d.oneOf(n, where, string(BootAuto), string(BootManual), string(BootManualOnly)))
	},
	"init":     yes(func(m *Manifest) *bool { return &m.Init }),
	"stage":    word(func(m *Manifest) *string { return &m.Stage }, "stable", "experimental", "deprecated"),
	"advanced": yes(func(m *Manifest) *bool { return &m.Advanced }),
	"homeassistant": func(d *decoder, m *Manifest, n *node, where *at) {
		if m.Core = d.version(n, where); m.Core == "" {
			m.blank = append(m.blank, "homeassistant")
		}
	},
	"image": func(d *decoder, m *Manifest, n *node, where *at) {
		m.Image = d.formed(n, where, imageForm, "an image without tag in lower case, as ghcr.io/owner/{arch}-name")
	},
	"ports":             readPorts,
	"ports_description": readPortDescriptions,
	"host_network":      yes(func(m *Manifest) *bool { return &m.HostNetwork }),
	"host_pid":          yes(func(m *Manifest) *bool { return &m.HostPID }),
	"host_ipc":          yes(func(m *Manifest) *bool { return &m.HostIPC }),
	"host_uts":          yes(func(m *Manifest) *bool { return &m.HostUTS }),
	"host_dbus":         yes(func(m *Manifest) *bool { return &m.HostDBus }),
	"devices":           readDevices,
	"udev":              yes(func(m *Manifest) *bool { return &m.Udev }),
	"usb":               yes(func(m *Manifest) *bool { return &m.USB }),
	"uart":              yes(func(m *Manifest) *bool { return &m.UART }),
	"gpio":              yes(func(m *Manifest) *bool { return &m.GPIO }),
	"video":             yes(func(m *Manifest) *bool { return &m.Video }),
	"audio":             yes(func(m *Manifest) *bool { return &m.Audio }),
	"devicetree":        yes(func(m *Manifest) *bool { return &m.DeviceTree }),
	"kernel_modules":    yes(func(m *Manifest) *bool { return &m.KernelModules }),
	"realtime":          yes(func(m *Manifest) *bool { return &m.Realtime }),
	"journald":          yes(func(m *Manifest) *bool { return &m.Journald }),
	"tmpfs":             func(_ *decoder, m *Manifest, n *node, _ *at) { m.Tmpfs = n.kind != kindBool || n.yes },
	"map":               readMap,
	"environment": func(d *decoder, m *Manifest, n *node, where *at) {
		m.Environment = d.textDict(n, where)
	},
	"privileged": func(d *decoder, m *Manifest, n *node, where *at) {
		m.Privileged = []string{}
		d.list(n, where, "a list, as [NET_ADMIN]", func(n *node, where *at) { m.Privileged = append(m.Privileged, d.oneOf(n, where, capabilities...)) })
	},
	"apparmor": func(d *decoder, m *Manifest, n *node, where *at) {
		before := len(d.problems)
		if m.AppArmor = d.flag(n, where); len(d.problems) > before {
			d.problems[before].What += "; a profile of your own is the file apparmor.txt"
		}
	},
	"full_access":       yes(func(m *Manifest) *bool { return &m.FullAccess }),
	"docker_api":        yes(func(m *Manifest) *bool { return &m.DockerAPI }),
	"hassio_api":        yes(func(m *Manifest) *bool { return &m.HassioAPI }),
	"hassio_role":       word(func(m *Manifest) *string { return &m.HassioRole }, roles...),
	"homeassistant_api": yes(func(m *Manifest) *bool { return &m.CoreAPI }),
	"auth_api":          yes(func(m *Manifest) *bool { return &m.AuthAPI }),
	"stdin":             yes(func(m *Manifest) *bool { return &m.Stdin }),
	"legacy":            yes(func(m *Manifest) *bool { return &m.Legacy }),
	"services":          readServices,
	"discovery":         texts(func(m *Manifest) *[]string { return &m.Discovery }),
	"ingress":           yes(func(m *Manifest) *bool { return &m.Ingress }),
	"ingress_port": func(d *decoder, m *Manifest, n *node, where *at) {
		if m.IngressPort = 0; n.kind != kindInt || n.num != 0 {
			m.IngressPort = uint16(d.whole(n, where, 1, 65535))
		}
	},
	"ingress_entry":  written("ingress_entry", func(m *Manifest) *string { return &m.IngressEntry }),
	"ingress_stream": yes(func(m *Manifest) *bool { return &m.IngressStream }),
	"panel_icon":     text(func(m *Manifest) *string { return &m.PanelIcon }),
	"panel_title":    written("panel_title", func(m *Manifest) *string { return &m.PanelTitle }),
	"panel_admin":    yes(func(m *Manifest) *bool { return &m.PanelAdmin }),
	"webui": func(d *decoder, m *Manifest, n *node, where *at) {
		m.WebUI = d.formed(n, where, webuiForm, "an address as http://[HOST]:[PORT:80]/path")
	},
	"watchdog": func(d *decoder, m *Manifest, n *node, where *at) {
		m.Watchdog = d.formed(n, where, watchdogForm, "an address as tcp://[HOST]:[PORT:80] or http://[HOST]:80/path")
	},
	"backup":         word(func(m *Manifest) *string { return &m.Backup }, "hot", "cold"),
	"backup_pre":     written("backup_pre", func(m *Manifest) *string { return &m.BackupPre }),
	"backup_post":    written("backup_post", func(m *Manifest) *string { return &m.BackupPost }),
	"backup_exclude": texts(func(m *Manifest) *[]string { return &m.BackupExclude }),
	"options": func(d *decoder, m *Manifest, n *node, where *at) {
		if d.is(n, where, kindDict, "a dictionary of default values, or {}") {
			m.Options, _ = n.value().(map[string]any)
		}
	},
	"schema": func(d *decoder, m *Manifest, n *node, where *at) { m.Schema = d.schema(n, where) },
	"timeout": func(d *decoder, m *Manifest, n *node, where *at) {
		m.Timeout = int(d.whole(n, where, 10, 300))
	},
	"ulimits": readUlimits,
	"breaking_versions": func(d *decoder, m *Manifest, n *node, where *at) {
		d.list(n, where, "a list of versions", func(n *node, where *at) { m.Breaking = append(m.Breaking, d.version(n, where)) })
	},
	"codenotary": func(_ *decoder, m *Manifest, n *node, _ *at) { // Home Assistant ignores it, whatever it is
		if n.kind == kindText && len(n.text) <= 254 {
			m.Codenotary = strings.TrimSpace(n.text)
		}
	},
	"castellan": func(d *decoder, m *Manifest, n *node, where *at) {
		d.dict(n, where, "publisher: p-…", func(key string, n *node, where *at) {
			if key == "publisher" {
				m.Publisher = d.oneLine(n, where)
			}
		})
	},
}
