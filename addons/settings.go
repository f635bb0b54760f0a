package addons

// Settings are what the owner decided about one installed add-on. The zero value is a fresh installation in protected
// mode.
type Settings struct {
	Options    map[string]any     // only what differs from the manifest's defaults
	Ports      map[string]*uint16 // only what differs from the manifest's, as "80/tcp" -> host port or nil
	Boot       Boot               // "" = the manifest's
	AutoUpdate bool
	Watchdog   bool
	Unprotect  bool // docker_api, full_access and host_pid take effect
	Panel      bool `json:",omitempty"` // its pages have a place in Home Assistant's side bar
}

// Place is the appliance an add-on runs on.
type Place struct {
	Slug     string // full: repository's and add-on's
	Dir      string // absolute; holds data, addon_configs, local, ssl, share, media, backup, homeassistant
	Arch     string // Home Assistant's word: aarch64 amd64
	Machine  string // board name, as "raspberrypi4-64"
	Core     string // installed Home Assistant Core, "" = none or unknown
	TimeZone string // "Europe/Berlin"
	Token    string // the add-on's own for the Supervisor API
	AppArmor bool   // the kernel has AppArmor
	Profile  string // kernel's name of the profile that the repository brings, once it is loaded; "" = the engine's own confines
	Network  string // the bridge that add-ons share, as "hassio"
	API      string // address of the Supervisor API on that bridge, as "172.30.32.2"
	// Exists tells whether a path of the host is there, so that what one host lacks (/run/udev, a device) is left out of a
	// container there; nil means that everything is.
	Exists func(path string) bool
	// Majors are the major numbers of /proc/devices, for devices that the kernel numbers anew at each boot ("hidraw").
	Majors map[string]uint32
	// IngressPort is the port that was picked for an add-on that leaves the choice open.
	IngressPort uint16
}
