package house

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

const origin = "ledger.castellan.test/house"

// world is everything outside the appliance: a publisher, the ledger, a registry, a web server with the channel file.
// The appliance reaches each through a front; the publisher reaches the ledger directly.
type world struct {
	t        testing.TB
	dir      string
	engine   string // "unix:///…"
	ledger   *front
	registry *front
	web      *front

	ledgerURL string // behind the front
	backing   string // "host:port" of the registry behind the front
	server    *process
	ledgerKey string   // its public half
	allow     []string // publishers that may write to the ledger beside those the root names
	publisher string
}

// bareWorld is a world with nothing in it, for what never gets so far.
func bareWorld(t testing.TB) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "h") // short, for the socket's sake
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // a folder for temporary files
	return &world{t: t, dir: dir, engine: testenv.Engine(t), ledger: newFront(t), registry: newFront(t), web: newFront(t)}
}

// newWorld starts it all. The publisher's word counts for core.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, testenv.Engine(t))
}

func newWorldOn(t testing.TB, engine string) *world {
	t.Helper()
	w := bareWorld(t)
	w.engine = engine
	w.backing = testenv.Registry(t)
	w.registry.to("http://" + w.backing)
	w.web.serve(http.FileServer(http.Dir(w.path("web"))))
	must(t, os.Mkdir(w.path("web"), 0o755))

	key := strings.TrimSpace(w.cas("key", "ledger", origin, w.path("ledger.key")).stdout)
	w.ledgerKey = key
	var me struct {
		Publisher string `json:"publisher"`
	}
	w.cas("login", "--no-passphrase", "--origin", origin, "--label", "House", "-o", "json").decode(t, &me)
	w.publisher = me.Publisher
	w.cas("key", "new", "--no-passphrase", w.path("root.key"))
	w.cas("root", "init", w.path("roots"), "--key", w.path("root.key"), "--ledger-key", key, "--url", w.ledger.URL, "--core", me.Publisher)
	w.startLedger()
	w.cas("login", "--ledger", w.ledgerURL, "--ledger-key", key)
	return w
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

// startLedger starts `cas serve` and waits until it answers.
func (w *world) startLedger() {
	w.t.Helper()
	address := w.path("ledger.url")
	listen := "127.0.0.1:0"
	if w.ledgerURL != "" {
		listen = strings.TrimPrefix(w.ledgerURL, "http://")
	}
	_ = os.Remove(address) // of an earlier start
	args := []string{"serve", "--data", w.path("ledger"), "--key", w.path("ledger.key"), "--listen", listen, "--root", w.path("roots"), "--address-file", address}
	for _, p := range w.allow {
		args = append(args, "--allow", p)
	}
	w.server = start(w.t, w.path("ledger.log"), w.env(), bin(w.t, "cas"), args...)
	testenv.Eventually(w.t, 30*time.Second, "the ledger answers", func() bool {
		if !w.server.running() {
			w.t.Fatalf("cas serve has ended:\n%s", w.server.tail())
		}
		b, err := os.ReadFile(address)
		if err != nil || len(b) == 0 {
			return false
		}
		w.ledgerURL = strings.TrimSpace(string(b))
		resp, err := http.Get(w.ledgerURL + "/checkpoint")
		if err != nil {
			return false
		}
		_ = resp.Body.Close() // only the status is of interest
		return resp.StatusCode == http.StatusOK
	})
	w.ledger.to(w.ledgerURL)
}

func (w *world) env() []string { return []string{"CAS_HOME=" + w.path("cas"), "CAS_PLAIN_HTTP=true"} }

// cas runs the publisher's program; it must succeed.
func (w *world) cas(args ...string) answer {
	w.t.Helper()
	a := run(w.t, w.env(), bin(w.t, "cas"), args...)
	if a.exit != 0 {
		w.t.Fatal(a)
	}
	return a
}

// image puts an image into the registry. An ill one never gets healthy.
func (w *world) image(repository, version string, env ...string) testenv.Image {
	w.t.Helper()
	return w.push(w.registry.host, repository, version, env...)
}

// push puts an image into the registry at host: the front, or what is behind it.
func (w *world) push(host, repository, version string, env ...string) testenv.Image {
	w.t.Helper()
	b := testenv.Build{Registry: host, Repository: "house/" + repository, Tag: version, Env: map[string]string{
		"APP_NAME":  repository,
		"APP_WORLD": w.dir, // the engine must not hold a layer from another test
	}}
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		b.Env[k] = v
	}
	return testenv.BuildImage(w.t, b)
}

const ill = "APP_ILL=1"

// core makes and notarizes an image of core, but does not release it.
func (w *world) core(version string, env ...string) testenv.Image {
	w.t.Helper()
	i := w.image("core", version, env...)
	w.cas("notarize", i.Reference())
	return i
}

// release makes a version of core the channel's.
func (w *world) release(version string) {
	w.t.Helper()
	w.releaseWith(version, nil)
}

// releaseWith is release with Castellan's own part of a channel file.
func (w *world) releaseWith(version string, extension map[string]any) {
	w.t.Helper()
	file := w.channelFile(version)
	if extension != nil {
		file["castellan"] = extension
	}
	b, err := json.MarshalIndent(file, "", "  ")
	must(w.t, err)
	must(w.t, os.WriteFile(w.path("web", "stable.json"), b, 0o644))
	w.cas("channel", "stable", w.path("web", "stable.json"))
}

// channelFile is a channel in Home Assistant's format.
func (w *world) channelFile(core string) map[string]any {
	return map[string]any{
		"channel":       "stable",
		"supervisor":    "2026.11.0",
		"homeassistant": map[string]string{"default": core, "generic-x86-64": core, "generic-aarch64": core},
		"images": map[string]string{
			"core":       w.registry.host + "/house/core",
			"supervisor": w.registry.host + "/house/{arch}-supervisor",
		},
	}
}

// untrust withdraws an image.
func (w *world) untrust(i testenv.Image, flags ...string) {
	w.t.Helper()
	w.cas(append([]string{"untrust", i.Reference(), "--reason", "for the test"}, flags...)...)
}
