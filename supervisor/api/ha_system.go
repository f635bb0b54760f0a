package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/supervisor/jobs"
)

// systemRoutes are Home Assistant's calls about the appliance and the daemon.
var systemRoutes = []route{
	{"GET", "/available_updates", Viewer, byManager, "What has a newer version.", ha((*Server).getAvailableUpdates)},
	{"GET", "/supervisor/available_updates", Viewer, byManager, "What has a newer version.", ha((*Server).getAvailableUpdates)},
	{"POST", "/refresh_updates", Operator, byManager, "Looks at the ledger, the channel and the repositories.", haWork(refresh(true))},
	{"POST", "/reload_updates", Operator, byManager, "Looks at the ledger and the channel.", haWork(refresh(false))},
	{"GET", "/supervisor/info", Viewer, byDefault, "The daemon.", ha((*Server).getSupervisorInfo)},
	{"GET", "/supervisor/stats", Viewer, byManager, "What the daemon uses.", ha((*Server).getSupervisorStats)},
	{"POST", "/supervisor/reload", Operator, byManager, "Looks at the ledger, the channel and the repositories.", haWork(refresh(true))},
	{"POST", "/supervisor/options", Admin, byManager, "Accepts what the configuration says already.", ha((*Server).postSupervisorOptions)},
	{"POST", "/supervisor/update", Admin, byManager, "Refuses: the daemon comes with the appliance.", ha(elsewhere[updateDaemon]("update castellan", "it comes as a package of the appliance", "update the package"))},
	{"POST", "/supervisor/restart", Admin, byManager, "Refuses: the appliance's service manager does that.", ha(elsewhere[none]("restart castellan", "the appliance's service manager does that", "systemctl restart castellan"))},
	{"POST", "/supervisor/repair", Admin, byManager, "Refuses: nothing is left to repair, images are known by their digests.", ha(elsewhere[none]("repair", "images are known by their digests, and what is missing is fetched again by itself", "castellan status"))},
}

// waitBoot is what Home Assistant's Supervisor has by default; add-ons here start when those before them are healthy.
const waitBoot = 5

// updateDaemon is the body of /supervisor/update.
type updateDaemon struct {
	Version string `json:"version,omitempty"`
}

// elsewhere refuses what others do on this appliance.
func elsewhere[B any](what, why, next string) func(*Server, context.Context, Caller, about[B]) (none, error) {
	return func(*Server, context.Context, Caller, about[B]) (none, error) {
		return none{}, &Error{Status: http.StatusBadRequest, Key: "not_supported", Message: fmt.Sprintf("cannot %s: %s", what, why), Next: next}
	}
}

func refresh(store bool) func(*Server, context.Context, Caller, none) (none, error) {
	return func(s *Server, ctx context.Context, _ Caller, _ none) (none, error) {
		t := task{name: "updater_fetch_data", accepted: true, cancel: true, what: "look at everything", key: "refresh_error"}
		if store {
			t.name = "supervisor_reload"
		}
		_, out, err := work(ctx, s, t, func(ctx context.Context, _ *jobs.Job) (none, error) {
			if err := s.cfg.Home.Refresh(ctx, store); err != nil {
				return none{}, &Error{Status: http.StatusBadRequest, Key: t.key, Next: "castellan status",
					Message: fmt.Sprintf("cannot look at everything: %v; what was known counts", err)}
			}
			return none{}, nil
		})
		return out, err
	}
}

func (s *Server) getAvailableUpdates(ctx context.Context, _ Caller, _ none) (AvailableUpdates, error) {
	out := AvailableUpdates{Updates: []AvailableUpdate{}}
	st, err := s.cfg.Backend.Status(ctx)
	if err != nil {
		return out, err
	}
	for _, row := range st.Services {
		if row.Class == "core" && row.Available != "" {
			out.Updates = append(out.Updates, AvailableUpdate{Type: "core", VersionLatest: row.Available, PanelPath: "/update-available/core"})
		}
	}
	list, err := s.installed(ctx)
	for _, a := range list {
		if a.Update {
			u := AvailableUpdate{Type: "addon", VersionLatest: a.VersionLatest, PanelPath: "/update-available/" + a.Slug, Name: &a.Name}
			if a.Card.Icon {
				u.Icon = text("/addons/" + a.Slug + "/icon")
			}
			out.Updates = append(out.Updates, u)
		}
	}
	return out, err
}

// installed lists the installed add-ons.
func (s *Server) installed(ctx context.Context) ([]Addon, error) {
	if a := s.cfg.Backend.Addons(); a != nil {
		return a.List(ctx, false)
	}
	return nil, nil
}

func (s *Server) getSupervisorInfo(ctx context.Context, _ Caller, _ none) (SupervisorInfo, error) {
	out, err := s.cfg.Home.Supervisor(ctx)
	if err != nil {
		return out, err
	}
	st, err := s.cfg.Backend.Status(ctx)
	if err != nil {
		return out, err
	}
	unhealthy, unsupported := s.ailments(st)
	out.Healthy, out.Supported = len(unhealthy) == 0, len(unsupported) == 0
	out.FeatureFlags, out.WaitBoot = map[string]bool{}, waitBoot
	out.Addons, out.AddonsRepositories = []SupervisorAddon{}, []SupervisorRepository{}
	list, err := s.installed(ctx)
	if err != nil {
		return out, err
	}
	for _, a := range list {
		out.Addons = append(out.Addons, SupervisorAddon{Name: a.Name, Slug: a.Slug, Version: a.Version, VersionLatest: a.VersionLatest,
			UpdateAvailable: a.Update, State: HAState(a.State), Repository: a.Repository, Icon: a.Card.Icon})
	}
	repos, err := s.followed(ctx)
	for _, r := range repos {
		out.AddonsRepositories = append(out.AddonsRepositories, SupervisorRepository{Name: r.Name, Slug: r.Slug})
	}
	return out, err
}

func (s *Server) getSupervisorStats(ctx context.Context, _ Caller, _ none) (AddonStats, error) {
	return s.cfg.Home.Stats(ctx)
}

// SupervisorOptions is what Home Assistant sets of the Supervisor.
type SupervisorOptions struct {
	Channel          *string         `json:"channel,omitempty"`
	Timezone         *string         `json:"timezone,omitempty"`
	Logging          *string         `json:"logging,omitempty"`
	AutoUpdate       *bool           `json:"auto_update,omitempty"`
	Country          *string         `json:"country,omitempty"`
	Hostname         jsontext.Value  `json:"hostname,omitempty"`
	Debug            *bool           `json:"debug,omitempty"`
	DebugBlock       *bool           `json:"debug_block,omitempty"`
	Diagnostics      *bool           `json:"diagnostics,omitempty"`
	DetectBlockingIO *bool           `json:"detect_blocking_io,omitempty"`
	WaitBoot         *int            `json:"wait_boot,omitempty"`
	Repositories     jsontext.Value  `json:"addons_repositories,omitempty"`
	FeatureFlags     map[string]bool `json:"feature_flags,omitempty"`
}

// postSupervisorOptions takes what is so already: how the daemon is set is in a file that its owner writes, and a call that
// seemed to change it would be undone by the next start.
func (s *Server) postSupervisorOptions(ctx context.Context, _ Caller, in about[SupervisorOptions]) (none, error) {
	now, err := s.cfg.Home.Supervisor(ctx)
	if err != nil {
		return none{}, err
	}
	now.WaitBoot = waitBoot
	return none{}, alreadySo(now, in.Body)
}

// alreadySo refuses what is asked for and is not so.
func alreadySo(now, asked any) error {
	have, err := keysOf(now)
	if err != nil {
		return err
	}
	want, err := keysOf(asked)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if !bytes.Equal(want[key], have[key]) {
			return &Error{Status: http.StatusBadRequest, Key: "not_supported", Next: "change it there; it counts at once",
				Message: fmt.Sprintf("cannot set %q: the configuration file decides that", key)}
		}
	}
	return nil
}

// keysOf are the members of a value's JSON object.
func keysOf(v any) (map[string]json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	return out, json.Unmarshal(b, &out)
}
