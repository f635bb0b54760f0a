package engine

import (
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/vishvananda/netlink"
)

// address is where a container can be reached on a bridge.
type address struct {
	ip  net.IP
	mac net.HardwareAddr // nil when the engine did not say
}

// addresses are a container's addresses, by the names of its networks.
func addresses(r container.InspectResponse) []address {
	if r.NetworkSettings == nil {
		return nil
	}
	var out []address
	for _, name := range slices.Sorted(maps.Keys(r.NetworkSettings.Networks)) {
		n := r.NetworkSettings.Networks[name]
		if n == nil {
			continue
		}
		mac, _ := net.ParseMAC(n.MacAddress) // nil is what the field says then
		for _, text := range []string{n.IPAddress, n.GlobalIPv6Address} {
			if ip := net.ParseIP(text); ip != nil {
				out = append(out, address{ip, mac})
			}
		}
	}
	return out
}

// tellNeighbours enters a container that just started into this host's neighbour table.
//
// Engines before 29 publish a port before the container's interface is up. The first packet to it then asks for the
// address in vain, and the kernel repeats the question only a second later (net.ipv4.neigh.*.retrans_time_ms): every
// restart on a bridge network costs a second of outage. Writing the answer down ends the wait. The entry is
// "reachable", so the kernel checks and drops it like any that it learnt itself.
//
// It only makes things faster, so it fails in silence: without CAP_NET_ADMIN, or with the engine on another host.
func (e *Engine) tellNeighbours(r container.InspectResponse) {
	if !strings.HasPrefix(e.cfg.Host, "unix://") {
		return
	}
	for _, a := range addresses(r) {
		if a.mac == nil {
			continue
		}
		if err := tellNeighbour(a); err != nil {
			e.cfg.Log.Debug("neighbour table not written, the first connection may take a second",
				"container", nameOf([]string{r.Name}), "address", a.ip.String(), "error", err)
		}
	}
}

func tellNeighbour(a address) error {
	routes, err := netlink.RouteGet(a.ip)
	if err != nil || len(routes) == 0 {
		return err
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return err
	}
	if link.Type() != "bridge" || routes[0].Gw != nil {
		return nil // macvlan, ipvlan, or the engine's network is not of this host
	}
	return netlink.NeighSet(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, IP: a.ip, HardwareAddr: a.mac, State: netlink.NUD_REACHABLE,
	})
}
