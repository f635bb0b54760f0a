package trust

import (
	"errors"
	"fmt"
	"strings"
)

// RefusedError says that an image was checked and is not let in. What runs was not touched.
type RefusedError struct{ Verdict Verdict }

// DeferredError says that an image could not be checked and is not let in for now. What runs was not touched.
type DeferredError struct{ Verdict Verdict }

// Error names the component, the version, the reason, what stays as it is, and the next step.
func (e *RefusedError) Error() string { return explain(e.Verdict) }

// Error names the component, the version, the reason, what stays as it is, and the next step.
func (e *DeferredError) Error() string { return explain(e.Verdict) }

// Reason is the code that decided.
func (e *RefusedError) Reason() Reason { return e.Verdict.Reason() }

// Reason is the code that decided.
func (e *DeferredError) Reason() Reason { return e.Verdict.Reason() }

// Err is nil for a verdict that lets the image in, else a [RefusedError] or [DeferredError].
func (v Verdict) Err() error {
	switch {
	case v.Outcome.Allowed():
		return nil
	case v.Outcome == Refuse:
		return &RefusedError{v}
	default:
		return &DeferredError{v}
	}
}

func explain(v Verdict) string {
	m := v.Reason().Meaning()
	var b strings.Builder
	word, ok := actionWords[v.Action]
	if !ok {
		word = "judge"
	}
	fmt.Fprintf(&b, "cannot %s %q", word, v.Subject.Component)
	if v.Subject.Version != "" {
		fmt.Fprintf(&b, " to %s", v.Subject.Version)
	}
	if v.Outcome == Defer {
		b.WriteString(" yet")
	}
	fmt.Fprintf(&b, ": %s (%s", m.Short, m.Reason)
	for _, f := range v.Findings {
		if f.Decided && f.Detail != "" {
			b.WriteString(": " + f.Detail)
		}
	}
	fmt.Fprintf(&b, "); what runs stays as it is; %s", m.Next)
	return b.String()
}

var actionWords = map[Action]string{
	AutoUpdate:  "update",
	OwnerUpdate: "update",
	Install:     "install",
	Restore:     "restore",
	Rollback:    "roll back",
	Rejudge:     "confirm",
}

// StateError says that something the appliance must have kept is missing or unusable. Its reason tells the Gate which
// deferral it means.
type StateError struct {
	Why  Reason // StateMissing, LedgerInconsistent, LedgerTooBig, EvidenceUnreadable
	What string // the file or ledger
	Err  error  // nil if there is nothing to add
}

// Error names the thing, what is wrong with it and the next step.
func (e *StateError) Error() string {
	m := e.Why.Meaning()
	s := fmt.Sprintf("cannot use %s: %s (%s)", e.What, m.Short, m.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s + "; " + m.Next
}

// Unwrap gives the cause.
func (e *StateError) Unwrap() error { return e.Err }

// TrustReason is the code of the deferral. The Gate asks every error of the evidence for it, see [ReasonOf].
func (e *StateError) TrustReason() Reason { return e.Why }

// ReasonOf is the deferral an error of the evidence stands for: that of the first error in its tree with a method
// TrustReason() Reason, if it is in the table and defers, else [EvidenceUnreadable].
func ReasonOf(err error) Reason {
	var known interface{ TrustReason() Reason }
	if errors.As(err, &known) {
		if r := known.TrustReason(); r.Known() && r.Meaning().Outcome == Defer {
			return r
		}
	}
	return EvidenceUnreadable
}
