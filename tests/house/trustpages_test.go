package house

import (
	"crypto/tls"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

// page reads a page of the UI as a browser without scripts does.
func (v *visitor) page(path string) string {
	v.h.t.Helper()
	code, body := v.says("GET", path, "")
	if code != http.StatusOK {
		v.h.t.Fatalf("%s answers %d: %s", path, code, body)
	}
	return body
}

// link is the first address on a page that matches.
func (v *visitor) link(page, pattern string) string {
	v.h.t.Helper()
	m := regexp.MustCompile(`href="(` + pattern + `)"`).FindStringSubmatch(page)
	if m == nil {
		v.h.t.Fatalf("no link %s on:\n%s", pattern, page)
	}
	return html.UnescapeString(m[1])
}

// sends fills in the form of a page that goes to a path: what is hidden in it, and what a person types. It gives the page it
// leads to.
func (v *visitor) sends(page, action string, typed url.Values) string {
	v.h.t.Helper()
	_, form, ok := strings.Cut(page, `action="`+action+`"`)
	if !ok {
		v.h.t.Fatalf("no form for %s on:\n%s", action, page)
	}
	form, _, _ = strings.Cut(form, "</form>")
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		typed.Add(m[1], html.UnescapeString(m[2]))
	}
	req, err := http.NewRequestWithContext(v.h.t.Context(), "POST", v.base+action, strings.NewReader(typed.Encode()))
	must(v.h.t, err)
	req.Header.Set("Cookie", v.cookie)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := v.http.Transport.RoundTrip(req) // and not where it leads to
	must(v.h.t, err)
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSeeOther {
		return v.page(resp.Header.Get("Location"))
	}
	b, err := io.ReadAll(resp.Body)
	must(v.h.t, err)
	return string(b)
}

// TestForceThroughPages finds out in three steps why an update was refused, and forces it, by links and forms alone.
func TestForceThroughPages(t *testing.T) {
	w := newWorld(t)
	w.core("1.0.0")
	bad := w.core("1.1.0")
	w.untrust(bad, "--severity", "notify")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	at := "127.0.0.1:" + freePort(t)
	h.configure(h.config() + fmt.Sprintf("api: {listen: %q}\n", at))
	testenv.Eventually(t, 30*time.Second, "people are answered", func() bool { return h.status().Network.Listen == at })
	var code api.SetupCode
	h.castellan("setup-code", "--json").decode(t, &code)
	anna := &visitor{h: h, base: "https://" + at, http: http.Client{Timeout: time.Minute, // which certificate it is, other tests look at
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}} // #nosec G402
	if got, says := anna.says("POST", "/castellan/setup", `{"code":"`+code.Code+`","name":"anna","password":"long enough for a test"}`); got != 200 {
		t.Fatalf("setup: %d %s", got, says)
	}
	h.castellan("update", h.core, "--to", "1.1.0").says(t, 4, "withdrawn")

	log := anna.page(anna.link(anna.page("/ui/"), "/ui/trust"))
	refused := anna.page(anna.link(log, `/ui/trust\?result=REFUSE#log`))
	record := anna.page(anna.link(refused, `/ui/trust/log/\d+`))
	for _, want := range []string{"It was withdrawn", "for the test", "The same evidence gives the same judgement", "What you can do", string(bad.Manifest)} {
		if !strings.Contains(record, want) {
			t.Errorf("the record does not say %q:\n%s", want, record)
		}
	}
	force := anna.page(anna.link(record, `/ui/trust/force\?service=[^"]+`))
	if again := anna.sends(force, "/ui/trust/force", url.Values{"why": {"the pump <needs> it"}, "confirm": {"something"}}); !strings.Contains(again, "That is not the name") ||
		!strings.Contains(again, "the pump &lt;needs&gt; it") {
		t.Errorf("the wrong name is answered with:\n%s", again)
	}
	given := anna.sends(force, "/ui/trust/force", url.Values{"why": {"the pump <needs> it"}, "confirm": {h.core}})
	for _, want := range []string{"may come in once", "the pump &lt;needs&gt; it", "It was withdrawn", "/ui/trust/log/"} {
		if !strings.Contains(given, want) {
			t.Errorf("what was given does not hold %q:\n%s", want, given)
		}
	}
	if n := len(h.records("override")); n != 1 {
		t.Errorf("%d overrides in the log, want 1", n)
	}
	anna.sends(given, "/ui/trust/forced/go", url.Values{})
	testenv.Eventually(t, time.Minute, "it runs", func() bool {
		s := h.status().Services
		return len(s) > 0 && s[0].Version == "1.1.0" && s[0].Change == ""
	})
	h.runs(h.core, "1.1.0", "forced")
	images := anna.page("/ui/trust/images")
	for _, want := range []string{"Forced", "Runs by force since", "the pump &lt;needs&gt; it", "It was withdrawn"} {
		if !strings.Contains(images, want) {
			t.Errorf("the images do not hold %q:\n%s", want, images)
		}
	}
	if page := anna.sends(images, "/ui/trust/verify", url.Values{}); !strings.Contains(page, "image is verified") && !strings.Contains(page, "images are verified") {
		t.Errorf("judging all is answered with:\n%s", page)
	}
	for _, path := range []string{"/ui/trust/ledgers", "/ui/trust/publishers", "/ui/trust/chain", "/ui/help"} {
		if page := anna.page(path); strings.Contains(page, "⟨") {
			t.Errorf("%s lacks a text:\n%s", path, page)
		}
	}
	if _, lines := anna.says("GET", anna.link(refused, `/castellan/log/export\?format=csv[^"]*`), ""); strings.Count(lines, "REFUSE") == 0 || strings.Contains(lines, ",ALLOW,") {
		t.Errorf("the export is:\n%s", lines)
	}
	h.soundness()
}
