package house

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/testenv"
)

// visitor calls from the network, as a browser does.
type visitor struct {
	h            *house
	base, cookie string
	csrf         string
	http         http.Client
}

// says makes a call and returns status and body.
func (v *visitor) says(method, path, body string) (int, string) {
	v.h.t.Helper()
	req, err := http.NewRequestWithContext(v.h.t.Context(), method, v.base+path, strings.NewReader(body))
	must(v.h.t, err)
	req.Header.Set("Cookie", v.cookie)
	req.Header.Set("X-CSRF-Token", v.csrf)
	resp, err := v.http.Do(req)
	must(v.h.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(v.h.t, err)
	if c := resp.Header.Get("Set-Cookie"); c != "" {
		v.cookie, _, _ = strings.Cut(c, ";")
		var me struct{ Data api.Me }
		must(v.h.t, json.Unmarshal(b, &me))
		v.csrf = me.Data.CSRF
	}
	return resp.StatusCode, string(b)
}

// TestPeopleComeInFromTheNetwork opens a running appliance to the network: the first owner sets it up, a program gets a
// token, and both are there after a power cut. What they do is logged under their names, and without their
// secrets.
func TestPeopleComeInFromTheNetwork(t *testing.T) {
	const password = "a phrase of anna's that is long enough"
	w := newWorld(t)
	w.core("1.0.0")
	w.release("1.0.0")
	h := newHouse(w)
	h.begin()
	if n := h.status().Network; n.Listen != "" || n.Error != "" {
		t.Errorf("without configuration the network is %+v", n)
	}
	at := "127.0.0.1:" + freePort(t)
	h.configure(h.config() + fmt.Sprintf("api: {listen: %q}\n", at))
	testenv.Eventually(t, 30*time.Second, "people are answered", func() bool { return h.status().Network.Listen == at })
	h.castellan("status").says(t, 0, "fingerprint", "no owner yet: castellan setup-code")
	mark := h.status().Network.Fingerprint

	var code api.SetupCode
	h.castellan("setup-code", "--json").decode(t, &code)
	anna := &visitor{h: h, base: "https://" + at, http: http.Client{Timeout: time.Minute, // which certificate it is, castellan looks at below
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}} // #nosec G402
	expect := func(want int, method, path, body string) {
		t.Helper()
		if got, says := anna.says(method, path, body); got != want {
			t.Errorf("%s %s: %d %s, want %d", method, path, got, says, want)
		}
	}
	expect(401, "GET", "/castellan/status", "")
	expect(403, "POST", "/castellan/setup", `{"code":"AAAA-AAAA-AAAA-AAAA","name":"anna","password":"`+password+`"}`)
	expect(200, "POST", "/castellan/setup", `{"code":"`+code.Code+`","name":"anna","password":"`+password+`"}`)
	expect(409, "POST", "/castellan/setup", `{"code":"`+code.Code+`","name":"eve","password":"`+password+`"}`)
	expect(200, "GET", "/castellan/status", "")
	expect(200, "POST", "/castellan/holds", `{"service":"`+h.core+`","why":"guests"}`)

	token := strings.TrimSpace(h.castellan("token", "add", "ci", "--user", "anna", "--role", "operator").stdout)
	must(t, os.WriteFile(h.path("token"), []byte(token), 0o600))
	remote := func(args ...string) answer {
		t.Helper()
		return run(t, []string{"CASTELLAN_HOST=https://" + at, "CASTELLAN_TOKEN_FILE=" + h.path("token"), "CASTELLAN_FINGERPRINT=" + mark, "CASTELLAN_SOCKET=/nowhere"},
			bin(t, "castellan"), args...)
	}
	remote("status").says(t, 0, h.core)
	remote("unhold", h.core).says(t, 0)
	remote("trust", "force", h.core, "--why", "me").says(t, 1, "that is for role admin")
	remote("setup-code").says(t, 1, "may not call")

	h.daemon.kill()
	h.restart()
	testenv.Eventually(t, 30*time.Second, "people are answered again", func() bool { return h.status().Network.Listen == at })
	if got := h.status().Network; got.Fingerprint != mark || !got.Owner {
		t.Errorf("after a power cut the network is %+v, the fingerprint was %s", got, mark)
	}
	remote("status").says(t, 0, h.core)
	expect(200, "GET", "/castellan/me", "")
	h.castellan("session", "end", "--user", "anna").says(t, 0, "1 sessions of anna have ended")
	expect(401, "GET", "/castellan/me", "")

	log, err := os.ReadFile(h.path("castellan.log"))
	must(t, err)
	story := h.castellan("log", "-n", "1000", "--json").stdout
	h.castellan("log", "--kind", "account").says(t, 0, "owner made anna as admin, by who has the setup code", "token made anna as ")
	if lines := h.castellan("log", "export", "--kind", "account"); strings.Contains(lines.stdout, "anna") || !strings.Contains(lines.stdout, `"what":"owner made"`) {
		t.Errorf("lines about accounts name people, or are not there: %s", lines)
	}
	for _, by := range []string{"anna (session)", "anna (token "} {
		if !bytes.Contains(log, []byte(`by="`+by)) { // the verification log keeps names aside
			t.Errorf("the log does not name %q", by)
		}
	}
	for _, secret := range []string{password, code.Code, token, anna.csrf, anna.cookie[strings.Index(anna.cookie, "=")+1:]} {
		if bytes.Contains(log, []byte(secret)) || strings.Contains(story, secret) {
			t.Errorf("a log holds %q", secret)
		}
	}
	h.soundness()
}
