package house

import (
	"slices"

	"github.com/castellan/castellan/trust"
)

// With is ev with the words of the house key for its ledger. What the ledger itself holds under the house key's ID is left
// out: the house speaks through its file only.
func With(ev trust.Evidence, s *Store) trust.Evidence { return evidence{ev, s} }

type evidence struct {
	ledger trust.Evidence
	s      *Store
}

var _ trust.Focused = evidence{}

// Head is the ledger's.
func (e evidence) Head() (trust.Head, error) { return e.ledger.Head() }

// For is [trust.Focused]; the house's own words are always complete.
func (e evidence) For(publishers []string) trust.Evidence {
	if f, ok := e.ledger.(trust.Focused); ok {
		return evidence{f.For(publishers), e.s}
	}
	return e
}

// ByDigest implements trust.Evidence.
func (e evidence) ByDigest(d trust.Digest) ([]trust.PlacedNotarization, error) {
	found, err := e.ledger.ByDigest(d)
	return e.join(found, err, func(n *trust.Notarization) bool { return about(n, d) })
}

// ByName implements trust.Evidence.
func (e evidence) ByName(kind, name, version string) ([]trust.PlacedNotarization, error) {
	found, err := e.ledger.ByName(kind, name, version)
	return e.join(found, err, func(n *trust.Notarization) bool {
		return n.Kind == kind && n.Name == name && (version == "" || n.Version == version)
	})
}

func (e evidence) join(found []trust.PlacedNotarization, err error, match func(*trust.Notarization) bool) ([]trust.PlacedNotarization, error) {
	if err != nil {
		return nil, err
	}
	head, err := e.ledger.Head()
	if err != nil {
		return nil, err
	}
	own := e.s.words(head.Origin, match)
	for i := range found {
		if found[i].Notarization.Publisher != e.s.id {
			own = append(own, found[i])
		}
	}
	return own, nil
}

// PublisherChain implements trust.Evidence.
func (e evidence) PublisherChain(id string) ([]trust.PlacedPublisher, error) {
	if id != e.s.id {
		return e.ledger.PublisherChain(id)
	}
	head, err := e.ledger.Head()
	if err != nil {
		return nil, err
	}
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	chain, _ := e.s.chain(head.Origin) // an empty one says that nothing was accepted in this ledger yet
	return slices.Clone(chain), nil
}
