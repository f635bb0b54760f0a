package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	ledgerOrigin = "ledger.castellan.example/demo"
	passphrase   = "only-for-the-demo"
	corePort     = 18123 // first port that is tried for core on the host
	pagesPort    = 19005 // and for the web UI
)

// demo is everything that runs for the story.
type demo struct {
	dir, root string
	check     bool

	engine    *engine
	images    *images
	ledger    *process
	appliance *process
	web       *http.Server // serves the channel file
	repo      *repository
	slug      string // the repository's

	ledgerURL, channelURL string
	publisher             string
	port                  int // core's on the host
	pages                 int // the web UI's
}

func (d *demo) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}

// stop ends everything this demo has started, in the reverse order.
func (d *demo) stop() {
	d.appliance.stop()
	if d.engine != nil {
		if err := removeContainers(context.Background(), d.engine.host); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
		}
	}
	d.ledger.stop()
	d.repo.close()
	if d.web != nil {
		_ = d.web.Close() // files are served from memory only
	}
	if d.images != nil {
		_ = d.images.close() // as above
	}
	d.engine.stop()
}

// startParts brings up engine, registry, channel server; each story starts on an empty folder but for the engine's data.
func (d *demo) startParts(ctx context.Context) (err error) {
	for _, old := range []string{"state", "cas", "ledger", "registry", "root", "channel", "logs", "roots", "addons"} {
		if err := os.RemoveAll(d.path(old)); err != nil {
			return err
		}
	}
	for _, dir := range []string{"logs", "registry", "channel", "state"} {
		if err := os.MkdirAll(d.path(dir), 0o755); err != nil {
			return err
		}
	}
	if d.engine, err = findEngine(ctx, d.dir); err != nil {
		return err
	}
	if err := removeTraces(ctx, d.engine.host); err != nil {
		return err
	}
	if d.images, err = startImages(d.root, d.path("registry")); err != nil {
		return err
	}
	if d.repo, err = startRepository(ctx, d.path("addons")); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.channelURL = "http://" + l.Addr().String() + "/stable.json"
	d.web = &http.Server{Handler: http.FileServer(http.Dir(d.path("channel"))), ReadHeaderTimeout: 10 * time.Second}
	go d.web.Serve(l) // ends with stop; its error says only that
	ledgerPort, err := freePort(0)
	if err != nil {
		return err
	}
	d.ledgerURL = fmt.Sprintf("http://127.0.0.1:%d", ledgerPort)
	if d.port, err = freePort(corePort); err == nil && d.port != corePort {
		d.say("port %d is taken, core gets %d", corePort, d.port)
	}
	if err == nil {
		d.pages, err = freePort(pagesPort)
	}
	return err
}

// freePort finds a free loopback port, the wanted one if it can be had.
func freePort(want int) (int, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", want))
	if err != nil && want != 0 {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// makeTrust makes the ledger's key, a publisher and the root document, starts the ledger and registers the publisher.
func (d *demo) makeTrust(ctx context.Context) error {
	key, err := run(ctx, d.casEnv(), bin("cas"), "key", "ledger", ledgerOrigin, d.path("ledger.key"))
	if err != nil || key.exit != 0 {
		return fmt.Errorf("cas key ledger: %w%s", err, key.stderr)
	}
	noteKey := strings.TrimSpace(key.stdout)
	var me struct {
		Publisher string `json:"publisher"`
	}
	if err := d.cas(ctx, 0, &me, "login", "--origin", ledgerOrigin, "--label", "Castellan demo", "-o", "json"); err != nil {
		return err
	}
	d.publisher = me.Publisher
	if err := d.cas(ctx, 0, nil, "key", "new", d.path("root.key")); err != nil {
		return err
	}
	if err := d.cas(ctx, 0, nil, "root", "init", d.path("roots"), "--key", d.path("root.key"), "--ledger-key", noteKey,
		"--url", d.ledgerURL, "--core", d.publisher); err != nil {
		return err
	}
	if err := d.startLedger(ctx); err != nil {
		return err
	}
	return d.cas(ctx, 0, nil, "login", "--ledger", d.ledgerURL, "--ledger-key", noteKey)
}

// startLedger starts `cas serve` and waits until it answers.
func (d *demo) startLedger(ctx context.Context) (err error) {
	d.ledger, err = start("ledger", d.path("logs"), d.casEnv(), bin("cas"), "serve", "--data", d.path("ledger"), "--key", d.path("ledger.key"),
		"--listen", strings.TrimPrefix(d.ledgerURL, "http://"), "--root", d.path("roots"))
	if err != nil {
		return err
	}
	return d.until(ctx, 30*time.Second, func() error {
		if !d.ledger.running() {
			return fmt.Errorf("cas serve has ended:\n%s", d.ledger.lastLines())
		}
		_, err := get(ctx, d.ledgerURL+"/checkpoint")
		return err
	})
}

// startAppliance writes the configuration and starts the daemon.
func (d *demo) startAppliance(ctx context.Context) (err error) {
	registryPort, err := freePort(0)
	if err != nil {
		return err
	}
	host, _, _ := strings.Cut(d.coreImage("1.0.0"), ":1.0.0")
	addon := strings.TrimSuffix(host, "core") + "lights"
	if err := os.WriteFile(d.path("castellan.yaml"), []byte(fmt.Sprintf(`# Written by the demo.
data_dir: %s
socket: %s
appliance: {id: castellan-demo}
engine: {host: %q}
api: {listen: "127.0.0.1:%d", tls: "off"}
registry: {listen: "127.0.0.1:%d"}
trust: {root_dir: %s, poll: 1m}
channel: {name: stable, urls: [%q], poll: 1m}
addons: {builtins: [], settle: 1s, deadline: 8s, network: {name: %s, subnet: 10.213.47.0/24}}
services:
  - name: core
    class: core
    target: core
    update: ask
    container:
      ports: [{host: %d, host_ip: 127.0.0.1, container: 8080}]
    health:
      deadline: 5s
      checks:
        - {name: frontend, http: {url: "http://:8080/health"}, period: 200ms, successes: 3}
  - name: lights
    class: addon
    image: %s
    version: 1.0.0
    health:
      deadline: 10s
      checks:
        - {name: port, tcp: {address: ":8080"}, period: 200ms}
`, d.path("state"), d.socket(), d.engine.host, d.pages, registryPort, d.path("roots"), d.channelURL, addonNetwork, d.port, addon)), 0o644); err != nil {
		return err
	}
	d.appliance, err = start("castellan", d.path("logs"), nil, bin("castellan"), "run", "--config", d.path("castellan.yaml"))
	if err != nil {
		return err
	}
	return d.until(ctx, 60*time.Second, func() error {
		if !d.appliance.running() {
			return fmt.Errorf("castellan run has ended:\n%s", d.appliance.lastLines())
		}
		for _, name := range []string{"core", "lights"} { // both are configured and not there yet: it installs them by itself
			s, err := d.service(ctx, name)
			if err != nil {
				return err
			}
			if s.State != "running" || s.Change != "" {
				return fmt.Errorf("%s is %s: %s %s", name, s.State, s.Waiting, s.Error)
			}
		}
		return nil
	})
}

func (d *demo) socket() string { return d.path("castellan.sock") }

func (d *demo) casEnv() []string {
	return []string{"CAS_HOME=" + d.path("cas"), "CAS_KEY_PASSPHRASE=" + passphrase, "CAS_PLAIN_HTTP=true"}
}

func (d *demo) cas(ctx context.Context, exit int, into any, args ...string) error {
	return must(ctx, d.casEnv(), exit, into, bin("cas"), args...)
}

func (d *demo) castellan(ctx context.Context, exit int, into any, args ...string) error {
	return must(ctx, []string{"CASTELLAN_SOCKET=" + d.socket()}, exit, into, bin("castellan"), args...)
}

// lastWords is what the long-running programs said last, for an error.
func (d *demo) lastWords() string {
	var out strings.Builder
	for _, p := range []*process{d.appliance, d.ledger} {
		if p != nil {
			fmt.Fprintf(&out, "\n--- %s\n%s", p.log, p.lastLines())
		}
	}
	return out.String()
}

// farewell says what is where.
func (d *demo) farewell() {
	fmt.Printf(`
Everything keeps running. Try, in another terminal:

  export CASTELLAN_SOCKET=%s
  bin/castellan status
  bin/castellan log
  bin/castellan rollback core
  bin/castellan setup-code

web UI    http://127.0.0.1:%d/  (the setup code makes you its owner)
core      http://127.0.0.1:%d/
ledger    %s/checkpoint
registry  http://%s/v2/_catalog
config    %s
logs      %s

make stop ends it, make clean-run removes every trace.
`, d.socket(), d.pages, d.port, d.ledgerURL, d.images.host, d.path("castellan.yaml"), d.path("logs"))
}
