package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"
)

// Support gathers support bundles. One that was gathered is kept for a while, so that what is downloaded is what was looked at.
type Support interface {
	// Gather says what is in a bundle; of an id that is not kept any more, and of none, it makes a new one.
	Gather(ctx context.Context, id string) (SupportContents, error)
	// File is one file of a bundle.
	File(ctx context.Context, id, name string) (SupportText, error)
	// Zip is a bundle in one file; of an id that is not kept any more, and of none, it is a new one.
	Zip(ctx context.Context, id string) (io.ReadCloser, error)
}

// supportRoutes are about what somebody needs who helps. Nothing is sent anywhere.
var supportRoutes = []route{
	{"GET", "/castellan/support-bundle", Admin, never, "The support bundle, a zip file with a manifest; with an id, the one that was looked at.", bundles()},
	{"GET", "/castellan/support-bundle/contents", Admin, never, "Gathers a support bundle and lists its files, with what was hidden in each; with an id, of one that is kept.", onSupport(func(s *Server, ctx context.Context, _ Caller, in supportIn) (SupportContents, error) {
		out, err := s.cfg.Support.Gather(ctx, in.ID)
		fill(&out.Files)
		return out, err
	})},
	{"GET", "/castellan/support-bundle/file", Admin, never, "One file of a support bundle that was gathered.", onSupport(func(s *Server, ctx context.Context, _ Caller, in supportFileIn) (SupportText, error) {
		return s.cfg.Support.File(ctx, in.ID, in.Name)
	})},
}

// SupportContents is the answer of /castellan/support-bundle/contents.
type SupportContents struct {
	ID    string        `json:"id"` // of the bundle, as long as it is kept
	Made  time.Time     `json:"made"`
	Until time.Time     `json:"until"` // it is kept
	Size  int64         `json:"size"`  // of all files, before they are packed
	Files []SupportFile `json:"files"`
}

// SupportFile is a file of a bundle, or why it is not in there.
type SupportFile struct {
	Name   string         `json:"name"`
	What   string         `json:"what"`
	Size   int64          `json:"size"`
	SHA256 string         `json:"sha256,omitempty"`
	Error  string         `json:"error,omitempty"`
	Hidden map[string]int `json:"hidden,omitempty"` // how often something is hidden, by sort: secret, host, email, lan, ip, mac, word
}

// SupportText is a file with what stands in it.
type SupportText struct {
	SupportFile
	Text string `json:"text"`
}

type supportFileIn struct {
	ID   string `query:"id"`
	Name string `query:"name"`
}

type supportIn struct {
	ID string `query:"id"`
}

var bundleShape = regexp.MustCompile(`^[0-9a-f]{16}$`)

// NoBundle is the error for a bundle, or a file of one, that is not kept.
func NoBundle() error {
	return &Error{Status: http.StatusNotFound, Key: "bundle_not_found", Message: "that support bundle is not kept any more, or has no such file", Next: "gather another"}
}

func hasSupport(s *Server, r *http.Request) error {
	if s.cfg.Support == nil {
		return &Error{Status: http.StatusNotFound, Key: "no_support", Message: "this appliance makes no support bundles", Next: "castellan support-bundle"}
	}
	if id := r.URL.Query().Get("id"); id != "" && !bundleShape.MatchString(id) {
		return badRequest("cannot read query \"id\" %.40q: want the id of a bundle", id)
	}
	return nil
}

func onSupport[In, Out any](do func(*Server, context.Context, Caller, In) (Out, error)) endpoint {
	return call(do).guarded(hasSupport)
}

func bundles() endpoint {
	e := raw("application/zip", func(s *Server, ctx context.Context, c Caller, in supportIn) (io.ReadCloser, error) {
		b, err := s.cfg.Support.Zip(ctx, in.ID)
		if err != nil {
			return nil, fmt.Errorf("cannot make the support bundle: %w", err)
		}
		s.cfg.Log.Info("support bundle handed out", "to", c.String())
		return b, nil
	})
	return e.guarded(hasSupport)
}
