package house

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/tests/browser"
	"github.com/castellan/castellan/tests/testenv"
)

// phrase is anna's password.
const phrase = "a phrase of anna's that is long enough"

// ui is a house whose web UI is used. Its tests are steps of one story in one house: each takes the house as the one before left
// it, and would find an owner without it too.
type ui struct {
	*house
	root testing.TB // what the house was made for
	base string     // "https://127.0.0.1:…"
	anna *browser.Tab

	checked map[string]bool // screens
	pages   map[string]page // that links lead to
	forms   []form
}

// newUI makes a house that is open to the network, with core at 1.0.0 and a store.
func newUI(t testing.TB) *ui {
	t.Helper()
	return newUIOf(newWorld(t))
}

// newUIOf is newUI in a world of the test's own.
func newUIOf(w *world) *ui {
	t := w.t
	t.Helper()
	w.core("1.0.0")
	w.release("1.0.0")
	u := &ui{house: newHouse(w, withStore), root: t, checked: map[string]bool{}}
	at := "127.0.0.1:" + freePort(t)
	u.base = "https://" + at
	u.configure(u.config() + fmt.Sprintf("api: {listen: %q}\n", at))
	return u
}

// answers waits until people are answered.
func (u *ui) answers() {
	u.t.Helper()
	testenv.Eventually(u.t, 30*time.Second, "people are answered", func() bool {
		st, err := u.client.Status(context.Background())
		return err == nil && "https://"+st.Network.Listen == u.base
	})
}

// on hands house and tab to a test of the story.
func (u *ui) on(t *testing.T) *browser.Tab {
	t.Helper()
	u.t = t
	t.Cleanup(func() { u.t = u.root })
	u.own()
	if u.anna == nil {
		u.anna = browser.Open(u.root, u.base)
		u.login(u.anna, "anna", phrase)
	}
	u.anna.On(t)
	return u.anna
}

// own gives the house its owner if it has none.
func (u *ui) own() {
	u.t.Helper()
	if u.status().Network.Owner {
		return
	}
	v := u.stranger()
	if code, says := v.says("POST", "/castellan/setup", fmt.Sprintf(`{"code":%q,"name":"anna","password":%q}`, u.setupCode(), phrase)); code != http.StatusOK {
		u.t.Fatalf("setup: %d %s", code, says)
	}
}

func (u *ui) setupCode() string {
	u.t.Helper()
	var code api.SetupCode
	u.castellan("setup-code", "--json").decode(u.t, &code)
	return code.Code
}

// login comes in by the page.
func (u *ui) login(b *browser.Tab, name, password string) {
	u.t.Helper()
	b.Visit("/ui/login")
	b.Fill("Name", name)
	b.Fill("Password", password)
	b.Click("button", "Log in")
	b.At("/ui/")
}

// stranger calls from the network without a browser, and follows nothing.
func (u *ui) stranger() *visitor {
	return &visitor{h: u.house, base: u.base, http: http.Client{
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, // #nosec G402 -- which certificate it is, is tested elsewhere
	}}
}

// enter logs a stranger in by the API.
func (u *ui) enter(name, password string) *visitor {
	u.t.Helper()
	v := u.stranger()
	if code, says := v.says("POST", "/castellan/login", fmt.Sprintf(`{"name":%q,"password":%q}`, name, password)); code != http.StatusOK {
		u.t.Fatalf("login: %d %s", code, strings.TrimSpace(says))
	}
	return v
}
