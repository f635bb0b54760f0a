package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/trust"
)

// fakeEngine answers on a unix socket as the test says. A nil handler accepts connections and says nothing.
func fakeEngine(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if answer == nil {
		t.Cleanup(func() { _ = l.Close() }) // nobody accepts: the kernel does, and no answer ever comes
		return "unix://" + socket
	}
	ctx, cancel := context.WithCancel(context.Background())
	srv := &http.Server{Handler: answer, BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { cancel(); _ = srv.Close() })
	return "unix://" + socket
}

// pong answers a ping as an engine of that API version.
func pong(w http.ResponseWriter, r *http.Request, api string) bool {
	if !strings.HasSuffix(r.URL.Path, "/_ping") {
		return false
	}
	if api != "" {
		w.Header().Set("Api-Version", api)
	}
	return true
}

var specNone spec.Container

func silence(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// everyCall calls each method that talks to the engine.
func everyCall(e *Engine) map[string]func(context.Context) error {
	s := trust.Subject{Component: "core", Repository: "a/b", Version: "1", Manifest: trust.DigestOf(nil), Config: trust.DigestOf([]byte{1})}
	e.cfg.Network = shared("castaway", "9")
	a := Aside{ID: strings.Repeat("a", 64), Name: "theirs", Restart: "no"}
	return map[string]func(context.Context) error{
		"logs": func(ctx context.Context) error {
			_, err := e.Logs(ctx, "core", LogQuery{Lines: 1, Follow: true})
			return err
		},
		"stats":   func(ctx context.Context) error { _, err := e.Stats(ctx, "core"); return err },
		"stdin":   func(ctx context.Context) error { return e.WriteStdin(ctx, "core", []byte("x")) },
		"network": func(ctx context.Context) error { _, err := e.EnsureNetwork(ctx); return err },
		"inspect": func(ctx context.Context) error { _, err := e.Inspect(ctx, "theirs"); return err },
		"hold":    func(ctx context.Context) error { return e.HoldAside(ctx, a) },
		"give":    func(ctx context.Context) error { return e.GiveBack(ctx, a) },
		"info":    func(ctx context.Context) error { _, err := e.Info(ctx); return err },
		"image":   func(ctx context.Context) error { _, _, err := e.Image(ctx, s); return err },
		"pull":    func(ctx context.Context) error { _, err := e.pull(ctx, s, func(int64, int64) {}); return err },
		"fetch":   func(ctx context.Context) error { return e.fetch(ctx, "pull", "a/b", func(int64, int64) {}) },
		"rmi":     func(ctx context.Context) error { return e.RemoveImage(ctx, s.Config) },
		"list":    func(ctx context.Context) error { _, err := e.List(ctx, ""); return err },
		"start":   func(ctx context.Context) error { return e.Start(ctx, "core") },
		"stop":    func(ctx context.Context) error { return e.Stop(ctx, "core", 10*time.Millisecond) },
		"remove":  func(ctx context.Context) error { return e.Remove(ctx, "core") },
		"settle":  func(ctx context.Context) error { return e.Settle(ctx, "core", "x", "no") },
		"exec":    func(ctx context.Context) error { _, _, err := e.Exec(ctx, "core", []string{"true"}); return err },
		"create": func(ctx context.Context) error {
			_, err := e.create(ctx, 1, s.Config, supervisor.Naming{Service: "core", Change: "c", Name: "core.c"}, specNone)
			return err
		},
	}
}

func TestHangingEngineNeverHangsUs(t *testing.T) {
	const described = `{"Id":"abc","Name":"/core","Image":"sha256:0000000000000000000000000000000000000000000000000000000000000000",
		"State":{"Running":%t},"HostConfig":{},"Config":{"OpenStdin":true,"Labels":{"io.castellan.appliance":"h"}}}`
	describe := func(running bool, then http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case pong(w, r, "1.41"):
			case strings.HasSuffix(r.URL.Path, "/containers/core/json"):
				fmt.Fprintf(w, described, running)
			default:
				then(w, r)
			}
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"accepts and is silent": nil,
		"answers pings only": func(w http.ResponseWriter, r *http.Request) {
			if !pong(w, r, "1.41") {
				silence(w, r)
			}
		},
		"describes a stopped container": describe(false, silence),
		"describes a running container": describe(true, silence),
		"running, sends half a body":    describe(true, func(w http.ResponseWriter, r *http.Request) { halfBody(w); silence(w, r) }),
		"running, silent when talked to": describe(true, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/containers/json") {
				fmt.Fprint(w, "[]")
				return
			}
			silence(w, r)
		}),
		"running, never ends an exec": describe(true, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/exec"):
				w.WriteHeader(http.StatusCreated)
				fmt.Fprint(w, `{"Id":"e1"}`)
			case strings.HasSuffix(r.URL.Path, "/start"):
				w.(http.Flusher).Flush()
				silence(w, r)
			default:
				silence(w, r)
			}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := New(Config{Host: fakeEngine(t, answer), House: "h", CallTimeout: 50 * time.Millisecond, PullStall: 100 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			for call, do := range everyCall(e) {
				done := make(chan error, 1)
				go func() { done <- do(t.Context()) }()
				select {
				case err := <-done:
					already := call == "stop" && strings.Contains(name, "stopped") || // it does not run
						call == "start" && strings.Contains(name, "running") || // it runs
						call == "list" && strings.Contains(name, "talked to") || // none
						call == "remove" && strings.Contains(name, "half") // the status was there
					if !errors.Is(err, supervisor.ErrEngineAway) && !already {
						t.Errorf("%s: %v", call, err)
					}
				case <-time.After(20 * time.Second):
					t.Fatalf("%s hangs", call)
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if err := do(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("%s, cancelled by its caller: %v", call, err)
				}
			}
		})
	}
}

func halfBody(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "1000")
	fmt.Fprint(w, `{"Id":`)
	w.(http.Flusher).Flush()
}

func TestAbsentEngineIsExplained(t *testing.T) {
	dead := filepath.Join(t.TempDir(), "dead")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close() // the socket stays, as after a crash
	missing := filepath.Join(t.TempDir(), "missing")
	for host, want := range map[string]string{
		"unix://" + missing: "install docker.io",
		"unix://" + dead:    "systemctl start docker",
		"tcp://127.0.0.1:1": "engine.host",
		fakeEngine(t, func(w http.ResponseWriter, r *http.Request) { pong(w, r, "") }): "names no Docker API version",
		fakeEngine(t, func(w http.ResponseWriter, r *http.Request) {
			if !pong(w, r, "1.40") {
				fmt.Fprint(w, `{"Version":"19.03.15","ApiVersion":"1.40"}`)
			}
		}): "Docker engine 19.03.15 (API 1.40)",
	} {
		e, err := New(Config{Host: host, House: "h", CallTimeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.List(t.Context(), "")
		if !errors.Is(err, supervisor.ErrEngineAway) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q in: %v", host, want, err)
		}
	}
	for _, cfg := range []Config{{}, {House: "h", Host: "ssh://x"}, {House: "h", Host: "docker.sock"}, {House: "h", Host: "tcp://"}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("made an engine of %+v", cfg)
		}
	}
}

func TestEngineMayBeReplacedWhileWeRun(t *testing.T) {
	var api atomic.Value
	api.Store("1.41")
	host := fakeEngine(t, func(w http.ResponseWriter, r *http.Request) {
		now := api.Load().(string)
		switch {
		case pong(w, r, now):
		case !strings.HasPrefix(r.URL.Path, "/v"+now+"/"):
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"message":"client version 1.41 is too old. Minimum supported API version is 1.44"}`)
		default:
			fmt.Fprint(w, `[]`)
		}
	})
	e, err := New(Config{Host: host, House: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.List(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	api.Store("1.45")
	if _, err := e.List(t.Context(), ""); !errors.Is(err, supervisor.ErrEngineAway) {
		t.Errorf("right after the upgrade: %v", err)
	}
	if _, err := e.List(t.Context(), ""); err != nil {
		t.Errorf("after the upgrade: %v", err)
	}
}

func TestFullDiskIsToldApart(t *testing.T) {
	host := fakeEngine(t, func(w http.ResponseWriter, r *http.Request) {
		if !pong(w, r, "1.41") {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"message":"mkdir /var/lib/docker/x: no space left on device"}`)
		}
	})
	e, err := New(Config{Host: host, House: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.List(t.Context(), ""); !errors.Is(err, supervisor.ErrNoSpace) || errors.Is(err, supervisor.ErrEngineAway) {
		t.Errorf("got %v", err)
	}
}

// An engine with containerd's image store names an image by its manifest or index, and may call the config unknown.
func TestImageIsFoundInEitherStore(t *testing.T) {
	s := trust.Subject{
		Component: "core", Platform: trust.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"},
		Index: trust.DigestOf([]byte("index")), Manifest: trust.DigestOf([]byte("manifest")), Config: trust.DigestOf([]byte("config")),
	}
	for name, id := range map[string]trust.Digest{
		"config": s.Config, "manifest": s.Manifest, "index": s.Index, "": "", "another image": trust.DigestOf([]byte("other")),
	} {
		e, err := New(Config{House: "h", Host: fakeEngine(t, func(w http.ResponseWriter, r *http.Request) {
			asked := strings.HasSuffix(r.URL.Path, "/images/"+string(id)+"/json") || name == "another image"
			if !pong(w, r, "1.51") && (id == "" || !asked) {
				w.WriteHeader(http.StatusNotFound)
			} else if !strings.HasSuffix(r.URL.Path, "/_ping") {
				fmt.Fprintf(w, `{"Id":%q,"Os":"linux","Architecture":"arm64","Size":7}`, id)
			}
		})})
		if err != nil {
			t.Fatal(err)
		}
		img, ok, err := e.Image(t.Context(), s)
		if err != nil || ok != s.Has(id) || ok && (img.ID != id || checkImage(s, img) != nil) {
			t.Errorf("named by %q: %+v, %v, %v", name, img, ok, err)
		}
	}
}

func TestHostPlatformInOCIWords(t *testing.T) {
	for machine, want := range map[string]string{
		"x86_64": "linux/amd64", "aarch64": "linux/arm64/v8", "armv7l": "linux/arm/v7", "armv6l": "linux/arm/v6",
		"i686": "linux/386", "riscv64": "linux/riscv64",
	} {
		if got := hostPlatform("linux", machine).String(); got != want {
			t.Errorf("%s: %s, want %s", machine, got, want)
		}
	}
}
