package web

import "github.com/castellan/castellan/trust"

// badgeOf is the word for an outcome of the Judge, as badges name it. Four are never the same: could not check, not signed,
// refused, withdrawn.
func badgeOf(outcome, reason string) string {
	switch trust.Outcome(outcome) {
	case trust.Allow:
		return "verified"
	case trust.AllowUnsigned:
		if trust.Reason(reason) == trust.LocalBuild {
			return "local"
		}
		return "unsigned"
	case trust.AllowOverridden:
		return "forced"
	case trust.Refuse:
		if trust.Reason(reason) == trust.Revoked {
			return "withdrawn"
		}
		return "refused"
	case trust.Defer:
		return "not checked"
	}
	return ""
}
