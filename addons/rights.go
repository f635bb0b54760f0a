package addons

import (
	"slices"
	"strings"
)

// Rights is what an add-on asks to reach on the appliance, as codes that stay the same from version to version:
// "host_network", "cap:NET_ADMIN", "map:homeassistant_config:rw", "device:/dev/ttyUSB0", "secret:wifi_password", "hassio_api:manager". Sorted,
// none twice. An owner agrees to them at the installation; an update that asks for more asks the owner again.
type Rights []string

// Rights lists what m asks for, also by the defaults of its options (see [Manifest.Reaches]). Its own data and configuration are no right: nobody else's is in there.
func (m Manifest) Rights() Rights {
	var r Rights
	for code, asked := range map[string]bool{
		"host_network": m.HostNetwork, "host_pid": m.HostPID, "host_ipc": m.HostIPC, "host_uts": m.HostUTS, "host_dbus": m.HostDBus,
		"udev": m.Udev, "usb": m.USB, "uart": m.UART, "gpio": m.GPIO, "video": m.Video, "audio": m.Audio, "devicetree": m.DeviceTree,
		"kernel_modules": m.KernelModules, "realtime": m.Realtime || m.precedes(), "journald": m.Journald, "apparmor:off": !m.AppArmor,
		"full_access": m.FullAccess, "docker_api": m.DockerAPI, "homeassistant_api": m.CoreAPI, "auth_api": m.AuthAPI,
		"hassio_api:" + m.HassioRole: m.HassioAPI,
	} {
		if asked {
			r = append(r, code)
		}
	}
	for _, c := range m.Privileged {
		r = append(r, "cap:"+c)
	}
	for _, device := range m.Devices {
		r = append(r, "device:"+device)
	}
	r = append(r, m.Reaches(Settings{})...)
	for _, e := range m.Map {
		if folder, shared := sharedFolders[e.Type]; shared {
			if e.ReadOnly {
				r = append(r, "map:"+folder+":ro")
			} else {
				r = append(r, "map:"+folder+":rw")
			}
		}
	}
	for _, s := range m.Services {
		if s.Use == "provide" {
			r = append(r, "service:"+s.Service+":provide")
		} else {
			r = append(r, "service:"+s.Service)
		}
	}
	slices.Sort(r)
	return slices.Compact(r)
}

// precedes tells whether the resource limits alone let the add-on take precedence: the kernel asks for no capability then.
func (m Manifest) precedes() bool {
	for _, name := range []string{"rtprio", "nice"} {
		if m.Ulimits[name].Hard != 0 {
			return true
		}
	}
	return false
}

// Reaches lists what the options open with an owner's settings: "device:/dev/ttyUSB0" for a device that one picks, and
// "secret:wifi_password" for one of Home Assistant's secrets that one names. What the owner wrote himself is his consent;
// what the author or the add-on wrote is not.
func (m Manifest) Reaches(s Settings) Rights {
	options := Merge(m.Options, s.Options)
	var r Rights
	for _, d := range picked(m.Schema.fields, options) {
		if d, ok := deviceOf(d); ok {
			r = append(r, "device:"+d)
		}
	}
	if !m.Schema.open { // nothing is filled in there
		for _, name := range secrets(options) {
			r = append(r, "secret:"+name)
		}
	}
	slices.Sort(r)
	return slices.Compact(r)
}

// secrets are the names that a value refers to.
func secrets(value any) []string {
	var out []string
	switch v := value.(type) {
	case string:
		if name, ok := strings.CutPrefix(v, secretMark); ok {
			out = append(out, name)
		}
	case []any:
		for _, item := range v {
			out = append(out, secrets(item)...)
		}
	case map[string]any:
		for _, item := range v {
			out = append(out, secrets(item)...)
		}
	}
	return out
}

// sharedFolders are the folders that others use too, by the one name of each.
var sharedFolders = map[string]string{
	"config": "homeassistant_config", "homeassistant_config": "homeassistant_config", "ssl": "ssl", "backup": "backup", "share": "share",
	"media": "media", "addons": "local_apps", "local_apps": "local_apps", "all_addon_configs": "all_app_configs", "all_app_configs": "all_app_configs",
}

// Beyond lists the rights of r that granted does not cover: what an owner must be asked about. A folder to write covers
// the same to read, a role covers the lesser ones. full_access covers no device: protected mode holds it back, and a device
// that is named is there in protected mode too.
func (r Rights) Beyond(granted Rights) []string {
	var out []string
	for _, code := range r {
		if !slices.ContainsFunc(granted, func(g string) bool { return covers(g, code) }) {
			out = append(out, code)
		}
	}
	return out
}

// lesser are the rights that one includes.
var lesser = map[string][]string{
	"kernel_modules":           {"cap:SYS_MODULE"},
	"realtime":                 {"cap:SYS_NICE"},
	"hassio_api:admin":         {"hassio_api:manager", "hassio_api:backup", "hassio_api:homeassistant", "hassio_api:default"},
	"hassio_api:manager":       {"hassio_api:backup", "hassio_api:homeassistant", "hassio_api:default"},
	"hassio_api:backup":        {"hassio_api:default"},
	"hassio_api:homeassistant": {"hassio_api:default"},
}

func covers(granted, code string) bool {
	if granted == code || slices.Contains(lesser[granted], code) {
		return true
	}
	folder, readOnly := strings.CutSuffix(code, ":ro")
	return readOnly && granted == folder+":rw" && strings.HasPrefix(code, "map:")
}

// rightWords are the rights that have no name in their code.
var rightWords = map[string]string{
	"host_network":             "use the network of the appliance directly, open any port and see all traffic",
	"host_pid":                 "see all programs of the appliance (only when you switch its protection off)",
	"host_ipc":                 "share memory with the programs of the appliance",
	"host_uts":                 "see the name of the appliance, and change it with the right capability",
	"host_dbus":                "talk to the system services of the appliance",
	"udev":                     "see which devices are plugged in",
	"usb":                      "use all USB devices",
	"uart":                     "use all serial ports",
	"gpio":                     "use the pins of the board",
	"video":                    "use cameras and graphics",
	"audio":                    "use microphones and loudspeakers",
	"devicetree":               "read the description of the board",
	"kernel_modules":           "load modules into the kernel",
	"realtime":                 "take precedence over other programs",
	"journald":                 "read the logs of the appliance and of all add-ons",
	"apparmor:off":             "run without the confinement of AppArmor",
	"full_access":              "use every device of the appliance (only when you switch its protection off)",
	"docker_api":               "see all containers, which gives it the appliance (only when you switch its protection off)",
	"homeassistant_api":        "read and control everything in Home Assistant",
	"auth_api":                 "check names and passwords of your users",
	"hassio_api:default":       "ask the supervisor about itself",
	"hassio_api:homeassistant": "restart, update and configure Home Assistant Core",
	"hassio_api:backup":        "make, read and restore backups",
	"hassio_api:manager":       "manage add-ons, backups, updates and the system",
	"hassio_api:admin":         "do all that you can do, and switch off the protection of add-ons",
	"cap:SYS_ADMIN":            "administer the system, nearly all of it",
	"cap:NET_ADMIN":            "change the network",
	"cap:NET_RAW":              "send and read any network packet",
	"cap:SYS_MODULE":           "load modules into the kernel",
	"cap:SYS_RAWIO":            "reach memory and hardware directly",
	"cap:SYS_PTRACE":           "look into other programs",
	"cap:SYS_TIME":             "set the clock",
	"cap:SYS_NICE":             "take precedence over other programs",
	"cap:SYS_RESOURCE":         "exceed limits on memory and files",
	"cap:DAC_READ_SEARCH":      "read any file it can see",
	"cap:IPC_LOCK":             "keep memory from being moved to disk",
	"cap:BPF":                  "run programs in the kernel",
	"cap:PERFMON":              "watch other programs and the kernel",
	"cap:CHECKPOINT_RESTORE":   "freeze and copy programs",
}

var folderWords = map[string]string{
	"homeassistant_config": "the configuration of Home Assistant, with its secrets", "ssl": "your certificates and their keys", "backup": "your backups", "share": "the folder share",
	"media": "your media", "local_apps": "your own add-ons", "all_app_configs": "the configuration of all add-ons",
}

// RightInWords says what a code of [Rights] lets an add-on do, as a verb phrase for the owner: "read your media". A code
// nobody knows is given back as it is.
func RightInWords(code string) string {
	if words, ok := rightWords[code]; ok {
		return words
	}
	kind, name, _ := strings.Cut(code, ":")
	switch kind {
	case "cap":
		return "use the capability " + name
	case "device":
		return "use the device " + name
	case "secret":
		return "read the secret " + name + " of Home Assistant"
	case "map":
		folder, mode, _ := strings.Cut(name, ":")
		words, ok := folderWords[folder]
		switch {
		case ok && mode == "ro":
			return "read " + words
		case ok:
			return "read and change " + words
		}
	case "service":
		service, use, _ := strings.Cut(name, ":")
		if use == "provide" {
			return "offer " + service + " to other add-ons, and read what they send"
		}
		return "use " + service + " with its name and password"
	}
	return code
}
