package testenv

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/castellan/castellan/trust"
)

// Permit is a real Gate's permission for an add-on that nobody has notarized and nobody has to.
func Permit(t testing.TB, component string, i Image) trust.Permit {
	t.Helper()
	return PermitFor(t, i.Subject(component, trust.ClassAddon), i.Raw)
}

// PermitFor is [Permit] for a subject as given; raw are the manifests its digests must follow from.
func PermitFor(t testing.TB, s trust.Subject, raw trust.Raw) trust.Permit {
	t.Helper()
	memory, err := trust.InitMemory(filepath.Join(t.TempDir(), "memory.json"))
	must(t, err)
	gate, err := trust.NewGate(trust.GateConfig{
		Evidence: func(trust.Subject) (trust.Evidence, error) { return emptyLedger{}, nil },
		Roots:    func() (trust.Root, trust.Reason) { return trust.Root{Version: 1}, "" },
		Policy:   func(string) trust.Policy { return trust.Policy{} },
		Memory:   memory,
		Clock:    trust.NewClock(memory, func() bool { return true }),
		Log:      unread{},
	})
	must(t, err)
	permit, _, err := gate.Admit(context.Background(), trust.Request{
		Subject: s, Action: trust.Install, Raw: &raw, Change: "test", FirstResolved: time.Now(),
	})
	must(t, err)
	return permit
}

// emptyLedger is the replica of a ledger that is up to date and says nothing.
type emptyLedger struct{}

func (emptyLedger) Head() (trust.Head, error) {
	return trust.Head{Origin: "castellan.test/ledger", Count: 1, Time: time.Now()}, nil
}
func (emptyLedger) ByDigest(trust.Digest) ([]trust.PlacedNotarization, error) { return nil, nil }
func (emptyLedger) ByName(_, _, _ string) ([]trust.PlacedNotarization, error) { return nil, nil }
func (emptyLedger) PublisherChain(string) ([]trust.PlacedPublisher, error)    { return nil, nil }

// unread is a log nobody reads.
type unread struct{}

func (unread) RecordVerdict(context.Context, trust.Verdict, trust.Input) (uint64, error) {
	return 1, nil
}
