package house

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/browser"
)

// lamp offers a version of an add-on that nobody has to vouch for.
func (u *ui) lamp(version, more string, env ...string) {
	u.t.Helper()
	u.image("lamp", version, env...)
	u.lampConfig(version, more)
	u.offers()
	u.castellan("check").says(u.t, 0)
}

func (u *ui) lampConfig(version, more string) {
	u.t.Helper()
	u.addonConfig("lamp", version, "options: {colour: red}", "schema: {colour: str}", more)
}

const lampAt = "/ui/addons/local_lamp"

// testConsent offers an update that asks for more. It waits, also for those who may not grant it, until the owner does.
func (u *ui) testConsent(t *testing.T) {
	b := u.on(t)
	u.lamp("1.0", "")
	u.castellan("addon", "install", "local_lamp", "--start", "--yes").says(t, 0)
	u.lamp("1.1", "privileged: [NET_ADMIN]\nuart: true")

	b.Visit(lampAt)
	b.Sees("Version 1.1 is there.", "It asks for more rights than you gave. Please look at them and agree.")
	if b.Has("button", "Update to 1.1") != 0 {
		t.Error("it can be updated without a look at its rights")
	}
	u.check(b, "consent-waits")
	b.Click("link", "Look at new rights")
	b.At(lampAt + "/consent")
	b.Sees("lamp 1.1 asks for more", "New: 2 rights", "What it can reach already", "Until you agree, 1.0 runs on as it is.")
	u.check(b, "consent")

	for _, role := range []string{"viewer", "operator"} {
		name, password := role+"-of-lamps", "a phrase that is long enough of a "+role
		must(t, u.client.AddUser(t.Context(), api.UserRequest{Name: name, Role: role, Password: password}))
		other := browser.Open(t, u.base)
		other.SetCookie(u.enter(name, password).cookie)
		other.Visit(lampAt + "/consent")
		other.Sees("New: 2 rights")
		if other.Has("button", "Agree and update") != 0 {
			t.Errorf("a %s is asked to agree", role)
		}
		u.check(other, "consent-"+role)
		v := u.enter(name, password)
		form := url.Values{"csrf": {v.csrf}, "version": {"1.1"}, "agree": {"1"}, "asks": {"cap:NET_ADMIN", "uart"}}
		if p := v.asks("POST", lampAt+"/consent", form.Encode()); p.status != http.StatusForbidden {
			t.Errorf("a %s who agrees is answered %d", role, p.status)
		}
		v.asks("POST", lampAt+"/update", url.Values{"csrf": {v.csrf}, "version": {"1.1"}}.Encode())
	}
	u.castellan("update").says(t, 3)
	if a := u.addon("local_lamp"); a.Version != "1.0" || len(a.Granted) != 0 || len(a.Asks) != 2 {
		t.Errorf("before the owner agrees it is at %s with %+v, and asks %+v", a.Version, a.Granted, a.Asks)
	}

	b.Click("checkbox", "I agree that it may do this")
	b.Click("button", "Agree and update")
	b.At(lampAt)
	b.Until("it is at 1.1", `document.querySelector("header.page .lead").innerText.includes("1.1") && !document.querySelector(".live")`)
	u.addonIs("local_lamp", "1.1", "running", "unsigned")
	if a := u.addon("local_lamp"); len(a.Granted) != 2 || len(a.Asks) != 0 {
		t.Errorf("after he agreed it has %+v, and asks %+v", a.Granted, a.Asks)
	}
	b.Visit(lampAt)
	b.Sees("Running")
	u.check(b, "consent-given")
}

// rights are those that lamp has by now.
const rights = "privileged: [NET_ADMIN]\nuart: true"

// testWentBack updates to a version that never gets well: the house goes back by itself, and tells it and why wherever somebody
// may look for it.
func (u *ui) testWentBack(t *testing.T) {
	b := u.on(t)
	u.lamp("1.2", rights, ill)
	b.Visit(lampAt)
	b.Click("button", "Update to 1.2")
	b.Until("its page tells", `(document.getElementById("why") || {innerText: ""}).innerText.includes("lamp went back to 1.1. The version before runs again, with its data as it was.")`)
	b.Sees("Wait for a newer version.")
	b.Settle()
	u.check(b, "went-back-addon")
	b.ClickIn("#why", "link", "How it went")
	b.Sees("lamp went back to 1.1", "503")
	u.addonIs("local_lamp", "1.1", "running", "unsigned")
	b.Visit(lampAt + "/changes")
	b.Sees("lamp went back to 1.1")
	u.check(b, "went-back-changes")
	b.Visit("/ui/updates/history?service=addon_local_lamp&result=back")
	b.Sees("Went back", "Update of lamp to 1.2", "503")
	u.check(b, "went-back-history")
	b.Click("link", "Update of lamp to 1.2")
	b.Sees("lamp went back to 1.1", "503", "The version before runs again, with its data as it was.", "Wait for a newer version.")
	u.check(b, "went-back-change")
	b.Visit("/ui/")
	b.Sees("lamp went back to 1.1")
	u.check(b, "went-back-overview")
}

// testUndo takes a good update back, by what its own page offers.
func (u *ui) testUndo(t *testing.T) {
	b := u.on(t)
	u.lamp("1.3", rights)
	b.Visit(lampAt)
	b.Click("button", "Update to 1.3")
	b.Until("it is at 1.3", `document.querySelector("header.page .lead").innerText.includes("1.3") && !document.querySelector(".live")`)
	u.addonIs("local_lamp", "1.3", "running", "unsigned")
	b.Visit("/ui/updates/history?service=addon_local_lamp&result=good")
	b.Click("link", "Update of lamp to 1.3")
	b.Sees("lamp is now 1.3 and running")
	if n := b.Has("link", "Backups"); n != 1 { // the page before was one that reads its menu anew too
		t.Errorf("the menu has %d links to the backups", n)
	}
	u.check(b, "undo-change")
	b.Click("link", "Undo: go back to 1.1")
	b.Sees("Go back with lamp to 1.1?")
	u.check(b, "undo-ask")
	b.Click("button", "Go back to 1.1")
	b.Sees("lamp is back at 1.1")
	u.addonIs("local_lamp", "1.1", "running", "unsigned")
	b.Visit(lampAt)
	b.Sees("1.1", "Running")
	u.check(b, "undone")
}

// testUninstall removes the add-on with each word about its data.
func (u *ui) testUninstall(t *testing.T) {
	b := u.on(t)
	file := u.path("data", "addons", "data", "local_lamp", "mine")
	for _, c := range []struct {
		at, choice, says string
		stays            bool
	}{
		{"1.1", "Keep They stay", "They stay until you delete them.", true},
		{"1.3", "Keep for 30 days", "They are deleted on", true},
		{"1.3", "Delete now", "", false},
	} {
		must(t, os.WriteFile(file, []byte("of the owner"), 0o600))
		b.Visit(lampAt)
		b.Click("link", "Uninstall")
		b.At(lampAt + "/uninstall")
		browser.Eval[any](b, `Array.from(document.querySelectorAll("label.pick")).find(function (l) { return l.innerText.replace(/\s+/g, " ").startsWith(`+strconv.Quote(c.choice)+`) }).click(); 0`)
		if !c.stays {
			b.Allow("answer: 422 POST " + lampAt + "/uninstall")
			b.Fill("Type its name: lamp Needed only to delete the data now.", "lamb")
			b.Click("button", "Uninstall")
			b.Sees("Nothing was deleted: type “lamp” to confirm.")
			if !browser.Eval[bool](b, `document.querySelector("[name=data][value=delete]").checked`) {
				t.Error("what was chosen is forgotten")
			}
			u.check(b, "uninstall-wrong-name")
			b.Clean()
			u.addonIs("local_lamp", c.at, "running", "unsigned")
			b.Fill("Type its name: lamp Needed only to delete the data now.", "lamp")
		} else {
			u.check(b, "uninstall")
		}
		b.Click("button", "Uninstall")
		b.At(lampAt)
		b.Until("its settings are gone", `!document.querySelector("#options-form, .switches") && document.querySelector("header.page a[href$='/install']")`)
		u.addonIs("local_lamp", "", "absent", u.addon("local_lamp").Badge)
		b.Visit(lampAt)
		if c.stays {
			b.Sees("Data of an earlier installation is kept.", c.says)
		}
		u.check(b, "uninstalled")
		if _, err := os.Lstat(file); c.stays != (err == nil) || !c.stays && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the data: %v", c.choice, err)
		}
		if c.stays {
			u.castellan("addon", "install", "local_lamp", "--start", "--yes").says(t, 0)
			u.addonIs("local_lamp", "1.3", "running", "unsigned")
		}
	}
}
