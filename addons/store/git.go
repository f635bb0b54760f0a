package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// git speaks git's smart HTTP protocol. It works below go-git's Repository and Worktree on purpose: what a stranger's
// tree becomes on this disk is decided in export.go and nowhere else.
type git struct {
	limits Limits
	client transport.Transport
	http   *bounded
}

func newGit(l Limits) *git {
	t := newTransport(l)
	return &git{limits: l, client: githttp.NewClient(&http.Client{Transport: t, CheckRedirect: redirects}), http: t}
}

// remote is a server's answer to the question what its branches are.
type remote struct {
	session transport.UploadPackSession
	refs    *packp.AdvRefs
}

// look is one round trip.
func (g *git) look(ctx context.Context, address string) (*remote, error) {
	ep, err := transport.NewEndpoint(strings.TrimRight(address, "/"))
	if err != nil {
		return nil, err
	}
	session, err := g.client.NewUploadPackSession(ep, nil)
	if err != nil {
		return nil, err
	}
	refs, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, reason(ctx, err)
	}
	return &remote{session: session, refs: refs}, nil
}

// head is the commit of a branch or tag, or of the default branch.
func (r *remote) head(branch string) (plumbing.Hash, error) {
	if branch == "" {
		if r.refs.Head != nil {
			return *r.refs.Head, nil
		}
		return plumbing.ZeroHash, errors.New("it has no default branch; name one after the address, as #main")
	}
	if h, ok := r.refs.References["refs/heads/"+branch]; ok {
		return h, nil
	}
	tag := "refs/tags/" + branch
	if h, ok := r.refs.Peeled[tag]; ok {
		return h, nil
	}
	if h, ok := r.refs.References[tag]; ok {
		return h, nil
	}
	return plumbing.ZeroHash, fmt.Errorf("it has no branch %q", branch)
}

// fetch writes the pack of one commit, without its history, to a file in dir and opens it.
func (r *remote) fetch(ctx context.Context, l Limits, want plumbing.Hash, dir string) (_ *pack, err error) {
	caps := r.refs.Capabilities
	if !caps.Supports(capability.Shallow) {
		return nil, errors.New("its server offers no shallow clones (smart HTTP)")
	}
	req := packp.NewUploadPackRequest()
	req.Wants = []plumbing.Hash{want}
	req.Depth = packp.DepthCommits(1)
	for _, c := range []capability.Capability{capability.Shallow, capability.Sideband64k, capability.OFSDelta} {
		if caps.Supports(c) {
			if err := req.Capabilities.Set(c); err != nil {
				return nil, err
			}
		}
	}
	res, err := r.session.UploadPack(ctx, req)
	if err != nil {
		return nil, reason(ctx, err)
	}
	defer res.Close() // what was read is checked by its checksum
	var body io.Reader = res
	if caps.Supports(capability.Sideband64k) {
		body = sideband.NewDemuxer(sideband.Sideband64k, res)
	}
	name := filepath.Join(dir, "pack")
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(f, body)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, reason(ctx, err)
	}
	return openPack(ctx, dir, "pack", l)
}

// reason puts the cause that the layers in between have swallowed in front.
func reason(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return fmt.Errorf("it is private or does not exist: %w", err)
	case strings.Contains(err.Error(), errStalled.Error()) && !errors.Is(err, errStalled):
		return fmt.Errorf("%w: %w", errStalled, err)
	}
	return err
}

// definite tells whether asking again changes nothing: the server answered, and the answer was no.
func definite(err error) bool {
	return errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed) ||
		errors.Is(err, transport.ErrRepositoryNotFound) || errors.Is(err, transport.ErrEmptyRemoteRepository) ||
		errors.Is(err, ErrHostile) || strings.Contains(err.Error(), "not our ref")
}

// nextStep is what a person can do about an error of git.
func nextStep(err error) string {
	var ne net.Error
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed), errors.Is(err, transport.ErrRepositoryNotFound):
		return "check the address; only public repositories are supported"
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return "ask its maintainer"
	case errors.As(err, &ne), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errStalled):
		return "it is tried again by itself; check the network if it stays"
	}
	return "it is tried again by itself; ask its maintainer if it stays"
}
