package engine

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/tests/testenv"
	"github.com/castellan/castellan/trust"
)

func TestPullHoldsThePermittedImage(t *testing.T) {
	for name, b := range map[string]testenv.Build{
		"manifest": {Tag: "1.1", Pad: 3 << 20},
		"index":    {Tag: "1.2", Pad: 3 << 20, Index: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, testenv.Engine(t))
			_, permit := h.image(b, "core")
			s := permit.Subject()
			if _, ok, err := h.Image(t.Context(), s); ok || err != nil {
				t.Fatalf("before the pull: %v, %v", ok, err)
			}
			var done, total int64
			img, err := h.Pull(t.Context(), permit, func(d, n int64) { done, total = d, n })
			h.must(err)
			if !s.Has(img.ID) || img.Platform.Architecture != runtime.GOARCH || img.Size == 0 {
				t.Errorf("pulled: %+v", img)
			}
			if done == 0 || done != total {
				t.Errorf("progress ended at %d of %d", done, total)
			}
			r, err := h.docker().ImageInspect(t.Context(), s.Repository+":"+s.Version)
			if err != nil || r.ID != string(img.ID) {
				t.Errorf("name for people: %v, %v", r.ID, err)
			}
			again, err := h.Pull(t.Context(), permit, nil)
			if err != nil || again != img || h.pulls.Load() != 1 {
				t.Errorf("second pull: %+v, %v, %d downloads", again, err, h.pulls.Load())
			}
			h.must(h.RemoveImage(t.Context(), img.ID))
		})
	}
}

func TestNothingHappensWithoutAPermit(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	img, permit := h.pulled(testenv.Build{}, "core")
	other, otherPermit := h.pulled(testenv.Build{Tag: "2.0"}, "core")
	if _, err := h.Pull(t.Context(), trust.Permit{}, nil); !errors.Is(err, supervisor.ErrNotPermitted) {
		t.Errorf("pull: %v", err)
	}
	for name, c := range map[string]struct {
		permit  trust.Permit
		img     supervisor.Image
		service string
	}{
		"zero permit":             {trust.Permit{}, img, "core"},
		"another service's":       {permit, img, "mqtt"},
		"another image's":         {permit, other, "core"},
		"another image's, turned": {otherPermit, img, "core"},
	} {
		_, err := h.Create(t.Context(), c.permit, c.img.ID, supervisor.Naming{Service: c.service, Change: "c1", Name: "x"}, spec.Container{})
		if !errors.Is(err, supervisor.ErrNotPermitted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if found, err := h.List(t.Context(), ""); err != nil || len(found) > 0 {
		t.Errorf("containers: %v, %v", found, err)
	}
}

func TestTagMovesBetweenVerdictAndStart(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	judged, permit := h.image(testenv.Build{Tag: "3.0"}, "core")
	// The registry's tag moves after the verdict, before the pull.
	moved, _ := h.image(testenv.Build{Tag: "3.0", Env: map[string]string{"APP_VERSION": "evil"}}, "core")
	if judged.Manifest == moved.Manifest || judged.Reference() != moved.Reference() {
		t.Fatal("the tag did not move")
	}
	img, err := h.Pull(t.Context(), permit, nil)
	h.must(err)
	if !permit.Subject().Has(img.ID) {
		t.Fatalf("pulled %s", img.ID)
	}
	// The engine's own tag moves after the pull, before create and again before start.
	evil, err := h.Pull(t.Context(), testenv.Permit(t, "core", moved), nil)
	h.must(err)
	name := permit.Subject().Repository + ":3.0"
	h.must(h.docker().ImageTag(t.Context(), string(evil.ID), name))
	c := h.create(permit, img, "c1", spec.Container{})
	h.must(h.docker().ImageTag(t.Context(), string(evil.ID), name))
	h.must(h.Start(t.Context(), c.ID))
	if c = h.look(c.ID); c.Image != img.ID {
		t.Errorf("runs %s", c.Image)
	}
	if v := get(t, "http://"+c.IP+":8080/version"); v != "3.0" {
		t.Errorf("runs version %q", v)
	}
}

func TestImageOfAnotherPlatformIsRefused(t *testing.T) {
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	h := newHouse(t, testenv.Engine(t))
	i, _ := h.image(testenv.Build{Platforms: []string{"linux/" + other}}, "core")
	s := i.Subject("core", trust.ClassAddon)
	s.Platform.Architecture = runtime.GOARCH // what a ledger or index may wrongly say
	permit := testenv.PermitFor(t, s, i.Raw)
	_, err := h.Pull(t.Context(), permit, nil)
	if !errors.Is(err, supervisor.ErrNotPermitted) || !strings.Contains(err.Error(), other) {
		t.Errorf("pull: %v", err)
	}
	if _, ok, err := h.Image(t.Context(), s); ok || err != nil {
		t.Errorf("it stayed: %v, %v", ok, err)
	}
}

func TestPlatformsThatAreTheSame(t *testing.T) {
	for _, c := range []struct {
		have, want string
		ok         bool
	}{
		{"linux/amd64", "linux/amd64", true},
		{"linux/arm64", "linux/arm64/v8", true},
		{"linux/arm/v7", "linux/arm/v7", true},
		{"linux/arm/v7", "linux/arm/v6", false},
		{"linux/arm64", "linux/amd64", false},
		{"windows/amd64", "linux/amd64", false},
		{"", "linux/amd64", false},
	} {
		id := trust.DigestOf([]byte("x"))
		err := checkImage(trust.Subject{Config: id, Platform: trust.ParsePlatform(c.want)},
			supervisor.Image{ID: id, Platform: trust.ParsePlatform(c.have)})
		if (err == nil) != c.ok {
			t.Errorf("%s for %s: %v", c.have, c.want, err)
		}
	}
}

func TestPullSaysWhatTheEngineSaid(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	_, permit := h.image(testenv.Build{}, "core")
	ghost := permit.Subject()
	h.cfg.PullRef = func(_ context.Context, s trust.Subject) (string, func(), error) {
		return h.registry + "/nothing-here@" + string(s.Manifest), nil, nil
	}
	_, err := h.Pull(t.Context(), permit, nil)
	if err == nil || errors.Is(err, supervisor.ErrEngineAway) || !strings.Contains(err.Error(), "not found") && !strings.Contains(err.Error(), "unknown") {
		t.Errorf("missing manifest: %v", err)
	}
	for _, ref := range []string{h.registry + "/app:1.0", h.registry + "/app@" + string(ghost.Config), ""} {
		h.cfg.PullRef = func(context.Context, trust.Subject) (string, func(), error) { return ref, nil, nil }
		if _, err := h.Pull(t.Context(), permit, nil); !errors.Is(err, supervisor.ErrNotPermitted) {
			t.Errorf("reference %q: %v", ref, err)
		}
	}
	h.cfg.PullRef = nil
	if _, err := h.Pull(t.Context(), permit, nil); err == nil {
		t.Error("pulled from nowhere")
	}
}

func TestPullEndsWhenNoByteArrives(t *testing.T) {
	h := newHouse(t, testenv.Engine(t))
	i, permit := h.image(testenv.Build{}, "core")
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	upstream := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: h.registry})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") && !strings.Contains(r.URL.Path, i.Config.Hex()) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
			return
		}
		upstream.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.CloseClientConnections)
	h.cfg.PullRef = func(_ context.Context, s trust.Subject) (string, func(), error) {
		return strings.TrimPrefix(srv.URL, "http://") + "/" + i.Repository + "@" + string(s.Manifest), nil, nil
	}
	h.cfg.PullStall = 300 * time.Millisecond
	if _, err := h.Pull(t.Context(), permit, nil); !errors.Is(err, supervisor.ErrEngineAway) || !strings.Contains(err.Error(), "no byte") {
		t.Errorf("stalled pull: %v", err)
	}
	h.cfg.PullStall = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := h.Pull(ctx, permit, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("caller's deadline: %v", err)
	}
}

func FuzzPullReport(f *testing.F) {
	f.Add(`{"status":"Pulling from app","id":"sha256:1"}` + "\r\n" +
		`{"status":"Downloading","progressDetail":{"current":1,"total":9},"id":"a"}` + "\r\n" +
		`{"status":"Download complete","progressDetail":{},"id":"a"}` + "\r\n")
	f.Add(`{"errorDetail":{"message":"no space left on device"},"error":"no space left on device"}`)
	f.Add(`{"status":"Downloading","progressDetail":{"current":-9223372036854775808,"total":-1},"id":"a"}`)
	f.Add("{")
	f.Fuzz(func(t *testing.T, report string) {
		_ = readPull(strings.NewReader(report), func(done, total int64) {
			if done < 0 && total >= 0 {
				t.Errorf("progress %d of %d", done, total)
			}
		}, func() {})
	})
}

func TestProgressCountsDownloadsOnce(t *testing.T) {
	var got [][2]int64
	moves := 0
	err := readPull(strings.NewReader(`
{"status":"Downloading","progressDetail":{"current":1,"total":10},"id":"a"}
{"status":"Downloading","progressDetail":{"current":1,"total":10},"id":"a"}
{"status":"Downloading","progressDetail":{"current":5,"total":20},"id":"b"}
{"status":"Download complete","progressDetail":{},"id":"a"}
{"status":"Extracting","progressDetail":{"current":3,"total":10},"id":"a"}
{"status":"Pull complete","progressDetail":{},"id":"a"}
`), func(done, total int64) { got = append(got, [2]int64{done, total}) }, func() { moves++ })
	want := [][2]int64{{1, 10}, {6, 30}, {15, 30}}
	if err != nil || len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || moves != 5 {
		t.Errorf("got %v (%d moves), %v; want %v (5 moves)", got, moves, err, want)
	}
}
