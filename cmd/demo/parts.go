package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

const (
	ledgerOrigin = "ledger.castellan.example/demo"
	passphrase   = "only-for-the-demo"
	corePort     = 18123 // first port that is tried for core on the host
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

	ledgerURL, channelURL string
	publisher             string
	port                  int // core's on the host
}

func (d *demo) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}

// stop ends everything this demo has started, in the reverse order.
func (d *demo) stop() {
	d.appliance.stop()
	if d.engine != nil {
		if err := removeContainersOn(context.Background(), d.engine.host); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
		}
	}
	d.ledger.stop()
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
	for _, old := range []string{"state", "cas", "ledger", "registry", "root", "channel", "logs", "roots"} {
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
	if err := removeContainersOn(ctx, d.engine.host); err != nil {
		return err
	}
	if d.images, err = startImages(d.root, d.path("registry")); err != nil {
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
	d.port, err = freePort(corePort)
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
registry: {listen: "127.0.0.1:%d"}
trust: {root_dir: %s, poll: 1m}
channel: {name: stable, urls: [%q], poll: 1m}
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
`, d.path("state"), d.socket(), d.engine.host, registryPort, d.path("roots"), d.channelURL, d.port, addon)), 0o644); err != nil {
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

// release makes an image of core, notarizes it, and makes it the channel's.
func (d *demo) release(ctx context.Context, version string, ill bool) error {
	if err := d.pushCore(ctx, version, ill); err != nil {
		return err
	}
	if err := d.cas(ctx, 0, nil, "notarize", d.coreImage(version)); err != nil {
		return err
	}
	file, err := json.MarshalIndent(channelFile(d.images.host, version), "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.path("channel", "stable.json"), file, 0o644); err != nil {
		return err
	}
	return d.cas(ctx, 0, nil, "channel", "stable", d.path("channel", "stable.json"))
}

// channelFile is a channel in Home Assistant's format.
func channelFile(registry, core string) map[string]any {
	parts := map[string]string{"core": registry + "/demo/core"}
	out := map[string]any{
		"channel":       "stable",
		"supervisor":    "2026.11.0",
		"homeassistant": map[string]string{"default": core, "generic-x86-64": core, "generic-aarch64": core},
		"hassos":        map[string]string{"ova": "18.2"},
		"ota":           "https://os.example/{version}/{os_name}_{board}-{version}.raucb",
	}
	for _, p := range []string{"supervisor", "cli", "dns", "audio", "multicast", "observer"} {
		parts[p] = registry + "/demo/{arch}-" + p
		if p != "supervisor" {
			out[p] = "2026.11.0"
		}
	}
	out["images"] = parts
	return out
}

func (d *demo) pushCore(ctx context.Context, version string, ill bool) error {
	_, err := d.images.push(ctx, release{repo: "demo/core", version: version, ill: ill})
	return err
}

func (d *demo) pushAddon(ctx context.Context, version string) error {
	_, err := d.images.push(ctx, release{repo: "demo/lights", version: version})
	return err
}

func (d *demo) coreImage(version string) string { return d.images.host + "/demo/core:" + version }

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

// change runs a command that makes one change and returns it as it ended.
func (d *demo) change(ctx context.Context, exit int, args ...string) (api.Change, error) {
	var list api.ChangeList
	if err := d.castellan(ctx, exit, &list, append(args, "--json")...); err != nil {
		return api.Change{}, err
	}
	if len(list.Changes) != 1 {
		return api.Change{}, fmt.Errorf("castellan %s: %d changes, want 1", strings.Join(args, " "), len(list.Changes))
	}
	return list.Changes[0], nil
}

func (d *demo) service(ctx context.Context, name string) (api.ServiceStatus, error) {
	var st api.Status
	if err := d.castellan(ctx, 0, &st, "status", "--json"); err != nil {
		return api.ServiceStatus{}, err
	}
	for _, s := range st.Services {
		if s.Name == name {
			return s, nil
		}
	}
	return api.ServiceStatus{}, fmt.Errorf("castellan status shows no service %q", name)
}

// answers wants core's own voice over its published port.
func (d *demo) answers(ctx context.Context, want string) error {
	got, err := get(ctx, fmt.Sprintf("http://127.0.0.1:%d/", d.port))
	if err != nil {
		return err
	}
	if strings.TrimSpace(got) != want {
		return fmt.Errorf("core answers %q, want %q", got, want)
	}
	d.say("curl http://127.0.0.1:%d/ -> %s", d.port, want)
	return nil
}

// watch asks core every few milliseconds; the returned function ends it and says how long core did not answer.
func (d *demo) watch(ctx context.Context) (outage func() time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan time.Duration, 1)
	client := &http.Client{Timeout: 100 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		var first, last time.Time
		for ctx.Err() == nil {
			at := time.Now()
			resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", d.port))
			if err == nil {
				_ = resp.Body.Close() // only that it answers counts
			} else {
				if first.IsZero() {
					first = at
				}
				last = time.Now()
			}
			pause(ctx, 5*time.Millisecond)
		}
		done <- last.Sub(first)
	}()
	return func() time.Duration { cancel(); return <-done }
}

// until tries again until check is content, a limit or the end.
func (d *demo) until(ctx context.Context, limit time.Duration, check func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || !pause(ctx, 100*time.Millisecond) {
			return errors.Join(ctx.Err(), fmt.Errorf("not within %s: %w", limit, err))
		}
	}
}

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return string(b), err
}

// bin is a program that `make build` has put beside the demo.
func bin(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
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

core      http://127.0.0.1:%d/
ledger    %s/checkpoint
registry  http://%s/v2/_catalog
config    %s
logs      %s

make stop ends it, make clean-run removes every trace.
`, d.socket(), d.port, d.ledgerURL, d.images.host, d.path("castellan.yaml"), d.path("logs"))
}
