package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

func TestStoreCards(t *testing.T) {
	s := newShop()
	page := s.get(t, "/ui/addons").Body.String()
	wants(t, page, []string{"Zigbee2MQTT", "Update to 2.8.0", "Withdrawn by its publisher.", "See why: Bridge Toolkit", "Medium access", "Installed", "Not for this appliance.",
		`href="/ui/addons/core_whisper/install"`, "Is built here", `action="/ui/addons/a0d7b954_zigbee2mqtt/update"`, "It could not be read lately.", "Checked at install"}, "⟨", "Could not check")
	if n := strings.Count(page, `class="card"`); n != len(s.list) {
		t.Errorf("%d cards, want %d", n, len(s.list))
	}
	for query, want := range map[string][]string{
		"?show=installed": {"Mosquitto", "Zigbee2MQTT", "Bridge"}, "?show=updates": {"Zigbee2MQTT"}, "?show=verified": {"Mosquitto", "Zigbee2MQTT"}, "?q=camera": {"Frigate"}, "?q=FRIGATE+app": {"Frigate"},
		"?repo=core": {"Mosquitto", "Whisper"}, "?q=official": {"Mosquitto", "Whisper"}, "?q=core_whis": {"Whisper"},
	} {
		page := s.get(t, "/ui/addons"+query).Body.String()
		wants(t, page, want)
		if n := strings.Count(page, `class="card"`); n != len(want) {
			t.Errorf("%s shows %d cards, want %d", query, n, len(want))
		}
	}
	for _, word := range []string{"app", "Apps", "add-ons", "addon"} { // as Home Assistant calls them by now
		if n := strings.Count(s.get(t, "/ui/addons?q="+word).Body.String(), `class="card"`); n != len(s.list) {
			t.Errorf("%q finds %d, want all %d", word, n, len(s.list))
		}
	}
	wants(t, s.get(t, "/ui/addons?q=nothingofthekind").Body.String(), []string{"Nothing found for “nothingofthekind”", "0 add-ons found."})
	wants(t, s.get(t, "/ui/addons?show=wrong&page=-3").Body.String(), []string{"Zigbee2MQTT"})
	s.list = nil
	wants(t, s.get(t, "/ui/addons").Body.String(), []string{"No add-ons yet", `href="/ui/addons/repositories"`})
}

// TestStoreProgress: a change that goes on stands in its card, where the stream finds it.
func TestStoreProgress(t *testing.T) {
	s := newShop()
	s.changes = []api.Change{{ID: "c", Service: "addon_core_whisper", Slug: "core_whisper", Kind: "install", To: "3.1.0", State: "resolved"}}
	wants(t, s.get(t, "/ui/addons").Body.String(), []string{`id="progress-addon_core_whisper"`, `sse-swap="progress-addon_core_whisper"`}, `href="/ui/addons/core_whisper/install"`)
}

// TestStoreLarge: a thousand add-ons come in pages that an old tablet can draw.
func TestStoreLarge(t *testing.T) {
	s := newShop()
	s.list = nil
	for i := range 1000 {
		s.list = append(s.list, api.Addon{Slug: fmt.Sprintf("many_%04d", i), Name: fmt.Sprintf("Sample %04d", i), Repository: "many", Description: strings.Repeat("long ", 40), VersionLatest: "1", State: "absent", Available: true})
	}
	seen := map[string]bool{}
	for n := 1; n <= 21; n++ {
		page := s.get(t, fmt.Sprintf("/ui/addons?page=%d", n)).Body.String()
		if c := strings.Count(page, `class="card"`); c > 60 || c == 0 {
			t.Fatalf("page %d has %d cards", n, c)
		}
		if len(page) > 128<<10 {
			t.Fatalf("page %d has %d bytes", n, len(page))
		}
		for _, a := range s.list {
			if strings.Contains(page, `id="addon-`+a.Slug+`"`) {
				seen[a.Slug] = true
			}
		}
	}
	if len(seen) != 1000 {
		t.Errorf("the pages show %d add-ons, want 1000", len(seen))
	}
	wants(t, s.get(t, "/ui/addons?page=99&show=all").Body.String(), []string{"Page 21 of 21"})
	if page := s.get(t, "/ui/addons?q="+url.QueryEscape(strings.Repeat("x ", 50_000))); page.Code != 200 {
		t.Errorf("a search of 100 kB: %d", page.Code)
	}
}

// TestStoreHostile: what authors and strangers wrote stays text.
func TestStoreHostile(t *testing.T) {
	s := newShop()
	s.list = append(s.list, api.Addon{Slug: "evil_one", Name: hostileName, Repository: "evil", Description: hostileName + "\u202egpj.exe" + strings.Repeat("W", 5000), VersionLatest: hostileName, State: "absent", Available: true, URL: "javascript:alert(1)"})
	s.repos = append(s.repos, api.Repository{Slug: "evil", Name: hostileName, Source: "javascript:alert(1)", Maintainer: hostileName, Trouble: hostileName, Problems: []string{hostileName}, Ledger: hostileName})
	s.info["evil_one"] = api.AddonInfo{Addon: s.list[len(s.list)-1], LongDescription: hostileName + "\n[x](javascript:alert(1)) ![y](https://evil.example/z.png)", Image: hostileName, Evidence: hostileName,
		Asks: []api.Right{{Code: hostileName, Words: hostileName}, {Code: "device:" + hostileName, Words: "x"}}}
	for _, path := range []string{"/ui/addons", "/ui/addons?q=" + url.QueryEscape(hostileName), "/ui/addons/repositories", "/ui/addons/repositories/evil/remove", "/ui/addons/evil_one", "/ui/addons/evil_one/install"} {
		w := s.get(t, path)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
		wants(t, w.Body.String(), nil, "<script>alert", "<img src=x", `href="javascript:`, `src="https://evil`, `" onfocus`)
	}
}

func TestRepositories(t *testing.T) {
	s := newShop()
	page := s.get(t, "/ui/addons/repositories").Body.String()
	wants(t, page, []string{"Official add-ons", "comes with the appliance", "cannot reach github.com", "1 add-on in it can&#39;t be read", "broken/config.yaml", `href="/ui/addons/repositories/a0d7b954/remove"`}, `href="/ui/addons/repositories/core/remove"`)
	wants(t, s.get(t, "/ui/addons/repositories/a0d7b954/remove").Body.String(), []string{"4 add-ons are not offered any more", `action="/ui/addons/repositories/a0d7b954/remove"`})
	s.repos[1].Installed = 2
	wants(t, s.get(t, "/ui/addons/repositories/a0d7b954/remove").Body.String(), []string{"It stays: 2 add-ons"}, `action="/ui/addons/repositories/a0d7b954/remove"`)
	if w := s.get(t, "/ui/addons/repositories/nobody/remove"); w.Code != http.StatusNotFound {
		t.Errorf("a repository that is not there: %d", w.Code)
	}

	s.refuse["POST /castellan/repositories"] = api.LedgerFingerprint("https://x.example", "ledger.x", "SHA256:abc", "")
	w := s.post(t, "/ui/addons/repositories", url.Values{"source": {"https://x.example#dev"}})
	if w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a repository with a ledger of its own: %d", w.Code)
	}
	wants(t, w.Body.String(), []string{"has a ledger of its own: ledger.x", "SHA256:abc", `name="ledger"`, `value="https://x.example#dev"`}, `name="ledger" value`, "castellan repo add")
	s.refuse["POST /castellan/repositories"] = &api.Error{Status: 400, Key: "bad", Message: "no answer from x.example"}
	wants(t, s.post(t, "/ui/addons/repositories", url.Values{"source": {hostileName}}).Body.String(), []string{"no answer from x.example"}, "<script>alert")
	delete(s.refuse, "POST /castellan/repositories")
	s.post(t, "/ui/addons/repositories", url.Values{"source": {"https://x.example#dev"}, "ledger": {"SHA256:abc"}})
	s.post(t, "/ui/addons/repositories/refresh", url.Values{"slug": {"core"}})
	s.post(t, "/ui/addons/repositories/a0d7b954/remove", url.Values{})
	wants(t, s.calls(), []string{`"repository":"https://x.example#dev","ledger":"SHA256:abc"`, `POST /castellan/repositories/refresh {"slug":"core"}`, "DELETE /castellan/repositories/a0d7b954"})
}

func TestMarks(t *testing.T) {
	for name, want := range map[string]string{"core_mosquitto Mosquitto broker": "message-square", "x_zigbee2mqtt Zigbee2MQTT": "radio", "a_git Pull": "git-branch", "x_digital Thing": "box", "": "box"} {
		if got := markOf(name); got != want {
			t.Errorf("%q has %s, want %s", name, got, want)
		}
		if icons()[want] == "" {
			t.Errorf("there is no icon %q", want)
		}
	}
	for _, m := range marks {
		if icons()[m.icon] == "" {
			t.Errorf("there is no icon %q", m.icon)
		}
	}
}
