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
	{"GET", "/castellan/repositories", anyone, (*Server).getRepositories},
	{"POST", "/castellan/repositories", admin, (*Server).postRepository},
	{"POST", "/castellan/repositories/refresh", admin, (*Server).postRefresh},
	{"DELETE", "/castellan/repositories/{slug}", admin, (*Server).deleteRepository},
}

func (s *Server) repositories() (Repositories, error) {
	if r := s.backend.Repositories(); r != nil {
		return r, nil
	}
	return nil, noAddons()
}

// RepositoryNotFound says that no repository with a slug is followed.
func RepositoryNotFound(slug string) *Error {
	return &Error{Status: http.StatusNotFound, Key: KeyRepositoryNotFound, Message: fmt.Sprintf("no repository %.100q is followed", slug),
		Next: "castellan repo list"}
}

func (s *Server) getRepositories(r *http.Request) (any, error) {
	repos, err := s.repositories()
	if err != nil {
		return nil, err
	}
	return repositoryList(repos.List(r.Context()))
}

func repositoryList(list []Repository, err error) (any, error) {
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

func (s *Server) postRepository(r *http.Request) (any, error) {
	repos, err := s.repositories()
	if err != nil {
		return nil, err
	}
	req, err := readAll(r, func(q AddRepositoryRequest) error {
		switch {
		case q.Repository == "":
			return missing("add the repository", "repository")
		case len(q.Repository) > maxRepository || !printable(q.Repository):
			return badRequest("cannot add the repository: field \"repository\" is %.80q, want a git URL", q.Repository)
		case len(q.Ledger) > maxFingerprint || !printable(strings.ReplaceAll(q.Ledger, " ", "")): // it is shown in groups
			return badRequest("cannot add the repository: field \"ledger\" is %.80q, want the fingerprint of a key", q.Ledger)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	repo, err := repos.Add(r.Context(), req, by(r))
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

func (s *Server) postRefresh(r *http.Request) (any, error) {
	repos, err := s.repositories()
	if err != nil {
		return nil, err
	}
	req, err := readAll(r, func(q RefreshRequest) error {
		if q.Slug != "" && !slugShape.MatchString(q.Slug) {
			return RepositoryNotFound(q.Slug)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return repositoryList(repos.Refresh(r.Context(), req.Slug))
}

func (s *Server) deleteRepository(r *http.Request) (any, error) {
	repos, err := s.repositories()
	if err != nil {
		return nil, err
	}
	slug := r.PathValue("slug")
	if !slugShape.MatchString(slug) {
		return nil, RepositoryNotFound(slug)
	}
	if err := nothing(r); err != nil {
		return nil, err
	}
	return struct{}{}, repos.Remove(r.Context(), slug, by(r))
}
