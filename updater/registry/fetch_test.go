package registry

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const blobSize = 300_000

// blobFaults are what a mirror may do to a blob. alone tells whether the blob can be had from it all the same.
var blobFaults = map[string]struct {
	fault fault
	alone bool
	kind  error // when it can't
}{
	"flipped byte":            {flipAt(1000), false, ErrBadContent},
	"flipped last byte":       {flipAt(blobSize - 1), false, ErrBadContent},
	"cut at the start":        {cutAt(0), false, ErrUnreachable},
	"cut again and again":     {cutAt(100_000), true, nil},
	"cut, and Range ignored":  {ignoreRange(cutAt(100_000)), false, ErrUnreachable},
	"stall at the start":      {stallAt(0), false, ErrUnreachable},
	"stall again and again":   {stallAt(100_000), true, nil},
	"stall before the header": {func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }, false, ErrUnreachable},
	"one byte at a time":      {trickle, false, ErrUnreachable},
	"503":                     {status(503), false, ErrUnreachable},
	"401":                     {status(401), false, ErrUnauthorized},
	"404":                     {status(404), false, ErrNotFound},
	"416 to everything":       {status(416), false, ErrBadContent},
	"429":                     {status(429), false, ErrRateLimited},
	"empty":                   {status(200), false, ErrBadContent},
	"206 without being asked": {partly, false, ErrBadContent},
	"endless":                 {endless, false, ErrBadContent},
	"announces more": {func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Length", "99999999")
		w.WriteHeader(200)
	}, false, ErrBadContent},
	"other range": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Header.Get("Range") == "" {
			cutAt(100_000)(w, r, next)
			return
		}
		w.Header().Set("Content-Range", "bytes 5-9/10")
		w.WriteHeader(206)
	}, false, ErrBadContent},
	"redirects for ever": {func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	}, false, ErrUnreachable},
	"cut, then 416": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Header.Get("Range") != "" {
			w.WriteHeader(416)
			return
		}
		cutAt(100_000)(w, r, next)
	}, false, ErrUnreachable},
}

func trickle(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := whole(r, next)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, b := range rec.Body.Bytes() {
		if _, err := w.Write([]byte{b}); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

func partly(w http.ResponseWriter, r *http.Request, next http.Handler) {
	w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-9/%d", blobSize))
	w.WriteHeader(206)
	w.Write(make([]byte, 10))
}

func endless(w http.ResponseWriter, r *http.Request, next http.Handler) {
	for b := make([]byte, 1<<16); ; {
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}

// oneLayer is an image whose layer has about blobSize bytes.
func oneLayer(t testing.TB) v1.Image { return image(t, amd64, blobSize, 1) }

// onLayers spares the config, so that Resolve works.
func onLayers(config trust.Digest, f fault) fault {
	return onBlobs(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, string(config)) {
			next.ServeHTTP(w, r)
			return
		}
		f(w, r, next)
	})
}

func TestBlobFromOneFaultyRegistry(t *testing.T) {
	for name, c := range blobFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, newContent())
			push(t, h, "home/core", "1", oneLayer(t))
			u := newUp(t, UpstreamConfig{})
			res := mustResolve(t, u, amd64, h.host()+"/home/core:1", "1")
			h.breaks(onLayers(res.Subject.Config, c.fault))
			dir := t.TempDir()
			s := serve(t, Config{Dir: dir, Upstream: u, Stall: 150 * time.Millisecond, Grace: time.Minute})
			o := mustOffer(t, s, res)
			err := pull(t.Context(), o.Ref())
			if (err == nil) != c.alone {
				t.Errorf("pull: %v", err)
			}
			if c.kind != nil && err != nil && !strings.Contains(err.Error(), c.kind.Error()) {
				t.Errorf("the engine is told %v, want %q", err, c.kind)
			}
			o.Release()

			// Once the registry is well again the next pull works, whatever was left behind.
			h.breaks(pass)
			o = mustOffer(t, s, res)
			if err := pull(t.Context(), o.Ref()); err != nil {
				t.Errorf("after it is well: %v", err)
			}
			o.Release()
			if left := files(t, dir); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestBlobComesFromTheNextMirrorWhateverTheFirstDoes(t *testing.T) {
	for name, c := range blobFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := newContent()
			bad, good := newHub(t, content), newHub(t, content)
			push(t, good, "home/core", "1", oneLayer(t))
			u := newUp(t, UpstreamConfig{Mirrors: map[string][]string{"r.example": {bad.URL, good.URL}}})
			res := mustResolve(t, u, amd64, "r.example/home/core:1", "1")
			bad.breaks(onLayers(res.Subject.Config, c.fault))
			s := serve(t, Config{Upstream: u, Stall: 150 * time.Millisecond, Grace: time.Minute})
			o := mustOffer(t, s, res)
			defer o.Release()
			if err := pull(t.Context(), o.Ref()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestCutBlobIsContinuedOnTheNextMirrorWithoutAByteTwice(t *testing.T) {
	content := newContent()
	bad, good := newHub(t, content), newHub(t, content)
	push(t, good, "home/core", "1", oneLayer(t))
	u := newUp(t, UpstreamConfig{Mirrors: map[string][]string{"r.example": {bad.URL, good.URL}}})
	res := mustResolve(t, u, amd64, "r.example/home/core:1", "1")
	bad.breaks(onLayers(res.Subject.Config, cutAt(123_456)))
	s := serve(t, Config{Upstream: u})
	o := mustOffer(t, s, res)
	defer o.Release()
	if err := pull(t.Context(), o.Ref()); err != nil {
		t.Fatal(err)
	}
	l := layerOf(t, res, 0)
	// A closed range: some registries answer the open form with 416.
	want := fmt.Sprintf("GET /v2/home/core/blobs/%s bytes=123456-%d", l.Digest, l.Size-1)
	if good.requests(want) != 1 || good.requests(string(l.Digest)) != 1+1 { // one of push
		t.Errorf("want %q once, got %q", want, good.log)
	}
}

func TestMirrorThatSendsWrongBytesIsAskedLast(t *testing.T) {
	content := newContent()
	bad, good := newHub(t, content), newHub(t, content)
	push(t, good, "home/core", "1", oneLayer(t))
	u := newUp(t, UpstreamConfig{Mirrors: map[string][]string{"r.example": {bad.URL, good.URL}}})
	res := mustResolve(t, u, amd64, "r.example/home/core:1", "1")
	bad.breaks(onLayers(res.Subject.Config, flipAt(5)))
	s := serve(t, Config{Upstream: u})
	o := mustOffer(t, s, res)
	defer o.Release()
	if err := pull(t.Context(), o.Ref()); err != nil {
		t.Fatal(err)
	}
	order := u.sources(mustRepo(t, "r.example/home/core").Repository)
	if order[0].String() != good.host() || order[len(order)-1].String() != bad.host() {
		t.Errorf("order %v", order)
	}
}

func TestBadStartFromTheDiskIsNotBlamedOnTheMirror(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", oneLayer(t))
	u := newUp(t, UpstreamConfig{})
	res := mustResolve(t, u, amd64, h.host()+"/home/core:1", "1")
	dir := t.TempDir()
	if err := os.WriteFile(partFile(dir, layerOf(t, res, 0).Digest), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, Config{Dir: dir, Upstream: u})
	o := mustOffer(t, s, res)
	defer o.Release()
	if err := pull(t.Context(), o.Ref()); err != nil {
		t.Fatal(err)
	}
	if len(u.demoted) != 0 {
		t.Errorf("demoted %v", u.demoted)
	}
}

func TestFullDiskIsSaidInWords(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", oneLayer(t))
	u := newUp(t, UpstreamConfig{})
	res := mustResolve(t, u, amd64, h.host()+"/home/core:1", "1")
	s := serve(t, Config{Upstream: u})
	s.store.free = func() (int64, error) { return 1000, nil }
	o := mustOffer(t, s, res)
	defer o.Release()
	err := pull(t.Context(), o.Ref())
	if err == nil || !strings.Contains(err.Error(), "not enough disk space") || !strings.Contains(err.Error(), "1000 are free") {
		t.Error(err)
	}
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		if err := diskError(&os.PathError{Op: "write", Path: "x", Err: e}); !errors.Is(err, ErrDiskFull) {
			t.Error(err)
		}
	}
	if err := diskError(syscall.EIO); errors.Is(err, ErrDiskFull) || !errors.Is(err, errDisk) {
		t.Error(err)
	}
}

func TestOldPartsMakeRoom(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", oneLayer(t))
	u := newUp(t, UpstreamConfig{})
	res := mustResolve(t, u, amd64, h.host()+"/home/core:1", "1")
	dir := t.TempDir()
	old := partFile(dir, trust.Digest(dA))
	if err := os.WriteFile(old, []byte("of another image"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, Config{Dir: dir, Upstream: u})
	s.store.free = func() (int64, error) {
		if _, err := os.Stat(old); err == nil {
			return 0, nil
		}
		return 1 << 40, nil
	}
	o := mustOffer(t, s, res)
	defer o.Release()
	if err := pull(t.Context(), o.Ref()); err != nil {
		t.Fatal(err)
	}
}

func TestBlobOverTheLimitIsNotFetched(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", oneLayer(t))
	u := newUp(t, UpstreamConfig{})
	res := mustResolve(t, u, amd64, h.host()+"/home/core:1", "1")
	s := serve(t, Config{Upstream: u, MaxBytes: 100_000})
	o := mustOffer(t, s, res)
	defer o.Release()
	before := h.requests(string(layerOf(t, res, 0).Digest))
	if err := pull(t.Context(), o.Ref()); err == nil || !strings.Contains(err.Error(), "the limit is 100000") {
		t.Error(err)
	}
	if h.requests(string(layerOf(t, res, 0).Digest)) != before {
		t.Error("it was asked for")
	}
}

func TestReleaseStopsTheDownload(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", oneLayer(t))
	u := newUp(t, UpstreamConfig{})
	res := mustResolve(t, u, amd64, h.host()+"/home/core:1", "1")
	stalled := make(chan struct{}, 1)
	ended := make(chan struct{}, 1)
	h.breaks(onLayers(res.Subject.Config, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		stalled <- struct{}{}
		stallAt(1000)(w, r, next)
		ended <- struct{}{}
	}))
	s := serve(t, Config{Upstream: u, Stall: time.Hour})
	o := mustOffer(t, s, res)
	done := make(chan error, 1)
	go func() { done <- pull(t.Context(), o.Ref()) }()
	<-stalled
	o.Release() // returns although the mirror never ends
	<-ended
	if err := <-done; err == nil {
		t.Error("pulled")
	}
}

func TestRateLimitHolds(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", oneLayer(t))
	u := newUp(t, UpstreamConfig{})
	res := mustResolve(t, u, amd64, h.host()+"/home/core:1", "1")
	s := serve(t, Config{Upstream: u, Rate: 1_000_000})
	o := mustOffer(t, s, res)
	defer o.Release()
	start := time.Now()
	if err := pull(t.Context(), o.Ref()); err != nil {
		t.Fatal(err)
	}
	// 300 KB less a full bucket of 64 KiB take at least 230 ms at 1 MB/s; there is no upper bound to hold.
	if d := time.Since(start); d < 200*time.Millisecond {
		t.Errorf("took %s", d)
	}
}

func BenchmarkPullThroughLoopback(b *testing.B) {
	h := newHub(b, newContent())
	push(b, h, "home/core", "1", image(b, amd64, 16<<20, 2))
	u, err := NewUpstream(UpstreamConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer u.Close()
	res, err := NewResolver(u, amd64, 0).Resolve(b.Context(), "core", trust.ClassCore, h.host()+"/home/core:1", "1")
	if err != nil {
		b.Fatal(err)
	}
	s := serve(b, Config{Upstream: u, Stall: time.Minute})
	b.SetBytes(res.Size)
	for b.Loop() {
		o := mustOffer(b, s, res)
		if err := pull(b.Context(), o.Ref()); err != nil {
			b.Fatal(err)
		}
		o.Release()
	}
}
