package web

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// nasty is what somebody may have called something.
const nasty = `"><script>alert(1)</script>` + "\u202ename"

// furnished is a house whose settings can be looked at.
func furnished() map[string]any {
	out := quiet()
	out["GET /castellan/decisions"] = api.DecisionList{Services: []api.ServiceDecisions{{Service: "core", Mode: "ask", Default: "ask"}, {Service: "addon_x", Mode: "auto", Default: "ask"},
		{Service: "gone", Mode: "ask", Default: "-"}}, Windows: []api.Window{}}
	out["GET /castellan/users"] = api.UserList{Users: []api.User{{Name: "anna", Role: "admin"}, {Name: "bert", Role: "viewer", Sessions: 2}}}
	out["GET /castellan/sessions"] = api.SessionList{Sessions: []api.Session{{ID: "s1", User: "anna", Own: true, Agent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140"}, {ID: "s2", User: "bert", Agent: nasty}}}
	out["GET /castellan/tokens"] = api.TokenList{Tokens: []api.Token{{ID: "t1", User: "anna", Name: nasty, Role: "viewer", Prefix: "cst_ab"}}}
	out["GET /castellan/settings"] = api.Settings{Config: api.ConfigStatus{Path: "/etc/castellan/castellan.yaml", Error: "[3:1] unknown key " + nasty},
		Keys: []api.Setting{{Key: "trust.profile", Values: []string{"strict"}}, {Key: "api.listen", Values: []string{":8480"}}, {Key: "registry.credentials_file"}}, Ledgers: []api.LedgerKeys{{Origin: "ledger.example", Root: 3, Fingerprints: []string{"AABB"}}}}
	out["GET /docker/info"] = api.DockerInfo{Registries: map[string]any{"ghcr.io": map[string]any{"username": nasty}}}
	out["GET /host/info"] = api.HostInfo{}
	return out
}

func TestSettingsByRole(t *testing.T) {
	for _, path := range []string{"/ui/settings", "/ui/settings/people", "/ui/settings/system", "/ui/settings/about"} {
		for _, role := range []string{"viewer", "operator", "admin"} {
			u, f := fakeUI(t, role, furnished())
			w := get(u, path)
			page := w.Body.String()
			if w.Code != 200 || strings.Contains(page, "⟨") || strings.Contains(page, "<script>alert") {
				t.Errorf("%s as %s answers %d:\n%s", path, role, w.Code, page)
			}
			for _, only := range []string{`action="/ui/settings/modes"`, `action="/ui/settings/people"`, `href="/ui/settings/support"`} {
				if role != "admin" && strings.Contains(page, only) {
					t.Errorf("%s offers a %s %s", path, role, only)
				}
			}
			if !strings.Contains(page, `action="/ui/logout"`) || !strings.Contains(page, ">anna<") {
				t.Errorf("%s does not tell who is logged in, and how to leave", path)
			}
			if c := f.calls(); len(c) > 0 {
				t.Errorf("%s changes something: %v", path, c)
			}
		}
	}
}

func TestTheConfigurationIsToldWithItsError(t *testing.T) {
	u, _ := fakeUI(t, "viewer", furnished())
	page := get(u, "/ui/settings/system").Body.String()
	for _, want := range []string{"/etc/castellan/castellan.yaml", "[3:1] unknown key", "trust.profile", "strict", "api.listen", ":8480", "registry.credentials_file", "not set"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// TestPasswordsAreNotSentBack: a form that is shown again has what was typed, and no secret.
func TestPasswordsAreNotSentBack(t *testing.T) {
	const secret = "hunter2-hunter2"
	refusal := &api.Error{Status: 400, Key: "exists", Message: "there is a user"}
	for _, c := range []struct {
		call, path string
		form       url.Values
		stays      string
	}{
		{"POST /castellan/users", "/ui/settings/people", url.Values{"name": {nasty}, "password": {secret}, "role": {"operator"}}, `value="operator" checked`},
		{"POST /castellan/users/anna/password", "/ui/settings/password", url.Values{"current": {secret}, "password": {secret + "x"}, "again": {secret + "x"}}, "There is one of that name"},
		{"POST /castellan/users/bert/password", "/ui/settings/people/bert/password", url.Values{"password": {secret}, "again": {secret}}, "bert"},
		{"POST /castellan/tokens", "/ui/settings/tokens", url.Values{"name": {"cellar"}, "role": {"viewer"}, "days": {"30"}}, `value="cellar"`},
		{"POST /castellan/setup", "/ui/setup", url.Values{"code": {secret}, "name": {"anna"}, "password": {secret}}, `value="anna"`},
	} {
		answers := furnished()
		answers[c.call] = refusal
		u, f := fakeUI(t, "admin", answers)
		w := post(u, c.path, c.form)
		page := w.Body.String()
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(page, `role="alert"`) || !strings.Contains(page, c.stays) {
			t.Errorf("%s answers %d without %q:\n%s", c.path, w.Code, c.stays, page)
		}
		if strings.Contains(page, secret) || strings.Contains(page, "<script>alert") {
			t.Errorf("%s sends a secret or a script back:\n%s", c.path, page)
		}
		if calls := f.calls(); len(calls) != 1 || calls[0].call != c.call {
			t.Errorf("%s asks %v", c.path, calls)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept", c.path)
		}
	}
}

func TestTwoPasswordsThatDifferReachNobody(t *testing.T) {
	for _, path := range []string{"/ui/settings/password", "/ui/settings/people/bert/password"} {
		u, f := fakeUI(t, "admin", furnished())
		w := post(u, path, url.Values{"current": {"x"}, "password": {"one long password"}, "again": {"another password"}})
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "are not the same") || len(f.calls()) != 0 {
			t.Errorf("%s answers %d and asks %v", path, w.Code, f.calls())
		}
	}
}

func TestATokenIsShownOnce(t *testing.T) {
	answers := furnished()
	answers["POST /castellan/tokens"] = api.NewToken{Token: api.Token{Name: nasty, Role: "viewer"}, Text: "cst_secret"}
	u, f := fakeUI(t, "viewer", answers)
	w := post(u, "/ui/settings/tokens", url.Values{"name": {"cellar"}, "role": {"viewer"}, "days": {"30"}})
	if w.Code != 200 || strings.Count(w.Body.String(), "cst_secret") != 1 || w.Header().Get("Cache-Control") != "no-store" || strings.Contains(w.Body.String(), "<script>alert") {
		t.Errorf("answers %d, %v:\n%s", w.Code, w.Header(), w.Body)
	}
	if c := f.calls()[0].body; c != `{"name":"cellar","role":"viewer","days":30}` {
		t.Errorf("asks for %s", c)
	}
	for _, path := range []string{"/ui/settings/people", "/ui/settings/tokens", "/ui/"} {
		if strings.Contains(get(u, path).Body.String(), "cst_secret") {
			t.Errorf("%s shows it again", path)
		}
	}
}

func TestPeopleForms(t *testing.T) {
	for _, c := range []struct {
		path, call, body string
		form             url.Values
	}{
		{"/ui/settings/people", "POST /castellan/users", `{"name":"cleo","password":" a long one ","role":"viewer"}`, url.Values{"name": {" cleo "}, "password": {" a long one "}, "role": {"viewer"}}},
		{"/ui/settings/people/bert/role", "POST /castellan/users/bert/role", `{"role":"operator"}`, url.Values{"role": {"operator"}}},
		{"/ui/settings/people/bert/remove", "DELETE /castellan/users/bert", "", nil},
		{"/ui/settings/people/a%2Fb/remove", "DELETE /castellan/users/a/b", "", nil},
		{"/ui/settings/sessions/end", "DELETE /castellan/sessions/s2", "", url.Values{"id": {"s2"}}},
		{"/ui/settings/sessions/end", "DELETE /castellan/sessions", "", nil},
		{"/ui/settings/tokens/remove", "DELETE /castellan/tokens/t1", "", url.Values{"id": {"t1"}}},
		{"/ui/settings/modes", "POST /castellan/modes", `{"service":"core","mode":"auto"}`, url.Values{"mode": {"auto"}}},
	} {
		answers := furnished()
		answers[c.call] = map[string]any{}
		u, f := fakeUI(t, "admin", answers)
		form := c.form
		if form == nil {
			form = url.Values{}
		}
		w := post(u, c.path, form)
		calls := f.calls()
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "/ui/settings") {
			t.Errorf("%s answers %d to %q", c.path, w.Code, w.Header().Get("Location"))
		}
		if len(calls) != 1 || calls[0].call != c.call || c.body != "" && calls[0].body != c.body || calls[0].csrf != "token-of-anna" {
			t.Errorf("%s asks %+v, want %s %s", c.path, calls, c.call, c.body)
		}
	}
	u, f := fakeUI(t, "admin", furnished())
	post(u, "/ui/settings/modes", url.Values{"mode": {"hold"}})
	if len(f.calls()) != 0 || !strings.Contains(get(u, "/ui/settings").Body.String(), `role="alert"`) {
		t.Errorf("a mode that the page does not offer is set: %v", f.calls())
	}
}

func TestDevice(t *testing.T) {
	u, _ := fakeUI(t, "viewer", nil)
	v := &visit{ui: u, lang: "en"}
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                      "Firefox on Linux",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 (KHTML, like Gecko) Safari/604":       "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537":       "Chrome on Android",
		"Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140 Safari/537 Edg/140.0": "Edge on Windows",
		"curl/8": "curl/8", "": "Unknown device", strings.Repeat("ä", 100): strings.Repeat("ä", 30) + "…",
	} {
		if got := v.browser(agent); got != want {
			t.Errorf("%q is %q, want %q", agent, got, want)
		}
	}
}

// TestWorksOfOthersAreNamed: the page names what static/vendor/README.md does.
func TestWorksOfOthersAreNamed(t *testing.T) {
	b, err := os.ReadFile("static/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.Contains(cells[1], ".js") {
			continue
		}
		rows++
		name, version, licence := strings.TrimSuffix(strings.TrimSpace(cells[2]), ".org"), strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4])
		found := false
		for _, m := range vendored {
			found = found || m == module{name, version, licence}
		}
		if !found {
			t.Errorf("%s %s (%s) is not named", name, version, licence)
		}
	}
	if rows != len(vendored)-1 || !strings.Contains(string(b), "lucide-static "+vendored[len(vendored)-1].Version) {
		t.Errorf("%d rows, %d named", rows, len(vendored))
	}
}

func TestWhatIsHiddenIsMarked(t *testing.T) {
	answers := furnished()
	id := "0123456789abcdef"
	answers["GET /castellan/support-bundle/contents"] = api.SupportContents{ID: id, Until: time.Now(), Size: 5, Files: []api.SupportFile{{Name: nasty, What: nasty, Size: 5, Hidden: map[string]int{"secret": 2, "lan": 1}}, {Name: "journal.txt", Error: nasty}}}
	answers["GET /castellan/support-bundle/file"] = api.SupportText{SupportFile: api.SupportFile{Name: "a", Size: 3}, Text: "password: ******** at lan-1 <script>alert(1)</script> plan-1"}
	u, f := fakeUI(t, "admin", answers)
	first := get(u, "/ui/settings/support").Body.String()
	if strings.Contains(first, "download?id=") || !strings.Contains(first, "Nothing is sent anywhere") {
		t.Errorf("before anything is gathered:\n%s", first)
	}
	list := get(u, "/ui/settings/support?gather=1").Body.String()
	for _, want := range []string{"2 secrets", "1 home address", "3 places blacked out", "/ui/settings/support/download?id=" + id, "Not complete:"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %q", want)
		}
	}
	text := get(u, "/ui/settings/support/file?id="+id+"&name=a").Body.String()
	if !strings.Contains(text, "password: <mark>********</mark> at <mark>lan-1</mark> ") || strings.Contains(text, "<mark>plan") {
		t.Errorf("what is hidden is not marked:\n%s", text)
	}
	if strings.Contains(list+text, "<script>alert") {
		t.Error("a script of the bundle runs")
	}
	if c := fmt.Sprint(f.calls()); c != "[]" {
		t.Errorf("something was changed: %s", c)
	}
}
