package updater

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/castellan/castellan/trust"
)

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func release(change func(*Release)) *Release {
	r := &Release{
		Channel: "stable", Digest: trust.Digest(shaA), Verified: true, Rollout: 100,
		Targets: map[string]Target{
			"core": {Reference: "r.example/core:2026.8.3", Version: "2026.8.3", Digest: trust.Digest(shaB)},
			"dns":  {Reference: "r.example/dns:2026.02.0", Version: "2026.02.0"},
		},
		Floor:    map[string]string{"core": "2026.6.0"},
		Requires: map[string][]Requirement{},
	}
	if change != nil {
		change(r)
	}
	return r
}

func core(version string, mode Mode) Installed {
	return Installed{Service: "core", Class: trust.ClassCore, Target: "core", Version: version, Mode: mode}
}

func dns(version string, mode Mode) Installed {
	return Installed{Service: "dns", Class: trust.ClassSupervisor, Target: "dns", Version: version, Mode: mode}
}

func addon(version, want string, mode Mode) Installed {
	return Installed{Service: "addon_x", Class: trust.ClassAddon, Want: Target{Reference: "r.example/x:" + want, Version: want}, Version: version, Mode: mode}
}

// outcomes writes a plan as "core auto-update 2026.8.3" and "dns hold", in order.
func outcomes(p Plan) string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, fmt.Sprintf("%s %s %s", s.Service, s.Action, s.To.Version))
	}
	for _, s := range p.Skips {
		out = append(out, s.Service+" "+s.Code)
	}
	return strings.Join(out, ", ")
}

func TestPlan(t *testing.T) {
	failed := func(s Installed, version string, ago time.Duration) Installed {
		s.Failed = FailedUpdate{Version: version, When: noon.Add(-ago), Why: "check \"frontend\" failed"}
		return s
	}
	busy := core("2026.8.2", ModeAuto)
	busy.Busy = "c-17"
	local := Installed{Service: "mine", Class: trust.ClassLocal, Want: Target{Reference: "x/mine:2", Version: "2"}, Version: "1", Mode: ModeAuto}
	nothing := Installed{Service: "odd", Class: trust.ClassAddon, Version: "1"}
	needsDNS := release(func(r *Release) { r.Requires["core"] = []Requirement{{"dns", "2026.02.0"}} })
	together := release(func(r *Release) { r.Together = true })
	togetherNeeds := release(func(r *Release) { r.Together = true; r.Requires["core"] = []Requirement{{"dns", "2026.02.0"}} })
	slow := release(func(r *Release) { r.Rollout, r.Bucket = 10, 10 })
	unverified := release(func(r *Release) { r.Verified = false })

	for _, c := range []struct {
		name  string
		have  []Installed
		rel   *Release
		owner OwnerRequest
		want  string
	}{
		{"newer, auto", []Installed{core("2026.8.2", ModeAuto)}, release(nil), OwnerRequest{}, "core auto-update 2026.8.3"},
		{"newer, ask", []Installed{core("2026.8.2", ModeAsk)}, release(nil), OwnerRequest{}, "core ask"},
		{"no mode means ask", []Installed{core("2026.8.2", "")}, release(nil), OwnerRequest{}, "core ask"},
		{"newer, hold", []Installed{core("2026.8.2", ModeHold)}, release(nil), OwnerRequest{}, "core hold"},
		{"same", []Installed{core("2026.8.3", ModeAuto)}, release(nil), OwnerRequest{}, "core up-to-date"},
		{"core never goes down by itself", []Installed{core("2026.9.0b1", ModeAuto)}, release(nil), OwnerRequest{}, "core downgrade"},
		{"nor when asked without a version", []Installed{core("2026.9.0b1", ModeAuto)}, release(nil), OwnerRequest{Service: "core"}, "core downgrade"},
		{"but by the owner's version", []Installed{core("2026.9.0b1", ModeAuto)}, release(nil), OwnerRequest{Service: "core", Version: "2026.7.1"}, "core owner-update 2026.7.1"},
		{"not to be ordered", []Installed{core("2026.08.3", ModeAuto)}, release(nil), OwnerRequest{}, "core uncomparable"},
		{"unknown kind", []Installed{core("main-abc", ModeAuto)}, release(nil), OwnerRequest{}, "core uncomparable"},
		{"add-on up", []Installed{addon("1.0", "1.1", ModeAuto)}, nil, OwnerRequest{}, "addon_x auto-update 1.1"},
		{"add-on moves down too", []Installed{addon("1.1", "1.0", ModeAuto)}, nil, OwnerRequest{}, "addon_x auto-update 1.0"},
		{"add-on of unknown kind", []Installed{addon("abc", "abd", ModeAuto)}, nil, OwnerRequest{}, "addon_x auto-update abd"},
		{"add-on the same", []Installed{addon("v1.0", "1.0", ModeAuto)}, nil, OwnerRequest{}, "addon_x up-to-date"},
		{"first install needs no asking", []Installed{core("", ModeAsk)}, release(nil), OwnerRequest{}, "core install 2026.8.3"},
		{"nor the rollout's turn", []Installed{core("", ModeAuto)}, slow, OwnerRequest{}, "core install 2026.8.3"},
		{"but hold holds", []Installed{core("", ModeHold)}, release(nil), OwnerRequest{}, "core hold"},
		{"busy", []Installed{busy}, release(nil), OwnerRequest{Service: "core"}, "core busy"},
		{"no channel yet", []Installed{core("1", ModeAuto)}, nil, OwnerRequest{}, "core no-target"},
		{"target unknown to the channel", []Installed{{Service: "x", Target: "x"}}, release(nil), OwnerRequest{}, "x no-target"},
		{"neither target nor image", []Installed{nothing}, release(nil), OwnerRequest{}, "odd no-target"},
		{"failed an hour ago", []Installed{failed(core("2026.8.2", ModeAuto), "2026.8.3", time.Hour)}, release(nil), OwnerRequest{}, "core failed-before"},
		{"failed a day ago", []Installed{failed(core("2026.8.2", ModeAuto), "2026.8.3", RetryFailed)}, release(nil), OwnerRequest{}, "core auto-update 2026.8.3"},
		{"an older one failed", []Installed{failed(core("2026.8.2", ModeAuto), "2026.8.2.5", time.Hour)}, release(nil), OwnerRequest{}, "core auto-update 2026.8.3"},
		{"failed in the future", []Installed{failed(core("2026.8.2", ModeAuto), "2026.8.3", -time.Hour)}, release(nil), OwnerRequest{}, "core auto-update 2026.8.3"},
		{"a first install failed", []Installed{failed(core("", ModeAuto), "2026.8.3", time.Hour)}, release(nil), OwnerRequest{}, "core failed-before"},
		{"rollout: not yet", []Installed{core("2026.8.2", ModeAuto)}, slow, OwnerRequest{}, "core rollout"},
		{"channel not verified", []Installed{core("2026.8.2", ModeAuto)}, unverified, OwnerRequest{}, "core unverified-channel"},
		{"add-ons need no channel", []Installed{addon("1", "2", ModeAuto)}, unverified, OwnerRequest{}, "addon_x auto-update 2"},
		{"requires", []Installed{core("2026.8.2", ModeAuto), dns("2026.01.0", ModeHold)}, needsDNS, OwnerRequest{}, "core requires, dns hold"},
		{"required first, then the other", []Installed{core("2026.8.2", ModeAuto), dns("2026.01.0", ModeAuto)}, needsDNS, OwnerRequest{}, "dns auto-update 2026.02.0, core requires"},
		{"requires what is not here", []Installed{core("2026.8.2", ModeAuto)}, needsDNS, OwnerRequest{}, "core requires"},
		{"requirement met", []Installed{core("2026.8.2", ModeAuto), dns("2026.02.0", ModeAuto)}, needsDNS, OwnerRequest{}, "core auto-update 2026.8.3, dns up-to-date"},
		{"together", []Installed{core("2026.8.2", ModeAuto), dns("2026.01.0", ModeAuto)}, together, OwnerRequest{}, "core auto-update 2026.8.3, dns auto-update 2026.02.0"},
		{"together meets its own requirements", []Installed{core("2026.8.2", ModeAuto), dns("2026.01.0", ModeAuto)}, togetherNeeds, OwnerRequest{}, "core auto-update 2026.8.3, dns auto-update 2026.02.0"},
		{"together or not at all", []Installed{core("2026.8.2", ModeAuto), dns("2026.01.0", ModeHold), addon("1", "2", ModeAuto)}, together, OwnerRequest{}, "addon_x auto-update 2, core together, dns hold"},
		{"one up to date already", []Installed{core("2026.8.2", ModeAuto), dns("2026.02.0", ModeHold)}, together, OwnerRequest{}, "core auto-update 2026.8.3, dns up-to-date"},
		{"asking for one asks for all of them", []Installed{core("2026.8.2", ModeAsk), dns("2026.01.0", ModeAsk)}, together, OwnerRequest{Service: "dns"}, "core owner-update 2026.8.3, dns owner-update 2026.02.0"},
		{"the owner lifts ask", []Installed{core("2026.8.2", ModeAsk), dns("2026.01.0", ModeAsk)}, release(nil), OwnerRequest{Service: "core"}, "core owner-update 2026.8.3, dns ask"},
		{"the owner lifts failed-before", []Installed{failed(core("2026.8.2", ModeAuto), "2026.8.3", time.Hour)}, release(nil), OwnerRequest{Service: "core"}, "core owner-update 2026.8.3"},
		{"the owner lifts rollout", []Installed{core("2026.8.2", ModeAuto)}, slow, OwnerRequest{Service: "core"}, "core owner-update 2026.8.3"},
		{"the owner's word on requires goes to the Judge", []Installed{core("2026.8.2", ModeAuto)}, needsDNS, OwnerRequest{Service: "core"}, "core owner-update 2026.8.3"},
		{"the owner's word on a channel goes to the Judge", []Installed{core("2026.8.2", ModeAuto)}, unverified, OwnerRequest{Service: "core"}, "core owner-update 2026.8.3"},
		{"the owner does not lift hold", []Installed{core("2026.8.2", ModeHold)}, release(nil), OwnerRequest{Service: "core"}, "core hold"},
		{"all", []Installed{core("2026.8.2", ModeAsk), dns("2026.02.0", ModeAsk)}, release(nil), OwnerRequest{All: true}, "core owner-update 2026.8.3, dns up-to-date"},
		{"no such service", []Installed{core("2026.8.3", ModeAuto)}, release(nil), OwnerRequest{Service: "kore"}, "core up-to-date, kore no-target"},
		{"version that is no tag", []Installed{core("2026.8.3", ModeAuto)}, release(nil), OwnerRequest{Service: "core", Version: "a/b"}, "core no-target"},
		{"a local build waits", []Installed{local}, nil, OwnerRequest{}, "mine ask"},
		{"and moves when asked", []Installed{local}, nil, OwnerRequest{Service: "mine"}, "mine owner-update 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := NewPlan(c.have, c.rel, noon, c.owner)
			if got := outcomes(p); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			for _, s := range p.Skips {
				if s.Why == "" {
					t.Errorf("%s is skipped as %s without words", s.Service, s.Code)
				}
			}
		})
	}
}

func TestStepCarriesWhatTheJudgeNeeds(t *testing.T) {
	rel := release(func(r *Release) { r.Requires["core"] = []Requirement{{"dns", "2027.1.0"}} })
	have := []Installed{core("2026.8.2", ModeAuto), dns("2026.02.0", ModeAuto)}
	want := Step{
		Service: "core", Class: trust.ClassCore, Action: trust.OwnerUpdate, From: "2026.8.2", To: rel.Targets["core"],
		Channel:  &trust.ChannelClaim{Name: "stable", Digest: trust.Digest(shaA), Floor: "2026.6.0"},
		Requires: []string{"dns 2027.1.0 or newer (has 2026.02.0)"},
	}
	p := NewPlan(have, rel, noon, OwnerRequest{Service: "core"})
	if d := cmp.Diff([]Step{want}, p.Steps); d != "" {
		t.Error(d)
	}
	p = NewPlan(have, rel, noon, OwnerRequest{Service: "core", Version: "2026.7.0"})
	if to := p.Steps[0].To; to != (Target{Reference: "r.example/core:2026.7.0", Version: "2026.7.0"}) {
		t.Errorf("another version must not carry the offered one's digest: %+v", to)
	}
}

func TestPlanIsPureAndPlacesEveryServiceOnce(t *testing.T) {
	versions := rapid.SampledFrom([]string{"", "2026.8.2", "2026.8.3", "2026.9.0b1", "main", "2026.02.0"})
	modes := rapid.SampledFrom([]Mode{"", ModeAuto, ModeAsk, ModeHold})
	targets := rapid.SampledFrom([]string{"", "core", "dns", "gone"})
	classes := rapid.SampledFrom([]trust.Class{trust.ClassCore, trust.ClassSupervisor, trust.ClassAddon, trust.ClassLocal})
	rapid.Check(t, func(t *rapid.T) {
		var have []Installed
		for i := range rapid.IntRange(0, 6).Draw(t, "n") {
			s := Installed{
				Service: fmt.Sprint("s", i), Class: classes.Draw(t, "class"), Target: targets.Draw(t, "target"),
				Version: versions.Draw(t, "version"), Mode: modes.Draw(t, "mode"),
				Failed: FailedUpdate{Version: versions.Draw(t, "failed"), When: noon.Add(-time.Hour)},
			}
			if rapid.Bool().Draw(t, "want") {
				s.Want = Target{Reference: "r.example/x:2026.8.3", Version: "2026.8.3"}
			}
			have = append(have, s)
		}
		rel := release(func(r *Release) {
			r.Together, r.Verified = rapid.Bool().Draw(t, "together"), rapid.Bool().Draw(t, "verified")
			r.Rollout = rapid.IntRange(0, 100).Draw(t, "rollout")
			r.Requires["core"] = []Requirement{{"dns", versions.Draw(t, "requires")}}
		})
		owner := rapid.SampledFrom([]OwnerRequest{{}, {All: true}, {Service: "s0"}, {Service: "s1", Version: "2026.7.0"}}).Draw(t, "owner")
		before := append([]Installed{}, have...)
		a, b := NewPlan(have, rel, noon, owner), NewPlan(have, rel, noon, owner)
		if d := cmp.Diff(a, b); d != "" {
			t.Fatal("two plans of the same facts differ: ", d)
		}
		if d := cmp.Diff(before, have); len(have) > 0 && d != "" {
			t.Fatal("the plan changed its facts: ", d)
		}
		seen := map[string]int{}
		for _, s := range a.Steps {
			seen[s.Service]++
			if s.Action == trust.AutoUpdate && s.Channel != nil && (!rel.Verified || len(s.Requires) > 0) {
				t.Fatalf("moves by itself: %+v", s)
			}
		}
		for _, s := range a.Skips {
			seen[s.Service]++
		}
		for _, s := range have {
			if seen[s.Service] != 1 {
				t.Fatalf("%s is in the plan %d times", s.Service, seen[s.Service])
			}
		}
	})
}

func BenchmarkPlan(b *testing.B) {
	have := []Installed{core("2026.8.2", ModeAuto), dns("2026.01.0", ModeAuto)}
	for i := range 8 {
		s := addon("1.0", "1.1", ModeAuto)
		s.Service = fmt.Sprint("addon_", i)
		have = append(have, s)
	}
	rel := release(nil)
	for b.Loop() {
		NewPlan(have, rel, noon, OwnerRequest{})
	}
}
