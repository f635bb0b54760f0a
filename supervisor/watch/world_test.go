package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/trusttest"
)

const origin = "ledger.example.org/test"

// began is the time of all worlds.
var began = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// evidence is a replica in memory, of really signed records by one publisher.
type evidence struct {
	t       testing.TB
	pub     *trusttest.Publisher
	chain   []trust.PlacedPublisher
	records []trust.PlacedNotarization
	heard   time.Time
	away    bool // the replica cannot be read
}

func newEvidence(t testing.TB) *evidence {
	e := &evidence{t: t, pub: trusttest.NewPublisher(t, origin, "radio club"), heard: began}
	env, err := trust.ParseEnvelope(e.pub.Document())
	if err != nil {
		t.Fatal(err)
	}
	e.chain, err = trust.VerifyChain([]trust.PlacedPublisher{{Pos: trust.Position{Tx: 1}, Envelope: env, Publisher: e.pub.Doc}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *evidence) say(raw []byte) {
	e.t.Helper()
	env, err := trust.ParseEnvelope(raw)
	if err != nil {
		e.t.Fatal(err)
	}
	n, err := trust.ParseNotarization(env.Payload)
	if err != nil {
		e.t.Fatal(err)
	}
	e.records = append(e.records, trust.PlacedNotarization{Pos: trust.Position{Tx: uint64(len(e.records) + 2)}, Envelope: env, Notarization: n})
}

// withdraw says that s is bad, under the publisher's root key if byRoot.
func (e *evidence) withdraw(s trust.Subject, severity trust.Severity, byRoot bool) {
	e.t.Helper()
	e.say(e.pub.Notarize(s, func(n *trust.Notarization) {
		trusttest.Withdraw(n)
		n.Severity = severity
		if byRoot {
			e.say(e.pub.Sign(*n, e.pub.Root))
		}
	}))
}

var errAway = errors.New("the disk is gone")

func (e *evidence) Head() (trust.Head, error) {
	if e.away {
		return trust.Head{}, errAway
	}
	return trust.Head{Origin: origin, Count: uint64(len(e.records) + 1), Alh: trust.DigestOf(nil), Time: e.heard, RootVersion: 1}, nil
}

func (e *evidence) ByDigest(d trust.Digest) (out []trust.PlacedNotarization, _ error) {
	for _, r := range e.records {
		if slices.ContainsFunc(r.Notarization.Subjects, func(s trust.RecordSubject) bool { return s.Digest == d }) {
			out = append(out, r)
		}
	}
	return out, nil
}

func (e *evidence) ByName(kind, name, version string) (out []trust.PlacedNotarization, _ error) {
	for _, r := range e.records {
		if n := r.Notarization; n.Kind == kind && n.Name == name && (version == "" || n.Version == version) {
			out = append(out, r)
		}
	}
	return out, nil
}

func (e *evidence) PublisherChain(id string) ([]trust.PlacedPublisher, error) {
	if id != e.pub.ID {
		return nil, nil
	}
	return e.chain, nil
}

// house is a supervisor of one service. It holds callers to the contract: one change at a time, no way back without a
// previous version, core is never stopped.
type house struct {
	status supervisor.Status
	did    []string
}

func (h *house) Services() ([]supervisor.Status, error) { return []supervisor.Status{h.status}, nil }

func (h *house) Rollback(_ context.Context, service string) (supervisor.Change, error) {
	switch {
	case service != h.status.Service.Name:
		return supervisor.Change{}, supervisor.ErrUnknown
	case h.status.Open != "":
		return supervisor.Change{}, &supervisor.BusyError{Service: service, Change: h.status.Open}
	case h.status.Previous == nil:
		return supervisor.Change{}, supervisor.ErrNoPrevious
	}
	h.did = append(h.did, "rollback to "+h.status.Previous.Version)
	h.status.Current, h.status.Previous = h.status.Previous, h.status.Current
	return supervisor.Change{ID: "c"}, nil
}

func (h *house) Stop(_ context.Context, service, why string) error {
	if c := h.status.Service.Class; service != h.status.Service.Name || c == trust.ClassCore || c == trust.ClassSupervisor || why == "" {
		return fmt.Errorf("cannot stop %q of class %s because %q", service, c, why)
	}
	h.did = append(h.did, "stop")
	h.status.Stopped = why
	return nil
}

// logged counts verdicts in place of the verification log.
type logged struct{ n uint64 }

func (l *logged) RecordVerdict(context.Context, trust.Verdict, trust.Input) (uint64, error) {
	l.n++
	return l.n, nil
}

// kept is a store in memory.
type kept struct {
	b   []byte
	err error
}

func (k *kept) Load() ([]byte, error) { return k.b, k.err }
func (k *kept) Save(b []byte) error {
	if k.err != nil {
		return k.err
	}
	k.b = slices.Clone(b)
	return nil
}

// world is one service that runs version 2 and came from version 1, both notarized, under a real Gate.
type world struct {
	evidence *evidence
	house    *house
	log      *logged
	memory   *trust.Memory
	gate     *trust.Gate
	store    *kept
	now      time.Time
	w        *Withdrawals
}

func newWorld(t *testing.T, class trust.Class) *world {
	t.Helper()
	x := &world{evidence: newEvidence(t), log: &logged{}, store: &kept{}, now: began}
	var err error
	if x.memory, err = trust.InitMemory(filepath.Join(t.TempDir(), "trust.json")); err != nil {
		t.Fatal(err)
	}
	root := trust.Root{Version: 1, Expires: began.AddDate(1, 0, 0), Threshold: 1, Ledgers: []trust.RootLedger{{Origin: origin}},
		Core: []string{x.evidence.pub.ID}, Preload: []trust.Preload{{Name: "example.org/*", Publisher: x.evidence.pub.ID}}}
	clock := trust.NewClock(x.memory, func() bool { return true })
	clock.System = func() time.Time { return x.now }
	x.gate, err = trust.NewGate(trust.GateConfig{
		Evidence: func(trust.Subject) (trust.Evidence, error) { return x.evidence, nil },
		Roots:    func() (trust.Root, trust.Reason) { return root, "" },
		Policy:   func(string) trust.Policy { return trust.Policy{} },
		Memory:   x.memory, Clock: clock, Log: x.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	x.house = &house{status: supervisor.Status{Service: supervisor.Service{Name: "radio", Class: class},
		Current: x.slot(class, "2"), Previous: x.slot(class, "1")}}
	x.restart()
	return x
}

// slot is a notarized version as the supervisor remembers it.
func (x *world) slot(class trust.Class, version string) *supervisor.Slot {
	s := trusttest.Image("example.org/radio", version, "")
	s.Component, s.Class = "radio", class
	x.evidence.say(x.evidence.pub.Notarize(s))
	return &supervisor.Slot{Subject: s, Image: s.Config, Version: version, Outcome: trust.Allow, Verdict: 7, Resolved: began}
}

// restart makes the watcher anew on what is kept.
func (x *world) restart() {
	x.w = NewWithdrawals(x.gate, x.house, x.store, func() time.Time { return x.now }, slog.New(slog.DiscardHandler))
}
