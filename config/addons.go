package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
	_ "time/tzdata" // zone names must mean the same on a host without a zone database
)

// Addons is about Home Assistant's add-ons: where they live and what they are offered.
type Addons struct {
	// Dir holds what Home Assistant keeps for its add-ons: data/<slug>, addon_configs/<slug>, local, ssl, share, media,
	// backup and homeassistant. Absolute; it must not hold data_dir. Default <data_dir>/addons.
	Dir string `yaml:"dir"`

	// Builtins are the built-in repositories that are listed: core, community, esphome, music_assistant and local.
	// Default: all five; [] for none.
	Builtins []string `yaml:"builtins"`

	// Refresh is the time between two looks at the repositories, at least 10s. Default 3h.
	Refresh time.Duration `yaml:"refresh"`

	Network AddonNetwork `yaml:"network"`

	// Timezone is the IANA name that add-ons are told, as "Europe/Berlin". Default: the host's.
	Timezone string `yaml:"timezone"`

	// Parallel is how many add-ons start at the same time, 1 to 16. Default 4.
	Parallel int `yaml:"parallel"`

	// Settle is how long a new version of an add-on that has no health check must run without ending before it counts, 100ms
	// to 10m. Default 10s.
	Settle time.Duration `yaml:"settle"`

	// Deadline is how long an add-on that has a health check may take to pass it after a start, 1s to 1h. Default 2m.
	Deadline time.Duration `yaml:"deadline"`

	// WaitMinAge is how long ago a new version must have been seen first before an add-on is updated by itself, 1m to
	// 720h. Default 24h.
	WaitMinAge time.Duration `yaml:"wait_min_age"`
}

// AddonNetwork is the bridge that add-ons share.
type AddonNetwork struct {
	// Name of the network. It is made when missing. Default "hassio".
	Name string `yaml:"name"`

	// Subnet is a private IPv4 network of at least 16 addresses. Its first address is the gateway, its second the
	// Supervisor API's, and the upper half is for containers. Default 172.30.32.0/23.
	Subnet string `yaml:"subnet"`
}

// Prefix is Subnet; the zero value when that is not one.
func (n AddonNetwork) Prefix() netip.Prefix {
	p, err := netip.ParsePrefix(n.Subnet)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// Gateway is the host's address on the network.
func (n AddonNetwork) Gateway() netip.Addr { return n.Prefix().Addr().Next() }

// API is the address at which add-ons find the Supervisor API.
func (n AddonNetwork) API() netip.Addr { return n.Gateway().Next() }

// Containers is the upper half of the network, from which containers get their addresses.
func (n AddonNetwork) Containers() netip.Prefix {
	p := n.Prefix()
	if !p.IsValid() || !p.Addr().Is4() || p.Bits() >= 32 {
		return netip.Prefix{}
	}
	a := p.Addr().As4()
	a[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	return netip.PrefixFrom(netip.AddrFrom4(a), p.Bits()+1)
}

var builtins = []string{"core", "community", "esphome", "music_assistant", "local"}

func (a *Addons) setDefaults(dataDir string) {
	set(&a.Dir, filepath.Join(dataDir, "addons"))
	if a.Builtins == nil {
		a.Builtins = append(a.Builtins, builtins...)
	}
	set(&a.Refresh, 3*time.Hour)
	set(&a.Network.Name, "hassio")
	set(&a.Network.Subnet, "172.30.32.0/23")
	set(&a.Parallel, 4)
	set(&a.WaitMinAge, 24*time.Hour)
	set(&a.Settle, 10*time.Second)
	set(&a.Deadline, 2*time.Minute)
}

func (s *source) addons(c *Config) error {
	a := c.Addons
	if err := s.folder("$.addons.dir", a.Dir); err != nil {
		return err
	}
	if within(c.DataDir, a.Dir) {
		return s.field("$.addons.dir", "%s holds data_dir, which no add-on may see; name a folder beside or below it", a.Dir)
	}
	seen := map[string]bool{}
	for i, name := range a.Builtins {
		at := "$.addons.builtins" + index(i)
		if err := s.oneOf(at, name, builtins...); err != nil {
			return err
		}
		if seen[name] {
			return s.field(at, "%q is in the list already", name)
		}
		seen[name] = true
	}
	if err := s.duration("$.addons.refresh", a.Refresh, minPoll, 7*24*time.Hour); err != nil {
		return err
	}
	if err := s.duration("$.addons.wait_min_age", a.WaitMinAge, time.Minute, 30*24*time.Hour); err != nil {
		return err
	}
	if err := s.duration("$.addons.settle", a.Settle, 100*time.Millisecond, 10*time.Minute); err != nil {
		return err
	}
	if err := s.duration("$.addons.deadline", a.Deadline, time.Second, time.Hour); err != nil {
		return err
	}
	if a.Parallel < 1 || a.Parallel > 16 {
		return s.field("$.addons.parallel", "%d: want 1 to 16", a.Parallel)
	}
	if err := s.zone(a.Timezone); err != nil {
		return err
	}
	return s.addonNetwork(a.Network)
}

// zone takes "" for the host's.
func (s *source) zone(name string) error {
	if name != "" && !isZone(name) {
		return s.field("$.addons.timezone", `%.80q is not the IANA name of a time zone; want one such as "Europe/Berlin"`, name)
	}
	return nil
}

func (s *source) addonNetwork(n AddonNetwork) error {
	if !idPattern.MatchString(n.Name) || n.Name == "bridge" || n.Name == "host" || n.Name == "none" || n.Name == "default" {
		return s.field("$.addons.network.name", `%.80q: want a network's own name, as "hassio"`, n.Name)
	}
	p := n.Prefix()
	switch at := "$.addons.network.subnet"; {
	case !p.IsValid() || !p.Addr().Is4() || !p.Addr().IsPrivate():
		return s.field(at, `%.80q: want a private IPv4 network, as "172.30.32.0/23"`, n.Subnet)
	case p.Bits() > 28 || p.Bits() < 8 || p.Addr().As4()[0] != 10 && p.Bits() < 12 || p.Addr().As4()[0] == 192 && p.Bits() < 16:
		return s.field(at, "%s: want at least 16 addresses (/28), and none that is not private", n.Subnet)
	case p.Masked() != p:
		return s.field(at, "%s: the network that holds it is written %s", n.Subnet, p.Masked())
	}
	return nil
}

func isZone(name string) bool {
	if name == "" || name == "Local" || len(name) > 64 {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}

// hostZone is the time zone the host is set to; etc is its /etc. UTC when that cannot be told.
func hostZone(etc string) string {
	if target, err := os.Readlink(filepath.Join(etc, "localtime")); err == nil {
		if _, name, ok := strings.Cut(target, "zoneinfo/"); ok && isZone(name) {
			return name
		}
	}
	if data, err := os.ReadFile(filepath.Join(etc, "timezone")); err == nil { // older Debian; a missing one says nothing
		if name := strings.TrimSpace(string(data)); isZone(name) {
			return name
		}
	}
	return "UTC"
}
