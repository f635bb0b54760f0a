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

// How often the first page is looked at, and how many tabs have their stream open.
const visits, tabs = 15, 50

// TestMain ends the browser.
func TestMain(m *testing.M) {
	code := m.Run()
	browser.Close()
	os.Exit(code)
}

// BenchmarkUI is the web UI of an appliance with ten services, in a real browser on the same machine: how long the first page takes
// until something is painted, for a browser that was never here and for one that was; and how much more memory the daemon holds
// when pages have been drawn and the streams of 50 tabs are open than it held before anybody came.
func BenchmarkUI(b *testing.B) {
	const settle = 20 * time.Second
	h := newHouse(b, itself)
	h.image("1.0")
	var services []service
	for i := range 10 {
		services = append(services, service{fmt.Sprint("app", i), "1.0", "network: bridge"})
	}
	h.configure("", services...)
	base := h.openToPeople()
	for b.Loop() {
		h.run(services...)
		time.Sleep(settle)
		before := h.memory()["VmRSS"]
		cookie := h.owner(base)

		var first, again []time.Duration
		for range visits {
			tab := browser.Open(b, base)
			tab.SetCookie(cookie)
			tab.Visit("/ui/")
			first = append(first, painted(tab))
			tab.Visit("/ui/")
			again = append(again, painted(tab))
			tab.Close()
		}
		b.ReportMetric(ms(middle(first)), "paint-ms")
		b.ReportMetric(ms(slices.Max(first)), "paint-most-ms")
		b.ReportMetric(ms(middle(again)), "repaint-ms")

		for range tabs {
			h.stream(base, cookie)
		}
		most := 0.0
		for range samples {
			time.Sleep(time.Second) // between two samples
			most = max(most, h.memory()["VmRSS"])
		}
		b.ReportMetric(most-before, "streams-MB")
		h.stop(h.daemon)
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// painted is how long it took from the request for the page in a tab until something could be read.
func painted(tab *browser.Tab) time.Duration {
	at := browser.Eval[float64](tab, `new Promise(function (done) {
		new PerformanceObserver(function (list) {
			list.getEntries().forEach(function (e) { if (e.name === "first-contentful-paint") done(e.startTime) });
		}).observe({type: "paint", buffered: true});
	})`)
	return time.Duration(at * float64(time.Millisecond))
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

// owner makes the first user, and gives his cookie.
func (h *house) owner(base string) (cookie string) {
	h.Helper()
	var code struct{ Code string }
	h.read(h.castellan("setup-code", "--json"), &code)
	in, err := json.Marshal(map[string]string{"code": code.Code, "name": "anna", "password": "only for measuring"})
	h.must(err)
	testenv.Eventually(h, 30*time.Second, "people are answered", func() bool {
		resp, err := people.Post(base+"/castellan/setup", "application/json", bytes.NewReader(in))
		if err != nil {
			return false
		}
		_ = resp.Body.Close() // only the cookie is of interest
		cookie, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
		return resp.StatusCode == http.StatusOK
	})
	return cookie
}

// stream opens the stream of a tab, which stays open.
func (h *house) stream(base, cookie string) {
	h.Helper()
	req, err := http.NewRequest("GET", base+"/ui/events", nil)
	h.must(err)
	req.Header.Set("Cookie", cookie)
	resp, err := people.Do(req)
	h.must(err)
	if resp.StatusCode != http.StatusOK {
		h.Fatalf("a stream: %s", resp.Status)
	}
	h.Cleanup(func() { _ = resp.Body.Close() })
	go func() { _, _ = io.Copy(io.Discard, resp.Body) }() // ends with the daemon
}
