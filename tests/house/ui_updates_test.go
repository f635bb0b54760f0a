package house

import (
	"strings"
	"testing"

	"github.com/castellan/castellan/tests/browser"
)

// newCore makes a version of core the channel's and has the house look.
func (u *ui) newCore(version string, env ...string) {
	u.t.Helper()
	u.world.core(version, env...)
	u.release(version)
	u.castellan("check").says(u.t, 0)
}

// testUpdate updates what works, and then what does not: the house goes back by itself and says why.
func (u *ui) testUpdate(t *testing.T) {
	b := u.on(t)
	u.newCore("1.1.0")
	b.Visit("/ui/updates")
	u.check(b, "updates")
	b.Click("button", "Update Home Assistant to 1.1.0")
	b.Sees("Home Assistant is now 1.1.0 and running")
	u.runs(u.house.core, "1.1.0", "verified")

	u.newCore("1.2.0", ill)
	b.Visit("/ui/updates")
	b.Click("button", "Update Home Assistant to 1.2.0")
	b.Sees("Home Assistant went back to 1.1.0")
	u.runs(u.house.core, "1.1.0", "verified")
	b.Click("link", "Home Assistant went back to 1.1.0")
	b.Sees("Home Assistant went back to 1.1.0", "frontend", "The version before runs again, with its data as it was.")
	u.check(b, "change-went-back")
	b.Visit("/ui/updates/history")
	b.Sees("1.2.0")
	u.check(b, "history")
	b.Visit("/ui/updates/services/" + u.house.core)
	u.check(b, "service")
	b.Visit("/ui/")
	b.Sees("Home Assistant went back to 1.1.0")
}

// testPictures takes the pictures that the project shows of itself, while an update waits.
func (u *ui) testPictures(t *testing.T) {
	b := u.on(t)
	u.newCore("1.2.1")
	for path, name := range map[string]string{
		"/ui/": "overview", "/ui/updates": "updates", "/ui/addons": "store", "/ui/addons/local_player": "addon", "/ui/trust": "trust", "/ui/backups": "backups", "/ui/settings": "settings",
	} {
		b.Visit(path)
		b.Portrait(name, browser.Light)
		switch name {
		case "store":
			b.Portrait(name+"-dark", browser.Dark)
		case "overview":
			b.Portrait(name+"-phone", browser.Phone)
		}
		b.Look(browser.Light)
	}
}

// testForce is refused a version that its publisher has withdrawn, finds out why, and lets it in once all the same.
func (u *ui) testForce(t *testing.T) {
	b := u.on(t)
	bad := u.world.core("1.3.0")
	u.release("1.3.0")
	u.castellan("check").says(t, 0)
	u.untrust(bad, "--severity", "update")
	b.Visit("/ui/updates")
	b.Click("button", "Update Home Assistant to 1.3.0")
	b.Sees("Home Assistant 1.3.0 was refused")
	u.runs(u.house.core, "1.1.0", "verified")
	b.Click("link", "Home Assistant 1.3.0 was refused")
	b.Sees("Nothing was touched. What ran before runs on.", "REVOKED")
	u.check(b, "change-refused")

	b.Visit("/ui/trust?result=REFUSE")
	b.Until("the log shows what was refused", `document.querySelectorAll("#log-table tbody tr").length === 1`)
	browser.Eval[any](b, `document.querySelector("#log-table a.rowlink").focus(); 0`)
	b.Keys("\r")
	b.Sees("for the test", "REVOKED")
	u.check(b, "record-withdrawn")
	b.Click("link", "Let it in all the same…")
	b.Sees("Let Home Assistant in all the same?", "What stands against it", "What is not known", "What forcing means")
	u.check(b, "force")

	b.Allow("answer: 422 POST /ui/trust/force")
	b.Click("button", "Let it in once")
	b.Sees("Please give a reason; it goes into the log.")
	b.Fill("Why do you want it all the same?", "I know better "+harm)
	b.Fill("Type the name “Home Assistant” to confirm", "home")
	b.Click("button", "Let it in once")
	b.Sees("That is not the name. Please type “Home Assistant”.")
	if n := len(u.records("override")); n != 0 {
		t.Errorf("%d overrides are in the log before one was given", n)
	}
	u.check(b, "force-wrong-name")
	b.Clean()
	b.Fill("Type the name “Home Assistant” to confirm", "Home Assistant")
	b.Click("button", "Let it in once")
	b.Sees("Home Assistant may come in once", "The record that was made", "I know better", "anna")
	u.check(b, "forced")
	if n := len(u.records("override")); n != 1 {
		t.Errorf("%d overrides are in the log, want 1", n)
	}
	b.Click("button", "Update now")
	b.Sees("Home Assistant was let in by force")
	u.rest()
	u.runs(u.house.core, "1.3.0", "forced")
	for _, page := range []string{"/ui/updates", "/ui/trust/images", "/ui/updates/services/" + u.house.core} {
		b.Visit(page)
		b.Sees("Forced")
	}
	u.castellan("check").says(t, 0) // judged again, the badge stays
	u.rest()
	b.Visit("/ui/trust/images")
	b.Sees("Forced")
	u.check(b, "images-forced")
	u.newCore("1.4.0") // until the next normal update
	b.Visit("/ui/updates")
	b.Click("button", "Update Home Assistant to 1.4.0")
	b.Sees("Home Assistant is now 1.4.0 and running")
	u.rest()
	u.runs(u.house.core, "1.4.0", "verified")
}

// testLog narrows the verification log to what it is asked for, and reads a row's whole story.
func (u *ui) testLog(t *testing.T) {
	b := u.on(t)
	b.Visit("/ui/trust")
	u.check(b, "trust")
	all := browser.Eval[int](b, `document.querySelectorAll("#log-table tbody tr").length`)
	browser.Eval[any](b, `document.querySelector("#log-filter [name=result]").value = "ALLOW"; document.querySelector("#log-filter [name=kind]").value = "verdict"; 0`)
	b.Fill("Text or code", "1.1.0")
	b.ClickIn("#log-filter", "button", "Show")
	b.Until("the log is narrowed", `location.search.includes("q=1.1.0")`)
	rows := browser.Eval[[]string](b, `Array.from(document.querySelectorAll("#log-table tbody tr")).map(function (r) { return r.innerText })`)
	if len(rows) == 0 || len(rows) >= all {
		t.Errorf("%d rows of %d are shown", len(rows), all)
	}
	for _, r := range rows {
		if !strings.Contains(r, "1.1.0") || !strings.Contains(r, "Verified") {
			t.Errorf("among those of 1.1.0 that were let in stands %q", r)
		}
	}
	b.Visit("/ui/trust?kind=override")
	b.Until("the override is there", `document.querySelectorAll("#log-table tbody tr").length === 1`)
	u.check(b, "trust-filtered")
	b.Visit("/ui/trust?q=nothing-of-this-name")
	b.Sees("Nothing")
	b.Visit("/ui/trust?kind=verdict")
	browser.Eval[any](b, `document.querySelector("#log-table a.rowlink").focus(); 0`)
	b.Keys("\r")
	b.Sees("Record ")
	u.check(b, "record")
	b.Visit("/ui/trust")
	b.Click("button", "Verify everything now")
	b.Sees("Verif")
	b.Visit("/ui/trust/chain")
	u.check(b, "chain")
}
