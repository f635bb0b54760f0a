package ledger

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/castellan/castellan/trust"
)

// Head is the state the answers rest on.
func (r *Replica) Head() (trust.Head, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	h := trust.Head{
		Origin: r.head.Origin, Count: r.head.Count, Alh: r.head.Alh.Digest(), Time: r.head.Time, RootVersion: r.head.Root,
	}
	if q := r.head.Quarantine; q != nil {
		h.Quarantined = fmt.Sprintf("%s; evidence in %s", q.Why, filepath.Join(r.cfg.Dir, q.Evidence))
	}
	return h, nil
}

// Stats counts what was met on the way to the head.
func (r *Replica) Stats() Stats {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.view == nil {
		return Stats{}
	}
	return r.view.stats
}

// ByDigest lists every notarization with a subject of digest d, oldest first; of those under one key, no more after the
// first that its publisher signed. Callers must not alter what the answer points to. Both hold for all look-ups.
func (r *Replica) ByDigest(d trust.Digest) ([]trust.PlacedNotarization, error) {
	return r.byDigest(nil, d)
}

// ByName lists every notarization of a kind and name, oldest first; version "" means every version.
func (r *Replica) ByName(kind, name, version string) ([]trust.PlacedNotarization, error) {
	return r.byName(nil, kind, name, version)
}

// For is the replica for those who ask on behalf of some publishers' words: of records by all others, look-ups then
// hold a few only. An open ledger takes anybody's records about anything, and no flood of them may keep those that
// count from being heard.
func (r *Replica) For(publishers []string) trust.Evidence {
	return heard{r, append([]string{}, publishers...)} // never nil
}

// heard is a Replica asked for the words of some publishers.
type heard struct {
	*Replica
	known []string
}

// ByDigest is [Replica.ByDigest].
func (h heard) ByDigest(d trust.Digest) ([]trust.PlacedNotarization, error) {
	return h.byDigest(h.known, d)
}

// ByName is [Replica.ByName].
func (h heard) ByName(kind, name, version string) ([]trust.PlacedNotarization, error) {
	return h.byName(h.known, kind, name, version)
}

func (r *Replica) byDigest(known []string, d trust.Digest) ([]trust.PlacedNotarization, error) {
	return r.notarizations(known, digestWord(d), string(d), func(n *trust.Notarization) bool {
		return slices.ContainsFunc(n.Subjects, func(s trust.RecordSubject) bool { return s.Digest == d })
	})
}

func (r *Replica) byName(known []string, kind, name, version string) ([]trust.PlacedNotarization, error) {
	word := nameWord(kind, name)
	if version != "" {
		word = versionWord(kind, name, version)
	}
	return r.notarizations(known, word, name, func(n *trust.Notarization) bool {
		return n.Kind == kind && n.Name == name && (version == "" || n.Version == version)
	})
}

func (r *Replica) notarizations(known []string, word uint64, what string, match func(*trust.Notarization) bool) ([]trust.PlacedNotarization, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	l := &lookup{r: r, known: known, what: what, first: map[string]place{}}
	err := r.records(word, func(p place, rec trust.Record) error {
		if n := rec.Notarization; n != nil && match(n) {
			return l.take(trust.PlacedNotarization{Pos: p.position(), Envelope: rec.Envelope, Notarization: *n})
		}
		return nil
	})
	return l.out, err
}

// PublisherChain is the valid chain of a publisher's documents, version 1 first; nil for a publisher the ledger does
// not know. Documents that do not continue it are left out, and so are all when the first is not in order.
func (r *Replica) PublisherChain(id string) ([]trust.PlacedPublisher, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	chain, err := r.chain(id)
	return slices.Clone(chain), err
}

// chain is PublisherChain with r.mu held. A version stands behind the one it continues, so the chain grows document
// by document, and only what belongs to it is held.
func (r *Replica) chain(id string) ([]trust.PlacedPublisher, error) {
	if chain, ok := r.cache.chain(id); ok {
		return chain, nil
	}
	var chain []trust.PlacedPublisher
	var ignored error
	err := r.records(publisherWord(id), func(p place, rec trust.Record) error {
		if rec.Publisher == nil || rec.Publisher.ID != id {
			return nil
		}
		next, err := trust.ExtendChain(chain, trust.PlacedPublisher{Pos: p.position(), Envelope: rec.Envelope, Publisher: *rec.Publisher}, r.transfers)
		if err != nil {
			ignored = cmp.Or(ignored, err)
			return nil
		}
		chain = next
		return nil
	})
	if err != nil {
		return nil, err
	}
	if ignored != nil {
		// A ledger may hold anything; what is not a valid continuation is as if it were not there.
		r.cfg.Log.Warn("publisher documents are ignored", "origin", r.cfg.Origin, "publisher", id, "error", ignored)
	}
	r.cache.addChain(id, chain)
	return chain, nil
}

// records reads what the index has under word, oldest first. r.mu is held.
func (r *Replica) records(word uint64, take func(place, trust.Record) error) error {
	if r.view == nil {
		return reason(trust.EvidenceUnreadable, "cannot read the replica of %s: %w; it is fetched again with the next sync", r.cfg.Origin, r.damage)
	}
	for _, p := range r.view.find(word) {
		rec, ok := r.cache.record(p)
		if !ok {
			e, err := r.tree.entryAt(r.view, r.view.Count, p)
			if err == nil {
				rec, _, err = recordIn(e, r.cfg.Origin)
			}
			if err != nil {
				r.suspect.Store(true)
				return reason(trust.EvidenceUnreadable, "cannot read the replica of %s: %w; the next sync checks it and fetches what decayed", r.cfg.Origin, err)
			}
			r.cache.addRecord(p, rec)
		}
		if err := take(p, rec); err != nil {
			return err
		}
	}
	return nil
}
