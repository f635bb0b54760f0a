package server

import (
	"fmt"
	"slices"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
)

// catchUp replays what the store has beyond the gate's head. It is the only way anything enters the gate's memory:
// at the start and after each append alike.
func (g *gate) catchUp(store Store) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	head, err := store.Head()
	if err != nil {
		return err
	}
	for g.head.Count < head.Count {
		exported, err := store.Export(g.head.Count + 1)
		if err != nil {
			return err
		}
		tx, err := ledger.CheckTransaction(g.head, exported)
		if err != nil {
			return fmt.Errorf("the ledger store is damaged: %w", err)
		}
		for i, e := range tx.Entries {
			if !g.take(e, trust.Position{Tx: tx.ID, Entry: uint32(i)}, tx.Time) {
				g.ignored++
			}
		}
		g.head = ledger.Point{Count: tx.ID, Alh: tx.Alh}
	}
	return nil
}

// take remembers one entry of the ledger; false = it changes nothing for appliances.
func (g *gate) take(e ledger.Entry, pos trust.Position, at time.Time) bool {
	if e.Metadata || len(e.Key) < 2 || e.Key[0] != keyPrefix || len(e.Value) < 2 || e.Value[0] != valuePrefix {
		return false
	}
	value := slices.Clone(e.Value[1:])
	rec, err := trust.ParseRecord(value)
	if err != nil || rec.Ledger() != g.origin {
		return false
	}
	key, err := rec.Key()
	if err != nil || key != string(e.Key[1:]) {
		return false
	}
	// A key can be foretold, and forged by another writer of the database: what its publisher did not sign is as if it
	// were not there.
	if rec.Publisher != nil {
		if !g.takeDocument(*rec.Publisher, rec.Envelope, pos) {
			return false
		}
	} else if !g.takeNotarization(rec, key, value, pos) {
		return false
	}
	g.spend(publisherOf(rec), int64(len(value)), at)
	return true
}

// takeDocument remembers a publisher document, also one that does not hold: under a later root document it may.
func (g *gate) takeDocument(p trust.Publisher, e trust.Envelope, pos trust.Position) bool {
	root, _ := g.root()
	chain := g.chain(p.ID, root)
	doc := trust.PlacedPublisher{Pos: pos, Envelope: e, Publisher: p}
	g.docs[p.ID] = append(g.docs[p.ID], doc)
	longer, err := trust.ExtendChain(chain, doc, root.Transfers)
	if err != nil {
		return false
	}
	g.chains[p.ID] = longer
	return true
}

func (g *gate) takeNotarization(rec trust.Record, key string, value []byte, pos trust.Position) bool {
	if _, known := g.keys[key]; known {
		return false
	}
	n := rec.Notarization
	root, _ := g.root()
	if _, err := trust.VerifyNotarization(g.chain(n.Publisher, root), trust.PlacedNotarization{Pos: pos, Envelope: rec.Envelope, Notarization: *n}); err != nil {
		return false
	}
	g.keys[key] = placed{trust.DigestOf(value), pos}
	if n.Kind == trust.KindChannel && n.Status == trust.Trusted {
		for _, s := range n.Subjects {
			if !slices.Contains(g.files[s.Digest], n.Publisher) {
				g.files[s.Digest] = append(g.files[s.Digest], n.Publisher)
			}
		}
	}
	return true
}

// place is where the ledger has a record under c's key that its publisher signed.
func (g *gate) place(c candidate) (placed, bool) {
	if c.rec.Publisher == nil {
		was, known := g.keys[c.key]
		return was, known
	}
	root, _ := g.root()
	for _, d := range g.chain(c.rec.Publisher.ID, root) {
		if d.Publisher.Version != c.rec.Publisher.Version {
			continue
		}
		value, err := d.Envelope.Marshal()
		return placed{trust.DigestOf(value), d.Pos}, err == nil
	}
	return placed{}, false
}

// chain is the verified chain of a publisher. One that breaks somewhere is used up to there, as appliances do. It is
// kept, since verifying it costs a signature for each document, and anybody may ask for that with each record he sends.
func (g *gate) chain(id string, root trust.Root) []trust.PlacedPublisher {
	if g.chained != root.Version { // its transfers may change every chain
		clear(g.chains)
		g.chained = root.Version
	}
	chain, ok := g.chains[id]
	if !ok {
		chain, _ = trust.VerifyChain(g.docs[id], root.Transfers)
		g.chains[id] = chain
	}
	return chain
}
