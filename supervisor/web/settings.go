package web

import (
	"net/http"
	"slices"

	"github.com/castellan/castellan/supervisor/api"
)

// settingsScreens are the settings, each group of which saves alone. Those about people are in [peopleScreens], the support
// bundle in [supportScreens].
var settingsScreens = slices.Concat([]screen{
	{"GET", "/ui/settings", api.Viewer, (*visit).settings},
	{"POST", "/ui/settings/password", api.Viewer, (*visit).postOwnPassword},
	{"GET", "/ui/settings/password", api.Viewer, toSettings},
	{"POST", "/ui/settings/modes", api.Admin, (*visit).postModes},
	{"GET", "/ui/settings/modes", api.Viewer, toSettings},
	{"GET", "/ui/settings/system", api.Viewer, (*visit).system},
	{"GET", "/ui/settings/about", api.Viewer, (*visit).about},
}, peopleScreens, supportScreens)

// toSettings is for addresses that only forms are sent to, when somebody loads one again.
func toSettings(*visit) (answer, error) { return seeOther("/ui/settings"), nil }

// settings are what the first page of the settings shows.
type settings struct {
	Status  api.Status
	Modes   map[string]int // services by update mode
	Mixed   string         // the mode that all have, "" = they differ
	Windows []api.Window
	Typed   typed
}

func (v *visit) settings() (answer, error) {
	s, err := v.settingsNow()
	if err != nil {
		return answer{}, err
	}
	return show("settings", s)
}

func (v *visit) settingsNow() (out settings, err error) {
	if out.Status, err = v.status(); err != nil {
		return out, err
	}
	decided, err := v.api.Decisions(v.ctx())
	if err != nil {
		return out, err
	}
	out.Windows, out.Modes = decided.Windows, map[string]int{}
	for _, s := range decided.Services {
		if s.Default != "-" {
			out.Modes[s.Mode]++
		}
	}
	if len(out.Modes) == 1 {
		for m := range out.Modes {
			out.Mixed = m
		}
	}
	return out, nil
}

// postOwnPassword sets the visitor's own password. His other sessions end.
func (v *visit) postOwnPassword() (answer, error) {
	err := v.samePasswords()
	if err == nil {
		err = v.api.SetPassword(v.ctx(), v.me.Name, api.PasswordRequest{Password: v.r.PostFormValue("password"), Current: v.r.PostFormValue("current")})
	}
	if err == nil {
		return v.done("/ui/settings", "settings.password_set")
	}
	s, other := v.settingsNow()
	if other != nil {
		return answer{}, err
	}
	s.Typed = v.wrong("password", err)
	return shownAgain("settings", s)
}

// samePasswords is an error unless a new password was typed twice alike.
func (v *visit) samePasswords() error {
	if v.r.PostFormValue("password") == v.r.PostFormValue("again") {
		return nil
	}
	return &api.Error{Status: http.StatusUnprocessableEntity, Key: "passwords_differ", Message: v.say("settings.differ"), Next: v.say("settings.differ_next")}
}

// postModes sets one update mode for everything that has one.
func (v *visit) postModes() (answer, error) {
	if err := v.setModes(v.form("mode")); err != nil {
		return v.again("/ui/settings#updates", err)
	}
	return v.done("/ui/settings", "settings.modes_"+v.form("mode"))
}

// setModes sets a mode for all services. "default" leaves it to the configuration.
func (v *visit) setModes(mode string) error {
	if !slices.Contains([]string{"auto", "ask", "default"}, mode) {
		return &api.Error{Status: http.StatusUnprocessableEntity, Key: "form", Message: v.say("settings.no_mode"), Next: v.say("settings.no_mode_next")}
	}
	decided, err := v.api.Decisions(v.ctx())
	if err != nil {
		return err
	}
	for _, s := range decided.Services {
		if s.Default == "-" || s.Mode == mode {
			continue
		}
		if _, err := v.api.SetMode(v.ctx(), api.ModeRequest{Service: s.Service, Mode: mode}); err != nil {
			return err
		}
	}
	return nil
}
