package engine

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"
)

// house is one appliance in a test: its engine, its registry, and what lies in it.
type house struct {
	*Engine
	t        testing.TB
	registry string
	pulls    *atomic.Int32 // how often a registry was asked for
	images   map[trust.Digest]testenv.Image
}

// newHouse is an appliance on host; what it makes is gone after the test.
func newHouse(t testing.TB, host string) *house {
	t.Helper()
	h := &house{t: t, registry: testenv.Registry(t), pulls: new(atomic.Int32), images: map[trust.Digest]testenv.Image{}}
	var err error
	h.Engine, err = New(Config{
		Host: host, House: strings.ReplaceAll(t.Name(), "/", "."), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		PullRef: func(_ context.Context, s trust.Subject) (string, func(), error) {
			h.pulls.Add(1)
			return h.images[s.Manifest].PullRef(), func() {}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		found, _ := h.List(ctx, "") // an engine that the test broke has nothing to clean
		for _, c := range found {
			_ = h.Remove(ctx, c.ID)
		}
		_ = h.Close()
	})
	return h
}

// image builds an image and gives the Gate's permit for it.
func (h *house) image(b testenv.Build, service string) (testenv.Image, trust.Permit) {
	h.t.Helper()
	b.Registry = h.registry
	b.Env = maps.Clone(b.Env)
	if b.Env == nil {
		b.Env = map[string]string{}
	}
	b.Env["TEST"] = h.t.Name() // the engine keeps images over tests
	i := testenv.BuildImage(h.t, b)
	h.images[i.Manifest] = i
	return i, testenv.Permit(h.t, service, i)
}

// pulled is image, pulled.
func (h *house) pulled(b testenv.Build, service string) (supervisor.Image, trust.Permit) {
	h.t.Helper()
	_, permit := h.image(b, service)
	img, err := h.Pull(h.t.Context(), permit, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return img, permit
}

// create makes a container called "service.change".
func (h *house) create(permit trust.Permit, img supervisor.Image, change string, c spec.Container) supervisor.Container {
	h.t.Helper()
	service := permit.Subject().Component
	out, err := h.Create(h.t.Context(), permit, img.ID, supervisor.Naming{
		Service: service, Change: change, Version: permit.Subject().Version, Name: service + "." + change,
	}, c)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// running is create and start.
func (h *house) running(permit trust.Permit, img supervisor.Image, change string, c spec.Container) supervisor.Container {
	h.t.Helper()
	out := h.create(permit, img, change, c)
	h.must(h.Start(h.t.Context(), out.ID))
	return h.look(out.ID)
}

// look finds a container by ID; it must be there.
func (h *house) look(id string) supervisor.Container {
	h.t.Helper()
	found, err := h.List(h.t.Context(), "")
	h.must(err)
	for _, c := range found {
		if c.ID == id {
			return c
		}
	}
	h.t.Fatalf("container %s is gone", id)
	return supervisor.Container{}
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// docker is the engine without Castellan between.
func (h *house) docker() *client.Client {
	h.t.Helper()
	cli, err := h.connect(h.t.Context())
	h.must(err)
	return cli
}

// get fetches a page, within a deadline, as soon as it is there.
func get(t testing.TB, url string) string {
	t.Helper()
	var body string
	testenv.Eventually(t, 20*time.Second, url+" answers", func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		body = strings.TrimSpace(string(b))
		return err == nil && resp.StatusCode == http.StatusOK
	})
	return body
}

func TestInfoTellsWhatSupportAsks(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	info, err := h.Info(t.Context())
	h.must(err)
	if info.Version == "" || info.API < MinAPI || info.Store == "" || info.Platform.OS != "linux" || info.Root == "" {
		t.Errorf("info: %+v", info)
	}
}

func TestEveryCallCanRunTwice(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	c := h.create(permit, img, "c1", spec.Container{})
	if again := h.create(permit, img, "c1", spec.Container{}); again.ID != c.ID {
		t.Errorf("the same change made a second container")
	}
	if c.Running || !c.Started.IsZero() || c.Restart != "no" || c.Service != "core" || c.Change != "c1" || c.Image != img.ID {
		t.Errorf("created: %+v", c)
	}
	for _, step := range []struct {
		name string
		do   func() error
		ok   func(supervisor.Container) bool
	}{
		{"start", func() error { return h.Start(t.Context(), c.ID) }, func(c supervisor.Container) bool { return c.Running && !c.Started.IsZero() && c.IP != "" }},
		{"settle", func() error { return h.Settle(t.Context(), c.ID, "core", "unless-stopped") }, func(c supervisor.Container) bool {
			return c.Running && c.Name == "core" && c.Restart == "unless-stopped"
		}},
		{"unsettle", func() error { return h.Settle(t.Context(), c.ID, "core.prev", "no") }, func(c supervisor.Container) bool {
			return c.Running && c.Name == "core.prev" && c.Restart == "no"
		}},
		{"stop", func() error { return h.Stop(t.Context(), c.ID, 5*time.Second) }, func(c supervisor.Container) bool { return !c.Running && c.ExitCode == 0 }},
	} {
		for range 2 {
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if now := h.look(c.ID); !step.ok(now) {
				t.Errorf("after %s: %+v", step.name, now)
			}
		}
	}
	if err := h.RemoveImage(t.Context(), img.ID); err == nil {
		t.Error("an image was removed from under its container")
	}
	for range 2 {
		h.must(h.Remove(t.Context(), c.ID))
		h.must(h.Stop(t.Context(), c.ID, time.Second))
	}
	for range 2 {
		h.must(h.RemoveImage(t.Context(), img.ID))
	}
	if _, ok, err := h.Image(t.Context(), permit.Subject()); ok || err != nil {
		t.Errorf("image after removal: %v, %v", ok, err)
	}
	if err := h.Start(t.Context(), c.ID); !cerrdefs.IsNotFound(err) {
		t.Errorf("start of a removed container: %v", err)
	}
}

func TestStopKillsWhatIgnoresSIGTERM(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{Env: map[string]string{"APP_IGNORE_TERM": "1"}}, "core")
	c := h.running(permit, img, "c1", spec.Container{})
	h.must(h.Stop(t.Context(), c.ID, 200*time.Millisecond))
	if now := h.look(c.ID); now.Running || now.ExitCode != 137 {
		t.Errorf("after stop: %+v", now)
	}
	h.must(h.Start(t.Context(), c.ID))
	h.must(h.Remove(t.Context(), c.ID)) // running and deaf: removed all the same
}

func TestOtherAppliancesContainersAreNeverTouched(t *testing.T) {
	host := testenv.Engine(t)
	h := newHouse(t, host)
	img, permit := h.pulled(testenv.Build{}, "core")
	c := h.running(permit, img, "c1", spec.Container{})
	other, err := New(Config{Host: host, House: "next-door"})
	h.must(err)
	for name, err := range map[string]error{
		"start":  other.Start(t.Context(), c.ID),
		"stop":   other.Stop(t.Context(), c.ID, time.Second),
		"remove": other.Remove(t.Context(), c.ID),
		"settle": other.Settle(t.Context(), c.ID, "core", "no"),
		"exec":   func() error { _, _, err := other.Exec(t.Context(), c.ID, []string{"/app", "exit", "0"}); return err }(),
	} {
		if !errors.Is(err, supervisor.ErrNotPermitted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if found, err := other.List(t.Context(), ""); err != nil || len(found) > 0 {
		t.Errorf("list: %v, %v", found, err)
	}
	if !h.look(c.ID).Running {
		t.Error("the neighbour stopped it")
	}
}

func TestExec(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	c := h.running(permit, img, "c1", spec.Container{})
	run := func(ctx context.Context, command ...string) (int, string, error) {
		exit, out, err := h.Exec(ctx, c.ID, command)
		return exit, string(out), err
	}
	if exit, _, err := run(t.Context(), "/app", "exit", "3"); exit != 3 || err != nil {
		t.Errorf("exit 3: %d, %v", exit, err)
	}
	if exit, out, err := run(t.Context(), "/app", "print", "5"); exit != 0 || err != nil || !strings.Contains(out, "xxxxx") || !strings.Contains(out, "word\n") {
		t.Errorf("print: %d, %q, %v", exit, out, err)
	}
	if exit, out, err := run(t.Context(), "/app", "print", "10000000"); exit != 0 || err != nil || len(out) != MaxExecOutput {
		t.Errorf("long output: %d, %d bytes, %v", exit, len(out), err)
	}
	if exit, _, err := run(t.Context(), "/missing"); exit == 0 && err == nil {
		t.Error("a missing command passed")
	}
	if _, _, err := run(t.Context()); err == nil {
		t.Error("an empty command passed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if exit, _, err := run(ctx, "/app", "sleep", "1h"); exit != -1 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("command that hangs: %d, %v", exit, err)
	}
	h.must(h.Stop(t.Context(), c.ID, time.Second))
	if exit, _, err := run(t.Context(), "/app", "exit", "0"); err == nil {
		t.Errorf("command in a stopped container: %d", exit)
	}
}
