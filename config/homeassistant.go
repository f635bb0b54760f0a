package config

import (
	"fmt"
	"path/filepath"
	"time"
)

// HomeAssistant makes a service Home Assistant Core, run as Home Assistant's own Supervisor runs it. It fills in what
// the service leaves out:
//
//   - container: privileged in any case; network host; the folder config at /config, and ssl (read-only), share and
//     media of addons.dir, /dev, /run/dbus, /run/udev and the like where the host has them; /tmp in memory; 260s to
//     stop. Mounts with a target of their own are added, those with one of these take its place.
//   - health: Home Assistant's own gate. It must answer within health.deadline (default 10m) and run within run_within of
//     its start; an offline migration of its database is waited for. Then http, frontend and websocket_api must be loaded,
//     the page must come and the websocket must greet.
//   - data: the folder config.
type HomeAssistant struct {
	// Config is the folder with configuration.yaml. Absolute. It must be there: an empty one would make a new home.
	Config string `yaml:"config"`

	// Port is where Home Assistant listens, as `http: server_port` in its configuration says. Default 8123.
	Port uint16 `yaml:"port"`

	// SSL says that it speaks HTTPS there. Its certificate is not checked: the way leads through this machine only.
	SSL bool `yaml:"ssl"`

	// TokenFile holds a long-lived access token (its profile page makes one), readable by its owner only. Default:
	// none; then the state and the loaded components are not known and the page and the websocket decide.
	TokenFile string `yaml:"token_file"`

	// RunWithin is how long one that answers may take from its start until it runs; without a token_file, until its page
	// and its websocket are there. From 1s to 6h. Default 15m, as Home Assistant's Supervisor has it.
	RunWithin time.Duration `yaml:"run_within"`

	// Adopt is the name of an existing container, as "homeassistant", whose place the service takes. Default: none.
	Adopt string `yaml:"adopt"`
}

func (h *HomeAssistant) setDefaults(s *Service) {
	set(&h.Port, 8123)
	set(&h.RunWithin, 15*time.Minute)
	set(&s.Class, "core")
	set(&s.Container.Network, "host")
	if s.Data == nil {
		s.Data = []string{h.Config}
	}
}

func (s *source) homeAssistant(c *Config) error {
	first := -1
	for i, svc := range c.Services {
		h, at := svc.HomeAssistant, fmt.Sprintf("$.services[%d].home_assistant", i)
		if h == nil {
			continue
		}
		if first >= 0 {
			return s.field(at, "services[%d] is Home Assistant already; one appliance has one", first)
		}
		first = i
		if svc.Class != "core" {
			return s.field(at, "the service's class is %s; write class: core, or delete home_assistant", svc.Class)
		}
		if err := s.folder(at+".config", h.Config); err != nil {
			return err
		}
		if err := s.duration(at+".run_within", h.RunWithin, time.Second, 6*time.Hour); err != nil {
			return err
		}
		if h.TokenFile != "" {
			if err := s.folder(at+".token_file", h.TokenFile); err != nil {
				return err
			}
		}
		if h.Adopt == "" {
			continue
		}
		if !idPattern.MatchString(h.Adopt) {
			return s.field(at+".adopt", `%.80q: want the name of a container, as "homeassistant"`, h.Adopt)
		}
		for j, other := range c.Services {
			if j != i && other.Name == h.Adopt {
				return s.field(at+".adopt", "%q is services[%d], which Castellan runs; name a container that it does not", h.Adopt, j)
			}
		}
	}
	return nil
}

// addonData refuses data that would take the add-ons' own along when it is put back. Home Assistant's folders in
// addons.dir may be a service's.
func (s *source) addonData(c *Config) error {
	for i, svc := range c.Services {
		for j, path := range svc.Data {
			at := fmt.Sprintf("$.services[%d].data[%d]", i, j)
			if within(c.Addons.Dir, path) {
				return s.field(at, "%s holds addons.dir; name a folder in or beside it", path)
			}
			for _, own := range []string{"data", "addon_configs"} {
				if within(path, filepath.Join(c.Addons.Dir, own)) {
					return s.field(at, "%s is in a folder of addons.dir that belongs to the add-ons; name another", path)
				}
			}
		}
	}
	return nil
}
