// Package audit keeps the verification log: what was judged, what was done, who forced what, in an order nobody can
// change without it showing.
//
// # Threat model
//
// The log answers "why does this appliance run version Y, and who allowed it?" to people who do not trust each other.
// Every line carries the sha256 of the line before it, so a line that was edited, deleted, inserted or moved breaks
// the chain at a place [Verify] names. Somebody who owns the disk can still write the whole chain anew, or cut its
// end off: that shows to whoever holds an earlier head, a note signed with the appliance's device key, and to nobody
// else. Heads are therefore shown, put into backups and sent to the journal. The device key lies on the same disk; it
// tells appliances apart, it does not stop their owner.
//
// # Crash model
//
// An append that returned nil is on the disk. A power cut leaves whole lines and at most one torn tail, which [Open]
// cuts off and says so in a record of its own. After a write error no half line stays behind: the tail is cut back to
// the last good line, or, when even that fails, the log takes nothing more until it is opened again. A chain that is
// found broken never stops the appliance: new records follow the bytes that are there, and Verify keeps naming the
// break.
//
// # Files
//
//	lock                     one writer at a time (flock)
//	device.key, device.pub   note signer and verifier key, golang.org/x/mod/sumdb/note; made once by [Init]
//	<first seq>.jsonl        segments, one JSON record a line; the oldest are pruned, a `prune` record keeps their hash
//	head                     newest signed head; who can alter it can hide that the end was cut off
//	evidence/<sha256>.json   what a verdict rests on, written before the verdict's line, pruned with it
//	private.jsonl            salted texts that lines name by hash only: who may read it learns user names and reasons
//
// Hashes are over the raw bytes of a line without its newline; the first line follows the hash of nothing.
package audit

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/castellan/castellan/trust"
	jsonx "github.com/go-json-experiment/json"
)

// Kind says what a record is about.
type Kind string

// Kinds of records (TRUST.md §8). The last two are written by the log itself.
const (
	KindBoot         Kind = "boot"         // the daemon started
	KindVerdict      Kind = "verdict"      // payload [VerdictPayload]
	KindAction       Kind = "action"       // what was done
	KindOverride     Kind = "override"     // a force was allowed or used; a head is signed with it
	KindHouse        Kind = "house"        // the house key was made, or the owner's word was given; a head is signed with it
	KindAccount      Kind = "account"      // who may come in from the network was changed; payload [AccountPayload]
	KindPin          Kind = "pin"          // a publisher was pinned or forgotten
	KindMirror       Kind = "mirror"       // a mirror misbehaved or came back
	KindClock        Kind = "clock"        // the trusted clock moved otherwise than by time
	KindEquivocation Kind = "equivocation" // a ledger told two stories
	KindRecovered    Kind = "recovered"    // damage was found and mended; payload [RecoveredPayload] when it was the log's
	KindPrune        Kind = "prune"        // payload [PrunePayload]
	KindHead         Kind = "head"         // payload [HeadPayload]
)

var kinds = []Kind{KindBoot, KindVerdict, KindAction, KindOverride, KindHouse, KindAccount, KindPin, KindMirror, KindClock, KindEquivocation,
	KindPrune, KindRecovered, KindHead}

// Kinds are all that a record may have.
func Kinds() []Kind { return slices.Clone(kinds) }

// Record is one line of the log.
type Record struct {
	Seq     uint64          `json:"seq"`  // from 1, without gaps
	Time    time.Time       `json:"time"` // system clock of the appliance, UTC; it may jump
	Kind    Kind            `json:"kind"`
	Prev    trust.Digest    `json:"prev"`    // of the line before
	Payload json.RawMessage `json:"payload"` // JSON object, by kind
}

// maxPayload bounds a payload, maxLine what is read back as one line, in bytes.
const (
	maxPayload = 512 << 10
	maxLine    = 2 * maxPayload
)

// genesis is what the first line follows: the hash of nothing, as in the ledger.
var genesis = trust.DigestOf(nil)

// parseRecord reads one line strictly: unknown, repeated and case-variant keys are refused.
func parseRecord(line []byte) (Record, error) {
	var raw struct {
		Seq     uint64      `json:"seq"`
		Time    time.Time   `json:"time"`
		Kind    Kind        `json:"kind"`
		Prev    string      `json:"prev"`
		Payload jsonxObject `json:"payload"`
	}
	if err := jsonx.Unmarshal(line, &raw, jsonx.RejectUnknownMembers(true)); err != nil {
		return Record{}, err
	}
	prev, err := trust.ParseDigest(raw.Prev)
	if err != nil {
		return Record{}, fmt.Errorf("cannot read prev: %w", err)
	}
	if raw.Seq == 0 {
		return Record{}, fmt.Errorf("cannot read seq: records count from 1")
	}
	if !slices.Contains(kinds, raw.Kind) {
		return Record{}, fmt.Errorf("cannot read kind: %.40q is none of %v", raw.Kind, kinds)
	}
	return Record{Seq: raw.Seq, Time: raw.Time, Kind: raw.Kind, Prev: prev, Payload: json.RawMessage(raw.Payload)}, nil
}

// jsonxObject is a JSON object kept as it stands.
type jsonxObject []byte

// UnmarshalJSON implements json.Unmarshaler.
func (o *jsonxObject) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return fmt.Errorf("cannot read payload: want a JSON object")
	}
	*o = append((*o)[:0], b...)
	return nil
}
