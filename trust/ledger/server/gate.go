package server

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
)

// Prefixes that immudb's own server writes before keys and values. We write them too, so that the embedded store and
// a server give the same bytes and the same hashes.
const (
	keyPrefix   = 0x00
	valuePrefix = 0x00
)

// maxClockLead is how far ahead of this server's clock a publisher may date a record. A uid in the far future would
// outrank everything its publisher says later.
const maxClockLead = 24 * time.Hour

// refusal is an answer to a writer: what is wrong, where, and what to do about it.
type refusal struct {
	status int    // HTTP status
	field  string // as "records[1].ledger"
	next   string
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(status int, field, next, format string, args ...any) *refusal {
	return &refusal{status: status, field: field, next: next, err: fmt.Errorf(format, args...)}
}

// placed is where a record stands.
type placed struct {
	digest trust.Digest // of the record's bytes
	pos    trust.Position
}

// policy says who may write; it is read at each submission, so a new root document counts at once.
type policy struct {
	allow      []string
	open       bool
	dailyBytes int64
	now        func() time.Time
}

// gate keeps what the ledger already says, replayed from the store, and decides what may be added. It is a spam
// filter: appliances check everything again.
type gate struct {
	origin string
	policy policy
	root   func() (r trust.Root, ok bool)

	mu      sync.Mutex
	head    ledger.Point
	keys    map[string]placed // of notarizations: the first under each key that its publisher signed
	docs    map[string][]trust.PlacedPublisher
	chains  map[string][]trust.PlacedPublisher // verified from docs under root version chained; missing ones are made anew
	chained int
	files   map[trust.Digest][]string // what channel notarizations name -> their publishers
	used    map[string]int64          // bytes by publisher, on day
	day     int64                     // unix day
	ignored int                       // entries that appliances will ignore, too
	busy    map[string]bool           // keys of records that are being appended
	freed   *sync.Cond                // busy shrank
}

func newGate(origin string, p policy, root func() (trust.Root, bool)) *gate {
	g := &gate{
		origin: origin, policy: p, root: root, head: ledger.Genesis,
		keys: map[string]placed{}, docs: map[string][]trust.PlacedPublisher{},
		chains: map[string][]trust.PlacedPublisher{}, files: map[trust.Digest][]string{},
		used: map[string]int64{}, busy: map[string]bool{},
	}
	g.freed = sync.NewCond(&g.mu)
	return g
}

func publisherOf(r trust.Record) string {
	if r.Publisher != nil {
		return r.Publisher.ID
	}
	return r.Notarization.Publisher
}

// submission is a list of records on its way in.
type submission struct {
	list    []candidate
	fresh   []string // keys to append
	entries []Entry  // for fresh
}

// admit decides on a list of records and reserves the keys of those that are new, until release. Records that are in
// the ledger already are answered from there.
func (g *gate) admit(envelopes [][]byte) (*submission, error) {
	list, err := parseAll(envelopes)
	if err != nil {
		return nil, err
	}
	sub := &submission{list: list}
	g.mu.Lock()
	defer g.mu.Unlock()
	for slices.ContainsFunc(list, func(c candidate) bool { return g.busy[c.key] }) {
		g.freed.Wait() // the same record on another connection; when it is done, it is known
	}
	added := map[string][]trust.PlacedPublisher{} // chains with documents earlier in this very list
	size := 0
	for i, c := range list {
		at := fmt.Sprintf("records[%d]", i)
		if was, known := g.place(c); known {
			if was.digest != trust.DigestOf(c.value) {
				return nil, refuse(http.StatusConflict, at, "choose a new uid, or the next version for a publisher document",
					"cannot accept %s: the ledger has another record %s at %d/%d", at, c.key, was.pos.Tx, was.pos.Entry)
			}
			continue
		}
		pos := trust.Position{Tx: g.head.Count + 1, Entry: uint32(len(sub.fresh))}
		if err := g.check(at, c.rec, pos, added); err != nil {
			return nil, err
		}
		if size += len(c.value) + 1; size > maxTxBytes {
			return nil, refuse(http.StatusRequestEntityTooLarge, at, "send fewer records at once",
				"cannot accept %s: the records together have more than %d bytes", at, maxTxBytes)
		}
		sub.fresh = append(sub.fresh, c.key)
		key, value := ledger.RecordEntry(c.key, c.value)
		sub.entries = append(sub.entries, Entry{Key: key, Value: value})
	}
	if err := g.quota(sub); err != nil {
		return nil, err
	}
	for _, key := range sub.fresh {
		g.busy[key] = true
	}
	return sub, nil
}

// release ends the reservation of admit.
func (g *gate) release(sub *submission) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, key := range sub.fresh {
		delete(g.busy, key)
	}
	g.freed.Broadcast()
}

// positions are the places of a submission's records; ok is false when one is not in the ledger, or another one stands
// there: several servers may write to one database.
func (g *gate) positions(sub *submission) (list []trust.Position, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range sub.list {
		p, known := g.place(c)
		if !known || p.digest != trust.DigestOf(c.value) {
			return nil, false
		}
		list = append(list, p.pos)
	}
	return list, true
}

// candidate is a record with its place in the ledger's key space.
type candidate struct {
	rec   trust.Record
	key   string
	value []byte
}

// parseAll reads envelopes. The ledger keeps the one deterministic form of each, so that a record has one spelling.
func parseAll(envelopes [][]byte) ([]candidate, error) {
	list := make([]candidate, 0, len(envelopes))
	seen := map[string]bool{}
	for i, raw := range envelopes {
		at := fmt.Sprintf("records[%d]", i)
		c, err := parse(raw)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, at, "make the record with `cas`", "cannot accept %s: %w", at, err)
		}
		if len(c.value) >= maxTxBytes { // with immudb's prefix
			return nil, refuse(http.StatusRequestEntityTooLarge, at, "split the record",
				"cannot accept %s: %d bytes, the limit is %d", at, len(c.value), maxTxBytes-1)
		}
		if seen[c.key] {
			return nil, refuse(http.StatusBadRequest, at, "send each record once", "cannot accept %s: %s stands in the list twice", at, c.key)
		}
		seen[c.key] = true
		list = append(list, c)
	}
	return list, nil
}

func parse(raw []byte) (c candidate, err error) {
	if c.rec, err = trust.ParseRecord(raw); err != nil {
		return c, err
	}
	if c.key, err = c.rec.Key(); err != nil {
		return c, err
	}
	c.value, err = c.rec.Envelope.Marshal()
	return c, err
}

// check decides on one new record, to stand at pos.
func (g *gate) check(at string, rec trust.Record, pos trust.Position, added map[string][]trust.PlacedPublisher) error {
	if got := rec.Ledger(); got != g.origin {
		return refuse(http.StatusUnprocessableEntity, at+".ledger", "sign the record for this ledger",
			"cannot accept %s: it is for ledger %q, this is %q", at, got, g.origin)
	}
	id := publisherOf(rec)
	root, _ := g.root()
	if !g.policy.open && !g.allowed(id, root) {
		return refuse(http.StatusForbidden, at+".publisher", "ask the ledger's operator to run `cas serve --allow "+id+"`",
			"cannot accept %s: publisher %s may not write here", at, id)
	}
	chain, ok := added[id]
	if !ok {
		chain = g.chain(id, root)
	}
	if p := rec.Publisher; p != nil {
		doc := trust.PlacedPublisher{Pos: pos, Envelope: rec.Envelope, Publisher: *p}
		longer, err := trust.ExtendChain(chain, doc, root.Transfers)
		if err != nil {
			return refuse(http.StatusUnprocessableEntity, at, "make the next version from the newest document in the ledger",
				"cannot accept %s: %w", at, err)
		}
		added[id] = longer
		return nil
	}
	return checkNotarization(at, *rec.Notarization, rec.Envelope, pos, chain, g.policy.now())
}

func checkNotarization(at string, n trust.Notarization, e trust.Envelope, pos trust.Position, chain []trust.PlacedPublisher, now time.Time) error {
	if len(chain) == 0 {
		return refuse(http.StatusUnprocessableEntity, at+".publisher", "register the publisher with `cas login --ledger`",
			"cannot accept %s: publisher %s is not registered", at, n.Publisher)
	}
	doc := chain[len(chain)-1].Publisher
	if n.Doc > doc.Version {
		return refuse(http.StatusUnprocessableEntity, at+".doc", "register the newest publisher document first",
			"cannot accept %s: it names version %d of publisher %s, the ledger has %d", at, n.Doc, n.Publisher, doc.Version)
	}
	if lead := time.Unix(0, int64(n.UID)).Sub(now); lead > maxClockLead {
		return refuse(http.StatusUnprocessableEntity, at+".uid", "correct the clock of the machine that signs",
			"cannot accept %s: its uid is %v in the future", at, lead.Round(time.Minute))
	}
	if n.Kind == trust.KindImage && !doc.Covers(n.Name) {
		return refuse(http.StatusUnprocessableEntity, at+".name", "add the name to the publisher document, or notarize under one of its names",
			"cannot accept %s: publisher %s does not speak for %q", at, n.Publisher, n.Name)
	}
	if _, err := trust.VerifyNotarization(chain, trust.PlacedNotarization{Pos: pos, Envelope: e, Notarization: n}); err != nil {
		next := "sign with a working key of the newest publisher document"
		if errors.Is(err, trust.ErrSignerRevoked) || signedByRevoked(e, doc) {
			next = "the key was revoked: sign with another working key"
		}
		return refuse(http.StatusUnprocessableEntity, at+".signatures", next, "cannot accept %s: %w", at, err)
	}
	return nil
}

// signedByRevoked tells whether e names a key that doc revokes: a better hint than that the key is not known any more.
func signedByRevoked(e trust.Envelope, doc trust.Publisher) bool {
	return slices.ContainsFunc(e.Signatures, func(s trust.Signature) bool {
		return slices.ContainsFunc(doc.Revoked, func(r trust.Revocation) bool { return r.KeyID == s.KeyID })
	})
}

// allowed tells whether the operator or the root document lets a publisher write.
func (g *gate) allowed(id string, root trust.Root) bool {
	return slices.Contains(g.policy.allow, id) || slices.Contains(root.Core, id) || slices.Contains(root.Security, id) ||
		slices.ContainsFunc(root.Preload, func(p trust.Preload) bool { return p.Publisher == id })
}
