package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

// visit is one request of one person.
type visit struct {
	ui    *UI
	w     http.ResponseWriter
	r     *http.Request
	api   *client.Client // in his name
	me    api.Me         // empty before he has entered
	lang  string         // of the catalogue
	theme string         // light, dark, "" = as the device has it
	now   time.Time
	sent  *partly // the page whose head has gone ahead; nil = nothing was sent

	mu      sync.Mutex        // guards the rest: parts of a page are asked for beside each other, and some work outlives it
	asked   *answeredStatus   // by status
	named   map[string]string // add-ons by slug, by names
	namedAt time.Time         // when the list was asked for
}

// visit reads who comes and what he prefers. It asks nothing yet.
func (u *UI) visit(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{ui: u, w: w, r: r, lang: languageOf(r), theme: themeOf(r), now: time.Now()}
	v.api = u.inside(r, "")
	return v
}

// themeOf is the theme that somebody chose on his device, "" = as the device has it.
func themeOf(r *http.Request) string {
	if c, err := r.Cookie("theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// readForm reads what a form sent. Its token goes along with every call that is made from here on.
func (v *visit) readForm() error {
	if err := v.r.ParseForm(); err != nil {
		return &api.Error{Status: http.StatusBadRequest, Key: "form", Message: "cannot read the form: it is damaged or larger than 1 MiB", Next: "load the page again"}
	}
	v.api = v.ui.inside(v.r, v.r.PostFormValue("csrf"))
	return nil
}

// enter finds out who comes. to is where he must go first: to the login, or where the appliance gets its first owner.
func (v *visit) enter() (to string, err error) {
	v.me, err = v.api.Me(v.ctx())
	var e *api.Error
	if err == nil || !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
		return "", err
	}
	return v.door()
}

// refused says why a form is not for this visitor, before anything is done: not every form ends in a call that the API would
// refuse. A file is read as it comes, with its token.
func (v *visit) refused(s screen) error {
	switch {
	case !v.may(s.role.String()):
		return &api.Error{Status: http.StatusForbidden, Key: "forbidden", Message: v.say("fault.role_what"), Next: v.say("fault.role_next")}
	case v.r.Method == http.MethodPost && !carriesFile(v.r) && v.me.CSRF != "" && v.r.PostFormValue("csrf") != v.me.CSRF:
		return &api.Error{Status: http.StatusForbidden, Key: "csrf", Message: v.say("fault.csrf.what"), Next: v.say("fault.csrf.next")}
	}
	return nil
}

// door is where somebody goes who is not logged in.
func (v *visit) door() (string, error) {
	s, err := v.api.Setup(v.ctx())
	if err != nil {
		return "", err
	}
	if !s.Owner {
		return "/ui/setup", nil
	}
	back := v.r.URL.RequestURI()
	if v.r.Method != http.MethodGet {
		back = "/ui/"
	}
	return "/ui/login?next=" + url.QueryEscape(back), nil
}

// ctx is the request's.
func (v *visit) ctx() context.Context { return v.r.Context() }

// form is a field of the form, without space around it.
func (v *visit) form(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// query is a parameter of the address.
func (v *visit) query(name string) string { return v.r.URL.Query().Get(name) }

// back is where a form asks to go afterwards, if that is one of our pages; otherwise it is the given one.
func (v *visit) back(otherwise string) string { return ours(v.r.FormValue("next"), otherwise) }

// ours gives an address of this UI, and never one that leads elsewhere.
func ours(to, otherwise string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(to, "/ui/") || strings.ContainsAny(to, "\\\r\n\t") {
		return otherwise
	}
	return to
}

// may tells whether the visitor has a role, to show him only what he can use; the API decides.
func (v *visit) may(role string) bool {
	order := map[string]int{"viewer": 1, "operator": 2, "admin": 3}
	return order[v.me.Role] >= order[role]
}

// say is a text of the catalogue in the visitor's language.
func (v *visit) say(key string, args ...any) string { return v.ui.in(v.lang).text(key, args...) }
