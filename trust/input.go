package trust

import "time"

// Reason is a stable reason code, as "REVOKED". The table in reasons.go is the only source of what it means.
type Reason string

// Request is what a caller asks the [Gate].
type Request struct {
	Subject           Subject
	Action            Action
	Raw               *Raw          // raw manifests; nil only when Held is set
	Held              Digest        // image ID the engine reports, once it holds the image
	Change            string        // change ID; an override is consumed for it and for no other
	FirstResolved     time.Time     // when this reference was first resolved, for the one-hour rule of step 6
	Installed         bool          // the component runs now
	InstalledUnsigned bool          // and was let in unsigned
	Channel           *ChannelClaim // the channel file the release came from; nil for components that are not of a channel
	Requires          []string      // requirements of the release that are not met, in words
}

// ChannelClaim says which channel file made the release.
type ChannelClaim struct {
	Name   string // "stable"
	Digest Digest // of the channel file's bytes
	Floor  string // the oldest version an owner may go back to, "" = any
}

// Input is everything the Judge sees: plain data, so that a verdict can be computed again from its log record.
type Input struct {
	Request
	Facts     Facts
	Unread    *Finding // why the replica could not be read, nil if it could; Facts are empty then
	Root      Root
	RootState Reason // "", ROOT_MISSING or ROOT_EXPIRED as the collector found it
	Policy    Policy
	Pin       *Pin      // what is remembered of the component's publisher; nil on first sight
	Override  *Override // an override for the component that is still usable
	Denied    []Digest  // local deny list
	Sticky    []Mark    // withdrawals seen earlier about the subject's digests
	Now       time.Time // trusted time
	ClockBad  bool      // no usable clock
}

// Policy is the owner's and vendor's policy (TRUST.md §7).
type Policy struct {
	Warn  time.Duration     // ledger age that warns, 0 = the root's, else 48 h
	Max   time.Duration     // ledger age that defers, 0 = the root's, else 14 d
	Map   map[string]string // component -> publisher ID, as the repository or owner mapped it
	House string            // publisher ID of the house key, "" = none
}

// Pin is what the appliance remembers of a component.
type Pin struct {
	Component string   `json:"component"`
	Publisher string   `json:"publisher"`      // "" when only the floor is known
	Floor     Position `json:"floor,omitzero"` // first TRUSTED position of the newest image that proved healthy
	Ledger    string   `json:"ledger,omitempty"`
}

// Override is a logged, one-shot, expiring, digest-bound permission (TRUST.md §7).
type Override struct {
	ID        string    `json:"id"`
	Component string    `json:"component"`
	Digest    Digest    `json:"digest"` // any digest of the subject; manifest digest as made by the CLI
	Reasons   []Reason  `json:"reasons"`
	Why       string    `json:"why"`
	By        string    `json:"by"`
	Confirmed bool      `json:"confirmed"` // the component's name was typed again
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires"`
	UsedBy    string    `json:"usedBy,omitempty"` // change ID that consumed it
}
