package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/castellan/castellan/supervisor/jobs"
)

// storeRoutes are Home Assistant's calls about the store.
var storeRoutes = []route{
	{"GET", "/store", Viewer, byManager, "What repositories offer, and the repositories.", ha((*Server).getStore)},
	{"GET", "/store/addons", Viewer, byManager, "What repositories offer.", ha((*Server).getStoreAddons)},
	{"GET", "/store/addons/{slug}", Viewer, byManager, "One add-on that is offered.", ha((*Server).getStoreAddon)},
	{"GET", "/store/addons/{slug}/{version}", Viewer, byManager, "One add-on that is offered; there is one version of each.", ha((*Server).getStoreVersion)},
	{"GET", "/store/addons/{slug}/availability", Viewer, byManager, "Nothing when the add-on can be installed here, else why not.", ha((*Server).getAvailability)},
	{"GET", "/store/addons/{slug}/icon", Nobody, every, "Its icon.", file(FileIcon, mediaPNG)},
	{"GET", "/store/addons/{slug}/logo", Nobody, every, "Its logo.", file(FileLogo, mediaPNG)},
	{"GET", "/store/addons/{slug}/changelog", Viewer, byManager, "Its changelog, or a sentence that there is none.", textOf(FileChangelog)},
	{"GET", "/store/addons/{slug}/documentation", Viewer, byManager, "Its documentation, or a sentence that there is none.", textOf(FileDocumentation)},
	{"POST", "/store/addons/{slug}/install", Operator, others, "Installs an add-on and waits for the end.", haWork((*Server).postHAInstall)},
	{"POST", "/store/addons/{slug}/install/{version}", Operator, others, "Installs an add-on; there is one version of each.", haWork((*Server).postHAInstall)},
	{"POST", "/store/addons/{slug}/update", Operator, others, "Updates an add-on and waits for the end.", haWork((*Server).postHAUpdate)},
	{"POST", "/store/addons/{slug}/update/{version}", Operator, others, "Updates an add-on; there is one version of each.", haWork((*Server).postHAUpdate)},
	{"POST", "/store/reload", Operator, byManager, "Looks at the repositories.", haWork((*Server).postStoreReload)},
	{"POST", "/addons/reload", Operator, byManager, "Looks at the repositories.", haWork((*Server).postStoreReload)},
	{"GET", "/store/repositories", Viewer, byManager, "The repositories.", ha((*Server).getHARepositories)},
	{"POST", "/store/repositories", Admin, never, "Follows a repository.", haWork((*Server).postHARepository)},
	{"GET", "/store/repositories/{slug}", Viewer, byManager, "One repository.", ha((*Server).getHARepository)},
	{"DELETE", "/store/repositories/{slug}", Admin, never, "Stops following a repository.", haWork((*Server).deleteHARepository)},
	{"POST", "/store/repositories/{slug}/repair", Operator, byManager, "Looks at the remote of a repository again.", haWork((*Server).postHARepair)},
}

// AddonCard is what lists of Home Assistant show of an add-on besides [Addon].
type AddonCard struct {
	Arch          []string
	Core          string // oldest it works with
	Icon          bool
	Logo          bool
	Documentation bool
	Advanced      bool
}

func storeItem(a Addon) StoreItem {
	return StoreItem{Advanced: a.Card.Advanced, Arch: list(a.Card.Arch), Available: a.Available, Build: a.Build, Description: a.Description,
		Documentation: a.Card.Documentation, HomeAssistant: text(a.Card.Core), Icon: a.Card.Icon, Installed: a.Version != "", Logo: a.Card.Logo,
		Name: a.Name, Repository: a.Repository, Slug: a.Slug, Stage: a.Stage, UpdateAvailable: a.Update, URL: text(a.URL),
		VersionLatest: a.VersionLatest, Version: text(a.Version)}
}

func (s *Server) getStoreAddons(ctx context.Context, _ Caller, _ none) (StoreAddons, error) {
	out := StoreAddons{Addons: []StoreItem{}}
	if s.cfg.Backend.Addons() == nil {
		return out, noAddons()
	}
	list, err := s.cfg.Backend.Addons().List(ctx, true)
	for _, a := range list {
		if !a.Detached {
			out.Addons = append(out.Addons, storeItem(a))
		}
	}
	return out, err
}

// followed lists the repositories.
func (s *Server) followed(ctx context.Context) ([]Repository, error) {
	if r := s.cfg.Backend.Repositories(); r != nil {
		return r.List(ctx)
	}
	return nil, nil
}

func (s *Server) getHARepositories(ctx context.Context, _ Caller, _ none) ([]HARepository, error) {
	all, err := s.followed(ctx)
	out := []HARepository{}
	for _, r := range all {
		out = append(out, haRepository(r))
	}
	return out, err
}

func haRepository(r Repository) HARepository {
	out := HARepository{Slug: r.Slug, Name: r.Name, Source: r.Source, URL: r.URL, Maintainer: r.Maintainer}
	if out.URL == "" {
		out.URL = r.Source
	}
	if out.Maintainer == "" {
		out.Maintainer = "unknown"
	}
	return out
}

func (s *Server) getStore(ctx context.Context, c Caller, _ none) (Store, error) {
	offers, err := s.getStoreAddons(ctx, c, none{})
	if err != nil {
		return Store{}, err
	}
	repos, err := s.getHARepositories(ctx, c, none{})
	return Store{Addons: offers.Addons, Repositories: repos}, err
}

// offer is an add-on that repositories offer.
func (s *Server) offer(ctx context.Context, slug string) (AddonInfo, error) {
	info, err := s.cfg.Backend.Addons().Info(ctx, slug, "")
	if err == nil && !info.Detached {
		return info, nil
	}
	if e, ok := err.(*Error); err == nil || ok && e.Key == KeyAddonNotFound {
		return AddonInfo{}, &Error{Status: http.StatusNotFound, Key: KeyStoreNotFound, Message: fmt.Sprintf("no repository offers %q", slug),
			Next: "castellan addon list --all", Extra: map[string]any{"app": slug}}
	}
	return AddonInfo{}, err
}

func (s *Server) getStoreAddon(ctx context.Context, _ Caller, in slugIn) (StoreDetail, error) {
	info, err := s.offer(ctx, in.Slug)
	if err != nil {
		return StoreDetail{}, err
	}
	m, err := s.cfg.Home.Manifest(in.Slug)
	if err != nil {
		return StoreDetail{}, err
	}
	a := info.Addon
	a.Card = AddonCard{Arch: info.Arch, Core: info.Core, Icon: info.Icon, Logo: info.Logo, Documentation: info.Documentation, Advanced: m.Advanced}
	profile := "default"
	if !m.AppArmor {
		profile = "disable"
	}
	return StoreDetail{StoreItem: storeItem(a), AppArmor: profile, AuthAPI: m.AuthAPI, Detached: info.Detached, DockerAPI: m.DockerAPI,
		FullAccess: m.FullAccess, HassioAPI: m.HassioAPI, HassioRole: m.HassioRole, HomeAssistantAPI: m.CoreAPI, HostNetwork: m.HostNetwork,
		HostPID: m.HostPID, Ingress: m.Ingress, LongDescription: text(info.LongDescription), Rating: info.Rating, Signed: info.Badge == "verified"}, nil
}

type versionIn struct {
	Slug    string `path:"slug"`
	Version string `path:"version"`
}

func (s *Server) getStoreVersion(ctx context.Context, c Caller, in versionIn) (StoreDetail, error) {
	return s.getStoreAddon(ctx, c, slugIn{in.Slug})
}

func (s *Server) getAvailability(ctx context.Context, _ Caller, in slugIn) (none, error) {
	info, err := s.offer(ctx, in.Slug)
	if err == nil && !info.Available {
		err = &Error{Status: http.StatusBadRequest, Key: KeyAddonArch, Message: fmt.Sprintf("%s is not available here: %s", in.Slug, info.UnavailableWhy)}
	}
	return none{}, err
}

func (s *Server) postStoreReload(ctx context.Context, _ Caller, _ none) (none, error) {
	return s.onStore(ctx, "reload", "look at the repositories", func(ctx context.Context) (none, error) { return s.look(ctx, "") })
}

func (s *Server) postHARepair(ctx context.Context, _ Caller, in slugIn) (none, error) {
	return s.onStore(ctx, "repair", "look at "+in.Slug, func(ctx context.Context) (none, error) { return s.look(ctx, in.Slug) })
}

// onStore does what is about repositories as a job: one at a time, in order.
func (s *Server) onStore(ctx context.Context, verb, what string, do func(context.Context) (none, error)) (none, error) {
	_, out, err := work(ctx, s, task{name: "store_manager_" + verb, group: groupStore, queue: true, what: what, key: "store_git_error"},
		func(ctx context.Context, _ *jobs.Job) (none, error) { return do(ctx) })
	return out, err
}

// look looks at the remotes of repositories; one that could not be reached says why.
func (s *Server) look(ctx context.Context, slug string) (none, error) {
	repos, err := s.repositories()
	if err != nil {
		return none{}, err
	}
	all, err := repos.Refresh(context.WithoutCancel(ctx), slug)
	if err != nil {
		return none{}, err
	}
	if i := slices.IndexFunc(all, func(r Repository) bool { return r.Trouble != "" }); i >= 0 {
		return none{}, &Error{Status: http.StatusBadRequest, Key: "store_git_error", Next: "castellan repo list",
			Message: fmt.Sprintf("cannot look at %s: %s; its last good copy counts", all[i].Name, all[i].Trouble)}
	}
	return none{}, nil
}

// HAAddRepository is the body of POST /store/repositories.
type HAAddRepository struct {
	Repository string `json:"repository"`
}

func (q HAAddRepository) check() error { return AddRepositoryRequest{Repository: q.Repository}.check() }

func (s *Server) postHARepository(ctx context.Context, c Caller, in about[HAAddRepository]) (none, error) {
	repos, err := s.repositories()
	if err != nil {
		return none{}, err
	}
	return s.onStore(ctx, "add_repository", "add the repository", func(ctx context.Context) (none, error) {
		_, err := repos.Add(ctx, AddRepositoryRequest{Repository: in.Body.Repository}, c.String())
		return none{}, err
	})
}

func (s *Server) getHARepository(ctx context.Context, _ Caller, in slugIn) (HARepository, error) {
	all, err := s.followed(ctx)
	for _, r := range all {
		if r.Slug == in.Slug {
			return haRepository(r), nil
		}
	}
	if err == nil {
		err = RepositoryNotFound(in.Slug)
	}
	return HARepository{}, err
}

func (s *Server) deleteHARepository(ctx context.Context, c Caller, in slugIn) (none, error) {
	repos, err := s.repositories()
	if err != nil {
		return none{}, err
	}
	return s.onStore(ctx, "remove_repository", "remove the repository", func(ctx context.Context) (none, error) {
		return none{}, repos.Remove(ctx, in.Slug, c.String())
	})
}
