package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/cdproto/target"
	cd "github.com/chromedp/chromedp"
)

// Device is somebody's browser while nobody looks into it. Chromium tells whoever drives a [Tab] of each request, node and style
// sheet, which takes about as long again as a page does: what is to be measured is opened here.
type Device struct {
	t    testing.TB
	base string // "https://127.0.0.1:8480"
	from *httptest.Server
	of   cdp.BrowserContextID
}

// Painted is what the browser itself tells of a page.
type Painted struct {
	Paint  time.Duration // from the request for it until something could be read (first-contentful-paint of W3C Paint Timing)
	Answer time.Duration // of it, until the first byte of the answer
}

// NewDevice is a browser that never was at base, whose owner is logged in by a cookie "name=value". Its cache is empty and it has
// no connection.
func NewDevice(t testing.TB, base, cookie string) *Device {
	t.Helper()
	d := &Device{t: t, base: base, from: httptest.NewTLSServer(http.HandlerFunc(elsewhere))}
	root, err := start()
	d.must(err)
	made, err := cd.CallBrowser(root, target.CreateBrowserContext, target.CreateBrowserContextParams{})
	d.must(err)
	d.of = made.BrowserContextID
	name, value, _ := strings.Cut(cookie, "=")
	_, err = cd.CallBrowser(root, storage.SetCookies, storage.SetCookiesParams{BrowserContextID: d.of,
		Cookies: []*network.CookieParam{{Name: name, Value: value, URL: base + "/", Path: "/", Secure: true, HTTPOnly: true}}})
	d.must(err)
	return d
}

// Open goes to a page in a tab in which another has been read, and ends the tab.
func (d *Device) Open(path string) Painted {
	d.t.Helper()
	root, err := start()
	d.must(err)
	tab, err := cd.CallBrowser(root, target.CreateTarget, target.CreateTargetParams{URL: d.from.URL + "/?" + d.base + path, BrowserContextID: d.of, NewWindow: ptr(true)})
	d.must(err)
	time.Sleep(leaves + patient) // asking it would disturb it
	ctx, leave := cd.NewContext(root, cd.WithTargetID(tab.TargetID))
	defer leave()
	at, err := cd.Run(ctx, cd.Evaluate[[]float64](`(function () {
		var n = performance.getEntriesByType("navigation")[0], p = performance.getEntriesByName("first-contentful-paint")[0];
		return [p ? p.startTime : 0, n.responseStart - n.requestStart];
	})()`))
	d.must(err)
	if at[0] == 0 {
		d.t.Fatalf("%s has not been painted %v after it was asked for", path, patient)
	}
	return Painted{Paint: milliseconds(at[0]), Answer: milliseconds(at[1])}
}

func milliseconds(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

// Close throws the browser away.
func (d *Device) Close() {
	d.t.Helper()
	root, err := start()
	d.must(err)
	_, err = cd.CallBrowser(root, target.DisposeBrowserContext, target.DisposeBrowserContextParams{BrowserContextID: d.of})
	d.must(err)
	d.from.Close()
}

func (d *Device) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// leaves is when a tab goes to what is measured: the browser has got ready for a tab by then. patient is how long it has for it.
const leaves, patient = time.Second, time.Second

// elsewhere is a page that somebody was at before he opens the one that the query names.
func elsewhere(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, `<!doctype html><title>Elsewhere</title><p>A page.<script>setTimeout(function () { location = location.search.slice(1) }, %d)</script>`, leaves.Milliseconds()) // who does not get it paints nothing
}
