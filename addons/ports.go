package addons

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor/spec"
)

// port is a port of a container.
type port struct {
	number   uint16
	protocol string
}

// readPort reads "80/tcp", "53/udp", or "80" for tcp.
func readPort(key string) (port, bool) {
	number, protocol, given := strings.Cut(key, "/")
	if !given {
		protocol = "tcp"
	}
	n, err := strconv.ParseUint(number, 10, 16)
	return port{uint16(n), protocol}, err == nil && n > 0 && (protocol == "tcp" || protocol == "udp")
}

// published are the manifest's ports with the owner's choice, 0 for none; a port that the manifest does not know is
// none of the add-on's.
func (m Manifest) published(s Settings) map[port]uint16 {
	out := map[port]uint16{}
	for key, host := range m.Ports {
		if p, ok := readPort(key); ok {
			out[p] = chosen(host)
		}
	}
	for key, host := range s.Ports {
		p, ok := readPort(key)
		if _, known := out[p]; ok && known {
			out[p] = chosen(host)
		}
	}
	return out
}

func chosen(host *uint16) uint16 {
	if host == nil {
		return 0
	}
	return *host
}

// Published are the ports that the add-on has on the host, ordered by its own; none on the host's network, where
// nothing lies between.
func (m Manifest) Published(s Settings) []spec.Port {
	if m.HostNetwork {
		return nil
	}
	var out []spec.Port
	for p, host := range m.published(s) {
		if host != 0 {
			out = append(out, spec.Port{Host: host, Container: p.number, Protocol: p.protocol})
		}
	}
	slices.SortFunc(out, func(a, b spec.Port) int {
		return cmp.Or(cmp.Compare(a.Container, b.Container), cmp.Compare(a.Protocol, b.Protocol))
	})
	return out
}
