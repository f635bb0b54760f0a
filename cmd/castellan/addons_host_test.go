package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/addons/store"
	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/spec"
)

// hostOf is an appliance with these services, and its folder for add-ons, which Home Assistant's may lie in.
func hostOf(t *testing.T, services string) (h addonHost, dir string) {
	t.Helper()
	dir = t.TempDir()
	c, err := config.Parse("c.yaml", []byte("channel: {urls: [https://c.example/s.json]}\naddons: {dir: "+dir+"}\nservices:\n"+strings.ReplaceAll(services, "DIR", dir)))
	if err != nil {
		t.Fatal(err)
	}
	return addonHost{&house{cfg: c}}, dir
}

func TestSecretsOfHomeAssistant(t *testing.T) {
	const core = "  - {name: core, target: core, home_assistant: {config: DIR/own}}\n"
	const web = "  - {name: web, image: docker.io/library/nginx, version: \"1\"}\n"
	const good = "password: abc\nnumber: 12\nnegative: -3\nswitch: true\nlist: [a]\nnothing:\n"
	for _, c := range []struct{ name, services, folder, content, secret, want string }{
		{"text", core, "own", good, "password", "abc"},
		{"number", core, "own", good, "number", "12"},
		{"negative", core, "own", good, "negative", "-3"},
		{"switch", core, "own", good, "switch", "true"},
		{"list", core, "own", good, "list", ""},
		{"nothing", core, "own", good, "nothing", ""},
		{"unknown", core, "own", good, "other", ""},
		{"without Home Assistant", web, "homeassistant", good, "password", "abc"},
		{"another's folder", core, "homeassistant", good, "password", ""},
		{"broken", core, "own", "password: [", "password", ""},
		{"no dictionary", core, "own", "- password", "password", ""},
		{"too large", core, "own", good + "# " + strings.Repeat("x", maxSecrets), "password", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, dir := hostOf(t, c.services)
			write(t, filepath.Join(dir, c.folder, "secrets.yaml"), c.content)
			if got, ok := h.Secret(c.secret); got != c.want || ok != (c.want != "") {
				t.Errorf("got %q, %v; want %q", got, ok, c.want)
			}
		})
	}
	h, dir := hostOf(t, core)
	if err := os.Mkdir(filepath.Join(dir, "own"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "own", "secrets.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok := h.Secret("password"); ok { // a pipe that nobody writes to would never be read to its end
		t.Errorf("got %q from a pipe", got)
	}
}

func TestPortsThatServicesHave(t *testing.T) {
	h, _ := hostOf(t, "  - {name: core, target: core, home_assistant: {config: DIR/own, port: 8124}}\n"+
		"  - {name: dns, image: docker.io/library/dns, version: \"1\", container: {ports: [{host: 53, container: 5353, protocol: udp}]}}\n"+
		"api: {listen: \":8480\"}\n")
	for _, c := range []struct {
		port spec.Port
		want string
	}{
		{spec.Port{Host: 53, Protocol: "udp"}, "service dns"},
		{spec.Port{Host: 53, Protocol: "tcp"}, ""},
		{spec.Port{Host: 5353, Protocol: "udp"}, ""},
		{spec.Port{Host: 8124, Protocol: "tcp"}, "service core"},
		{spec.Port{Host: 8124, Protocol: "udp"}, ""},
		{spec.Port{Host: 8123, Protocol: "tcp"}, ""},
		{spec.Port{Host: 8480, Protocol: "tcp"}, "api.listen of the configuration"},
		{spec.Port{Host: 8481, Protocol: "tcp"}, "api.ingress_listen of the configuration"},
		{spec.Port{Host: 8481, Protocol: "udp"}, ""},
		{spec.Port{Host: 480, Protocol: "tcp"}, ""},
	} {
		if got := h.Taken(c.port); got != c.want {
			t.Errorf("%+v is taken by %q, want %q", c.port, got, c.want)
		}
	}
}

// TestAnOfferSaysWhoseItIs: the name of an add-on does not.
func TestAnOfferSaysWhoseItIs(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "local", "radio", "config.yaml"), "name: Radio\nversion: \"1\"\nslug: radio\ndescription: plays\narch: [amd64]\nimage: example.org/addons/radio\n")
	if err := store.Init(filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Config{Dir: filepath.Join(dir, "store"), Local: filepath.Join(dir, "local"), Builtins: []string{"local"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Refresh(t.Context(), "local"); err != nil {
		t.Fatal(err)
	}
	o, err := addonOffers{&house{addons: addonHouse{store: s}}}.Offer("local_radio")
	if err != nil || o.Source != "local" || o.Repository != "local" || o.Manifest.Version != "1" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestALocalAddonIsBuiltAsItsAuthorSays(t *testing.T) {
	labels := func(more ...string) map[string]string {
		out := map[string]string{"io.hass.version": "1.10", "io.hass.arch": "aarch64", "io.hass.type": "addon", "io.hass.name": "Radio"}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	args := func(more ...string) map[string]string {
		out := map[string]string{"BUILD_VERSION": "1.10", "BUILD_ARCH": "aarch64"}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	for _, c := range []struct {
		name         string
		files        map[string]string
		args, labels map[string]string
		err          string
	}{
		{name: "no file", args: args(), labels: labels()},
		{"its processor's base", map[string]string{"build.yaml": "build_from: {aarch64: ghcr.io/base/aarch64:1, amd64: ghcr.io/base/amd64:1}\n"}, args("BUILD_FROM", "ghcr.io/base/aarch64:1"), labels(), ""},
		{"another's base", map[string]string{"build.yaml": "build_from: {amd64: ghcr.io/base/amd64:1}\n"}, args(), labels(), ""},
		{"own arguments", map[string]string{"build.json": `{"args": {"MORE": "x", "BUILD_VERSION": "own"}, "labels": {"a.b": "c"}}`}, args("MORE", "x", "BUILD_VERSION", "own"), labels("a.b", "c"), ""},
		{"yaml first", map[string]string{"build.json": "{broken", "build.yaml": "args: {A: b}\n"}, args("A", "b"), labels(), ""},
		{"yml", map[string]string{"build.yml": "args: {A: b}\n"}, args("A", "b"), labels(), ""},
		{"broken", map[string]string{"build.yaml": "args: [\n"}, nil, nil, "build.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := lifecycle.Offer{Slug: "local_radio", Folder: t.TempDir(), Manifest: addons.Manifest{Name: "Radio", Version: "1.10"}}
			for name, content := range c.files {
				write(t, filepath.Join(o.Folder, name), content)
			}
			req, err := buildRequest(o, "aarch64")
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || !maps.Equal(req.Args, c.args) || !maps.Equal(req.Labels, c.labels) || req.Context != o.Folder || req.Tag != "localhost/addon/local_radio:1.10" {
				t.Errorf("got %+v, %v; want %v, %v", req, err, c.args, c.labels)
			}
		})
	}
}

// TestASlugWithCapitalsCanBeBuilt: Home Assistant takes them in slugs, engines not in names of images.
func TestASlugWithCapitalsCanBeBuilt(t *testing.T) {
	req, err := buildRequest(lifecycle.Offer{Slug: "local_MyRadio", Folder: t.TempDir(), Manifest: addons.Manifest{Version: "1.0-RC"}}, "amd64")
	if err != nil || req.Tag != "localhost/addon/local_myradio:1.0-RC" || req.For != "local_MyRadio" {
		t.Errorf("%+v, %v", req, err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
