package web

import (
	"errors"
	"net/http"
	"slices"

	"github.com/castellan/castellan/supervisor/api"
)

// reposPage is the list of repositories, with a form that is shown again with what was wrong.
type reposPage struct {
	List   []api.Repository
	Source string
	Fault  *fault
	Ledger *ownLedger
}

// ownLedger is the ledger a repository has of its own, whose key somebody must compare before it is believed.
type ownLedger struct{ Origin, Fingerprint string }

func (v *visit) repositories() (answer, error) {
	list, err := v.api.Repositories(v.ctx())
	return answer{view: "repositories", data: reposPage{List: list.Repositories}}, err
}

func (v *visit) postRepository() (answer, error) {
	in := api.AddRepositoryRequest{Repository: v.form("source"), Ledger: v.form("ledger")}
	_, err := v.api.AddRepository(v.ctx(), in)
	if err == nil {
		return v.done("/ui/addons/repositories", "addons.repo_added")
	}
	var e *api.Error
	if !errors.As(err, &e) || e.Status == http.StatusForbidden {
		return answer{}, err
	}
	list, listErr := v.api.Repositories(v.ctx())
	if listErr != nil {
		return answer{}, listErr
	}
	f := v.fail(err)
	out := reposPage{List: list.Repositories, Source: in.Repository, Fault: &f}
	if e.Key == api.KeyLedgerFingerprint {
		origin, _ := e.Extra["origin"].(string)
		key, _ := e.Extra["fingerprint"].(string)
		out.Ledger, out.Fault.Next = &ownLedger{origin, key}, ""
	}
	return answer{view: "repositories", data: out, status: http.StatusUnprocessableEntity}, nil
}

func (v *visit) postRefresh() (answer, error) {
	if _, err := v.api.RefreshRepositories(v.ctx(), v.form("slug")); err != nil {
		return v.again("/ui/addons/repositories", err)
	}
	return v.done("/ui/addons/repositories", "addons.repo_refreshed")
}

// repository is the one an address is about.
func (v *visit) repository() (api.Repository, error) {
	list, err := v.api.Repositories(v.ctx())
	if err != nil {
		return api.Repository{}, err
	}
	i := slices.IndexFunc(list.Repositories, func(r api.Repository) bool { return r.Slug == v.r.PathValue("repo") })
	if i < 0 {
		return api.Repository{}, &api.Error{Status: http.StatusNotFound, Key: "no_page", Message: v.say("addons.no_repo"), Next: v.say("addons.no_repo_next")}
	}
	return list.Repositories[i], nil
}

func (v *visit) repositoryRemoval() (answer, error) {
	r, err := v.repository()
	return answer{view: "repository_remove", data: r}, err
}

func (v *visit) postRepositoryRemoval() (answer, error) {
	if err := v.api.RemoveRepository(v.ctx(), v.r.PathValue("repo")); err != nil {
		return v.again("/ui/addons/repositories", err)
	}
	return v.done("/ui/addons/repositories", "addons.repo_removed")
}
