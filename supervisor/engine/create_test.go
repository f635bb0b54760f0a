package engine

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

func TestContainerIsMadeAsSpecified(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	data := t.TempDir()
	if err := os.Chmod(data, 0o777); err != nil {
		t.Fatal(err)
	}
	c := h.running(permit, img, "c1", spec.Container{
		Command: []string{}, Env: map[string]string{"APP_WRITE": "/data/file", "APP_VERSION": "7", "B": "x=y"},
		Ports: []spec.Port{{Host: 18081, Container: 8080}, {Host: 18082, HostIP: "127.0.0.1", Container: 9, Protocol: "udp"}},
		Mounts: []spec.Mount{
			{Source: data, Target: "/data"}, {Source: "engine-test", Target: "/vol", ReadOnly: true},
		},
		Devices: []string{"/dev/null"}, CapAdd: []string{"NET_ADMIN"}, Hostname: "core", Labels: map[string]string{"a": "b"},
		StopSignal: "SIGINT", StopTimeout: 1500 * time.Millisecond, Memory: 64 << 20, ReadOnly: true, Init: true,
	})
	t.Cleanup(func() { _ = h.docker().VolumeRemove(t.Context(), "engine-test", true) })
	r, err := h.docker().ContainerInspect(t.Context(), c.ID)
	h.must(err)
	if l := r.HostConfig.LogConfig; l.Type != "json-file" || l.Config["max-size"] != "10m" || l.Config["max-file"] != "3" {
		t.Errorf("its log has no bounds: %+v", l)
	}
	type seen struct {
		Env, CapAdd                             []string
		Ports                                   map[string]string
		Mounts                                  []mount.Mount
		Devices                                 int
		Hostname, Signal, Network, Image, Label string
		Timeout                                 int
		Memory                                  int64
		ReadOnly, Init, Privileged              bool
	}
	got := seen{
		Env: r.Config.Env, CapAdd: r.HostConfig.CapAdd, Ports: map[string]string{}, Mounts: r.HostConfig.Mounts,
		Devices: len(r.HostConfig.Devices), Hostname: r.Config.Hostname, Signal: r.Config.StopSignal,
		Network: string(r.HostConfig.NetworkMode), Image: r.Config.Image, Label: r.Config.Labels["a"],
		Timeout: *r.Config.StopTimeout, Memory: r.HostConfig.Memory, ReadOnly: r.HostConfig.ReadonlyRootfs,
		Init: *r.HostConfig.Init, Privileged: r.HostConfig.Privileged,
	}
	for port, bound := range r.HostConfig.PortBindings {
		got.Ports[string(port)] = bound[0].HostIP + ":" + bound[0].HostPort
	}
	want := seen{
		Env: []string{"APP_VERSION=7", "APP_WRITE=/data/file", "B=x=y", "TEST=" + t.Name()}, CapAdd: []string{"CAP_NET_ADMIN"},
		Ports: map[string]string{"8080/tcp": ":18081", "9/udp": "127.0.0.1:18082"},
		Mounts: []mount.Mount{
			{Type: "bind", Source: data, Target: "/data"}, {Type: "volume", Source: "engine-test", Target: "/vol", ReadOnly: true},
		},
		Devices: 1, Hostname: "core", Signal: "SIGINT", Network: "bridge", Image: string(img.ID), Label: "b",
		Timeout: 2, Memory: 64 << 20, ReadOnly: true, Init: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for label, value := range map[string]string{
		supervisor.LabelService: "core", supervisor.LabelChange: "c1", supervisor.LabelVersion: "1.0",
		supervisor.LabelSeq: "1", supervisor.LabelHouse: h.cfg.House,
	} {
		if r.Config.Labels[label] != value {
			t.Errorf("label %s is %q, want %q", label, r.Config.Labels[label], value)
		}
	}
	if v := get(t, "http://"+testenv.HostIP+":18081/version"); v != "7" {
		t.Errorf("version %q through the published port", v)
	}
	if b, err := os.ReadFile(data + "/file"); err != nil || string(b) != "7" {
		t.Errorf("data: %q, %v", b, err)
	}
}

func TestSpecificationsThatAreRefused(t *testing.T) {
	for want, c := range map[string]spec.Container{
		"io.castellan.":           {Labels: map[string]string{"io.castellan.service": "mine"}},
		"environment variable":    {Env: map[string]string{"A=B": "c"}},
		`network "container:abc"`: {Network: "container:abc"},
		"mount target":            {Mounts: []spec.Mount{{Source: "/a", Target: "b"}}},
		"mount source":            {Mounts: []spec.Mount{{Source: "../a", Target: "/b"}}},
		"device":                  {Devices: []string{"ttyUSB0"}},
		"port 80:0":               {Ports: []spec.Port{{Host: 80}}},
		"port 0:80":               {Ports: []spec.Port{{Container: 80}}},
		"sctp2":                   {Ports: []spec.Port{{Host: 80, Container: 80, Protocol: "sctp2"}}},
		"memory":                  {Memory: -1},
	} {
		if _, _, err := translate(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	e, err := New(Config{Host: "unix:///nowhere", House: "h"})
	if err != nil {
		t.Fatal(err)
	}
	for _, restart := range []string{"always", "on-failure", ""} {
		if err := e.Settle(t.Context(), "x", "core", restart); err == nil || errors.Is(err, supervisor.ErrEngineAway) {
			t.Errorf("restart policy %q: %v", restart, err)
		}
	}
}

func TestMissingDataFolderIsNamed(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	_, err := h.Create(t.Context(), permit, img.ID, supervisor.Naming{Service: "core", Change: "c1", Name: "core.c1"},
		spec.Container{Mounts: []spec.Mount{{Source: "/does/not/exist", Target: "/data"}}})
	if err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("got %v", err)
	}
}

func TestNamesThatAreTaken(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	old := h.create(permit, img, "c1", spec.Container{})
	h.must(h.Settle(t.Context(), old.ID, "core", "no"))

	// Adopted after a crash, whatever it is called by now; with another image it is not.
	if again := h.create(permit, img, "c1", spec.Container{}); again.ID != old.ID {
		t.Error("the change's container was not adopted")
	}
	next, nextPermit := h.pulled(testenv.Build{Tag: "2.0"}, "core")
	n := supervisor.Naming{Service: "core", Change: "c1", Name: "core.c1"}
	if _, err := h.Create(t.Context(), nextPermit, next.ID, n, spec.Container{}); !errors.Is(err, supervisor.ErrNotPermitted) {
		t.Errorf("another image under the same change: %v", err)
	}

	// A name of ours moves aside; the container that had it is still there.
	c := h.create(nextPermit, next, "c2", spec.Container{})
	h.must(h.Settle(t.Context(), c.ID, "core", "unless-stopped"))
	if a, b := h.look(c.ID).Name, h.look(old.ID).Name; a != "core" || b != "core.c1" {
		t.Errorf("names %q and %q", a, b)
	}

	// A name of somebody else's is an error that says whose, at create and at settle.
	foreign, err := h.docker().ContainerCreate(t.Context(), &container.Config{Image: string(img.ID)}, nil, nil, nil, "theirs")
	h.must(err)
	t.Cleanup(func() {
		_ = h.docker().ContainerRemove(h.t.Context(), foreign.ID, container.RemoveOptions{})
	})
	_, err = h.Create(t.Context(), permit, img.ID, supervisor.Naming{Service: "core", Change: "c3", Name: "theirs"}, spec.Container{})
	if err == nil || !strings.Contains(err.Error(), "not of this appliance") {
		t.Errorf("create: %v", err)
	}
	if err := h.Settle(t.Context(), c.ID, "theirs", "no"); err == nil || !strings.Contains(err.Error(), "not of this appliance") {
		t.Errorf("settle: %v", err)
	}
	_, err = h.Create(t.Context(), permit, img.ID, supervisor.Naming{Service: "core", Change: "c3", Name: "core"}, spec.Container{})
	if err == nil || !strings.Contains(err.Error(), "change c2") {
		t.Errorf("create under a name of ours: %v", err)
	}
}

func TestServicesFindEachOtherOnANamedNetwork(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	t.Cleanup(func() { _ = h.docker().NetworkRemove(h.t.Context(), "house") })
	a := h.running(permit, img, "c1", spec.Container{Network: "house"})
	other, otherPermit := h.pulled(testenv.Build{Tag: "2.0"}, "mqtt")
	b := h.running(otherPermit, other, "c2", spec.Container{Network: "house"})
	get(t, "http://"+a.IP+":8080/health")
	if exit, out, err := h.Exec(t.Context(), b.ID, []string{"/app", "get", "http://core:8080/health"}); exit != 0 || err != nil {
		t.Errorf("mqtt cannot reach core: %d, %s, %v", exit, out, err)
	}
	// The bridge keeps its address when ports come and go, because it has one of its own.
	before := bridgeOf(t, a.IP)
	h.must(h.Remove(t.Context(), b.ID))
	h.must(h.Stop(t.Context(), a.ID, time.Second))
	h.must(h.Start(t.Context(), a.ID))
	if after := bridgeOf(t, h.look(a.ID).IP); before.HardwareAddr.String() != after.HardwareAddr.String() {
		t.Errorf("bridge changed from %s to %s", before.HardwareAddr, after.HardwareAddr)
	}
	h.must(h.Remove(t.Context(), a.ID))
}

func bridgeOf(t *testing.T, ip string) *netlink.LinkAttrs {
	t.Helper()
	routes, err := netlink.RouteGet(net.ParseIP(ip))
	if err != nil || len(routes) == 0 {
		t.Fatalf("no route to %s: %v", ip, err)
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		t.Fatal(err)
	}
	return link.Attrs()
}

func TestStartWritesTheNeighbourTable(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	c := h.running(permit, img, "c1", spec.Container{})
	r, err := h.docker().ContainerInspect(t.Context(), c.ID)
	h.must(err)
	want := addresses(r)[0]
	bridge := bridgeOf(t, c.IP)
	entry := func() netlink.Neigh {
		found, err := netlink.NeighList(bridge.Index, netlink.FAMILY_V4)
		h.must(err)
		for _, n := range found {
			if n.IP.Equal(want.ip) {
				return n
			}
		}
		return netlink.Neigh{}
	}
	if n := entry(); n.HardwareAddr.String() != want.mac.String() || n.State&(netlink.NUD_REACHABLE|netlink.NUD_STALE|netlink.NUD_DELAY) == 0 {
		t.Errorf("after start: %+v, want %s", n, want.mac)
	}
	// An earlier container's hardware address under the same IP address is what Start must put right.
	wrong, _ := net.ParseMAC("02:00:00:00:00:01")
	h.must(netlink.NeighSet(&netlink.Neigh{LinkIndex: bridge.Index, IP: want.ip, HardwareAddr: wrong, State: netlink.NUD_REACHABLE}))
	h.must(h.Start(t.Context(), c.ID))
	if n := entry(); n.HardwareAddr.String() != want.mac.String() || n.State == netlink.NUD_PERMANENT {
		t.Errorf("after a wrong entry: %+v, want %s", n, want.mac)
	}
	get(t, "http://"+c.IP+":8080/health")

	host := h.running(permit, img, "c2", spec.Container{Network: "host", Env: map[string]string{"APP_ADDR": ":18083"}})
	if host.IP != "" {
		t.Errorf("a container on the host network has address %q", host.IP)
	}
	get(t, "http://"+testenv.HostIP+":18083/health")
}
