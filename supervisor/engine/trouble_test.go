package engine

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
)

// TestTroubleHasAClassAndANextStep causes each for real.
func TestTroubleHasAClassAndANextStep(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	other, otherPermit := h.pulled(testenv.Build{Tag: "2.0"}, "mqtt")
	h.running(otherPermit, other, "c1", spec.Container{Ports: []spec.Port{{Host: 18091, Container: 8080}}})
	theirs := h.theirs("squatter", container.Config{ExposedPorts: nat.PortSet{"8080/tcp": {}}}, container.HostConfig{
		PortBindings: nat.PortMap{"8080/tcp": {{HostPort: "18092"}}},
	})
	h.must(h.docker().ContainerStart(t.Context(), theirs, container.StartOptions{}))
	l, err := net.Listen("tcp", ":18093")
	h.must(err)
	defer l.Close()

	for change, row := range map[string]struct {
		c     spec.Container
		want  string
		class error
	}{
		"ours":    {spec.Container{Ports: []spec.Port{{Host: 18091, Container: 8080}}}, `port 18091 is published by service "mqtt" (container mqtt.c1)`, supervisor.ErrPortTaken},
		"foreign": {spec.Container{Ports: []spec.Port{{Host: 18092, Container: 8080}}}, "container squatter, which is not of this appliance", supervisor.ErrPortTaken},
		"program": {spec.Container{Ports: []spec.Port{{Host: 18093, Container: 8080}}}, "a program of this host", supervisor.ErrPortTaken},
		"device":  {spec.Container{Devices: []string{"/dev/ttyUSB77"}}, "there is no device /dev/ttyUSB77", supervisor.ErrDeviceMissing},
	} {
		c := h.create(permit, img, change, row.c)
		err := h.Start(t.Context(), c.ID)
		if !errors.Is(err, row.class) || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: want %q, got %v", change, row.want, err)
		}
		if h.look(c.ID).Running {
			t.Errorf("%s: it runs", change)
		}
	}
	// The trouble over, the same container starts.
	c := h.create(permit, img, "program", spec.Container{Ports: []spec.Port{{Host: 18093, Container: 8080}}})
	h.must(l.Close())
	h.must(h.Start(t.Context(), c.ID))

	_, err = h.Create(t.Context(), permit, img.ID, supervisor.Naming{Service: "core", Change: "mount", Name: "core.mount"},
		spec.Container{Mounts: []spec.Mount{{Source: "/does/not/exist", Target: "/data"}}})
	if err == nil || !strings.Contains(err.Error(), "there is no folder /does/not/exist to mount: make it") {
		t.Errorf("missing folder: %v", err)
	}
}

// TestTroubleInTheWordsOfNewerEngines has what those say that no test runs on.
func TestTroubleInTheWordsOfNewerEngines(t *testing.T) {
	for text, port := range map[string]string{
		"driver failed programming external connectivity on endpoint a (b): Bind for 0.0.0.0:80 failed: port is already allocated":                                 "80",
		"failed to set up container networking: driver failed programming external connectivity on endpoint a: Bind for :::8123 failed: port is already allocated": "8123",
		"Error starting userland proxy: listen tcp4 0.0.0.0:1883: bind: address already in use":                                                                    "1883",
		"failed to bind host port for 0.0.0.0:53:172.17.0.2:53/udp: address already in use":                                                                        "53",
		"failed to bind host port 0.0.0.0:443/tcp: address already in use":                                                                                         "443",
	} {
		if m := portTaken.FindStringSubmatch(text); m == nil || m[1] != port {
			t.Errorf("%q: %q, want port %s", text, m, port)
		}
	}
}
