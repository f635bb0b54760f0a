package web

import (
	"slices"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// reach is what an add-on can and cannot reach, in words.
type reach struct {
	Can    []may
	Cannot []string
}

// may is one right.
type may struct{ Code, Icon, Text string }

// barriers are what people ask about, and the rights that let an add-on through: a code, or the beginning of some.
var barriers = []struct {
	key   string
	codes []string
}{
	{"network", []string{"host_network", "full_access", "docker_api"}},
	{"home", []string{"homeassistant_api", "hassio_api:homeassistant", "hassio_api:manager", "hassio_api:admin", "docker_api"}},
	{"config", []string{"map:homeassistant_config", "map:all_app_configs", "docker_api"}},
	{"files", []string{"map:media", "map:share", "map:backup", "map:ssl", "hassio_api:backup", "hassio_api:manager", "hassio_api:admin", "docker_api"}},
	{"devices", []string{"usb", "uart", "gpio", "video", "audio", "device:", "full_access", "docker_api"}},
	{"others", []string{"map:all_app_configs", "map:local_apps", "hassio_api:manager", "hassio_api:admin", "docker_api"}},
	{"appliance", []string{"docker_api", "full_access", "kernel_modules", "host_pid", "host_dbus", "cap:SYS_ADMIN", "cap:SYS_MODULE", "cap:SYS_RAWIO", "cap:SYS_PTRACE"}},
}

// reach puts rights in words.
func (v *visit) reach(rights []api.Right) reach {
	var out reach
	for _, r := range rights {
		out.Can = append(out.Can, v.right(r))
	}
	for _, b := range barriers {
		if !slices.ContainsFunc(rights, func(r api.Right) bool { return opens(b.codes, r.Code) }) {
			out.Cannot = append(out.Cannot, v.say("rights.cannot_"+b.key))
		}
	}
	return out
}

func opens(codes []string, code string) bool {
	return slices.ContainsFunc(codes, func(c string) bool { return code == c || strings.HasPrefix(code, strings.TrimSuffix(c, ":")+":") })
}

// right puts one in words: the catalogue's where it knows the code, else the API's.
func (v *visit) right(r api.Right) may {
	words := v.ui.in(v.lang)
	text := words.known("rights."+keyOf(r.Code), "")
	kind, name, _ := strings.Cut(r.Code, ":")
	if text == "" {
		switch kind {
		case "device", "secret", "cap":
			text = words.text("rights."+kind, name)
		case "service":
			if service, found := strings.CutSuffix(name, ":provide"); found {
				text = words.text("rights.service_provide", service)
			} else {
				text = words.text("rights.service", name)
			}
		default:
			text = r.Words
		}
	}
	return may{Code: r.Code, Icon: rightIcons[kind], Text: text}
}

// rightIcons are pictures of what is reached, by the first part of a code.
var rightIcons = map[string]string{"host_network": "network", "usb": "usb", "uart": "usb", "device": "usb", "gpio": "cpu", "video": "camera", "audio": "music",
	"homeassistant_api": "house", "hassio_api": "settings", "auth_api": "users", "map": "hard-drive", "service": "message-square", "secret": "key-round",
	"docker_api": "boxes", "full_access": "shield-alert", "apparmor": "shield-alert", "journald": "scroll-text", "kernel_modules": "cpu"}

// keyOf makes part of a key of the catalogue from a code.
func keyOf(code string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_':
			return c
		}
		return '_'
	}, code)
}
