// Package registry turns image references into digests, and hands the engine the bytes behind those digests.
//
// # Threat model
//
// Registries and mirrors may lie, lag, hang, cut, send for ever or redirect anywhere. Nothing they say is believed but
// what a digest proves: a tag is read once, in [Resolver.Resolve], and from then on everything is asked for by digest
// and checked before it is used. Whether a digest may run is not decided here. Credentials go to the host they were
// configured for, over TLS unless the settings say otherwise, and never to the engine or to a host one is redirected to.
//
// # How the engine pulls
//
// The engine never talks to a registry. [Server] is a read-only registry on a loopback address that knows only what
// is on offer at the moment: manifests that were judged, by digest, and the blobs they name. The engine decides which
// blobs it lacks; each is fetched from the mirrors when it is asked for, resumed where it broke off, compared with its
// digest and only then passed on. After the pull the bytes are deleted: the engine has them.
//
// This is the only package of the daemon that knows the registry client.
package registry

import (
	"errors"
	"fmt"
	"strings"

	"github.com/castellan/castellan/trust"
)

// Kinds of errors, by what to do about them. They speak about registries and mirrors, never about trust. When several
// mirrors fail in different ways the error is of the kind that promises most from trying again.
var (
	ErrUnreachable  = errors.New("registry unreachable")        // retry
	ErrRateLimited  = errors.New("registry limits the rate")    // retry later
	ErrUnauthorized = errors.New("registry wants credentials")  // the owner must act
	ErrBadContent   = errors.New("registry sent wrong content") // retry; another mirror may be better
	ErrNotFound     = errors.New("no such image")               // the version is wrong, or not published yet
	ErrNoPlatform   = errors.New("no image for this platform")  // the publisher must act
	ErrDiskFull     = errors.New("not enough disk space")       // the owner must act
)

// kinds in the order in which one hides another.
var kinds = []error{ErrDiskFull, ErrUnreachable, ErrRateLimited, ErrUnauthorized, ErrBadContent, ErrNoPlatform, ErrNotFound}

var nextStep = map[error]string{
	ErrDiskFull:     "free some space on the data folder's disk and try again",
	ErrUnreachable:  "it is tried again by itself; check the network if it stays so",
	ErrRateLimited:  "it is tried again later; credentials or a mirror raise the limit",
	ErrUnauthorized: "add or correct the credentials for this registry in the settings",
	ErrBadContent:   "it is tried again; tell whoever runs the mirror if it stays so",
	ErrNoPlatform:   "ask the publisher for an image of this platform",
	ErrNotFound:     "check the version, or whether the publisher has taken it back",
}

// kindOf is the kind that decides, ErrUnreachable for anything unknown.
func kindOf(err error) error {
	for _, k := range kinds {
		if errors.Is(err, k) {
			return k
		}
	}
	return ErrUnreachable
}

// summary is one error for what several mirrors answered: it is of one kind only and tells what each said.
func summary(tries []error) error {
	all := errors.Join(tries...)
	kind := kindOf(all)
	if all == nil {
		return fmt.Errorf("%w: no mirror is set", kind)
	}
	return fmt.Errorf("%w: %s; %s", kind, strings.ReplaceAll(all.Error(), "\n", "; "), nextStep[kind])
}

// Resolved is what a reference stood for when it was looked up. Nothing after it takes a tag.
type Resolved struct {
	Subject trust.Subject
	Raw     trust.Raw // the bytes its digests were computed from
	Size    int64     // bytes of config and layers, to download when the engine holds none of it
}
