package api

import (
	"net/http"
	"regexp"
	"strings"
)

// addonCall answers a call about one add-on; slug has the shape of one.
type addonCall func(a Addons, r *http.Request, slug string) (any, error)

// addonRoutes are the calls about add-ons. What an add-on printed is for the owner alone: it may hold anything.
var addonRoutes = []route{
	{"GET", "/castellan/addons", anyone, (*Server).getAddons},
	{"GET", "/castellan/addons/{slug}", anyone, (*Server).getAddon},
	{"POST", "/castellan/addons/{slug}/install", admin, onAddon(postInstall)},
	{"POST", "/castellan/addons/{slug}/uninstall", admin, onAddon(postUninstall)},
	{"POST", "/castellan/addons/{slug}/update", admin, onAddon(postAddonUpdate)},
	{"POST", "/castellan/addons/{slug}/rollback", admin, onAddon(postAddonRollback)},
	{"POST", "/castellan/addons/{slug}/build", admin, onAddon(postBuild)},
	{"POST", "/castellan/addons/{slug}/import", admin, onAddon(postImport)},
	{"POST", "/castellan/addons/{slug}/consent", admin, onAddon(postConsent)},
	{"POST", "/castellan/addons/{slug}/start", admin, onAddon(postStart)},
	{"POST", "/castellan/addons/{slug}/stop", admin, onAddon(postStop)},
	{"POST", "/castellan/addons/{slug}/restart", admin, onAddon(postRestart)},
	{"POST", "/castellan/addons/{slug}/stdin", admin, onAddon(postStdin)},
	{"POST", "/castellan/addons/{slug}/options", admin, onAddon(postOptions)},
	{"POST", "/castellan/addons/{slug}/options/validate", admin, onAddon(postValidate)},
	{"POST", "/castellan/addons/{slug}/settings", admin, onAddon(postSettings)},
	{"GET", "/castellan/addons/{slug}/logs", admin, onAddon(getLogs)},
	{"GET", "/castellan/addons/{slug}/stats", anyone, onAddon(getStats)},
	{"GET", "/castellan/addons/{slug}/icon", anyone, onAddon(getFile(FileIcon, "image/png"))},
	{"GET", "/castellan/addons/{slug}/logo", anyone, onAddon(getFile(FileLogo, "image/png"))},
	{"GET", "/castellan/addons/{slug}/changelog", anyone, onAddon(getFile(FileChangelog, "text/plain; charset=utf-8"))},
	{"GET", "/castellan/addons/{slug}/documentation", anyone, onAddon(getFile(FileDocumentation, "text/plain; charset=utf-8"))},
}

// slugShape is what the slug of an add-on or a repository may look like; no file name that leads elsewhere does.
var slugShape = regexp.MustCompile(`^[-_A-Za-z0-9][-_.A-Za-z0-9]{0,99}$`)

func onAddon(call addonCall) func(*Server, *http.Request) (any, error) {
	return func(s *Server, r *http.Request) (any, error) {
		a, err := s.addons()
		if err != nil {
			return nil, err
		}
		slug := r.PathValue("slug")
		if !slugShape.MatchString(slug) {
			return nil, AddonNotFound(slug)
		}
		return call(a, r, slug)
	}
}

func (s *Server) addons() (Addons, error) {
	if a := s.backend.Addons(); a != nil {
		return a, nil
	}
	return nil, noAddons()
}

func noAddons() error {
	return &Error{Status: http.StatusNotFound, Key: KeyNoAddons, Message: "this appliance has no add-ons", Next: "castellan status"}
}

func (s *Server) getAddons(r *http.Request) (any, error) {
	a, err := s.addons()
	if err != nil {
		return nil, err
	}
	all, err := queryBool(r, "all")
	if err != nil {
		return nil, err
	}
	list, err := a.List(r.Context(), all)
	if list == nil {
		list = []Addon{}
	}
	return AddonList{list}, err
}

// langShape is a language as add-ons name their files by it.
var langShape = regexp.MustCompile(`^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8}){0,3}$`)

func (s *Server) getAddon(r *http.Request) (any, error) {
	return onAddon(func(a Addons, r *http.Request, slug string) (any, error) {
		lang := r.URL.Query().Get("lang")
		if lang != "" && !langShape.MatchString(lang) {
			return nil, badRequest("cannot read query \"lang\" %.40q: want a language as \"en\" or \"pt-BR\"", lang)
		}
		info, err := a.Info(r.Context(), slug, lang)
		if err != nil {
			return nil, err
		}
		if !peerOf(r.Context()).admin(s.owner) {
			info.Options, info.Overrides = mask(info.Options, info.Schema), mask(info.Overrides, info.Schema)
		}
		return info.filled(), nil
	})(s, r)
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
func accepted(a Accepted, err error) (any, error) {
	fill(&a.Changes)
	fill(&a.Skips)
	return a, err
}

// readAll is readBody for a call that has something to check besides.
func readAll[T any](r *http.Request, check func(T) error) (T, error) {
	var v T
	if err := readBody(r, &v); err != nil {
		return v, err
	}
	if check != nil {
		return v, check(v)
	}
	return v, nil
}

func queryBool(r *http.Request, name string) (bool, error) {
	switch v := r.URL.Query().Get(name); v {
	case "", "0", "false":
		return false, nil
	case "1", "true":
		return true, nil
	default:
		return false, badRequest("cannot read query %q %.20q: want 1 or 0", name, v)
	}
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
