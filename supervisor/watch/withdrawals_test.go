package watch

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust"
)

func (x *world) look(t *testing.T) {
	t.Helper()
	if err := x.w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (x *world) want(t *testing.T, did ...string) {
	t.Helper()
	if !slices.Equal(x.house.did, did) {
		t.Errorf("it did %q, want %q", x.house.did, did)
	}
}

func TestWhatWasWithdrawnIsKnownBeforeAnythingIsDone(t *testing.T) {
	x := newWorld(t, trust.ClassAddon)
	x.evidence.withdraw(x.house.status.Current.Subject, trust.SeverityStop, true)
	if err := x.w.Recall(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.want(t) // nothing
	if v, ok := x.w.Verdict("radio"); !ok || v.Reason() != trust.Revoked {
		t.Errorf("nobody is told: verdict %v", v)
	}
	if x.log.n != 0 {
		t.Errorf("%d verdicts are written down", x.log.n)
	}
	x.look(t)
	x.want(t, "rollback to 1")
	if x.log.n == 0 {
		t.Error("the first look writes nothing down")
	}
}

func TestEachSeverityDoesWhatItSaysAndNoMore(t *testing.T) {
	newer := func(x *world) func(context.Context, string) (bool, error) {
		return func(context.Context, string) (bool, error) {
			x.house.did = append(x.house.did, "newer")
			return true, nil
		}
	}
	none := func(*world) func(context.Context, string) (bool, error) {
		return func(context.Context, string) (bool, error) { return false, nil }
	}
	silent := func(*world) func(context.Context, string) (bool, error) {
		return func(context.Context, string) (bool, error) { return false, errors.New("the registry does not answer") }
	}
	for _, c := range []struct {
		name     string
		class    trust.Class
		severity trust.Severity
		byRoot   bool
		newer    func(*world) func(context.Context, string) (bool, error)
		bad      bool // the previous version is withdrawn too
		did      []string
	}{
		{"notify changes nothing", trust.ClassAddon, trust.SeverityNotify, true, newer, false, nil},
		{"update takes a newer one", trust.ClassAddon, trust.SeverityUpdate, false, newer, false, []string{"newer"}},
		{"update goes back without a newer one", trust.ClassAddon, trust.SeverityUpdate, false, none, false, []string{"rollback to 1"}},
		{"update goes back when the registry is silent", trust.ClassAddon, trust.SeverityUpdate, false, silent, false, []string{"rollback to 1"}},
		{"update leaves it when the previous one is bad", trust.ClassAddon, trust.SeverityUpdate, true, none, true, nil},
		{"update moves core too", trust.ClassCore, trust.SeverityUpdate, false, none, false, []string{"rollback to 1"}},
		{"stop prefers a newer one", trust.ClassAddon, trust.SeverityStop, true, newer, true, []string{"newer"}},
		{"stop prefers the previous one", trust.ClassAddon, trust.SeverityStop, true, none, false, []string{"rollback to 1"}},
		{"stop stops an add-on by the root key", trust.ClassAddon, trust.SeverityStop, true, none, true, []string{"stop"}},
		{"stop by a working key stops nothing", trust.ClassAddon, trust.SeverityStop, false, none, true, nil},
		{"stop never stops core", trust.ClassCore, trust.SeverityStop, true, none, true, nil},
		{"stop never stops the supervisor", trust.ClassSupervisor, trust.SeverityStop, true, none, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newWorld(t, c.class)
			x.w.Newer = c.newer(x)
			x.look(t)
			x.want(t) // good so far
			if c.bad {
				x.evidence.withdraw(x.house.status.Previous.Subject, trust.SeverityNotify, false)
			}
			x.evidence.withdraw(x.house.status.Current.Subject, c.severity, c.byRoot)
			x.look(t)
			x.want(t, c.did...)
			if len(c.did) == 0 {
				if v, ok := x.w.Verdict("radio"); !ok || v.Reason() != trust.Revoked {
					t.Errorf("nobody is told: verdict %v", v)
				}
			}
		})
	}
}

func TestAComponentIsActedOnOnceADayAcrossRestarts(t *testing.T) {
	x := newWorld(t, trust.ClassAddon)
	// Whatever the house changes to is withdrawn as well: somebody has stolen the key.
	for _, slot := range []*supervisor.Slot{x.house.status.Current, x.house.status.Previous} {
		x.evidence.withdraw(slot.Subject, trust.SeverityUpdate, false)
	}
	look := func() {
		x.restart()
		x.w.Newer = func(context.Context, string) (bool, error) {
			x.house.did = append(x.house.did, "newer")
			return true, nil
		}
		x.look(t)
		x.look(t)
	}
	for range 4 {
		look()
		x.now = x.now.Add(ActAgain/4 - time.Second)
	}
	x.want(t, "newer")
	x.now = began.Add(ActAgain)
	look()
	x.want(t, "newer", "newer")
}

func TestAnActionOfTomorrowDoesNotBlockToday(t *testing.T) {
	x := newWorld(t, trust.ClassAddon)
	x.store.b = []byte(`{"radio":"2031-01-01T00:00:00Z"}`) // the clock was wrong then
	x.restart()
	x.evidence.withdraw(x.house.status.Current.Subject, trust.SeverityUpdate, false)
	x.look(t)
	x.want(t, "rollback to 1")
}

func TestADamagedStoreIsForgottenAndAFullDiskIsTold(t *testing.T) {
	for _, b := range []string{"", "null", "{", "[]", `{"radio":7}`, "\x00"} {
		x := newWorld(t, trust.ClassAddon)
		x.store.b = []byte(b)
		x.restart()
		x.evidence.withdraw(x.house.status.Current.Subject, trust.SeverityUpdate, false)
		x.look(t)
		x.want(t, "rollback to 1")
	}
	x := newWorld(t, trust.ClassAddon)
	x.store.err = errAway
	x.restart()
	x.evidence.withdraw(x.house.status.Current.Subject, trust.SeverityUpdate, false)
	if err := x.w.Look(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("Look: %v, want %v", err, errAway)
	}
	x.want(t, "rollback to 1") // done all the same
}

func TestWhatWasForcedAlthoughWithdrawnIsLeftAlone(t *testing.T) {
	for _, c := range []struct {
		name   string
		forced []trust.Reason
		did    []string
	}{
		{"the owner said yes to that", []trust.Reason{trust.Revoked}, nil},
		{"the owner said yes to something else", []trust.Reason{trust.SignatureMissing}, []string{"rollback to 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newWorld(t, trust.ClassAddon)
			x.house.status.Current.Outcome, x.house.status.Current.Forced = trust.AllowOverridden, c.forced
			x.evidence.withdraw(x.house.status.Current.Subject, trust.SeverityUpdate, false)
			x.look(t)
			x.want(t, c.did...)
		})
	}
}

func TestNothingIsDoneTwiceOrWhileAChangeIsOpen(t *testing.T) {
	for name, busy := range map[string]func(*supervisor.Status){
		"a change is open":        func(s *supervisor.Status) { s.Open = "c7" },
		"it is stopped already":   func(s *supervisor.Status) { s.Stopped = "withdrawn" },
		"nothing is installed":    func(s *supervisor.Status) { s.Current, s.Previous = nil, nil },
		"it was left in the rain": func(s *supervisor.Status) { s.Open, s.Stuck = "c7", true },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWorld(t, trust.ClassAddon)
			x.evidence.withdraw(x.house.status.Current.Subject, trust.SeverityStop, true)
			busy(&x.house.status)
			x.look(t)
			x.want(t)
		})
	}
}

// A replica that cannot be read, a ledger that went silent, a revoked word about somebody else's image: none is a
// withdrawal.
func TestADeferredJudgementChangesNothing(t *testing.T) {
	for name, trouble := range map[string]func(*world){
		"the replica cannot be read": func(x *world) { x.evidence.away = true },
		"the ledger is silent for a year": func(x *world) {
			x.now = began.AddDate(0, 11, 0)
		},
		"another image is withdrawn": func(x *world) {
			x.evidence.withdraw(x.slot(trust.ClassAddon, "3").Subject, trust.SeverityStop, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newWorld(t, trust.ClassAddon)
			trouble(x)
			for range 3 {
				x.look(t)
			}
			x.want(t)
			if v, ok := x.w.Verdict("radio"); !ok || v.Outcome == trust.Refuse {
				t.Errorf("verdict %v", v)
			}
		})
	}
}

func TestAVerdictIsLoggedWhenItChanges(t *testing.T) {
	x := newWorld(t, trust.ClassAddon)
	for range 5 {
		x.look(t)
	}
	if x.log.n != 1 {
		t.Errorf("%d records of one verdict", x.log.n)
	}
	x.evidence.withdraw(x.house.status.Current.Subject, trust.SeverityNotify, false)
	for range 5 {
		x.look(t)
	}
	if x.log.n != 2 {
		t.Errorf("%d records of two verdicts", x.log.n)
	}
}
