package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/castellan/castellan/trust"
)

// Error is a state of the replica that has a reason code, so that a verdict can carry it. The reasons are
// STATE_MISSING, LEDGER_INCONSISTENT, LEDGER_TOO_BIG, LEDGER_QUARANTINED, EVIDENCE_UNAVAILABLE (no mirror answered)
// and EVIDENCE_UNREADABLE (the disk does not hold what the head says; the next [Replica.Sync] repairs it). None of
// them says anything against an image.
type Error struct {
	Reason trust.Reason
	Since  time.Time // when it began, for LEDGER_INCONSISTENT; else zero
	Err    error     // what was found and what to do
}

func (e *Error) Error() string { return string(e.Reason) + ": " + e.Err.Error() }

// Unwrap gives what was found.
func (e *Error) Unwrap() error { return e.Err }

// TrustReason tells the Gate which deferral the error stands for.
func (e *Error) TrustReason() trust.Reason { return e.Reason }

// ReasonOf is the reason code of err, "" when it has none.
func ReasonOf(err error) trust.Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

func reason(r trust.Reason, format string, args ...any) error {
	return &Error{Reason: r, Err: fmt.Errorf(format, args...)}
}

// diskError is a failure of the appliance's own disk: no mirror is to blame, and trying another one is no cure.
type diskError struct{ error }

func (e diskError) Unwrap() error { return e.error }

func onDisk(err error) error {
	if err == nil {
		return nil
	}
	return diskError{err}
}

func isDisk(err error) bool {
	var d diskError
	var p *fs.PathError
	return errors.As(err, &d) || errors.As(err, &p)
}
