package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/go-json-experiment/json/jsontext"
)

// haAddonRoutes are Home Assistant's calls about add-ons, besides [guestRoutes].
var haAddonRoutes = []route{
	{"GET", "/addons", Viewer, byManager, "The installed add-ons.", ha((*Server).getHAAddons)},
	{"GET", "/addons/{slug}/info", Viewer, ownInfo, "Everything about one add-on.", ha((*Server).getSelfInfo)},
	{"POST", "/addons/{slug}/install", Operator, others, "Installs an add-on and waits for the end.", haWork((*Server).postHAInstall)},
	{"POST", "/addons/{slug}/uninstall", Admin, others, "Removes an add-on and waits for the end. Its data stays for 30 days, unless remove_config is true.", haWork((*Server).postHAUninstall)},
	{"POST", "/addons/{slug}/update", Operator, others, "Updates an add-on and waits for the end.", haWork((*Server).postHAUpdate)},
	{"POST", "/addons/{slug}/start", Operator, own, "Starts an add-on.", haWork(power("start", AddonPower.Start))},
	{"POST", "/addons/{slug}/stop", Operator, own, "Stops an add-on.", haWork(unlessSelf(AddonStop, power("stop", AddonPower.Stop)))},
	{"POST", "/addons/{slug}/restart", Operator, own, "Stops an add-on and starts it again.", haWork(unlessSelf(AddonRestart, power("restart", AddonPower.Restart)))},
	{"POST", "/addons/{slug}/rebuild", Operator, others, "Builds the image of an add-on that is built here anew.", haWork((*Server).postHARebuild)},
	{"POST", "/addons/{slug}/options", Operator, own, "Sets options, and of people the other settings too.", haWork((*Server).postHAOptions)},
	{"POST", "/addons/{slug}/options/validate", Operator, own, "Says whether options may be set; an empty body checks those in force.", ha((*Server).postHAValidate)},
	{"POST", "/addons/{slug}/security", Admin, never, "Switches protected mode.", haWork((*Server).postHASecurity)},
	{"POST", "/addons/{slug}/stdin", Operator, own, "Writes the body to the standard input of an add-on.", ha((*Server).postHAStdin)},
	{"GET", "/addons/{slug}/stats", Viewer, own, "What a running add-on uses.", ha((*Server).getHAStats)},
	{"GET", "/addons/{slug}/icon", Nobody, every, "Its icon.", file(FileIcon, mediaPNG)},
	{"GET", "/addons/{slug}/logo", Nobody, every, "Its logo.", file(FileLogo, mediaPNG)},
	{"GET", "/addons/{slug}/changelog", Viewer, own, "Its changelog, or a sentence that there is none.", textOf(FileChangelog)},
	{"GET", "/addons/{slug}/documentation", Viewer, own, "Its documentation, or a sentence that there is none.", textOf(FileDocumentation)},
}

// HAState is Home Assistant's word for the state of an add-on.
func HAState(state string) string {
	switch state {
	case "running":
		return "started"
	case "changing", "installing":
		return "startup"
	case "error", "stuck":
		return "error"
	case "unknown", "absent":
		return "unknown"
	}
	return "stopped"
}

func (s *Server) getHAAddons(ctx context.Context, _ Caller, _ none) (HAAddonList, error) {
	list, err := s.installed(ctx)
	out := HAAddonList{Addons: []HAAddon{}}
	for _, a := range list {
		out.Addons = append(out.Addons, HAAddon{Name: a.Name, Slug: a.Slug, Description: a.Description, Stage: a.Stage, Version: a.Version,
			VersionLatest: a.VersionLatest, UpdateAvailable: a.Update, Available: a.Available, Detached: a.Detached, HomeAssistant: text(a.Card.Core),
			State: HAState(a.State), Repository: a.Repository, Build: a.Build, URL: text(a.URL), Icon: a.Card.Icon, Logo: a.Card.Logo})
	}
	return out, err
}

func (s *Server) getSelfInfo(ctx context.Context, c Caller, in slugIn) (SelfInfo, error) {
	slug := c.target(in.Slug)
	st, err := s.cfg.Guests.Addon(ctx, slug)
	if err != nil {
		return SelfInfo{}, err
	}
	m, err := s.cfg.Home.Manifest(slug)
	if err != nil {
		return SelfInfo{}, err
	}
	out := addonInfo(AddonCaller{Slug: slug, Manifest: m}, st)
	if !c.admin() && c.Slug != slug && !c.has(roleManager) { // they may hold passwords
		out.Options = map[string]any{}
		if c.Kind == KindAddon { // what keeps the pages of two apart in a browser is that they do not know each other's address
			out.IngressEntry, out.IngressURL = nil, nil
		}
	}
	return out, nil
}

// postHAInstall asks for no rights: nobody was shown them here, so an add-on that wants some is installed elsewhere.
func (s *Server) postHAInstall(ctx context.Context, c Caller, in addonIn[background]) (Job, error) {
	t := app("addon_manager_install", in.Slug, "install")
	t.queue, t.background, t.none = true, in.Body.Background, KeyAddonInstalled
	return s.change(ctx, t, func(ctx context.Context) (Accepted, error) {
		return s.cfg.Backend.Addons().Life().Install(ctx, in.Slug, InstallRequest{}, c.String())
	})
}

// HAUninstall is the body of a removal.
type HAUninstall struct {
	RemoveConfig bool `json:"remove_config,omitempty"`
	Background   bool `json:"background,omitempty"`
}

func (s *Server) postHAUninstall(ctx context.Context, c Caller, in addonIn[HAUninstall]) (Job, error) {
	data := Data30Days
	if in.Body.RemoveConfig {
		data = DataDelete
	}
	t := app("addon_manager_uninstall", in.Slug, "uninstall")
	t.background, t.none = in.Body.Background, KeyAddonNotInstalled
	return s.change(ctx, t, func(ctx context.Context) (Accepted, error) {
		return s.cfg.Backend.Addons().Life().Uninstall(ctx, in.Slug, UninstallRequest{Data: data}, c.String())
	})
}

// HAUpdate is the body of an add-on's update.
type HAUpdate struct {
	Backup     bool `json:"backup,omitempty"`
	Background bool `json:"background,omitempty"`
}

func (s *Server) postHAUpdate(ctx context.Context, _ Caller, in addonIn[HAUpdate]) (Job, error) {
	t := app("addon_manager_update", in.Slug, "update")
	t.background, t.none = in.Body.Background, KeyAddonNoUpdate
	return s.change(ctx, t, func(ctx context.Context) (Accepted, error) {
		if err := s.backup(ctx, in.Body.Backup, in.Slug, t.what); err != nil {
			return Accepted{}, err
		}
		return s.cfg.Backend.Addons().Life().Update(ctx, in.Slug, AddonUpdateRequest{})
	})
}

// power makes a call of one of an add-on's switches. What stands as asked is fine.
func power(what string, do func(AddonPower, context.Context, string) (Accepted, error)) func(*Server, context.Context, Caller, slugIn) (none, error) {
	return func(s *Server, ctx context.Context, c Caller, in slugIn) (none, error) {
		slug := c.target(in.Slug)
		_, err := s.change(ctx, app("addon_"+what, slug, what), func(ctx context.Context) (Accepted, error) {
			a, err := do(s.cfg.Backend.Addons().Power(), ctx, slug)
			a.Skips = nil
			return a, err
		})
		return none{}, err
	}
}

// unlessSelf lets an add-on do to itself without waiting: it is what will be stopped, and leaves.
func unlessSelf(act AddonAction, do func(*Server, context.Context, Caller, slugIn) (none, error)) func(*Server, context.Context, Caller, slugIn) (none, error) {
	return func(s *Server, ctx context.Context, c Caller, in slugIn) (none, error) {
		if c.Kind == KindAddon && c.target(in.Slug) == c.Slug {
			return none{}, s.cfg.Guests.Run(context.WithoutCancel(ctx), c.Slug, act)
		}
		return do(s, ctx, c, in)
	}
}

// HARebuild is the body of a rebuild; an image is always built anew, so force changes nothing.
type HARebuild struct {
	Force      bool `json:"force,omitempty"`
	Background bool `json:"background,omitempty"`
}

func (s *Server) postHARebuild(ctx context.Context, _ Caller, in addonIn[HARebuild]) (Job, error) {
	t := app("addon_manager_rebuild", in.Slug, "rebuild")
	t.background = in.Body.Background
	return s.change(ctx, t, func(ctx context.Context) (Accepted, error) {
		return s.cfg.Backend.Addons().Life().Build(ctx, in.Slug, BuildRequest{})
	})
}

// HAValidation is the answer of a check of options.
type HAValidation struct {
	Message string `json:"message"`
	Valid   bool   `json:"valid"`
	Pwned   *bool  `json:"pwned"` // null: it is not looked up
}

func (s *Server) postHAValidate(ctx context.Context, c Caller, in addonIn[jsontext.Value]) (HAValidation, error) {
	var options json.RawMessage
	if len(in.Body) > 0 {
		if options = bytes.TrimSpace(in.Body); options[0] != '{' {
			return HAValidation{}, badRequest("wrong type @ : want an object")
		}
	}
	check, err := s.cfg.Backend.Addons().Settings().CheckOptions(ctx, c.target(in.Slug), options)
	out := HAValidation{Message: check.Message, Valid: check.Valid}
	if check.Path != "" {
		out.Message = fmt.Sprintf("%s: %s", check.Path, check.Message)
	}
	return out, err
}

// HASecurity is the body of /addons/{slug}/security.
type HASecurity struct {
	Protected *bool `json:"protected"`
}

func (q HASecurity) check() error {
	if q.Protected == nil {
		return missing("change the protection", "protected")
	}
	return nil
}

func (s *Server) postHASecurity(ctx context.Context, c Caller, in addonIn[HASecurity]) (none, error) {
	_, err := s.cfg.Backend.Addons().Settings().Set(ctx, in.Slug, SettingsRequest{Protected: in.Body.Protected}, c.String())
	return none{}, err
}

// stdinIn is a request whose body is text for an add-on.
type stdinIn struct {
	Slug string `path:"slug"`
	Raw  []byte
}

func (q stdinIn) check() error {
	switch {
	case len(q.Raw) == 0:
		return badRequest("cannot write to the standard input: the body is empty")
	case len(q.Raw) > MaxStdin:
		return badRequest("cannot write to the standard input: the body is larger than %d bytes", MaxStdin)
	}
	return nil
}

func (s *Server) postHAStdin(ctx context.Context, c Caller, in stdinIn) (none, error) {
	return none{}, s.cfg.Backend.Addons().Power().Stdin(ctx, c.target(in.Slug), in.Raw)
}

func (s *Server) getHAStats(ctx context.Context, c Caller, in slugIn) (AddonStats, error) {
	return s.cfg.Backend.Addons().Output().Stats(ctx, c.target(in.Slug))
}

// textOf makes an endpoint of a text of an add-on; one that is not there is a sentence.
func textOf(f AddonFile) endpoint {
	e := raw(mediaText, func(s *Server, ctx context.Context, c Caller, in slugIn) (io.ReadCloser, error) {
		slug := c.target(in.Slug)
		b, err := s.addonFile(ctx, slug, f)
		if errors.Is(err, fs.ErrNotExist) {
			b, err = []byte("No "+string(f)+" found for add-on "+slug+"!\n"), nil
		}
		return io.NopCloser(bytes.NewReader(b)), err
	})
	return e.plain().guarded(hasHAAddons)
}
