package engine

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/castellan/castellan/supervisor"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

// bridgeName is the option that names the Linux interface of a bridge network.
const bridgeName = "com.docker.network.bridge.name"

// NetworkSpec is the network that add-ons share. Add-ons are written for Home Assistant's addresses: 172.30.32.0/23,
// with the Supervisor API at 172.30.32.2.
type NetworkSpec struct {
	Name    string       // "hassio", also the name of its bridge; "" = this appliance has none
	Subnet  netip.Prefix // 172.30.32.0/23
	Gateway netip.Addr   // of the bridge, 172.30.32.1
	Range   netip.Prefix // what containers get, 172.30.33.0/24: the other addresses stay free for the appliance
	API     netip.Addr   // where the Supervisor API listens, 172.30.32.2; on the bridge, but no address of this host
}

// check is about the configuration, before any engine is asked.
func (n NetworkSpec) check() error {
	switch {
	case n.Name == "":
		return nil
	case !validName.MatchString(n.Name) || len(n.Name) > 15:
		return fmt.Errorf("network name %q: want at most 15 letters, because its bridge is called the same", n.Name)
	case !n.Subnet.IsValid() || n.Subnet != n.Subnet.Masked() || !n.Subnet.Addr().Is4():
		return fmt.Errorf("subnet %s: want an IPv4 network, as 172.30.32.0/23", n.Subnet)
	case !n.Subnet.Contains(n.Gateway) || !n.Subnet.Contains(n.API) || n.Gateway == n.API:
		return fmt.Errorf("gateway %s and API address %s: want two addresses of %s", n.Gateway, n.API, n.Subnet)
	case !n.Range.IsValid() || !n.Subnet.Contains(n.Range.Addr()) || n.Range.Bits() < n.Subnet.Bits():
		return fmt.Errorf("range %s: want a part of %s", n.Range, n.Subnet)
	case n.Range.Contains(n.API):
		return fmt.Errorf("API address %s lies in %s: a container could get it", n.API, n.Range)
	}
	return nil
}

// ensureBridge makes the add-ons' network, unless it is there, and names its bridge.
func (e *Engine) ensureBridge(ctx context.Context, cli *client.Client) (string, error) {
	name := e.cfg.Network.Name
	if err := e.ensureNetwork(ctx, cli, name); err != nil {
		return "", err
	}
	r, err := cli.NetworkInspect(ctx, name, network.InspectOptions{})
	if err != nil {
		return "", err
	}
	if bridge := r.Options[bridgeName]; bridge != "" {
		return bridge, nil
	}
	return "br-" + short(r.ID), nil // the engine's own choice, in a network that somebody else made
}

// ensureNetwork makes a bridge network that is missing. The engine gives the bridge an explicit MAC address; without
// one it would change with its ports and cut containers off from their gateway.
func (e *Engine) ensureNetwork(ctx context.Context, cli *client.Client, name string) error {
	e.networks.Lock()
	defer e.networks.Unlock()
	r, err := cli.NetworkInspect(ctx, name, network.InspectOptions{})
	ours := name == e.cfg.Network.Name
	if err == nil && ours {
		return e.cfg.Network.matches(r)
	}
	if !cerrdefs.IsNotFound(err) {
		return err
	}
	o := network.CreateOptions{Driver: "bridge", Labels: map[string]string{supervisor.LabelHouse: e.cfg.House}}
	if ours {
		n := e.cfg.Network
		o.Options = map[string]string{bridgeName: n.Name}
		o.IPAM = &network.IPAM{Config: []network.IPAMConfig{{
			Subnet: n.Subnet.String(), Gateway: n.Gateway.String(), IPRange: n.Range.String(),
			AuxAddress: map[string]string{"supervisor": n.API.String()}, // not even to a container that asks for it
		}}}
	}
	_, err = cli.NetworkCreate(ctx, name, o)
	switch {
	case cerrdefs.IsConflict(err):
		return nil // made by somebody else meanwhile
	case err != nil && ours:
		return e.explainClash(ctx, cli, err)
	}
	return err
}

// matches compares a network that is there with what is wanted. Home Assistant's own, left from before, does match.
func (n NetworkSpec) matches(r network.Inspect) error {
	var have []string
	for _, c := range r.IPAM.Config {
		if c.Subnet == n.Subnet.String() && c.Gateway == n.Gateway.String() && c.IPRange == n.Range.String() && r.Driver == "bridge" {
			return nil
		}
		have = append(have, fmt.Sprintf("subnet %s, gateway %s, range %s", c.Subnet, or(c.Gateway, "unset"), or(c.IPRange, "unset")))
	}
	return fmt.Errorf("there is a network %s already, driver %s, with %s; wanted are bridge, subnet %s, gateway %s, range %s: "+
		"stop what uses it and remove it (docker network rm %s), it is made anew then",
		n.Name, r.Driver, strings.Join(have, " and "), n.Subnet, n.Gateway, n.Range, n.Name)
}

// explainClash names the network that lies on the same addresses.
func (e *Engine) explainClash(ctx context.Context, cli *client.Client, clash error) error {
	all, err := cli.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return clash
	}
	for _, r := range all {
		for _, c := range r.IPAM.Config {
			if p, err := netip.ParsePrefix(c.Subnet); err == nil && p.Overlaps(e.cfg.Network.Subnet) {
				return fmt.Errorf("its subnet %s overlaps with %s of network %s: remove that network (docker network rm %s) "+
					"or give this appliance another subnet: %w", e.cfg.Network.Subnet, p, r.Name, r.Name, clash)
			}
		}
	}
	return clash
}
