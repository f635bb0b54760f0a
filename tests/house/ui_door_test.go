package house

import (
	"testing"

	"github.com/castellan/castellan/tests/browser"
)

// testFirstRun sets a new appliance up with the code that its owner reads on it.
func (u *ui) testFirstRun(t *testing.T) {
	u.t = t
	defer func() { u.t = u.root }()
	b := browser.Open(t, u.base)
	b.Visit("/ui/")
	b.At("/ui/setup")
	u.check(b, "setup")
	fill := func(code string) {
		b.Fill("Setup code On the appliance: castellan setup-code", code)
		b.Fill("Name", "anna")
		b.Fill("Password Ten characters or more; a few words are good.", phrase)
		b.Click("button", "Set up")
	}
	b.Allow("answer: 422 POST /ui/setup")
	fill("AAAA-AAAA-AAAA-AAAA")
	b.Sees("That is not the setup code.")
	b.Clean()
	fill(u.setupCode())
	b.At("/ui/welcome/2")
	b.Sees("Everything is in place", "Docker", "It answers")
	u.check(b, "welcome-checks")
	b.Click("link", "Go on")
	b.At("/ui/welcome/3")
	b.Sees(origin)
	u.check(b, "welcome-trust")
	b.Click("link", "Go on")
	b.At("/ui/welcome/4")
	u.check(b, "welcome-updates")
	b.Click("radio", "Ask me They are shown, and wait until you press Update.")
	b.Click("button", "Finish")
	b.At("/ui/")
	b.Sees("That is all. This house is set up.", "Everything is verified and running")
	if !u.status().Network.Owner {
		t.Error("there is no owner")
	}
}

// testDoor comes in and goes out.
func (u *ui) testDoor(t *testing.T) {
	u.on(t)
	b := browser.Open(t, u.base)
	b.Visit("/ui/?from=a-link")
	b.At("/ui/login?next=%2Fui%2F%3Ffrom%3Da-link")
	u.check(b, "login")
	b.Allow("answer: 422 POST /ui/login")
	b.Fill("Name", "anna")
	b.Fill("Password", "not this one at all")
	b.Click("button", "Log in")
	b.Sees("The name or the password is not right.")
	if got := browser.Eval[string](b, `document.querySelector("[name=name]").value + "|" + document.querySelector("[name=password]").value`); got != "anna|" {
		t.Errorf("the form holds %q, want the name and no password", got)
	}
	b.Clean()
	b.Fill("Password", phrase)
	b.Keys("\r")
	b.At("/ui/?from=a-link")
	b.Click("button", "Log out")
	b.At("/ui/login")
	b.Visit("/ui/")
	b.At("/ui/login?next=%2Fui%2F")
}

// testOverview reads the first page and checks now.
func (u *ui) testOverview(t *testing.T) {
	b := u.on(t)
	b.Click("link", "Overview")
	b.Sees("Everything is verified and running", "1 of 1 images is verified", "Nothing waits.")
	b.Click("button", "Check now")
	b.Sees("Checked: ledger, channel and what is installed.")

	u.check(b, "overview")
}

// testNoSuchPage goes where nothing is.
func (u *ui) testNoSuchPage(t *testing.T) {
	b := u.on(t)
	b.Allow("answer: 404 GET /ui/nothing")
	b.Visit("/ui/nothing")
	b.Sees("There is no such page", "What runs in the house goes on as it was.")
	u.check(b, "missing")
	b.Click("link", "To the overview")
	b.At("/ui/")
}

// testGerman reads the pages in German.
func (u *ui) testGerman(t *testing.T) {
	u.on(t)
	b := browser.Open(t, u.base)
	b.Visit("/ui/login")
	b.Click("button", "Deutsch")
	b.Sees("Passwort")
	b.Fill("Name", "anna")
	b.Fill("Passwort", phrase)
	b.Click("button", "Anmelden")
	b.At("/ui/")
	b.Sees("Alles ist geprüft und läuft", "Wartet auf Sie")
	if lang := browser.Eval[string](b, `document.documentElement.lang`); lang != "de" {
		t.Errorf("the page says it is written in %q", lang)
	}
	u.check(b, "overview-german")
}
