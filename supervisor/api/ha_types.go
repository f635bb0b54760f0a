package api

// CoreInfo is the answer of /core/info. As in all of Home Assistant's models each key is always there, and what this
// appliance does not know or have is null, false or empty.
type CoreInfo struct {
	Version                *string `json:"version"`
	VersionLatest          *string `json:"version_latest"`
	UpdateAvailable        bool    `json:"update_available"`
	Machine                *string `json:"machine"`
	IPAddress              string  `json:"ip_address"`
	Arch                   *string `json:"arch"`
	Image                  string  `json:"image"`
	Boot                   bool    `json:"boot"`
	Port                   int     `json:"port"`
	SSL                    bool    `json:"ssl"`
	Watchdog               bool    `json:"watchdog"`
	AudioInput             *string `json:"audio_input"`
	AudioOutput            *string `json:"audio_output"`
	BackupsExcludeDatabase bool    `json:"backups_exclude_database"`
	DuplicateLogFile       bool    `json:"duplicate_log_file"`
}

// SupervisorInfo is the answer of /supervisor/info.
type SupervisorInfo struct {
	Version            string                 `json:"version"`
	VersionLatest      *string                `json:"version_latest"`
	UpdateAvailable    bool                   `json:"update_available"`
	Channel            string                 `json:"channel"`
	Arch               *string                `json:"arch"`
	Supported          bool                   `json:"supported"`
	Healthy            bool                   `json:"healthy"`
	IPAddress          string                 `json:"ip_address"`
	Timezone           *string                `json:"timezone"`
	Logging            string                 `json:"logging"`
	Debug              bool                   `json:"debug"`
	DebugBlock         bool                   `json:"debug_block"`
	Diagnostics        *bool                  `json:"diagnostics"`
	AutoUpdate         bool                   `json:"auto_update"`
	Country            *string                `json:"country"`
	DetectBlockingIO   bool                   `json:"detect_blocking_io"`
	FeatureFlags       map[string]bool        `json:"feature_flags"`
	WaitBoot           int                    `json:"wait_boot"`
	Addons             []SupervisorAddon      `json:"addons"`
	AddonsRepositories []SupervisorRepository `json:"addons_repositories"`
}

// SupervisorAddon is an installed add-on in [SupervisorInfo].
type SupervisorAddon struct {
	Name            string `json:"name"`
	Slug            string `json:"slug"`
	Version         string `json:"version"`
	VersionLatest   string `json:"version_latest"`
	UpdateAvailable bool   `json:"update_available"`
	State           string `json:"state"`
	Repository      string `json:"repository"`
	Icon            bool   `json:"icon"`
}

// SupervisorRepository is a repository in [SupervisorInfo].
type SupervisorRepository struct {
	Name string `json:"name"`
	Slug string `json:"slug"`
}

// AvailableUpdates is the answer of /available_updates.
type AvailableUpdates struct {
	Updates []AvailableUpdate `json:"available_updates"`
}

// AvailableUpdate is something with a newer version.
type AvailableUpdate struct {
	Type          string  `json:"update_type"` // core, supervisor, addon
	VersionLatest string  `json:"version_latest"`
	PanelPath     string  `json:"panel_path"`
	Name          *string `json:"name,omitempty"`
	Icon          *string `json:"icon,omitempty"`
}

// HAAddon is one line of the answer of /addons.
type HAAddon struct {
	Name            string  `json:"name"`
	Slug            string  `json:"slug"`
	Description     string  `json:"description"`
	Stage           string  `json:"stage"`
	Version         string  `json:"version"`
	VersionLatest   string  `json:"version_latest"`
	UpdateAvailable bool    `json:"update_available"`
	Available       bool    `json:"available"`
	Detached        bool    `json:"detached"`
	HomeAssistant   *string `json:"homeassistant"`
	State           string  `json:"state"`
	Repository      string  `json:"repository"`
	Build           bool    `json:"build"`
	URL             *string `json:"url"`
	Icon            bool    `json:"icon"`
	Logo            bool    `json:"logo"`
	SystemManaged   bool    `json:"system_managed"`
	Advanced        bool    `json:"advanced"`
}

// HAAddonList is the answer of /addons.
type HAAddonList struct {
	Addons []HAAddon `json:"addons"`
}

// StoreItem is one line of the store.
type StoreItem struct {
	Advanced        bool     `json:"advanced"`
	Arch            []string `json:"arch"`
	Available       bool     `json:"available"`
	Build           bool     `json:"build"`
	Description     string   `json:"description"`
	Documentation   bool     `json:"documentation"`
	HomeAssistant   *string  `json:"homeassistant"`
	Icon            bool     `json:"icon"`
	Installed       bool     `json:"installed"`
	Logo            bool     `json:"logo"`
	Name            string   `json:"name"`
	Repository      string   `json:"repository"`
	Slug            string   `json:"slug"`
	Stage           string   `json:"stage"`
	UpdateAvailable bool     `json:"update_available"`
	URL             *string  `json:"url"`
	VersionLatest   string   `json:"version_latest"`
	Version         *string  `json:"version"` // installed
}

// StoreDetail is the answer of /store/addons/{slug}.
type StoreDetail struct {
	StoreItem
	AppArmor         string  `json:"apparmor"`
	AuthAPI          bool    `json:"auth_api"`
	Detached         bool    `json:"detached"`
	DockerAPI        bool    `json:"docker_api"`
	FullAccess       bool    `json:"full_access"`
	HassioAPI        bool    `json:"hassio_api"`
	HassioRole       string  `json:"hassio_role"`
	HomeAssistantAPI bool    `json:"homeassistant_api"`
	HostNetwork      bool    `json:"host_network"`
	HostPID          bool    `json:"host_pid"`
	Ingress          bool    `json:"ingress"`
	LongDescription  *string `json:"long_description"`
	Rating           int     `json:"rating"`
	Signed           bool    `json:"signed"`
}

// StoreAddons is the answer of /store/addons.
type StoreAddons struct {
	Addons []StoreItem `json:"addons"`
}

// Store is the answer of /store.
type Store struct {
	Addons       []StoreItem    `json:"addons"`
	Repositories []HARepository `json:"repositories"`
}

// HARepository is a repository as Home Assistant shows it.
type HARepository struct {
	Slug       string `json:"slug"`
	Name       string `json:"name"`
	Source     string `json:"source"`
	URL        string `json:"url"`
	Maintainer string `json:"maintainer"`
}

// SecurityInfo is the answer of /security/info.
type SecurityInfo struct {
	ContentTrust  bool `json:"content_trust"`
	Pwned         bool `json:"pwned"`
	ForceSecurity bool `json:"force_security"`
}

// Integrity is the answer of /security/integrity. A word is "pass", "error" (not to be trusted), "failed" (could not be
// checked) or "untested" (nobody vouches for it, and nobody has to).
type Integrity struct {
	Supervisor string            `json:"supervisor"`
	Core       string            `json:"core"`
	Plugins    map[string]string `json:"plugins"`
	Addons     map[string]string `json:"addons"`
}
