package web

import (
	"net/http"
	"slices"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// screen is a row of the table: an address, who may see it, and what is shown. The API decides what a visitor may do; the
// role says who is asked to log in first (Viewer), and who need not (Nobody).
type screen struct {
	method, path string
	role         api.Role
	show         func(*visit) (answer, error)
}

// Times a page may take. What is behind the API has bounds of its own, each of which a page may meet several times.
const (
	pageWithin   = 10 * time.Second // for a page that is read
	statusWithin = 6 * time.Second  // for the state of the house, which is on all of them
	asideWithin  = 4 * time.Second  // for what a page can do without
)

// errSlow is what a page is told when that is over.
var errSlow = &api.Error{Status: http.StatusGatewayTimeout, Key: "slow", Message: "cannot show the page: something that it tells of does not answer", Next: "load it again in a minute"}

// lasting are the screens that are read for as long as it takes: streams, files, and what reads much or asks the network.
var lasting = []string{"/ui/events", "/ui/addons/{slug}/log/lines", "/ui/addons/{slug}/log/download", "/ui/backups/{slug}/download", "/ui/settings/support",
	"/ui/settings/support/file", "/ui/settings/support/download", "/ui/trust/chain", "/ui/updates/sizes"}

// bounded tells whether a screen has to be there within pageWithin.
func (s screen) bounded() bool {
	return s.method == http.MethodGet && !slices.Contains(lasting, s.path)
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
	v.ui.notes.add(v.me.CSRF, v.failed(err))
	return seeOther(to), nil
}
