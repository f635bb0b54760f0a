package house

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/browser"
	"github.com/castellan/castellan/tests/testenv"
)

// harm is what somebody puts where a text is expected, to have his script run, his request sent, or the page broken.
const harm = `"'></textarea></title></script><script>owned=1</script><img src=x onerror=owned=1><svg onload=owned=1><a href="javascript:owned=1">x</a>` +
	`<p hx-get="/ui/nothing" hx-trigger="load" hx-on::load="owned=1" data-hx-get="/ui/nothing">{{owned=1}}</p>` + "\u202egpj"

// playerSchema are options of each kind.
const playerSchema = `options: {volume: 5, room: kitchen, loud: false, password: "first secret", stations: [one, two]}
schema: {volume: "int(0,10)", room: str, loud: bool, password: password, stations: [str], kind: "list(radio|disc)?"}`

// shop offers more add-ons, to look at.
func (u *ui) shop() {
	u.t.Helper()
	for _, a := range []struct{ slug, name, about, more string }{
		{"weather", "Weather station", "Reads the sensors on the roof and keeps their history", "usb: true"},
		{"doorbell", "Doorbell", "Shows who rings, on every screen in the house", "video: true"},
		{"zigbee", "Zigbee bridge", "Lamps, plugs and switches by a radio stick", "uart: true"},
		{"tunnel", "Tunnel home", "A private way home from anywhere", "privileged: [NET_ADMIN]"},
		{"notes", "Kitchen notes", "A shopping list that everybody can reach", "ingress: true"},
	} {
		dir := u.path("data", "addons", "local", a.slug)
		must(u.t, os.MkdirAll(dir, 0o755))
		text := fmt.Sprintf("name: %s\nversion: \"2.3\"\nslug: %s\ndescription: %s\narch: [amd64, aarch64]\nimage: %s/house/%s\n%s\n", a.name, a.slug, a.about, u.registry.host, a.slug, a.more)
		must(u.t, os.WriteFile(dir+"/config.yaml", []byte(text), 0o644))
	}
}

// slowly lets what goes through a front take its time, so that people can see it.
func slowly(w http.ResponseWriter, r *http.Request, honest http.Handler, gone <-chan struct{}) {
	if strings.Contains(r.URL.Path, "/manifests/") {
		time.Sleep(500 * time.Millisecond)
	}
	honest.ServeHTTP(&slowWriter{w, gone}, r)
}

type slowWriter struct {
	http.ResponseWriter
	gone <-chan struct{}
}

// Write writes a quarter of a million bytes each 50 ms.
func (s *slowWriter) Write(b []byte) (n int, err error) {
	for part := range slices.Chunk(b, 256<<10) {
		select {
		case <-s.gone:
			return n, http.ErrAbortHandler
		case <-time.After(50 * time.Millisecond):
		}
		m, err := s.ResponseWriter.Write(part)
		if n += m; err != nil {
			return n, err
		}
		_ = http.NewResponseController(s.ResponseWriter).Flush() // one that can't flush sends it later
	}
	return n, nil
}

// player offers a version of an add-on that the publisher vouches for.
func (u *ui) player(version string, env ...string) {
	u.t.Helper()
	e := map[string]string{"APP_NAME": "player", "APP_WORLD": u.dir}
	for _, one := range env {
		k, v, _ := strings.Cut(one, "=")
		e[k] = v
	}
	image := testenv.BuildImage(u.t, testenv.Build{Registry: u.registry.host, Repository: "house/player", Tag: version, Env: e, Pad: 4 << 20})
	u.cas("notarize", image.Reference())
	u.addonConfig("player", version, "castellan: {publisher: "+u.publisher+"}", "ports: {8080/tcp: null}", playerSchema)
}

// villain offers an add-on whose author writes harm wherever he can.
func (u *ui) villain() {
	u.t.Helper()
	dir := u.path("data", "addons", "local", "villain")
	must(u.t, os.MkdirAll(dir+"/translations", 0o755))
	u.image("villain", "1.0", "APP_ECHO=1")
	quoted := func(prefix string) string { return fmt.Sprintf("%q", prefix+harm) }
	for name, text := range map[string]string{
		"config.yaml": fmt.Sprintf("name: %s\nversion: \"1.0\"\nslug: villain\ndescription: %s\nurl: %q\narch: [amd64, aarch64]\nimage: %s/house/villain\nstdin: true\nprivileged: [NET_ADMIN]\nports: {8080/tcp: null}\nports_description: {8080/tcp: %s}\noptions: {greeting: %s, list: [%s]}\nschema: {greeting: str, list: [str], secret: password?}\n",
			quoted("Villain "), quoted("It is "), `https://example.org/"><script>owned=1</script>`, u.registry.host, quoted("port "), quoted("hello "), quoted("item ")),
		"CHANGELOG.md":         "# 1.0\n\n" + harm + "\n\n[x](javascript:owned=1)\n\n![x](javascript:owned=1)\n",
		"DOCS.md":              "# Docs\n\n" + harm + "\n\n[x](javascript:owned=1)\n",
		"README.md":            harm + "\n",
		"translations/en.yaml": fmt.Sprintf("configuration: {greeting: {name: %s, description: %s}}\nnetwork: {8080/tcp: %s}\n", quoted("Greeting "), quoted("about "), quoted("net ")),
	} {
		must(u.t, os.WriteFile(dir+"/"+name, []byte(text), 0o644))
	}
}

// testInstallByKeyboard installs an add-on without a mouse, and sees each step of it in order, while the focus stays where it is put.
func (u *ui) testInstallByKeyboard(t *testing.T) {
	b := u.on(t)
	u.player("1.0")
	u.shop()
	u.offers()
	u.castellan("check").says(t, 0)
	u.registry.breaks("/v2/house/player/", slowly)
	defer u.registry.heals()

	b.Visit("/ui/")
	browser.Eval[any](b, `window.steps = []; window.told = []; new MutationObserver(function () {
		document.querySelectorAll(".steps .now").forEach(function (e) { if (steps[steps.length - 1] !== e.textContent) steps.push(e.textContent) });
		var a = document.getElementById("announce").textContent; if (a && told[told.length - 1] !== a) told.push(a);
	}).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true}); 0`)
	b.Reach("link", "Add-ons")
	b.Keys("\r")
	b.At("/ui/addons")
	b.Settle()
	b.Reach("link", "Install player")
	b.Keys("\r")
	b.At("/ui/addons/local_player/install")
	b.Settle()
	u.check(b, "addon-install")
	if b.Has("checkbox", "I agree that it may do this") == 1 {
		b.Reach("checkbox", "I agree that it may do this")
		b.Keys(" ")
	}
	b.Reach("button", "Install")
	b.Keys("\r")
	b.At("/ui/addons/local_player")
	b.Settle()
	b.Reach("link", "Add-ons")
	b.Keys("\r")
	b.At("/ui/addons")
	b.Settle()
	b.Picture("store-installing")
	b.Reach("searchbox", "Search add-ons")
	b.Until("the end is told", `told.some(function (x) { return x.includes("player 1.0 is installed") })`)
	if !b.Focused("searchbox", "Search add-ons") {
		t.Error("the search field has lost the focus")
	}
	b.Sees("Running")
	// Its first start is a change of its own, which may begin before the end of the installation is told. The ledger is asked in
	// milliseconds: a page may be drawn only after that.
	order := []string{"Ledger", "Download", "Verify", "Prepare", "Switch", "Health"}
	steps := browser.Eval[[]string](b, `steps`)
	if first, at := steps[:slices.Index(steps, "Health")+1], -1; !slices.Contains(first, "Download") || len(first) < len(order)-1 {
		t.Errorf("the steps were %q, want %q", steps, order)
	} else {
		for _, step := range first {
			now := slices.Index(order, step)
			if now <= at {
				t.Errorf("step %q comes out of order: %q", step, steps)
			}
			at = now
		}
	}
	u.addonIs("local_player", "1.0", "running", "verified")
	u.check(b, "store")
}

// testSearch narrows the store while somebody types.
func (u *ui) testSearch(t *testing.T) {
	b := u.on(t)
	u.villain()
	u.offers()
	b.Visit("/ui/addons")
	b.Until("all are there", `document.querySelectorAll(".card").length === 7`)
	b.Reach("searchbox", "Search add-ons")
	b.Keys("playe")
	b.Until("one is left", `document.querySelectorAll(".card").length === 1`)
	b.Keys("r")
	b.Settle()
	if !b.Focused("searchbox", "Search add-ons") {
		t.Error("the search field has lost the focus")
	}
	if got := browser.Eval[string](b, `document.getElementById("q").value`); got != "player" {
		t.Errorf("the search field holds %q", got)
	}
	b.Sees("1 add-on found.")
	b.Keys("xyz")
	b.Sees("Nothing found for “playerxyz”")
	u.check(b, "store-nothing-found")
}

// testOptions sets options in the form and as YAML, with values that are wrong and ones that are right.
func (u *ui) testOptions(t *testing.T) {
	b := u.on(t)
	saved := func(want string) {
		t.Helper()
		file, err := os.ReadFile(u.path("data", "addons", "data", "local_player", "options.json"))
		must(t, err)
		if !strings.Contains(strings.ReplaceAll(string(file), " ", ""), want) {
			t.Errorf("options.json does not say %s: %s", want, file)
		}
	}
	b.Visit("/ui/addons/local_player")
	u.check(b, "addon")
	b.Allow("answer: 422 POST /ui/addons/local_player/options")
	b.Fill("volume", "99")
	b.ClickIn("#options-form", "button", "Save and restart")
	b.Sees("Not saved; nothing has changed.")
	if at := browser.Eval[string](b, `(function () { var f = document.querySelector("[aria-invalid=true]"); return f.value + "|" + f.closest(".opt").querySelector(".wrongtext").innerText.trim() })()`); !strings.HasPrefix(at, "99|") || !strings.Contains(at, "10") {
		t.Errorf("beside the field stands %q", at)
	}
	saved(`"volume":5`)
	u.check(b, "addon-wrong-option")
	b.Clean()
	b.Fill("volume", "7")
	b.ClickIn("#options-form", "button", "Save and restart")
	b.Sees("Saved")
	testenv.Eventually(t, 20*time.Second, "it was restarted", func() bool {
		file, _ := os.ReadFile(u.path("data", "addons", "data", "local_player", "options.json"))
		return strings.Contains(strings.ReplaceAll(string(file), " ", ""), `"volume":7`)
	})
	saved("firstsecret")
	u.addonIs("local_player", "1.0", "running", "verified")

	b.Visit("/ui/addons/local_player/yaml")
	u.check(b, "addon-yaml")
	if text := browser.Eval[string](b, `document.getElementById("yaml").value`); !strings.Contains(text, "volume: 7") || strings.Contains(text, "first secret") {
		t.Errorf("the options are written as %q", text)
	}
	b.Allow("answer: 422 POST /ui/addons/local_player/yaml")
	put := func(text string) {
		browser.Eval[any](b, fmt.Sprintf(`document.getElementById("yaml").value = %q; 0`, text))
		b.ClickIn("#yaml-form", "button", "Only save")
	}
	for _, bad := range []string{"volume: [", "volume: eleven", "- 1"} {
		put(bad)
		b.Sees("Not saved; nothing has changed.")
		if text := browser.Eval[string](b, `document.getElementById("yaml").value`); text != bad {
			t.Errorf("of %q the page kept %q", bad, text)
		}
	}
	b.Clean()
	saved(`"volume":7`)
}

// testHarm looks at all that the villain wrote, where people can read it.
func (u *ui) testHarm(t *testing.T) {
	b := u.on(t)
	b.Visit("/ui/addons")
	b.Sees("Villain")
	v := u.enter("anna", phrase)
	req := func(path, body string) {
		t.Helper()
		if code, says := v.says("POST", path, body); code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, says)
		}
	}
	req("/addons/local_villain/stdin", harm+"\n")
	req("/castellan/holds", fmt.Sprintf(`{"service":%q,"why":%q}`, "addon_local_villain", harm))
	for _, page := range []string{"", "/yaml", "/log", "/changes", "/docs", "/backups", "/uninstall"} {
		b.Visit("/ui/addons/local_villain" + page)
		b.Settle()
		if !strings.Contains(b.Text("main"), "Villain") {
			t.Errorf("%s does not name the villain: %s", page, b.Text("main"))
		}
		u.check(b, "villain"+strings.ReplaceAll(page, "/", "-"))
	}
	b.Visit("/ui/addons/local_villain/log")
	b.Sees("<script>owned=1</script>")
	for _, page := range []string{"/ui/", "/ui/addons", "/ui/updates", "/ui/updates/services/addon_local_villain", "/ui/trust", "/ui/trust/images", "/ui/backups/new"} {
		b.Visit(page)
		b.Settle()
	}
	if browser.Eval[bool](b, `"owned" in window && window.owned !== undefined`) {
		t.Error("a script of the villain's has run")
	}
}
