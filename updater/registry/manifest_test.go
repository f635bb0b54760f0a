package registry

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/castellan/castellan/trust"
)

var (
	dA = "sha256:" + strings.Repeat("a", 64)
	dB = "sha256:" + strings.Repeat("b", 64)
	dC = "sha256:" + strings.Repeat("c", 64)
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

func goodManifest() string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":7},"layers":[{"mediaType":%q,"digest":%q,"size":100},{"mediaType":%q,"digest":%q,"size":100}]}`,
		ociManifest, ociConfig, dA, ociLayer, dB, ociLayer, dB)
}

func goodIndex() string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":7,"platform":{"os":"linux","architecture":"amd64"}}]}`, ociIndex, ociManifest, dA)
}

func TestManifestsAreRead(t *testing.T) {
	m, err := parseDocument([]byte(goodManifest()))
	if err != nil || m.isIndex() || m.size() != 107 {
		t.Fatalf("%+v %v", m, err)
	}
	i, err := parseDocument([]byte(goodIndex()))
	if err != nil || !i.isIndex() {
		t.Fatalf("%+v %v", i, err)
	}
	// OCI allows to leave the media type out.
	m, err = parseDocument([]byte(strings.Replace(goodManifest(), fmt.Sprintf(`"mediaType":%q,"config"`, ociManifest), `"config"`, 1)))
	if err != nil || m.MediaType != ociManifest {
		t.Fatalf("%+v %v", m, err)
	}
}

func TestHostileManifestsAreRefused(t *testing.T) {
	m := func(old, new string) string { return strings.Replace(goodManifest(), old, new, 1) }
	for name, data := range map[string]string{
		"empty":                   "",
		"html":                    "<html>",
		"null":                    "null",
		"neither":                 `{"schemaVersion":2}`,
		"both (CVE-2021-41190)":   m(`"layers"`, fmt.Sprintf(`"manifests":[{"mediaType":%q,"digest":%q,"size":1}],"layers"`, ociManifest, dC)),
		"schema 1":                m(`"schemaVersion":2`, `"schemaVersion":1`),
		"two configs":             m(`"layers"`, fmt.Sprintf(`"config":{"mediaType":%q,"digest":%q,"size":7},"layers"`, ociConfig, dC)),
		"two configs, by case":    m(`"layers"`, fmt.Sprintf(`"Config":{"mediaType":%q,"digest":%q,"size":7},"layers"`, ociConfig, dC)),
		"two digests, by case":    m(`"digest"`, fmt.Sprintf(`"DIGEST":%q,"digest"`, dC)),
		"calls itself an index":   m(ociManifest, ociIndex),
		"calls itself html":       m(ociManifest, "text/html"),
		"artifact":                m(ociConfig, "application/vnd.cncf.helm.config.v1+json"),
		"no config":               `{"schemaVersion":2,"layers":[{"mediaType":"x","digest":"` + dA + `","size":1}]}`,
		"short digest":            m(dB, "sha256:bb"),
		"upper-case digest":       m(dB, strings.ToUpper(dB)),
		"digest with a path":      m(dB, "sha256:../../../../etc/passwd"),
		"sha512":                  m(dB, "sha512:"+strings.Repeat("b", 128)),
		"negative size":           m(`"size":100`, `"size":-1`),
		"huge size":               m(`"size":100`, `"size":9223372036854775807`),
		"fractional size":         m(`"size":100`, `"size":1.5`),
		"one blob, two sizes":     m(`"size":100`, `"size":101`),
		"foreign layer":           m(ociLayer, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
		"nondistributable layer":  m(ociLayer, "application/vnd.oci.image.layer.nondistributable.v1.tar"),
		"layer from elsewhere":    m(`"size":100`, `"size":100,"urls":["https://evil.example/x"]`),
		"rubbish behind":          goodManifest() + "x",
		"too many layers":         m(`"layers":[`, `"layers":[`+strings.Repeat(fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":1},`, ociLayer, dC), maxLayers)),
		"index with too many":     fmt.Sprintf(`{"schemaVersion":2,"manifests":[%s{}]}`, strings.Repeat(fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":1},`, ociManifest, dC), maxEntries)),
		"index entry without one": `{"schemaVersion":2,"manifests":[{}]}`,
		"deep":                    strings.Repeat("[", 1<<16),
		"too big":                 goodManifest() + strings.Repeat(" ", maxManifest),
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := parseDocument([]byte(data)); !errors.Is(err, ErrBadContent) {
				t.Errorf("%+v %v", d, err)
			}
		})
	}
}

func TestPlatformThatFitsBestIsChosen(t *testing.T) {
	arm := func(v string) trust.Platform { return trust.Platform{OS: "linux", Architecture: "arm", Variant: v} }
	a64 := func(v string) trust.Platform { return trust.Platform{OS: "linux", Architecture: "arm64", Variant: v} }
	x64 := func(v string) trust.Platform { return trust.Platform{OS: "linux", Architecture: "amd64", Variant: v} }
	for _, c := range []struct {
		name string
		have []trust.Platform
		want trust.Platform
		pick int // -1 = none
	}{
		{"the only one", []trust.Platform{x64("")}, x64(""), 0},
		{"by architecture", []trust.Platform{x64(""), a64("v8"), arm("v7")}, a64("v8"), 1},
		{"by system", []trust.Platform{{OS: "windows", Architecture: "amd64"}, x64("")}, x64(""), 1},
		{"arm64 without variant is v8", []trust.Platform{x64(""), a64("")}, a64("v8"), 1},
		{"and the other way round", []trust.Platform{a64("v8")}, a64(""), 0},
		{"v8 does not run v9", []trust.Platform{a64("v9")}, a64("v8"), -1},
		{"v7 takes v7 before v6", []trust.Platform{arm("v6"), arm("v7"), arm("v5")}, arm("v7"), 1},
		{"v7 runs v6", []trust.Platform{arm("v5"), arm("v6")}, arm("v7"), 1},
		{"v6 does not run v7", []trust.Platform{arm("v7")}, arm("v6"), -1},
		{"v6 does not run arm without variant", []trust.Platform{arm("")}, arm("v6"), -1},
		{"arm does not run arm64", []trust.Platform{a64("v8")}, arm("v7"), -1},
		{"amd64 takes the base before v3", []trust.Platform{x64("v3"), x64("")}, x64(""), 1},
		{"amd64/v3 takes v3", []trust.Platform{x64(""), x64("v3")}, x64("v3"), 1},
		{"odd variants only when the same", []trust.Platform{arm("hf"), arm("v6")}, arm("hf"), 0},
		{"first of equals", []trust.Platform{x64(""), x64("")}, x64(""), 0},
		{"none", nil, x64(""), -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var entries []descriptor
			for i, p := range c.have {
				entries = append(entries, descriptor{MediaType: ociManifest, Platform: &p, Size: int64(i)})
			}
			got, err := choose(entries, c.want)
			if c.pick < 0 {
				if !errors.Is(err, ErrNoPlatform) {
					t.Errorf("%v %v", got, err)
				}
			} else if err != nil || got.Size != int64(c.pick) {
				t.Errorf("picked %d %v", got.Size, err)
			}
		})
	}
}

func TestAttestationsAreNoImages(t *testing.T) {
	unknown, linux := trust.Platform{OS: "unknown", Architecture: "unknown"}, amd64
	_, err := choose([]descriptor{
		{MediaType: ociManifest, Platform: &unknown},
		{MediaType: ociManifest, Platform: &linux, Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"}},
		{MediaType: ociIndex, Platform: &linux},
		{MediaType: ociManifest},
	}, amd64)
	if !errors.Is(err, ErrNoPlatform) {
		t.Error(err)
	}
}

func FuzzParseDocument(f *testing.F) {
	f.Add([]byte(goodManifest()))
	f.Add([]byte(goodIndex()))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"platform":null,"digest":"` + dA + `"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseDocument(data)
		if err != nil {
			if !errors.Is(err, ErrBadContent) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if d.isIndex() {
			if e, err := choose(d.Manifests, arm64); err == nil && (e.Platform == nil || len(e.Digest) != 71) {
				t.Fatalf("%+v", e)
			}
			return
		}
		if d.size() < 0 || d.Config == nil {
			t.Fatalf("%+v", d)
		}
	})
}
