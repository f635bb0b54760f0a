package api

import (
	"errors"
	"net/http"
	"slices"
)

// shown are the statuses beside which Home Assistant's client shows a message.
var shown = []int{400, 401, 403, 404, 429, 500, 503}

// forClient makes an error one that Home Assistant's client shows whole: with a status it knows, and with the next step in
// the message.
func forClient(err error) error {
	err = withNext(err)
	var known *Error
	if !errors.As(err, &known) || slices.Contains(shown, known.Status) {
		return err
	}
	out := *known
	out.Status = http.StatusBadRequest
	return &out
}
