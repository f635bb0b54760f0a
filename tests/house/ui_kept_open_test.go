package house

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/browser"
	"github.com/castellan/castellan/tests/testenv"
)

// testLogOfAnAddon follows what an add-on prints, stops that, and takes it along.
func (u *ui) testLogOfAnAddon(t *testing.T) {
	b := u.on(t)
	u.image("talker", "1.0", "APP_ECHO=1")
	u.addonConfig("talker", "1.0", "stdin: true")
	u.offers()
	u.castellan("check").says(t, 0)
	u.castellan("addon", "install", "local_talker", "--start", "--yes").says(t, 0)
	hear := func(word string) {
		t.Helper()
		cmd := exec.Command(bin(t, "castellan"), "addon", "stdin", "local_talker")
		cmd.Env, cmd.Stdin = append(os.Environ(), "CASTELLAN_SOCKET="+u.settings.socket), strings.NewReader(word+"\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	b.Visit("/ui/addons/local_talker/log")
	b.Until("it is followed", `document.getElementById("log-pause") && !document.body.hasAttribute("hx-disable")`)
	hear("first word")
	b.Until("the word comes by itself", `document.getElementById("log").innerText.includes("first word")`)
	hear(vile)
	b.Until("so does another", `document.getElementById("log").innerText.includes("onerror=owned=1> mine")`)
	u.notOwned(b)
	u.check(b, "log-followed")
	b.Click("link", "Pause")
	b.Until("it is not followed", `document.getElementById("log-follow")`)
	hear("last word")
	name, content := b.Download("link", "Download")
	for _, word := range []string{"first word", vile, "last word"} {
		if !strings.Contains(string(content), word) {
			t.Errorf("%s lacks %q:\n%s", name, word, content)
		}
	}
	if strings.Contains(b.Text("#log"), "last word") {
		t.Error("what is not followed goes on")
	}
}

// testPagesOfAnAddon opens the pages of an add-on among the others. What is in the frame reaches nothing around it.
func (u *ui) testPagesOfAnAddon(t *testing.T) {
	b := u.on(t)
	u.image("notes", "1.0")
	u.addonConfig("notes", "1.0", "ingress: true", "ingress_port: 8080")
	u.offers()
	u.castellan("check").says(t, 0)
	u.castellan("addon", "install", "local_notes", "--yes").says(t, 0)

	b.Visit("/ui/addons/local_notes/open")
	b.Sees("It does not run", "Start it to see its pages.")
	u.check(b, "open-stopped")
	b.Click("button", "Start")
	b.At("/ui/addons/local_notes")
	b.Sees("Running")
	b.Click("link", "Open")
	b.At("/ui/addons/local_notes/open")
	b.Until("there is a frame", `document.getElementById("frame")`)
	inside := func(script, want string) {
		t.Helper()
		var says string
		testenv.Eventually(t, 20*time.Second, "the frame says "+want+" to "+script, func() bool {
			says = b.InFrame(script)
			return says == want
		})
	}
	inside(`document.title`, "Pages")
	inside(`document.links[0].textContent`, "absolute")
	for _, reach := range []string{`parent.document.title`, `parent.localStorage.length`, `top.location.href`} {
		got := b.InFrame(`(function () { try { return ` + reach + ` } catch (e) { return e.name } })()`)
		if got != "SecurityError" {
			t.Errorf("%s from within: %s", reach, got)
		}
	}
	b.At("/ui/addons/local_notes/open")
	if cookies := b.InFrame(`document.cookie`); strings.Contains(cookies, "castellan") || strings.Contains(cookies, "ingress") {
		t.Errorf("the page in the frame reads the cookies %q", cookies)
	}
	b.InFrame(`document.links[1].click()`)
	inside(`document.body.innerText.trim()`, "a page")
	u.check(b, "open")

	u.castellan("addon", "stop", "local_notes").says(t, 0)
	b.Visit("/ui/addons/local_notes/open")
	b.Sees("It does not run")
	name, password := "viewer-of-notes", "a phrase that is long enough of a viewer"
	must(t, u.client.AddUser(t.Context(), api.UserRequest{Name: name, Role: "viewer", Password: password}))
	other := browser.Open(t, u.base)
	other.SetCookie(u.enter(name, password).cookie)
	other.Visit("/ui/addons/local_notes/open")
	if other.Has("button", "Start") != 0 {
		t.Error("a viewer is offered to start it")
	}
}

// testAnotherAppliance brings the backup to an appliance on which nothing is yet, after the first one's card is gone.
func (u *ui) testAnotherAppliance(t *testing.T) {
	u.on(t).Close()
	u.daemon.kill()
	u.removeContainers()
	must(t, os.RemoveAll(u.path("data")))
	u.lampConfig("1.0", "")
	u.begin()
	u.answers()

	b := browser.Open(t, u.base)
	b.Visit("/ui/")
	b.At("/ui/setup")
	b.Click("DisclosureTriangle", "Restore from a backup instead")
	b.Sees("a backup cannot prove that the appliance is yours", "bring the file here under Backups")
	u.check(b, "setup-restore")
	b.Fill("Setup code On the appliance: castellan setup-code", u.setupCode())
	b.Fill("Name", "anna")
	b.Fill("Password Ten characters or more; a few words are good.", phrase)
	b.Click("button", "Set up")
	b.At("/ui/welcome/2")
	b.Visit("/ui/welcome/4")
	b.Click("link", "Bring a backup here")
	b.At("/ui/backups")
	b.Choose("input[type=file]", u.path("taken.tar"))
	b.Click("button", "Upload")
	b.Sees("The backup is here and complete.")
	b.Click("link", vile)
	b.Click("link", "Restore")
	b.Click("checkbox", "I know that the present data is replaced.")
	b.Click("button", "Bring it back")
	b.At("/ui/backups")
	b.Sees("Everything is brought back")
	u.lampIs("blue", "precious")
	u.addonIs("local_lamp", "1.0", "running", "unsigned")
	b.Visit(lampAt)
	b.Sees("Running")
	b.Close()
}
