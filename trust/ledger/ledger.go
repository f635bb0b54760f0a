// Package ledger keeps a verified copy of a CAS ledger on the appliance and answers questions from it.
//
// # Threat model
//
// Mirrors and networks may serve anything, at any speed, or nothing. The ledger's operator may lie, lag, fork, or
// restore an old backup. What is believed: the note keys and anchors of the root document, and what this package
// itself wrote to the disk of the appliance. A record is believed to be *in the ledger* because the hash chain of
// every transaction was computed again and ends in a checkpoint the ledger's key signed; whether it is *true* is a
// question of its publisher's signature, which package trust answers.
//
// # How bytes become history
//
// A checkpoint names the hash of the newest transaction; each transaction holds the hash of the one before it. So
// segments are fetched newest first, and each is compared with the hash its successor names before the next is asked
// for. No mirror can therefore poison what another one serves, a broken download continues anywhere, and the place
// where a signed history leaves ours is found to the transaction: that is proof of equivocation, not a guess.
//
// # Files, and who may alter them
//
//	head                 the commit point: what history is ours. Lost or damaged = STATE_MISSING, never a fresh start.
//	                     Whoever may write it may roll the appliance back; it belongs to root.
//	tx/x001/067          segments, as every mirror serves them. Altering one makes look-ups fail or is found by
//	tx/x001/068.p/12     [Replica.Verify], and the file is fetched again; it cannot add to history.
//	*.unverified         downloads; ignored by everything but the next download.
//	index                where to find records; derived, bound to a prefix of our history, rebuilt when it is not.
//	                     Altering it can hide records, like altering head.
//	equivocation-*.json  proof that the ledger's key signed two histories, see [CheckEvidence]. Never deleted here.
//	lock                 one process per folder.
//
// # Sizes
//
// One transaction is at most [MaxTransactionBytes] as exported, one segment [SegmentTxs] transactions. The index in
// memory takes 16 bytes for each word of a record that can be asked for and 4 for each transaction.
package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/castellan/castellan/trust"
)

// Hash is the accumulative hash (alh) of immudb: it names a transaction and all before it.
type Hash [sha256.Size]byte

// Digest is h in the form package trust writes.
func (h Hash) Digest() trust.Digest { return trust.Digest("sha256:" + hex.EncodeToString(h[:])) }

// ParseHash reads what [Hash.Digest] writes.
func ParseHash(d trust.Digest) (Hash, error) {
	var h Hash
	if _, err := trust.ParseDigest(string(d)); err != nil {
		return h, err
	}
	_, err := hex.Decode(h[:], []byte(d.Hex()))
	return h, err
}

// Point is a place in the history of a ledger: the number of transactions and the hash of the last one.
type Point struct {
	Count uint64
	Alh   Hash
}

// Genesis is the empty history: immudb hashes the first transaction onto sha256 of nothing.
var Genesis = Point{Alh: sha256.Sum256(nil)}

// String is a short form for people.
func (p Point) String() string { return fmt.Sprintf("%d (%s)", p.Count, p.Alh.Digest().Short()) }

// pointOf reads an anchor of a root document.
func pointOf(a trust.Anchor) (Point, error) {
	if a.Count == 0 && a.Alh == "" {
		return Genesis, nil
	}
	h, err := ParseHash(a.Alh)
	if err != nil {
		return Point{}, fmt.Errorf("cannot read the anchor at transaction %d: %w", a.Count, err)
	}
	if a.Count == 0 && h != Genesis.Alh {
		return Point{}, fmt.Errorf("cannot read the anchor: count 0 with hash %s", a.Alh.Short())
	}
	return Point{Count: a.Count, Alh: h}, nil
}
