package ledger

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/castellan/castellan/trust"
)

// place is where an entry stands: transaction ID and, in the low 16 bits, the entry's number.
type place uint64

func placeOf(p trust.Position) place { return place(p.Tx<<16 | uint64(p.Entry)) }

func (p place) position() trust.Position {
	return trust.Position{Tx: uint64(p >> 16), Entry: uint32(p & 0xffff)}
}

// maxCount is how many transactions places can name; a ledger that says it has more is refused.
const maxCount = 1 << 47

// pair says that the record at a place can be found under a word. The word is the start of a sha256: a hit may be a
// chance one, and who looks up compares the record itself.
type pair struct {
	word uint64
	at   place
}

// Words records are found under. The first byte keeps the kinds apart.
func wordFor(kind byte, parts ...string) uint64 {
	h := make([]byte, 0, 256)
	h = append(h, kind)
	for _, p := range parts {
		h = append(h, p...)
		h = append(h, 0)
	}
	sum := sha256.Sum256(h)
	return binary.BigEndian.Uint64(sum[:])
}

func digestWord(d trust.Digest) uint64        { return wordFor('d', string(d)) }
func nameWord(kind, name string) uint64       { return wordFor('n', kind, name) }
func versionWord(kind, name, v string) uint64 { return wordFor('v', kind, name, v) }
func publisherWord(id string) uint64          { return wordFor('p', id) }
func keyWord(key string) uint64               { return wordFor('k', key) }
func comparePairs(a, b pair) int              { return cmp.Or(cmp.Compare(a.word, b.word), cmp.Compare(a.at, b.at)) }

// Stats counts what replay met. Everything but records is hashed like them and then ignored.
type Stats struct {
	Transactions  uint64 `json:"transactions"`
	Notarizations uint64 `json:"notarizations"`
	Withdrawals   uint64 `json:"withdrawals"` // notarizations that say UNTRUSTED, by whomever
	Publishers    uint64 `json:"publishers"`  // publisher documents, all versions
	Repeated      uint64 `json:"repeated"`    // a key that stood before: somebody tries to rewrite history
	Malformed     uint64 `json:"malformed"`   // under one of our keys, but no record, or not the one the key says
	OtherLedger   uint64 `json:"otherLedger"`
	Metadata      uint64 `json:"metadata"` // entries that are deleted, expire or are not indexed
	Foreign       uint64 `json:"foreign"`  // keys and values that are not ours: references, SQL, others' data
}

// Ignored is what changes nothing, by the names of the JSON fields; kinds that were not met are left out.
func (s Stats) Ignored() map[string]uint64 {
	met := map[string]uint64{}
	for name, n := range map[string]uint64{
		"repeated": s.Repeated, "malformed": s.Malformed, "otherLedger": s.OtherLedger, "metadata": s.Metadata, "foreign": s.Foreign,
	} {
		if n > 0 {
			met[name] = n
		}
	}
	return met
}

// index finds records by words. It is immutable; a longer history makes a new one. Point says how far it reaches.
type index struct {
	Point
	stats   Stats
	offsets []uint32 // where transaction i+1 starts in its segment
	old     []pair   // sorted
	recent  []pair   // sorted, all later than old: few, so that a sync need not copy everything
}

// maxRecent is how many pairs are kept apart from the others.
const maxRecent = 1 << 14

var emptyIndex = &index{Point: Genesis}

// find lists the places under word, oldest first.
func (x *index) find(word uint64) []place {
	var out []place
	for _, list := range [][]pair{x.old, x.recent} {
		i, _ := slices.BinarySearchFunc(list, word, func(p pair, w uint64) int { return cmp.Compare(p.word, w) })
		for ; i < len(list) && list[i].word == word; i++ {
			out = append(out, list[i].at)
		}
	}
	return out
}

// extend is x with later transactions: their offsets, their pairs in any order.
func (x *index) extend(to Point, stats Stats, offsets []uint32, pairs []pair) *index {
	slices.SortFunc(pairs, comparePairs)
	next := &index{
		Point: to, stats: stats, old: x.old,
		// Appending in place is safe: x sees only its own length, and there is one writer.
		offsets: append(x.offsets, offsets...),
		recent:  mergePairs(x.recent, pairs),
	}
	if len(next.recent) > maxRecent {
		next.old, next.recent = mergePairs(next.old, next.recent), nil
	}
	return next
}

func mergePairs(a, b []pair) []pair {
	if len(b) == 0 {
		return a
	}
	out := make([]pair, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if comparePairs(a[0], b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
