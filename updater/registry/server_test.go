package registry

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
)

func TestEnginePullsWhatIsOnOfferAndNothingStays(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, amd64, 200_000, 3))
	up := newUp(t, UpstreamConfig{})
	res := mustResolve(t, up, amd64, h.host()+"/home/core:1", "1")
	dir := t.TempDir()
	s := serve(t, Config{Dir: dir, Upstream: up})
	o := mustOffer(t, s, res)
	if err := pull(t.Context(), o.Ref()); err != nil {
		t.Fatal(err)
	}
	if done, total := o.Progress(); done != total || total != res.Size {
		t.Errorf("progress %d of %d, want %d", done, total, res.Size)
	}
	o.Release()
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := pull(t.Context(), o.Ref()); err == nil {
		t.Error("still served after the release")
	}
}

func TestOnlyWhatIsOnOfferIsServed(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, amd64, 1000, 1))
	push(t, h, "home/core", "2", image(t, amd64, 1000, 1))
	up := newUp(t, UpstreamConfig{})
	one := mustResolve(t, up, amd64, h.host()+"/home/core:1", "1")
	two := mustResolve(t, up, amd64, h.host()+"/home/core:2", "2")
	s := serve(t, Config{Upstream: up})
	o := mustOffer(t, s, one)
	defer o.Release()
	repo := "/v2/" + o.key.repo
	layer := string(layerOf(t, one, 0).Digest)
	for _, c := range []struct {
		name, method, path, host string
		want                     int
	}{
		{"ping", "GET", "/v2/", "", 200},
		{"ping without slash", "GET", "/v2", "", 200},
		{"manifest", "GET", repo + "/manifests/" + string(one.Subject.Manifest), "", 200},
		{"manifest head", "HEAD", repo + "/manifests/" + string(one.Subject.Manifest), "", 200},
		{"blob head", "HEAD", repo + "/blobs/" + layer, "", 200},
		{"config", "GET", repo + "/blobs/" + string(one.Subject.Config), "", 200},
		{"by localhost", "GET", "/v2/", "localhost", 200},
		{"other manifest", "GET", repo + "/manifests/" + string(two.Subject.Manifest), "", 404},
		{"other blob", "GET", repo + "/blobs/" + string(two.Subject.Config), "", 404},
		{"manifest as blob", "GET", repo + "/blobs/" + string(one.Subject.Manifest), "", 404},
		{"tag", "GET", repo + "/manifests/1", "", 404},
		{"other repository", "GET", "/v2/x/manifests/" + string(one.Subject.Manifest), "", 404},
		{"path tricks", "GET", "/v2/x/blobs/../../../etc/passwd", "", 404},
		{"bad digest", "GET", repo + "/blobs/sha256:..%2f..", "", 404},
		{"catalog", "GET", "/v2/_catalog", "", 404},
		{"elsewhere", "GET", "/", "", 404},
		{"upload", "POST", repo + "/blobs/uploads/", "", 405},
		{"delete", "DELETE", repo + "/manifests/" + string(one.Subject.Manifest), "", 405},
		{"DNS rebinding", "GET", repo + "/manifests/" + string(one.Subject.Manifest), "evil.example", 421},
		{"other port", "GET", "/v2/", "127.0.0.1:1", 421},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+s.Addr()+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if req.Host = c.host; c.host != "" && !strings.Contains(c.host, ":") {
				_, port, _ := strings.Cut(s.Addr(), ":")
				req.Host += ":" + port
			}
			resp, err := noReuse.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != c.want {
				t.Errorf("%d, want %d", resp.StatusCode, c.want)
			}
		})
	}
}

func TestTagThatMovesAfterResolveChangesNothing(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, amd64, 5000, 2))
	up := newUp(t, UpstreamConfig{})
	res := mustResolve(t, up, amd64, h.host()+"/home/core:1", "1")
	push(t, h, "home/core", "1", image(t, amd64, 5000, 2)) // other content, same tag
	s := serve(t, Config{Upstream: up})

	// A judged subject alone, as after a restart: the manifest is fetched again, by digest.
	o, err := serve(t, Config{Upstream: newUp(t, UpstreamConfig{})}).OfferSubject(t.Context(), res.Subject)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Release()
	for _, o := range []*Offer{o, mustOffer(t, s, res)} {
		if !strings.HasSuffix(o.Ref(), "@"+string(res.Subject.Manifest)) {
			t.Errorf("offers %s, judged %s", o.Ref(), res.Subject.Manifest)
		}
		if err := pull(t.Context(), o.Ref()); err != nil {
			t.Error(err)
		}
	}
	if now := mustResolve(t, up, amd64, h.host()+"/home/core:1", "1"); now.Subject.Manifest == res.Subject.Manifest {
		t.Error("the tag did not move; the test shows nothing")
	}
}

func TestBytesThatAreNotTheSubjectAreNotOffered(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, amd64, 1000, 1))
	up := newUp(t, UpstreamConfig{})
	res := mustResolve(t, up, amd64, h.host()+"/home/core:1", "1")
	s := serve(t, Config{Upstream: up})
	for name, change := range map[string]func(*Resolved){
		"other bytes":    func(r *Resolved) { r.Raw.Manifest = append([]byte(" "), r.Raw.Manifest...) },
		"other config":   func(r *Resolved) { r.Subject.Config = trust.Digest(dA) },
		"no manifest":    func(r *Resolved) { r.Raw.Manifest = nil },
		"bad repository": func(r *Resolved) { r.Subject.Repository = "../x" },
	} {
		bad := res
		change(&bad)
		if o, err := s.Offer(bad); err == nil {
			t.Errorf("%s: offered %s", name, o.Ref())
		}
	}
}

func TestEngineMayAskForRanges(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, amd64, 100_000, 1))
	up := newUp(t, UpstreamConfig{})
	res := mustResolve(t, up, amd64, h.host()+"/home/core:1", "1")
	s := serve(t, Config{Upstream: up})
	o := mustOffer(t, s, res)
	defer o.Release()
	l := layerOf(t, res, 0)
	u := "http://" + s.Addr() + "/v2/" + o.key.repo + "/blobs/" + string(l.Digest)
	_, all, err := fetch(t.Context(), u, "")
	if err != nil {
		t.Fatal(err)
	}
	code, tail, err := fetch(t.Context(), u, "bytes=90000-") // the open form, as engines send it
	if err != nil || code != 206 || string(tail) != string(all[90000:]) {
		t.Errorf("%d, %d bytes, %v", code, len(tail), err)
	}
	if code, _, _ := fetch(t.Context(), u, "bytes=900000-"); code != 416 {
		t.Errorf("beyond the end: %d", code)
	}
	if n := h.requests("GET /v2/home/core/blobs/" + string(l.Digest)); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestManyEnginesShareOneDownload(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, amd64, 300_000, 2))
	up := newUp(t, UpstreamConfig{})
	res := mustResolve(t, up, amd64, h.host()+"/home/core:1", "1")
	dir := t.TempDir()
	s := serve(t, Config{Dir: dir, Upstream: up})
	errs := make(chan error)
	before := h.requests("/blobs/")
	var offers []*Offer
	for range 4 {
		offers = append(offers, mustOffer(t, s, res))
	}
	for _, o := range offers {
		go func() { errs <- pull(t.Context(), o.Ref()) }()
	}
	for range offers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := h.requests("/blobs/") - before; n != 3 {
		t.Errorf("%d blobs fetched, want 3", n)
	}
	for i, o := range offers {
		if left := len(files(t, dir)); i < 3 && left != 3 {
			t.Errorf("after %d releases %d files", i, left)
		}
		o.Release()
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSlowBlobGetsItsHeaderInTime(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, amd64, 100_000, 1))
	up := newUp(t, UpstreamConfig{})
	res := mustResolve(t, up, amd64, h.host()+"/home/core:1", "1")
	open := make(chan struct{})
	h.breaks(onBlobs(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		<-open
		next.ServeHTTP(w, r)
	}))
	s := serve(t, Config{Upstream: up, Grace: time.Millisecond, Stall: time.Minute})
	o := mustOffer(t, s, res)
	defer o.Release()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.Addr()+"/v2/"+o.key.repo+"/blobs/"+string(layerOf(t, res, 0).Digest), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := noReuse.RoundTrip(req) // returns with the header, while the mirror still thinks
	if err != nil || resp.StatusCode != 200 || resp.ContentLength != layerOf(t, res, 0).Size {
		t.Fatal(resp, err)
	}
	close(open)
	body := make([]byte, 0, resp.ContentLength)
	for buf := make([]byte, 4096); ; {
		n, err := resp.Body.Read(buf)
		body = append(body, buf[:n]...)
		if err != nil {
			break
		}
	}
	resp.Body.Close()
	if digestOf(body) != string(layerOf(t, res, 0).Digest) {
		t.Error("other bytes")
	}
}

func TestOnlyLoopbackAddressesAreListenedOn(t *testing.T) {
	up := newUp(t, UpstreamConfig{})
	for _, addr := range []string{":0", "0.0.0.0:0", "192.168.1.1:5000", "example.org:5000", "nonsense", "[::]:0"} {
		if s, err := NewServer(Config{Dir: t.TempDir(), Addr: addr, Upstream: up}); err == nil {
			s.Close()
			t.Errorf("listens on %s", addr)
		}
	}
	s := serve(t, Config{Upstream: up})
	if _, err := NewServer(Config{Dir: t.TempDir(), Addr: s.Addr(), Upstream: up}); err == nil || !strings.Contains(err.Error(), "registry.listen") {
		t.Errorf("a port in use: %v", err)
	}
}

func TestPullThatWasCutIsContinuedByTheNextRun(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, amd64, 400_000, 1))
	up := newUp(t, UpstreamConfig{})
	res := mustResolve(t, up, amd64, h.host()+"/home/core:1", "1")
	l := layerOf(t, res, 0)
	dir := t.TempDir()
	h.breaks(onBlobs(stallAt(150_000)))
	first, err := NewServer(Config{Dir: dir, Upstream: up, Stall: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- first.Serve() }()
	o := mustOffer(t, first, res)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- pull(ctx, o.Ref()) }()
	waitFor(t, func() bool {
		fi, err := os.Stat(partFile(dir, l.Digest))
		return err == nil && fi.Size() >= 131_072
	})
	// As a kill would: nobody says good-bye to anybody, the file stays as it is.
	part, err := os.ReadFile(partFile(dir, l.Digest))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-gone
	first.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}

	for _, c := range []struct {
		name   string
		part   []byte
		ranged bool
	}{
		{"as it was", part, true},
		{"the tail was lost", part[:len(part)-5000], true},
		{"the tail is zeros", append(part[:len(part)-5000:len(part)-5000], make([]byte, 5000)...), true},
		{"it is too long", make([]byte, l.Size+1), false},
		{"it is empty", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.breaks(pass)
			dir := t.TempDir()
			if err := os.WriteFile(partFile(dir, l.Digest), c.part, 0o600); err != nil {
				t.Fatal(err)
			}
			before := h.requests("bytes=")
			s := serve(t, Config{Dir: dir, Upstream: up})
			o := mustOffer(t, s, res)
			defer o.Release()
			if err := pull(t.Context(), o.Ref()); err != nil {
				t.Fatal(err)
			}
			if n := h.requests("bytes=") - before; (n > 0) != c.ranged {
				t.Errorf("%d requests for a range", n)
			}
		})
	}
}

func TestLeftoversAreProvedAnewOrCleaned(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, amd64, 100_000, 1))
	up := newUp(t, UpstreamConfig{})
	res := mustResolve(t, up, amd64, h.host()+"/home/core:1", "1")
	l := layerOf(t, res, 0)
	dir := t.TempDir()
	// A blob that an earlier run had proved, and the disk has changed since.
	if err := os.WriteFile(filepath.Join(dir, l.Digest.Hex()), make([]byte, l.Size), 0o600); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, trust.Digest(dA).Hex()+".part")
	foreign := filepath.Join(dir, "notes.txt")
	for _, p := range []string{old, foreign} {
		if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, time.Time{}, time.Now().Add(-2*keepParts)); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, Config{Dir: dir, Upstream: up})
	if _, err := os.Stat(old); err == nil {
		t.Error("an old part was kept")
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error("a file that is not ours was deleted")
	}
	o := mustOffer(t, s, res)
	defer o.Release()
	if err := pull(t.Context(), o.Ref()); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in 10 s")
		}
		time.Sleep(time.Millisecond)
	}
}
