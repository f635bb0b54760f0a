package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// trustPages are all pages of the room, of a house in which all of it has something to tell.
var trustPages = []string{"/ui/trust", "/ui/trust/images", "/ui/trust/ledgers", "/ui/trust/publishers", "/ui/trust/log/408", "/ui/trust/log/404", "/ui/trust/chain",
	"/ui/trust/force?service=addon_bridge", "/ui/trust/forced?id=o1abc&service=addon_nodered&record=406", "/ui/trust/forget?service=addon_bridge"}

// TestTrustIsDrawn: each page is there in each language, with no text missing, and what is hostile is text.
func TestTrustIsDrawn(t *testing.T) {
	u, _ := fakeUI(t, "admin", busy())
	for _, path := range trustPages {
		for _, lang := range languages {
			w := get(u, path, "Accept-Language", lang)
			page := w.Body.String()
			if w.Code != http.StatusOK {
				t.Errorf("%s in %s answers %d: %s", path, lang, w.Code, page)
			}
			if i := strings.Index(page, "⟨"); i >= 0 {
				t.Errorf("%s in %s lacks a text: %.60s", path, lang, page[i:])
			}
			if strings.Contains(page, "<img src=x") || strings.Contains(page, "onerror=alert(1)>\"'>") {
				t.Errorf("%s takes text from outside for its own", path)
			}
			if strings.Contains(page, " style=") || strings.Contains(page, " onclick=") {
				t.Errorf("%s has what the policy forbids", path)
			}
		}
	}
}

// TestTrustOfAViewer: who may not decide is shown all of it, and no button that would be refused.
func TestTrustOfAViewer(t *testing.T) {
	for role, forms := range map[string]bool{"viewer": false, "admin": true} {
		u, _ := fakeUI(t, role, busy())
		for _, path := range trustPages {
			page := get(u, path).Body.String()
			if posts := strings.Count(page, `method="post"`) > strings.Count(page, `action="/ui/logout"`); posts && !forms {
				t.Errorf("a viewer is offered a form on %s", path)
			}
		}
		page := get(u, "/ui/trust/force?service=addon_bridge").Body.String()
		if strings.Contains(page, `action="/ui/trust/force"`) != forms || strings.Contains(page, "Only an admin") == forms {
			t.Errorf("forcing as %s is offered wrongly", role)
		}
	}
}

// TestThreeStepsToWhy: from the overview, the log of what was refused, and the record that says why.
func TestThreeStepsToWhy(t *testing.T) {
	u, f := fakeUI(t, "viewer", busy())
	steps := []struct{ page, link string }{
		{"/ui/", `href="/ui/trust"`},
		{"/ui/trust", `href="/ui/trust?result=REFUSE#log"`},
		{"/ui/trust?result=REFUSE", `href="/ui/trust/log/408"`},
		{"/ui/trust/log/408", `href="/ui/help/REVOKED"`},
	}
	for _, s := range steps {
		if page := get(u, s.page).Body.String(); !strings.Contains(page, s.link) {
			t.Errorf("%s does not lead on by %s", s.page, s.link)
		}
	}
	for _, a := range f.asked {
		if strings.HasPrefix(a.call, "GET /castellan/log") && strings.Contains(a.query, "names=1") {
			t.Error("a viewer's page asks for private names")
		}
	}
	page := get(u, "/ui/trust/log/408").Body.String()
	for _, want := range []string{"It was withdrawn", "What you can do", "ledger demo up to transaction 48213", "The same evidence gives the same judgement", `id="support-text"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the record does not say %q", want)
		}
	}
}

func TestLogFilter(t *testing.T) {
	u, f := fakeUI(t, "admin", busy())
	asked := func(path string) url.Values {
		t.Helper()
		f.asked = nil
		if w := get(u, path); w.Code != http.StatusOK {
			t.Fatalf("%s answers %d", path, w.Code)
		}
		for _, a := range f.asked {
			if a.call == "GET /castellan/log" {
				q, _ := url.ParseQuery(a.query)
				return q
			}
		}
		t.Fatalf("%s asks for no log", path)
		return nil
	}
	q := asked("/ui/trust?result=REFUSE&kind=verdict&service=core&since=7&q=REVOKED&before=12")
	for name, want := range map[string]string{"outcome": "REFUSE", "kind": "verdict", "service": "core", "q": "REVOKED", "before": "12", "last": "25", "names": "1"} {
		if q.Get(name) != want {
			t.Errorf("the API is asked for %s=%q, want %q", name, q.Get(name), want)
		}
	}
	since, err := time.Parse(time.RFC3339Nano, q.Get("since"))
	if age := time.Since(since); err != nil || age < 6*24*time.Hour || age > 8*24*time.Hour {
		t.Errorf("since %s", q.Get("since"))
	}
	q = asked("/ui/trust?day=2026-11-20")
	from, _ := time.Parse(time.RFC3339Nano, q.Get("since"))
	until, _ := time.Parse(time.RFC3339Nano, q.Get("until"))
	if until.Sub(from) != 24*time.Hour {
		t.Errorf("a day is %v to %v", from, until)
	}
	// What can't be is left out, not refused: an address is typed and shared.
	q = asked("/ui/trust?result=EVIL&kind=%3Cscript%3E&since=999&before=x&day=yesterday&q=" + strings.Repeat("x", 999))
	if q.Get("outcome")+q.Get("kind")+q.Get("since")+q.Get("before") != "" || len(q.Get("q")) > 70 {
		t.Errorf("the API is asked for %v", q)
	}
	page := get(u, "/ui/trust?result=REFUSE&q=a%26b").Body.String()
	for _, want := range []string{`href="/castellan/log/export?format=csv&amp;outcome=REFUSE&amp;q=a%26b"`, `href="/castellan/log/export?format=jsonl&amp;outcome=REFUSE&amp;q=a%26b"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not export what it shows: no %s", want)
		}
	}
}

func TestLogPages(t *testing.T) {
	answers := busy()
	var many []api.LogRecord
	for i := range 60 {
		many = append(many, logVerdict(uint64(i+1), time.Now(), "core", "example.org/core", "1", trust.Allow))
	}
	answers["GET /castellan/log"] = func(r *http.Request) any { return logAnswer(many, r.URL.Query()) }
	u, _ := fakeUI(t, "viewer", answers)
	var seen []string
	for path := "/ui/trust?result=ALLOW"; path != ""; {
		page := get(u, path).Body.String()
		for part := range strings.SplitSeq(page, `<tr id="log-`) {
			if seq, rest, ok := strings.Cut(part, `"`); ok && strings.Contains(rest, "rowlink") && len(seq) < 4 {
				seen = append(seen, seq)
			}
		}
		_, after, ok := strings.Cut(page, `id="log-older" href="`)
		path, _, _ = strings.Cut(after, `"`)
		if path = strings.ReplaceAll(path, "&amp;", "&"); ok && !strings.Contains(path, "result=ALLOW") {
			t.Fatalf("the next page forgets the filter: %s", path)
		}
	}
	if len(seen) != 60 || seen[0] != "60" || seen[59] != "1" {
		t.Errorf("the pages show %d records: %v", len(seen), seen)
	}
}

// TestNewKinds: a record of a daemon that knows more is shown with what is known of it.
func TestNewKinds(t *testing.T) {
	answers := busy()
	answers["GET /castellan/log"] = api.LogList{Records: []api.LogRecord{{Seq: 7, Kind: "omen", Summary: "a raven", Line: []byte(`[1]`)},
		{Seq: 8, Kind: "verdict", Service: "core", Outcome: "DEFER", Reason: "NEW_REASON", Line: []byte(`{"payload":"?"}`)}}}
	u, _ := fakeUI(t, "viewer", answers)
	page := get(u, "/ui/trust").Body.String()
	for _, want := range []string{"omen", "a raven", "NEW_REASON", "Could not check"} {
		if !strings.Contains(page, want) {
			t.Errorf("the log does not show %q", want)
		}
	}
}

func TestRecordText(t *testing.T) {
	u, _ := fakeUI(t, "viewer", busy())
	w := get(u, "/ui/trust/log/408/text", "Accept-Language", "de")
	if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") || !strings.Contains(w.Header().Get("Content-Disposition"), "castellan-record-408.txt") {
		t.Errorf("the text comes as %v", w.Header())
	}
	for _, want := range []string{"Castellan 1\n", "- REVOKED: it was withdrawn", "next: wait for a newer release", `"seq": 408`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the text does not hold %q:\n%s", want, w.Body)
		}
	}
	answers := busy()
	answers["GET /castellan/log"] = func(r *http.Request) any {
		summary := "owner made"
		if r.URL.Query().Get("names") == "1" {
			summary += " anna"
		}
		return api.LogList{Records: []api.LogRecord{logOther(9, time.Now(), "account", "", summary, map[string]any{"what": "owner made"})}}
	}
	admin, _ := fakeUI(t, "admin", answers)
	if page := get(admin, "/ui/trust/log/9").Body.String(); !strings.Contains(page, "owner made anna") {
		t.Error("an admin is not shown who it was")
	}
	if text := get(admin, "/ui/trust/log/9/text").Body.String(); strings.Contains(text, "anna") || !strings.Contains(text, "owner made") {
		t.Errorf("the text that is passed on names somebody: %s", text)
	}
	for _, path := range []string{"/ui/trust/log/999", "/ui/trust/log/0", "/ui/trust/log/x", "/ui/trust/log/18446744073709551615", "/ui/trust/log/-1/text"} {
		if w := get(u, path); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "record_not_found") {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}

// TestTrustTellsWhatItCan: a part that can't be asked for leaves the others, and an outage is not told as bad.
func TestTrustTellsWhatItCan(t *testing.T) {
	answers := busy()
	away := &api.Error{Status: 503, Message: "the disk does not answer"}
	for _, call := range []string{"verify", "overrides", "publishers", "ledgers", "pins", "house"} {
		answers["GET /castellan/trust/"+call] = away
	}
	u, _ := fakeUI(t, "admin", answers)
	page := get(u, "/ui/trust").Body.String()
	if got := strings.Count(page, "Not known just now"); got != 3 || !strings.Contains(page, "In agreement") {
		t.Errorf("%d tiles say that they do not know, want 3", got)
	}
	for _, path := range []string{"/ui/trust/images", "/ui/trust/publishers"} {
		if w := get(u, path); w.Code != http.StatusOK || strings.Count(w.Body.String(), "the disk does not answer") != 3 {
			t.Errorf("%s answers %d and tells of %d failures", path, w.Code, strings.Count(w.Body.String(), "the disk does not answer"))
		}
	}
	for state, want := range map[string]string{"fresh": "agreed ok", "stale": "stale warn", "expired": "expired warn", "empty": "empty warn", "quarantined": "forked bad", "new": "unheard info"} {
		if w := ledgerWords[ledgerWord(state, "")]; w.word+" "+w.tone != want {
			t.Errorf("a ledger that is %s is told as %v, want %s", state, w, want)
		}
	}
	if w := ledgerWords[ledgerWord("fresh", "forked")]; w.tone != "bad" {
		t.Errorf("a ledger with two stories is told as %v", w)
	}
}

func TestVerifyEverything(t *testing.T) {
	for _, c := range []struct {
		answer any
		want   []string
	}{
		{api.Judgement{Installed: 5, Verified: 5}, []string{"5 of 5 images are verified", "note ok"}},
		{api.Judgement{Installed: 5, Verified: 4, Bad: 1}, []string{"1 image that runs would not be let in now", "note bad"}},
		{api.Judgement{Installed: 5, Verified: 2, Error: "the ledger is away"}, []string{"not everything could be looked at", "the ledger is away"}},
		{&api.Error{Status: 403, Key: "forbidden", Message: "not you"}, []string{"not you", "/ui/help/forbidden"}},
	} {
		answers := busy()
		answers["POST /castellan/trust/verify"] = c.answer
		u, _ := fakeUI(t, "operator", answers)
		w := post(u, "/ui/trust/verify", url.Values{})
		if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || to != "/ui/trust/images" {
			t.Fatalf("answers %d to %q", w.Code, to)
		}
		page := get(u, "/ui/trust/images").Body.String()
		for _, want := range c.want {
			if !strings.Contains(page, want) {
				t.Errorf("after %+v the page does not say %q", c.answer, want)
			}
		}
	}
}

func TestChain(t *testing.T) {
	answers := busy()
	u, _ := fakeUI(t, "viewer", answers)
	if page := get(u, "/ui/trust/chain").Body.String(); !strings.Contains(page, "410 records follow") || !strings.Contains(page, digestText(410)) {
		t.Errorf("a whole log is told as %s", page)
	}
	answers["GET /castellan/log/verify"] = api.LogReport{Records: 9, Error: "line 4 was <b>altered</b>"}
	if page := get(u, "/ui/trust/chain").Body.String(); !strings.Contains(page, "line 4 was &lt;b&gt;altered") || strings.Contains(page, "The log is whole") {
		t.Errorf("a broken log is told as %s", page)
	}
}

func TestForget(t *testing.T) {
	answers := busy()
	answers["POST /castellan/trust/forget"] = struct{}{}
	u, f := fakeUI(t, "admin", answers)
	if page := get(u, "/ui/trust/forget?service=addon_bridge").Body.String(); !strings.Contains(page, "may come from somebody else") {
		t.Error("the page does not say what forgetting means")
	}
	if w := get(u, "/ui/trust/forget?service=nobody"); w.Header().Get("Location") != "/ui/trust/publishers" {
		t.Errorf("a pin that is gone answers %d", w.Code)
	}
	post(u, "/ui/trust/forget", url.Values{"service": {"addon_bridge"}})
	if c := f.calls(); len(c) != 1 || c[0].call != "POST /castellan/trust/forget" || !strings.Contains(c[0].body, "addon_bridge") || c[0].csrf != "token-of-anna" {
		t.Errorf("the API was asked %+v", c)
	}
	if page := get(u, "/ui/trust/publishers").Body.String(); !strings.Contains(page, "Bridge Toolkit is bound to nobody") {
		t.Error("what was done is not told")
	}
}

func TestHouseKeyForms(t *testing.T) {
	answers := busy()
	answers["POST /castellan/trust/house/accept"] = &api.Error{Status: 409, Key: "nothing_to_accept", Message: "nothing <i>waits</i>"}
	answers["POST /castellan/trust/house/withdraw"] = api.HouseWord{}
	u, f := fakeUI(t, "admin", answers)
	w := post(u, "/ui/trust/house/accept", url.Values{"service": {"core"}, "why": {`my "own" <build>`}})
	page := w.Body.String()
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(page, "nothing &lt;i&gt;waits") || !strings.Contains(page, `value="my &#34;own&#34; &lt;build&gt;"`) || !strings.Contains(page, `id="house-accept" open`) {
		t.Errorf("a refused word answers %d:\n%s", w.Code, page)
	}
	if w := post(u, "/ui/trust/house/withdraw", url.Values{"service": {"core"}, "severity": {"stop"}}); w.Code != http.StatusSeeOther {
		t.Errorf("a good word answers %d", w.Code)
	}
	if c := f.calls(); len(c) != 2 || !strings.Contains(c[1].body, `"severity":"stop"`) {
		t.Errorf("the API was asked %+v", c)
	}
}

// TestChart: every judgement of a day is in its bar, no part sticks out, and the table says the same.
func TestChart(t *testing.T) {
	first := time.Date(2026, 11, 13, 0, 0, 0, 0, time.Local)
	var records []api.LogRecord
	for i := range 300 {
		records = append(records, logVerdict(uint64(i+1), first.Add(time.Hour), "core", "example.org/core", "1", trust.Allow))
	}
	records = append(records, logVerdict(301, first.Add(2*time.Hour), "core", "example.org/core", "1", trust.Refuse, trust.Finding{Reason: trust.Revoked, Decided: true}),
		logVerdict(302, first.AddDate(0, 0, 13), "core", "example.org/core", "1", trust.Defer, trust.Finding{Reason: trust.LedgerExpired, Decided: true}))
	c := chartOf(records, first, false)
	if c.Total != 302 || c.Most != 301 || len(c.Days) != chartDays || !slices.Equal(c.Badges, []badgeName{"verified", "not checked", "withdrawn"}) {
		t.Fatalf("the chart has %d in %d days, at most %d, of %v", c.Total, len(c.Days), c.Most, c.Badges)
	}
	if d := c.Days[0]; d.Count("verified") != 300 || d.Count("withdrawn") != 1 || d.Parts[1].H < 2 {
		t.Errorf("the first day is %+v", d)
	}
	for _, d := range c.Days {
		for _, p := range d.Parts {
			if p.Y < 0 || p.Y+p.H > barHeight || p.H < 1 {
				t.Errorf("a part sticks out: %+v", p)
			}
		}
	}
	if empty := chartOf(nil, first, false); empty.Total != 0 || len(empty.Days) != chartDays {
		t.Errorf("nothing is drawn as %+v", empty)
	}
}

// TestBadgesOfOutcomes: the four words stay four.
func TestBadgesOfOutcomes(t *testing.T) {
	for _, c := range []struct {
		outcome trust.Outcome
		reason  trust.Reason
		want    string
	}{
		{trust.Allow, "", "verified"}, {trust.AllowUnsigned, "", "unsigned"}, {trust.AllowUnsigned, trust.LocalBuild, "local"}, {trust.AllowOverridden, trust.Revoked, "forced"},
		{trust.Refuse, trust.Revoked, "withdrawn"}, {trust.Refuse, trust.KeyRevoked, "refused"}, {trust.Refuse, trust.SignatureMissing, "refused"},
		{trust.Defer, trust.EvidenceUnavailable, "not checked"}, {trust.Defer, trust.Revoked, "not checked"}, {"NEW", "", ""},
	} {
		if got := badgeOf(string(c.outcome), string(c.reason)); got != c.want {
			t.Errorf("%s %s is told as %q, want %q", c.outcome, c.reason, got, c.want)
		}
	}
}

// TestKindsHaveWords: each kind of record, and each occasion of a judgement, has its words.
func TestKindsHaveWords(t *testing.T) {
	w := newViews("en")
	for _, k := range audit.Kinds() {
		if _, ok := w.words["trust.kind_"+string(k)]; !ok {
			t.Errorf("records of kind %s have no words", k)
		}
	}
	for _, a := range []trust.Action{trust.AutoUpdate, trust.OwnerUpdate, trust.Install, trust.Restore, trust.Rollback, trust.Rejudge} {
		if _, ok := w.words["trust.asked_"+string(a)]; !ok {
			t.Errorf("judgements for %s have no words", a)
		}
	}
}

// TestOtherRecordsSaid: records that are no verdict are told in words too.
func TestOtherRecordsSaid(t *testing.T) {
	u, _ := fakeUI(t, "viewer", busy())
	for _, c := range []struct {
		kind    string
		payload any
		want    string
	}{
		{"action", map[string]any{"what": "waits: failed-before"}, "No update yet. It was tried and did not work."},
		{"action", map[string]any{"what": "waits: omen"}, "No update yet. omen."},
		{"action", map[string]any{"what": "rolled-back"}, "It went back to the version before"},
		{"action", map[string]any{"what": "sung"}, "Action"},
		{"mirror", map[string]any{"recovered": true}, "The ledger answers again"},
		{"mirror", map[string]any{"error": "none"}, "The ledger could not be asked"},
		{"pin", map[string]any{"forgotten": map[string]any{"component": "core"}}, "Unbound from its publisher"},
		{"boot", "what", "Castellan started"},
	} {
		v := u.visit(nil, httptest.NewRequest("GET", "/ui/trust", nil))
		if got := v.otherSaid(logOther(1, time.Now(), c.kind, "", "", c.payload)); got != c.want {
			t.Errorf("%s %v is told as %q, want %q", c.kind, c.payload, got, c.want)
		}
	}
}
