package artifact

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
)

// serving is a server that answers everything but a registry's greeting with the bytes of the moment.
func serving(f *testing.F) (host string, body *atomic.Pointer[[]byte]) {
	body = new(atomic.Pointer[[]byte])
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		_, _ = w.Write(*body.Load()) // a client that leaves does not concern us
	}))
	f.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://"), body
}

// sound fails unless what was made of hostile bytes could stand in a record.
func sound(t *testing.T, a Artifact) {
	t.Helper()
	for _, s := range a.Subjects {
		if _, err := trust.ParseDigest(string(s.Digest)); err != nil {
			t.Errorf("subject without a digest: %+v", s)
		}
	}
	if len(a.Subjects) == 0 || a.Size < 0 {
		t.Errorf("not an artifact: %+v", a)
	}
}

func FuzzEngineAnswer(f *testing.F) {
	id := string(trust.DigestOf(nil))
	f.Add([]byte(`{"Id":"` + id + `","RepoTags":["a/b:1"],"RepoDigests":["a/b@` + id + `"],"Os":"linux","Architecture":"amd64","Size":7}`))
	f.Add([]byte(`{"Id":"` + id + `","Descriptor":{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"x"}}`))
	f.Add([]byte(`<html>`))
	host, body := serving(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		body.Store(&b)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if a, err := Resolve(ctx, "docker://a/b:1", Options{DockerHost: "tcp://" + host}); err == nil {
			sound(t, a)
		}
	})
}

func FuzzRegistryAnswer(f *testing.F) {
	id := string(trust.DigestOf(nil))
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + id + `","size":7,"platform":{"os":"linux","architecture":"amd64"}}]}`))
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"` + id + `","size":2},"layers":[]}`))
	f.Add([]byte(`[]`))
	host, body := serving(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		body.Store(&b)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if a, err := Resolve(ctx, host+"/a/b:1", Options{PlainHTTP: true}); err == nil {
			sound(t, a)
		}
	})
}
