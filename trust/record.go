package trust

import (
	"crypto/ed25519"
	"fmt"
)

// Envelope is a DSSE v1 envelope. Payload is the decoded payload, not its base64.
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"`
	Signatures  []Signature `json:"signatures"`
}

// Signature is one DSSE signature; KeyID is [KeyID] of the ed25519 public key.
type Signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// DSSE payload types, one per kind of record, so that no signature can be read as another kind.
const (
	PublisherType    = "application/vnd.castellan.publisher.v1+json"
	NotarizationType = "application/vnd.castellan.notarization.v1+json"
	RootType         = "application/vnd.castellan.root.v1+json"
)

// Limits on records (TRUST.md §3).
const (
	MaxRecordBytes = 1 << 20
	MaxSubjects    = 4000
	MaxSignatures  = 8
)

// Record is one record of a ledger, decoded. Exactly one of Notarization and Publisher is set. No signature has been
// checked: [VerifyNotarization] and [VerifyChain] do that.
type Record struct {
	Envelope     Envelope
	Notarization *Notarization
	Publisher    *Publisher
}

// ParseRecord reads the DSSE bytes of a record, without the prefix that immudb stores before a value. It refuses
// what is neither a notarization nor a publisher document and whatever its payload type does not announce.
func ParseRecord(value []byte) (Record, error) {
	e, err := ParseEnvelope(value)
	if err != nil {
		return Record{}, err
	}
	r := Record{Envelope: e}
	switch e.PayloadType {
	case NotarizationType:
		n, err := ParseNotarization(e.Payload)
		if err != nil {
			return Record{}, err
		}
		r.Notarization = &n
	case PublisherType:
		p, err := ParsePublisher(e.Payload)
		if err != nil {
			return Record{}, err
		}
		r.Publisher = &p
	default:
		return Record{}, fmt.Errorf("cannot read record: payloadType %.80q is neither %q nor %q",
			e.PayloadType, NotarizationType, PublisherType)
	}
	return r, nil
}

// Key is the key a ledger keeps r under: "n/<publisher>/<uid>" or "p/<publisher>/<version, 10 digits>".
func (r Record) Key() (string, error) {
	switch {
	case r.Notarization != nil:
		return fmt.Sprintf("n/%s/%d", r.Notarization.Publisher, r.Notarization.UID), nil
	case r.Publisher != nil:
		return fmt.Sprintf("p/%s/%010d", r.Publisher.ID, r.Publisher.Version), nil
	}
	return "", fmt.Errorf("cannot name record: it is empty")
}

// Ledger is the origin of the only ledger r counts in, "" for the empty record.
func (r Record) Ledger() string {
	switch {
	case r.Notarization != nil:
		return r.Notarization.Ledger
	case r.Publisher != nil:
		return r.Publisher.Ledger
	}
	return ""
}

// Severity says what a withdrawal asks of appliances that run the image.
type Severity string

// Severities, weakest first (TRUST.md §7).
const (
	SeverityNotify Severity = "notify"
	SeverityUpdate Severity = "update"
	SeverityStop   Severity = "stop"
)

// Kinds of notarization.
const (
	KindImage      = "image"
	KindChannel    = "channel"
	KindFile       = "file"
	KindDir        = "dir"
	KindGit        = "git"
	KindPackage    = "package"
	KindSupervisor = "supervisor"
)

// RecordSubject is one in-toto subject of a notarization.
type RecordSubject struct {
	Name     string // repository, file name or purl
	Digest   Digest // sha256 for everything but KindPackage
	Role     string // "index", "manifest", "config", or "" for what is not an image
	Platform string // OCI platform string, "" for an index
}

// Notarization is the decoded payload of a notarization record (TRUST.md §3.2).
type Notarization struct {
	UID       uint64 // unix nanoseconds, chosen and signed by the publisher
	Ledger    string // origin of the only ledger it counts in
	Publisher string // publisher ID
	Doc       int    // version of the publisher document its keys come from
	Kind      string
	Name      string
	Version   string
	Size      int64 // bytes, 0 = unknown
	Status    Status
	Severity  Severity // UNTRUSTED and UNSUPPORTED only
	Reason    string   // for people, UNTRUSTED and UNSUPPORTED only
	SignedAt  int64    // unix seconds, the publisher's claim
	Subjects  []RecordSubject
	SBOM      []SBOMRef
	Metadata  map[string]string
}

// SBOMRef names a bill of materials that travels with the image.
type SBOMRef struct {
	MediaType string
	Digest    Digest
	Size      int64
}

// Publisher is the decoded payload of a publisher document (TRUST.md §3.1).
type Publisher struct {
	ID        string
	Ledger    string
	Version   int
	Prev      Digest // digest of version-1's payload, "" for version 1
	Threshold int
	Root      ed25519.PublicKey
	Keys      []PublisherKey
	Revoked   []Revocation
	Names     []string // patterns of canonical repository names; empty restricts nothing
	Label     string
	Contact   string
}

// PublisherKey is a working key.
type PublisherKey struct {
	KeyID string
	Pub   ed25519.PublicKey
	Note  string
}

// Revocation withdraws a working key; records up to and including Cutoff stay good.
type Revocation struct {
	KeyID  string
	Reason string // "superseded" or "compromised"
	Cutoff uint64 // transaction ID, 0 = no record of the key is good
}
