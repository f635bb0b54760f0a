// Package spec is the container specification that add-ons write, the supervisor decides on and the engine carries
// out. It is plain data without behaviour of its own, so that the three agree on one vocabulary; the names follow
// Docker's and Home Assistant's.
package spec

import "time"

// Container says how a service's container is made, whatever image it runs. The image, the name and Castellan's own
// labels are added by the supervisor at creation.
type Container struct {
	Entrypoint  []string          `json:"entrypoint,omitempty" yaml:"entrypoint"`
	Command     []string          `json:"command,omitempty" yaml:"command"`
	Env         map[string]string `json:"env,omitempty" yaml:"env"`
	Network     string            `json:"network,omitempty" yaml:"network"` // "bridge" (default), "host", "none" or a network's name
	Ports       []Port            `json:"ports,omitempty" yaml:"ports"`
	Mounts      []Mount           `json:"mounts,omitempty" yaml:"mounts"`
	Devices     []string          `json:"devices,omitempty" yaml:"devices"` // host paths, the same inside
	CapAdd      []string          `json:"capAdd,omitempty" yaml:"cap_add"`
	Privileged  bool              `json:"privileged,omitempty" yaml:"privileged"`
	Hostname    string            `json:"hostname,omitempty" yaml:"hostname"`
	Labels      map[string]string `json:"labels,omitempty" yaml:"labels"` // io.castellan.* is refused
	StopSignal  string            `json:"stopSignal,omitempty" yaml:"stop_signal"`
	StopTimeout time.Duration     `json:"stopTimeout,omitempty" yaml:"stop_timeout"` // before SIGKILL, 0 = 10 s
	Memory      int64             `json:"memory,omitempty" yaml:"memory"`            // bytes, 0 = no limit
	ReadOnly    bool              `json:"readOnly,omitempty" yaml:"read_only"`       // root file system
	Init        bool              `json:"init,omitempty" yaml:"init"`                // the engine's init as PID 1

	// What follows is for add-ons and Home Assistant Core; the configuration file does not offer all of it.
	Domain      string            `json:"domain,omitempty" yaml:"domain"`
	Aliases     []string          `json:"aliases,omitempty" yaml:"aliases"`        // further names on a named network
	ExtraHosts  map[string]string `json:"extraHosts,omitempty" yaml:"extra_hosts"` // name -> address
	Tmpfs       []string          `json:"tmpfs,omitempty" yaml:"tmpfs"`            // targets
	PIDMode     string            `json:"pidMode,omitempty" yaml:"pid_mode"`       // "" or "host", as the next two
	IPCMode     string            `json:"ipcMode,omitempty" yaml:"ipc_mode"`
	UTSMode     string            `json:"utsMode,omitempty" yaml:"uts_mode"`
	DeviceRules []string          `json:"deviceRules,omitempty" yaml:"device_rules"` // control group rules, as "c 189:* rwm"
	Ulimits     []Ulimit          `json:"ulimits,omitempty" yaml:"ulimits"`
	OOMScoreAdj int               `json:"oomScoreAdj,omitempty" yaml:"oom_score_adj"` // -1000 to 1000, 0 = the engine's
	OpenStdin   bool              `json:"openStdin,omitempty" yaml:"open_stdin"`
	Seccomp     string            `json:"seccomp,omitempty" yaml:"seccomp"`   // "" = the engine's profile, or "unconfined"
	AppArmor    string            `json:"appArmor,omitempty" yaml:"apparmor"` // "" = the engine's profile, "unconfined", or the name of a loaded one
}

// Ulimit is a resource limit, as "nofile".
type Ulimit struct {
	Name string `json:"name" yaml:"name"`
	Soft int64  `json:"soft" yaml:"soft"`
	Hard int64  `json:"hard" yaml:"hard"`
}

// File is written on the host, durably, each time before its service starts.
type File struct {
	Path    string `json:"path"` // absolute, in a folder that is there
	Content []byte `json:"content"`
	Mode    uint32 `json:"mode"` // permission bits
}

// Port publishes a container port on the host.
type Port struct {
	Host      uint16 `json:"host" yaml:"host"`
	HostIP    string `json:"hostIP,omitempty" yaml:"host_ip"`
	Container uint16 `json:"container" yaml:"container"`
	Protocol  string `json:"protocol,omitempty" yaml:"protocol"` // "tcp" (default) or "udp"
}

// Mount binds a host folder, or a named volume when Source is not an absolute path, into the container.
type Mount struct {
	Source   string `json:"source" yaml:"source"`
	Target   string `json:"target" yaml:"target"`
	ReadOnly bool   `json:"readOnly,omitempty" yaml:"read_only"`

	Plain bool `json:"plain,omitempty" yaml:"plain"` // others may write beside Source: nothing starts while it is no folder but a link

	Propagation  string `json:"propagation,omitempty" yaml:"propagation"`    // "" = private, or "rslave": what is mounted later is seen
	NonRecursive bool   `json:"nonRecursive,omitempty" yaml:"non_recursive"` // read-only ends at what is mounted below Source, as at /dev/pts below /dev
}

// Check is a health check of a service (supervisor/health runs it).
type Check struct {
	Name      string        `json:"name" yaml:"name"`
	HTTP      *HTTPCheck    `json:"http,omitempty" yaml:"http"`
	TCP       *TCPCheck     `json:"tcp,omitempty" yaml:"tcp"`
	Exec      *ExecCheck    `json:"exec,omitempty" yaml:"exec"`           // inside the container
	Engine    bool          `json:"engine,omitempty" yaml:"engine"`       // the image's own HEALTHCHECK, as the engine reports it
	Core      *CoreCheck    `json:"core,omitempty" yaml:"core"`           // Home Assistant Core's own health gate
	Period    time.Duration `json:"period,omitempty" yaml:"period"`       // 0 = 1 s
	Timeout   time.Duration `json:"timeout,omitempty" yaml:"timeout"`     // of one try, 0 = 3 s
	Successes int           `json:"successes,omitempty" yaml:"successes"` // in a row before it passes, 0 = 3
}

// HTTPCheck wants a 2xx answer, of at most 1 MiB, that contains Contains. A URL without a host means the
// container's own address ("http://:8123/").
type HTTPCheck struct {
	URL      string            `json:"url" yaml:"url"`
	Headers  map[string]string `json:"headers,omitempty" yaml:"headers"`
	Contains string            `json:"contains,omitempty" yaml:"contains"`
}

// TCPCheck wants a connection. An address without a host means the container's own (":1883").
type TCPCheck struct {
	Address string `json:"address" yaml:"address"`
}

// ExecCheck wants exit code 0 from a command run inside the container.
type ExecCheck struct {
	Command []string `json:"command" yaml:"command"`
}

// CoreCheck wants of Home Assistant Core what its Supervisor wants: /api/core/state says RUNNING, /api/config lists http,
// frontend and websocket_api, / is a page, and the websocket says hello.
type CoreCheck struct {
	Port      uint16        `json:"port,omitempty" yaml:"port"`            // 0 = 8123
	SSL       bool          `json:"ssl,omitempty" yaml:"ssl"`              // its certificate is not checked
	TokenFile string        `json:"tokenFile,omitempty" yaml:"token_file"` // long-lived access token; "" = only what needs none is checked
	RunWithin time.Duration `json:"runWithin,omitempty" yaml:"run_within"` // of one that answers, from the start on; 0 = 15 m
}

// Health is a service's health gate.
type Health struct {
	Checks   []Check       `json:"checks,omitempty" yaml:"checks"`
	Deadline time.Duration `json:"deadline,omitempty" yaml:"deadline"` // for all checks after start, 0 = 2 m
	Settle   time.Duration `json:"settle,omitempty" yaml:"settle"`     // without checks: must run this long without a restart, 0 = 10 s
	Ends     bool          `json:"ends,omitempty" yaml:"ends"`         // it does one thing and ends: exit code 0 is well, too
}
