package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/castellan/castellan/trust"
)

func index(t testing.TB, platforms ...trust.Platform) v1.ImageIndex {
	t.Helper()
	idx := empty.Index
	var adds []mutate.IndexAddendum
	for _, p := range platforms {
		adds = append(adds, mutate.IndexAddendum{
			Add:        image(t, p, 1000, 2),
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}},
		})
	}
	// What buildx adds to nearly every index.
	adds = append(adds, mutate.IndexAddendum{
		Add: image(t, trust.Platform{}, 100, 1),
		Descriptor: v1.Descriptor{
			Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
		},
	})
	return mutate.AppendManifests(idx, adds...)
}

func TestIndexIsResolvedToThisPlatform(t *testing.T) {
	h := newHub(t, newContent())
	idx := index(t, amd64, arm64)
	push(t, h, "home/core", "2026.8.3", idx)
	u := newUp(t, UpstreamConfig{})
	host := trust.Platform{OS: "linux", Architecture: "arm64"} // as engines report it; the index says v8
	res := mustResolve(t, u, host, h.host()+"/home/core:2026.8.3", "2026.8.3")
	want, err := idx.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s := res.Subject
	if string(s.Index) != want.String() || s.Platform != host || s.Component != "core" || s.Class != trust.ClassCore ||
		s.Repository != h.host()+"/home/core" || s.Version != "2026.8.3" {
		t.Errorf("%+v", s)
	}
	if trust.DigestOf(res.Raw.Index) != s.Index || trust.DigestOf(res.Raw.Manifest) != s.Manifest {
		t.Error("raw bytes are not those of the digests")
	}
	m, err := parseDocument(res.Raw.Manifest)
	if err != nil || m.Config.Digest != s.Config || res.Size != m.size() || res.Size < 2000 {
		t.Errorf("%v %d %v", m, res.Size, err)
	}
}

func TestReferencesByTagAndDigest(t *testing.T) {
	h := newHub(t, newContent())
	img := image(t, amd64, 1000, 1)
	push(t, h, "home/core", "1", img)
	push(t, h, "home/core", "2", image(t, amd64, 1000, 1))
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	base := h.host() + "/home/core"
	u := newUp(t, UpstreamConfig{})
	for reference, version := range map[string]string{
		base + ":1": "1", base: "1", base + "@" + d.String(): "1", base + ":2@" + d.String(): "2", // the tag is ignored
	} {
		if res := mustResolve(t, u, amd64, reference, version); string(res.Subject.Manifest) != d.String() || res.Subject.Index != "" || res.Subject.Version != version {
			t.Errorf("%s: %+v", reference, res.Subject)
		}
	}
	for _, reference := range []string{"", ":", base + ":no such tag", base + "@sha256:12", "UPPER/case:1", "http://" + base} {
		if _, err := NewResolver(u, amd64, 0).Resolve(t.Context(), "core", trust.ClassCore, reference, ""); err == nil {
			t.Errorf("%q was taken", reference)
		}
	}
}

func TestPlatformIsCheckedWithoutAnIndexToo(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, arm64, 1000, 1))
	push(t, h, "home/core", "2", index(t, arm64))
	u := newUp(t, UpstreamConfig{})
	for _, tag := range []string{"1", "2"} {
		_, err := NewResolver(u, amd64, 0).Resolve(t.Context(), "core", trust.ClassCore, h.host()+"/home/core:"+tag, tag)
		if !errors.Is(err, ErrNoPlatform) || !strings.Contains(err.Error(), "linux/arm64/v8") || !strings.Contains(err.Error(), "publisher") {
			t.Errorf("%s: %v", tag, err)
		}
		mustResolve(t, u, arm64, h.host()+"/home/core:"+tag, tag)
	}
}

func TestImageOverTheLimitIsRefused(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, amd64, 100_000, 2))
	_, err := NewResolver(newUp(t, UpstreamConfig{}), amd64, 150_000).Resolve(t.Context(), "core", trust.ClassCore, h.host()+"/home/core:1", "1")
	if err == nil || !strings.Contains(err.Error(), "limit is 150000") {
		t.Error(err)
	}
}

// manifestFaults are what a registry may do to a manifest, with the kind of error each gives when it is the only one.
var manifestFaults = map[string]struct {
	fault fault
	kind  error
}{
	"500":        {onManifests(status(500)), ErrUnreachable},
	"503":        {onManifests(status(503)), ErrUnreachable},
	"401":        {onManifests(status(401)), ErrUnauthorized},
	"403":        {onManifests(status(403)), ErrUnauthorized},
	"404":        {onManifests(status(404)), ErrNotFound},
	"429":        {onManifests(status(429)), ErrRateLimited},
	"204":        {onManifests(status(204)), ErrBadContent},
	"cut":        {onManifests(cutAt(40)), ErrUnreachable},
	"stall":      {onManifests(stallAt(40)), ErrUnreachable},
	"no answer":  {func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }, ErrUnreachable},
	"ping 500":   {status(500), ErrUnreachable},
	"ping 429":   {status(429), ErrRateLimited},
	"not a JSON": {onManifests(flipAt(0)), ErrBadContent},
	"html": {func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		fmt.Fprint(w, "<html>sign in</html>")
	}, ErrBadContent},
	"endless": {onManifests(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for b := []byte(strings.Repeat(" ", 1<<16)); ; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}), ErrBadContent},
	"endless ping": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path != "/v2/" {
			w.WriteHeader(503)
			return
		}
		for b := []byte(strings.Repeat(" ", 1<<16)); ; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}, ErrUnreachable},
	"redirects for ever": {onManifests(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	}), ErrUnreachable},
}

func TestFaultyRegistryGivesAnErrorOfItsKindInTime(t *testing.T) {
	for name, c := range manifestFaults {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, newContent())
			push(t, h, "home/core", "1", image(t, amd64, 1000, 1))
			h.breaks(c.fault)
			u := newUp(t, UpstreamConfig{Timeout: 300 * time.Millisecond})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := NewResolver(u, amd64, 0).Resolve(ctx, "core", trust.ClassCore, h.host()+"/home/core:1", "1")
			if !errors.Is(err, c.kind) || ctx.Err() != nil {
				t.Fatalf("want kind %q, got %v", c.kind, err)
			}
			for _, k := range kinds {
				if k != c.kind && errors.Is(err, k) {
					t.Errorf("%v is of kind %q as well", err, k)
				}
			}
			if !strings.Contains(err.Error(), nextStep[c.kind]) || !strings.Contains(err.Error(), h.host()) {
				t.Errorf("no next step or no host in %v", err)
			}
		})
	}
}

func TestNextMirrorIsAskedWhateverTheFirstDoes(t *testing.T) {
	for name, c := range manifestFaults {
		t.Run(name, func(t *testing.T) {
			content := newContent()
			good, bad := newHub(t, content), newHub(t, content)
			push(t, good, "home/core", "1", index(t, amd64))
			bad.breaks(c.fault)
			u := newUp(t, UpstreamConfig{
				Timeout: 300 * time.Millisecond,
				Mirrors: map[string][]string{"registry.example": {bad.URL, "http://127.0.0.1:1", good.URL}},
			})
			res := mustResolve(t, u, amd64, "registry.example/home/core:1", "1")
			if res.Subject.Repository != "registry.example/home/core" {
				t.Errorf("a mirror's name got into the subject: %s", res.Subject.Repository)
			}
		})
	}
}

func TestMirrorMayHaveAPrefix(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "cache/ghcr/home/core", "1", image(t, amd64, 1000, 1))
	u := newUp(t, UpstreamConfig{Mirrors: map[string][]string{"ghcr.io": {h.URL + "/cache/ghcr/"}}})
	if res := mustResolve(t, u, amd64, "ghcr.io/home/core:1", "1"); res.Subject.Repository != "ghcr.io/home/core" {
		t.Errorf("%+v", res.Subject)
	}
}

func TestWrongManifestForADigestIsFoundOut(t *testing.T) {
	good, bad := newContent(), newContent()
	h, liar := newHub(t, good), newHub(t, bad)
	img := image(t, amd64, 1000, 1)
	push(t, h, "home/core", "1", img)
	push(t, liar, "home/core", "1", image(t, amd64, 1000, 1))
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	liar.breaks(onManifests(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.URL.Path = "/v2/home/core/manifests/1" // a good manifest, but another
		next.ServeHTTP(w, r)
	}))
	u := newUp(t, UpstreamConfig{Mirrors: map[string][]string{"r.example": {liar.URL, h.URL}}})
	res := mustResolve(t, u, amd64, "r.example/home/core@"+d.String(), "1")
	if string(res.Subject.Manifest) != d.String() {
		t.Errorf("%+v", res.Subject)
	}
	if first := u.sources(mustRepo(t, "r.example/home/core").Repository)[0]; first.String() != h.host() {
		t.Errorf("the liar is still asked first: %s", first)
	}
}

func mustRepo(t testing.TB, s string) repository {
	t.Helper()
	r, err := parseRepository(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tokenAuth is a registry behind a token server at /token, as Docker Hub and ghcr.io are.
func tokenAuth(h func() string, user, password string) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == "/token" {
			if u, p, _ := r.BasicAuth(); u != user || p != password {
				w.WriteHeader(401)
				return
			}
			json.NewEncoder(w).Encode(map[string]string{"token": "t0ken-for-" + r.URL.Query().Get("scope")})
			return
		}
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer t0ken-for-repository:home/core:pull") {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="test",scope="repository:home/core:pull"`, h()))
			w.WriteHeader(401)
			return
		}
		next.ServeHTTP(w, r)
	}
}

func basicAuth(user, password string) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="home"`)
			w.WriteHeader(401)
			return
		}
		next.ServeHTTP(w, r)
	}
}

func TestCredentialsComeFromTheSettingsOnly(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", "/nonexistent")
	for name, auth := range map[string]func(h *hub) fault{
		"token": func(h *hub) fault { return tokenAuth(func() string { return h.URL }, "owner", "s3cret") },
		"basic": func(*hub) fault { return basicAuth("owner", "s3cret") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, newContent())
			push(t, h, "home/core", "1", image(t, amd64, 10_000, 1))
			h.breaks(auth(h))
			ref := h.host() + "/home/core:1"
			for _, cred := range []map[string]Credential{nil, {h.host(): {"owner", "wrong"}}, {"other.example": {"owner", "s3cret"}}} {
				_, err := NewResolver(newUp(t, UpstreamConfig{Credentials: cred}), amd64, 0).Resolve(t.Context(), "core", trust.ClassCore, ref, "1")
				if !errors.Is(err, ErrUnauthorized) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "wrong\"") {
					t.Errorf("%v: %v", cred, err)
				}
			}
			u := newUp(t, UpstreamConfig{Credentials: map[string]Credential{h.host(): {"owner", "s3cret"}}})
			res := mustResolve(t, u, amd64, ref, "1")
			s := serve(t, Config{Upstream: u})
			o := mustOffer(t, s, res)
			defer o.Release()
			if err := pull(t.Context(), o.Ref()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCredentialsAreNotForwardedToAnotherHost(t *testing.T) {
	for name, auth := range map[string]func(h *hub) fault{
		"token": func(h *hub) fault { return tokenAuth(func() string { return h.URL }, "owner", "s3cret") },
		"basic": func(*hub) fault { return basicAuth("owner", "s3cret") },
	} {
		t.Run(name, func(t *testing.T) {
			content := newContent()
			h := newHub(t, content)
			push(t, h, "home/core", "1", image(t, amd64, 10_000, 1))
			// Blob storage on another host, as Docker Hub and ghcr.io have it.
			var leaked []string
			cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if a := r.Header.Get("Authorization"); a != "" {
					leaked = append(leaked, a)
				}
				content.ServeHTTP(w, r)
			}))
			t.Cleanup(cdn.Close)
			h.breaks(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				auth(h)(w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					onBlobs(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
						http.Redirect(w, r, cdn.URL+r.URL.Path, http.StatusTemporaryRedirect)
					})(w, r, next)
				}))
			})
			u := newUp(t, UpstreamConfig{Credentials: map[string]Credential{h.host(): {"owner", "s3cret"}}})
			res := mustResolve(t, u, amd64, h.host()+"/home/core:1", "1")
			s := serve(t, Config{Upstream: u})
			o := mustOffer(t, s, res)
			defer o.Release()
			if err := pull(t.Context(), o.Ref()); err != nil {
				t.Fatal(err)
			}
			if len(leaked) > 0 {
				t.Errorf("storage got %v", leaked)
			}
		})
	}
}

func TestPlainHTTPIsSpokenOnlyWhereItIsWritten(t *testing.T) {
	asked := false
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked = true }))
	defer secure.Close()
	plain := newHub(t, newContent())
	push(t, plain, "home/core", "1", image(t, amd64, 1000, 1))
	// An https mirror whose TLS is broken, as by somebody in between, must not be tried without.
	u := newUp(t, UpstreamConfig{Mirrors: map[string][]string{"r.invalid": {"https://" + plain.host()}}})
	_, err := NewResolver(u, amd64, 0).Resolve(t.Context(), "core", trust.ClassCore, "r.invalid/home/core:1", "1")
	if !errors.Is(err, ErrUnreachable) || plain.requests("GET /v2/home/core") != plain.requests("nothing") {
		t.Errorf("%v, asked %d times", err, plain.requests("GET /v2/home/core"))
	}
	if asked {
		t.Error("unexpected request")
	}
	for _, m := range []string{"ftp://x", "r.example", "https://user:pw@r.example", "https://r.example?x=1", "://"} {
		if _, err := NewUpstream(UpstreamConfig{Mirrors: map[string][]string{"ghcr.io": {m}}}); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("mirror %q: %v", m, err)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", Credential{"a", "pw"}, Credential{"a", "pw"}, Credential{"a", "pw"}); strings.Contains(s, "pw") {
		t.Errorf("a credential prints itself: %s", s)
	}
}

func TestResolveTakesTwoRequestsForAnIndex(t *testing.T) {
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", index(t, amd64))
	u := newUp(t, UpstreamConfig{})
	before := h.requests("GET")
	mustResolve(t, u, amd64, h.host()+"/home/core:1", "1")
	if n := h.requests("GET") - before; n != 3 { // one more to learn how to log in
		t.Errorf("first: %d", n)
	}
	mustResolve(t, u, amd64, h.host()+"/home/core:1", "1")
	if n := h.requests("GET") - before; n != 4 { // the platform's manifest is known by digest
		t.Errorf("second: %d", n)
	}
}
