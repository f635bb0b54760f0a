package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/updater"
)

// TestEverySkipHasASentence reads the codes out of the updater's own source: each has a group and a sentence, so that no owner
// meets a raw code or advice for a terminal.
func TestEverySkipHasASentence(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../../updater/plan.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{updater.SkipHold: true, "backup": true}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Skip") || len(spec.Values) == 0 {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			code, _ := strconv.Unquote(lit.Value) // it was parsed
			codes[code] = true
		}
		return true
	})
	if len(codes) < 20 {
		t.Fatalf("found only %d codes", len(codes))
	}
	u, _ := fakeUI(t, "admin", nil)
	for code := range codes {
		if _, ok := skipCodes[code]; !ok {
			t.Errorf("skip %q has no group", code)
		}
		for _, lang := range languages {
			v := &visit{ui: u, lang: lang, now: time.Now()}
			s := api.PlanService{Service: "radio", Code: code, Why: "raw: castellan update radio", To: "2", From: "1", Ends: time.Now().Add(time.Hour)}
			for _, ends := range []time.Time{{}, s.Ends} {
				s.Ends = ends
				if got := v.skipText(s, "Radio"); got == "" || strings.Contains(got, "castellan ") || strings.Contains(got, "{") || strings.Contains(got, "⟨") {
					t.Errorf("skip %q in %s says %q", code, lang, got)
				}
			}
		}
	}
}

// vile is text as somebody who attacks a page would have it in names, versions and reasons.
const vile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>` + "\u202Etxt"

// aHouse is a house with one of each kind of update.
func aHouse() map[string]any {
	now := time.Now().UTC()
	plan := api.PlanPreview{Open: true, Disk: api.PlanDisk{Needed: 9e9, Free: 1e9}, Services: []api.PlanService{
		{Service: "core", Class: "core", Mode: "ask", From: "1", To: "2", Code: "ask", Why: "it waits for you: castellan update core", Next: "castellan update core", Bytes: 214e6, Known: true, Restarts: true, Backup: true},
		{Service: "addon_a_mirror", Class: "addon", Mode: "auto", From: "1.0", To: "1.1", Code: "too-new", Ends: now.Add(30 * time.Hour), Known: true},
		{Service: "addon_a_rights", Class: "addon", Mode: "auto", From: "1", To: "2", Code: "consent", Consent: []string{"usb"}, Known: true},
		{Service: "held", Class: "addon", Mode: "ask", From: "1", To: "2", Code: "hold", Known: true},
		{Service: "passed", Class: "addon", Mode: "ask", From: "1", To: vile, Code: "skipped", Why: vile, Known: true},
		{Service: "broken", Class: "addon", Mode: "ask", From: "1", To: "2", Code: "failed-before", Why: vile, Known: true},
		{Service: "newer", Class: "addon", Mode: "ask", From: "3", To: "2", Code: "downgrade", Known: true},
		{Service: "same", Class: "addon", Mode: "off", From: "1", To: "1", Code: "up-to-date"},
	}}
	st := api.Status{Ledger: api.LedgerStatus{State: "fresh", Time: now}, Channel: api.ChannelStatus{Name: "stable", Fetched: now, Error: "cannot poll: " + vile}}
	var dec api.DecisionList
	for _, p := range plan.Services {
		s := api.ServiceStatus{Name: p.Service, Class: p.Class, State: "running", Version: p.From, Badge: "verified", Mode: p.Mode}
		s.Slug, _ = strings.CutPrefix(p.Service, "addon_")
		if s.Slug == p.Service {
			s.Slug = ""
		}
		if p.Service == "broken" {
			s.Error = "2: " + vile
		}
		if p.Service == "core" {
			s.Previous = "0.9"
		}
		st.Services = append(st.Services, s)
		dec.Services = append(dec.Services, api.ServiceDecisions{Service: p.Service, Mode: p.Mode, Default: "ask"})
	}
	dec.Services[3].Hold = &api.Hold{Why: vile, Said: api.Said{By: vile, At: now}}
	dec.Services[4].Skips = []api.Skip{{Version: vile, Said: api.Said{By: "anna", At: now}}}
	dec.Zone, dec.Windows = "Europe/Berlin", []api.Window{{ID: 3, Days: []string{"mon", "tue", "wed"}, From: "02:00", To: "05:00", Zone: "Europe/Berlin", Said: api.Said{By: vile, At: now}}}
	at := func(sec int) time.Time { return now.Add(-time.Hour + time.Duration(sec)*time.Second) }
	good := api.Change{ID: "20260101t000000000000001-aa", Service: "core", Kind: "update", From: "0.9", To: "1", State: "committed", Done: true, Good: true, Verdict: 7, Created: at(0), Updated: at(180),
		Passed: []api.Passage{{State: "resolved", At: at(1)}, {State: "verified", At: at(2)}, {State: "pulled", At: at(100)}, {State: "created", At: at(120)}, {State: "switched", At: at(130)}, {State: "healthy", At: at(140)}, {State: "committed", At: at(141)}}}
	bad := api.Change{ID: "20260101t000000000000002-bb", Service: "broken", Kind: "update", From: "1", To: "2", State: "rolled-back", Done: true, Why: vile, Created: at(0), Updated: at(60),
		Passed: []api.Passage{{State: "verified", At: at(2)}, {State: "pulled", At: at(10)}, {State: "created", At: at(12)}, {State: "switched", At: at(13)}}}
	refused := api.Change{ID: "20260101t000000000000003-cc", Service: "broken", Kind: "update", From: "1", To: "3", State: "refused", Done: true, Reason: "REVOKED", Why: "it was withdrawn", Created: at(0), Updated: at(1)}
	going := api.Change{ID: "20260101t000000000000004-dd", Service: "same", Kind: "update", From: "0", To: "1", State: "verified", Bytes: 30e6, Total: 100e6, Created: now.Add(-30 * time.Second), Updated: now}
	stuck := api.Change{ID: "20260101t000000000000005-ee", Service: "newer", Kind: "update", From: "2", To: "3", State: "stuck", Done: true, Why: "no space left", Created: at(0), Updated: at(9)}
	st.Services[6].State, st.Services[6].Change = "stuck", stuck.ID
	all := []api.Change{going, refused, bad, stuck, good}
	out := map[string]any{
		"GET /castellan/status": st, "GET /castellan/plan": plan, "GET /castellan/decisions": dec, "GET /castellan/changes": api.ChangeList{Changes: all},
		"GET /castellan/addons": api.AddonList{Addons: []api.Addon{{Slug: "a_mirror", Name: "Mirror " + vile}, {Slug: "a_rights", Name: strings.Repeat("Long", 60)}}},
		"GET /castellan/device": api.Device{DiskTotal: 100, DiskFree: 5, MemoryTotal: 9, MemoryFree: 3, Now: now},
		"GET /backups/info":     api.BackupsInfo{Backups: []api.BackupItem{{BackupHead: api.BackupHead{Date: now.Add(-40 * 24 * time.Hour)}}}},
	}
	for _, c := range all {
		out["GET /castellan/changes/"+c.ID] = c
	}
	return out
}

var rooms = []string{"/ui/", "/ui/updates", "/ui/updates/all", "/ui/updates/windows", "/ui/updates/history", "/ui/updates/history?result=back&service=broken", "/ui/updates/services/core",
	"/ui/updates/services/addon_a_mirror", "/ui/updates/services/addon_a_rights", "/ui/updates/services/held", "/ui/updates/services/passed", "/ui/updates/services/newer", "/ui/updates/services/core/back",
	"/ui/updates/changes/20260101t000000000000001-aa", "/ui/updates/changes/20260101t000000000000002-bb", "/ui/updates/changes/20260101t000000000000003-cc",
	"/ui/updates/changes/20260101t000000000000004-dd", "/ui/updates/changes/20260101t000000000000005-ee",
	"/ui/updates/run?since=2020-01-01T00:00:00Z&service=core&service=broken&service=held"}

// TestUpdatesPages draws every page of the rooms in both languages, with hostile text everywhere: no element of it comes
// through, no text is missing, no advice for a terminal is given, and a viewer is shown no form that changes something.
func TestUpdatesPages(t *testing.T) {
	for _, role := range []string{"admin", "viewer"} {
		u, _ := fakeUI(t, role, aHouse())
		for _, path := range rooms {
			for _, lang := range languages {
				w := get(u, path, "Cookie", "castellan=in; lang="+lang)
				body := w.Body.String()
				if w.Code != 200 {
					t.Errorf("%s as %s: %d %s", path, role, w.Code, body)
					continue
				}
				for _, no := range []string{"\u202E", "<script>alert", "<img src=x", "⟨", "castellan update", "%!"} {
					if strings.Contains(body, no) {
						t.Errorf("%s as %s in %s holds %q", path, role, lang, no)
					}
				}
				if forms := strings.Count(body, `method="post"`) - strings.Count(body, `action="/ui/logout"`); role == "viewer" && forms > 0 && path != "/ui/updates/all" {
					t.Errorf("%s shows a viewer %d forms", path, forms)
				}
				if strings.Count(body, `method="post"`) != strings.Count(body, `name="csrf"`) {
					t.Errorf("%s has a form without a token", path)
				}
			}
		}
	}
}

// TestUpdatesSay holds what each page must tell against what it tells.
func TestUpdatesSay(t *testing.T) {
	u, _ := fakeUI(t, "operator", aHouse())
	for path, want := range map[string][]string{
		"/ui/": {"Something needs you", "214\u00a0MB", "backup first", "took 3\u00a0min last time", "pause of 20\u00a0s", "nearly full", "can&#39;t be believed", "old"},
		"/ui/updates": {"Waiting for you", "Comes by itself", "Kept back by you", "The list of releases could not be read lately", "There may not be enough room", "Mon to Wed",
			"30\u00a0MB of 100\u00a0MB", "See the rights", "End the hold", "Take again", "Needs a decision"},
		"/ui/updates/all":                                                                     {`value="core" checked`, `value="broken">`, "214\u00a0MB"},
		"/ui/updates/services/core":                                                           {"Go back to 0.9", `name="mode" value="auto"`, "Skip this version"},
		"/ui/updates/services/newer":                                                          {"Needs a decision", "Nothing is deleted", "Try to go back again", "no space left"},
		"/ui/updates/services/passed":                                                         {"You skipped this version", "Take again"},
		"/ui/updates/changes/20260101t000000000000001-aa":                                     {"is now 1 and running", "Pause", "20\u00a0s", `href="/ui/trust/log/7"`, "Undo: go back to 0.9"},
		"/ui/updates/changes/20260101t000000000000002-bb":                                     {"went back to 1", "with its data as it was", "here it ended"},
		"/ui/updates/changes/20260101t000000000000003-cc":                                     {"was refused", "/ui/help/REVOKED", "Nothing was touched"},
		"/ui/updates/changes/20260101t000000000000005-ee":                                     {"Nothing is deleted", "no space left", "Try to go back again"},
		"/ui/updates/run?since=2020-01-01T00:00:00Z&service=core&service=broken&service=held": {"All done", "One is updated.", "One was refused.", "One did not begin."},
		"/ui/updates/history?result=back":                                                     {"1 change", "Went back"},
	} {
		body := get(u, path).Body.String()
		for _, one := range want {
			if !strings.Contains(body, one) {
				t.Errorf("%s does not say %q", path, one)
			}
		}
	}
	if w := get(u, "/ui/updates/services/nobody"); w.Code != 404 {
		t.Errorf("a service that there is not: %d", w.Code)
	}
}

// TestUpdatesForms sends each form: what it asks of the API, with the form's token, and where it leads.
func TestUpdatesForms(t *testing.T) {
	for _, c := range []struct {
		path string
		form url.Values
		call string
		body string
		to   string
	}{
		{"/ui/updates/update", url.Values{"service": {"core"}, "next": {"/ui/"}}, "POST /castellan/update", `{"service":"core"}`, "/ui/"},
		{"/ui/updates/update", url.Values{"service": {"core"}, "version": {"3"}, "next": {"//evil.example/"}}, "POST /castellan/update", `{"service":"core","version":"3"}`, "/ui/updates"},
		{"/ui/updates/services/core/back", url.Values{}, "POST /castellan/rollback", `{"service":"core"}`, "/ui/updates/services/core"},
		{"/ui/updates/services/core/mode", url.Values{"mode": {"auto"}}, "POST /castellan/modes", `{"service":"core","mode":"auto"}`, "/ui/updates/services/core"},
		{"/ui/updates/services/core/hold", url.Values{"until": {"2026-12-24"}, "why": {" guests "}}, "POST /castellan/holds", `{"service":"core","until":"2026-12-24","why":"guests"}`, "/ui/updates/services/core"},
		{"/ui/updates/services/core/unhold", url.Values{"next": {"/ui/updates"}}, "POST /castellan/holds/end", `{"service":"core"}`, "/ui/updates"},
		{"/ui/updates/services/core/skip", url.Values{"version": {"2"}}, "POST /castellan/skips", `{"service":"core","version":"2"}`, "/ui/updates/services/core"},
		{"/ui/updates/services/core/unskip", url.Values{"version": {"2"}}, "POST /castellan/skips/end", `{"service":"core","version":"2"}`, "/ui/updates/services/core"},
		{"/ui/updates/windows", url.Values{"days": {"sat", "sun"}, "from": {"22:00"}, "to": {"04:00"}, "zone": {"Europe/Berlin"}}, "POST /castellan/windows", `{"days":["sat","sun"],"from":"22:00","to":"04:00","zone":"Europe/Berlin"}`, "/ui/updates/windows"},
		{"/ui/updates/windows", url.Values{"days": weekdays, "from": {"22:00"}, "to": {"04:00"}}, "POST /castellan/windows", `{"from":"22:00","to":"04:00"}`, "/ui/updates/windows"},
		{"/ui/updates/windows/remove", url.Values{"id": {"3"}}, "POST /castellan/windows/remove", `{"id":3}`, "/ui/updates/windows"},
		{"/ui/check", url.Values{"next": {"/ui/updates"}}, "POST /castellan/check", "", "/ui/updates"},
	} {
		answers := aHouse()
		for _, call := range []string{"update", "rollback"} {
			answers["POST /castellan/"+call] = api.Accepted{Changes: []string{"x"}}
		}
		for _, call := range []string{"modes", "holds", "holds/end", "skips", "skips/end", "windows", "windows/remove"} {
			answers["POST /castellan/"+call] = api.Decision{Changed: true}
		}
		answers["POST /castellan/check"] = api.Plan{}
		u, f := fakeUI(t, "admin", answers)
		w := post(u, c.path, c.form)
		calls := f.calls()
		if w.Code != 303 || w.Header().Get("Location") != c.to {
			t.Errorf("%s leads to %d %q, want %q", c.path, w.Code, w.Header().Get("Location"), c.to)
		}
		if len(calls) != 1 || calls[0].call != c.call || calls[0].csrf != "token-of-anna" || c.body != "" && strings.TrimSpace(calls[0].body) != c.body {
			t.Errorf("%s asked %+v, want %s %s", c.path, calls, c.call, c.body)
		}
	}
}

// TestWhatWasTypedComesBack: a refused form is shown again with what was typed and what is wrong beside it.
func TestWhatWasTypedComesBack(t *testing.T) {
	answers := aHouse()
	answers["POST /castellan/holds"] = &api.Error{Status: 400, Key: "bad_request", Message: "the hold's end is past", Next: "give a day to come"}
	answers["POST /castellan/windows"] = &api.Error{Status: 400, Key: "bad_request", Message: "it ends when it starts", Next: "give another end"}
	u, _ := fakeUI(t, "operator", answers)
	w := post(u, "/ui/updates/services/core/hold", url.Values{"until": {"2020-01-01"}, "why": {vile}})
	if body := w.Body.String(); w.Code != 422 || !strings.Contains(body, "the hold&#39;s end is past") || !strings.Contains(body, `value="2020-01-01"`) || strings.Contains(body, "<script>alert") {
		t.Errorf("a bad hold: %d %s", w.Code, body)
	}
	w = post(u, "/ui/updates/windows", url.Values{"days": {"fri"}, "from": {"22:00"}, "to": {"22:00"}, "zone": {"Europe/Berlin"}})
	if body := w.Body.String(); w.Code != 422 || !strings.Contains(body, "it ends when it starts") || !strings.Contains(body, `value="fri" checked`) {
		t.Errorf("a bad window: %d %s", w.Code, body)
	}
}

// TestUpdateThatDoesNotBegin: the next page says why, in words.
func TestUpdateThatDoesNotBegin(t *testing.T) {
	answers := aHouse()
	answers["POST /castellan/update"] = api.Accepted{Skips: []api.PlanSkip{{Service: "core", Code: "hold", Why: "castellan unhold core", To: "2"}}}
	u, _ := fakeUI(t, "operator", answers)
	post(u, "/ui/updates/update", url.Values{"service": {"core"}})
	if body := get(u, "/ui/updates").Body.String(); !strings.Contains(body, "You put its updates on hold.") || !strings.Contains(body, `role="alert"`) {
		t.Error("the page after does not say why nothing began")
	}
	if body := get(u, "/ui/updates").Body.String(); strings.Contains(body, `role="alert"`) {
		t.Error("it is said twice")
	}
}

// TestUpdateAllGoesOnPastTheOneThatFails: each that was chosen is asked for, once.
func TestUpdateAllGoesOnPastTheOneThatFails(t *testing.T) {
	answers := aHouse()
	answers["POST /castellan/update"] = &api.Error{Status: 409, Key: "stuck", Message: "it is stuck", Next: "go back"}
	u, f := fakeUI(t, "operator", answers)
	w := post(u, "/ui/updates/all", url.Values{"service": {"core", "broken"}})
	if to := w.Header().Get("Location"); !strings.HasPrefix(to, "/ui/updates/run?") || !strings.Contains(to, "service=core&service=broken") {
		t.Errorf("it leads to %q", to)
	}
	if calls := f.calls(); len(calls) != 2 {
		t.Errorf("asked %+v", calls)
	}
	if w := post(u, "/ui/updates/all", url.Values{}); w.Header().Get("Location") != "/ui/updates/all" {
		t.Errorf("without a choice it leads to %q", w.Header().Get("Location"))
	}
}

// slowAPI answers one call only when it is let.
type slowAPI struct {
	*fakeAPI
	call string
	let  chan struct{}
}

func (s slowAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method+" "+r.URL.Path == s.call {
		<-s.let
	}
	s.fakeAPI.ServeHTTP(w, r)
}

// TestWhatIsAskedIsSeenBeforeItIsAnswered: a press shows on the page of everybody while the daemon still thinks, is not done
// twice, and what came of it is told when it is known.
func TestWhatIsAskedIsSeenBeforeItIsAnswered(t *testing.T) {
	for _, c := range []struct {
		call, path, page string
		form             url.Values
		seen, said       string
	}{
		{"POST /castellan/update", "/ui/updates/update", "/ui/updates", url.Values{"service": {"core"}}, "Asking the ledger and the list", "it is stuck"},
		{"POST /castellan/check", "/ui/check", "/ui/", url.Values{}, "Checking…", "it is stuck"},
	} {
		answers := aHouse()
		st := answers["GET /castellan/plan"].(api.PlanPreview)
		st.Services[0].Backup = false
		answers[c.call] = &api.Error{Status: 409, Key: "stuck", Message: "it is stuck", Next: "go back"}
		u, f := fakeUI(t, "operator", answers)
		s := slowAPI{f, c.call, make(chan struct{})}
		u.cfg.API = s
		for range 2 {
			if w := post(u, c.path, c.form, "HX-Request", "true"); w.Code != 303 {
				t.Fatalf("%s: %d", c.path, w.Code)
			}
		}
		body := get(u, c.page).Body.String()
		if !strings.Contains(body, c.seen) || !strings.Contains(body, `hx-trigger="every 1s"`) || !strings.Contains(body, "already") {
			t.Errorf("%s does not show what was asked for", c.page)
		}
		close(s.let)
		for { // until it is answered
			_, on1 := u.begun.since("core")
			if _, on2 := u.begun.since(checkedWhat); !on1 && !on2 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		body = get(u, c.page, "HX-Target", "main").Body.String()
		if !strings.Contains(body, c.said) || strings.Contains(body, `hx-trigger="every 1s"`) {
			t.Errorf("%s does not tell what came of it", c.page)
		}
		if n := len(f.calls()); n != 1 {
			t.Errorf("asked %d times", n)
		}
	}
}

// TestOverviewTellsWhatItCan: a part that does not answer takes no other part with it, and an outage is told as one.
func TestOverviewTellsWhatItCan(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(map[string]any)
		has  []string
		not  string
	}{
		{"the engine is away", func(a map[string]any) {
			st := a["GET /castellan/status"].(api.Status)
			st.Engine.Error = "cannot connect to " + vile
			st.Services = st.Services[:1]
			a["GET /castellan/status"] = st
		}, []string{"Docker does not answer", "it is asked again by itself", "Home Assistant"}, "Something needs you"},
		{"the ledger is old", func(a map[string]any) {
			st := a["GET /castellan/status"].(api.Status)
			st.Ledger.State, st.Services = "expired", st.Services[:1]
			a["GET /castellan/status"] = st
		}, []string{"What runs goes on", "Updates wait until it answers"}, "Something needs you"},
		{"no plan", func(a map[string]any) {
			a["GET /castellan/plan"] = &api.Error{Status: 400, Key: "plan_error", Message: "cannot plan: no channel", Next: "wait"}
		}, []string{"Not everything could be told", "cannot plan: no channel", "Something needs you", "/ui/help/plan_error"}, "Nothing waits"},
		{"no device, no backups", func(a map[string]any) {
			delete(a, "GET /castellan/device")
			delete(a, "GET /backups/info")
		}, []string{"This device", "Something needs you"}, "none yet"},
	} {
		answers := aHouse()
		c.do(answers)
		u, _ := fakeUI(t, "viewer", answers)
		w := get(u, "/ui/")
		for _, one := range c.has {
			if w.Code != 200 || !strings.Contains(w.Body.String(), one) {
				t.Errorf("%s: %d, lacks %q", c.name, w.Code, one)
			}
		}
		if strings.Contains(w.Body.String(), c.not) {
			t.Errorf("%s: says %q", c.name, c.not)
		}
	}
	u, _ := fakeUI(t, "viewer", map[string]any{"GET /castellan/status": &api.Error{Status: 502, Message: "the daemon stops", Next: "wait"}})
	if w := get(u, "/ui/"); w.Code != 502 || !strings.Contains(w.Body.String(), "the daemon stops") {
		t.Errorf("without a status: %d", w.Code)
	}
}

// TestWhatEndedDoesNotPileUp: of changes that ended just now the newest of a service stays in sight, and few of them.
func TestWhatEndedDoesNotPileUp(t *testing.T) {
	u, _ := fakeUI(t, "viewer", quiet())
	v := u.visit(httptest.NewRecorder(), httptest.NewRequest("GET", "/ui/", nil))
	var list []api.Change
	for i, service := range []string{"a", "a", "b", "c", "d"} {
		list = append(list, api.Change{ID: strconv.Itoa(i), Service: service, Kind: "update", State: "committed", Done: true, Good: true, Updated: v.now})
	}
	list = append(list, api.Change{ID: "9", Service: "e", Kind: "update", State: "pulled", Updated: v.now})
	running, ended := v.courses(list, 10)
	var ids []string
	for _, c := range running {
		ids = append(ids, c.ID)
	}
	if got := strings.Join(ids, " "); got != "0 2 9" || len(ended) != 5 {
		t.Errorf("in sight are %q, and %d ended", got, len(ended))
	}
}
