package house

import (
	"fmt"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/browser"
)

// testRestart kills the daemon under a page that is open: the page says so, and when the daemon is back it is read anew, by itself
// and without being loaded again, and what happens then is told as before.
func (u *ui) testRestart(t *testing.T) {
	b := u.on(t)
	b.Visit("/ui/")
	b.Sees("Nothing waits.")
	browser.Eval[any](b, `window.before = true; document.getElementById("waiting").remove()`)
	b.Allow("net::ERR_", "answer: 5", "console: ")
	asleep(b, true)
	u.daemon.kill()
	asleep(b, false) // what it shows is of before
	b.Until("the loss is told", `!document.getElementById("offline").hidden`)
	u.check(b, "offline")
	u.t = u.root // the daemon outlives this test
	u.begin()
	u.t = t
	began := time.Now()
	b.Until("the page is read anew", `document.getElementById("offline").hidden && document.getElementById("waiting")`)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the page came back after %s", took)
	}
	u.world.core("1.1.0")
	u.release("1.1.0")
	u.castellan("check").says(t, 0)
	b.Sees("1.1.0")
	if !browser.Eval[bool](b, `window.before === true`) {
		t.Error("the page was loaded again")
	}
}

// asleep makes a tab one that nobody sees, or wakes it.
func asleep(b *browser.Tab, yes bool) {
	browser.Eval[any](b, fmt.Sprintf(`Object.defineProperty(document, "hidden", {value: %v, configurable: true}); document.dispatchEvent(new Event("visibilitychange")); 0`, yes))
}

// testWithoutScripts uses a browser that runs no JavaScript: it comes in, checks, sets an option and installs an add-on.
func (u *ui) testWithoutScripts(t *testing.T) {
	u.on(t)
	b := browser.Open(t, u.base)
	b.NoScripts(true)
	u.login(b, "anna", phrase)
	b.Click("button", "Check now")
	b.Sees("Checked: ledger, channel and what is installed.")
	b.Visit("/ui/addons/local_player")
	b.Fill("volume", "3")
	b.ClickIn("#options-form", "button", "Only save")
	b.Sees("Saved. It takes effect when the add-on is started again.")
	b.Visit("/ui/addons?q=villain")
	b.Sees("1 add-on found.")
	b.Visit("/ui/addons/local_villain/install")
	b.Click("checkbox", "I agree that it may do this")
	b.Click("button", "Install")
	b.At("/ui/addons/local_villain")
	u.addonIs("local_villain", "1.0", "running", "unsigned")
	if browser.Eval[string](b, `typeof htmx`) != "undefined" {
		t.Error("scripts run")
	}
}

// firstVisit is what a first visit may take over the wire, in bytes.
const firstVisit = 80 << 10

// testFirstVisit counts what a browser that was never here is sent for the first page.
func (u *ui) testFirstVisit(t *testing.T) {
	u.on(t)
	b := browser.Open(t, u.base)
	b.SetCookie(u.enter("anna", phrase).cookie)
	b.Visit("/ui/")
	var total int
	for name, size := range browser.Eval[map[string]int](b, `Object.fromEntries(performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
		.filter(function (e) { return !e.name.includes("/ui/events") }).map(function (e) { return [e.name, e.transferSize] }))`) {
		if size == 0 {
			t.Errorf("%s came from a cache", name)
		}
		t.Logf("%6d %s", size, name)
		total += size
	}
	if total > firstVisit {
		t.Errorf("a first visit takes %d bytes, more than %d", total, firstVisit)
	}
}
