package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/events"
	"github.com/castellan/castellan/supervisor/jobs"
)

// KeepJob and JobOf stand for api.JobIDs.
func (h *house) KeepJob(change, job string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.kept == nil {
		h.kept = map[string]string{}
	}
	h.kept[change] = job
	return nil
}

func (h *house) JobOf(change string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kept[change]
}

// jobAt asks for one job, as Home Assistant's client does.
func (s *stage) jobAt(t *testing.T, id string) (v api.JobView) {
	t.Helper()
	rec := send(s.srv.AddonHandler(), "GET", "/jobs/"+id, hostToken, "")
	var env struct{ Data struct{ jobs.Fields } }
	if err := json.Unmarshal(rec.Body.Bytes(), &env); err != nil || rec.Code != 200 {
		t.Fatalf("job %s: %d %s, %v", id, rec.Code, rec.Body.String(), err)
	}
	v.Fields = env.Data.Fields
	return v
}

// await waits until something is told of jobs that is as wanted.
func (s *stage) await(t *testing.T, what string, want func(jobs.Event) bool) {
	t.Helper()
	end := time.After(10 * time.Second)
	for {
		select {
		case e := <-s.moved:
			if want(e) {
				return
			}
		case <-end:
			t.Fatalf("nothing was told of: %s; jobs %+v", what, s.jobs.List())
		}
	}
}

// over waits until a job is over.
func (s *stage) over(t *testing.T, id string) {
	t.Helper()
	s.await(t, "the end of "+id, func(e jobs.Event) bool { return e.UUID == id && e.Done != nil && *e.Done })
}

// begin asks for work in the background and gives its job.
func (s *stage) begin(t *testing.T, path string) string {
	t.Helper()
	data, answer := s.ask(t, "POST", path, `{"background":true}`)
	id, ok := data["job_id"].(string)
	if !ok || len(id) != 32 {
		t.Fatalf("%s: no job in %s", path, answer)
	}
	return id
}

// TestEachLongOperationIsAJobOfHomeAssistantsNameAndGroup asks for each while it runs, and for a second one of its group.
func TestEachLongOperationIsAJobOfHomeAssistantsNameAndGroup(t *testing.T) {
	for _, c := range []struct{ path, name, about, second, busy string }{
		{"/core/update", "home_assistant_core_update", "core", "/core/restart", "home_assistant_core"},
		{"/core/rebuild", "home_assistant_core_rebuild", "core", "/homeassistant/update", "home_assistant_core"},
		{"/addons/core_x/update", "addon_manager_update", "core_x", "/store/addons/core_x/update", "app_core_x"},
		{"/store/addons/core_x/install", "addon_manager_install", "core_x", "/addons/core_x/start", "app_core_x"},
		{"/addons/core_x/uninstall", "addon_manager_uninstall", "core_x", "/addons/core_x/restart", "app_core_x"},
		{"/addons/core_x/rebuild", "addon_manager_rebuild", "core_x", "/addons/core_x/stop", "app_core_x"},
		{"/addons/core_x/start", "addon_start", "core_x", "/addons/core_x/uninstall", "app_core_x"},
		{"/addons/core_x/stop", "addon_stop", "core_x", "/addons/core_x/start", "app_core_x"},
		{"/addons/core_x/restart", "addon_restart", "core_x", "/addons/core_x/update", "app_core_x"},
	} {
		s := newStage(t)
		s.furnish()
		s.hang = make(chan struct{})
		var first sync.WaitGroup
		first.Go(func() { send(s.srv.AddonHandler(), "POST", c.path, hostToken, "") })
		s.await(t, c.path, func(e jobs.Event) bool {
			return e.Name == c.name && *e.Reference == c.about && e.Done != nil && !*e.Done
		})
		before := len(changes(s.reached()))
		rec := send(s.srv.AddonHandler(), "POST", c.second, hostToken, "")
		if rec.Code != 400 || !strings.HasPrefix(rec.Body.String(), `{"result":"error","message":"Another job is running for job group `+c.busy+`"`) {
			t.Errorf("%s while %s: %d %s", c.second, c.path, rec.Code, rec.Body.String())
		}
		if got := changes(s.reached()); len(got) > max(before, 1) {
			t.Errorf("%s while %s reached the house: %q", c.second, c.path, got)
		}
		close(s.hang)
		first.Wait()
	}
}

func TestWhatIsOnlyLookedAtIsAJobToo(t *testing.T) {
	for path, name := range map[string]string{"/store/reload": "store_manager_reload", "/refresh_updates": "supervisor_reload", "/reload_updates": "updater_fetch_data",
		"/supervisor/reload": "supervisor_reload", "/security/integrity": "security_manager_integrity_check", "/core/restart": "home_assistant_core_restart"} {
		s := newStage(t)
		s.furnish()
		s.ask(t, "POST", path, "")
		s.await(t, path, func(e jobs.Event) bool { return e.Name == name && e.Done != nil && *e.Done && len(e.Errors) == 0 })
	}
	s := newStage(t)
	s.furnish()
	s.away = errors.New("no mirror answers")
	s.ask(t, "POST", "/refresh_updates", "")
	if list := s.jobs.List(); len(list) != 1 || len(list[0].Errors) != 1 || *list[0].Errors[0].Key != "refresh_error" {
		t.Errorf("what failed is kept as %+v", list)
	}
}

// TestAJobIsKeptWithWhatWentWrong: who polls finds how it ended, also after a restart.
func TestAJobIsKeptWithWhatWentWrong(t *testing.T) {
	s := newStage(t)
	s.furnish()
	s.hang = make(chan struct{})
	s.end = api.Change{State: "rolled-back", Done: true, Why: "check frontend failed", Next: "castellan log"}
	id := s.begin(t, "/core/update")
	s.srv.Moved(api.Change{ID: "c1", Service: "core", Kind: "update", State: "fetching", From: "1", To: "2", Bytes: 300, Total: 1000}, true)
	if j := s.jobAt(t, id); j.Progress != 30 || *j.Stage != "fetching" || *j.Done || j.Extra["to"] != "2" || j.Extra["total"] != 1000.0 {
		t.Errorf("under way: %+v", j)
	}
	if list := s.jobs.List(); len(list) != 1 {
		t.Errorf("a change of a job has a job of its own: %+v", list)
	}
	if rec := send(s.srv.AddonHandler(), "DELETE", "/jobs/"+id, hostToken, ""); rec.Code != 400 {
		t.Errorf("deleted while it runs: %d %s", rec.Code, rec.Body.String())
	}
	close(s.hang)
	s.over(t, id)
	j := s.jobAt(t, id)
	if len(j.Errors) != 1 || *j.Errors[0].Key != "homeassistant_update_error" || *j.Errors[0].Stage != "rolled-back" ||
		j.Errors[0].Message != "cannot update Home Assistant Core: it ended as rolled back: check frontend failed. Next: castellan log" {
		t.Errorf("it ended as %+v", j)
	}
	if rec := send(s.srv.AddonHandler(), "DELETE", "/jobs/"+id, hostToken, ""); rec.Code != 200 {
		t.Errorf("cannot be deleted: %d %s", rec.Code, rec.Body.String())
	}
	// The manager knows it no more, as after a restart: the change, which is good in this house, answers.
	if j := s.jobAt(t, id); j.Name != "service_update" && j.Name != "home_assistant_core_update" || j.Progress != 100 || j.UUID != id {
		t.Errorf("from the change: %+v", j)
	}
	if rec := send(s.srv.AddonHandler(), "GET", "/jobs/"+strings.Repeat("0", 32), hostToken, ""); rec.Code != 404 {
		t.Errorf("a job that never was: %d", rec.Code)
	}
}

// TestWhatIsRefusedLeavesNoJob: background waits for what can be checked.
func TestWhatIsRefusedLeavesNoJob(t *testing.T) {
	s := newStage(t)
	s.furnish()
	for path, body := range map[string]string{"/addons/greedy/install": `{"background":true}`, "/core/update": `{"background":true,"backup":true}`} {
		if rec := send(s.srv.AddonHandler(), "POST", path, hostToken, body); rec.Code != 400 || strings.Contains(rec.Body.String(), "job_id") {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body.String())
		}
	}
	if list := s.jobs.List(); len(list) != 0 {
		t.Errorf("there are jobs: %+v", list)
	}
}

// TestFiftyInstallationsQueue: one more is told to come later, and the others are all done.
func TestFiftyInstallationsQueue(t *testing.T) {
	s := newStage(t)
	s.furnish()
	s.hang = make(chan struct{})
	var all sync.WaitGroup
	answers := make(chan int, 51)
	for range 51 {
		all.Go(func() { answers <- send(s.srv.AddonHandler(), "POST", "/addons/core_x/install", hostToken, "").Code })
	}
	for n := 0; n < 50; { // one has its turn
		s.await(t, "a job that waits", func(e jobs.Event) bool { return e.Done == nil })
		n++
	}
	if rec := send(s.srv.AddonHandler(), "POST", "/addons/core_x/install", hostToken, ""); rec.Code != 429 || !strings.Contains(rec.Body.String(), "50 wait already") {
		t.Errorf("one too many: %d %s", rec.Code, rec.Body.String())
	}
	waiting := slices.IndexFunc(s.jobs.List(), func(v jobs.View) bool { return v.Done == nil })
	if rec := send(s.by(api.Operator), "POST", "/castellan/jobs/"+s.jobs.List()[waiting].UUID+"/cancel", "", ""); rec.Code != 200 {
		t.Errorf("one that waits cannot be cancelled: %d %s", rec.Code, rec.Body.String())
	}
	close(s.hang)
	all.Wait()
	close(answers)
	ended := map[int]int{}
	for code := range answers {
		ended[code]++
	}
	if ended[200] != 50 || ended[400] != 1 {
		t.Errorf("answers %v", ended)
	}
}

// TestAChangeThatNobodyAskedForIsAJob: it moves by itself, or an earlier run of the daemon began it.
func TestAChangeThatNobodyAskedForIsAJob(t *testing.T) {
	s := newStage(t)
	s.furnish()
	sub, err := s.events.Subscribe(events.Want{Caller: "test", Topics: []events.Topic{events.Change}}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	created := time.Date(2026, 11, 25, 23, 5, 52, 0, time.UTC)
	c := api.Change{ID: "c9", Service: "addon_core_x", Slug: "core_x", Kind: "update", State: "pulling", From: "1", To: "2", Bytes: 1, Total: 4, Created: created}
	if err := s.KeepJob("c9", strings.Repeat("ab", 16)); err != nil { // by the earlier run
		t.Fatal(err)
	}
	s.srv.Moved(c, false)
	id := strings.Repeat("ab", 16)
	s.await(t, "the adopted job", func(e jobs.Event) bool { return e.UUID == id && e.Progress == 25 })
	if j := s.jobAt(t, id); j.Name != "addon_manager_update" || *j.Reference != "core_x" || j.Created != "2026-11-25T23:05:52.000000+00:00" {
		t.Errorf("adopted as %+v", j)
	}
	if rec := send(s.srv.AddonHandler(), "POST", "/addons/core_x/update", hostToken, ""); !strings.Contains(rec.Body.String(), "job group app_core_x") {
		t.Errorf("a second update: %s", rec.Body.String())
	}
	if rec := send(s.by(api.Operator), "POST", "/castellan/jobs/"+id+"/cancel", "", ""); rec.Code != 400 || !strings.Contains(rec.Body.String(), "cannot be interrupted") {
		t.Errorf("cancelled: %d %s", rec.Code, rec.Body.String())
	}
	c.State, c.Done, c.Why, c.Reason = "refused", true, "withdrawn", "REVOKED"
	s.srv.Moved(c, false)
	s.over(t, id)
	if j := s.jobAt(t, id); len(j.Errors) != 1 || *j.Errors[0].Key != api.KeyTrust {
		t.Errorf("it ended as %+v", j)
	}
	list, err := sub.Next(t.Context())
	if err != nil || len(list) != 1 || list[0].Key != "c9" || list[0].Owner != "core_x" || !strings.Contains(string(list[0].Data), `"state":"refused"`) {
		t.Errorf("events of the change: %+v, %v", list, err)
	}
	// Without a word of an earlier run its ID is the change's own; a change that got stuck and moves again is found there.
	s.srv.Moved(api.Change{ID: "c10", Service: "radio", Kind: "rollback", State: "pulling"}, false)
	s.await(t, "a service's job", func(e jobs.Event) bool { return e.Name == "service_restore" && *e.Reference == "radio" })
	s.srv.Moved(api.Change{ID: "c10", Service: "radio", Kind: "rollback", State: "stuck", Done: true}, false)
	s.await(t, "its end", func(e jobs.Event) bool { return e.Name == "service_restore" && *e.Done })
	s.srv.Moved(api.Change{ID: "c10", Service: "radio", Kind: "rollback", State: "undone"}, false)
	s.await(t, "its second life", func(e jobs.Event) bool { return e.Name == "service_restore" && e.Done != nil && !*e.Done })
}

// TestWhoSawTheEndOfAChangeGoesOnAtOnce: the change is over where it is kept, and its job hears of that a moment later.
func TestWhoSawTheEndOfAChangeGoesOnAtOnce(t *testing.T) {
	s := newStage(t)
	s.furnish()
	c := api.Change{ID: "c1", Service: "addon_core_x", Slug: "core_x", Kind: "install", State: "pulling"} // in this house c1 is over
	s.srv.Moved(c, false)
	s.await(t, "its job", func(e jobs.Event) bool { return e.Name == "addon_manager_install" && e.Done != nil && !*e.Done })
	var asked sync.WaitGroup
	asked.Go(func() {
		if rec := send(s.srv.AddonHandler(), "POST", "/addons/core_x/start", hostToken, ""); rec.Code != 200 {
			t.Errorf("got %d %s", rec.Code, rec.Body.String())
		}
	})
	c.State, c.Done, c.Good = "committed", true, true
	s.srv.Moved(c, false)
	asked.Wait()
}

func TestIgnoredConditionsAreKeptAndShown(t *testing.T) {
	s := newStage(t)
	s.furnish()
	s.ask(t, "POST", "/jobs/options", `{"ignore_conditions":["free_space","free_space"]}`)
	for condition, says := range map[string]string{"healthy": "let in by no option", "internet_host": "nothing waits for it here", "haos": "no such part", "supervisor_updated": "its publisher says",
		"trust": "there is none of that name", "untrusted": "there is none of that name", "content_trust": "there is none of that name"} {
		rec := send(s.srv.AddonHandler(), "POST", "/jobs/options", hostToken, `{"ignore_conditions":["free_space","`+condition+`"]}`)
		if rec.Code != 400 || !strings.Contains(rec.Body.String(), says) || !strings.Contains(rec.Body.String(), "what can be ignored is free_space") {
			t.Errorf("%s: %d %s", condition, rec.Code, rec.Body.String())
		}
	}
	s.ask(t, "POST", "/jobs/options", `{}`)
	for path, want := range map[string]string{"/jobs/info": `"ignore_conditions":["free_space"]`, "/resolution/info": `"unsupported":["job_conditions"]`} {
		if _, answer := s.ask(t, "GET", path, ""); !strings.Contains(answer, want) {
			t.Errorf("%s: %s, want %s", path, answer, want)
		}
	}
	s.ask(t, "POST", "/jobs/reset", "")
	if _, answer := s.ask(t, "GET", "/jobs/info", ""); !strings.Contains(answer, `"ignore_conditions":[]`) {
		t.Errorf("after the reset: %s", answer)
	}
}

// TestIssuesAreToldWhenTheyComeAndGo reviews a house that falls ill and recovers.
func TestIssuesAreToldWhenTheyComeAndGo(t *testing.T) {
	s := newStage(t)
	s.furnish()
	sub, err := s.events.Subscribe(events.Want{Caller: "test"}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for _, step := range []struct{ badge, want string }{
		{"verified", `health_changed {"healthy":true}; supported_changed {"supported":true}`},
		{"verified", ""},
		{"withdrawn", `issue_changed {"type":"trust","context":"core",; health_changed {"healthy":false,"unhealthy_reasons":["untrusted"]}`},
		{"verified", `issue_removed {"type":"trust","context":"core",; health_changed {"healthy":true}`},
	} {
		s.status.Services[0].Badge = step.badge
		if err := s.srv.Review(t.Context()); err != nil {
			t.Fatal(err)
		}
		if step.want == "" {
			continue // what is said all the same comes with the next
		}
		list, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Split(step.want, "; ")
		if len(list) != len(want) {
			t.Fatalf("%s: %d events, want %q", step.badge, len(list), want)
		}
		for i, m := range list {
			if got := m.Name + " " + string(m.Data); !strings.HasPrefix(got, want[i]) {
				t.Errorf("%s: %s, want %s", step.badge, got, want[i])
			}
			if m.Topic == events.IssueChanged && !strings.Contains(string(m.Data), `"suggestions":[{"type":"execute_integrity"`) {
				t.Errorf("without what helps: %s", m.Data)
			}
		}
	}
}

// TestMetricsAreInTheFormatOfPrometheus parses every line, and holds some against the house.
func TestMetricsAreInTheFormatOfPrometheus(t *testing.T) {
	s := newStage(t)
	s.furnish()
	s.status.Ledger = api.LedgerStatus{Origin: "example.org/\"l\"\n", State: "fresh", Count: 7, Time: time.Now().Add(-time.Hour)}
	rec := send(s.by(api.Viewer), "GET", "/castellan/metrics", "", "")
	if rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Fatalf("%d %v", rec.Code, rec.Header())
	}
	values, kind := map[string]float64{}, ""
	for line := range strings.Lines(rec.Body.String()) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			kind = strings.Fields(rest)[0]
			continue
		}
		if strings.HasPrefix(line, "# HELP ") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		var v float64
		if n, err := fmt.Sscan(line[i+1:], &v); n != 1 || err != nil || !strings.HasPrefix(line, kind) {
			t.Errorf("line %q: %v", line, err)
		}
		values[line[:i]] = v
	}
	for name, want := range map[string]float64{`castellan_build_info{version="1.2.3"}`: 1, "castellan_engine_up": 1, `castellan_services{state="running"}`: 1,
		`castellan_changes{state="committed"}`: 1, `castellan_ledger_transactions{origin="example.org/\"l\"\n"}`: 7, "castellan_jobs_open": 0, "castellan_event_streams": 0} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s is %v, there: %v; want %v", name, got, ok, want)
		}
	}
	if age := values[`castellan_ledger_age_seconds{origin="example.org/\"l\"\n"}`]; age < 3600 || age > 3700 {
		t.Errorf("the ledger is %v s old", age)
	}
	if values["process_resident_memory_bytes"] < 1<<20 {
		t.Errorf("the daemon takes %v bytes", values["process_resident_memory_bytes"])
	}
}
