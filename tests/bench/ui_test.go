//go:build bench

package bench

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/browser"
	"github.com/castellan/castellan/tests/testenv"
)

// How often the first page is looked at, how often a button is pressed, how many tabs have their stream open, and how many of
// them are one person's.
const visits, presses, tabs, each = 15, 9, 50, 5

// TestMain ends the browser.
func TestMain(m *testing.M) {
	code := m.Run()
	browser.Close()
	os.Exit(code)
}

// BenchmarkUI is the web UI of an appliance with a store of 1,000 add-ons, of which ten run, in a real browser on the same machine:
// how long the first page takes until something can be read, for a browser that was never here and for one that was; how long after
// the press of a key the progress of an installation can be seen, as the page shows it at once and as the appliance then tells it;
// and how much more memory the daemon holds when all that has been drawn, and then when the streams of 50 tabs are open as well,
// than it held before anybody came.
func BenchmarkUI(b *testing.B) {
	const settle, run = 20 * time.Second, 10
	const lean = 15 * time.Second // after the start the daemon has given back what only that needed
	h := newHouse(b, itself)
	h.image("1.0")
	h.configureAddons()
	base := h.openToPeople()
	for i := range offered {
		h.offer(i)
	}
	for b.Loop() {
		h.runAddons()
		time.Sleep(lean)
		for i := range run {
			h.castellan("addon", "install", slug(i), "--start", "--yes")
		}
		cookies := []string{h.owner(base)}
		for i := range tabs / each { // what a login takes by itself is no matter of pages
			cookies = append(cookies, h.person(base, fmt.Sprint("person", i)))
		}
		time.Sleep(settle)
		before := h.memory()["VmRSS"]

		var first, again, drawn, pressed, told []time.Duration
		for range visits {
			device := browser.NewDevice(b, base, cookies[0])
			new, known := device.Open("/ui/"), device.Open("/ui/")
			first, again, drawn = append(first, new.Paint), append(again, known.Paint), append(drawn, known.Answer)
			device.Close()
		}
		b.ReportMetric(before, "calm-MB")
		b.ReportMetric(h.memory()["VmRSS"]-before, "pages-MB")
		b.ReportMetric(ms(middle(first)), "paint-ms")
		b.ReportMetric(ms(slices.Max(first)), "paint-most-ms")
		b.ReportMetric(ms(middle(again)), "repaint-ms")
		b.ReportMetric(ms(middle(drawn)), "draw-ms")

		var leave []func() error
		for i := range tabs {
			leave = append(leave, h.stream(base, cookies[1+i/each]))
		}
		time.Sleep(settle) // as before the pages
		most := 0.0
		for range samples {
			time.Sleep(time.Second) // between two samples
			most = max(most, h.memory()["VmRSS"])
		}
		b.ReportMetric(most-before, "streams-MB")
		for _, one := range leave {
			_ = one() // gone is gone
		}

		tab := browser.Open(b, base)
		tab.SetCookie(cookies[0])
		for i := range presses {
			seen, from := install(tab, slug(run+i))
			pressed, told = append(pressed, seen), append(told, from)
		}
		tab.Close()
		b.ReportMetric(ms(middle(pressed)), "press-ms")
		b.ReportMetric(ms(slices.Max(pressed)), "press-most-ms")
		b.ReportMetric(ms(middle(told)), "told-ms")
		h.stop(h.daemon)
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// install installs an add-on by the keyboard. It returns how long after the press its progress was on the screen, and how long
// after it what the appliance says of it: how far it is, or that it has begun, when all was over before the page was there.
func install(tab *browser.Tab, slug string) (seen, told time.Duration) {
	tab.Visit("/ui/addons/" + slug + "/install")
	tab.Until("the page is live", `!document.body.hasAttribute("hx-disable")`)
	browser.Eval[any](tab, `(function () {
		var pressed, agree = document.querySelector("[name=agree]");
		if (agree) agree.checked = true;
		document.querySelector("[name=start]").checked = false;
		document.addEventListener("keydown", function () { pressed = performance.now() }, true);
		window.seen = window.told = 0;
		function on(what) {
			return Array.prototype.some.call(document.querySelectorAll(what), function (e) { return e.getClientRects().length > 0 });
		}
		(function look() {
			if (pressed && !window.seen && on(".sending, .live, .note.ok")) requestAnimationFrame(function () { window.seen = performance.now() - pressed });
			if (pressed && on(".live, .note.ok")) requestAnimationFrame(function () { window.told = performance.now() - pressed });
			else requestAnimationFrame(look);
		})();
		document.getElementById("install").focus();
	})()`)
	tab.Keys("\r")
	tab.Until("the progress is seen", `window.told > 0`)
	at := browser.Eval[[]float64](tab, `[window.seen, window.told]`)
	tab.Until("it is installed", `!document.querySelector("progress")`)
	return time.Duration(at[0] * float64(time.Millisecond)), time.Duration(at[1] * float64(time.Millisecond))
}

// openToPeople lets the daemon answer on the network from its next start on, and gives the address.
func (h *house) openToPeople() string {
	h.Helper()
	at := "127.0.0.1:" + freePort(h)
	text, err := os.ReadFile(h.path("castellan.yaml"))
	h.must(err)
	h.must(os.WriteFile(h.path("castellan.yaml"), fmt.Appendf(text, "api: {listen: %q}\n", at), 0o644))
	return "https://" + at
}

// people are a client for calls from the network.
var people = http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // #nosec G402

const phrase = "only for measuring"

// owner makes the first user, and gives his cookie.
func (h *house) owner(base string) string {
	h.Helper()
	var code struct{ Code string }
	h.read(h.castellan("setup-code", "--json"), &code)
	return h.comeIn(base+"/castellan/setup", map[string]string{"code": code.Code, "name": "anna", "password": phrase})
}

// person makes another user, and gives his cookie.
func (h *house) person(base, name string) string {
	h.Helper()
	cmd := h.command("castellan", "user", "add", name)
	cmd.Stdin = strings.NewReader(phrase + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		h.Fatalf("%v: %s", err, out)
	}
	return h.comeIn(base+"/castellan/login", map[string]string{"name": name, "password": phrase})
}

// comeIn sends somebody's proof and gives the cookie that comes back.
func (h *house) comeIn(to string, proof map[string]string) (cookie string) {
	h.Helper()
	in, err := json.Marshal(proof)
	h.must(err)
	testenv.Eventually(h, 30*time.Second, "people are answered", func() bool {
		resp, err := people.Post(to, "application/json", bytes.NewReader(in))
		if err != nil {
			return false
		}
		_ = resp.Body.Close() // only the cookie is of interest
		cookie, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
		return resp.StatusCode == http.StatusOK
	})
	return cookie
}

// stream opens the stream of a tab, which stays open until the function it gives is called.
func (h *house) stream(base, cookie string) func() error {
	h.Helper()
	req, err := http.NewRequest("GET", base+"/ui/events", nil)
	h.must(err)
	req.Header.Set("Cookie", cookie)
	resp, err := people.Do(req)
	h.must(err)
	if resp.StatusCode != http.StatusOK {
		h.Fatalf("a stream: %s", resp.Status)
	}
	go func() { _, _ = io.Copy(io.Discard, resp.Body) }() // ends with the stream
	return resp.Body.Close
}
