package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// newHouseAnswers is a house that was just set up, where everything is as it should be.
func newHouseAnswers() map[string]any {
	out := furnished()
	yes, now := true, time.Now()
	out["GET /host/info"] = api.HostInfo{DiskFree: 20, DiskTotal: 32, Synchronized: &yes, Now: &now}
	out["GET /network/info"] = api.NetworkInfo{SupervisorInternet: true}
	out["GET /resolution/info"] = api.Resolution{Issues: []api.Issue{}}
	out["GET /castellan/backups"] = api.BackupRoom{Backups: []api.BackupRow{}, Place: api.BackupPlace{Dir: "/backups", Days: []string{"sun"}, Hour: 3}}
	return out
}

func TestChecksSayWhatHelps(t *testing.T) {
	no, now := false, time.Now()
	status := func(edit func(*api.Status)) func(map[string]any) {
		return func(a map[string]any) {
			s := a["GET /castellan/status"].(api.Status)
			edit(&s)
			a["GET /castellan/status"] = s
		}
	}
	for _, c := range []struct {
		what string
		edit func(map[string]any)
		want []string
	}{
		{"all is well", func(map[string]any) {}, []string{"Everything is in place", "21.5\u00a0GB of 34.4\u00a0GB are free"}},
		{"no engine", status(func(s *api.Status) { s.Engine.Error = "dial " + nasty }), []string{"1 thing needs a look", "It does not answer", "systemctl restart docker"}},
		{"no room", func(a map[string]any) {
			a["GET /host/info"] = api.HostInfo{DiskFree: 1.5, DiskTotal: 8, Synchronized: &no, Now: &now}
		},
			[]string{"2 things need a look", "Only 1.6\u00a0GB of 8.6\u00a0GB", "Make room", "timedatectl set-ntp"}},
		{"nobody knows", func(a map[string]any) { a["GET /host/info"] = &api.Error{Status: 500, Message: nasty} }, []string{"could not be found out"}},
		{"no channel", status(func(s *api.Status) { s.Channel.Error = "lookup " + nasty }), []string{"lists new versions does not answer", "channel.urls"}},
		{"no network", func(a map[string]any) { a["GET /network/info"] = api.NetworkInfo{} }, []string{"Not everything answers"}},
		{"no ledger yet", status(func(s *api.Status) { s.Ledger.State = "empty" }), []string{"have not come yet", "You can go on meanwhile"}},
		{"an old ledger", status(func(s *api.Status) { s.Ledger.State = "expired" }), []string{"That is an outage, not an attack"}},
		{"a ledger that lies", status(func(s *api.Status) { s.Ledger.State = "quarantined" }), []string{"contradicts itself", "does not work"}},
		{"something besides", func(a map[string]any) { a["GET /resolution/info"] = api.Resolution{Issues: make([]api.Issue, 2)} }, []string{"2 things besides"}},
	} {
		answers := newHouseAnswers()
		c.edit(answers)
		u, _ := fakeUI(t, "admin", answers)
		w := get(u, "/ui/welcome/2")
		for _, want := range c.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %q is missing", c.what, want)
			}
		}
		if w.Code != 200 || strings.Contains(w.Body.String(), "<script>alert") || strings.Contains(w.Body.String(), "⟨") {
			t.Errorf("%s answers %d:\n%s", c.what, w.Code, w.Body)
		}
	}
}

func TestTrustIsToldAsItIsConfigured(t *testing.T) {
	u, _ := fakeUI(t, "admin", newHouseAnswers())
	page := get(u, "/ui/welcome/3").Body.String()
	for _, want := range []string{"ledger.example", "AABB", "Strict:", "without one they are refused", "not signed", "trust.profile", "/etc/castellan/castellan.yaml"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// TestTheFirstRunIsLeftAndTakenUpAgain on the device it was begun on.
func TestTheFirstRunIsLeftAndTakenUpAgain(t *testing.T) {
	answers := newHouseAnswers()
	u, _ := fakeUI(t, "admin", answers)
	kept := get(u, "/ui/welcome/3").Header().Get("Set-Cookie")
	if !strings.HasPrefix(kept, "welcome=3;") || !strings.Contains(kept, "HttpOnly") || !strings.Contains(kept, "SameSite=Lax") {
		t.Fatalf("kept: %q", kept)
	}
	if page := get(u, "/ui/settings", "Cookie", "castellan=in; welcome=3").Body.String(); !strings.Contains(page, `href="/ui/welcome/3"`) {
		t.Error("it is not offered again")
	}
	for _, odd := range []string{"welcome=9", "welcome=\"><script>", "welcome="} {
		if page := get(u, "/ui/settings", "Cookie", "castellan=in; "+odd).Body.String(); strings.Contains(page, "is not finished") {
			t.Errorf("%s counts", odd)
		}
	}
	w := post(u, "/ui/welcome/end", url.Values{})
	if w.Header().Get("Location") != "/ui/" || !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("leaving answers %v", w.Header())
	}
	u, _ = fakeUI(t, "viewer", answers)
	if page := get(u, "/ui/settings", "Cookie", "castellan=in; welcome=3").Body.String(); strings.Contains(page, "is not finished") {
		t.Error("a viewer is asked to set up")
	}
}

func TestTheLastStepSetsHowUpdatesCome(t *testing.T) {
	for _, c := range []struct {
		mode    string
		every   string
		windows []api.Window
		calls   []string
		code    int
	}{
		{"auto", "night", nil, []string{`POST /castellan/modes {"service":"core","mode":"auto"}`, `POST /castellan/windows {"from":"01:00","to":"05:00"}`,
			`POST /castellan/backups/schedule {"days":["mon","tue","wed","thu","fri","sat","sun"],"hour":3}`}, 303},
		{"auto", "", []api.Window{{ID: 1}}, []string{`POST /castellan/modes {"service":"core","mode":"auto"}`}, 303},
		{"ask", "never", nil, []string{`POST /castellan/modes {"service":"addon_x","mode":"ask"}`, `POST /castellan/backups/schedule {}`}, 303},
		{"", "night", nil, nil, 422},
		{"off", "", nil, nil, 422},
	} {
		answers := newHouseAnswers()
		d := answers["GET /castellan/decisions"].(api.DecisionList)
		d.Windows = c.windows
		answers["GET /castellan/decisions"] = d
		answers["POST /castellan/modes"], answers["POST /castellan/windows"], answers["POST /castellan/backups/schedule"] = api.Decision{}, api.Decision{}, api.BackupPlace{}
		u, f := fakeUI(t, "admin", answers)
		w := post(u, "/ui/welcome/4", url.Values{"mode": {c.mode}, "every": {c.every}})
		var got []string
		for _, a := range f.calls() {
			got = append(got, a.call+" "+a.body)
		}
		if w.Code != c.code || !slices.Equal(got, c.calls) {
			t.Errorf("%q with %d windows answers %d and asks %q, want %q", c.mode, len(c.windows), w.Code, got, c.calls)
		}
		if c.code == http.StatusSeeOther && (w.Header().Get("Location") != "/ui/" || !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0")) {
			t.Errorf("%q ends with %v", c.mode, w.Header())
		}
	}
}

func TestSetupLeadsToTheChecks(t *testing.T) {
	answers := newHouseAnswers()
	answers["GET /castellan/setup"] = api.SetupState{}
	answers["POST /castellan/setup"] = api.Me{Name: "anna"}
	u, f := fakeUI(t, "admin", answers)
	if page := get(u, "/ui/setup").Body.String(); !strings.Contains(page, "Restore from a backup instead") || !strings.Contains(page, `autocomplete="new-password"`) {
		t.Errorf("the first step:\n%s", page)
	}
	w := post(u, "/ui/setup", url.Values{"code": {" AAAA-BBBB "}, "name": {"anna"}, "password": {" with spaces "}})
	if w.Header().Get("Location") != "/ui/welcome/2" || len(f.calls()) != 1 || f.calls()[0].body != `{"code":"AAAA-BBBB","name":"anna","password":" with spaces "}` {
		t.Errorf("leads to %q, asks %+v", w.Header().Get("Location"), f.calls())
	}
}
