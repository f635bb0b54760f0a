package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
)

// visitOf is a request of somebody who is logged in.
func visitOf(path string) *http.Request {
	r := httptest.NewRequest("GET", path, nil)
	r.AddCookie(&http.Cookie{Name: "castellan", Value: "in"})
	return r
}

// TestEveryStateHasItsPlace: each state of the machine is a step that goes on, or an end with a sentence, in each language.
func TestEveryStateHasItsPlace(t *testing.T) {
	u, _ := fakeUI(t, "viewer", aHouse())
	for _, s := range []supervisor.State{supervisor.StatePlanned, supervisor.StateResolved, supervisor.StateVerified, supervisor.StatePulled, supervisor.StateCreated,
		supervisor.StateSwitched, supervisor.StateHealthy, supervisor.StateCommitted, supervisor.StateRefused, supervisor.StateDeferred, supervisor.StateAbandoned,
		supervisor.StateRollingBack, supervisor.StateRolledBack, supervisor.StateStuck} {
		ended := s.Terminal() || s == supervisor.StateStuck
		for _, k := range []supervisor.Kind{supervisor.KindUpdate, supervisor.KindInstall, supervisor.KindRollback, supervisor.KindRecreate, supervisor.KindRemove} {
			for _, lang := range languages {
				v := u.visit(nil, visitOf("/ui/"))
				v.lang = lang
				c := v.course(api.Change{Service: "core", Kind: string(k), State: string(s), Done: ended, Good: s == supervisor.StateCommitted, From: "1", To: "2"})
				if _, ok := stageOf[string(s)]; ok == ended && s != supervisor.StateRollingBack {
					t.Errorf("%s is ended: %v, a step: %v", s, ended, ok)
				}
				if said := c.Said(); strings.ContainsAny(said, "⟨{") || said == "" {
					t.Errorf("%s %s in %s says %q", k, s, lang, said)
				}
				if !v.known("change.outcome_" + c.Outcome()) {
					t.Errorf("%s has the outcome %q, which has no word", s, c.Outcome())
				}
				if bad := ended && !c.Good; bad != (c.Unchanged() != "" && c.After() != "") {
					t.Errorf("%s: unchanged %q, after %q", s, c.Unchanged(), c.After())
				}
			}
		}
	}
}

// TestProgressInventsNothing: a share and a time left are shown only of bytes that are counted, and a wait is told as one.
func TestProgressInventsNothing(t *testing.T) {
	u, _ := fakeUI(t, "viewer", aHouse())
	now := time.Now()
	for _, c := range []struct {
		name string
		c    api.Change
		has  []string
		not  []string
	}{
		{"nothing known", api.Change{State: "planned", Created: now, Updated: now}, []string{"Looking it up in the ledger", `aria-current="step"`}, []string{"value=", "left"}},
		{"no size", api.Change{State: "verified", Created: now, Updated: now}, []string{"Downloading"}, []string{"value=", "left"}},
		{"bytes", api.Change{State: "verified", Bytes: 50e6, Total: 100e6, Created: now.Add(-time.Hour), Updated: now, Passed: []api.Passage{{State: "verified", At: now.Add(-10 * time.Second)}}},
			[]string{`value="50"`, "50\u00a0MB of 100\u00a0MB", "about 10\u00a0s left"}, nil},
		{"all bytes", api.Change{State: "verified", Bytes: 100, Total: 100, Created: now, Updated: now}, []string{"Comparing what came"}, []string{"value=", "100 %"}},
		{"waits", api.Change{State: "verified", Bytes: 50, Total: 100, Created: now.Add(-time.Hour), Updated: now.Add(-40 * time.Second), Trouble: vile}, []string{"Still waiting for the registry; nothing has moved for 40\u00a0s"}, []string{"<script>"}},
		{"goes back", api.Change{State: "rolling-back", Created: now, Updated: now, Why: vile}, []string{"goes back to the version before"}, []string{"value=", "<script>"}},
		{"ended", api.Change{State: "refused", Done: true, Created: now, Updated: now, Why: vile}, []string{"was refused"}, []string{"<progress", "<script>"}},
	} {
		c.c.Service, c.c.Kind, c.c.To = "core", "update", "2"
		v := u.visit(nil, visitOf("/ui/events"))
		var b bytes.Buffer
		data, err := json.Marshal(c.c)
		if err != nil {
			t.Fatal(err)
		}
		v.changeFrames(&b, data)
		for _, one := range c.has {
			if !strings.Contains(b.String(), one) {
				t.Errorf("%s: lacks %q in %s", c.name, one, b.String())
			}
		}
		for _, one := range c.not {
			if strings.Contains(b.String(), one) {
				t.Errorf("%s: has %q in %s", c.name, one, b.String())
			}
		}
		if c.c.Done != strings.Contains(b.String(), "event: announce") {
			t.Errorf("%s: announced %v", c.name, !c.c.Done)
		}
	}
}

// TestMood: the worst counts, and an outage is never called bad.
func TestMood(t *testing.T) {
	one := func(badge, state string) api.ServiceStatus {
		return api.ServiceStatus{Name: "radio", Version: "1", Badge: badge, State: state}
	}
	fresh := api.LedgerStatus{State: "fresh"}
	for _, c := range []struct {
		want string
		s    api.Status
	}{
		{"ok", api.Status{Ledger: fresh, Services: []api.ServiceStatus{one("verified", "running"), one("local", "running"), {Name: "new"}}}},
		{"some", api.Status{Ledger: fresh, Services: []api.ServiceStatus{one("unsigned", "running")}}},
		{"down", api.Status{Ledger: fresh, Services: []api.ServiceStatus{one("unsigned", "running"), one("verified", "absent")}}},
		{"ledger", api.Status{Ledger: api.LedgerStatus{State: "stale"}, Services: []api.ServiceStatus{one("not checked", "absent")}}},
		{"engine", api.Status{Ledger: api.LedgerStatus{State: "expired"}, Engine: api.EngineStatus{Error: "away"}, Services: []api.ServiceStatus{one("verified", "absent")}}},
		{"bad", api.Status{Ledger: fresh, Engine: api.EngineStatus{Error: "away"}, Services: []api.ServiceStatus{one("withdrawn", "running")}}},
		{"bad", api.Status{Ledger: fresh, Services: []api.ServiceStatus{one("verified", "stuck")}}},
		{"bad", api.Status{Ledger: api.LedgerStatus{State: "quarantined"}}},
	} {
		m := moodOf(c.s)
		if m.word != c.want {
			t.Errorf("%+v is %q, want %q", c.s, m.word, c.want)
		}
		if (m.tone() == "bad") != (c.want == "bad") {
			t.Errorf("%q has the colour %q", m.word, m.tone())
		}
	}
	stopped := one("verified", "stopped")
	stopped.Stopped = "by its owner"
	if m := moodOf(api.Status{Ledger: fresh, Services: []api.ServiceStatus{stopped}}); m.word != "ok" || m.stopped != 1 {
		t.Errorf("what its owner stopped makes the house %q", m.word)
	}
}
