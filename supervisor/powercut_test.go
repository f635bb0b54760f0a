package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/updater"
)

// scenario is a change and what must be true once it rests, whatever happened on the way.
type scenario struct {
	name     string
	services []string
	before   func(w *world)
	submit   func(w *world) []Change
	end      State
	runs     string // version that runs then, "" = nothing
	wrote    string // last version that may have written to the data

	tended  bool   // the services are add-ons
	sleeps  bool   // what is there does not run
	options string // what runs has read, "" = whatever
	foreign *Aside // somebody's container, as it must be then
}

var scenarios = []scenario{
	{
		name: "update", services: []string{"radio"},
		before: func(w *world) { w.at("1", "radio") },
		submit: func(w *world) []Change { return w.submit(step("radio", "2")) },
		end:    StateCommitted, runs: "2", wrote: "2",
	},
	{
		name: "update that is sick", services: []string{"radio"},
		before: func(w *world) {
			w.at("1", "radio")
			w.engine.sick[image("radio", "2").Subject.Config] = true
		},
		submit: func(w *world) []Change { return w.submit(step("radio", "2")) },
		end:    StateRolledBack, runs: "1", wrote: "1",
	},
	{
		name: "rollback", services: []string{"radio"},
		before: func(w *world) { w.at("1", "radio"); w.at("2", "radio") },
		submit: func(w *world) []Change { return []Change{must(w.m.Rollback(context.Background(), "radio"))} },
		end:    StateCommitted, runs: "1", wrote: "1",
	},
	{
		name: "install", services: []string{"radio"},
		before: func(*world) {},
		submit: func(w *world) []Change { return w.submit(step("radio", "1")) },
		end:    StateCommitted, runs: "1", wrote: "1",
	},
	{
		name: "install that dies", services: []string{"radio"},
		before: func(w *world) { w.engine.dies[image("radio", "1").Subject.Config] = true },
		submit: func(w *world) []Change { return w.submit(step("radio", "1")) },
		end:    StateRolledBack,
	},
	{
		name: "refused update", services: []string{"radio"},
		before: func(w *world) { w.at("1", "radio"); w.ledger.say(image("radio", "2"), trust.Untrusted) },
		submit: func(w *world) []Change { return w.submit(step("radio", "2")) },
		end:    StateRefused, runs: "1", wrote: "1",
	},
	{
		name: "remove", services: []string{"radio"},
		before: func(w *world) { w.at("1", "radio"); w.at("2", "radio") },
		submit: func(w *world) []Change { return []Change{must(w.m.Remove(context.Background(), "radio"))} },
		end:    StateCommitted, wrote: "2",
	},
	{
		name: "recreate", services: []string{"radio"},
		before: func(w *world) { w.at("1", "radio") },
		submit: func(w *world) []Change { return []Change{must(w.m.Recreate(context.Background(), "radio"))} },
		end:    StateCommitted, runs: "1", wrote: "1",
	},
	{
		name: "set", services: []string{"radio", "tv"},
		before: func(w *world) { w.at("1", "radio", "tv") },
		submit: func(w *world) []Change { return w.submitTogether("2", "radio", "tv") },
		end:    StateCommitted, runs: "2", wrote: "2",
	},
	{
		name: "set with a sick member", services: []string{"radio", "tv"},
		before: func(w *world) {
			w.at("1", "radio", "tv")
			w.engine.sick[image("tv", "2").Subject.Config] = true
		},
		submit: func(w *world) []Change { return w.submitTogether("2", "radio", "tv") },
		end:    StateRolledBack, runs: "1", wrote: "1",
	},
	{
		name: "set with a refused member", services: []string{"radio", "tv"},
		before: func(w *world) { w.at("1", "radio", "tv"); w.ledger.say(image("tv", "2"), trust.Untrusted) },
		submit: func(w *world) []Change { return w.submitTogether("2", "radio", "tv") },
		end:    StateAbandoned, runs: "1", wrote: "1",
	},
}

// tendedScenarios are the life of an add-on.
var tendedScenarios = []scenario{
	{
		name: "add-on installed", services: []string{"radio"}, tended: true, sleeps: true,
		before: func(*world) {},
		submit: func(w *world) []Change { return w.submit(step("radio", "1")) },
		end:    StateCommitted, runs: "1",
	},
	{
		name: "add-on started for the first time", services: []string{"radio"}, tended: true,
		before: func(w *world) { w.at("1", "radio") },
		submit: func(w *world) []Change { return w.renew("radio") },
		end:    StateCommitted, runs: "1", wrote: "1", options: "first",
	},
	{
		name: "add-on updated", services: []string{"radio"}, tended: true,
		before: func(w *world) { w.awake("1", "radio"); w.options("radio", "second") },
		submit: func(w *world) []Change { return w.submit(step("radio", "2")) },
		end:    StateCommitted, runs: "2", wrote: "2", options: "second",
	},
	{
		name: "add-on updated while it is stopped", services: []string{"radio"}, tended: true, sleeps: true,
		before: func(w *world) { w.at("1", "radio") },
		submit: func(w *world) []Change { return w.submit(step("radio", "2")) },
		end:    StateCommitted, runs: "2",
	},
	{
		name: "add-on update refused", services: []string{"radio"}, tended: true,
		before: func(w *world) { w.awake("1", "radio"); w.ledger.say(image("radio", "2"), trust.Untrusted) },
		submit: func(w *world) []Change { return w.submit(step("radio", "2")) },
		end:    StateRefused, runs: "1", wrote: "1",
	},
	{
		name: "options changed", services: []string{"radio"}, tended: true,
		before: func(w *world) { w.awake("1", "radio"); w.options("radio", "second") },
		submit: func(w *world) []Change { return w.renew("radio") },
		end:    StateCommitted, runs: "1", wrote: "1", options: "second",
	},
	{
		name: "options changed so that it fails", services: []string{"radio"}, tended: true,
		before: func(w *world) { w.awake("1", "radio"); w.options("radio", "poison") },
		submit: func(w *world) []Change { return w.renew("radio") },
		end:    StateRolledBack, runs: "1", wrote: "1", options: "first",
	},
	{
		name: "add-on uninstalled", services: []string{"radio"}, tended: true,
		before: func(w *world) { w.awake("1", "radio") },
		submit: func(w *world) []Change { return []Change{must(w.m.Remove(context.Background(), "radio"))} },
		end:    StateCommitted, wrote: "1",
	},
	{
		name: "container adopted", services: []string{"radio"}, tended: false,
		before: func(w *world) { w.adopt("radio") },
		submit: func(w *world) []Change { return w.submit(step("radio", "1")) },
		end:    StateCommitted, runs: "1", wrote: "1",
		foreign: &Aside{ID: "theirs", Name: "homeassistant.before-castellan", Restart: noRestart},
	},
	{
		name: "container adopted in vain", services: []string{"radio"}, tended: false,
		before: func(w *world) { w.adopt("radio"); w.engine.sick[image("radio", "1").Subject.Config] = true },
		submit: func(w *world) []Change { return w.submit(step("radio", "1")) },
		end:    StateRolledBack, foreign: &Aside{ID: "theirs", Name: "homeassistant", Restart: "always", Running: true},
	},
}

// renew makes an add-on run with its settings of now.
func (w *world) renew(name string) []Change {
	return []Change{must(w.m.Renew(context.Background(), name))}
}

// awake brings add-ons to a version and starts them.
func (w *world) awake(version string, services ...string) {
	w.at(version, services...)
	for _, s := range services {
		w.renew(s)
	}
	w.run()
}

// adopt puts somebody's container where the service will be.
func (w *world) adopt(name string) {
	w.engine.foreign = &Aside{ID: "theirs", Name: "homeassistant", Restart: "always", Running: true}
	w.services[0].Adopts = "homeassistant"
	must(0, w.m.SetServices(w.services))
}

func (w *world) submitTogether(version string, services ...string) []Change {
	p := updater.Plan{Together: true}
	for _, s := range services {
		x := step(s, version)
		x.Channel = &trust.ChannelClaim{Name: "stable", Digest: trust.DigestOf([]byte(version))}
		p.Steps = append(p.Steps, x)
	}
	taken, errs := w.m.Submit(context.Background(), p)
	if len(errs) > 0 {
		w.t.Fatal(errs)
	}
	return taken
}

// TestPowerCut disturbs each call the machine makes to the outside, in every way, and wants the same end as without.
// The calls are recorded from an undisturbed run, so a new one cannot be forgotten.
func TestPowerCut(t *testing.T) {
	for _, s := range append(scenarios, tendedScenarios...) {
		t.Run(s.name, func(t *testing.T) {
			var calls []string
			synctest.Test(t, func(t *testing.T) { calls = s.disturb(t, disturbance{at: -1}) })
			t.Logf("%d calls: %s", len(calls), strings.Join(calls, ", "))
			for at, call := range calls {
				ways := []disturbance{
					{at, "cut", false, false}, {at, "cut", true, false}, {at, "cut", false, true}, {at, "cut", true, true},
					{at, "error", false, false}, {at, "error", true, false}, {at, "hang", false, false}, {at, "hang", true, false},
				}
				if len(s.services) > 1 {
					ways = ways[:4] // a set adds decisions on disk; its steps are those of the others
				}
				for _, d := range ways {
					t.Run(fmt.Sprintf("%d %s/%s", at, call, d), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { s.disturb(t, d) })
					})
				}
			}
		})
	}
}

type disturbance struct {
	at      int
	mode    string
	applied bool
	power   bool // the containers lose power too, not only the supervisor
}

func (d disturbance) String() string {
	s := d.mode + " lost"
	if d.applied {
		s = d.mode + " applied"
	}
	if d.power {
		s += ", power gone"
	}
	return s
}

func (s scenario) disturb(t *testing.T, d disturbance) []string {
	w := newWorld(t, s.services...)
	defer w.close()
	if s.tended {
		w.tend()
	}
	s.before(w)
	changes := s.submit(w)

	*w.tap = tap{at: d.at, mode: d.mode, applied: d.applied}
	w.run()
	calls := w.tap.calls
	for boots := 0; w.tap.dead; boots++ {
		if boots > 3 {
			t.Fatal("it does not come back")
		}
		if d.power {
			w.engine.powerCut()
		}
		w.down()
		w.tap.at = -1
		w.boot()
		w.run()
	}
	// What must run is looked after even when nothing changes any more.
	w.tap.mu.Lock()
	w.tap.at = -1 // members of a set race, so this run may have made fewer calls than the recorded one
	w.tap.mu.Unlock()
	if err := w.m.Ensure(context.Background()); err != nil {
		t.Errorf("ensure: %v", err)
	}
	if err := w.m.BringUp(context.Background()); err != nil {
		t.Errorf("bring up: %v", err)
	}
	s.holds(w, changes)
	if t.Failed() {
		t.Logf("calls: %s", strings.Join(w.tap.calls[:min(80, len(w.tap.calls))], ", "))
	}
	return calls
}

// holds checks the five sentences.
func (s scenario) holds(w *world, changes []Change) {
	t := w.t
	report, err := w.log.Verify()
	if err != nil || len(report.Breaks) > 0 {
		t.Errorf("the log does not verify: %v %+v", err, report)
	}
	allowed, told := map[trust.Digest]bool{}, map[string]string{}
	for r, err := range w.log.Records(audit.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		switch r.Kind {
		case audit.KindVerdict:
			var v struct {
				Verdict trust.Verdict `json:"verdict"`
			}
			must(0, json.Unmarshal(r.Payload, &v))
			if v.Verdict.Outcome.Allowed() {
				allowed[v.Verdict.Subject.Config] = true
			}
		case audit.KindAction:
			var a Action
			must(0, json.Unmarshal(r.Payload, &a))
			told[a.Change] = a.What
		}
	}
	images := map[trust.Digest]bool{}
	for _, name := range s.services {
		st := w.status(name)
		var have []Container
		for _, c := range w.engine.list() {
			if c.Service == name {
				have = append(have, c)
			}
		}
		for _, slot := range []*Slot{st.Current, st.Previous} {
			if slot != nil {
				images[slot.Image] = true
			}
		}
		if s.runs == "" {
			if len(have) > 0 {
				t.Errorf("%s: containers are left: %+v", name, have)
			}
			continue
		}
		want := image(name, s.runs).Subject.Config
		restart := unlessStopped
		if s.tended {
			restart = noRestart
		}
		if len(have) != 1 || have[0].Running == s.sleeps || have[0].Image != want || have[0].Name != name || have[0].Restart != restart {
			t.Errorf("%s: want one container of version %s under its name, sleeping %v, have %+v", name, s.runs, s.sleeps, have)
		}
		if read := w.engine.read[have[0].ID]; s.options != "" && read != s.options {
			t.Errorf("%s runs with the options %q, want %q", name, read, s.options)
		}
		if !allowed[want] {
			t.Errorf("%s: what runs was never allowed", name)
		}
		if st.Current == nil || st.Current.Image != want || len(have) == 1 && st.Current.Container != have[0].ID {
			t.Errorf("%s: the journal says %+v", name, st.Current)
		}
		if wrote := w.engine.data[name]; slices.Max(append(wrote, "")) > s.wrote && s.end != StateCommitted {
			t.Errorf("%s: the data is not as before: %v", name, wrote)
		}
	}
	ends := map[State]bool{}
	for _, c := range changes {
		now := must(w.m.Change(c.ID))
		ends[now.State] = true
		what := string(now.State)
		if c.Kind == KindRemove {
			what = "removed"
		}
		if !now.State.Terminal() || told[c.ID] != what {
			t.Errorf("change %s is %s, the story says %q; why %q, trouble %q", c.Service.Name, now.State, told[c.ID], now.Why, now.Trouble)
		}
	}
	if !ends[s.end] {
		t.Errorf("ended as %v, want %s", ends, s.end)
	}
	if f := w.engine.foreign; s.foreign != nil && (f == nil || *f != *s.foreign) {
		t.Errorf("somebody's container is %+v, want %+v", f, s.foreign)
	}
	if len(w.engine.kept) > 0 {
		t.Errorf("snapshots are left: %v", w.engine.kept)
	}
	for id := range images {
		if _, held := w.engine.images[id]; !held {
			t.Errorf("image %s of a slot is gone", id)
		}
	}
}
