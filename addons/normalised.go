package addons

import (
	"maps"
	"slices"
)

// Normalised is the manifest in Home Assistant's words: what its validator makes of the file, defaults filled in and old
// names migrated. The map shares nothing with m.
func (m Manifest) Normalised() map[string]any {
	out := map[string]any{
		"name": m.Name, "version": orNil(m.Version), "slug": m.Slug, "description": m.Description, "arch": list(m.Arch),
		"startup": string(m.Startup), "boot": string(m.Boot), "init": m.Init, "stage": m.Stage, "advanced": m.Advanced,
		"host_network": m.HostNetwork, "host_pid": m.HostPID, "host_ipc": m.HostIPC, "host_uts": m.HostUTS, "host_dbus": m.HostDBus,
		"udev": m.Udev, "usb": m.USB, "uart": m.UART, "gpio": m.GPIO, "video": m.Video, "audio": m.Audio, "devicetree": m.DeviceTree,
		"kernel_modules": m.KernelModules, "realtime": m.Realtime, "journald": m.Journald, "tmpfs": m.Tmpfs,
		"apparmor": m.AppArmor, "full_access": m.FullAccess, "docker_api": m.DockerAPI,
		"hassio_api": m.HassioAPI, "hassio_role": m.HassioRole, "homeassistant_api": m.CoreAPI, "auth_api": m.AuthAPI, "stdin": m.Stdin, "legacy": m.Legacy,
		"ingress": m.Ingress, "ingress_port": int64(m.IngressPort), "ingress_stream": m.IngressStream,
		"panel_icon": m.PanelIcon, "panel_admin": m.PanelAdmin, "backup": m.Backup,
		"options": Merge(m.Options, nil), "schema": m.Schema.plain(), "timeout": int64(m.Timeout), "breaking_versions": list(m.Breaking),
		"map": m.normalisedMap(), "ulimits": m.normalisedUlimits(),
	}
	for key, v := range map[string]string{"url": m.URL, "homeassistant": m.Core, "image": m.Image, "ingress_entry": m.IngressEntry,
		"panel_title": m.PanelTitle, "webui": m.WebUI, "watchdog": m.Watchdog, "backup_pre": m.BackupPre, "backup_post": m.BackupPost} {
		if v != "" || slices.Contains(m.blank, key) {
			out[key] = v
		}
	}
	if m.Core == "" && slices.Contains(m.blank, "homeassistant") {
		out["homeassistant"] = nil
	}
	for key, v := range map[string][]string{"machine": m.Machine, "devices": m.Devices, "privileged": m.Privileged,
		"discovery": m.Discovery, "backup_exclude": m.BackupExclude} {
		if v != nil {
			out[key] = list(v)
		}
	}
	if m.Services != nil {
		services := make([]any, len(m.Services))
		for i, s := range m.Services {
			services[i] = s.Service + ":" + s.Use
		}
		out["services"] = services
	}
	if m.Ports != nil {
		ports := make(map[string]any, len(m.Ports))
		for port, host := range m.Ports {
			if ports[port] = nil; host != nil {
				ports[port] = int64(*host)
			}
		}
		out["ports"] = ports
	}
	for key, v := range map[string]map[string]string{"ports_description": m.PortDescriptions, "environment": m.Environment} {
		if v != nil {
			dict := make(map[string]any, len(v))
			for k, s := range v {
				dict[k] = s
			}
			out[key] = dict
		}
	}
	return out
}

func (m Manifest) normalisedMap() []any {
	out := make([]any, len(m.Map))
	for i, e := range m.Map {
		dict := map[string]any{"type": e.Type, "read_only": e.ReadOnly}
		if e.Path != "" {
			dict["path"] = e.Path
		}
		out[i] = dict
	}
	return out
}

func (m Manifest) normalisedUlimits() map[string]any {
	out := make(map[string]any, len(m.Ulimits))
	for name, u := range m.Ulimits {
		if out[name] = u.Soft; !u.single {
			out[name] = map[string]any{"soft": u.Soft, "hard": u.Hard}
		}
	}
	return out
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func list(texts []string) []any {
	out := make([]any, len(texts))
	for i, s := range texts {
		out[i] = s
	}
	return out
}

// Merge lays overrides over defaults: dictionaries are merged key by key, everything else is replaced, lists too. The
// result shares nothing with either.
func Merge(defaults, overrides map[string]any) map[string]any {
	out := make(map[string]any, len(defaults)+len(overrides))
	for key, v := range defaults {
		out[key] = clone(v)
	}
	for key, v := range overrides {
		below, isDict := v.(map[string]any)
		before, wasDict := out[key].(map[string]any)
		if isDict && wasDict {
			out[key] = Merge(before, below)
		} else {
			out[key] = clone(v)
		}
	}
	return out
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return Merge(v, nil)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = clone(item)
		}
		return out
	case map[string]string:
		return maps.Clone(v)
	case []string:
		return slices.Clone(v)
	}
	return v
}
