package access

import (
	"errors"
	"fmt"
	"time"
)

// Why somebody is not let in or a change is not made; every other error is of the disk or of the context.
var (
	ErrDenied    = errors.New("the name or the password is wrong")
	ErrCode      = errors.New("the setup code is wrong; castellan setup-code shows it on the appliance")
	ErrNoSession = errors.New("not logged in, or the session has ended")
	ErrNoToken   = errors.New("the token is not known, or has ended")
	ErrNoOwner   = errors.New("the appliance has no owner yet; castellan setup-code shows on the appliance what the first login needs")
	ErrOwned     = errors.New("the appliance has an owner already; log in, or run castellan user reset on the appliance")
	ErrBusy      = errors.New("too many log in at the same time; try again in some seconds")
	ErrLastAdmin = errors.New("no admin would be left; make another user admin first")
	ErrExists    = errors.New("there already")
	ErrNotFound  = errors.New("not there")
	ErrInvalid   = errors.New("not allowed")
	ErrClosed    = errors.New("nobody is let in from the network, because it can't be told who may")
)

// WaitError says that somebody guessed too often and has to wait.
type WaitError struct {
	Wait time.Duration // whole seconds, at least one
}

func (e *WaitError) Error() string {
	return fmt.Sprintf("too many wrong guesses; try again in %d s", e.Seconds())
}

// Seconds is how long to wait, for Retry-After.
func (e *WaitError) Seconds() int { return int(e.Wait / time.Second) }

func waiting(d time.Duration) error {
	return &WaitError{max((d + time.Second - 1).Truncate(time.Second), time.Second)}
}

// refusal is a reason with words for who asked.
type refusal struct {
	why  error
	text string
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.why }

func refuse(why error, format string, args ...any) error {
	return &refusal{why, fmt.Sprintf(format, args...)}
}
