package engine

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/castellan/castellan/tests/testenv"
	"github.com/docker/docker/api/types/network"
)

// shared is a network as the daemon sets it up, elsewhere: Home Assistant's addresses are for the whole house.
func shared(name, third string) NetworkSpec {
	return NetworkSpec{
		Name: name, Subnet: netip.MustParsePrefix("10.77." + third + ".0/24"), Gateway: netip.MustParseAddr("10.77." + third + ".1"),
		Range: netip.MustParsePrefix("10.77." + third + ".128/25"), API: netip.MustParseAddr("10.77." + third + ".2"),
	}
}

func TestNetworksInTheWayAreNamed(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	add := func(name, subnet string) {
		t.Helper()
		_, err := h.docker().NetworkCreate(t.Context(), name, network.CreateOptions{Driver: "bridge", IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}}})
		h.must(err)
		removed(h, name)
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
