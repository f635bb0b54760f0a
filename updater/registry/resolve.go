package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/castellan/castellan/trust"
)

// Resolver looks references up for one platform.
type Resolver struct {
	up       *Upstream
	platform trust.Platform
	maxBytes int64
}

// NewResolver looks up images for platform; an image of more than maxBytes is refused, 0 = 16 GiB.
func NewResolver(up *Upstream, platform trust.Platform, maxBytes int64) *Resolver {
	if maxBytes == 0 {
		maxBytes = 16 << 30
	}
	return &Resolver{up: up, platform: platform, maxBytes: maxBytes}
}

var manifestAccept = strings.Join([]string{
	string(types.OCIImageIndex), string(types.DockerManifestList), string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
}, ",")

// Resolve turns "repo:tag", "repo@sha256:…" or "repo:tag@sha256:…" (where the tag is ignored) into digests, asking
// the mirrors in order and the registry itself last. A reference with neither gets version for its tag. The subject's
// platform is the appliance's, and what the image states of itself is checked to run there. Errors are of one of the
// package's kinds.
func (r *Resolver) Resolve(ctx context.Context, service string, class trust.Class, reference, version string) (Resolved, error) {
	res, err := r.resolve(ctx, reference, version)
	if err != nil {
		return Resolved{}, fmt.Errorf("cannot resolve %q: %w", reference, err)
	}
	res.Subject.Component, res.Subject.Class = service, class
	return res, nil
}

func (r *Resolver) resolve(ctx context.Context, reference, version string) (res Resolved, err error) {
	ref, err := parseReference(reference, version)
	if err != nil {
		return res, err
	}
	repo := ref.Context()
	want := trust.Digest("")
	if d, ok := ref.(name.Digest); ok {
		if want, err = trust.ParseDigest(d.DigestStr()); err != nil {
			return res, err
		}
	}
	raw, doc, err := r.up.manifest(ctx, repo, ref.Identifier(), want)
	if err != nil {
		return res, err
	}
	s := trust.Subject{Repository: repo.Name(), Version: version, Platform: r.platform}
	if doc.isIndex() {
		entry, err := choose(doc.Manifests, r.platform)
		if err != nil {
			return res, err
		}
		s.Index, res.Raw.Index = trust.DigestOf(raw), raw
		if raw, doc, err = r.up.manifest(ctx, repo, string(entry.Digest), entry.Digest); err != nil {
			return res, err
		}
		if doc.isIndex() {
			return res, fmt.Errorf("%w: the index calls another index a manifest", ErrBadContent)
		}
	} else if err := r.checkConfig(ctx, repo, *doc.Config); err != nil {
		return res, err
	}
	s.Manifest, res.Raw.Manifest = trust.DigestOf(raw), raw
	s.Config = doc.Config.Digest
	if res.Size = doc.size(); res.Size > r.maxBytes {
		return res, fmt.Errorf("%w: the image has %d bytes, the limit is %d; raise the limit in the settings if you want it", ErrBadContent, res.Size, r.maxBytes)
	}
	res.Subject = s
	return res, nil
}

func parseReference(reference, version string) (name.Reference, error) {
	ref, err := name.ParseReference(reference, name.WeakValidation, name.WithDefaultTag(version))
	if err != nil {
		return nil, fmt.Errorf("it is not an image reference: %w; correct the settings or the channel", err)
	}
	return ref, nil
}

// manifest gets one index or manifest by tag or digest and compares it with want, if that is known.
func (u *Upstream) manifest(ctx context.Context, repo name.Repository, identifier string, want trust.Digest) ([]byte, document, error) {
	if b := u.cached(want); b != nil {
		doc, err := parseDocument(b)
		return b, doc, err
	}
	var tries []error
	for _, s := range u.sources(repo) {
		raw, err := u.small(ctx, s, "manifests/"+identifier, want, maxManifest)
		var doc document
		if err == nil {
			doc, err = parseDocument(raw)
		}
		if err == nil {
			u.cache(trust.DigestOf(raw), raw)
			return raw, doc, nil
		}
		if ctx.Err() != nil {
			return nil, document{}, ctx.Err()
		}
		u.cfg.Log.Debug("mirror did not answer for a manifest", "mirror", s.String(), "error", err)
		tries = append(tries, fmt.Errorf("%s: %w", s, err))
	}
	return nil, document{}, summary(tries)
}

// checkConfig reads the platform of an image that has no index, and checks that it runs here.
func (r *Resolver) checkConfig(ctx context.Context, repo name.Repository, config descriptor) error {
	var tries []error
	for _, s := range r.up.sources(repo) {
		raw, err := r.up.small(ctx, s, "blobs/"+string(config.Digest), config.Digest, min(config.Size, maxManifest))
		if err == nil {
			return r.checkPlatform(raw)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		tries = append(tries, fmt.Errorf("%s: %w", s, err))
	}
	return summary(tries)
}

func (r *Resolver) checkPlatform(config []byte) error {
	var p trust.Platform
	if err := json.Unmarshal(config, &p, json.MatchCaseInsensitiveNames(true)); err != nil {
		return fmt.Errorf("%w: the image's config can't be read: %w", ErrBadContent, err)
	}
	if fit(p, r.platform) < 0 {
		return fmt.Errorf("%w: want %s, it is for %s; %s", ErrNoPlatform, r.platform, printable(p.String()), nextStep[ErrNoPlatform])
	}
	return nil
}

// small reads a whole body of at most limit bytes within the timeout and compares it with want, if that is known.
func (u *Upstream) small(ctx context.Context, s source, path string, want trust.Digest, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, u.cfg.Timeout)
	defer cancel()
	resp, err := u.get(ctx, s, path, http.Header{"Accept": {manifestAccept}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: broke off after %d bytes", ErrUnreachable, len(raw))
	case err != nil:
		return nil, classify(err)
	case int64(len(raw)) > limit:
		return nil, fmt.Errorf("%w: sends more than %d bytes", ErrBadContent, limit)
	}
	if got := trust.DigestOf(raw); want != "" && got != want {
		err := fmt.Errorf("%w: asked for %s, got %s", ErrBadContent, want, got)
		u.demote(s, err)
		return nil, err
	}
	return raw, nil
}
