package api

import (
	"strings"

	"github.com/castellan/castellan/addons/services"
)

// Info is the answer of /info, with the keys of Home Assistant's Supervisor. What this appliance does not know or
// have is null, false or empty.
type Info struct {
	Supervisor      string   `json:"supervisor"`
	HomeAssistant   *string  `json:"homeassistant"`
	HassOS          *string  `json:"hassos"`
	Docker          string   `json:"docker"`
	Hostname        *string  `json:"hostname"`
	OperatingSystem *string  `json:"operating_system"`
	Features        []string `json:"features"`
	Machine         *string  `json:"machine"`
	MachineID       *string  `json:"machine_id"`
	Arch            string   `json:"arch"`
	SupportedArch   []string `json:"supported_arch"`
	State           string   `json:"state"` // startup, running, stopping
	Supported       bool     `json:"supported"`
	Channel         string   `json:"channel"`
	Logging         string   `json:"logging"`
	Timezone        string   `json:"timezone"`
}

// ServiceOffers is the answer of /services.
type ServiceOffers struct {
	Services []ServiceOffer `json:"services"`
}

// ServiceOffer is a service and the add-ons that may provide it.
type ServiceOffer struct {
	Slug      string   `json:"slug"`
	Available bool     `json:"available"`
	Providers []string `json:"providers"`
}

// Discovery is the answer of /discovery: messages, and which add-ons may announce what.
type Discovery struct {
	Discovery []services.Message  `json:"discovery"`
	Services  map[string][]string `json:"services"`
}

// Announced is the answer to a discovery message.
type Announced struct {
	UUID string `json:"uuid"`
}

// AddonState is what a manifest does not tell of an installed add-on.
type AddonState struct {
	State           string `json:"state"`   // startup started stopped unknown error
	Version         string `json:"version"` // installed
	VersionLatest   string `json:"version_latest"`
	UpdateAvailable bool   `json:"update_available"`
	Repository      string `json:"repository"` // slug of the repository
	Available       bool   `json:"available"`  // for this appliance
	Detached        bool   `json:"detached"`   // gone from its repository
	Icon            bool   `json:"icon"`
	Logo            bool   `json:"logo"`
	Changelog       bool   `json:"changelog"`
	Documentation   bool   `json:"documentation"`

	LongDescription *string            `json:"long_description"`
	Protected       bool               `json:"protected"`
	Rating          int                `json:"rating"`
	Signed          bool               `json:"signed"`   // its running image is notarized
	AppArmor        string             `json:"apparmor"` // disable default profile
	Boot            string             `json:"boot"`     // auto manual
	Options         map[string]any     `json:"options"`  // effective
	Schema          any                `json:"schema"`   // form of the options, nil = any options
	Network         map[string]*uint16 `json:"network"`  // effective; nil = no ports
	Translations    map[string]any     `json:"translations"`
	WebUI           *string            `json:"webui"`
	IngressEntry    *string            `json:"ingress_entry"` // "/api/hassio_ingress/<its ingress token>", nil = no ingress
	IngressURL      *string            `json:"ingress_url"`   // the entry, "/", and what the manifest calls its entry
	IngressPort     *uint16            `json:"ingress_port"`
	IngressPanel    *bool              `json:"ingress_panel"`
	AutoUpdate      bool               `json:"auto_update"`
	Watchdog        bool               `json:"watchdog"`
	IPAddress       string             `json:"ip_address"` // "" while it does not run
}

// SelfInfo is the answer of /addons/self/info, with the keys of Home Assistant's Supervisor.
type SelfInfo struct {
	AddonState
	Version             *string           `json:"version"` // in place of the state's; null = not installed
	Name                string            `json:"name"`
	Slug                string            `json:"slug"`
	Hostname            string            `json:"hostname"`
	DNS                 []string          `json:"dns"`
	Description         string            `json:"description"`
	Stage               string            `json:"stage"`
	Advanced            bool              `json:"advanced"`
	Build               bool              `json:"build"`
	URL                 *string           `json:"url"`
	HomeAssistant       *string           `json:"homeassistant"`
	SystemManaged       bool              `json:"system_managed"`
	SystemManagedConfig *string           `json:"system_managed_config_entry"`
	BootConfig          string            `json:"boot_config"`
	Startup             string            `json:"startup"`
	Arch                []string          `json:"arch"`
	Machine             []string          `json:"machine"`
	NetworkDescription  map[string]string `json:"network_description"`
	HostNetwork         bool              `json:"host_network"`
	HostPID             bool              `json:"host_pid"`
	HostIPC             bool              `json:"host_ipc"`
	HostUTS             bool              `json:"host_uts"`
	HostDBus            bool              `json:"host_dbus"`
	Privileged          []string          `json:"privileged"`
	FullAccess          bool              `json:"full_access"`
	Stdin               bool              `json:"stdin"`
	HassioAPI           bool              `json:"hassio_api"`
	HassioRole          string            `json:"hassio_role"`
	AuthAPI             bool              `json:"auth_api"`
	HomeAssistantAPI    bool              `json:"homeassistant_api"`
	GPIO                bool              `json:"gpio"`
	USB                 bool              `json:"usb"`
	UART                bool              `json:"uart"`
	KernelModules       bool              `json:"kernel_modules"`
	DeviceTree          bool              `json:"devicetree"`
	Udev                bool              `json:"udev"`
	DockerAPI           bool              `json:"docker_api"`
	Video               bool              `json:"video"`
	Audio               bool              `json:"audio"`
	AudioInput          *string           `json:"audio_input"`
	AudioOutput         *string           `json:"audio_output"`
	Services            []string          `json:"services"`
	Discovery           []string          `json:"discovery"`
	Devices             []string          `json:"devices"`
	Ingress             bool              `json:"ingress"`
}

// addonInfo joins what the manifest says with what is known besides.
func addonInfo(c AddonCaller, st AddonState) SelfInfo {
	m, host := c.Manifest, strings.ReplaceAll(c.Slug, "_", "-")
	if st.Options == nil {
		st.Options = map[string]any{}
	}
	if st.IPAddress == "" {
		st.IPAddress = "0.0.0.0" // strict clients want an address
	}
	if st.Translations == nil {
		st.Translations = map[string]any{}
	}
	out := SelfInfo{AddonState: st, Version: text(st.Version), Name: m.Name, Slug: c.Slug, Hostname: host, DNS: []string{host + ".local.hass.io"},
		Description: m.Description, Stage: m.Stage, Advanced: m.Advanced, Build: m.Image == "", URL: text(m.URL),
		HomeAssistant: text(m.Core), BootConfig: string(m.Boot), Startup: string(m.Startup), Arch: list(m.Arch),
		Machine: list(m.Machine), NetworkDescription: m.PortDescriptions, HostNetwork: m.HostNetwork, HostPID: m.HostPID,
		HostIPC: m.HostIPC, HostUTS: m.HostUTS, HostDBus: m.HostDBus, Privileged: list(m.Privileged),
		FullAccess: m.FullAccess, Stdin: m.Stdin, HassioAPI: m.HassioAPI, HassioRole: m.HassioRole, AuthAPI: m.AuthAPI,
		HomeAssistantAPI: m.CoreAPI, GPIO: m.GPIO, USB: m.USB, UART: m.UART, KernelModules: m.KernelModules,
		DeviceTree: m.DeviceTree, Udev: m.Udev, DockerAPI: m.DockerAPI, Video: m.Video, Audio: m.Audio,
		Services: []string{}, Discovery: list(m.Discovery), Devices: list(m.Devices), Ingress: m.Ingress}
	for _, s := range m.Services {
		out.Services = append(out.Services, s.Service+":"+s.Use)
	}
	return out
}

// text is nil for what was not said.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// list is never null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
