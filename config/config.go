// Package config reads the appliance's configuration file, castellan.yaml.
//
// The file is the owner's. It is read strictly: a key that is not known, a value of another kind, a name used twice
// is refused with line and caret, because a setting that is silently ignored is a setting the owner believes in. While
// the daemon runs, a change is checked before it counts; a file that is wrong changes nothing ([Watch]).
//
// Who can write the file can decide which containers run with which rights, so it must be writable by root only. It
// holds no secret: where one is needed, it names a file.
//
// The comments of [Config] and the types below it are the manual. Durations are written with a unit, as "30s", "5m"
// or "48h". YAML anchors, aliases and several documents in one file are refused.
package config

import (
	"runtime"
	"time"
)

// Config is the whole file. Only services is likely to be needed; the rest has defaults.
type Config struct {
	// DataDir holds everything Castellan must find again: journal, ledger replica, trust memory, verification log,
	// snapshots. Absolute; one running daemon per folder. Default /var/lib/castellan.
	DataDir string `yaml:"data_dir"`

	// Socket is the unix socket of the API. Absolute, at most 100 bytes. Default /run/castellan.sock.
	Socket string `yaml:"socket"`

	Appliance Appliance `yaml:"appliance"`
	Engine    Engine    `yaml:"engine"`
	Registry  Registry  `yaml:"registry"`
	Trust     Trust     `yaml:"trust"`
	Channel   Channel   `yaml:"channel"`
	Services  []Service `yaml:"services"`
	Addons    Addons    `yaml:"addons"`
	Backup    Backup    `yaml:"backup"`
	API       API       `yaml:"api"`
	Log       Log       `yaml:"log"`
	Limits    Limits    `yaml:"limits"`
}

// Appliance says which machine this is.
type Appliance struct {
	// ID tells this appliance's containers from another's on the same engine, and seeds jitter and staged rollout.
	// Letters, digits, "_", ".", "-". Default "home". Changing it orphans the containers that run.
	ID string `yaml:"id"`

	// Machine is the board name that channels use, as "raspberrypi4-64" or "generic-x86-64". Default: by Arch,
	// "generic-x86-64" or "generic-aarch64".
	Machine string `yaml:"machine"`

	// Arch is "amd64" or "arm64". Default "auto": what Castellan itself was built for.
	Arch string `yaml:"arch"`
}

// Engine is the container engine.
type Engine struct {
	// Host is where Docker listens: "unix:///path" or "tcp://host:port". Default unix:///var/run/docker.sock. The
	// environment is not consulted.
	Host string `yaml:"host"`
}

// Registry says how images are fetched.
type Registry struct {
	// Listen is the loopback address of Castellan's own read-only registry, which the engine pulls from. The port must
	// stay the same over restarts. Default 127.0.0.1:5599.
	Listen string `yaml:"listen"`

	// Mirrors maps a registry host, as "ghcr.io", to base URLs that are tried in order before it.
	Mirrors map[string][]string `yaml:"mirrors"`

	// CredentialsFile is a JSON file {"<registry host>": {"username": …, "password": …}}, readable by its owner only.
	// Default: none, anonymous.
	CredentialsFile string `yaml:"credentials_file"`

	// RateLimit bounds downloads, in bytes per second. Default 0: no limit.
	RateLimit int64 `yaml:"rate_limit"`
}

// Trust says on whose word images come in (the trust protocol).
type Trust struct {
	// RootDir holds the root documents 1.json, 2.json, … shipped with the appliance. Default
	// /usr/share/castellan/root.
	RootDir string `yaml:"root_dir"`

	// Profile is "default" or "strict". Strict defers when nothing was heard of the ledger for 3 days instead of 14.
	Profile string `yaml:"profile"`

	// Poll is the time between two looks at the ledger, at least 10s. Default 5m.
	Poll time.Duration `yaml:"poll"`

	// Deny lists image digests ("sha256:…") that never come in, whoever vouches for them.
	Deny []string `yaml:"deny"`

	// Map binds a service, or an add-on as "addon_core_ssh", to the publisher ("p-…") that must vouch for it.
	Map map[string]string `yaml:"map"`

	// House is the publisher ID ("p-…") of the owner's own key, accepted on this appliance only. Default: the house key
	// that castellan trust house init makes, if there is one.
	House string `yaml:"house"`
}

// Channel is the release channel that services with a target follow.
type Channel struct {
	// Name is what the ledger calls it. Default "stable".
	Name string `yaml:"name"`

	// URLs are where the channel file is, tried in order. At least one when a service has a target.
	URLs []string `yaml:"urls"`

	// Poll is the time between two looks, at least 10s. Default 1h.
	Poll time.Duration `yaml:"poll"`
}

// Service is one container that Castellan keeps running and up to date. Either Target or Image with Version says what
// it runs.
type Service struct {
	// Name is the container's name. Lower-case letters, digits, "_", ".", "-"; used once.
	Name string `yaml:"name"`

	// Class is "core", "supervisor", "addon" or "local" (built here, never updated by itself). Default "addon", or "core"
	// with home_assistant.
	Class string `yaml:"class"`

	// Target is the service's name in the channel, as "core". Used once.
	Target string `yaml:"target"`

	// Image is a repository without tag or digest, as "ghcr.io/home-assistant/home-assistant". Excludes Target.
	Image string `yaml:"image"`

	// Version is the tag of Image. Needed with it, excluded without.
	Version string `yaml:"version"`

	// Update is "auto", "ask" (offer it, wait for the owner) or "hold" (say nothing). Default "ask". What the owner decides
	// with castellan mode counts in its place.
	Update string `yaml:"update"`

	// HomeAssistant makes it Home Assistant Core: container, health and data below need only what differs. One service
	// at most, of class core.
	HomeAssistant *HomeAssistant `yaml:"home_assistant"`

	Container Container `yaml:"container"`
	Health    Health    `yaml:"health"`

	// Data lists the host folders that are copied before a switch and put back with the old version. No two services
	// may share one. Absolute.
	Data []string `yaml:"data"`
}

// Log is the daemon's own log, not the verification log.
type Log struct {
	// Level is "debug", "info", "warn" or "error". Default "info".
	Level string `yaml:"level"`
}

// Limits bound the work done at once.
type Limits struct {
	// Parallel is how many services change at the same time, 1 to 16. Default 2.
	Parallel int `yaml:"parallel"`
}

// Minimum times between two polls: a typing error must not become a flood.
const minPoll = 10 * time.Second

func (c *Config) setDefaults() {
	set(&c.DataDir, "/var/lib/castellan")
	set(&c.Socket, "/run/castellan.sock")
	set(&c.Appliance.ID, "home")
	if c.Appliance.Arch == "" || c.Appliance.Arch == "auto" {
		c.Appliance.Arch = runtime.GOARCH
	}
	if c.Appliance.Arch == "arm64" {
		set(&c.Appliance.Machine, "generic-aarch64")
	} else {
		set(&c.Appliance.Machine, "generic-x86-64")
	}
	set(&c.Engine.Host, "unix:///var/run/docker.sock")
	set(&c.Registry.Listen, "127.0.0.1:5599")
	set(&c.Trust.RootDir, "/usr/share/castellan/root")
	set(&c.Trust.Profile, "default")
	set(&c.Trust.Poll, 5*time.Minute)
	set(&c.Channel.Name, "stable")
	set(&c.Channel.Poll, time.Hour)
	set(&c.API.TLS, "self")
	set(&c.Log.Level, "info")
	set(&c.Limits.Parallel, 2)
	c.Addons.setDefaults(c.DataDir)
	c.Backup.setDefaults(c.DataDir)
	for i := range c.Services {
		s := &c.Services[i]
		if s.HomeAssistant != nil {
			s.HomeAssistant.setDefaults(s)
		}
		set(&s.Class, "addon")
		set(&s.Update, "ask")
		set(&s.Container.Network, "bridge")
		for j := range s.Container.Ports {
			set(&s.Container.Ports[j].Protocol, "tcp")
		}
	}
}

// set gives a key that was left out its default.
func set[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}
