package api

import (
	"context"
	"time"
)

// hostRoutes are Home Assistant's calls about what is around the daemon. This appliance's operating system looks after
// itself, so most of it is said to be not there.
var hostRoutes = []route{
	{"GET", "/os/info", Viewer, byDefault, "Nothing: this is no Home Assistant OS.", ha(fixed(OSInfo{BootSlots: map[string]any{}}))},
	{"GET", "/host/info", Viewer, byDefault, "The host.", ha(func(s *Server, ctx context.Context, _ Caller, _ none) (HostInfo, error) {
		h, err := s.cfg.Home.Host(ctx)
		return h.Info, err
	})},
	{"GET", "/network/info", Viewer, byDefault, "The host's network.", ha(func(s *Server, ctx context.Context, _ Caller, _ none) (NetworkInfo, error) {
		h, err := s.cfg.Home.Host(ctx)
		return h.Network, err
	})},
	{"GET", "/docker/info", Viewer, byDefault, "The container engine.", ha(func(s *Server, ctx context.Context, _ Caller, _ none) (DockerInfo, error) {
		h, err := s.cfg.Home.Host(ctx)
		return h.Docker, err
	})},
	{"GET", "/docker/registries", Viewer, byManager, "The registries with credentials of the owner, and the users there.", ha((*Server).getRegistries)},
	{"POST", "/docker/registries", Admin, never, "Refuses: the credentials are in a file of the owner.", ha(elsewhere[map[string]any]("set credentials", "they are in the file that registry.credentials_file names", "write them there"))},
	{"DELETE", "/docker/registries/{host}", Admin, never, "Refuses: the credentials are in a file of the owner.", ha((*Server).deleteRegistry)},
	{"GET", "/hardware/info", Viewer, byDefault, "Nothing: devices are not listed.", ha(fixed(HardwareInfo{Devices: []any{}, Drives: []any{}}))},
	{"GET", "/mounts", Viewer, byManager, "Nothing: network storage is the host's.", ha(fixed(Mounts{Mounts: []any{}}))},
	{"GET", "/cli/info", Viewer, byDefault, "Nothing: there is no such plugin.", ha(fixed(PluginInfo{}))},
	{"GET", "/dns/info", Viewer, byDefault, "Nothing: there is no such plugin.", ha(fixed(DNSInfo{Servers: []string{}, Locals: []string{}}))},
	{"GET", "/audio/info", Viewer, byDefault, "Nothing: there is no such plugin.", ha(fixed(PluginInfo{}))},
	{"GET", "/multicast/info", Viewer, byDefault, "Nothing: there is no such plugin.", ha(fixed(PluginInfo{}))},
	{"GET", "/observer/info", Viewer, byDefault, "Nothing: there is no such plugin.", ha(fixed(PluginInfo{}))},
}

// fixed answers the same always.
func fixed[Out any](v Out) func(*Server, context.Context, Caller, none) (Out, error) {
	return func(*Server, context.Context, Caller, none) (Out, error) { return v, nil }
}

// Host is what is around the daemon.
type Host struct {
	Info    HostInfo
	Device  Device // only what Info does not say
	Network NetworkInfo
	Docker  DockerInfo
}

// Registries is the answer of /docker/registries.
type Registries struct {
	Registries map[string]any `json:"registries"` // host -> username
}

func (s *Server) getRegistries(ctx context.Context, _ Caller, _ none) (Registries, error) {
	h, err := s.cfg.Home.Host(ctx)
	if h.Docker.Registries == nil {
		h.Docker.Registries = map[string]any{}
	}
	return Registries{h.Docker.Registries}, err
}

type registryIn struct {
	Host string `path:"host"`
}

func (s *Server) deleteRegistry(ctx context.Context, c Caller, _ registryIn) (none, error) {
	return elsewhere[none]("remove credentials", "they are in the file that registry.credentials_file names", "remove them there")(s, ctx, c, about[none]{})
}

// OSInfo is the answer of /os/info.
type OSInfo struct {
	Version         *string        `json:"version"`
	VersionLatest   *string        `json:"version_latest"`
	VersionPending  *string        `json:"version_pending"`
	UpdateAvailable bool           `json:"update_available"`
	Board           *string        `json:"board"`
	Boot            *string        `json:"boot"`
	DataDisk        *string        `json:"data_disk"`
	BootSlots       map[string]any `json:"boot_slots"`
}

// HostInfo is the answer of /host/info; sizes are in GiB.
type HostInfo struct {
	AgentVersion    *string    `json:"agent_version"`
	AppArmorVersion *string    `json:"apparmor_version"`
	Chassis         *string    `json:"chassis"`
	Virtualization  *string    `json:"virtualization"`
	CPE             *string    `json:"cpe"`
	Deployment      *string    `json:"deployment"`
	DiskFree        float64    `json:"disk_free"`
	DiskTotal       float64    `json:"disk_total"`
	DiskUsed        float64    `json:"disk_used"`
	DiskLifeTime    *float64   `json:"disk_life_time"`
	Features        []string   `json:"features"`
	Hostname        *string    `json:"hostname"`
	LLMNRHostname   *string    `json:"llmnr_hostname"`
	Kernel          *string    `json:"kernel"`
	OperatingSystem *string    `json:"operating_system"`
	Timezone        *string    `json:"timezone"`
	Now             *time.Time `json:"dt_utc"`
	Synchronized    *bool      `json:"dt_synchronized"`
	UseNTP          *bool      `json:"use_ntp"`
	StartupTime     *float64   `json:"startup_time"`
	BootTimestamp   *int64     `json:"boot_timestamp"`
	BroadcastLLMNR  *bool      `json:"broadcast_llmnr"`
	BroadcastMDNS   *bool      `json:"broadcast_mdns"`
}

// NetworkInfo is the answer of /network/info.
type NetworkInfo struct {
	Interfaces         []NetworkInterface `json:"interfaces"`
	Docker             DockerNetwork      `json:"docker"`
	HostInternet       *bool              `json:"host_internet"`
	SupervisorInternet bool               `json:"supervisor_internet"`
}

// NetworkInterface is one interface of the host.
type NetworkInterface struct {
	Interface string    `json:"interface"`
	Type      string    `json:"type"` // ethernet, wireless
	Enabled   bool      `json:"enabled"`
	Connected bool      `json:"connected"`
	Primary   bool      `json:"primary"`
	MAC       string    `json:"mac"`
	IPv4      NetworkIP `json:"ipv4"`
	IPv6      NetworkIP `json:"ipv6"`
	WiFi      *string   `json:"wifi"`
	VLAN      *string   `json:"vlan"`
}

// NetworkIP is the addresses of an interface. How it got them only the host's network manager knows.
type NetworkIP struct {
	Method      string   `json:"method"`
	Address     []string `json:"address"`
	Gateway     *string  `json:"gateway"`
	Nameservers []string `json:"nameservers"`
	Ready       bool     `json:"ready"`
}

// DockerNetwork is the bridge of the add-ons.
type DockerNetwork struct {
	Interface string `json:"interface"`
	Address   string `json:"address"`
	Gateway   string `json:"gateway"`
	DNS       string `json:"dns"`
}

// DockerInfo is the answer of /docker/info.
type DockerInfo struct {
	Version    string         `json:"version"`
	EnableIPv6 *bool          `json:"enable_ipv6"`
	MTU        *int           `json:"mtu"`
	Storage    string         `json:"storage"`
	Logging    string         `json:"logging"`
	Registries map[string]any `json:"registries"`
}

// HardwareInfo is the answer of /hardware/info.
type HardwareInfo struct {
	Devices []any `json:"devices"`
	Drives  []any `json:"drives"`
}

// Mounts is the answer of /mounts.
type Mounts struct {
	DefaultBackupMount *string `json:"default_backup_mount"`
	Mounts             []any   `json:"mounts"`
}

// PluginInfo is the answer about a plugin that is not there.
type PluginInfo struct {
	Version         *string `json:"version"`
	VersionLatest   *string `json:"version_latest"`
	UpdateAvailable bool    `json:"update_available"`
}

// DNSInfo is the answer of /dns/info.
type DNSInfo struct {
	PluginInfo
	Host     string   `json:"host"`
	Servers  []string `json:"servers"`
	Locals   []string `json:"locals"`
	MDNS     bool     `json:"mdns"`
	LLMNR    bool     `json:"llmnr"`
	Fallback bool     `json:"fallback"`
}
