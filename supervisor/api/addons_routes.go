package api

import (
	"context"
	"net/http"
	"regexp"
	"strings"
)

// addonRoutes are the calls about add-ons. What an add-on printed is for the owner alone: it may hold anything.
var addonRoutes = []route{
	{"GET", "/castellan/addons", Viewer, never, "The add-ons that are installed, and with all what repositories offer besides.", call((*Server).getAddons).guarded(hasAddons)},
	{"GET", "/castellan/addons/{slug}", Viewer, never, "Everything about one add-on.", call((*Server).getAddon).guarded(hasAddons)},
	{"POST", "/castellan/addons/{slug}/install", Operator, never, "Submits an installation.", onAddon(postInstall)},
	{"POST", "/castellan/addons/{slug}/uninstall", Admin, never, "Submits a removal.", onAddon(postUninstall)},
	{"POST", "/castellan/addons/{slug}/update", Operator, never, "Submits an update.", onAddon(postAddonUpdate)},
	{"POST", "/castellan/addons/{slug}/rollback", Operator, never, "Submits the way back to the previous version.", onAddon(postAddonRollback)},
	{"POST", "/castellan/addons/{slug}/build", Operator, never, "Makes the image anew from the repository's sources.", onAddon(postBuild)},
	{"POST", "/castellan/addons/{slug}/import", Admin, never, "Installs an add-on, or takes its data back, from a backup file of Home Assistant.", onAddon(postImport)},
	{"POST", "/castellan/addons/{slug}/consent", Admin, never, "Agrees to the rights of a version.", onAddon(postConsent)},
	{"POST", "/castellan/addons/{slug}/start", Operator, never, "Starts an add-on.", onAddon(postStart)},
	{"POST", "/castellan/addons/{slug}/stop", Operator, never, "Stops an add-on.", onAddon(postStop)},
	{"POST", "/castellan/addons/{slug}/restart", Operator, never, "Stops an add-on and starts it again.", onAddon(postRestart)},
	{"POST", "/castellan/addons/{slug}/stdin", Operator, never, "Writes text to the standard input of an add-on.", onAddon(postStdin)},
	{"POST", "/castellan/addons/{slug}/options", Operator, never, "Puts options in the place of all the owner set before.", call((*Server).postOptions).guarded(hasAddons)},
	{"POST", "/castellan/addons/{slug}/options/validate", Operator, never, "Says what setting options would, and keeps nothing.", call((*Server).postValidate).guarded(hasAddons)},
	{"POST", "/castellan/addons/{slug}/settings", Admin, never, "Changes the settings that are named.", onAddon(postSettings)},
	{"GET", "/castellan/addons/{slug}/logs", Admin, never, "The last lines an add-on printed.", raw(mediaText, (*Server).getLogs).guarded(hasAddons).lasting()},
	{"GET", "/castellan/addons/{slug}/stats", Viewer, never, "What a running add-on uses.", onAddon(getStats)},
	{"GET", "/castellan/addons/{slug}/icon", Viewer, never, "Its icon.", file(FileIcon, mediaPNG)},
	{"GET", "/castellan/addons/{slug}/logo", Viewer, never, "Its logo.", file(FileLogo, mediaPNG)},
	{"GET", "/castellan/addons/{slug}/changelog", Viewer, never, "Its changelog, Markdown.", file(FileChangelog, mediaText)},
	{"GET", "/castellan/addons/{slug}/documentation", Viewer, never, "Its documentation, Markdown.", file(FileDocumentation, mediaText)},
}

// Media types of what add-ons bring along.
const (
	mediaPNG  = "image/png"
	mediaText = "text/plain; charset=utf-8"
)

// slugShape is what the slug of an add-on or a repository may look like; no file name that leads elsewhere does.
var slugShape = regexp.MustCompile(`^[-_A-Za-z0-9][-_.A-Za-z0-9]{0,99}$`)

// addonIn is a request about one add-on.
type addonIn[B any] struct {
	Slug string `path:"slug"`
	Body B
}

// onAddon makes an endpoint of a call about one add-on.
func onAddon[B, Out any](do func(context.Context, Addons, Caller, string, B) (Out, error)) endpoint {
	return call(func(s *Server, ctx context.Context, c Caller, in addonIn[B]) (Out, error) {
		return do(ctx, s.cfg.Backend.Addons(), c, in.Slug, in.Body)
	}).guarded(hasAddons)
}

// hasAddons refuses what is about add-ons where there are none, and about an add-on whose slug is none.
func hasAddons(s *Server, r *http.Request) error {
	if s.cfg.Backend.Addons() == nil {
		return noAddons()
	}
	if slug := r.PathValue("slug"); slug != "" && !slugShape.MatchString(slug) {
		return AddonNotFound(slug)
	}
	return nil
}

func noAddons() error {
	return &Error{Status: http.StatusNotFound, Key: KeyNoAddons, Message: "this appliance has no add-ons", Next: "castellan status"}
}

type addonsIn struct {
	All bool `query:"all"`
}

func (s *Server) getAddons(ctx context.Context, _ Caller, in addonsIn) (AddonList, error) {
	list, err := s.cfg.Backend.Addons().List(ctx, in.All)
	fill(&list)
	return AddonList{list}, err
}

// langShape is a language as add-ons name their files by it.
var langShape = regexp.MustCompile(`^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8}){0,3}$`)

type addonInfoIn struct {
	Slug string `path:"slug"`
	Lang string `query:"lang"`
}

func (q addonInfoIn) check() error {
	if q.Lang != "" && !langShape.MatchString(q.Lang) {
		return badRequest("cannot read query \"lang\" %.40q: want a language as \"en\" or \"pt-BR\"", q.Lang)
	}
	return nil
}

func (s *Server) getAddon(ctx context.Context, c Caller, in addonInfoIn) (AddonInfo, error) {
	info, err := s.cfg.Backend.Addons().Info(ctx, in.Slug, in.Lang)
	if err != nil {
		return AddonInfo{}, err
	}
	if !c.admin() {
		info.Options, info.Overrides = mask(info.Options, info.Schema), mask(info.Overrides, info.Schema)
	}
	return info.filled(), nil
}

// filled has lists where there are none: programs read them without asking.
func (i AddonInfo) filled() AddonInfo {
	fill(&i.Granted)
	fill(&i.Asks)
	fill(&i.Ports)
	fill(&i.Arch)
	fill(&i.Machine)
	fill(&i.Changes)
	if i.Options == nil {
		i.Options = AddonOptions{}
	}
	if i.Overrides == nil {
		i.Overrides = AddonOptions{}
	}
	return i
}

func fill[T any](list *[]T) {
	if *list == nil {
		*list = []T{}
	}
}

// accepted fills the lists of an answer.
func accepted(a Accepted, err error) (Accepted, error) {
	fill(&a.Changes)
	fill(&a.Skips)
	return a, err
}

// quoteWord writes a word of a command line so that a shell reads it as it is.
func quoteWord(s string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_./:@+=,%", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Asks are the rights of an error made by [ConsentRequired], also when it came over HTTP.
func (e *Error) Asks() (version string, asks []Right) {
	version, _ = e.Extra["version"].(string)
	switch list := e.Extra["asks"].(type) {
	case []Right:
		return version, list
	case []any:
		for _, v := range list {
			m, _ := v.(map[string]any)
			code, _ := m["code"].(string)
			words, _ := m["words"].(string)
			asks = append(asks, Right{code, words})
		}
	}
	return version, asks
}

func missing(what, field string) error {
	return badRequest("cannot %s: field %q is missing", what, field)
}

func oneOf(what, field, got string, want ...string) error {
	for _, w := range want {
		if got == w {
			return nil
		}
	}
	return badRequest("cannot %s: field %q is %.40q, want %s", what, field, got, strings.Join(want, ", "))
}
