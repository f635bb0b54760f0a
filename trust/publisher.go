package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"
)

// Limits of publisher and root documents.
const (
	maxKeys     = 64
	maxRevoked  = 1000
	maxPatterns = 256
)

// Reasons of a [Revocation].
const (
	Superseded  = "superseded"  // the key was replaced in good order
	Compromised = "compromised" // somebody else may have it
)

type wirePublisher struct {
	ID        string           `json:"id"`
	Ledger    string           `json:"ledger"`
	Version   int64            `json:"version"`
	Prev      string           `json:"prev,omitzero"`
	Threshold int64            `json:"threshold"`
	Root      string           `json:"root"`
	Keys      []wireKey        `json:"keys"`
	Revoked   []wireRevocation `json:"revoked,omitempty"`
	Names     []string         `json:"names,omitempty"`
	Label     string           `json:"label,omitzero"`
	Contact   string           `json:"contact,omitzero"`
}

type wireKey struct {
	KeyID string `json:"kid"`
	Pub   string `json:"pub"`
	Note  string `json:"note,omitzero"`
}

type wireRevocation struct {
	KeyID  string `json:"kid"`
	Reason string `json:"reason"`
	Cutoff int64  `json:"cutoff"`
}

// idEncoding is RFC 4648 base32 in lower case, without padding.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// idLength is how much of the base32 digest an ID keeps: 100 bits.
const idLength = 20

// PublisherID is the self-certifying ID of the publisher whose first root key is root: "p-" and the first 20
// characters of base32(sha256(root)), lower case.
func PublisherID(root ed25519.PublicKey) string {
	sum := sha256.Sum256(root)
	return "p-" + idEncoding.EncodeToString(sum[:])[:idLength]
}

func isPublisherID(s string) bool {
	rest, ok := strings.CutPrefix(s, "p-")
	return ok && len(rest) == idLength && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// ParsePublisher reads the payload of a publisher document: an in-toto Statement v1 with [PublisherPredicate] whose
// only subject is the root key, within all limits of [Publisher.Check]. Whether it continues a chain is
// [VerifyChain]'s question.
func ParsePublisher(payload []byte) (Publisher, error) {
	p, err := parsePublisher(payload)
	if err != nil {
		return Publisher{}, fmt.Errorf("cannot read publisher document: %w", err)
	}
	return p, nil
}

func parsePublisher(payload []byte) (Publisher, error) {
	s, err := decodeStatement[wirePublisher](payload, PublisherPredicate)
	if err != nil {
		return Publisher{}, err
	}
	w := s.Predicate
	if err := checkNumber("version", w.Version, 1, maxOrdinal); err != nil {
		return Publisher{}, err
	}
	if err := checkNumber("threshold", w.Threshold, 1, maxOrdinal); err != nil {
		return Publisher{}, err
	}
	p := Publisher{
		ID: w.ID, Ledger: w.Ledger, Version: int(w.Version), Prev: Digest(w.Prev), Threshold: int(w.Threshold),
		Names: nonEmpty(w.Names), Label: w.Label, Contact: w.Contact,
	}
	if p.Root, err = parseKey("root", w.Root); err != nil {
		return Publisher{}, err
	}
	if p.Keys, err = parseKeys(w.Keys); err != nil {
		return Publisher{}, err
	}
	for _, r := range w.Revoked {
		if err := checkNumber("revoked", r.Cutoff, 0, maxNumber); err != nil {
			return Publisher{}, err
		}
		p.Revoked = append(p.Revoked, Revocation{KeyID: r.KeyID, Reason: r.Reason, Cutoff: uint64(r.Cutoff)})
	}
	if err := p.Check(); err != nil {
		return Publisher{}, err
	}
	return p, checkKeySubjects(s.Subject, p.subjects())
}

// EncodePublisher writes the payload that [ParsePublisher] reads. The same value always gives the same bytes.
func EncodePublisher(p Publisher) ([]byte, error) {
	b, err := encodePublisher(p)
	if err != nil {
		return nil, fmt.Errorf("cannot write publisher document: %w", err)
	}
	return b, nil
}

func encodePublisher(p Publisher) ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	w := wirePublisher{
		ID: p.ID, Ledger: p.Ledger, Version: int64(p.Version), Prev: string(p.Prev), Threshold: int64(p.Threshold),
		Root: formatKey(p.Root), Keys: formatKeys(p.Keys), Names: p.Names, Label: p.Label, Contact: p.Contact,
	}
	for _, r := range p.Revoked {
		w.Revoked = append(w.Revoked, wireRevocation{KeyID: r.KeyID, Reason: r.Reason, Cutoff: int64(r.Cutoff)})
	}
	return encodeStatement(p.subjects(), PublisherPredicate, w)
}

func (p Publisher) subjects() []wireSubject { return []wireSubject{keySubject(p.ID, KeyID(p.Root))} }

// Check tells what keeps p from being a valid document by itself: the first field that is out of range, misplaced or
// malformed. The root key is neither a working key nor revoked, so that "signed by the root key" always says
// something; an earlier root key may be revoked.
func (p Publisher) Check() error {
	if !isPublisherID(p.ID) {
		return fieldError("id", "%.80q is not a publisher ID", p.ID)
	}
	if err := checkOrigin("ledger", p.Ledger); err != nil {
		return err
	}
	if err := p.checkVersion(); err != nil {
		return err
	}
	if len(p.Root) != ed25519.PublicKeySize {
		return fieldError("root", "%d bytes, an ed25519 public key has %d", len(p.Root), ed25519.PublicKeySize)
	}
	if err := checkKeys(p.Keys, p.Threshold, maxKeys); err != nil {
		return err
	}
	root := KeyID(p.Root)
	for _, k := range p.Keys {
		if k.KeyID == root {
			return fieldError("keys", "the root key %s stands among the working keys", root)
		}
	}
	if err := p.checkRevoked(root); err != nil {
		return err
	}
	if len(p.Names) > maxPatterns {
		return fieldError("names", "%d patterns, the limit is %d", len(p.Names), maxPatterns)
	}
	for _, name := range p.Names {
		if err := checkPattern("names", name); err != nil {
			return err
		}
	}
	if err := checkText("label", p.Label, maxName); err != nil {
		return err
	}
	return checkText("contact", p.Contact, maxName)
}

func (p Publisher) checkVersion() error {
	if err := checkNumber("version", int64(p.Version), 1, maxOrdinal); err != nil {
		return err
	}
	if p.Version == 1 {
		if p.Prev != "" {
			return fieldError("prev", "version 1 has none")
		}
		if want := PublisherID(p.Root); p.ID != want {
			return fieldError("id", "%q does not belong to this root key: want %q", p.ID, want)
		}
		return nil
	}
	if _, err := ParseDigest(string(p.Prev)); err != nil {
		return fieldError("prev", "%w", err)
	}
	return nil
}

func (p Publisher) checkRevoked(root string) error {
	if len(p.Revoked) > maxRevoked {
		return fieldError("revoked", "%d revocations, the limit is %d", len(p.Revoked), maxRevoked)
	}
	seen := make(map[string]bool, len(p.Revoked))
	for i, r := range p.Revoked {
		switch {
		case !isKeyID(r.KeyID):
			return fieldError("revoked", "entry %d: kid %.80q is not 64 lower-case hex digits", i, r.KeyID)
		case seen[r.KeyID]:
			return fieldError("revoked", "key %s stands there twice", r.KeyID)
		case r.KeyID == root:
			return fieldError("revoked", "key %s is the root key of this very document", r.KeyID)
		case r.Reason != Superseded && r.Reason != Compromised:
			return fieldError("revoked", "key %s: reason %.40q is not one of superseded, compromised", r.KeyID, r.Reason)
		case r.Cutoff > maxNumber:
			return fieldError("revoked", "key %s: cutoff %d is beyond %d", r.KeyID, r.Cutoff, int64(maxNumber))
		}
		seen[r.KeyID] = true
	}
	return nil
}

// checkKeys is shared by publisher and root documents.
func checkKeys(keys []PublisherKey, threshold, most int) error {
	if len(keys) == 0 || len(keys) > most {
		return fieldError("keys", "%d keys, want 1 to %d", len(keys), most)
	}
	if threshold < 1 || threshold > len(keys) || threshold > MaxSignatures {
		return fieldError("threshold", "%d of %d keys, with at most %d signatures", threshold, len(keys), MaxSignatures)
	}
	seen := make(map[string]bool, len(keys))
	for i, k := range keys {
		if len(k.Pub) != ed25519.PublicKeySize {
			return fieldError("keys", "key %d: %d bytes, an ed25519 public key has %d", i, len(k.Pub), ed25519.PublicKeySize)
		}
		if want := KeyID(k.Pub); k.KeyID != want {
			return fieldError("keys", "key %d: kid %.80q is not the one of its pub: want %s", i, k.KeyID, want)
		}
		if seen[k.KeyID] {
			return fieldError("keys", "key %s stands there twice", k.KeyID)
		}
		seen[k.KeyID] = true
		if err := checkText("keys", k.Note, maxName); err != nil {
			return err
		}
	}
	return nil
}

func parseKeys(list []wireKey) ([]PublisherKey, error) {
	var keys []PublisherKey
	for i, w := range list {
		pub, err := parseKey("keys", w.Pub)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		keys = append(keys, PublisherKey{KeyID: w.KeyID, Pub: pub, Note: w.Note})
	}
	return keys, nil
}

func formatKeys(keys []PublisherKey) []wireKey {
	var list []wireKey
	for _, k := range keys {
		list = append(list, wireKey{KeyID: k.KeyID, Pub: formatKey(k.Pub), Note: k.Note})
	}
	return list
}

func parseKey(field, s string) (ed25519.PublicKey, error) {
	b, err := stdBase64.DecodeString(s)
	if err != nil || len(b) != ed25519.PublicKeySize || formatKey(b) != s {
		return nil, fieldError(field, "%.80q is not an ed25519 public key in base64", s)
	}
	return b, nil
}

func formatKey(pub ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(pub) }

// nonEmpty makes an empty list nil, so that a document reads back as it was written.
func nonEmpty(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}
