package house

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
	"github.com/castellan/castellan/tests/testenv"
)

// house is an appliance: a configuration, a data folder, and the daemon when it runs. Service names carry its ID,
// because they are the names of containers on an engine that tests share.
type house struct {
	env []string // of the daemon, beside our own
	*world
	id, core, lights string
	number           int // among the houses of this run
	settings         settings
	daemon           *process
	client           *client.Client
}

// settings are what tests want other than usual.
type settings struct {
	mode   string // of core: ask
	health string // of core
	addons bool   // whether lights exists
	store  bool   // whether there is a folder of add-ons
	vouch  bool   // whether the publisher must vouch for lights
	socket string // a path of its own
	home   string // how core is Home Assistant, "" when it is not
}

// newHouse prepares an appliance with core, which follows the channel, and, if wanted, the add-on lights, which is not
// notarized at first.
func newHouse(w *world, change ...func(*settings)) *house {
	w.t.Helper()
	id := strings.ToLower(rand.Text()[:6])
	h := &house{world: w, id: "house-" + id, core: "core-" + id, lights: "lights-" + id, number: int(houses.Add(1))}
	h.settings = settings{socket: w.path("s"), mode: "ask", health: `{deadline: 1500ms, checks: [{name: frontend, http: {url: "http://:8080/health"}, period: 30ms, successes: 2}]}`}
	for _, f := range change {
		f(&h.settings)
	}
	h.client = client.New(h.settings.socket)
	h.configure(h.config())
	w.t.Cleanup(func() {
		if h.daemon != nil {
			h.daemon.kill()
			if w.t.Failed() {
				w.t.Logf("the daemon said:\n%s", h.daemon.tail())
			}
		}
		h.removeContainers()
	})
	return h
}

// withLights adds an add-on nobody vouches for.
func withLights(s *settings) { s.addons = true }

// withVouchedLights adds an add-on that the publisher must vouch for.
func withVouchedLights(s *settings) { s.addons, s.vouch = true, true }

// config is the configuration file as it stands in the settings.
func (h *house) config() string {
	vouchers := ""
	if h.settings.vouch {
		vouchers = h.lights + ": " + h.publisher
	}
	text := fmt.Sprintf(`data_dir: %s
socket: %s
appliance: {id: %s}
engine: {host: %q}
registry: {listen: %q}
trust: {root_dir: %s, poll: 1h, map: {%s}}
channel: {name: stable, urls: [%q], poll: 1h}
services:
  - name: %s
    class: core
    target: core
    update: %s
    health: %s
`, h.path("data"), h.settings.socket, h.id, h.engine, h.loopback(), h.path("roots"), vouchers, h.web.URL+"/stable.json", h.core, h.settings.mode, h.settings.health)
	if h.settings.home != "" {
		text += "    home_assistant: " + h.settings.home + "\n"
	}
	if h.settings.addons {
		text += fmt.Sprintf(`  - name: %s
    image: %s/house/lights
    version: 1.0.0
    health: {settle: 300ms}
`, h.lights, h.registry.host)
	}
	text += "addons: {builtins: [], settle: 300ms, deadline: 5s}\n"
	if h.settings.store {
		text = strings.Replace(text, "builtins: []", fmt.Sprintf("builtins: [local], network: {name: %s, subnet: %s}", h.bridge(), h.subnet()), 1)
	}
	return text
}

// bridge and subnet are the house's own network for add-ons, so that houses on one engine do not meet.
func (h *house) bridge() string { return "ha-" + strings.TrimPrefix(h.id, "house-") }

func (h *house) subnet() string { return fmt.Sprintf("10.%d.%d.0/24", 100+h.number>>8, h.number&0xff) }

// houses counts the houses of this run: a subnet made of a random name once met another house's.
var houses atomic.Int32

// loopback is the address of the daemon's own registry; it stays the same over restarts.
func (h *house) loopback() string {
	name := h.path("loopback")
	if b, err := os.ReadFile(name); err == nil {
		return string(b)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(h.t, err)
	defer l.Close()
	must(h.t, os.WriteFile(name, []byte(l.Addr().String()), 0o600))
	return l.Addr().String()
}

func (h *house) configure(text string) {
	must(h.t, os.WriteFile(h.path("castellan.yaml"), []byte(text), 0o600))
}

// launch starts the daemon and does not wait for it.
func (h *house) launch() *process {
	h.t.Helper()
	h.daemon = start(h.t, h.path("castellan.log"), h.env, bin(h.t, "castellan"), "run", "--config", h.path("castellan.yaml"))
	return h.daemon
}

// start starts the daemon and waits until it answers.
func (h *house) start() {
	h.t.Helper()
	h.launch()
	testenv.Eventually(h.t, 30*time.Second, "the daemon answers", func() bool {
		if !h.daemon.running() {
			h.t.Fatalf("castellan run has ended:\n%s", h.daemon.tail())
		}
		_, err := h.client.Version(context.Background())
		return err == nil
	})
}

// begin starts the daemon and waits until everything configured runs.
func (h *house) begin() {
	h.t.Helper()
	h.start()
	h.rest()
}

// restart is begin, for a daemon that was killed or stopped.
func (h *house) restart() {
	h.t.Helper()
	h.begin()
}

// status is what the daemon says of itself.
func (h *house) status() api.Status {
	h.t.Helper()
	st, err := h.client.Status(context.Background())
	must(h.t, err)
	return st
}

// service is one row of the status.
func (h *house) service(name string) api.ServiceStatus {
	h.t.Helper()
	st := h.status()
	for _, s := range st.Services {
		if s.Name == name {
			return s
		}
	}
	h.t.Fatalf("status shows no service %q: %+v", name, st)
	return api.ServiceStatus{}
}

// rest waits until nothing changes and everything runs.
func (h *house) rest() api.Status {
	h.t.Helper()
	var st api.Status
	var err error
	end := time.Now().Add(time.Minute)
	for {
		st, err = h.client.Status(context.Background())
		if err == nil && st.Engine.Error == "" && h.rests(st) {
			return st
		}
		switch {
		case !h.daemon.running():
			h.t.Fatalf("castellan run has ended:\n%s", h.daemon.tail())
		case time.Now().After(end):
			h.t.Fatalf("the house does not come to rest: %v %+v", err, st)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (h *house) rests(st api.Status) bool {
	for _, s := range st.Services {
		if s.Change != "" || s.State != "running" {
			return false
		}
	}
	return len(st.Services) > 0
}

// castellan runs a command of the owner's program against the daemon.
func (h *house) castellan(args ...string) answer {
	h.t.Helper()
	return run(h.t, []string{"CASTELLAN_SOCKET=" + h.settings.socket}, bin(h.t, "castellan"), args...)
}

// change runs a command that makes one change and returns the change as it ended.
func (h *house) change(exit int, args ...string) api.Change {
	h.t.Helper()
	a := h.castellan(append(args, "--json")...)
	a.says(h.t, exit)
	var list api.ChangeList
	a.decode(h.t, &list)
	if len(list.Changes) != 1 {
		h.t.Fatalf("want one change: %s", a)
	}
	return list.Changes[0]
}

// runs fails the test unless the service rests on a version with a badge.
func (h *house) runs(service, version, badge string) {
	h.t.Helper()
	if s := h.service(service); s.Version != version || s.Badge != badge || s.State != "running" || s.Change != "" {
		h.t.Errorf("%s: version %q, badge %q, state %q, change %q; want %q, %q, running", service, s.Version, s.Badge, s.State, s.Change, version, badge)
	}
}
