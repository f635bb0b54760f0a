package house

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/browser"
	"github.com/castellan/castellan/trust"
)

// TestUIRefusals is the story of a house where things are not as they should be: what an owner is shown of images that do not
// come in, of updates that want more or do not work, and of add-ons that go.
func TestUIRefusals(t *testing.T) {
	u := newUI(t)
	u.begin()
	u.answers()
	defer func() { u.anna.Close() }() // before the daemon ends
	t.Run("Consent", u.testConsent)
	t.Run("WentBack", u.testWentBack)
	t.Run("Undo", u.testUndo)
	t.Run("Uninstall", u.testUninstall)
	t.Run("FourWords", u.testFourWords)
}

// turned is an image that does not come in, and what the page of its add-on has to say of that.
type turned struct {
	slug, word string
	code       trust.Reason
	title      string // what happened
	next       string // what to do
	help       string // what the page of the code is called
}

// look is how a badge looks: no two of the four may have any of it in common.
type look struct{ Word, Colour, Icon string }

// testFourWords tries to install what could not be checked, what nobody signed, what is other than what was signed, and what was
// withdrawn. No two of them are told alike, each tells what to do, and nothing of them ever runs.
func (u *ui) testFourWords(t *testing.T) {
	b := u.on(t)
	claim := "castellan: {publisher: " + u.publisher + "}"
	var looks []look
	offer := func(slug string, signed bool) string {
		i := u.image(slug, "1.0")
		if signed {
			u.cas("notarize", i.Reference())
		}
		u.addonConfig(slug, "1.0", claim)
		return i.Reference()
	}

	// The ledger is away before anything is known of the add-on.
	offer("late", true)
	u.ledger.shut()
	u.offers()
	u.tries(b, "late")
	b.Sees("late 1.0 waits: it could not be checked yet")
	looks = append(looks, u.tells(b, turned{"late", "Could not check", trust.EvidenceUnavailable, "late 1.0 waits: it could not be checked yet.", "Install it again in some minutes.", "It could not be checked yet"}))
	u.ledger.open()

	// What is missing in the ledger may be on its way, until the ledger is an hour ahead and still does not say it.
	offer("altered", true)
	u.image("altered", "1.0", "APP_ALTERED=1") // under the notarized tag
	offer("plain", false)
	bad := offer("bad", true)
	u.offers()
	for _, slug := range []string{"altered", "plain"} {
		u.tries(b, slug)
		b.Sees(slug + " 1.0 waits: it could not be checked yet")
	}
	u.later(trust.LagGrace + time.Minute)
	u.cas("untrust", bad, "--reason", "for the test")
	u.castellan("check").says(t, 0)
	for _, c := range []turned{
		{"altered", "Refused", trust.ContentMismatch, "altered 1.0 was refused. Its publisher signed other content under this version.", "Ask the publisher.", "Its publisher signed other content"},
		{"plain", "Not signed", trust.SignatureMissing, "plain 1.0 was refused. Nobody whose word counts has signed it.", "Ask the publisher to sign it.", "Nobody whose word counts has signed it"},
		{"bad", "Withdrawn", trust.Revoked, "Withdrawn by its publisher.", "Wait for a newer version.", "It was withdrawn"},
	} {
		if c.slug != "bad" { // what is withdrawn is known before anybody tries
			u.tries(b, c.slug)
			b.Sees(c.slug + " 1.0 was refused")
		}
		looks = append(looks, u.tells(b, c))
		b.Visit("/ui/addons/local_" + c.slug + "/install")
		b.Sees("It is not let in, for the reason above.")
		if b.Has("button", "Install") != 0 {
			t.Errorf("%s can be installed", c.slug)
		}
		u.says(b, c)
		u.check(b, "refused-install-"+c.slug)
	}
	for i, one := range looks {
		for _, other := range looks[:i] {
			if one.Word == other.Word || one.Colour == other.Colour || one.Icon == other.Icon {
				t.Errorf("%+v and %+v are told apart by too little", one, other)
			}
		}
	}
	b.Visit("/ui/addons")
	b.Settle()
	u.check(b, "refused-store")

	// What could not be checked comes in when it can be.
	u.tries(b, "late")
	b.Sees("Running")
	u.addonIs("local_late", "1.0", "running", "verified")
}

// tries presses Install on the page of an add-on that was not installed before.
func (u *ui) tries(b *browser.Tab, slug string) {
	u.t.Helper()
	b.Visit("/ui/addons/local_" + slug + "/install")
	b.Click("button", "Install")
	b.At("/ui/addons/local_" + slug)
}

// says looks for what happened, what is unchanged, what to do and the code, beside each other.
func (u *ui) says(b *browser.Tab, c turned) {
	u.t.Helper()
	b.Until("why it is not let in", `document.getElementById("why")`)
	why := b.Text("#why")
	for _, want := range []string{c.title, "Nothing of it runs here.", c.next} {
		if !strings.Contains(why, want) {
			u.t.Errorf("%s: the page does not say %q: %s", c.slug, want, why)
		}
	}
	if n := browser.Eval[int](b, fmt.Sprintf(`document.querySelectorAll("#why a[href='/ui/help/%s']").length`, c.code)); n != 1 {
		u.t.Errorf("%s: %d links lead to the page of %s", c.slug, n, c.code)
	}
}

// tells looks at the page of an add-on that was not let in, and follows its code to where more is told.
func (u *ui) tells(b *browser.Tab, c turned) look {
	u.t.Helper()
	if at := "/ui/addons/local_" + c.slug; b.Path() != at {
		b.Visit(at)
	}
	b.Until("its badge is "+c.word, fmt.Sprintf(`(document.querySelector("header.page .badge") || {innerText: ""}).innerText.trim() === %q`, c.word))
	u.says(b, c)
	u.check(b, "refused-"+c.slug)
	if n := b.Has("link", "Install"); (c.slug == "late") != (n == 1) {
		u.t.Errorf("%s: %d links lead to its installation", c.slug, n)
	}
	got := browser.Eval[look](b, `(function () { var e = document.querySelector("header.page .badge"), s = getComputedStyle(e);
		return {Word: e.innerText.trim(), Colour: s.color + " on " + s.backgroundColor, Icon: e.querySelector("svg").innerHTML} })()`)
	b.ClickIn("#why", "link", "More about this")
	b.At("/ui/help/" + string(c.code))
	b.Sees(c.help, string(c.code), "Is it dangerous")

	if a := u.addon("local_" + c.slug); a.State != "absent" || a.Version != "" {
		u.t.Errorf("%s is %s at %q", c.slug, a.State, a.Version)
	}
	if slices.ContainsFunc(u.containers(), func(k container) bool { return k.service() == "addon_local_"+c.slug }) {
		u.t.Errorf("%s has a container", c.slug)
	}
	return got
}
