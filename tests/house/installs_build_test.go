package house

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

// addonSource writes an add-on that is built on the appliance: a program, how to build its image, its configuration.
func (h *house) addonSource(slug, version string) {
	h.t.Helper()
	h.addonConfig(slug, version)
	dir := h.path("data", "addons", "local", slug)
	config, err := os.ReadFile(filepath.Join(dir, "config.yaml"))
	must(h.t, err)
	lines := slices.DeleteFunc(strings.Split(string(config), "\n"), func(l string) bool { return strings.HasPrefix(l, "image:") })
	must(h.t, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(strings.Join(lines, "\n")), 0o644))
	must(h.t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nARG BUILD_VERSION\nENV APP_VERSION=$BUILD_VERSION APP_WRITE=/data/version\nCOPY app /app\nENTRYPOINT [\"/app\"]\n"), 0o644))
	must(h.t, os.WriteFile(filepath.Join(dir, "app"), testenv.Program(h.t), 0o755))
}

// TestLocalBuild builds an add-on on the appliance: only when its owner asks, never by itself, and never with a badge that
// would say more. Its slug has a capital, which no name of an image may have.
func TestLocalBuild(t *testing.T) {
	h := storeHouse(t)
	h.addonSource("Mine", "1.0")
	h.offers()
	ran := func() string {
		t.Helper()
		b, err := os.ReadFile(h.path("data", "addons", "data", "local_Mine", "version"))
		must(t, err)
		return string(b)
	}
	listed := func() api.Addon {
		t.Helper()
		all, err := h.client.Addons(context.Background(), true)
		must(t, err)
		for _, a := range all.Addons {
			if a.Slug == "local_Mine" {
				return a
			}
		}
		t.Fatalf("it is not listed: %+v", all)
		return api.Addon{}
	}
	if a := listed(); !a.Build || a.Badge == "verified" {
		t.Errorf("listed as %+v", a)
	}
	h.castellan("addon", "install", "local_Mine", "--yes").says(t, 1, "it has no image and is built on this appliance", "castellan addon build local_Mine")
	if a := listed(); a.State != "absent" {
		t.Errorf("a refused installation left it %s", a.State)
	}
	h.castellan("addon", "build", "local_Mine").says(t, 0)
	h.addonIs("local_Mine", "1.0", "stopped", "local")
	h.castellan("addon", "start", "local_Mine").says(t, 0)
	h.addonIs("local_Mine", "1.0", "running", "local")
	if v := ran(); v != "1.0" {
		t.Errorf("version %q runs", v)
	}

	h.addonSource("Mine", "1.1")
	h.offers()
	h.castellan("check").says(t, 0, "castellan addon build local_Mine")
	h.castellan("check", "--json").says(t, 0, `"local-build"`)
	h.castellan("update").says(t, 3)
	h.castellan("addon", "update", "local_Mine").says(t, 3, "it is built on this appliance when you ask")
	h.castellan("addon", "set", "local_Mine", "--auto-update", "on").says(t, 1, "never updated by itself")
	h.addonIs("local_Mine", "1.0", "running", "local")

	h.castellan("addon", "build", "local_Mine").says(t, 0)
	h.addonIs("local_Mine", "1.1", "running", "local")
	if v := ran(); v != "1.1" {
		t.Errorf("version %q runs", v)
	}
	h.castellan("addon", "rollback", "local_Mine").says(t, 0)
	h.addonIs("local_Mine", "1.0", "running", "local")

	// A build that fails ends with the engine's words, and what runs goes on.
	h.addonSource("Mine", "1.2")
	must(t, os.Remove(h.path("data", "addons", "local", "Mine", "app")))
	h.offers()
	h.castellan("addon", "build", "local_Mine").says(t, 1, "app")
	h.addonIs("local_Mine", "1.0", "running", "local")

	// What was built stays as long as something needs it.
	built := func() int {
		t.Helper()
		out := run(t, nil, "docker", "-H", h.engine, "images", "--quiet", "--no-trunc", "--filter", "label=io.castellan.built")
		out.says(t, 0)
		return len(strings.Fields(out.stdout))
	}
	if n := built(); n == 0 || n > 2 {
		t.Errorf("%d images are kept of an add-on with one version and one to go back to", n)
	}
	h.castellan("addon", "uninstall", "local_Mine").says(t, 0)
	testenv.Eventually(t, 30*time.Second, "the images of an add-on that is gone are gone", func() bool { return built() == 0 })
	h.castellan("log", "verify").says(t, 0)
}
