package trust

import (
	"context"
	"testing"
	"time"
)

// twoLedgers is a house whose add-on radio is judged by a ledger of its repository, and all else by the root's.
type twoLedgers struct {
	*house
	own   *world // the repository's
	radio image
}

const ownOrigin = "ledger.example.net/radio"

func newTwoLedgers(t *testing.T) *twoLedgers {
	t.Helper()
	x := &twoLedgers{house: newHouse(t), own: newWorld(t), radio: otherImage("1.0")}
	x.own.head.Origin = ownOrigin
	x.own.docs = map[string][]PlacedPublisher{}
	for _, a := range []*author{x.own.core, x.own.security, x.own.addon} { // anybody may register anywhere
		a.doc.Version, a.doc.Ledger = 0, ownOrigin
		a.publish(func(*Publisher) {})
	}
	x.policy.Map = map[string]string{"addon_radio": x.own.addon.id, "core": x.own.addon.id, "addon_ssh": x.own.addon.id}
	cfg := x.Gate.cfg
	cfg.Evidence = func(s Subject) (Evidence, error) {
		if s.Component == "addon_radio" {
			return x.own, nil
		}
		return x.world, nil
	}
	cfg.Security = func(s Subject) (Evidence, error) {
		if s.Component == "addon_radio" {
			return x.world, nil
		}
		return nil, nil
	}
	var err error
	x.Gate, err = NewGate(cfg)
	x.must(err)
	return x
}

func (x *twoLedgers) judge(i image, a Action) Verdict {
	x.t.Helper()
	v, err := x.Decide(context.Background(), x.request(i, a, "c"))
	x.must(err)
	return v
}

// TestAddonLedgerSpeaksForItsAddonsOnly lets an add-on's ledger try to reach further.
func TestAddonLedgerSpeaksForItsAddonsOnly(t *testing.T) {
	x := newTwoLedgers(t)
	core, ssh := coreImage("2026.8.1"), addonImage("1.0")
	x.own.addon.say(x.radio, Trusted)
	want(t, x.judge(x.radio, Install), Allow, "")

	// Core and preloaded names are none of its business, whoever signs there and whatever its repository maps.
	for _, i := range []image{core, ssh} {
		x.own.core.say(i, Trusted)
		x.own.addon.say(i, Trusted)
		want(t, x.judge(i, OwnerUpdate), Refuse, SignatureMissing)
		x.own.core.say(i, Untrusted)
		x.own.security.say(i, Untrusted)
	}
	x.core.say(core, Trusted)
	x.addon.say(ssh, Trusted)
	want(t, x.judge(core, OwnerUpdate), Allow, "")
	want(t, x.judge(ssh, OwnerUpdate), Allow, "")

	// Nor can it announce a root document or a date.
	x.own.head.RootVersion = 99
	want(t, x.judge(x.radio, AutoUpdate), Allow, "")
	x.own.head.Time = time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC)
	want(t, x.judge(x.radio, AutoUpdate), Defer, ClockUntrusted)
	want(t, x.judge(core, OwnerUpdate), Allow, "")
	if now, ok := x.clock.Now(); !ok || now.Year() != worldStart.Year() {
		t.Errorf("the clock says %s", now)
	}
}

// TestPreloadedNameStaysInTheRootsLedger hands the judge evidence of another ledger about what the root names.
func TestPreloadedNameStaysInTheRootsLedger(t *testing.T) {
	x := newTwoLedgers(t)
	ssh := addonImage("1.0")
	x.own.addon.say(ssh, Trusted)
	in := x.own.input(ssh, Install)
	in.Root = x.root
	want(t, Judge(x.own.fill(in)), Defer, LedgerChanged)
}

// TestAddonThatChangesItsLedgerWaits pins an add-on in one ledger and judges it by the other.
func TestAddonThatChangesItsLedgerWaits(t *testing.T) {
	x := newTwoLedgers(t)
	x.own.addon.say(x.radio, Trusted)
	_, err := x.admit(x.request(x.radio, Install, "c1"))
	x.must(err)
	x.addon.say(x.radio, Trusted)
	x.Gate.cfg.Evidence = func(Subject) (Evidence, error) { return x.world, nil }
	want(t, x.judge(x.radio, AutoUpdate), Defer, LedgerChanged)
}

// TestRootsSecurityCountsInEveryLedger withdraws an add-on of another ledger in the root's.
func TestRootsSecurityCountsInEveryLedger(t *testing.T) {
	x := newTwoLedgers(t)
	x.own.addon.say(x.radio, Trusted)
	x.stranger.say(x.radio, Untrusted)
	x.core.say(x.radio, Untrusted) // core publishers speak for core
	x.addon.say(x.radio, Untrusted)
	v, err := x.admit(x.request(x.radio, Install, "c1"))
	x.must(err)
	want(t, v, Allow, "")

	x.security.say(x.radio, Untrusted, func(n *Notarization) { n.Severity = SeverityStop })
	for _, a := range []Action{AutoUpdate, OwnerUpdate, Rollback, Rejudge} {
		v := x.judge(x.radio, a)
		want(t, v, Refuse, Revoked)
		if v.Severity != SeverityStop || !v.ByRoot || v.Findings[0].Pos != (Position{}) {
			t.Errorf("verdict %+v", v)
		}
	}
	v, _ = x.admit(x.request(x.radio, AutoUpdate, "c2"))
	want(t, v, Refuse, Revoked)
	b, err := EncodeInput(x.log.in[len(x.log.in)-1])
	x.must(err)
	back, err := DecodeInput(b)
	x.must(err)
	want(t, Judge(back), Refuse, Revoked)

	// It sticks when the root's replica is built anew without the record, and a lift in the root's ledger ends it.
	kept := x.world.recs
	x.world.recs = nil
	want(t, x.judge(x.radio, AutoUpdate), Refuse, Revoked)
	x.world.recs = kept
	x.security.say(x.radio, Trusted)
	want(t, x.judge(x.radio, AutoUpdate), Allow, "")
	x.uid += 1_000_000
	x.own.addon.say(x.radio, Untrusted, func(n *Notarization) { n.UID = x.uid })
	want(t, x.judge(x.radio, AutoUpdate), Refuse, Revoked)
	x.security.say(x.radio, Trusted) // it lifts what was said in the add-on's ledger, too
	want(t, x.judge(x.radio, AutoUpdate), Allow, "")

	x.world.fail = context.DeadlineExceeded
	want(t, x.judge(x.radio, AutoUpdate), Defer, EvidenceUnreadable)
}
