package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/goleak"

	"github.com/castellan/castellan/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	amd64 = trust.Platform{OS: "linux", Architecture: "amd64"}
	arm64 = trust.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
)

// noReuse closes each connection, so that no goroutine outlives a test.
var noReuse = &http.Transport{DisableKeepAlives: true}

// fault may answer a request in place of the registry; next is the registry.
type fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// hub is a real registry with faults in front of it.
type hub struct {
	*httptest.Server
	fault atomic.Pointer[fault]
	mu    sync.Mutex
	log   []string // "GET /v2/… Range"
}

// newHub starts a registry; two hubs made from one store have the same content, as mirrors do.
func newHub(t testing.TB, content http.Handler) *hub {
	t.Helper()
	h := &hub{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.log = append(h.log, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
		h.mu.Unlock()
		if f := h.fault.Load(); f != nil {
			(*f)(w, r, content)
			return
		}
		content.ServeHTTP(w, r)
	}))
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(h.Close)
	return h
}

func newContent() http.Handler {
	return ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(false))
}

func (h *hub) host() string { return strings.TrimPrefix(h.URL, "http://") }

func (h *hub) breaks(f fault) { h.fault.Store(&f) }

func (h *hub) requests(part string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.log {
		if strings.Contains(l, part) {
			n++
		}
	}
	return n
}

// onBlobs is a fault of blobs only, onManifests of manifests only.
func onBlobs(f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			next.ServeHTTP(w, r)
			return
		}
		f(w, r, next)
	}
}

func onManifests(f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			next.ServeHTTP(w, r)
			return
		}
		f(w, r, next)
	}
}

func status(code int) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(code) }
}

// whole runs next and gives the answer as a whole.
func whole(r *http.Request, next http.Handler) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	return rec
}

func relay(w http.ResponseWriter, rec *httptest.ResponseRecorder, body []byte) {
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	w.Write(body)
	w.(http.Flusher).Flush()
}

// cutAt ends an answer after k bytes of its body, though more were announced.
func cutAt(k int) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := whole(r, next)
		b := rec.Body.Bytes()
		relay(w, rec, b[:min(k, len(b))])
		if len(b) > k {
			panic(http.ErrAbortHandler)
		}
	}
}

// flipAt changes one byte.
func flipAt(k int) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := whole(r, next)
		b := rec.Body.Bytes()
		if k < len(b) {
			b[k] ^= 1
		}
		relay(w, rec, b)
	}
}

// stallAt sends k bytes and then nothing, until the client gives up.
func stallAt(k int) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := whole(r, next)
		if k >= rec.Body.Len() {
			relay(w, rec, rec.Body.Bytes())
			return // the client has all; on a connection it uses again its leaving would go unseen
		}
		relay(w, rec, rec.Body.Bytes()[:k])
		<-r.Context().Done()
	}
}

// ignoreRange answers every request with everything.
func ignoreRange(f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r = r.Clone(r.Context())
		r.Header.Del("Range")
		f(w, r, next)
	}
}

func pass(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }

// push writes an image or index to a hub under repo:tag.
func push(t testing.TB, h *hub, repo, tag string, what any) {
	t.Helper()
	ref, err := name.NewTag(h.host() + "/" + repo + ":" + tag)
	if err != nil {
		t.Fatal(err)
	}
	switch x := what.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, x, remote.WithTransport(noReuse))
	case v1.Image:
		err = remote.Write(ref, x, remote.WithTransport(noReuse))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// image makes a random image for a platform.
func image(t testing.TB, p trust.Platform, size int64, layers int64) v1.Image {
	t.Helper()
	img, err := random.Image(size, layers)
	if err != nil {
		t.Fatal(err)
	}
	cf, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture, cf.Variant = p.OS, p.Architecture, p.Variant
	if img, err = mutate.ConfigFile(img, cf); err != nil {
		t.Fatal(err)
	}
	return img
}

func newUp(t testing.TB, cfg UpstreamConfig) *Upstream {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	u, err := NewUpstream(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

// serve starts a loopback registry on dir.
func serve(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Stall == 0 {
		cfg.Stall = 300 * time.Millisecond
	}
	cfg.pause = 10 * time.Millisecond
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func mustOffer(t testing.TB, s *Server, res Resolved) *Offer {
	t.Helper()
	o, err := s.Offer(res)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func mustResolve(t testing.TB, u *Upstream, p trust.Platform, reference, version string) Resolved {
	t.Helper()
	res, err := NewResolver(u, p, 0).Resolve(t.Context(), "core", trust.ClassCore, reference, version)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// fetch is one GET as an engine makes it.
func fetch(ctx context.Context, u, rng string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return 0, nil, err
	}
	if rng != "" {
		req.Header.Set("Range", rng)
	}
	resp, err := (&http.Client{Transport: noReuse}).Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// pull reads an offer as an engine that holds nothing: manifest, then all blobs at once, each compared with its digest.
func pull(ctx context.Context, ref string) error {
	repo, d, _ := strings.Cut(ref, "@")
	host, path, _ := strings.Cut(repo, "/")
	base := (&url.URL{Scheme: "http", Host: host, Path: "/v2/" + path}).String()
	code, raw, err := fetch(ctx, base+"/manifests/"+d, "")
	if err != nil || code != 200 || digestOf(raw) != d {
		return fmt.Errorf("manifest: %d %v", code, err)
	}
	doc, err := parseDocument(raw)
	if err != nil {
		return err
	}
	blobs := doc.blobs()
	errs := make(chan error, len(blobs))
	for _, b := range blobs {
		go func() {
			code, body, err := fetch(ctx, base+"/blobs/"+string(b.Digest), "")
			if err == nil && (code != 200 || digestOf(body) != string(b.Digest)) {
				err = fmt.Errorf("blob %s: %d %.300s", b.Digest, code, body)
			}
			errs <- err
		}()
	}
	for range blobs {
		err = firstError(err, <-errs)
	}
	return err
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// files lists a folder.
func files(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func layerOf(t testing.TB, res Resolved, i int) descriptor {
	t.Helper()
	doc, err := parseDocument(res.Raw.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Layers[i]
}

func partFile(dir string, d trust.Digest) string { return filepath.Join(dir, d.Hex()+".part") }
