package api

import (
	"context"
	"time"
)

// Sight is what an owner sees of trust. All of it is read on the appliance but for [Sight.JudgeAll], which syncs.
type Sight interface {
	// Overrides are those that wait to be used, and those that a service runs by, by service.
	Overrides(ctx context.Context) ([]OverrideState, error)
	// EndOverride takes back one that waits.
	EndOverride(ctx context.Context, id, by string) error
	// Ledgers are the root's, and then those of repositories by origin.
	Ledgers(ctx context.Context) ([]LedgerView, error)
	// Publishers are those whose word counts for something here, and what was withdrawn of what is installed.
	Publishers(ctx context.Context) (PublisherList, error)
	// Judged is the newest judgement of each installed image.
	Judged(ctx context.Context) (Judgement, error)
	// JudgeAll syncs as long as an owner waits, and judges each installed image anew.
	JudgeAll(ctx context.Context) (Judgement, error)
}

// ReasonWords is a reason code with what it means.
type ReasonWords struct {
	Code   string `json:"code"`
	Words  string `json:"words"`
	Detail string `json:"detail,omitempty"` // what was expected and what was found
}

// OverrideState is an override and what has become of it. Its Seq is 0 where the record is not near the log's end.
type OverrideState struct {
	Override
	State   string        `json:"state"` // waiting, or running: the service runs what it let in
	Slug    string        `json:"slug,omitempty"`
	Image   string        `json:"image,omitempty"` // repository, where it is known
	Passes  []ReasonWords `json:"passes"`          // what it passes over; the codes are Reasons
	Why     string        `json:"why,omitempty"`
	By      string        `json:"by,omitempty"`
	Since   time.Time     `json:"since"`            // when it was allowed, or the image was let in where that is forgotten
	Until   time.Time     `json:"until,omitzero"`   // it ends then unless it is used; of one that waits
	Ends    string        `json:"ends"`             // what ends it, in words
	Change  string        `json:"change,omitempty"` // that used it
	Verdict uint64        `json:"verdict,omitempty"`
}

// OverrideList is the answer of /castellan/trust/overrides: what waits, then what runs.
type OverrideList struct {
	Overrides []OverrideState `json:"overrides"`
}

// EndOverrideRequest takes back an override that waits.
type EndOverrideRequest struct {
	ID string `json:"id"`
}

// LedgerView is a ledger as an owner sees it. Its head is what its newest checkpoint signs: Count and Head.
type LedgerView struct {
	LedgerStatus
	Role        string         `json:"role"`        // root, repository
	Fingerprint string         `json:"fingerprint"` // of origin and keys, as it is compared when a repository is added
	Keys        []LedgerKey    `json:"keys"`
	Head        string         `json:"head"`                 // hash of the last transaction, and so of all
	Age         int64          `json:"age"`                  // seconds since Time by the trusted clock, -1 when there is no checkpoint
	Stale       bool           `json:"stale"`                // older than it should be: State is stale or expired
	Warn        int64          `json:"warn"`                 // seconds after which it is stale
	Most        int64          `json:"max"`                  // and nothing new comes in
	Agreement   string         `json:"agreement"`            // agreed, forked, unheard
	Agreeing    int            `json:"agreeing"`             // mirrors that gave our history, or an older part of it, at the last sync
	Quarantine  string         `json:"quarantine,omitempty"` // how it told two stories, and where the proof is
	Asked       time.Time      `json:"asked,omitzero"`       // end of the last sync since the start
	Mirrors     []LedgerMirror `json:"mirrors"`
	Records     LedgerRecords  `json:"records"`
}

// LedgerKey is a key that may sign a ledger's checkpoints.
type LedgerKey struct {
	Name        string `json:"name"`
	Hash        string `json:"hash"`        // as signed notes name it
	Fingerprint string `json:"fingerprint"` // SHA-256 of the verifier key
}

// LedgerMirror is a place a ledger is read from, as it was at the last sync.
type LedgerMirror struct {
	URL   string    `json:"url"`
	State string    `json:"state"`           // agrees, stale: what it has is older, failed, unasked
	Count uint64    `json:"count"`           // of its checkpoint, 0 when it gave none
	Time  time.Time `json:"time,omitzero"`   // likewise
	Error string    `json:"error,omitempty"` // why it was of no use
}

// LedgerRecords counts what a ledger holds.
type LedgerRecords struct {
	Transactions  uint64 `json:"transactions"`
	Notarizations uint64 `json:"notarizations"`
	Withdrawals   uint64 `json:"withdrawals"` // notarizations that say UNTRUSTED, by whomever and about whatever
	Publishers    uint64 `json:"publishers"`  // publisher documents, all versions
	Remembered    int    `json:"remembered"`  // withdrawals seen here that count, which this appliance never forgets
}

// LedgerList is the answer of /castellan/trust/ledgers.
type LedgerList struct {
	Ledgers []LedgerView `json:"ledgers"`
}

// PublisherView is one whose word counts here. Label, contact and names are its own words.
type PublisherView struct {
	ID        string             `json:"id"`
	Roles     []string           `json:"roles"` // core, security, house, pinned, named: by the root, the configuration or a repository
	Ledgers   []string           `json:"ledgers"`
	Label     string             `json:"label,omitempty"`
	Contact   string             `json:"contact,omitempty"`
	Names     []string           `json:"names"`     // what it restricts itself to; none = nothing
	Version   int                `json:"version"`   // of its newest document, 0 = the ledger knows it not
	Keys      int                `json:"keys"`      // working keys
	Threshold int                `json:"threshold"` // of them, that must sign
	Revoked   []RevokedKey       `json:"revoked"`
	Services  []PublisherService `json:"services"`
	Last      *PublisherWord     `json:"last,omitempty"` // newest word about an image this house runs or ran last
	Withdrawn []PublisherWord    `json:"withdrawn"`      // about such images, newest first, at most 50
}

// RevokedKey is a working key that is good no more.
type RevokedKey struct {
	Key    string `json:"key"`
	Reason string `json:"reason"` // superseded, compromised
	Cutoff uint64 `json:"cutoff"` // last transaction it is good for
}

// PublisherService is a service that a publisher's word counts for.
type PublisherService struct {
	Service   string `json:"service"`
	Slug      string `json:"slug,omitempty"`
	Installed bool   `json:"installed"`
	Pinned    bool   `json:"pinned"` // it takes no other publisher's word
	Floor     uint64 `json:"floor,omitempty"`
	Ledger    string `json:"ledger,omitempty"`
}

// PublisherWord is a notarization.
type PublisherWord struct {
	Status   string    `json:"status"`
	Image    string    `json:"image"` // repository
	Version  string    `json:"version,omitempty"`
	Digest   string    `json:"digest,omitempty"` // manifest or index
	Severity string    `json:"severity,omitempty"`
	Reason   string    `json:"reason,omitempty"` // the publisher's words
	Time     time.Time `json:"time"`             // the publisher's
	Ledger   string    `json:"ledger"`
	Tx       uint64    `json:"tx"` // 0 = of the house key
}

// Revocation is why an image that is installed, or was refused in the last 30 days, is not to run.
type Revocation struct {
	Service    string    `json:"service"`
	Slug       string    `json:"slug,omitempty"`
	Where      string    `json:"where"` // current, previous, refused
	Version    string    `json:"version"`
	Image      string    `json:"image"`
	Digest     string    `json:"digest"`
	Code       string    `json:"code"` // REVOKED, KEY_REVOKED, LOCALLY_DENIED
	Words      string    `json:"words"`
	Next       string    `json:"next"`
	Publisher  string    `json:"publisher,omitempty"` // who withdrew it
	Severity   string    `json:"severity,omitempty"`
	Reason     string    `json:"reason,omitempty"` // the publisher's words
	Time       time.Time `json:"time,omitzero"`    // the publisher's; of a refused one whose record is gone, the refusal's
	Ledger     string    `json:"ledger,omitempty"`
	Tx         uint64    `json:"tx,omitempty"`
	ByRoot     bool      `json:"by_root"`    // by the publisher's root key or security: it may stop what runs
	Remembered bool      `json:"remembered"` // the ledger does not say so any more; the appliance has seen it
	Forced     bool      `json:"forced"`     // its owner let it in all the same
}

// PublisherList is the answer of /castellan/trust/publishers.
type PublisherList struct {
	Publishers  []PublisherView `json:"publishers"`  // those of core first, then by ID
	Revocations []Revocation    `json:"revocations"` // installed ones first
	Error       string          `json:"error,omitempty"`
}

// Judgement is what became of judging all installed images.
type Judgement struct {
	Judged    time.Time     `json:"judged,omitzero"` // of the image that was judged longest ago; zero = one was not since the start
	Installed int           `json:"installed"`       // images that services run
	Verified  int           `json:"verified"`        // of them, that somebody vouches for who may
	Bad       int           `json:"bad"`             // of them, that are refused now and were not forced
	Images    []JudgedImage `json:"images"`
	Error     string        `json:"error,omitempty"` // what could not be looked at: a ledger, or an image
}

// JudgedImage is an image that a service runs, as it was judged last.
type JudgedImage struct {
	Service   string        `json:"service"`
	Slug      string        `json:"slug,omitempty"`
	Class     string        `json:"class"`
	Version   string        `json:"version"`
	Image     string        `json:"image"`  // repository
	Digest    string        `json:"digest"` // manifest
	Badge     string        `json:"badge"`  // as in the status
	Publisher string        `json:"publisher,omitempty"`
	Outcome   string        `json:"outcome,omitempty"` // "" = not judged since the start
	Status    string        `json:"status,omitempty"`  // in CAS's words
	Reasons   []ReasonWords `json:"reasons"`
	Severity  string        `json:"severity,omitempty"` // of a withdrawal
	Judged    time.Time     `json:"judged,omitzero"`
	Verdict   uint64        `json:"verdict,omitempty"` // record that let it in
	Changed   bool          `json:"changed"`           // the answer is another than the one before
}
