package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdRegistry starts an image registry and sets REGISTRY to its host.
func cmdRegistry(ts *testscript.TestScript, _ bool, _ []string) {
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	ts.Defer(s.Close)
	ts.Setenv("REGISTRY", strings.TrimPrefix(s.URL, "http://"))
}

// cmdPush pushes an image of random content for two platforms: push NAME:TAG. CONFIG is set to the image ID that an
// amd64 engine would give it, and DIGEST to that of the index.
func cmdPush(ts *testscript.TestScript, _ bool, args []string) {
	ref, err := name.ParseReference(ts.Getenv("REGISTRY") + "/" + args[0])
	ts.Check(err)
	var idx v1.ImageIndex = empty.Index
	for _, arch := range []string{"arm64", "amd64"} {
		img, err := random.Image(64, 1)
		ts.Check(err)
		cf, err := img.ConfigFile()
		ts.Check(err)
		cf = cf.DeepCopy()
		cf.OS, cf.Architecture = "linux", arch
		img, err = mutate.ConfigFile(img, cf)
		ts.Check(err)
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
		id, err := img.ConfigName()
		ts.Check(err)
		ts.Setenv("CONFIG", id.String())
	}
	ts.Check(remote.WriteIndex(ref, idx))
	d, err := idx.Digest()
	ts.Check(err)
	ts.Setenv("DIGEST", d.String())
}

// cmdEngine starts a Docker engine's image API that holds one image: engine NAME:TAG. It is the amd64 one of the last
// push, in the classic store.
func cmdEngine(ts *testscript.TestScript, _ bool, args []string) {
	ref := ts.Getenv("REGISTRY") + "/" + args[0]
	repo, _, _ := strings.Cut(args[0], ":")
	answer, err := json.Marshal(map[string]any{
		"Id": ts.Getenv("CONFIG"), "RepoTags": []string{ref}, "RepoDigests": []string{ts.Getenv("REGISTRY") + "/" + repo + "@" + ts.Getenv("DIGEST")},
		"Os": "linux", "Architecture": "amd64", "Size": 64,
	})
	ts.Check(err)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/images/"+ref+"/json" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(answer)
	}))
	ts.Defer(s.Close)
	ts.Setenv("DOCKER_HOST", "tcp://"+strings.TrimPrefix(s.URL, "http://"))
}

// Whatever a server answers, what was never synced is never trusted, and the time is bounded.
func TestNoServerErrorExitsZero(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CAS_HOME", dir)
	t.Setenv("CAS_LEDGER_KEY", "")
	var out, errs strings.Builder
	cas := func(args ...string) int {
		out.Reset()
		errs.Reset()
		return run(t.Context(), args, strings.NewReader(""), &out, &errs)
	}
	if code := cas("key", "ledger", "ledger.example/test", dir+"/note.key"); code != 0 {
		t.Fatal(errs.String())
	}
	t.Setenv("CAS_LEDGER_KEY", strings.TrimSpace(out.String()))
	const id = "p-aaaaaaaaaaaaaaaaaaaa"
	digest := "sha256:" + strings.Repeat("a", 64)
	for what, h := range map[string]http.HandlerFunc{
		"500":              func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"404":              func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"nothing":          func(http.ResponseWriter, *http.Request) {},
		"captive portal":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>please log in</html>") },
		"redirect":         func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x"+r.URL.Path, http.StatusFound) },
		"garbage":          func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte{0, 1, 2, 0xff}) },
		"trusted, it says": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"status":"TRUSTED"}`) },
		"unsigned": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "ledger.example/test\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\ntime 1780000000\nroot 0\n")
		},
		"closes at once": func(w http.ResponseWriter, _ *http.Request) { c, _, _ := w.(http.Hijacker).Hijack(); c.Close() },
		"sends for ever": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := httptest.NewServer(h)
			defer s.Close()
			if code := cas("authenticate", "--ledger", s.URL, "--signer", id, digest); code != exitUnavailable {
				t.Errorf("exit code %d, want %d\n%s%s", code, exitUnavailable, out.String(), errs.String())
			}
			if !strings.HasPrefix(strings.Split(out.String(), "\n")[1], "UNAVAILABLE") {
				t.Errorf("said %s", out.String())
			}
		})
	}
	t.Run("accepts and never answers, and the caller gives up", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		args := []string{"authenticate", "--ledger", "http://" + l.Addr().String(), "--signer", id, digest}
		if code := run(ctx, args, strings.NewReader(""), io.Discard, io.Discard); code != exitUnavailable {
			t.Errorf("exit code %d, want %d", code, exitUnavailable)
		}
	})
}
