package web

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// fault is a failure as a page tells it: what happened, what is unchanged, what to do next, and the code of the page that
// tells more.
type fault struct {
	Code  string
	Title string
	What  string
	Still string // what is unchanged
	Next  string
	Run   string // a command for who is on the appliance
	Said  string // the daemon's own words, where What is the catalogue's
}

// codeShape is what a code may look like: it becomes part of an address and of a key of the catalogue.
var codeShape = regexp.MustCompile(`^[A-Za-z0-9_-]{1,60}$`)

// fail puts an error in words. What the catalogue knows by its code is told in the visitor's language; the daemon's own words
// stand beside it.
func (v *visit) fail(err error) fault {
	f := fault{Code: "failed", What: err.Error()}
	var e *api.Error
	if errors.As(err, &e) {
		f.What, f.Next = e.Message, e.Next
		if codeShape.MatchString(e.Key) {
			f.Code = e.Key
		}
	}
	words := v.ui.in(v.lang)
	if t := v.troubleOf(f.Code, f.What); t != "" {
		key := "down." + t
		return fault{Code: t, Title: words.text(key + ".title"), What: words.text(key+".what", v.ui.cfg.Host), Still: words.text(key + ".still"),
			Next: words.text(key + ".next"), Run: words.known(key+".run", ""), Said: f.What}
	}
	key := "fault." + f.Code
	f.Title = words.known(key+".title", words.text("fault.title"))
	f.Still = words.known(key+".still", words.text("fault.still"))
	if what := words.known(key+".what", f.What); what != f.What {
		f.What, f.Said = what, f.What
	}
	if strings.HasPrefix(f.Next, "castellan ") { // a command: its page knows what to press
		help, _ := v.helpAbout(f.Code)
		f.Next = help.You
	}
	if f.Next = words.known(key+".next", f.Next); f.Next == "" {
		f.Next = words.text("fault.next")
	}
	return f
}

// troubleOf is what is behind an error, where that has a page of its own: a full disk, or an engine that is away, fails many
// calls in many words.
func (v *visit) troubleOf(code, what string) string {
	if code == "closed" || code == "no_users" {
		return string(RegisterShut)
	}
	if t := troubleIn(what); t != "" || code != "failed" {
		return t
	}
	if s, err := v.status(); err == nil && s.Engine.Error != "" {
		return "engine_away"
	}
	return ""
}

// fault is the page of an error. It needs nothing of what may be broken.
func (v *visit) fault(err error) answer {
	status := http.StatusBadGateway
	var e *api.Error
	if errors.As(err, &e) && e.Status != 0 {
		status = e.Status
	}
	return answer{view: "fault", data: v.fail(err), status: status}
}

// missing is the page of an address that there is not.
func (v *visit) missing() (answer, error) {
	_, _ = v.enter() // who is logged in sees where he can go; who is not, the same page without
	return answer{}, &api.Error{Status: http.StatusNotFound, Key: "no_page", Message: v.say("fault.no_page.what"), Next: v.say("fault.no_page.next")}
}
