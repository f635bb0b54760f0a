package web

import (
	"errors"
	"net/http"
	"regexp"

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
	f.Title = words.known("fault."+f.Code+".title", words.text("fault.title"))
	f.Still = words.known("fault."+f.Code+".still", words.text("fault.still"))
	if f.Next == "" {
		f.Next = words.known("fault."+f.Code+".next", words.text("fault.next"))
	}
	return f
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
