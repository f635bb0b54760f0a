package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"

	"github.com/docker/docker/client"
	"github.com/vishvananda/netlink"
)

// innerName is the API's interface in its namespace, where it is alone with lo.
const innerName = "eth0"

// apiHost is where the Supervisor API listens: a network namespace of its own, on the add-ons' bridge as a container
// is. Were its address one of the host, an add-on that publishes port 80 could not start beside it; and without
// docker-proxy the engine's rules would send what is meant for the API, tokens included, to that add-on.
type apiHost struct {
	mu sync.Mutex
	ns *namespace // nil until it is needed; from then on the same until close, because listeners live in it
}

// EnsureNetwork makes the add-ons' network, unless it is there, puts the API's address onto its bridge and returns
// that: from then on [Engine.ListenAPI] can listen on it. Call it at start and every now and then, because an engine
// that makes the bridge anew leaves the address off it. Listeners outlive that.
func (e *Engine) EnsureNetwork(ctx context.Context) (netip.Addr, error) {
	n := e.cfg.Network
	what := "prepare network " + n.Name
	if n.Name == "" {
		return netip.Addr{}, errors.New("cannot prepare the add-ons' network: none is configured")
	}
	if !strings.HasPrefix(e.cfg.Host, "unix://") {
		return netip.Addr{}, fmt.Errorf("cannot %s: the engine on %s is of another host, and the API address %s must be on this one", what, e.cfg.Host, n.API)
	}
	var bridge string
	err := e.call(ctx, e.work, what, func(ctx context.Context, cli *client.Client) (err error) {
		bridge, err = e.ensureBridge(ctx, cli)
		return err
	})
	if err != nil {
		return netip.Addr{}, err
	}
	err = e.api.join(bridge, outerName(e.cfg.House), n)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: it needs CAP_NET_ADMIN and CAP_SYS_ADMIN, and from systemd RestrictNamespaces=net: "+
			"give the daemon what its unit castellan.service lists and restart it", err)
	}
	if err != nil {
		return netip.Addr{}, fmt.Errorf("cannot %s: %w", what, err)
	}
	return n.API, nil
}

// ListenAPI listens on a TCP port of the API's address, which is no address of this host. [Engine.EnsureNetwork] must
// have succeeded before. Add-ons connect from their own addresses, the host and what shares its network from the
// bridge's, [NetworkSpec].Gateway.
func (e *Engine) ListenAPI(port uint16) (net.Listener, error) {
	e.api.mu.Lock()
	defer e.api.mu.Unlock()
	at := netip.AddrPortFrom(e.cfg.Network.API, port)
	if e.api.ns == nil {
		return nil, fmt.Errorf("cannot listen on %s: network %q is not prepared", at, e.cfg.Network.Name)
	}
	var l net.Listener
	err := e.api.ns.do(func() (err error) {
		l, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at)) // an address, so nothing is looked up elsewhere
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s in network %s: %w", at, e.cfg.Network.Name, err)
	}
	return l, nil
}

// outerName is the host's end of the pair. Several appliances may share a host, and 15 letters is all Linux takes.
func outerName(house string) string {
	sum := sha256.Sum256([]byte(house))
	return fmt.Sprintf("cas%x", sum[:6])
}

// innerMAC follows from the address, as Docker's do: neighbours that know it need not learn a new one when the daemon
// starts again.
func innerMAC(addr netip.Addr) net.HardwareAddr {
	ip := addr.As4()
	return append(net.HardwareAddr{0x02, 0x42}, ip[:]...)
}

// join makes and repairs what stands between the bridge and a listener. Each step may have been done before.
func (a *apiHost) join(bridge, outer string, n NetworkSpec) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ns == nil {
		ns, err := newNamespace()
		if err != nil {
			return fmt.Errorf("cannot make a network namespace: %w", err)
		}
		a.ns = &ns
	}
	br, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("cannot find bridge %s: %w", bridge, err)
	}
	out, err := a.pair(outer, br.Attrs().MTU, innerMAC(n.API))
	if err != nil {
		return err
	}
	if out.Attrs().MasterIndex != br.Attrs().Index {
		if err := netlink.LinkSetMaster(out, br); err != nil {
			return fmt.Errorf("cannot put interface %s onto bridge %s: %w", outer, bridge, err)
		}
	}
	if err := netlink.LinkSetUp(out); err != nil {
		return fmt.Errorf("cannot set interface %s up: %w", outer, err)
	}
	if err := a.ns.do(func() error { return settle(n) }); err != nil {
		return fmt.Errorf("cannot give the API the address %s: %w", n.API, err)
	}
	return nil
}

// pair returns the host's end of the pair of interfaces whose other end is in the namespace. A lone end of that name
// is what a daemon that was killed has left, and the kernel is about to remove.
func (a *apiHost) pair(outer string, mtu int, mac net.HardwareAddr) (netlink.Link, error) {
	out, err := linkNamed(outer)
	if err != nil {
		return nil, err
	}
	if out != nil && out.Type() != "veth" {
		return nil, fmt.Errorf("there is an interface %s of type %s, which is not ours: remove it (ip link delete %s)", outer, out.Type(), outer)
	}
	whole := false
	err = a.ns.do(func() error {
		in, err := linkNamed(innerName)
		if in == nil || err != nil {
			return err
		}
		if whole = out != nil && in.Attrs().ParentIndex == out.Attrs().Index; whole {
			return nil
		}
		return remove(in)
	})
	if err != nil || whole {
		return out, err
	}
	if out != nil {
		if err := remove(out); err != nil {
			return nil, err
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = outer, mtu
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerMTU, veth.PeerHardwareAddr = innerName, uint32(mtu), mac
	veth.PeerNamespace = netlink.NsFd(int(a.ns.handle))
	if err := netlink.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("cannot make interface %s: %w", outer, err)
	}
	return netlink.LinkByName(outer)
}

// settle sets up the inner end, in the namespace. Answers leave by the bridge's address, wherever they go.
func settle(n NetworkSpec) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	in, err := netlink.LinkByName(innerName)
	if err != nil {
		return err
	}
	ip := &net.IPNet{IP: n.API.AsSlice(), Mask: net.CIDRMask(n.Subnet.Bits(), n.API.BitLen())}
	if err := netlink.AddrReplace(in, &netlink.Addr{IPNet: ip}); err != nil {
		return err
	}
	for _, l := range []netlink.Link{lo, in} {
		if err := netlink.LinkSetUp(l); err != nil {
			return err
		}
	}
	return netlink.RouteReplace(&netlink.Route{LinkIndex: in.Attrs().Index, Gw: n.Gateway.AsSlice()})
}

// linkNamed is LinkByName with nil for an interface that is not there.
func linkNamed(name string) (netlink.Link, error) {
	l, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look for interface %s: %w", name, err)
	}
	return l, nil
}

func remove(l netlink.Link) error {
	if err := netlink.LinkDel(l); err != nil && !errors.Is(err, syscall.ENODEV) { // the kernel was faster
		return fmt.Errorf("cannot remove interface %s: %w", l.Attrs().Name, err)
	}
	return nil
}

// close lets the namespace go, as soon as no listener is open in it.
func (a *apiHost) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ns != nil {
		a.ns.close()
		a.ns = nil
	}
}
