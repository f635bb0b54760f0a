package trust

import "time"

// Outcome is what a verdict lets happen. The zero value is Defer: a verdict that was never filled in lets nothing in.
type Outcome string

// Outcomes (TRUST.md §6). They are stable API.
const (
	Defer           Outcome = "DEFER"            // could not check: keep what runs, retry, say why
	Refuse          Outcome = "REFUSE"           // checked and bad
	Allow           Outcome = "ALLOW"            // checked and good
	AllowUnsigned   Outcome = "ALLOW_UNSIGNED"   // nobody vouches and nobody has to
	AllowOverridden Outcome = "ALLOW_OVERRIDDEN" // an owner said yes, once, for this digest
)

// Allowed tells whether o lets the image in. Anything unknown does not.
func (o Outcome) Allowed() bool {
	return o == Allow || o == AllowUnsigned || o == AllowOverridden
}

// Status is the CAS status word shown to people. The zero value is Unknown.
type Status string

// Status words. Unavailable and Stale are what CAS lacked.
const (
	Unknown       Status = ""
	Trusted       Status = "TRUSTED"
	Untrusted     Status = "UNTRUSTED"
	Unsupported   Status = "UNSUPPORTED"
	ApikeyRevoked Status = "APIKEY_REVOKED"
	Unavailable   Status = "UNAVAILABLE"
	Stale         Status = "STALE"
)

// String writes the zero value as "UNKNOWN".
func (s Status) String() string {
	if s == Unknown {
		return "UNKNOWN"
	}
	return string(s)
}

// Action says why a judgement is asked for; it selects the steps of the Judge (TRUST.md §6).
type Action string

// Actions.
const (
	AutoUpdate  Action = "auto-update"
	OwnerUpdate Action = "owner-update"
	Install     Action = "install"
	Restore     Action = "restore"
	Rollback    Action = "rollback"
	Rejudge     Action = "rejudge"
)

// Finding is one reason of a verdict, in the order the Judge met it. The last finding of a REFUSE or DEFER verdict
// decided it; earlier ones are warnings.
type Finding struct {
	Reason  Reason   `json:"reason"`
	Detail  string   `json:"detail,omitempty"`  // what was expected and what was found, for people
	Pos     Position `json:"pos,omitzero"`      // record that shows it, if one does
	Decided bool     `json:"decided,omitempty"` // this finding made the outcome

	Overridden bool `json:"overridden,omitempty"` // it would have decided, but an override covers it
}

// Verdict is the answer of the Judge: plain data, the same for the same input.
type Verdict struct {
	Subject   Subject   `json:"subject"`
	Action    Action    `json:"action"`
	Outcome   Outcome   `json:"outcome"`
	Status    Status    `json:"status"`              // CAS word
	Findings  []Finding `json:"findings"`            // ordered
	Publisher string    `json:"publisher,omitempty"` // who vouches, for ALLOW
	Record    Position  `json:"record,omitzero"`     // the notarization ALLOW rests on
	Severity  Severity  `json:"severity,omitempty"`  // of the UNTRUSTED record, for REVOKED
	ByRoot    bool      `json:"byRoot,omitempty"`    // the UNTRUSTED record is signed by the publisher's root key or by security
	Floor     Position  `json:"floor,omitzero"`      // position of this digest's first TRUSTED record, what the pin's floor rises to
	Override  string    `json:"override,omitempty"`  // ID of the override used
	Ignored   int       `json:"ignored,omitempty"`   // records about the subject's digests by others than those whose word counts, or forged
	Head      Head      `json:"head"`                // replica the verdict rests on
	Now       time.Time `json:"now"`                 // trusted time it was made
}

// Forced are the reasons that an override passed over; nil when none was used.
func (v Verdict) Forced() (out []Reason) {
	for _, f := range v.Findings {
		if f.Overridden {
			out = append(out, f.Reason)
		}
	}
	return out
}

// Reason is the finding that decided, or "" when nothing spoke against the subject.
func (v Verdict) Reason() Reason {
	for _, f := range v.Findings {
		if f.Decided {
			return f.Reason
		}
	}
	return ""
}
