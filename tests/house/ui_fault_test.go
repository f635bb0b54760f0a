package house

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/castellan/castellan/tests/browser"
	"github.com/castellan/castellan/tests/testenv"
)

// TestUIFaults takes away what a house stands on, one thing after another, while somebody looks at its pages: each page is there
// and says what is the matter, and is as before when that is over.
func TestUIFaults(t *testing.T) {
	e := testenv.PrivateEngine(t)
	w := newWorldOn(t, e.Host)
	must(t, os.MkdirAll(w.path("data"), 0o700))
	smallDisk(t, w.path("data"), "160m")
	u := newUIOf(w)
	u.begin()
	u.answers()
	defer func() { u.anna.Close() }() // before the daemon ends
	u.own()
	u.lamp("1.0", "")
	u.castellan("addon", "install", "local_lamp", "--start", "--yes").says(t, 0)
	screens := u.inMenu(t)

	t.Run("Engine", func(t *testing.T) {
		u.fault(t, screens, outage{"engine_away", "Docker does not answer", e.Kill, e.Start, nil})
	})
	t.Run("Ledger", func(t *testing.T) {
		u.fault(t, screens, outage{"ledger_away", "The ledger does not answer",
			func() { u.ledger.shut(); u.castellan("check") },
			func() { u.ledger.open(); u.castellan("check").says(t, 0) }, nil})
	})
	t.Run("Disk", func(t *testing.T) {
		filler := u.path("data", "filler")
		u.fault(t, screens, outage{"storage_full", "The storage is full", func() { fill(t, filler) }, func() { must(t, os.Remove(filler)) }, u.noRoom})
	})
	u.rest()
	u.addonIs("local_lamp", "1.0", "running", "unsigned")
}

// outage is something that is taken away from a house, and given back.
type outage struct {
	code, title string
	begin, end  func()
	meanwhile   func(*browser.Tab)
}

// noRoom asks for what there is no room for: the page says why it is not done.
func (u *ui) noRoom(b *browser.Tab) {
	b.Visit(lampAt + "/backups")
	b.ClickIn("section[aria-labelledby=make]", "button", "Make a backup")
	b.Until("it is told", `Array.from(document.querySelectorAll("main .note.bad")).some(function (n) { return n.innerText.includes("too little room") })`)
	u.check(b, "fault-storage_full-backup")
}

// fill makes a file that takes all there is on its disk.
func fill(t testing.TB, name string) {
	t.Helper()
	f, err := os.Create(name)
	must(t, err)
	defer f.Close()
	for _, size := range []int{1 << 20, 1 << 12} { // to the last page
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// rooms are what the menu leads to.
var rooms = []string{"/ui/", "/ui/updates", "/ui/addons", "/ui/trust", "/ui/backups", "/ui/settings"}

// inMenu are the screens of each kind that links lead to from the menu on, while all is well.
func (u *ui) inMenu(t *testing.T) []string {
	t.Helper()
	pages, _ := u.walked(t)
	kinds := map[string]bool{}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(pages)), func(path string) bool {
		p, kind := pages[path], kindOf(path)
		was := kinds[kind]
		kinds[kind] = true
		return was || p.status != http.StatusOK || !strings.HasPrefix(p.header.Get("Content-Type"), "text/html") || p.header.Get("Content-Disposition") != ""
	})
}

// fault goes through all screens during an outage, which begins and ends under an open page.
func (u *ui) fault(t *testing.T, screens []string, o outage) {
	b := u.on(t)
	v := u.enter("anna", phrase)
	b.Visit("/ui/")
	if b.Sees("Overview"); strings.Contains(b.Text("body"), o.title) {
		t.Fatalf("before it begins the page says %s", o.title)
	}
	b.Allow("answer: 5")
	o.begin()
	over := false
	defer func() { // the next outage is one of its own
		if !over {
			o.end()
		}
	}()
	for _, path := range screens {
		if strings.HasPrefix(path, "/ui/help") || strings.HasPrefix(path, "/ui/welcome") { // the first need nothing, the others are no rooms
			continue
		}
		p := v.asks("GET", path, "")
		_, main, _ := strings.Cut(p.body, "<main")
		if !strings.Contains(main, o.title) || !strings.Contains(main, "/ui/help/"+o.code) || !strings.Contains(main, "<h1") {
			t.Errorf("%s answers %d and does not tell what is the matter: %s", path, p.status, firstOf(main))
		}
	}
	for _, path := range rooms {
		b.Visit(path)
		b.Settle()
		b.Sees(o.title)
		u.check(b, "fault-"+o.code+strings.ReplaceAll(strings.TrimPrefix(path, "/ui"), "/", "-"))
	}
	if o.meanwhile != nil {
		o.meanwhile(b)
	}
	b.Visit("/ui/help/" + o.code)
	b.Sees(o.title, "What Castellan does by itself")
	u.check(b, "fault-"+o.code+"-help")

	for _, path := range []string{"/ui/", "/ui/settings"} { // one that is read anew by what happens, and one that is not
		b.Visit(path)
		b.Sees(o.title)
		browser.Eval[any](b, `window.before = true; 0`)
		o.end()
		over = true
		b.Until("all is well again", fmt.Sprintf(`!document.body.innerText.includes(%q)`, o.title))
		if !browser.Eval[bool](b, `window.before === true`) {
			t.Error("the page was loaded again")
		}
		if path == "/ui/" {
			o.begin()
			over = false
		}
	}
}

// firstOf is what stands first in a page's own part.
func firstOf(main string) string { return main[:min(len(main), 1500)] }
