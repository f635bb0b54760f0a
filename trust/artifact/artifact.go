// Package artifact turns what a person names (an image reference, an image in a Docker engine, a file, a digest)
// into the subjects a notarization speaks about.
//
// # Threat model
//
// Registries and engines are asked for bytes and never believed: manifests are hashed here, and a digest that comes
// from an engine without its content is marked by its role only. Every answer has a size limit and every call a time
// limit, so a registry that sends for ever costs one error. What a tag points at may change at any moment; callers use
// the digests and forget the tag.
//
// Nothing here runs an image, writes a file, or decides what is trusted.
package artifact

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/castellan/castellan/trust"
)

// Artifact is something that can be notarized or authenticated.
type Artifact struct {
	Kind     string // trust.KindImage or trust.KindFile
	Name     string // canonical repository, or base name of a file; "" when only a digest is known
	Version  string // "" when nothing tells
	Size     int64  // bytes; of an image the compressed layers and configurations of all its platforms; 0 = unknown
	Subjects []trust.RecordSubject

	// Remote are the references "repository@digest" under which an engine got the image; only for docker://.
	Remote []string
}

// Digests are the digests of all subjects, in order.
func (a Artifact) Digests() []trust.Digest {
	out := make([]trust.Digest, len(a.Subjects))
	for i, s := range a.Subjects {
		out[i] = s.Digest
	}
	return out
}

// Options say how to reach registries and engines. The zero value is what the environment says.
type Options struct {
	PlainHTTP  bool              // speak http to registries that are not on this machine
	Transport  http.RoundTripper // to registries; nil = http.DefaultTransport
	DockerHost string            // "unix:///run/docker.sock" or "tcp://host:port"; "" = $DOCKER_HOST, else the default socket
	Timeout    time.Duration     // for the whole of one artifact, 0 = 2 minutes
}

const defaultTimeout = 2 * time.Minute

// Resolve reads what arg names:
//
//	docker://REF         an image the local Docker engine holds
//	oci://REF            an image in a registry
//	file://PATH          a file
//	sha256:HEX           a digest alone
//	PATH                 a file, when it exists or starts with / ./ or ../
//	REF                  otherwise an image in a registry, as "ghcr.io/owner/core:1.2"
//
// A file that lies where a full image reference leads is refused: whoever fills the folder a build runs in could
// otherwise have a trusted file answer for the image that was meant.
func Resolve(ctx context.Context, arg string, o Options) (Artifact, error) {
	timeout := o.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	scheme, rest, hasScheme := strings.Cut(arg, "://")
	switch {
	case strings.TrimSpace(arg) == "" || hasScheme && rest == "":
		return Artifact{}, fmt.Errorf("cannot read artifact %q: it is empty; name an image reference, docker://REF, file://PATH or a digest", arg)
	case hasScheme && scheme == "docker":
		return engineImage(ctx, rest, o)
	case hasScheme && scheme == "oci":
		return registryImage(ctx, rest, o)
	case hasScheme && scheme == "file":
		return readFile(ctx, rest)
	case hasScheme:
		return Artifact{}, fmt.Errorf("cannot read artifact %q: scheme %.20q is not known; use docker://, oci:// or file://", arg, scheme)
	case strings.HasPrefix(arg, "sha256:"):
		return FromDigest(arg)
	}
	if looksLikePath(arg) {
		if namesRegistry(arg) {
			return Artifact{}, fmt.Errorf("cannot read artifact %q: it is a file here and the name of an image; write file://%s or oci://%s", arg, arg, arg)
		}
		return readFile(ctx, arg)
	}
	return registryImage(ctx, arg, o)
}

func looksLikePath(arg string) bool {
	if strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "../") {
		return true
	}
	if _, err := os.Lstat(arg); err == nil {
		return true
	}
	return !strings.ContainsAny(arg, "/:@") // a bare word would be an image of Docker Hub's library; nobody means that
}

// namesRegistry tells whether arg begins with a registry's host, as a full image reference does.
func namesRegistry(arg string) bool {
	host, _, ok := strings.Cut(arg, "/")
	return ok && host != "." && host != ".." && (strings.ContainsAny(host, ".:") || host == "localhost")
}

// FromDigest is the artifact of a digest alone, with or without the prefix "sha256:". It has no name and no version.
func FromDigest(s string) (Artifact, error) {
	if !strings.Contains(s, ":") {
		s = "sha256:" + s
	}
	d, err := trust.ParseDigest(strings.ToLower(s))
	if err != nil {
		return Artifact{}, err
	}
	return Artifact{Kind: trust.KindFile, Subjects: []trust.RecordSubject{{Digest: d}}}, nil
}

// versionInName finds "1.2.3" in "thing-v1.2.3.tar.gz"; a file has no other place to say it.
var versionInName = regexp.MustCompile(`(?:^|[-_v])v?([0-9]+\.[0-9]+(?:\.[0-9]+)*(?:-[0-9A-Za-z.]+?)?)(?:\.[a-z]|$|_)`)
