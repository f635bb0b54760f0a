package main

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/castellan/castellan/addons/store"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust/audit"
)

// repoView shows and changes repositories through the API.
type repoView struct{ *house }

var _ api.Repositories = repoView{}

// Repositories implements api.Backend.
func (h *house) Repositories() api.Repositories { return repoView{h} }

// List implements api.Repositories.
func (h repoView) List(context.Context) ([]api.Repository, error) {
	installed := map[string]int{}
	for _, slug := range h.addons.installs.Slugs() {
		if r, _ := h.addons.installs.Record(slug); r.Installed() {
			installed[r.Repository]++
		}
	}
	var out []api.Repository
	for _, r := range h.addons.store.Repositories() {
		out = append(out, repository(r, installed[r.Slug]))
	}
	return out, nil
}

func repository(r store.Repository, installed int) api.Repository {
	out := api.Repository{Slug: r.Slug, Name: r.Name, Source: r.Source, URL: r.URL, Maintainer: r.Maintainer, Builtin: r.Builtin, Addons: r.Addons,
		Installed: installed, Commit: r.Commit, Refreshed: r.LastSuccess, Trouble: r.LastError, Problems: []string{}}
	if r.Ledger != nil {
		out.Ledger = r.Ledger.Origin
	}
	for _, p := range r.Problems {
		text := p.Reason
		if p.Path != "" {
			text = p.Path + ": " + text
		}
		out.Problems = append(out.Problems, text)
	}
	return out
}

// Add implements api.Repositories.
func (h repoView) Add(ctx context.Context, q api.AddRepositoryRequest, by string) (api.Repository, error) {
	ctx = context.WithoutCancel(ctx)
	r, err := h.addons.store.Add(ctx, q.Repository, q.Ledger)
	if err != nil {
		return api.Repository{}, storeError(q.Repository, err)
	}
	what := map[string]any{"what": "repository added", "repository": r.Source, "slug": r.Slug}
	if r.Ledger != nil {
		what["ledger"], what["fingerprint"] = r.Ledger.Origin, r.Ledger.Fingerprint()
	}
	h.owner(ctx, what, by)
	h.wake()
	return repository(r, 0), nil
}

// owner writes what an owner did to a repository into the verification log.
func (h repoView) owner(ctx context.Context, what map[string]any, by string) {
	who, err := h.audit.Private(by)
	if err != nil {
		h.log.Error("cannot write to the verification log", "error", err)
		return
	}
	what["by"] = who
	h.note(ctx, audit.KindAction, what)
}

// Remove implements api.Repositories. The replica of a ledger that nothing installed is judged by any more goes too.
func (h repoView) Remove(ctx context.Context, slug, by string) error {
	var inUse []string
	for _, s := range h.addons.installs.Slugs() {
		if r, _ := h.addons.installs.Record(s); r.Installed() && r.Repository == slug {
			inUse = append(inUse, s)
		}
	}
	var gone *store.Ledger
	known := false
	for _, r := range h.addons.store.Repositories() {
		if r.Slug == slug {
			known, gone = true, r.Ledger
		}
	}
	if !known {
		return api.RepositoryNotFound(slug)
	}
	if err := h.addons.store.Remove(ctx, slug, inUse); err != nil {
		return storeError(slug, err)
	}
	h.owner(ctx, map[string]any{"what": "repository removed", "slug": slug}, by)
	if gone == nil {
		return nil
	}
	if _, err := h.ledgers.Drop(Ledger{Origin: gone.Origin, Keys: gone.Keys, URLs: gone.URLs}); err != nil {
		h.log.Warn("the replica of a removed repository's ledger stays", "error", err) // it costs space only
	}
	return nil
}

// Refresh implements api.Repositories.
func (h repoView) Refresh(ctx context.Context, slug string) ([]api.Repository, error) {
	if err := h.addons.store.Refresh(context.WithoutCancel(ctx), slug); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil, api.RepositoryNotFound(slug)
		}
		h.log.Warn("not every repository could be looked at", "error", err) // each says its own in the answer
	}
	h.storeLooked()
	all, err := h.List(ctx)
	if err != nil || slug == "" {
		return all, err
	}
	var out []api.Repository
	for _, r := range all {
		if r.Slug == slug {
			out = append(out, r)
		}
	}
	return out, nil
}

// storeError gives an error of the store its key and its next step.
func storeError(what string, err error) error {
	var own *store.LedgerError
	if errors.As(err, &own) {
		return api.LedgerFingerprint(what, own.Origin, own.Fingerprint, own.Given)
	}
	out := &api.Error{Status: http.StatusBadRequest, Message: err.Error(), Next: "castellan repo list"}
	switch {
	case errors.Is(err, store.ErrAdded):
		out.Key = api.KeyRepositoryAdded
	case errors.Is(err, store.ErrInUse):
		out.Key = api.KeyRepositoryInUse
	case errors.Is(err, store.ErrNotFound):
		return api.RepositoryNotFound(strings.TrimSpace(what))
	}
	return out
}
