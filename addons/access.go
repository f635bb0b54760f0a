package addons

import "strings"

// Access is how much a set of rights opens, in one word: low is hardly more than the add-on's own data, high is the
// appliance or the whole house, medium is what lies between. Home Assistant's rating does not serve for that: it looks at no
// folder and at no device.
type Access string

// Words of [Access].
const (
	AccessLow    Access = "low"
	AccessMedium Access = "medium"
	AccessHigh   Access = "high"
)

// mild are the rights by which nothing of the house is reached, mighty those by which nearly everything is.
var (
	mild = map[string]bool{"udev": true, "devicetree": true, "realtime": true, "hassio_api:default": true, "cap:SYS_NICE": true, "cap:IPC_LOCK": true,
		"cap:SYS_RESOURCE": true}
	mighty = map[string]bool{"docker_api": true, "full_access": true, "kernel_modules": true, "host_pid": true, "hassio_api:admin": true, "hassio_api:manager": true,
		"cap:SYS_ADMIN": true, "cap:SYS_MODULE": true, "cap:SYS_RAWIO": true, "cap:SYS_PTRACE": true, "cap:DAC_READ_SEARCH": true, "cap:BPF": true,
		"map:homeassistant_config:rw": true, "map:all_app_configs:rw": true, "map:local_apps:rw": true}
)

// Access sums rights up.
func (r Rights) Access() Access {
	out := AccessLow
	for _, code := range r {
		switch {
		case mighty[code]:
			return AccessHigh
		case !mild[code] && !strings.HasPrefix(code, "service:"):
			out = AccessMedium
		}
	}
	return out
}
