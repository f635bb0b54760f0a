package engine

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.uber.org/goleak"
)

// await reads events until one of that kind about that container; others pass by.
func await(t *testing.T, events <-chan Event, kind Kind, container string) Event {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				t.Fatalf("events ended before %s", kind)
			}
			if ev.Kind == kind && (container == "" || ev.Container == container) {
				return ev
			}
		case <-deadline:
			t.Fatalf("no event %s", kind)
		}
	}
}

func TestEventsOutliveTheEngine(t *testing.T) {
	d := testenv.PrivateEngine(t)
	h := newHouse(t, d.Host)
	img, permit := h.pulled(testenv.Build{
		Env:    map[string]string{"APP_FAIL_AFTER": "1s"},
		Health: &v1.HealthConfig{Test: []string{"CMD", "/app", "get", "http://127.0.0.1:8080/health"}, Interval: 300 * time.Millisecond, Timeout: time.Second, Retries: 1},
	}, "core")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := h.Events(ctx)
	await(t, events, Connected, "")

	c := h.create(permit, img, "c1", spec.Container{})
	h.must(h.Start(ctx, c.ID))
	if ev := await(t, events, Started, c.ID); ev.Service != "core" || ev.Change != "c1" || ev.Name != "core.c1" || ev.Time.IsZero() {
		t.Errorf("start: %+v", ev)
	}
	if ev := await(t, events, Health, c.ID); ev.Health != "healthy" {
		t.Errorf("health: %+v", ev)
	}
	if ev := await(t, events, Health, c.ID); ev.Health != "unhealthy" {
		t.Errorf("health: %+v", ev)
	}
	if got := h.look(c.ID).Health; got != "unhealthy" {
		t.Errorf("health in the list: %q", got)
	}
	if exit, _, err := h.Exec(ctx, c.ID, []string{"/app", "exit", "0"}); exit != 0 || err != nil { // no event of ours
		t.Errorf("exec: %d, %v", exit, err)
	}
	h.must(h.Stop(ctx, c.ID, time.Second))
	if ev := await(t, events, Died, c.ID); ev.ExitCode != 0 {
		t.Errorf("die: %+v", ev)
	}

	d.Kill()
	if ev := await(t, events, Away, ""); ev.Err == nil {
		t.Errorf("away: %+v", ev)
	}
	d.Start()
	await(t, events, Connected, "")
	h.must(h.Start(ctx, c.ID))
	await(t, events, Started, c.ID)
	h.must(h.Remove(ctx, c.ID))
	await(t, events, Died, c.ID)
	await(t, events, Destroyed, c.ID)
	cancel()
	for range events { // ends, because the channel is closed
	}
}

func TestEventsOfASilentEngineEnd(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // after the fake's own cleanup
	var dead atomic.Bool
	host := fakeEngine(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/events"):
			w.(http.Flusher).Flush()
			silence(w, r)
		case !dead.Load():
			pong(w, r, "1.41")
		default: // the stream stays open, the engine is dead behind it
			silence(w, r)
		}
	})
	e, err := New(Config{Host: host, House: "h", CallTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	events := e.Events(ctx)
	await(t, events, Connected, "")
	dead.Store(true)
	await(t, events, Away, "")
	cancel()
	for range events {
	}
	_ = e.Close()
}
