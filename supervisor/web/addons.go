package web

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// addonScreens are the store and the page of each add-on.
var addonScreens = []screen{
	{"GET", "/ui/addons", api.Viewer, (*visit).addonStore},
	{"GET", "/ui/addons/repositories", api.Viewer, (*visit).repositories},
	{"POST", "/ui/addons/repositories", api.Admin, (*visit).postRepository},
	{"POST", "/ui/addons/repositories/refresh", api.Admin, (*visit).postRefresh},
	{"GET", "/ui/addons/repositories/{repo}/remove", api.Admin, (*visit).repositoryRemoval},
	{"POST", "/ui/addons/repositories/{repo}/remove", api.Admin, (*visit).postRepositoryRemoval},

	{"GET", "/ui/addons/{slug}", api.Viewer, (*visit).addon},
	{"GET", "/ui/addons/{slug}/yaml", api.Viewer, (*visit).addonYAML},
	{"POST", "/ui/addons/{slug}/yaml", api.Operator, (*visit).postAddonYAML},
	{"GET", "/ui/addons/{slug}/options", api.Viewer, (*visit).toAddon},
	{"POST", "/ui/addons/{slug}/options", api.Operator, (*visit).postAddonOptions},
	{"GET", "/ui/addons/{slug}/ports", api.Viewer, (*visit).toAddon},
	{"POST", "/ui/addons/{slug}/ports", api.Admin, (*visit).postAddonPorts},
	{"POST", "/ui/addons/{slug}/switches", api.Operator, (*visit).postAddonSwitches},
	{"POST", "/ui/addons/{slug}/protection", api.Admin, (*visit).postAddonProtection},

	{"GET", "/ui/addons/{slug}/log", api.Viewer, (*visit).addonLog},
	{"GET", "/ui/addons/{slug}/log/lines", api.Admin, (*visit).addonLogLines},
	{"GET", "/ui/addons/{slug}/log/download", api.Admin, (*visit).addonLogDownload},
	{"GET", "/ui/addons/{slug}/changes", api.Viewer, (*visit).addonChanges},
	{"GET", "/ui/addons/{slug}/docs", api.Viewer, (*visit).addonDocs},
	{"GET", "/ui/addons/{slug}/backups", api.Viewer, (*visit).addonBackups},
	{"POST", "/ui/addons/{slug}/backups", api.Operator, (*visit).postAddonBackup},
	{"POST", "/ui/addons/{slug}/backups/{backup}/restore", api.Operator, (*visit).postAddonRestore},
	{"GET", "/ui/addons/{slug}/open", api.Viewer, (*visit).addonOpen},
	{"POST", "/ui/addons/{slug}/open", api.Operator, (*visit).postAddonOpen},
	{"GET", "/ui/addons/{slug}/stats", api.Viewer, (*visit).addonStats},

	{"POST", "/ui/addons/{slug}/start", api.Operator, (*visit).postAddonStart},
	{"POST", "/ui/addons/{slug}/stop", api.Operator, (*visit).postAddonStop},
	{"POST", "/ui/addons/{slug}/restart", api.Operator, (*visit).postAddonRestart},
	{"POST", "/ui/addons/{slug}/update", api.Operator, (*visit).postAddonUpdate},
	{"POST", "/ui/addons/{slug}/rollback", api.Operator, (*visit).postAddonRollback},
	{"POST", "/ui/addons/{slug}/build", api.Operator, (*visit).postAddonBuild},
	{"GET", "/ui/addons/{slug}/install", api.Viewer, (*visit).addonInstall},
	{"POST", "/ui/addons/{slug}/install", api.Operator, (*visit).postAddonInstall},
	{"GET", "/ui/addons/{slug}/consent", api.Viewer, (*visit).addonConsent},
	{"POST", "/ui/addons/{slug}/consent", api.Admin, (*visit).postAddonConsent},
	{"GET", "/ui/addons/{slug}/uninstall", api.Viewer, (*visit).addonUninstall},
	{"POST", "/ui/addons/{slug}/uninstall", api.Admin, (*visit).postAddonUninstall},
}

// slug is the add-on an address is about.
func (v *visit) slug() string { return v.r.PathValue("slug") }

// home is the page of the add-on an address is about.
func (v *visit) home() string { return "/ui/addons/" + url.PathEscape(v.slug()) }

// toAddon answers an address of a form that somebody loads anew.
func (v *visit) toAddon() (answer, error) { return seeOther(v.home()), nil }

// accepted sends the visitor on after work was asked for: to see its course, or with the daemon's word why there is none.
func (v *visit) accepted(to, key string, a api.Accepted, err error) (answer, error) {
	switch {
	case errors.Is(err, errGoesOn):
		return v.done(to, "change.asked_for")
	case err != nil:
		return v.again(to, err)
	case len(a.Changes) == 0 && len(a.Skips) > 0:
		v.ui.notes.add(v.me.CSRF, v.skipped(a.Skips[0]))
		return seeOther(to), nil
	}
	return v.done(to, key)
}

// waits is why something is not there yet: in the visitor's language where the code is known.
func (v *visit) waits(s api.PlanSkip, name string) string {
	return v.skipText(api.PlanService{Code: s.Code, Why: s.Why, To: s.To}, name)
}

// skipped is a word about what was asked for and did not begin.
func (v *visit) skipped(s api.PlanSkip) note {
	return note{Tone: "warn", Text: v.waits(s, v.called(s.Service, ""))}
}

// skipsError is an answer that begins nothing.
type skipsError struct{ api.Accepted }

func (skipsError) Error() string { return "nothing has begun" }

// changes asks for a change before which a backup may be made: then the visitor goes on, with errGoesOn.
func (v *visit) changes(call func(context.Context) (api.Accepted, error)) (a api.Accepted, err error) {
	answered := make(chan api.Accepted, 1)
	err = v.lengthy(func(ctx context.Context) error {
		a, err := call(ctx)
		answered <- a
		if err == nil && len(a.Changes) == 0 && len(a.Skips) > 0 {
			return skipsError{a}
		}
		return err
	})
	if errors.Is(err, errGoesOn) {
		return a, err
	}
	if errors.As(err, new(skipsError)) {
		err = nil
	}
	return <-answered, err
}

// lengthyAfter is how long a form waits for work that takes its time before it goes on alone.
const lengthyAfter = 3 * time.Second

// errGoesOn says that work goes on although nobody waits for it any more.
var errGoesOn = errors.New("it goes on")

// lengthy does work that may take minutes. What ends soon is answered as usual; else the visitor goes on, and what did not succeed
// comes as a word on one of his next pages. The same form once more, while it goes on, does nothing.
func (v *visit) lengthy(work func(context.Context) error) error {
	form := v.r.URL.Path + "?" + v.r.PostForm.Encode()
	if !v.ui.begun.take(form, v.now) {
		return errGoesOn
	}
	end := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.ctx()), mostBegun)
	go func() {
		defer cancel()
		defer v.ui.begun.drop(form)
		end <- work(ctx)
	}()
	late := time.NewTimer(lengthyAfter)
	defer late.Stop()
	select {
	case err := <-end:
		return err
	case <-late.C:
	}
	go func() {
		var none skipsError
		switch err := <-end; {
		case errors.As(err, &none):
			v.ui.notes.add(v.me.CSRF, v.skipped(none.Skips[0]))
		case err != nil:
			v.ui.notes.add(v.me.CSRF, v.failed(err))
		}
	}()
	return errGoesOn
}
