package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/castellan/castellan/trust"
)

// Limits on what a registry may send.
const (
	maxManifestBytes = 4 << 20 // the limit the OCI distribution specification advises
	maxPlatforms     = 64
)

// registryImage resolves ref to its index, every platform's manifest, and every configuration.
func registryImage(ctx context.Context, ref string, o Options) (Artifact, error) {
	a, err := readRegistry(ctx, ref, o)
	if err != nil {
		return Artifact{}, fmt.Errorf("cannot read image %.200q from its registry: %w", ref, err)
	}
	return a, nil
}

func readRegistry(ctx context.Context, ref string, o Options) (Artifact, error) {
	opts := []name.Option{name.WithDefaultTag("latest")}
	if o.PlainHTTP {
		opts = append(opts, name.Insecure)
	}
	r, err := name.ParseReference(ref, opts...)
	if err != nil {
		return Artifact{}, fmt.Errorf("%w; write it as registry/owner/name:tag", err)
	}
	base := o.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	puller, err := remote.NewPuller(
		remote.WithContext(ctx),
		remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithTransport(cappedTransport{base}),
		remote.WithRetryBackoff(remote.Backoff{Duration: 200 * time.Millisecond, Factor: 3, Steps: 3}),
	)
	if err != nil {
		return Artifact{}, err
	}
	desc, err := puller.Get(ctx, r)
	if err != nil {
		return Artifact{}, err
	}
	a := Artifact{Kind: trust.KindImage, Name: r.Context().Name()}
	if tag, ok := r.(name.Tag); ok && tag.TagStr() != "latest" {
		a.Version = tag.TagStr()
	}
	if !desc.MediaType.IsIndex() {
		return a, a.addManifest(ctx, puller, r.Context(), desc.Manifest, nil)
	}
	idx, err := v1.ParseIndexManifest(bytes.NewReader(desc.Manifest))
	if err != nil {
		return Artifact{}, fmt.Errorf("the index is not readable: %w", err)
	}
	if n := len(idx.Manifests); n > maxPlatforms {
		return Artifact{}, fmt.Errorf("the index lists %d manifests, more than %d", n, maxPlatforms)
	}
	a.Subjects = append(a.Subjects, trust.RecordSubject{Name: a.Name, Digest: trust.DigestOf(desc.Manifest), Role: "index"})
	for _, m := range idx.Manifests {
		if !m.MediaType.IsImage() || isAttestation(m) {
			continue // build attestations are listed beside the images and are never run
		}
		child, err := puller.Get(ctx, r.Context().Digest(m.Digest.String()))
		if err != nil {
			return Artifact{}, fmt.Errorf("manifest %s: %w", m.Digest, err)
		}
		if err := a.addManifest(ctx, puller, r.Context(), child.Manifest, m.Platform); err != nil {
			return Artifact{}, err
		}
	}
	if len(a.Subjects) == 1 {
		return Artifact{}, errors.New("the index lists no image")
	}
	return a, nil
}

func isAttestation(m v1.Descriptor) bool {
	return m.Annotations["vnd.docker.reference.type"] != "" ||
		m.Platform != nil && m.Platform.OS == "unknown" && m.Platform.Architecture == "unknown"
}

// addManifest adds one platform. The platform is what the configuration says, since that is what an engine runs; an
// index that says otherwise is refused.
func (a *Artifact) addManifest(ctx context.Context, p *remote.Puller, repo name.Repository, raw []byte, listed *v1.Platform) error {
	digest := trust.DigestOf(raw)
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("manifest %s is not readable: %w", digest, err)
	}
	if m.Config.MediaType != types.DockerConfigJSON && m.Config.MediaType != types.OCIConfigJSON {
		return fmt.Errorf("manifest %s is not of a container image (configuration %.80q)", digest, m.Config.MediaType)
	}
	if m.Config.Size > maxManifestBytes {
		return fmt.Errorf("the configuration of manifest %s has %d bytes, more than %d", digest, m.Config.Size, maxManifestBytes)
	}
	layer, err := p.Layer(ctx, repo.Digest(m.Config.Digest.String()))
	if err != nil {
		return fmt.Errorf("configuration %s: %w", m.Config.Digest, err)
	}
	rc, err := layer.Compressed() // the configuration as stored; go-containerregistry checks size and digest while reading
	if err != nil {
		return fmt.Errorf("configuration %s: %w", m.Config.Digest, err)
	}
	config, err := io.ReadAll(io.LimitReader(rc, maxManifestBytes+1))
	if err = errors.Join(err, rc.Close()); err != nil {
		return fmt.Errorf("configuration %s: %w", m.Config.Digest, err)
	}
	if got := trust.DigestOf(config); string(got) != m.Config.Digest.String() {
		return fmt.Errorf("the registry sent configuration %s where %s was asked", got, m.Config.Digest)
	}
	cf, err := v1.ParseConfigFile(bytes.NewReader(config))
	if err != nil {
		return fmt.Errorf("configuration %s is not readable: %w", m.Config.Digest, err)
	}
	platform := trust.Platform{OS: cf.OS, Architecture: cf.Architecture, Variant: cf.Variant}
	if listed != nil {
		if listed.OS != cf.OS || listed.Architecture != cf.Architecture {
			return fmt.Errorf("the index lists manifest %s for %s/%s, but it is for %s", digest, listed.OS, listed.Architecture, platform)
		}
		platform.Variant = listed.Variant // configurations often leave it out; engines choose by the index
	}
	if a.Version == "" {
		a.Version = cf.Config.Labels["org.opencontainers.image.version"]
	}
	a.Size += m.Config.Size
	for _, l := range m.Layers {
		if l.Size < 0 {
			return fmt.Errorf("manifest %s has a layer of %d bytes", digest, l.Size)
		}
		a.Size += l.Size
	}
	a.Subjects = append(a.Subjects,
		trust.RecordSubject{Name: a.Name, Digest: digest, Role: "manifest", Platform: platform.String()},
		trust.RecordSubject{Name: a.Name, Digest: trust.DigestOf(config), Role: "config", Platform: platform.String()})
	return nil
}

// cappedTransport ends every answer after maxManifestBytes: all that is read here is manifests, configurations and
// tokens, and a registry may send for ever.
type cappedTransport struct{ base http.RoundTripper }

func (t cappedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &cappedBody{ReadCloser: resp.Body, left: maxManifestBytes}
	return resp, nil
}

type cappedBody struct {
	io.ReadCloser
	left int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// One more byte tells an answer of exactly the limit from one that is too long.
		if n, err := b.ReadCloser.Read(make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, fmt.Errorf("the registry's answer is longer than %d bytes", maxManifestBytes)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}
