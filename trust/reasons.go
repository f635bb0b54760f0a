package trust

import "slices"

// Reason codes. They are stable API; what each one means stands in the table below and nowhere else.
const (
	DigestMismatch      Reason = "DIGEST_MISMATCH"
	SubjectInvalid      Reason = "SUBJECT_INVALID"
	LocallyDenied       Reason = "LOCALLY_DENIED"
	Revoked             Reason = "REVOKED"
	LedgerQuarantined   Reason = "LEDGER_QUARANTINED"
	LedgerChanged       Reason = "LEDGER_CHANGED"
	EvidenceUnavailable Reason = "EVIDENCE_UNAVAILABLE"
	EvidenceUnreadable  Reason = "EVIDENCE_UNREADABLE"
	WrongName           Reason = "WRONG_NAME"
	WrongVersion        Reason = "WRONG_VERSION"
	WrongPlatform       Reason = "WRONG_PLATFORM"
	ContentMismatch     Reason = "CONTENT_MISMATCH"
	SignerChanged       Reason = "SIGNER_CHANGED"
	SignatureMissing    Reason = "SIGNATURE_MISSING"
	LocalBuild          Reason = "LOCAL_BUILD"
	KeyRevoked          Reason = "KEY_REVOKED"
	NoLongerSupported   Reason = "UNSUPPORTED" // the status of the same name is [Unsupported]
	Downgrade           Reason = "DOWNGRADE"
	DowngradeByUser     Reason = "DOWNGRADE_BY_USER"
	LedgerStale         Reason = "LEDGER_STALE"
	LedgerExpired       Reason = "LEDGER_EXPIRED"
	LedgerInconsistent  Reason = "LEDGER_INCONSISTENT"
	LedgerTooBig        Reason = "LEDGER_TOO_BIG"
	StateMissing        Reason = "STATE_MISSING"
	ClockUntrusted      Reason = "CLOCK_UNTRUSTED"
	RootExpired         Reason = "ROOT_EXPIRED"
	RootMissing         Reason = "ROOT_MISSING"
	NotInChannel        Reason = "NOT_IN_CHANNEL"
	ChannelOutdated     Reason = "CHANNEL_OUTDATED"
	RequiresUnmet       Reason = "REQUIRES"
	DependencyUntrusted Reason = "DEPENDENCY_UNTRUSTED"
	SBOMUnavailable     Reason = "SBOM_UNAVAILABLE"
)

// Force says whether an override can turn a reason around (TRUST.md §7). The zero value is no.
type Force int

// Degrees of [Force].
const (
	ForceNo    Force = iota // can't be forced
	ForceYes                // an owner with a reason can
	ForceTyped              // and has to type the component's name again
)

// Exit codes of the command lines; the worst one wins.
const (
	ExitTrusted     = 0
	ExitError       = 1
	ExitUsage       = 2
	ExitUntrusted   = 3
	ExitUnknown     = 4
	ExitUnsupported = 5
	ExitKeyRevoked  = 6
	ExitUnavailable = 7
)

// Meaning is everything there is to know about a reason.
type Meaning struct {
	Reason  Reason
	Outcome Outcome // Refuse or Defer; "" for what only ever warns
	Force   Force
	Retry   bool   // asking again later may end otherwise, with nobody doing anything
	Exit    int    // exit code of a command line that ends on it
	Status  Status // CAS word
	Short   string // for people; reads after "cannot update core to 1.2: "
	Next    string // what to do; an imperative
}

// meanings is the only source of what a reason is. UNTRUSTED as a status is kept for withdrawals by those whose word
// counts and by the owner: no failure to check is ever called that.
var meanings = []Meaning{
	{SubjectInvalid, Refuse, ForceNo, false, ExitError, Unknown, "the image is not described well enough to be judged", "report this; it is an error in the program that asked"},
	{DigestMismatch, Refuse, ForceNo, true, ExitUnknown, Unknown, "the image is not the one that was asked for", "try again; when it stays, tell whoever runs the registry or mirror"},
	{LocallyDenied, Refuse, ForceNo, false, ExitUntrusted, Untrusted, "it is on this appliance's deny list", "take the digest off the deny list if you want it after all"},
	{Revoked, Refuse, ForceTyped, false, ExitUntrusted, Untrusted, "it was withdrawn", "wait for a newer release; force it only if you know why it was withdrawn"},
	{LedgerQuarantined, Refuse, ForceTyped, false, ExitUnavailable, Unavailable, "its ledger told two different stories and is in quarantine", "send the evidence file to the vendor; a new root document lifts the quarantine"},
	{LedgerChanged, Defer, ForceNo, false, ExitUnavailable, Unavailable, "the ledger at hand is not the one this component is bound to", "restore the ledger's settings, or run castellan trust forget for the component"},
	{EvidenceUnreadable, Defer, ForceNo, true, ExitUnavailable, Unavailable, "the ledger's copy on this appliance can't be read", "check the disk; castellan tries again"},
	{EvidenceUnavailable, Defer, ForceYes, true, ExitUnavailable, Unavailable, "no notarization is here yet and the ledger's copy may be behind", "wait; it is checked again after the next sync"},
	{WrongName, Refuse, ForceNo, false, ExitUnknown, Unknown, "it was notarized under another name", "correct the image's name, or ask the publisher"},
	{WrongVersion, Refuse, ForceNo, false, ExitUnknown, Unknown, "it was notarized as another version", "ask for the version it was notarized as, or ask the publisher"},
	{WrongPlatform, Refuse, ForceNo, false, ExitUnknown, Unknown, "it was made for another platform", "ask the publisher for an image of this platform"},
	{ContentMismatch, Refuse, ForceTyped, false, ExitUnknown, Unknown, "its publisher notarized other content under this version", "ask the publisher; force it only when he says that this digest is his"},
	{SignerChanged, Refuse, ForceYes, false, ExitUnknown, Unknown, "somebody else than its publisher notarized it", "ask the publisher; run castellan trust forget if the component changed hands"},
	{SignatureMissing, Refuse, ForceYes, false, ExitUnknown, Unknown, "nobody accepted for it has notarized it", "ask the publisher to notarize it, or force it once"},
	{LocalBuild, Refuse, ForceNo, false, ExitUnknown, Unknown, "local builds are never updated by themselves", "update it by hand"},
	{KeyRevoked, Refuse, ForceTyped, false, ExitKeyRevoked, ApikeyRevoked, "the key that notarized it was revoked", "wait for a release signed by a valid key"},
	{NoLongerSupported, Refuse, ForceYes, false, ExitUnsupported, Unsupported, "its publisher no longer supports it", "take a newer version, or install it by hand"},
	{Downgrade, Refuse, ForceYes, false, ExitError, Trusted, "it is older than what proved good here", "ask for the older version by hand if you want it"},
	{DowngradeByUser, "", ForceNo, false, ExitTrusted, Trusted, "it is older than what proved good here, and the owner asked for it", "nothing to do"},
	{LedgerStale, "", ForceNo, true, ExitTrusted, Trusted, "nothing new was heard of the ledger for days", "check the network and the ledger's mirrors"},
	{LedgerExpired, Defer, ForceYes, true, ExitUnavailable, Stale, "nothing new was heard of the ledger for too long", "check the network and the ledger's mirrors; it is checked again after the next sync"},
	{LedgerInconsistent, Defer, ForceYes, true, ExitUnavailable, Unavailable, "no mirror of the ledger gives bytes that fit its checkpoint", "wait; tell the vendor when it lasts a day"},
	{LedgerTooBig, Defer, ForceYes, false, ExitUnavailable, Unavailable, "the ledger is larger than the policy allows", "raise the limit in the configuration, or tell the vendor"},
	{StateMissing, Defer, ForceNo, false, ExitUnavailable, Unavailable, "the appliance's trust state is gone", "restore a backup, or run castellan trust reinit"},
	{ClockUntrusted, Defer, ForceYes, true, ExitUnavailable, Unavailable, "the clock can't be believed", "check the time server; it is checked again by itself"},
	{RootExpired, Defer, ForceYes, true, ExitUnavailable, Unavailable, "the root document has expired", "update castellan, or wait for a new root document"},
	{RootMissing, Defer, ForceYes, true, ExitUnavailable, Unavailable, "the newest root document is not here", "wait for the next sync, or update castellan"},
	{NotInChannel, Refuse, ForceYes, false, ExitError, Trusted, "no channel record stands behind it", "wait for the channel, or ask for it by hand"},
	{ChannelOutdated, Defer, ForceYes, true, ExitUnavailable, Trusted, "the channel file is not the current one", "wait; the current one is fetched by itself"},
	{RequiresUnmet, Defer, ForceYes, true, ExitError, Trusted, "it needs something newer first", "let the other update go first"},
	{DependencyUntrusted, Refuse, ForceTyped, false, ExitUntrusted, Untrusted, "it contains a part that was withdrawn", "wait for a release without it"},
	{SBOMUnavailable, Defer, ForceYes, true, ExitUnavailable, Unavailable, "its bill of materials can't be had", "wait; it is checked again by itself"},
}

// Meaning looks r up in the table. An unknown reason defers, can't be forced and says so.
func (r Reason) Meaning() Meaning {
	if i := slices.IndexFunc(meanings, func(m Meaning) bool { return m.Reason == r }); i >= 0 {
		return meanings[i]
	}
	return Meaning{Reason: r, Outcome: Defer, Exit: ExitError, Short: "unknown reason " + string(r), Next: "update castellan"}
}

// Known tells whether r stands in the table.
func (r Reason) Known() bool {
	return slices.ContainsFunc(meanings, func(m Meaning) bool { return m.Reason == r })
}

// Reasons is a copy of the whole table, in the order of the Judge's steps.
func Reasons() []Meaning { return slices.Clone(meanings) }
