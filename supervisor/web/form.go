package web

import (
	"net/http"
	"net/url"
)

// typed is a form that is shown again: what stood in it, and what was wrong. What was typed as a secret is not sent back: no
// template asks for it.
type typed struct {
	form  string
	Fault *fault
	was   url.Values
}

// Of is what was typed into one of a page's forms; for the others it is empty.
func (t typed) Of(form string) typed {
	if t.form != form {
		return typed{}
	}
	return t
}

// Was is a field as it was typed, or as it is otherwise.
func (t typed) Was(name, otherwise string) string {
	if t.Fault == nil || !t.was.Has(name) {
		return otherwise
	}
	return t.was.Get(name)
}

// Had tells whether a box was ticked; before anything is typed it is as otherwise says.
func (t typed) Had(name, value string, otherwise bool) bool {
	if t.Fault == nil {
		return otherwise
	}
	for _, v := range t.was[name] {
		if v == value {
			return true
		}
	}
	return false
}

// wrong is a form with what was typed into it and why it was not taken.
func (v *visit) wrong(form string, err error) typed {
	f := v.fail(err)
	return typed{form: form, Fault: &f, was: v.r.PostForm}
}

// shownAgain answers with a page whose form was not taken (RFC 9110 §15.5.21).
func shownAgain(view string, data any) (answer, error) {
	return answer{view: view, data: data, status: http.StatusUnprocessableEntity}, nil
}
