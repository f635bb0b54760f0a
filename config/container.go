package config

import "time"

// Container says how a service's container is made. Castellan adds image, name and its own labels.
type Container struct {
	// Entrypoint and Command replace the image's own.
	Entrypoint []string `yaml:"entrypoint"`
	Command    []string `yaml:"command"`

	// Env is the environment. Not for secrets: mount a file instead.
	Env map[string]string `yaml:"env"`

	// Network is "bridge" (default), "host", "none" or the name of a network, which is made when missing.
	Network string `yaml:"network"`

	// Ports are published on the host. Not with network host or none. No two services may publish the same.
	Ports []Port `yaml:"ports"`

	// Mounts bring host folders or named volumes into the container.
	Mounts []Mount `yaml:"mounts"`

	// Devices are host paths under /dev, the same inside.
	Devices []string `yaml:"devices"`

	// CapAdd are Linux capabilities, as "NET_ADMIN". Privileged is all of them, and the devices: it is the host.
	CapAdd     []string `yaml:"cap_add"`
	Privileged bool     `yaml:"privileged"`

	// Hostname inside. Default: the engine's choice.
	Hostname string `yaml:"hostname"`

	// Labels for others; names under io.castellan. are refused.
	Labels map[string]string `yaml:"labels"`

	// StopSignal, as "SIGTERM", and StopTimeout before SIGKILL, at most 10m. Defaults: the image's, and 10s.
	StopSignal  string        `yaml:"stop_signal"`
	StopTimeout time.Duration `yaml:"stop_timeout"`

	// Memory is a limit in bytes, at least 6 MiB. Default 0: no limit.
	Memory int64 `yaml:"memory"`

	// ReadOnly makes the root file system read-only. Init gives the container the engine's init as PID 1.
	ReadOnly bool `yaml:"read_only"`
	Init     bool `yaml:"init"`
}

// Port publishes a container port on the host.
type Port struct {
	Host      uint16 `yaml:"host"`      // 1 to 65535
	HostIP    string `yaml:"host_ip"`   // default: all addresses
	Container uint16 `yaml:"container"` // 1 to 65535
	Protocol  string `yaml:"protocol"`  // "tcp" (default) or "udp"
}

// Mount binds a host folder (absolute source) or a named volume into the container at Target.
type Mount struct {
	Source   string `yaml:"source"`
	Target   string `yaml:"target"`
	ReadOnly bool   `yaml:"read_only"`
}

// Health is what a new version must show before it counts; otherwise the old one comes back.
type Health struct {
	// Checks must all pass. Without any, the container must only keep running for Settle.
	Checks []Check `yaml:"checks"`

	// Deadline for all checks after the start, at most 1h. Default 2m.
	Deadline time.Duration `yaml:"deadline"`

	// Settle is how long it must run without a restart when it has no checks. Default 10s.
	Settle time.Duration `yaml:"settle"`
}

// Check is one health check; exactly one of HTTP, TCP, Exec and Engine says which.
type Check struct {
	// Name appears in messages; used once per service.
	Name string `yaml:"name"`

	HTTP   *HTTPCheck `yaml:"http"`
	TCP    *TCPCheck  `yaml:"tcp"`
	Exec   *ExecCheck `yaml:"exec"`
	Engine bool       `yaml:"engine"` // the image's own HEALTHCHECK

	// Period between two tries, default 1s; Timeout of one, default 3s; Successes in a row that count, default 3.
	Period    time.Duration `yaml:"period"`
	Timeout   time.Duration `yaml:"timeout"`
	Successes int           `yaml:"successes"`
}

// HTTPCheck wants a 2xx answer that contains Contains. A URL without host means the container: "http://:8123/".
type HTTPCheck struct {
	URL      string            `yaml:"url"`
	Headers  map[string]string `yaml:"headers"`
	Contains string            `yaml:"contains"`
}

// TCPCheck wants a connection; an address without host means the container: ":1883".
type TCPCheck struct {
	Address string `yaml:"address"`
}

// ExecCheck wants exit code 0 of a command inside the container.
type ExecCheck struct {
	Command []string `yaml:"command"`
}
