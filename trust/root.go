package trust

import (
	"crypto/ed25519"
	"time"
)

// Root is the decoded root document (TRUST.md §3.4): which ledgers, keys and publishers count. It follows the root
// rules of TUF: version n+1 is signed by a threshold of version n's keys and of its own.
type Root struct {
	Version    int
	Expires    time.Time
	Keys       []PublisherKey
	Threshold  int
	Ledgers    []RootLedger
	Core       []string // publisher IDs accepted for core, supervisor and channels
	Security   []string // publisher IDs whose UNTRUSTED counts for everybody
	Preload    []Preload
	Transfers  []Transfer
	Warn, Max  time.Duration // freshness, 0 = the defaults 48 h and 14 d
	ClockFloor time.Time
}

// Names tells whether s is the root's to speak of, in its own ledger and in no other: core, the supervisor, and what it
// has a publisher preloaded for.
func (r Root) Names(s Subject) bool {
	return s.Class == ClassCore || s.Class == ClassSupervisor || len(preloaded(r, s.Repository)) > 0
}

// RootLedger is one ledger of the root.
type RootLedger struct {
	Origin   string
	NoteKeys []string // verifier keys as golang.org/x/mod/sumdb/note writes them
	URLs     []string // mirrors, in no order
	Minimum  Anchor   // history known when the root was signed; the first sync must contain it
	Resume   *Anchor  // where the line continues after a declared break
}

// Anchor is a (count, alh) pair of a ledger.
type Anchor struct {
	Count uint64 `json:"count"`
	Alh   Digest `json:"alh"`
}

// Preload maps repository names to the publisher that must have signed them.
type Preload struct {
	Name      string // pattern, "*" stays within a path segment
	Publisher string
}

// Transfer gives a publisher whose root key was lost or stolen a new root key.
type Transfer struct {
	Publisher string
	Root      ed25519.PublicKey
	Version   int // first document version the new key may sign
}
