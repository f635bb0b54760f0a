package house

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/browser"
)

// TestUIPeople is the story of those who share a house: who comes in and what he may do, what is set and stays so, and what is
// handed to others of what the house knows.
func TestUIPeople(t *testing.T) {
	u := newUI(t)
	u.begin()
	u.answers()
	defer func() { u.anna.Close() }() // before the daemon ends
	t.Run("People", u.testPeople)
	t.Run("Roles", u.testRolesInTheBrowser)
	t.Run("Sessions", u.testSessions)
	t.Run("Password", u.testPassword)
	t.Run("Tokens", u.testTokens)
	t.Run("Settings", u.testSettingsStay)
	t.Run("Export", u.testExport)
	t.Run("Verify", u.testVerifyAll)
	t.Run("SupportBundle", u.testSupportBundle)
}

const peopleAt = "/ui/settings/people"

const benWord = "a phrase of ben's that is long enough"

func passwordOf(b *browser.Tab, label, word string) {
	b.Fill(label+" Ten characters or more; a few words are good.", word)
}

// testPeople adds somebody. Names that would be read as something else are told at their field.
func (u *ui) testPeople(t *testing.T) {
	b := u.on(t)
	b.Visit(peopleAt)
	add := func(name, password string) {
		b.Fill("Name", name)
		passwordOf(b, "Password", password)
		b.Click("radio", "Operator Does the daily work: updates, starts, stops, installs what is verified, makes backups.")
		b.ClickIn("#add-user form", "button", "Add a user")
	}
	b.Click("DisclosureTriangle", "Add a user")
	u.check(b, "people-add")
	for _, name := range []string{`<script>owned=1</script>`, "ben\u202enimda", "../ben", "anna"} {
		b.Allow("answer: 422 POST " + peopleAt)
		add(name, benWord)
		b.Until("it is refused", `document.querySelector("#add-user [role=alert]")`)
		says := b.Text("#add-user [role=alert]")
		t.Logf("%q: %s", name, says)
		if len(says) < 25 {
			t.Errorf("%q is refused with %q", name, says)
		}
		if kept := browser.Eval[string](b, `document.querySelector("#add-user [name=name]").value + "|" + document.querySelector("#add-user [name=password]").value`); !strings.HasSuffix(kept, "|") || len(kept) < 4 {
			t.Errorf("the form keeps %q", kept)
		}
		b.Clean()
	}
	u.check(b, "people-refused")
	u.notOwned(b)
	add("ben", benWord)
	b.At(peopleAt)
	b.Sees("ben may log in now.", "ben", "Operator")
	u.check(b, "people")
	list, err := u.client.Users(t.Context())
	must(t, err)
	if len(list.Users) != 2 {
		t.Errorf("there are %+v", list.Users)
	}
	b.Visit("/ui/trust?kind=account")
	b.Sees("ben")
}

// testRolesInTheBrowser lets each role see what it may, and no button that is none.
func (u *ui) testRolesInTheBrowser(t *testing.T) {
	u.on(t)
	must(t, u.client.AddUser(t.Context(), api.UserRequest{Name: "vera", Role: "viewer", Password: "a phrase of vera's that is long"}))
	for _, c := range []struct {
		name, word string
		may        []string // buttons and links of the operator
		not        []string
	}{
		{"vera", "a phrase of vera's that is long", nil, []string{"Make a backup", "Check now", "Verify everything now", "Support bundle"}},
		{"ben", benWord, []string{"Make a backup", "Check now", "Verify everything now"}, []string{"Support bundle"}},
	} {
		b := browser.Open(t, u.base)
		u.login(b, c.name, c.word)
		found := map[string]bool{}
		for _, path := range []string{"/ui/", "/ui/backups", "/ui/trust", "/ui/settings", peopleAt} {
			b.Visit(path)
			b.Settle()
			for _, name := range append(c.may, c.not...) {
				found[name] = found[name] || browser.Eval[bool](b, fmt.Sprintf(`Array.from(document.querySelectorAll("a, button")).some(function (e) { return e.innerText.trim() === %q && e.getClientRects().length })`, name))
			}
			if path == peopleAt && b.Has("heading", "Users") != 0 {
				t.Errorf("%s sees who else there is", c.name)
			}
			u.check(b, c.name+strings.ReplaceAll(path, "/", "-"))
		}
		for _, name := range c.may {
			if !found[name] {
				t.Errorf("%s is offered no %q", c.name, name)
			}
		}
		for _, name := range c.not {
			if found[name] {
				t.Errorf("%s is offered %q", c.name, name)
			}
		}
		b.Allow("answer: 403 GET /ui/settings/support")
		b.Visit("/ui/settings/support")
		b.Sees("Your role does not allow that.", "Ask somebody who is an admin.")
		b.Clean()
		b.Close()
	}
	b := u.on(t)
	b.Visit(peopleAt + "/vera")
	u.check(b, "person")
	b.Click("radio", "Operator Does the daily work: updates, starts, stops, installs what is verified, makes backups.")
	b.Click("button", "Save")
	b.Sees("vera is Operator now.")
	b.Visit(peopleAt + "/vera")
	b.Click("DisclosureTriangle", "Remove this user")
	b.Click("button", "Remove vera")
	b.Sees("vera is removed.")
}

// testSessions logs other devices out. What they have open ends at once.
func (u *ui) testSessions(t *testing.T) {
	b := u.on(t)
	far := browser.Open(t, u.base)
	u.login(far, "anna", phrase)
	far.Until("it is live", `!document.body.hasAttribute("hx-disable")`)
	far.Allow("answer: 401", "console", "request", "log:") // the stream that ends, and what is asked afterwards
	b.Visit(peopleAt)
	b.Click("button", "Log out my other devices")
	b.Sees("other device")
	far.Until("the other device is at the door", `location.pathname === "/ui/login"`)
	far.Visit("/ui/updates")
	far.At("/ui/login?next=%2Fui%2Fupdates")
	far.Close()
	b.Visit("/ui/")
	b.At("/ui/")
}

// testPassword changes one's own.
func (u *ui) testPassword(t *testing.T) {
	b := u.on(t)
	b.Visit("/ui/settings")
	b.Click("DisclosureTriangle", "Change password")
	set := func(current, one, other string) {
		b.Fill("Present password", current)
		passwordOf(b, "New password", one)
		b.Fill("Once more", other)
		b.Click("button", "Set password")
	}
	for _, c := range [][4]string{
		{"not this one at all", "another phrase of anna's", "another phrase of anna's", "password"},
		{phrase, "another phrase of anna's", "another phrase of nobody", "same"},
	} {
		b.Allow("answer: 422 POST /ui/settings/password")
		set(c[0], c[1], c[2])
		b.Until("it is refused", `document.querySelector("#account [role=alert]")`)
		if says := b.Text("#account [role=alert]"); !strings.Contains(says, c[3]) {
			t.Errorf("it is refused with %q", says)
		}
		b.Clean()
	}
	u.check(b, "password-refused")
	set(phrase, "another phrase of anna's", "another phrase of anna's")
	b.Sees("Your password is changed; your other devices are logged out.")
	if code, _ := u.stranger().says("POST", "/castellan/login", `{"name":"anna","password":"`+phrase+`"}`); code == http.StatusOK {
		t.Error("the old password opens the door")
	}
	v := u.enter("anna", "another phrase of anna's")
	if code, says := v.says("GET", "/castellan/me", ""); code != http.StatusOK {
		t.Errorf("%d %s", code, says)
	}
}

// testTokens makes a token, uses it, and removes it.
func (u *ui) testTokens(t *testing.T) {
	b := u.on(t)
	b.Visit(peopleAt)
	b.Click("DisclosureTriangle", "Make a token")
	b.Fill("What it is for So that you know it again, as “script in the cellar”.", vile)
	b.ClickIn("#add-token form", "button", "Make a token")
	b.Sees("It is shown this once", vile)
	u.notOwned(b)
	u.check(b, "token")
	token := b.Text("#token")
	ask := func() int {
		req, err := http.NewRequestWithContext(t.Context(), "GET", u.base+"/castellan/status", nil)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := u.stranger().http.Do(req)
		must(t, err)
		_ = resp.Body.Close() // its status is of interest
		return resp.StatusCode
	}
	if code := ask(); code != http.StatusOK {
		t.Errorf("the token is answered %d", code)
	}
	b.Click("link", "I have copied it")
	b.At(peopleAt)
	if strings.Contains(browser.Eval[string](b, `document.documentElement.outerHTML`), token) {
		t.Error("the token is shown again")
	}
	b.Click("button", "Remove "+vile)
	b.Sees("The token is removed; whoever has it is shut out.")
	if code := ask(); code != http.StatusUnauthorized {
		t.Errorf("the removed token is answered %d", code)
	}
}

// testSettingsStay sets this and that; it is the same after a restart. What is wrong is told, and nothing is set.
func (u *ui) testSettingsStay(t *testing.T) {
	b := u.on(t)
	b.Visit("/ui/settings")
	b.Click("radio", "By itself Verified updates come in the windows, and go back by themselves when something does not work.")
	b.ClickIn("#updates", "button", "Save")
	b.Sees("updates by itself")
	u.check(b, "settings-saved")
	b.Visit("/ui/backups")
	browser.Eval[any](b, `document.querySelector("[name=days]").removeAttribute("min"); 0`) // as by a browser that does not look
	days := "Warn when the last backup of everything is older than so many days"
	const reminder = "[aria-labelledby=stale-h]"
	b.Fill(days, "-5")
	b.ClickIn(reminder, "button", "Save")
	b.Until("it is refused", `document.querySelector("[role=alert]")`)
	if kept := browser.Eval[string](b, `document.querySelector("[name=days]").value`); kept == "-5" {
		t.Error("a reminder after -5 days is set")
	}
	b.Fill(days, "12")
	b.ClickIn(reminder, "button", "Save")
	b.Sees("The reminder is set.")
	b.Visit("/ui/settings")
	browser.Eval[any](b, `document.querySelector("[name=theme]").value = "dark"; 0`)
	b.ClickIn("#look", "button", "Save")
	b.Until("it is dark", `document.documentElement.dataset.theme === "dark"`)

	b.Go("about:blank") // nobody is on a page meanwhile
	u.daemon.kill()
	u.t = u.root // the daemon outlives this test
	u.restart()
	u.t = t
	u.answers()
	b.Visit("/ui/settings")
	b.Sees("updates by itself")
	if theme := browser.Eval[string](b, `document.documentElement.dataset.theme`); theme != "dark" {
		t.Errorf("the colours are %q", theme)
	}
	browser.Eval[any](b, `document.querySelector("[name=theme]").value = "auto"; 0`)
	b.ClickIn("#look", "button", "Save")
	b.Until("it is as the device has it", `document.documentElement.dataset.theme !== "dark"`)
	b.Visit("/ui/backups")
	if kept := browser.Eval[string](b, `document.querySelector("[name=days]").value`); kept != "12" {
		t.Errorf("the reminder comes after %s days", kept)
	}
}
