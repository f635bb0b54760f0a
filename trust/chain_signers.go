package trust

import (
	"crypto/ed25519"
	"errors"
	"fmt"
)

// ErrSignerRevoked is what [VerifyNotarization] returns for a record that would count had the key that signed it not
// been revoked for its position.
var ErrSignerRevoked = errors.New("key revoked")

// Signers says whose signatures a notarization carries. Signatures that do not verify, and those by keys the
// publisher never named for the record's position, are left out.
type Signers struct {
	Good      []string // working keys, not revoked for the position
	Revoked   []string // working keys that are, and the root key if it is
	ByRoot    bool     // the root key of that position, not revoked for it
	Threshold int      // working-key signatures the record needs
}

// VerifyNotarization tells whether n counts as its publisher's word, given the publisher's verified chain.
//
// nil: it does: enough good working keys have signed it, or, for UNTRUSTED and UNSUPPORTED, the root key has; a root
// key alone never makes anything TRUSTED. An error that is [ErrSignerRevoked]: it did, and a revocation has ended
// that; such a record counts for nothing, not even as UNTRUSTED, but the owner is told. Any other error: it never
// did. Signers is filled in all three cases.
func VerifyNotarization(chain []PlacedPublisher, n PlacedNotarization) (Signers, error) {
	s, err := verifyNotarization(chain, n)
	if err != nil {
		return s, fmt.Errorf("cannot count record %d of publisher %s: %w", n.Notarization.UID, n.Notarization.Publisher, err)
	}
	return s, nil
}

func verifyNotarization(chain []PlacedPublisher, n PlacedNotarization) (Signers, error) {
	if n.Envelope.PayloadType != NotarizationType {
		return Signers{}, fieldError("payloadType", "%.80q, want %q", n.Envelope.PayloadType, NotarizationType)
	}
	doc, ok := publisherAt(chain, n.Pos)
	if !ok {
		return Signers{}, fmt.Errorf("no document of the publisher stands before %d/%d", n.Pos.Tx, n.Pos.Entry)
	}
	if n.Notarization.Publisher != doc.ID {
		return Signers{}, fieldError("publisher", "%q, the chain is %q's", n.Notarization.Publisher, doc.ID)
	}
	if n.Notarization.Ledger != doc.Ledger {
		return Signers{}, fieldError("ledger", "%q, the publisher is in %q", n.Notarization.Ledger, doc.Ledger)
	}
	s := signersOf(chain, doc, n)
	rootWord := n.Notarization.Status == Untrusted || n.Notarization.Status == Unsupported
	switch {
	case len(s.Good) >= s.Threshold, s.ByRoot && rootWord:
		return s, nil
	case s.wouldCount(KeyID(doc.Root), rootWord):
		return s, fmt.Errorf("signed by %s: %w", s.Revoked[0], ErrSignerRevoked)
	}
	return s, fmt.Errorf("%d of %d signatures by keys the publisher named for %d/%d", len(s.Good), s.Threshold, n.Pos.Tx, n.Pos.Entry)
}

func signersOf(chain []PlacedPublisher, doc Publisher, n PlacedNotarization) Signers {
	s := Signers{Threshold: max(doc.Threshold, 1)}
	root := KeyID(doc.Root)
	n.Envelope.eachSigner(func(id string) ed25519.PublicKey {
		if id == root {
			return doc.Root
		}
		for _, k := range doc.Keys {
			if k.KeyID == id {
				return k.Pub
			}
		}
		return nil
	}, func(id string) {
		switch {
		case revokedAt(chain, id, n.Pos):
			s.Revoked = append(s.Revoked, id)
		case id == root:
			s.ByRoot = true
		default:
			s.Good = append(s.Good, id)
		}
	})
	return s
}

// wouldCount tells whether the record would count had nothing been revoked.
func (s Signers) wouldCount(root string, rootWord bool) bool {
	working := len(s.Good)
	for _, id := range s.Revoked {
		if id != root {
			working++
		} else if rootWord {
			return true
		}
	}
	return len(s.Revoked) > 0 && working >= s.Threshold
}

// SignedByRoot tells whether n carries a signature by the publisher's root key as it was at n's position and is not
// revoked since. It is what "stop" asks for (TRUST.md §7).
func SignedByRoot(chain []PlacedPublisher, n PlacedNotarization) bool {
	doc, ok := publisherAt(chain, n.Pos)
	return ok && n.Envelope.PayloadType == NotarizationType && n.Notarization.Publisher == doc.ID &&
		!revokedAt(chain, KeyID(doc.Root), n.Pos) && n.Envelope.signedBy(doc.Root)
}
