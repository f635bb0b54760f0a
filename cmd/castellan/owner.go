package main

import (
	"cmp"
	"encoding/json"
	"sync"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	housekey "github.com/castellan/castellan/trust/house"
)

// owner is the house key as the daemon holds it.
type owner struct {
	dir string

	mu    sync.Mutex
	store *housekey.Store // nil: none was made, or see err
	err   error           // why it can't be read

	vouchers map[uint64]string // publisher of a verdict, by its log record
}

func openOwner(dir string) *owner {
	o := &owner{dir: dir, vouchers: map[uint64]string{}}
	o.store, o.err = housekey.Open(dir)
	return o
}

// get is the house key, nil when none was made.
func (o *owner) get() (*housekey.Store, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.store, o.err
}

// publisher is the house key's ID, "" without one.
func (o *owner) publisher() string {
	s, _ := o.get() // what can't be read accepts nothing; judgements are deferred for it
	if s == nil {
		return ""
	}
	return s.Publisher()
}

// evidence is the replica a subject is judged by, with the words of the house key. A house key that can't be read defers
// everything: it may have withdrawn something. One that the configuration puts another in place of says nothing.
func (h *house) evidence(s trust.Subject) (trust.Evidence, error) {
	ev, err := h.ledgers.For(s)
	if err != nil {
		return nil, err
	}
	store, err := h.owner.get()
	if err != nil {
		return nil, err
	}
	if store == nil || h.ownPolicy().House != store.Publisher() {
		return ev, nil
	}
	return housekey.With(ev, store), nil
}

// housePublisher is whose word counts as the owner's.
func (h *house) housePublisher(configured string) string {
	return cmp.Or(configured, h.owner.publisher())
}

// voucher says in words who vouches for what a service runs: "you", "project", or a publisher ID.
func (h *house) voucher(s *supervisor.Slot) string {
	if s == nil || s.Outcome != trust.Allow {
		return ""
	}
	id := h.owner.vouched(h.audit, s.Verdict)
	root, _ := h.roots.current()
	switch {
	case id != "" && id == h.ownPolicy().House:
		return "you"
	case root.Names(trust.Subject{Class: s.Subject.Class}):
		return "project"
	}
	return id
}

// vouched is the publisher a verdict rests on; records never change, so each is read once. "" when it was pruned.
func (o *owner) vouched(log *audit.Log, seq uint64) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if id, ok := o.vouchers[seq]; ok {
		return id
	}
	rec, err := log.Record(seq)
	var p audit.VerdictPayload
	if err == nil {
		err = json.Unmarshal(rec.Payload, &p)
	}
	if err != nil {
		return ""
	}
	if len(o.vouchers) > 1000 { // each service's newest is asked for again
		clear(o.vouchers)
	}
	o.vouchers[seq] = p.Verdict.Publisher
	return p.Verdict.Publisher
}
