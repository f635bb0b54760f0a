package api

import (
	"context"
	"net/http"
)

// coreRoutes are Home Assistant's calls about its Core. Each is there under its old name too.
var coreRoutes = withOldName([]route{
	{"GET", "/core/info", Viewer, byDefault, "Home Assistant Core.", onCore((*Server).getCoreInfo)},
	{"GET", "/core/stats", Viewer, byCore, "What Core uses.", onCore((*Server).getCoreStats)},
	{"POST", "/core/update", Operator, byCore, "Updates Core, or goes to the version named, and waits for the end.", onCore((*Server).postCoreUpdate).lasting()},
	{"POST", "/core/start", Operator, byCore, "Starts Core.", onCore((*Server).postCoreStart).lasting()},
	{"POST", "/core/stop", Operator, byCore, "Stops Core, where the appliance can do without.", onCore((*Server).postCoreStop).lasting()},
	{"POST", "/core/restart", Operator, byCore, "Stops Core and starts it again.", onCore((*Server).postCoreRestart).lasting()},
	{"POST", "/core/rebuild", Operator, byCore, "Makes Core's container anew from the image it runs.", onCore((*Server).postCoreRebuild).lasting()},
	{"POST", "/core/check", Operator, byCore, "Has Core look at its configuration.", onCore((*Server).postCoreCheck).lasting()},
	{"POST", "/core/options", Admin, byCore, "Accepts what the configuration says already.", onCore((*Server).postCoreOptions)},
})

func withOldName(rows []route) []route {
	for _, rt := range rows[:len(rows):len(rows)] {
		rt.path = "/homeassistant" + rt.path[len("/core"):]
		rows = append(rows, rt)
	}
	return rows
}

// onCore makes an endpoint of a call about Core.
func onCore[In, Out any](do func(*Server, context.Context, Core, In) (Out, error)) endpoint {
	e := ha(func(s *Server, ctx context.Context, _ Caller, in In) (Out, error) {
		return do(s, ctx, s.cfg.Home.Core(), in)
	})
	return e.guarded(hasCore)
}

func hasCore(s *Server, r *http.Request) error {
	if err := speaksHA(s, r); err != nil {
		return err
	}
	if s.cfg.Home.Core() == nil {
		return &Error{Status: http.StatusNotFound, Key: "core_off", Message: "this appliance runs no Home Assistant Core", Next: "castellan status"}
	}
	return nil
}

func (s *Server) getCoreInfo(ctx context.Context, core Core, _ none) (CoreInfo, error) {
	out, err := core.Info(ctx)
	if err != nil {
		return out, err
	}
	st, err := s.cfg.Backend.Status(ctx)
	if err != nil {
		return out, err
	}
	for _, row := range st.Services {
		if row.Name != core.Service() {
			continue
		}
		out.Version, out.VersionLatest, out.UpdateAvailable = text(row.Version), text(row.Version), row.Available != ""
		if row.Available != "" {
			out.VersionLatest = text(row.Available)
		}
	}
	return out, nil
}

func (s *Server) getCoreStats(ctx context.Context, core Core, _ none) (AddonStats, error) {
	return core.Output().Stats(ctx)
}

// CoreUpdate is the body of /core/update; Version empty = the newest.
type CoreUpdate struct {
	Version    string `json:"version,omitempty"`
	Backup     bool   `json:"backup,omitempty"`
	Background bool   `json:"background,omitempty"`
}

func (q CoreUpdate) check() error { return named("", q.Version, "") }

func (s *Server) postCoreUpdate(ctx context.Context, core Core, in about[CoreUpdate]) (Job, error) {
	what := "update Home Assistant Core"
	if in.Body.Version != "" {
		what += " to " + in.Body.Version
	}
	t := onCoreOf(core, "update", what)
	t.background, t.none = in.Body.Background, KeyCoreUpToDate
	return s.change(ctx, t, func(ctx context.Context) (Accepted, error) {
		if err := s.backup(ctx, in.Body.Backup, core.Service(), what); err != nil {
			return Accepted{}, err
		}
		return s.cfg.Backend.Update(ctx, UpdateRequest{Service: core.Service(), Version: in.Body.Version})
	})
}

// CoreForce is the body of calls that take force along; what they do is never done by halves, so it changes nothing.
type CoreForce struct {
	Force    bool `json:"force,omitempty"`
	SafeMode bool `json:"safe_mode,omitempty"`
}

func (f CoreForce) check() error {
	if f.SafeMode {
		return &Error{Status: http.StatusBadRequest, Key: "not_supported", Message: "cannot start Home Assistant Core in safe mode: this appliance does not write into its configuration",
			Next: "ask without safe_mode"}
	}
	return nil
}

// onCoreOf is a task about Core.
func onCoreOf(core Core, verb, what string) task {
	return task{name: "home_assistant_core_" + verb, about: core.Service(), group: groupCore, what: what, key: KeyCoreUpdate}
}

// powerCore does one of Core's switches. It is not done by halves, so it ends by itself.
func (s *Server) powerCore(ctx context.Context, core Core, verb string, do func(context.Context) error) (none, error) {
	t := onCoreOf(core, verb, verb+" Home Assistant Core")
	t.key = ""
	_, err := s.change(ctx, t, func(ctx context.Context) (Accepted, error) {
		return Accepted{}, do(context.WithoutCancel(ctx))
	})
	return none{}, err
}

func (s *Server) postCoreStart(ctx context.Context, core Core, _ none) (none, error) {
	return s.powerCore(ctx, core, "start", core.Start)
}

func (s *Server) postCoreStop(ctx context.Context, core Core, _ about[CoreForce]) (none, error) {
	return s.powerCore(ctx, core, "stop", core.Stop)
}

func (s *Server) postCoreRestart(ctx context.Context, core Core, _ about[CoreForce]) (none, error) {
	return s.powerCore(ctx, core, "restart", core.Restart)
}

func (s *Server) postCoreRebuild(ctx context.Context, core Core, _ about[CoreForce]) (Job, error) {
	return s.change(ctx, onCoreOf(core, "rebuild", "rebuild Home Assistant Core"), func(ctx context.Context) (Accepted, error) {
		change, err := core.Rebuild(context.WithoutCancel(ctx))
		return Accepted{Changes: []string{change}}, err
	})
}

func (s *Server) postCoreCheck(ctx context.Context, core Core, _ none) (none, error) {
	found, err := core.Output().Check(ctx)
	if err == nil && found != "" {
		err = &Error{Status: http.StatusBadRequest, Key: "homeassistant_configuration_error", Message: found}
	}
	return none{}, err
}

// CoreOptions is what Home Assistant sets of its Core.
type CoreOptions struct {
	Boot                   *bool   `json:"boot,omitempty"`
	Image                  *string `json:"image,omitempty"`
	Port                   *int    `json:"port,omitempty"`
	SSL                    *bool   `json:"ssl,omitempty"`
	Watchdog               *bool   `json:"watchdog,omitempty"`
	AudioInput             *string `json:"audio_input,omitempty"`
	AudioOutput            *string `json:"audio_output,omitempty"`
	BackupsExcludeDatabase *bool   `json:"backups_exclude_database,omitempty"`
	DuplicateLogFile       *bool   `json:"duplicate_log_file,omitempty"`
	RefreshToken           *string `json:"refresh_token,omitempty"`
}

// postCoreOptions takes what is so already, as [Server.postSupervisorOptions] does.
func (s *Server) postCoreOptions(ctx context.Context, core Core, in about[CoreOptions]) (none, error) {
	now, err := core.Info(ctx)
	if err != nil {
		return none{}, err
	}
	return none{}, alreadySo(now, in.Body)
}
