package addons

// Manifest is a config.yaml as Home Assistant understands it, with defaults filled in and old names migrated. It is
// plain data: the methods that read, print and judge it are pure. To keep one, keep the bytes of its file: JSON of it
// would lose which numbers are whole.
type Manifest struct {
	Name        string
	Version     string // the text as written, never a number: 1.10 stays "1.10"
	Slug        string // without the repository's
	Description string
	Arch        []string // aarch64 amd64 armhf armv7 i386
	Machine     []string // empty = all; "!x" excludes x
	URL         string
	Startup     Startup
	Boot        Boot
	Init        bool
	Stage       string // stable experimental deprecated
	Advanced    bool
	Core        string // `homeassistant`: the oldest Home Assistant Core it works with, "" = any
	Image       string // repository without tag; may hold {arch}; "" = built on the appliance

	Ports            map[string]*uint16 // "80/tcp" -> host port; nil = not published
	PortDescriptions map[string]string

	HostNetwork, HostPID, HostIPC, HostUTS, HostDBus bool

	Devices                                                                            []string
	Udev, USB, UART, GPIO, Video, Audio, DeviceTree, KernelModules, Realtime, Journald bool

	Tmpfs       bool
	Map         []MapEntry
	Environment map[string]string
	Privileged  []string // capabilities, as "NET_ADMIN"
	AppArmor    bool

	FullAccess, DockerAPI, HassioAPI, CoreAPI, AuthAPI, Stdin, Legacy bool

	HassioRole string // default homeassistant backup manager admin

	Services  []ServiceUse
	Discovery []string

	Ingress, IngressStream bool
	IngressPort            uint16 // 0 = any of 62000 to 65500
	IngressEntry           string
	PanelIcon, PanelTitle  string
	PanelAdmin             bool

	WebUI, Watchdog string // "http://[HOST]:[PORT:80]/"; Watchdog may be tcp:// too, or a bare port

	Backup                string // hot cold
	BackupPre, BackupPost string
	BackupExclude         []string

	Options map[string]any // defaults; a nil value must be filled in by the owner
	Schema  Schema

	Timeout  int // seconds between the stop signal and SIGKILL, 10 to 300
	Ulimits  map[string]Ulimit
	Breaking []string // versions that no automatic update crosses

	// Publisher is a claim (`castellan: {publisher: p-…}`): checked at the first installation, then pinned.
	Publisher string
	// Codenotary is the e-mail of a signer from the years of Codenotary CAS: a label without any weight.
	Codenotary string

	blank []string // optional keys that were written without a value, which Home Assistant tells from absent ones
}

// Startup says when an add-on starts after a boot.
type Startup string

// Start-up stages, in their order. Once never starts at boot.
const (
	StartInitialize  Startup = "initialize"
	StartSystem      Startup = "system"
	StartServices    Startup = "services"
	StartApplication Startup = "application"
	StartOnce        Startup = "once"
)

// Boot says whether an add-on starts with the appliance.
type Boot string

// Boot modes. ManualOnly cannot be changed by the owner.
const (
	BootAuto       Boot = "auto"
	BootManual     Boot = "manual"
	BootManualOnly Boot = "manual_only"
)

// MapEntry is a folder of the appliance that the add-on sees.
type MapEntry struct {
	Type     string // data config ssl local_apps backup share media homeassistant_config all_app_configs app_config addons all_addon_configs addon_config
	ReadOnly bool
	Path     string // where inside, "" = the usual place
}

// ServiceUse is what an add-on has to do with a service that add-ons offer each other.
type ServiceUse struct {
	Service string // mqtt mysql
	Use     string // provide want need
}

// Ulimit is a resource limit.
type Ulimit struct {
	Soft, Hard int64

	single bool // written as one number
}
