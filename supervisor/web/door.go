package web

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// doorScreens let people in and out, and tell those who are not in what they may know.
var doorScreens = []screen{
	{"GET", "/ui/login", api.Nobody, (*visit).login},
	{"POST", "/ui/login", api.Nobody, (*visit).postLogin},
	{"GET", "/ui/setup", api.Nobody, (*visit).setup},
	{"POST", "/ui/setup", api.Nobody, (*visit).postSetup},
	{"POST", "/ui/logout", api.Viewer, (*visit).postLogout},
	{"POST", "/ui/look", api.Nobody, (*visit).postLook},
	{"GET", "/ui/events", api.Viewer, (*visit).stream},
}

// doorForm is a form that is shown again with what was wrong.
type doorForm struct {
	Name  string
	Next  string
	Fault *fault
}

func (v *visit) login() (answer, error) {
	return show("login", doorForm{Next: v.back("/ui/")})
}

func (v *visit) postLogin() (answer, error) {
	return v.through("login", "/castellan/login", api.LoginRequest{Name: v.form("name"), Password: v.r.PostFormValue("password")}, v.back("/ui/"))
}

func (v *visit) setup() (answer, error) {
	if s, err := v.api.Setup(v.ctx()); err != nil || s.Owner {
		return seeOther("/ui/login"), err
	}
	return show("setup", doorForm{})
}

func (v *visit) postSetup() (answer, error) {
	in := api.SetupRequest{Code: v.form("code"), Name: v.form("name"), Password: v.r.PostFormValue("password")}
	return v.through("setup", "/castellan/setup", in, "/ui/welcome/2")
}

// through sends somebody's proof to the API, and him on with the cookie it gives; or shows the form again. What he typed as a
// secret is not sent back.
func (v *visit) through(view, path string, in any, to string) (answer, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return answer{}, err
	}
	header, err := v.api.Enter(v.ctx(), path, b)
	if err != nil {
		f := v.fail(err)
		a, _ := show(view, doorForm{Name: v.form("name"), Next: to, Fault: &f})
		a.status = http.StatusUnprocessableEntity
		return a, nil
	}
	for _, cookie := range header.Values("Set-Cookie") {
		v.w.Header().Add("Set-Cookie", cookie)
	}
	return seeOther(to), nil
}

func (v *visit) postLogout() (answer, error) {
	header, err := v.api.Enter(v.ctx(), "/castellan/logout", []byte("{}"))
	if err != nil {
		return answer{}, err
	}
	for _, cookie := range header.Values("Set-Cookie") {
		v.w.Header().Add("Set-Cookie", cookie)
	}
	return seeOther("/ui/login"), nil
}

// postLook keeps how somebody wants the pages, on his own device.
func (v *visit) postLook() (answer, error) {
	for name, allowed := range map[string]string{"theme": " light dark auto ", "lang": " en de auto "} {
		value := v.form(name)
		if value == "" || !strings.Contains(allowed, " "+value+" ") {
			continue
		}
		c := &http.Cookie{Name: name, Value: value, Path: "/ui/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode}
		if value == "auto" {
			c.Value, c.MaxAge = "", -1
		}
		http.SetCookie(v.w, c)
	}
	return seeOther(v.back("/ui/")), nil
}
