package updater

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/castellan/castellan/trust"
)

// by is a service with what its owner decided.
func by(s Installed, decide func(*Decided)) Installed {
	decide(&s.Decided)
	return s
}

func TestPlanHonoursTheOwnersDecisions(t *testing.T) {
	night := Windows{window(t, "* 22:00-04:00 Europe/Berlin")} // noon is outside
	closed := func(d *Decided) { d.Windows = night }
	skips := func(versions ...string) func(*Decided) { return func(d *Decided) { d.Skipped = versions } }
	hold := func(until time.Time, why string) func(*Decided) {
		return func(d *Decided) { d.Hold = &Hold{until, why} }
	}
	unknown := func(d *Decided) { d.Unknown = "the file is damaged" }
	auto, off := core("2026.8.2", ModeAuto), core("2026.8.2", ModeOff)
	needsConsent := by(addon("1", "2", ModeAuto), skips("2"))
	needsConsent.Addon = &Addon{Slug: "x", Asks: []string{"host_network"}}
	together := release(func(r *Release) { r.Together = true })

	for _, c := range []struct {
		name  string
		have  []Installed
		rel   *Release
		owner OwnerRequest
		want  string
		says  string // in the first skip
		next  string
	}{
		{"outside a window", []Installed{by(auto, closed)}, release(nil), OwnerRequest{}, "core window", "opens Tue 2026-09-01 22:00 CEST", "castellan update core"},
		{"asked for, at once", []Installed{by(auto, closed)}, release(nil), OwnerRequest{Service: "core"}, "core owner-update 2026.8.3", "", ""},
		{"all, at once", []Installed{by(auto, closed)}, release(nil), OwnerRequest{All: true}, "core owner-update 2026.8.3", "", ""},
		{"a first installation waits for no window", []Installed{by(core("", ModeAuto), closed)}, release(nil), OwnerRequest{}, "core install 2026.8.3", "", ""},
		{"ask comes before the window", []Installed{by(core("2026.8.2", ModeAsk), closed)}, release(nil), OwnerRequest{}, "core ask", "castellan update core", "castellan update core"},
		{"add-ons wait too", []Installed{by(addon("1", "2", ModeAuto), closed)}, nil, OwnerRequest{}, "addon_x window", "22:00", "castellan update addon_x"},
		{"and what moves as one", []Installed{by(auto, closed), by(dns("2026.01.0", ModeAuto), closed)}, together, OwnerRequest{}, "core window, dns window", "", ""},
		{"up to date needs no window", []Installed{by(core("2026.8.3", ModeAuto), closed)}, release(nil), OwnerRequest{}, "core up-to-date", "newest", ""},

		{"skipped", []Installed{by(auto, skips("2026.8.3"))}, release(nil), OwnerRequest{}, "core skipped", "you skipped version 2026.8.3", "castellan unskip core 2026.8.3"},
		{"written otherwise", []Installed{by(auto, skips("v2026.8.3"))}, release(nil), OwnerRequest{}, "core skipped", "", "castellan unskip core 2026.8.3"},
		{"another one skipped", []Installed{by(auto, skips("2026.8.4"))}, release(nil), OwnerRequest{}, "core auto-update 2026.8.3", "", ""},
		{"all means no skipped one", []Installed{by(auto, skips("2026.8.3"))}, release(nil), OwnerRequest{All: true}, "core skipped", "", ""},
		{"by name it does", []Installed{by(auto, skips("2026.8.3"))}, release(nil), OwnerRequest{Service: "core"}, "core owner-update 2026.8.3", "", ""},
		{"a skip is told before consent", []Installed{needsConsent}, nil, OwnerRequest{}, "addon_x skipped", "", ""},
		{"a skipped one in what moves as one", []Installed{by(auto, skips("2026.8.3")), dns("2026.01.0", ModeAuto)}, together, OwnerRequest{}, "core skipped, dns together", "", ""},

		{"held", []Installed{by(auto, hold(time.Time{}, "guests"))}, release(nil), OwnerRequest{}, "core hold", "its updates are on hold (guests)", "castellan unhold core"},
		{"held to a time", []Installed{by(auto, hold(noon.Add(time.Hour), ""))}, release(nil), OwnerRequest{}, "core hold", "until Tue 2026-09-01 13:00 UTC", "castellan unhold core"},
		{"a hold that is over", []Installed{by(auto, hold(noon, ""))}, release(nil), OwnerRequest{}, "core auto-update 2026.8.3", "", ""},
		{"asking does not end a hold", []Installed{by(auto, hold(time.Time{}, ""))}, release(nil), OwnerRequest{Service: "core"}, "core hold", "castellan unhold core", ""},
		{"held by its mode", []Installed{core("2026.8.2", ModeHold)}, release(nil), OwnerRequest{}, "core hold", "set its mode", "castellan mode core ask"},

		{"off", []Installed{off}, release(nil), OwnerRequest{}, "core off", "switched off", "castellan update core"},
		{"all leaves what is off", []Installed{off}, release(nil), OwnerRequest{All: true}, "core off", "", ""},
		{"by name it moves", []Installed{off}, release(nil), OwnerRequest{Service: "core"}, "core owner-update 2026.8.3", "", ""},
		{"off installs what was configured", []Installed{core("", ModeOff)}, release(nil), OwnerRequest{}, "core install 2026.8.3", "", ""},

		{"decisions that can't be read", []Installed{by(auto, unknown)}, release(nil), OwnerRequest{}, "core hold", "the file is damaged", "castellan update core"},
		{"all is not enough", []Installed{by(auto, unknown)}, release(nil), OwnerRequest{All: true}, "core hold", "", ""},
		{"an owner who asks heals it", []Installed{by(auto, unknown)}, release(nil), OwnerRequest{Service: "core"}, "core owner-update 2026.8.3", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := NewPlan(c.have, c.rel, noon, c.owner)
			if got := outcomes(p); got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
			if c.says != "" && !strings.Contains(p.Skips[0].Why, c.says) || c.next != "" && p.Skips[0].Next != c.next {
				t.Errorf("says %q, next %q, want %q and %q", p.Skips[0].Why, p.Skips[0].Next, c.says, c.next)
			}
		})
	}
	failed, fresh := auto, addon("1", "2", ModeAuto)
	failed.Failed = FailedUpdate{Version: "2026.8.3", When: noon.Add(-time.Hour)}
	fresh.Addon = &Addon{Slug: "x", Seen: noon.Add(-time.Hour), MinAge: 3 * time.Hour}
	for _, c := range []struct {
		s    Installed
		ends time.Time
	}{
		{by(auto, closed), noon.Add(8 * time.Hour)}, {by(auto, hold(noon.Add(time.Hour), "")), noon.Add(time.Hour)},
		{by(auto, hold(time.Time{}, "")), time.Time{}}, {failed, noon.Add(RetryFailed - time.Hour)}, {fresh, noon.Add(2 * time.Hour)},
	} {
		p := NewPlan([]Installed{c.s}, release(nil), noon, OwnerRequest{})
		if !p.Skips[0].Ends.Equal(c.ends) {
			t.Errorf("%s ends at %s, want %s", p.Skips[0].Code, p.Skips[0].Ends, c.ends)
		}
	}
}

// What a withdrawal takes in place of the bad version is asked for by name (cmd/castellan): no window and no skip keeps it.
func TestWhatReplacesAWithdrawnVersionWaitsForNothing(t *testing.T) {
	s := by(core("2026.8.2", ModeOff), func(d *Decided) {
		d.Windows, d.Skipped = Windows{window(t, "* 22:00-23:00 UTC")}, []string{"2026.8.3"}
	})
	p := NewPlan([]Installed{s}, release(nil), noon, OwnerRequest{Service: "core"})
	if got := outcomes(p); got != "core owner-update 2026.8.3" {
		t.Error(got)
	}
}

func TestNothingMovesByItselfAgainstADecision(t *testing.T) {
	night := Windows{window(t, "sat 22:00-04:00 Australia/Lord_Howe")}
	rapid.Check(t, func(r *rapid.T) {
		s := addon("1", "2", rapid.SampledFrom([]Mode{"", ModeAuto, ModeAsk, ModeHold, ModeOff}).Draw(r, "mode"))
		s.Class = rapid.SampledFrom([]trust.Class{trust.ClassCore, trust.ClassSupervisor, trust.ClassAddon}).Draw(r, "class")
		d, now := &s.Decided, noon.Add(time.Duration(rapid.IntRange(0, 14*24*60).Draw(r, "minutes"))*time.Minute)
		if rapid.Bool().Draw(r, "window") {
			d.Windows = night
		}
		if rapid.Bool().Draw(r, "held") {
			d.Hold = &Hold{Until: noon.Add(time.Duration(rapid.IntRange(0, 14*24).Draw(r, "until")) * time.Hour)}
		}
		if rapid.Bool().Draw(r, "skip") {
			d.Skipped = []string{"2"}
		}
		p := NewPlan([]Installed{s}, nil, now, OwnerRequest{})
		may := s.Mode == ModeAuto && d.Windows.Open(now) && !d.Hold.Holds(now) && len(d.Skipped) == 0
		if moves := len(p.Steps) == 1; moves != may {
			r.Fatalf("moves: %v, want %v: %+v at %s: %s", moves, may, s, now, outcomes(p))
		}
		for _, k := range p.Skips {
			if k.Next == "" || k.Why == "" {
				r.Fatalf("a skip without words or without a next step: %+v", k)
			}
		}
	})
}
