package web

import (
	"net/http"
	"slices"

	"github.com/castellan/castellan/supervisor/api"
)

// screen is a row of the table: an address, who may see it, and what is shown. The API decides what a visitor may do; the
// role says who is asked to log in first (Viewer), and who need not (Nobody).
type screen struct {
	method, path string
	role         api.Role
	show         func(*visit) (answer, error)
}

// screens are all of them, those of a room beside each other in its own file.
func screens() []screen {
	return slices.Concat(doorScreens, welcomeScreens, overviewScreens, updateScreens, addonScreens, trustScreens, backupScreens, settingsScreens, helpScreens)
}

// answer is what a screen says: a view with its data, another address to go to, or something that writes itself.
type answer struct {
	view   string
	data   any
	status int // 0 = 200
	to     string
	serve  http.HandlerFunc
}

// show answers with a view.
func show(view string, data any) (answer, error) { return answer{view: view, data: data}, nil }

// seeOther sends the visitor on, after a form or to log in (RFC 9110 §15.4.4).
func seeOther(to string) answer { return answer{to: to} }

// done sends the visitor on after a form, with a word about what was done: a key of the catalogue.
func (v *visit) done(to, key string, args ...any) (answer, error) {
	v.ui.notes.add(v.me.CSRF, note{Tone: "ok", Text: v.say(key, args...)})
	return seeOther(to), nil
}

// again sends the visitor back to where the form was, with what went wrong.
func (v *visit) again(to string, err error) (answer, error) {
	f := v.fail(err)
	v.ui.notes.add(v.me.CSRF, note{Tone: "bad", Text: f.What, Next: f.Next, Code: f.Code})
	return seeOther(to), nil
}
