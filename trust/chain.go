package trust

import (
	"crypto/ed25519"
	"fmt"
	"slices"
)

// VerifyChain puts the documents of one publisher, as found in one ledger, into chain order and returns the longest
// chain that holds, with the reason the rest was ignored. Documents may come in any order; those that do not hold
// change nothing for those before them. An empty chain with an error means that the publisher is not known.
//
// Rules (TRUST.md §3.1): version 1 names itself after its root key and is signed by it; version n+1 names version n's
// payload in prev, is signed by version n's root key and by its own if that differs, stands behind version n in the
// same ledger, keeps every revocation and raises no cut-off.
//
// A [Transfer] at version t replaces the old root key's signature by the new root key's, and prev may name any
// earlier document that holds: versions between that one and t are void, which is how an owner undoes what a thief
// of his root key has published.
func VerifyChain(docs []PlacedPublisher, transfers []Transfer) ([]PlacedPublisher, error) {
	ordered := slices.Clone(docs)
	slices.SortStableFunc(ordered, func(a, b PlacedPublisher) int {
		if a.Publisher.Version != b.Publisher.Version {
			return a.Publisher.Version - b.Publisher.Version
		}
		return a.Pos.compare(b.Pos)
	})
	var chain []PlacedPublisher
	var ignored error
	for _, doc := range ordered {
		next, err := extendChain(chain, doc, transfers)
		if err != nil {
			if ignored == nil {
				ignored = fmt.Errorf("cannot follow publisher %s to version %d: %w", doc.Publisher.ID, doc.Publisher.Version, err)
			}
			continue
		}
		chain = next
	}
	return chain, ignored
}

// ExtendChain is a verified chain, which may be empty, with next at its end, or the rule of [VerifyChain] that next
// breaks. A transfer voids what it replaces. Documents given one by one in the order of their ledger lead to the chain
// VerifyChain finds: a version stands behind the one it continues.
func ExtendChain(chain []PlacedPublisher, next PlacedPublisher, transfers []Transfer) ([]PlacedPublisher, error) {
	longer, err := extendChain(chain, next, transfers)
	if err != nil {
		return nil, fmt.Errorf("cannot follow publisher %s to version %d: %w", next.Publisher.ID, next.Publisher.Version, err)
	}
	return longer, nil
}

// extendChain returns the chain with next at its end; at a transfer, without the versions that it voids.
func extendChain(chain []PlacedPublisher, next PlacedPublisher, transfers []Transfer) ([]PlacedPublisher, error) {
	p := next.Publisher
	if next.Envelope.PayloadType != PublisherType {
		return nil, fieldError("payloadType", "%.80q, want %q", next.Envelope.PayloadType, PublisherType)
	}
	if !next.Envelope.signedBy(p.Root) {
		return nil, fmt.Errorf("not signed by its root key %s", KeyID(p.Root))
	}
	if len(chain) == 0 {
		if p.Version != 1 {
			return nil, fmt.Errorf("version 1 is missing")
		}
		if want := PublisherID(p.Root); p.ID != want || p.Prev != "" {
			return nil, fieldError("id", "%q does not belong to its root key: want %q", p.ID, want)
		}
		return []PlacedPublisher{next}, nil
	}
	stem, err := stemOf(chain, p, transfers)
	if err != nil {
		return nil, err
	}
	last := stem[len(stem)-1]
	if err := checkSuccession(last, next); err != nil {
		return nil, err
	}
	if !transferred(p, transfers) && !next.Envelope.signedBy(last.Publisher.Root) {
		return nil, fmt.Errorf("not signed by root key %s of version %d", KeyID(last.Publisher.Root), last.Publisher.Version)
	}
	return append(slices.Clip(stem), next), nil
}

// stemOf finds the part of chain that p continues.
func stemOf(chain []PlacedPublisher, p Publisher, transfers []Transfer) ([]PlacedPublisher, error) {
	last := chain[len(chain)-1].Publisher
	if p.Version <= last.Version {
		return nil, fmt.Errorf("version %d is known already", p.Version)
	}
	if t, ok := transferAt(p, transfers); ok {
		if !t.Root.Equal(p.Root) {
			return nil, fieldError("root", "%s, the root document transfers the publisher to %s at version %d", KeyID(p.Root), KeyID(t.Root), t.Version)
		}
		for i := len(chain) - 1; i >= 0; i-- {
			if DigestOf(chain[i].Envelope.Payload) == p.Prev {
				return chain[:i+1], nil
			}
		}
		return nil, fieldError("prev", "%s is none of the versions that hold", p.Prev.Short())
	}
	if p.Version != last.Version+1 {
		return nil, fmt.Errorf("version %d is missing", last.Version+1)
	}
	if want := DigestOf(chain[len(chain)-1].Envelope.Payload); p.Prev != want {
		return nil, fieldError("prev", "%s, version %d is %s", p.Prev.Short(), last.Version, want.Short())
	}
	return chain, nil
}

// checkSuccession holds what every successor must keep, whoever signed it.
func checkSuccession(last, next PlacedPublisher) error {
	old, p := last.Publisher, next.Publisher
	if p.ID != old.ID {
		return fieldError("id", "%q, the chain is %q's", p.ID, old.ID)
	}
	if p.Ledger != old.Ledger {
		return fieldError("ledger", "%q, the chain is in %q", p.Ledger, old.Ledger)
	}
	if !last.Pos.Before(next.Pos) {
		return fmt.Errorf("stands at %d/%d, before version %d at %d/%d", next.Pos.Tx, next.Pos.Entry, old.Version, last.Pos.Tx, last.Pos.Entry)
	}
	for _, r := range old.Revoked {
		now, ok := p.revocation(r.KeyID)
		if !ok {
			return fieldError("revoked", "key %s was revoked in version %d and is no more", r.KeyID, old.Version)
		}
		if now.Cutoff > r.Cutoff {
			return fieldError("revoked", "cut-off of key %s rises from %d to %d", r.KeyID, r.Cutoff, now.Cutoff)
		}
	}
	return nil
}

func (p Publisher) revocation(keyID string) (Revocation, bool) {
	for _, r := range p.Revoked {
		if r.KeyID == keyID {
			return r, true
		}
	}
	return Revocation{}, false
}

func transferAt(p Publisher, transfers []Transfer) (Transfer, bool) {
	for _, t := range transfers {
		if t.Publisher == p.ID && t.Version == p.Version {
			return t, true
		}
	}
	return Transfer{}, false
}

func transferred(p Publisher, transfers []Transfer) bool {
	_, ok := transferAt(p, transfers)
	return ok
}

func (p Position) compare(q Position) int {
	switch {
	case p.Before(q):
		return -1
	case q.Before(p):
		return 1
	}
	return 0
}

// publisherAt is the newest document of chain before pos.
func publisherAt(chain []PlacedPublisher, pos Position) (Publisher, bool) {
	for i := len(chain) - 1; i >= 0; i-- {
		if chain[i].Pos.Before(pos) {
			return chain[i].Publisher, true
		}
	}
	return Publisher{}, false
}

// revokedAt tells whether the newest document of chain overall revokes a key for pos. A key revoked in an earlier
// version cannot have come back: [VerifyChain] sees to that.
func revokedAt(chain []PlacedPublisher, keyID string, pos Position) bool {
	if len(chain) == 0 {
		return false
	}
	r, ok := chain[len(chain)-1].Publisher.revocation(keyID)
	return ok && pos.Tx > r.Cutoff
}

// KeysAt is the working keys, by key ID, that a verified chain names for position pos: those of its newest document
// before pos, less those its newest document overall revokes for pos. It is nil when no document stands before pos.
func KeysAt(chain []PlacedPublisher, pos Position) map[string]ed25519.PublicKey {
	doc, ok := publisherAt(chain, pos)
	if !ok {
		return nil
	}
	keys := make(map[string]ed25519.PublicKey, len(doc.Keys))
	for _, k := range doc.Keys {
		if !revokedAt(chain, k.KeyID, pos) {
			keys[k.KeyID] = k.Pub
		}
	}
	return keys
}

// KeyStanding tells what a working key is worth at pos: ok when records it signed there count, revoked when they
// would but for a revocation. Both are false for a key that was never named for pos.
func KeyStanding(chain []PlacedPublisher, keyID string, pos Position) (ok, revoked bool) {
	doc, _ := publisherAt(chain, pos)
	for _, k := range doc.Keys {
		if k.KeyID == keyID {
			revoked = revokedAt(chain, keyID, pos)
			return !revoked, revoked
		}
	}
	return false, false
}
