package engine

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/docker/docker/api/types/network"
	"github.com/vishvananda/netlink"
)

// shared is a network as the daemon sets it up, elsewhere: Home Assistant's addresses are for the whole house.
func shared(name, third string) NetworkSpec {
	return NetworkSpec{
		Name: name, Subnet: netip.MustParsePrefix("10.77." + third + ".0/24"), Gateway: netip.MustParseAddr("10.77." + third + ".1"),
		Range: netip.MustParsePrefix("10.77." + third + ".128/25"), API: netip.MustParseAddr("10.77." + third + ".2"),
	}
}

func TestAddOnsReachTheAPIOnTheirNetwork(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	h.cfg.Network = shared("castnet", "0")
	t.Cleanup(func() { _ = h.docker().NetworkRemove(h.t.Context(), "castnet") })
	for range 2 {
		addr, err := h.EnsureNetwork(t.Context())
		h.must(err)
		if addr != h.cfg.Network.API {
			t.Errorf("API address %s", addr)
		}
	}
	link, err := netlink.LinkByName("castnet")
	h.must(err)
	var have []string
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	h.must(err)
	for _, a := range addrs {
		have = append(have, a.IPNet.String())
	}
	if strings.Join(have, " ") != "10.77.0.1/24 10.77.0.2/32" {
		t.Errorf("addresses of the bridge: %v", have)
	}
	r, err := h.docker().NetworkInspect(t.Context(), "castnet", network.InspectOptions{})
	h.must(err)
	if r.Labels[supervisor.LabelHouse] != h.cfg.House {
		t.Errorf("labels %v", r.Labels)
	}

	l, err := net.Listen("tcp", "10.77.0.2:8099")
	h.must(err)
	api := httptest.NewUnstartedServer(http.NotFoundHandler())
	api.Listener.Close()
	api.Listener, api.Config.Handler = l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	api.Start()
	t.Cleanup(api.Close)
	img, permit := h.pulled(testenv.Build{}, "addon")
	c := h.running(permit, img, "c1", spec.Container{Network: "castnet", ExtraHosts: map[string]string{"supervisor": "10.77.0.2"}})
	if ip := netip.MustParseAddr(c.IP); !h.cfg.Network.Range.Contains(ip) {
		t.Errorf("the container got %s, out of %s", ip, h.cfg.Network.Range)
	}
	if _, ok := h.inside(c, "get", "http://supervisor:8099/"); !ok {
		t.Error("the container does not reach the API")
	}
	h.must(h.Remove(t.Context(), c.ID))
}

// TestNetworkAfterAReboot: the bridge is the engine's to make again, its second address is ours.
func TestNetworkAfterAReboot(t *testing.T) {
	d := testenv.PrivateEngine(t)
	h := newHouse(t, d.Host)
	h.cfg.Network = shared("castboot", "1")
	_, err := h.EnsureNetwork(t.Context())
	h.must(err)
	d.Stop()
	h.must(exec.Command("ip", "link", "delete", "castboot").Run())
	d.Start()
	_, err = h.EnsureNetwork(t.Context())
	h.must(err)
	l, err := net.Listen("tcp", "10.77.1.2:0")
	h.must(err)
	_ = l.Close() // it could be opened
	// A restart alone leaves the address where it is.
	d.Kill()
	d.Start()
	_, err = h.EnsureNetwork(t.Context())
	h.must(err)
	h.must(h.docker().NetworkRemove(t.Context(), "castboot"))
}

func TestNetworksInTheWayAreNamed(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	add := func(name, subnet string) {
		t.Helper()
		_, err := h.docker().NetworkCreate(t.Context(), name, network.CreateOptions{Driver: "bridge", IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}}})
		h.must(err)
		t.Cleanup(func() { _ = h.docker().NetworkRemove(h.t.Context(), name) })
	}
	add("castown", "10.77.8.0/24")
	add("castother", "10.77.4.0/22")
	for want, n := range map[string]NetworkSpec{
		"docker network rm castown":                         shared("castown", "9"),
		"overlaps with 10.77.4.0/22 of network castother":   shared("castnew", "5"),
		"at most 15 letters":                                shared("a-name-that-is-too-long", "9"),
		"lies in 10.77.9.0/25":                              {Name: "a", Subnet: shared("", "9").Subnet, Gateway: shared("", "9").Gateway, API: shared("", "9").API, Range: netip.MustParsePrefix("10.77.9.0/25")},
		"want two addresses of 10.77.9.0/24":                {Name: "a", Subnet: shared("", "9").Subnet},
		"want a part of 10.77.9.0/24":                       {Name: "a", Subnet: shared("", "9").Subnet, Gateway: shared("", "9").Gateway, API: shared("", "9").API, Range: shared("", "8").Range},
		"want an IPv4 network":                              {Name: "a", Subnet: netip.MustParsePrefix("fd00::/64")},
		"cannot prepare the add-ons' network: none is conf": {},
	} {
		e, err := New(Config{Host: h.cfg.Host, House: h.cfg.House, Network: n})
		if err == nil {
			_, err = e.EnsureNetwork(t.Context())
			_ = e.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	far, err := New(Config{Host: "tcp://192.0.2.9:2375", House: "h", Network: shared("castfar", "9")})
	h.must(err)
	if _, err := far.EnsureNetwork(t.Context()); err == nil || !strings.Contains(err.Error(), "of another host") {
		t.Errorf("engine of another host: %v", err)
	}
}
