package engine

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/vishvananda/netlink"
)

// serveAPI answers on a port of the API's address with the house's ID, and tells who asked.
func serveAPI(h *house, port uint16) <-chan string {
	h.t.Helper()
	addr, err := h.EnsureNetwork(h.t.Context())
	h.must(err)
	l, err := h.ListenAPI(port)
	h.must(err)
	if addr != h.cfg.Network.API || l.Addr().String() != netip.AddrPortFrom(addr, port).String() {
		h.t.Errorf("listens on %s, the address is %s", l.Addr(), addr)
	}
	asked := make(chan string, 100)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr) // always a pair
		asked <- host
		_, _ = io.WriteString(w, h.cfg.House)
	})}
	go func() { _ = srv.Serve(l) }() // it ends with Close
	h.t.Cleanup(func() { _ = srv.Close() })
	return asked
}

// removed lets the engine forget a network when the test ends, after its containers.
func removed(h *house, name string) {
	h.t.Cleanup(func() {
		cli, err := h.connect(context.Background()) // the test's is over
		h.must(err)
		h.must(cli.NetworkRemove(context.Background(), name))
	})
}

// hostSees asks the API from this host's own network.
func hostSees(h *house, port uint16) string {
	c := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + netip.AddrPortFrom(h.cfg.Network.API, port).String() + "/")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// reached waits until the house's API answers this host. Linux takes up to a second to use an interface that came up,
// and one more to look for a neighbour again.
func reached(h *house, port uint16) {
	h.t.Helper()
	testenv.Eventually(h.t, 10*time.Second, h.cfg.House+" answers", func() bool { return hostSees(h, port) == h.cfg.House })
}

// TestTheAPIIsNoAddressOfTheHost: add-ons, the host and what shares its network reach the API, and the same port of the
// host stays free for an add-on.
func TestTheAPIIsNoAddressOfTheHost(t *testing.T) {
	const port = 8093 // 80 is for tests/house, which may run beside
	h := newHouse(t, testenv.Engine(t))
	h.cfg.Network = shared("castnet", "0")
	api := h.cfg.Network.API.String()
	asked := serveAPI(h, port)
	removed(h, "castnet")
	r, err := h.docker().NetworkInspect(t.Context(), "castnet", network.InspectOptions{})
	h.must(err)
	if r.Labels[supervisor.LabelHouse] != h.cfg.House {
		t.Errorf("labels %v", r.Labels)
	}
	all, err := net.InterfaceAddrs()
	h.must(err)
	for _, a := range all {
		if strings.HasPrefix(a.String(), api+"/") {
			t.Errorf("the host has %s", a)
		}
	}

	img, permit := h.pulled(testenv.Build{}, "addon")
	extra := map[string]string{"supervisor": api}
	proxy := h.running(permit, img, "proxy", spec.Container{Network: "castnet", ExtraHosts: extra, Ports: []spec.Port{{Host: port, Container: 8080}}})
	if get(t, "http://127.0.0.1:8093/health") != "ok" || get(t, "http://"+testenv.HostIP+":8093/health") != "ok" {
		t.Error("the add-on with the same port does not answer")
	}
	img2, permit2 := h.pulled(testenv.Build{Env: map[string]string{"APP_ADDR": ":8097"}}, "other")
	onHost := h.running(permit2, img2, "onhost", spec.Container{Network: "host", ExtraHosts: extra})
	if ip := netip.MustParseAddr(proxy.IP); !h.cfg.Network.Range.Contains(ip) {
		t.Errorf("the container got %s, out of %s", ip, h.cfg.Network.Range)
	}
	for _, from := range []struct {
		name, address string
		ask           func() bool
	}{
		{"an add-on", proxy.IP, func() bool { _, ok := h.inside(proxy, "get", "http://supervisor:8093/"); return ok }},
		{"an add-on in the host's network", "10.77.0.1", func() bool { _, ok := h.inside(onHost, "get", "http://supervisor:8093/"); return ok }},
		{"the host", "10.77.0.1", func() bool { reached(h, port); return true }},
	} {
		if !from.ask() {
			t.Errorf("%s does not reach the API", from.name)
		} else if got := <-asked; got != from.address {
			t.Errorf("%s is seen as %s, want %s", from.name, got, from.address)
		}
	}
	// The address is in use for the engine too, even for who asks for it.
	made, err := h.docker().ContainerCreate(t.Context(), &container.Config{Image: string(img.ID)}, nil, &network.NetworkingConfig{
		EndpointsConfig: map[string]*network.EndpointSettings{"castnet": {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: api}}}}, nil, "thief")
	if err == nil {
		err = h.docker().ContainerStart(t.Context(), made.ID, container.StartOptions{})
		h.must(h.docker().ContainerRemove(t.Context(), made.ID, container.RemoveOptions{Force: true}))
	}
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a container asks for %s: %v, want an error", api, err)
	}
	h.must(h.Remove(t.Context(), proxy.ID))
	h.must(h.Remove(t.Context(), onHost.ID))
}

// TestTheAPIIsRepaired: whatever is broken, the next EnsureNetwork heals it, and the listener of before goes on.
func TestTheAPIIsRepaired(t *testing.T) {
	d := testenv.PrivateEngine(t)
	h := newHouse(t, d.Host)
	h.cfg.Network = shared("castboot", "1")
	outer := outerName(h.cfg.House)
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	serveAPI(h, 80)
	removed(h, "castboot")
	reached(h, 80)
	inside := func(f func() error) { t.Helper(); h.must(h.api.ns.do(f)) }
	for _, step := range []struct {
		name   string
		breaks func()
		harms  bool // whether the API is away until it is repaired
	}{
		{"nothing", func() {}, false},
		{"the engine restarts", func() { d.Stop(); d.Start() }, false},
		{"the engine is killed", func() { d.Kill(); d.Start() }, false},
		{"the engine makes its bridge anew", func() { d.Stop(); ip("link", "delete", "castboot"); d.Start() }, true},
		{"the network is removed", func() { h.must(h.docker().NetworkRemove(t.Context(), "castboot")) }, true},
		{"the outer end is taken off", func() { ip("link", "set", outer, "nomaster") }, true},
		{"the outer end is down", func() { ip("link", "set", outer, "down") }, true},
		{"the pair is deleted", func() { ip("link", "delete", outer) }, true},
		{"another has the outer end's name", func() {
			ip("link", "delete", outer)
			ip("link", "add", outer, "type", "veth", "peer", "name", "castpeer")
		}, true},
		{"the outer end has another name, and another has its", func() {
			ip("link", "set", outer, "down", "name", "castlost")
			ip("link", "add", outer, "type", "veth", "peer", "name", "castpeer")
		}, true},
		{"the outer end is on another bridge", func() {
			ip("link", "add", "castelse", "type", "bridge")
			ip("link", "set", outer, "master", "castelse")
		}, true},
		{"the inner end is down", func() {
			inside(func() error {
				l, err := netlink.LinkByName(innerName)
				if err != nil {
					return err
				}
				return netlink.LinkSetDown(l)
			})
		}, true},
	} {
		step.breaks()
		if ok := hostSees(h, 80) == h.cfg.House; ok == step.harms {
			t.Errorf("%s: the API answers: %v", step.name, ok)
		}
		_, err := h.EnsureNetwork(t.Context())
		h.must(err)
		reached(h, 80)
	}
	ip("link", "delete", "castelse")
	ip("link", "delete", outer)
	ip("link", "add", outer, "type", "bridge")
	if _, err := h.EnsureNetwork(t.Context()); err == nil || !strings.Contains(err.Error(), "ip link delete "+outer) {
		t.Errorf("an interface that is not ours: %v", err)
	}
	ip("link", "delete", outer)
}

// TestTwoHousesOnOneHost: neither has the other's interface, and what one closes is gone.
func TestTwoHousesOnOneHost(t *testing.T) {
	a, b := newHouse(t, testenv.Engine(t)), newHouse(t, testenv.Engine(t))
	a.cfg.House, b.cfg.House = "house-a", "house-b"
	a.cfg.Network, b.cfg.Network = shared("casta", "2"), shared("castb", "3")
	if _, err := a.ListenAPI(80); err == nil || !strings.Contains(err.Error(), "not prepared") {
		t.Errorf("listening before: %v", err)
	}
	for _, h := range []*house{a, b} {
		removed(h, h.cfg.Network.Name)
		serveAPI(h, 80)
	}
	reached(a, 80)
	reached(b, 80)
	c := newHouse(t, testenv.Engine(t))
	c.cfg.House, c.cfg.Network = "house-c", shared("castc", "12")
	removed(c, "castc")
	_, err := c.EnsureNetwork(t.Context())
	c.must(err)
	l, err := c.ListenAPI(80)
	c.must(err)
	c.must(l.Close())
	c.must(c.Close())
	testenv.Eventually(t, 10*time.Second, "the interface is gone", func() bool {
		l, err := linkNamed(outerName("house-c"))
		return l == nil && err == nil
	})
}
