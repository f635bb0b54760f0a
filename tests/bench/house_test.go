//go:build bench

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

const origin = "ledger.castellan.test/bench"

// house is one appliance and the ledger it follows, as separate programs, driven as people do.
type house struct {
	testing.TB
	dir      string
	registry string // "host:port" of the images' registry
	ledger   string // base URL
	daemon   *exec.Cmd
}

// newHouse starts a registry and a ledger and prepares trust. mirrors makes the ledger's addresses from its own.
func newHouse(b testing.TB, mirrors func(ledger string) []string) *house {
	b.Helper()
	testenv.Engine(b)
	h := &house{TB: b, dir: b.TempDir(), registry: testenv.Registry(b)}
	h.ledger = "http://127.0.0.1:" + freePort(b)
	key := strings.TrimSpace(h.cas("key", "ledger", origin, h.path("ledger.key")))
	var me struct{ Publisher string }
	h.read(h.cas("login", "--origin", origin, "--label", "bench", "-o", "json"), &me)
	h.cas("key", "new", h.path("root.key"))
	root := []string{"root", "init", h.path("roots"), "--key", h.path("root.key"), "--ledger-key", key, "--core", me.Publisher}
	for _, u := range mirrors(h.ledger) {
		root = append(root, "--url", u)
	}
	h.cas(root...)
	h.start("cas", "serve", "--data", h.path("ledger"), "--key", h.path("ledger.key"),
		"--listen", strings.TrimPrefix(h.ledger, "http://"), "--root", h.path("roots"))
	testenv.Eventually(b, 30*time.Second, "the ledger answers", func() bool {
		resp, err := http.Get(h.ledger + "/checkpoint")
		if err != nil {
			return false
		}
		_ = resp.Body.Close() // only the status is of interest
		return resp.StatusCode == http.StatusOK
	})
	h.cas("login", "--ledger", h.ledger, "--ledger-key", key)
	return h
}

func itself(ledger string) []string { return []string{ledger} }

// service is one service in the configuration; the image is the one of [house.image].
type service struct {
	name, version, container string
}

// configure writes the configuration.
func (h *house) configure(channel string, services ...service) {
	h.Helper()
	urls := ""
	if channel != "" {
		urls = fmt.Sprintf("channel: {urls: [%q], poll: 24h}\n", channel)
	}
	text := fmt.Sprintf("data_dir: %s\nsocket: %s\nappliance: {id: castellan-bench}\nengine: {host: %q}\n"+
		"registry: {listen: \"127.0.0.1:%s\"}\ntrust: {root_dir: %s, poll: 24h}\n%sservices:\n",
		h.path("state"), h.socket(), testenv.Engine(h), freePort(h), h.path("roots"), urls)
	for _, s := range services {
		text += fmt.Sprintf("  - name: %s\n    image: %s/app\n    version: %q\n    container: {%s}\n"+
			"    health: {deadline: 20s, checks: [{name: runs, exec: {command: [/app, exit, \"0\"]}, period: 100ms}]}\n",
			s.name, h.registry, s.version, s.container)
	}
	h.must(os.WriteFile(h.path("castellan.yaml"), []byte(text), 0o644))
}

// run starts the daemon and waits until every service runs in the version configured.
func (h *house) run(services ...service) {
	h.Helper()
	h.daemon = h.start("castellan", "run", "--config", h.path("castellan.yaml"))
	waiting := ""
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if waiting = h.waitsFor(services); waiting == "" {
			return
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(h.path("castellan.log")) // empty says as much
			h.Fatalf("not within 2 minutes: %s\n%s", waiting, log)
		}
	}
}

func (h *house) waitsFor(services []service) string {
	var st api.Status
	out, err := h.command("castellan", "status", "--json").Output()
	if err != nil || json.Unmarshal(out, &st) != nil {
		return "the daemon answers"
	}
	for _, want := range services {
		ok := false
		for _, s := range st.Services {
			ok = ok || s.Name == want.name && s.State == "running" && s.Version == want.version && s.Change == ""
		}
		if !ok {
			return fmt.Sprintf("%s runs: %+v", want.name, st.Services)
		}
	}
	return ""
}

// image puts a version of the sample service into the registry.
func (h *house) image(version string) {
	testenv.BuildImage(h, testenv.Build{Registry: h.registry, Tag: version})
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }
func (h *house) socket() string          { return h.path("s.sock") }

// command is one of the programs that bench.sh has built as they are shipped.
func (h *house) command(program string, args ...string) *exec.Cmd {
	h.Helper()
	bin := os.Getenv("CASTELLAN_BENCH_BIN")
	if bin == "" {
		h.Fatal("CASTELLAN_BENCH_BIN does not name the folder of castellan and cas: run tests/bench.sh")
	}
	cmd := exec.Command(filepath.Join(bin, program), args...)
	cmd.Env = append(os.Environ(), "CASTELLAN_SOCKET="+h.socket(), "CAS_HOME="+h.path("cas"),
		"CAS_KEY_PASSPHRASE=only-for-measuring", "CAS_PLAIN_HTTP=true")
	return cmd
}

func (h *house) cas(args ...string) string       { return h.do("cas", args...) }
func (h *house) castellan(args ...string) string { return h.do("castellan", args...) }

func (h *house) do(program string, args ...string) string {
	h.Helper()
	cmd := h.command(program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		h.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

// start starts a program that ends with the benchmark.
func (h *house) start(program string, args ...string) *exec.Cmd {
	h.Helper()
	log, err := os.OpenFile(h.path(program+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	h.must(err)
	defer log.Close()
	cmd := h.command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	h.must(cmd.Start())
	h.Cleanup(func() {
		h.stop(cmd)
		removeContainers(h)
	})
	return cmd
}

// stop ends a program in good order; one that has ended already is as good.
func (h *house) stop(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait() // its exit code is of no interest
}

func (h *house) read(text string, into any) {
	h.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		h.Fatalf("%v: %s", err, text)
	}
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func freePort(b testing.TB) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String()) // it has one
	return port
}
