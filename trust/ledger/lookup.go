package ledger

import (
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

// ByDigest lists every notarization with a subject of digest d, oldest first. Callers must not alter what the
// answer points to; that holds for all look-ups.
func (r *Replica) ByDigest(d trust.Digest) ([]trust.PlacedNotarization, error) {
	return r.notarizations(digestWord(d), func(n *trust.Notarization) bool {
		return slices.ContainsFunc(n.Subjects, func(s trust.RecordSubject) bool { return s.Digest == d })
	})
}

// ByName lists every notarization of a kind and name, oldest first; version "" means every version.
func (r *Replica) ByName(kind, name, version string) ([]trust.PlacedNotarization, error) {
	word := nameWord(kind, name)
	if version != "" {
		word = versionWord(kind, name, version)
	}
	return r.notarizations(word, func(n *trust.Notarization) bool {
		return n.Kind == kind && n.Name == name && (version == "" || n.Version == version)
	})
}

func (r *Replica) notarizations(word uint64, match func(*trust.Notarization) bool) ([]trust.PlacedNotarization, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	recs, places, err := r.records(word)
	if err != nil {
		return nil, err
	}
	var out []trust.PlacedNotarization
	for i, rec := range recs {
		if rec.Notarization != nil && match(rec.Notarization) {
			out = append(out, trust.PlacedNotarization{
				Pos: places[i].position(), Envelope: rec.Envelope, Notarization: *rec.Notarization,
			})
		}
	}
	return out, nil
}

// PublisherChain is the valid chain of a publisher's documents, version 1 first; nil for a publisher the ledger does
// not know. Documents after the first that is not in order are left out, and so are all when the first is not.
func (r *Replica) PublisherChain(id string) ([]trust.PlacedPublisher, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if chain, ok := r.cache.chain(id); ok {
		return slices.Clone(chain), nil
	}
	recs, places, err := r.records(publisherWord(id))
	if err != nil {
		return nil, err
	}
	var docs []trust.PlacedPublisher
	for i, rec := range recs {
		if rec.Publisher != nil && rec.Publisher.ID == id {
			docs = append(docs, trust.PlacedPublisher{
				Pos: places[i].position(), Envelope: rec.Envelope, Publisher: *rec.Publisher,
			})
		}
	}
	chain, err := trust.VerifyChain(docs, r.transfers)
	if err != nil {
		// A ledger may hold anything; what is not a valid continuation is as if it were not there.
		r.cfg.Log.Warn("publisher documents are ignored", "origin", r.cfg.Origin, "publisher", id, "error", err)
	}
	r.cache.addChain(id, chain)
	return slices.Clone(chain), nil
}

// records reads what the index has under word. r.mu is held.
func (r *Replica) records(word uint64) ([]trust.Record, []place, error) {
	if r.view == nil {
		return nil, nil, reason(trust.EvidenceUnreadable, "cannot read the replica of %s: %w; it is fetched again with the next sync", r.cfg.Origin, r.damage)
	}
	places := r.view.find(word)
	recs := make([]trust.Record, 0, len(places))
	for _, p := range places {
		rec, ok := r.cache.record(p)
		if !ok {
			e, err := r.tree.entryAt(r.view, r.view.Count, p)
			if err == nil {
				rec, _, err = recordIn(e, r.cfg.Origin)
			}
			if err != nil {
				r.suspect.Store(true)
				return nil, nil, reason(trust.EvidenceUnreadable, "cannot read the replica of %s: %w; the next sync checks it and fetches what decayed", r.cfg.Origin, err)
			}
			r.cache.addRecord(p, rec)
		}
		recs = append(recs, rec)
	}
	return recs, places, nil
}
