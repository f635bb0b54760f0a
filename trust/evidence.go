package trust

import "time"

// Position is a place in a ledger. Transactions count from 1, entries of a transaction from 0.
type Position struct {
	Tx    uint64 `json:"tx"`
	Entry uint32 `json:"entry"`
}

// Before tells whether p stands before q in the same ledger.
func (p Position) Before(q Position) bool {
	return p.Tx < q.Tx || p.Tx == q.Tx && p.Entry < q.Entry
}

// PlacedNotarization is a notarization found in a ledger. Its envelope's signatures have been compared with the
// key set of the publisher's documents by the Judge only; Envelope is what was stored.
type PlacedNotarization struct {
	Pos          Position     `json:"pos"`
	Envelope     Envelope     `json:"envelope"`
	Notarization Notarization `json:"-"` // decoded from Envelope.Payload
}

// PlacedPublisher is one version of a publisher document found in a ledger, in chain order.
type PlacedPublisher struct {
	Pos       Position  `json:"pos"`
	Envelope  Envelope  `json:"envelope"`
	Publisher Publisher `json:"-"` // decoded from Envelope.Payload
}

// Head is the state of the replica a verdict rests on.
type Head struct {
	Origin      string    `json:"origin"`
	Count       uint64    `json:"count"`                 // transactions replayed and verified
	Alh         Digest    `json:"alh"`                   // accumulative hash of transaction Count
	Time        time.Time `json:"time"`                  // newest `time` of a valid checkpoint with our history
	RootVersion int       `json:"rootVersion"`           // root version that checkpoint names
	Quarantined string    `json:"quarantined,omitempty"` // why, with the path of the evidence file; empty when in order
}

// Evidence is a verified replica of one ledger. Every answer is complete up to Head: what is not in it is not in
// the ledger. Implementations read only the local disk, are safe for concurrent use, and return an error only when
// that disk fails; the caller then defers. Answers may hold candidates that do not match (the index is a hash):
// Collect filters.
type Evidence interface {
	Head() (Head, error)
	ByDigest(Digest) ([]PlacedNotarization, error)
	ByName(kind, name, version string) ([]PlacedNotarization, error) // version "" = any version
	PublisherChain(id string) ([]PlacedPublisher, error)             // verified chain, version 1 first
}

// Focused is an [Evidence] that may hold a great many records by people nobody asked about, and can leave most of them
// out while it looks. The records of publishers that are asked for are complete, but for such as they did not sign.
type Focused interface {
	Evidence
	For(publishers []string) Evidence
}

// Facts is everything the Judge may know about a subject, copied out of the replica. It is plain data: it can be
// kept beside a verdict and judged again years later.
type Facts struct {
	Head       Head                         `json:"head"`
	Records    []PlacedNotarization         `json:"records"`            // every record about one of the subject's digests
	Named      []PlacedNotarization         `json:"named"`              // every image record with the subject's repository and version
	Channel    []PlacedNotarization         `json:"channel"`            // records about the channel file the release came from, by digest and name
	Oldest     []PlacedNotarization         `json:"oldest,omitempty"`   // image records of the version the channel lets owners go back to
	Publishers map[string][]PlacedPublisher `json:"publishers"`         // chains of all publishers above and of the root's
	LeftOut    int                          `json:"leftOut,omitempty"`  // records about the digests that were too many to copy and count for nothing
	Security   *Facts                       `json:"security,omitempty"` // of the root's ledger, when these are of another: see CollectSecurity
}
