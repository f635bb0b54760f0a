package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// Repositories is the add-on repositories the appliance follows. by is the caller in words.
type Repositories interface {
	List(ctx context.Context) ([]Repository, error)
	// Add follows a repository and answers when its first copy is there. One that names a ledger of its own whose
	// fingerprint was not accepted is an [Error] made by [LedgerFingerprint], and nothing has happened.
	Add(ctx context.Context, r AddRepositoryRequest, by string) (Repository, error)
	// Remove stops following. A repository that comes with the appliance or has an installed add-on stays, with an error.
	Remove(ctx context.Context, slug, by string) error
	// Refresh looks at the remote of one repository, or of all when slug is empty. What could not be reached is in the
	// answer as trouble; its last good copy stays.
	Refresh(ctx context.Context, slug string) ([]Repository, error)
}

// repositoryRoutes are the calls about add-on repositories.
var repositoryRoutes = []route{
	{"GET", "/castellan/repositories", Viewer, never, "The add-on repositories that are followed.", onRepositories((*Server).getRepositories)},
	{"POST", "/castellan/repositories", Admin, never, "Follows a repository.", onRepositories((*Server).postRepository)},
	{"POST", "/castellan/repositories/refresh", Admin, never, "Looks at the remote of one repository, or of all.", onRepositories((*Server).postRefresh)},
	{"DELETE", "/castellan/repositories/{slug}", Admin, never, "Stops following a repository.", onRepositories((*Server).deleteRepository)},
}

// onRepositories makes an endpoint of a call that needs an appliance with add-ons.
func onRepositories[In, Out any](do func(*Server, context.Context, Caller, In) (Out, error)) endpoint {
	return call(do).guarded(func(s *Server, r *http.Request) error {
		if _, err := s.repositories(); err != nil {
			return err
		}
		if slug := r.PathValue("slug"); slug != "" && !slugShape.MatchString(slug) {
			return RepositoryNotFound(slug)
		}
		return nil
	})
}

func (s *Server) repositories() (Repositories, error) {
	if r := s.cfg.Backend.Repositories(); r != nil {
		return r, nil
	}
	return nil, noAddons()
}

// RepositoryNotFound says that no repository with a slug is followed.
func RepositoryNotFound(slug string) *Error {
	return &Error{Status: http.StatusNotFound, Key: KeyRepositoryNotFound, Message: fmt.Sprintf("no repository %.100q is followed", slug),
		Next: "castellan repo list"}
}

func (s *Server) getRepositories(ctx context.Context, _ Caller, _ none) (RepositoryList, error) {
	return repositoryList(s.cfg.Backend.Repositories().List(ctx))
}

func repositoryList(list []Repository, err error) (RepositoryList, error) {
	fill(&list)
	for i := range list {
		fill(&list[i].Problems)
	}
	return RepositoryList{list}, err
}

// maxRepository and maxFingerprint bound what names a repository and its ledger, in bytes.
const (
	maxRepository  = 2000
	maxFingerprint = 200
)

func (q AddRepositoryRequest) check() error {
	switch {
	case q.Repository == "":
		return missing("add the repository", "repository")
	case len(q.Repository) > maxRepository || !printable(q.Repository):
		return badRequest("cannot add the repository: field \"repository\" is %.80q, want a git URL", q.Repository)
	case len(q.Ledger) > maxFingerprint || !printable(strings.ReplaceAll(q.Ledger, " ", "")): // it is shown in groups
		return badRequest("cannot add the repository: field \"ledger\" is %.80q, want the fingerprint of a key", q.Ledger)
	}
	return nil
}

func (s *Server) postRepository(ctx context.Context, c Caller, in about[AddRepositoryRequest]) (Repository, error) {
	repo, err := s.cfg.Backend.Repositories().Add(ctx, in.Body, c.String())
	fill(&repo.Problems)
	return repo, err
}

func printable(s string) bool {
	for _, c := range s {
		if c == unicode.ReplacementChar || c == ' ' || !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}

func (q RefreshRequest) check() error {
	if q.Slug != "" && !slugShape.MatchString(q.Slug) {
		return RepositoryNotFound(q.Slug)
	}
	return nil
}

func (s *Server) postRefresh(ctx context.Context, _ Caller, in about[RefreshRequest]) (RepositoryList, error) {
	return repositoryList(s.cfg.Backend.Repositories().Refresh(ctx, in.Body.Slug))
}

// slugIn is a request about what its slug names.
type slugIn struct {
	Slug string `path:"slug"`
}

func (s *Server) deleteRepository(ctx context.Context, c Caller, in slugIn) (none, error) {
	return none{}, s.cfg.Backend.Repositories().Remove(ctx, in.Slug, c.String())
}
