package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/api"
)

func TestAddonPage(t *testing.T) {
	s := newShop()
	page := s.get(t, zigbeePage).Body.String()
	wants(t, page, []string{"Version 2.8.0 is there.", "Ready. It begins when you say so.", "All serial ports", "The service mqtt, with its name and password", "do a thing of the future", "Control Docker or this appliance",
		"Record 50", `href="/ui/trust/log/50"`, "sha256:3bf2c008b8c5cf1110d877d8c986d75dfa912679c7d749a1318e3a15a21e6d87", "p-signer", "ledger.example/one", "Back to 2.6.0", `href="` + zigbeePage + `/open"`, `action="` + zigbeePage + `/stop"`,
		`name="port0"`, "Web interface", "Documentation"}, "castellan update", "⟨", "Use USB devices, cameras")
	german := s.get(t, zigbeePage, "Accept-Language", "de").Body.String()
	wants(t, german, []string{"Alle seriellen Schnittstellen", "Docker oder dieses Gerät steuern", "Version 2.8.0 ist da.", "Speichern und neu starten"}, "⟨", "All serial ports")
	if w := s.get(t, "/ui/addons/nobody_here"); w.Code != http.StatusNotFound {
		t.Errorf("an add-on that is not there: %d", w.Code)
	}
	wants(t, s.get(t, "/ui/addons/a0d7b954_bridge").Body.String(), []string{`id="why"`, "Withdrawn by its publisher.", "/ui/trust?service=addon_a0d7b954_bridge"})
	wants(t, s.get(t, "/ui/addons/a0d7b954_arm").Body.String(), []string{`id="why"`, "it is made for armv7"}, `/install"`)
	wants(t, s.get(t, "/ui/addons/local_own").Body.String(), []string{"Data of an earlier installation is kept.", "1\u00a0kB", "They stay until you delete them."})
	s.changes = []api.Change{{ID: "r", Service: "addon_a0d7b954_zigbee2mqtt", Slug: "a0d7b954_zigbee2mqtt", Kind: "update", From: "2.7.1", To: "2.8.0", State: "refused", Done: true, Reason: "REVOKED", Why: "it was withdrawn <b>", Verdict: 61}}
	wants(t, s.get(t, zigbeePage).Body.String(), []string{`id="why"`, "Zigbee2MQTT 2.8.0 was refused.", "2.7.1 runs on as it is.", "it was withdrawn &lt;b&gt;", "/ui/help/REVOKED", "/ui/trust/log/61", "/ui/trust/force?service=addon_a0d7b954_zigbee2mqtt"}, "Update to 2.8.0")
	wants(t, s.get(t, "/ui/addons").Body.String(), []string{"Zigbee2MQTT 2.8.0 was refused", "See why: Zigbee2MQTT"}, "Update to 2.8.0")
	s.changes = nil
	built := zigbee()
	built.Build, built.Badge = true, "local"
	s.info[built.Slug] = built
	wants(t, s.get(t, zigbeePage).Body.String(), []string{"Build 2.8.0 here", "Build it anew here", `action="` + zigbeePage + `/build"`}, `/update"`)
	stuck := zigbee()
	stuck.State, stuck.Trouble = "stuck", "it is stuck: castellan rollback"
	s.info[stuck.Slug] = stuck
	wants(t, s.get(t, zigbeePage).Body.String(), []string{`id="why"`, "It needs a decision.", "Try to go back again", `action="` + zigbeePage + `/rollback"`}, `/stop"`)
	s.info[stuck.Slug] = zigbee()
	s.texts["changelog"] = "# 2.8.0\n\n- better <script>alert(1)</script>\n"
	wants(t, s.get(t, zigbeePage+"/changes").Body.String(), []string{"better", "Zigbee2MQTT went back to 2.7.1", "failed 8 of 8 times"}, "<script>alert")
	wants(t, s.get(t, zigbeePage+"/docs").Body.String(), []string{"It brings no documentation."})
	wants(t, s.get(t, zigbeePage+"/stats").Body.String(), []string{"12.3\u00a0%", "123\u00a0MB of 4.0\u00a0GB"})
}

// TestAddonRoles: who only looks has nothing to press, and an operator nothing of an administrator's.
func TestAddonRoles(t *testing.T) {
	s := newShop()
	s.role, s.log = "viewer", "a secret line"
	s.list[1].Update, s.list[1].Waiting = true, &api.PlanSkip{Code: "consent"}
	info := s.info["core_mosquitto"]
	info.Addon, info.Asks = s.list[1], []api.Right{{Code: "usb"}}
	s.info["core_mosquitto"] = info
	for _, path := range []string{"/ui/addons", "/ui/addons/repositories", zigbeePage, zigbeePage + "/yaml", zigbeePage + "/log", zigbeePage + "/changes", zigbeePage + "/backups", zigbeePage + "/uninstall", "/ui/addons/core_whisper", "/ui/addons/core_whisper/install", "/ui/addons/core_mosquitto/consent", "/ui/addons/local_own"} {
		page := s.get(t, path).Body.String()
		for _, form := range strings.Split(page, "<form")[1:] {
			form, _, _ = strings.Cut(form, "</form>")
			if strings.Contains(form, `method="post"`) && !strings.Contains(form, `action="/ui/logout"`) && strings.Contains(form, "<button") && !strings.Contains(form, `class="all" disabled`) && !strings.Contains(form, "tabindex=\"-1\" aria-hidden") {
				t.Errorf("%s: a viewer can press %.300s", path, form)
			}
		}
		wants(t, page, nil, "a secret line", "⟨", "s3cretWord")
	}
	s.role = "operator"
	wants(t, s.get(t, zigbeePage).Body.String(), []string{"Save and restart", `name="mode"`}, `name="watchdog"`, `name="port0"`, "/protection", "/uninstall")
	wants(t, s.get(t, zigbeePage+"/log").Body.String(), []string{"only administrators"}, "a secret line", "sse-connect=\""+zigbeePage)
}

func TestAddonActs(t *testing.T) {
	s := newShop()
	s.kept = api.Kept{Restart: true}
	for _, act := range []string{"start", "stop", "restart", "update", "rollback", "build"} {
		if w := s.post(t, zigbeePage+"/"+act, url.Values{"next": {"https://evil.example/"}}); w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "/ui/") {
			t.Errorf("%s: %d to %s", act, w.Code, w.Header().Get("Location"))
		}
		wants(t, s.calls(), []string{"POST /castellan/addons/a0d7b954_zigbee2mqtt/" + act})
	}
	s.refuse["POST /castellan/addons/a0d7b954_zigbee2mqtt/update"] = api.ConsentRequired("a0d7b954_zigbee2mqtt", "2.8.0", []api.Right{{Code: "usb"}}, "")
	if w := s.post(t, zigbeePage+"/update", url.Values{}); w.Header().Get("Location") != zigbeePage+"/consent" {
		t.Errorf("an update that asks for more leads to %s", w.Header().Get("Location"))
	}

	s.post(t, zigbeePage+"/switches", url.Values{"mode": {"auto"}, "mode_was": {"ask"}, "all": {"1"}, "boot": {"on"}})
	s.post(t, zigbeePage+"/switches", url.Values{"mode": {"ask"}, "mode_was": {"ask"}, "all": {"1"}, "boot_fixed": {"1"}, "watchdog": {"on"}})
	s.post(t, zigbeePage+"/switches", url.Values{"mode": {"ask"}, "mode_was": {"ask"}, "all": {"1"}, "boot": {"on"}, "boot_was": {"auto"}, "watchdog": {"on"}, "watchdog_was": {"on"}}) // another device has switched meanwhile
	s.post(t, zigbeePage+"/protection", url.Values{"protected": {"off"}})
	wants(t, s.calls(), []string{`POST /castellan/modes {"service":"addon_a0d7b954_zigbee2mqtt","mode":"auto"}`, `/settings {"boot":"auto","watchdog":false}`, `/settings {"watchdog":true}`}, `/settings {}`, `"protected"`, `"mode":"ask"`)
	s.post(t, zigbeePage+"/protection", url.Values{"protected": {"off"}, "understood": {"1"}})
	wants(t, s.calls(), []string{`/settings {"protected":false}`})
}

func TestAddonPorts(t *testing.T) {
	s := newShop()
	for _, text := range []string{"99999", "http", "-1", "0"} {
		w := s.post(t, zigbeePage+"/ports", url.Values{"port0": {text}, "port1": {""}})
		if w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%q: %d", text, w.Code)
		}
		wants(t, w.Body.String(), []string{text + " is no port", `name="port0" value="` + text + `"`})
	}
	s.refuse["POST /castellan/addons/a0d7b954_zigbee2mqtt/settings"] = &api.Error{Status: 400, Key: api.KeyAddonPort, Message: "port 1883 is taken by Mosquitto broker"}
	w := s.post(t, zigbeePage+"/ports", url.Values{"port0": {"1883"}})
	wants(t, w.Body.String(), []string{"port 1883 is taken by Mosquitto broker", `name="port0" value="1883"`})
	s.refuse = nil
	s.post(t, zigbeePage+"/ports", url.Values{"port0": {"8100"}, "port1": {""}})
	wants(t, s.calls(), []string{`/settings {"ports":{"8099/tcp":8100,"8485/tcp":null}}`})
}

// TestAddonInstall: what it asks for is shown before, and what was shown is what is agreed to.
func TestAddonInstall(t *testing.T) {
	s := newShop()
	page := s.get(t, "/ui/addons/core_whisper/install").Body.String()
	wants(t, page, []string{"It asks for 2 rights", "Microphones and loudspeakers", `name="asks" value="host_network"`, "415\u00a0MB", "Nobody vouches for this image.", "Read other add-ons&#39; data"})
	w := s.post(t, "/ui/addons/core_whisper/install", url.Values{"asks": {"host_network", "audio"}, "start": {"on"}})
	if w.Code != http.StatusUnprocessableEntity || s.calls() != "" {
		t.Errorf("without consent: %d %s", w.Code, s.calls())
	}
	wants(t, w.Body.String(), []string{"Tick this to go on"})
	s.post(t, "/ui/addons/core_whisper/install", url.Values{"asks": {"host_network", "audio"}, "agree": {"1"}, "start": {"on"}})
	wants(t, s.calls(), []string{`/install {"start":true,"asks":["host_network","audio"]}`})
	s.refuse["POST /castellan/addons/core_whisper/install"] = api.ConsentRequired("core_whisper", "3.2", []api.Right{{Code: "docker_api", Words: "x"}}, "")
	wants(t, s.post(t, "/ui/addons/core_whisper/install", url.Values{"asks": {"audio"}, "agree": {"1"}}).Body.String(), []string{"other rights than you were shown", `name="asks" value="docker_api"`}, `value="audio"`)
	s.refuse["POST /castellan/addons/core_whisper/install"] = &api.Error{Status: 400, Key: "no_space", Message: "there is no room for it"}
	wants(t, s.post(t, "/ui/addons/core_whisper/install", url.Values{"asks": {"audio"}, "agree": {"1"}}).Body.String(), []string{"The installation was not begun.", "there is no room for it", "/ui/help/no_space"})
	for badge, words := range map[string]string{"refused": "does not come in", "withdrawn": "has withdrawn this release", "not checked": "could not be checked", "verified": "vouches for exactly this image", "local": "built on this appliance"} {
		info := s.info["core_whisper"]
		info.Badge = badge
		s.info["core_whisper"] = info
		page := s.get(t, "/ui/addons/core_whisper/install").Body.String()
		wants(t, page, []string{words})
		if bad := badge == "refused" || badge == "withdrawn"; bad == strings.Contains(page, `id="install"`) {
			t.Errorf("%s: the button is wrong", badge)
		}
	}
	if w := s.get(t, zigbeePage+"/install"); w.Code != http.StatusSeeOther {
		t.Errorf("what is installed is offered again: %d", w.Code)
	}
}

func TestAddonConsent(t *testing.T) {
	s := newShop()
	info := zigbee()
	info.Asks = []api.Right{{Code: "usb", Words: "x"}}
	s.info[info.Slug] = info
	wants(t, s.get(t, zigbeePage+"/consent").Body.String(), []string{"Zigbee2MQTT 2.8.0 asks for more", "New: 1 right", "All USB devices", "What it can reach already", "All serial ports"})
	if w := s.post(t, zigbeePage+"/consent", url.Values{"version": {"2.8.0"}, "asks": {"usb"}}); w.Code != http.StatusUnprocessableEntity || s.calls() != "" {
		t.Errorf("without consent: %d %s", w.Code, s.calls())
	}
	s.post(t, zigbeePage+"/consent", url.Values{"version": {"2.8.0"}, "asks": {"usb"}, "agree": {"1"}})
	wants(t, s.calls(), []string{`/consent {"version":"2.8.0","asks":["usb"]}`})
}

// TestAddonUninstall: data is kept unless somebody says otherwise, and deleted only under its name.
func TestAddonUninstall(t *testing.T) {
	s := newShop()
	wants(t, s.get(t, zigbeePage+"/uninstall").Body.String(), []string{`value="keep" checked`, `value="30d"`, `value="delete"`, "That is 4\u00a0MB."})
	for _, name := range []string{"", "zigbee", "Zigbee2MQTT "[:11] + "x"} {
		if w := s.post(t, zigbeePage+"/uninstall", url.Values{"data": {"delete"}, "confirm": {name}}); w.Code != http.StatusUnprocessableEntity || s.calls() != "" {
			t.Errorf("%q: %d %s", name, w.Code, s.calls())
		}
	}
	s.post(t, zigbeePage+"/uninstall", url.Values{"data": {"keep"}})
	s.post(t, zigbeePage+"/uninstall", url.Values{"data": {"delete"}, "confirm": {"Zigbee2MQTT"}})
	wants(t, s.calls(), []string{`/uninstall {"data":"keep"}`, `/uninstall {"data":"delete"}`})
	info := zigbee()
	info.Detached = true
	s.info[info.Slug] = info
	if w := s.post(t, zigbeePage+"/uninstall", url.Values{"data": {"keep"}}); w.Header().Get("Location") != "/ui/addons" {
		t.Errorf("after what nobody offers is gone it leads to %s", w.Header().Get("Location"))
	}
	wants(t, s.get(t, "/ui/addons/local_own/uninstall").Body.String(), []string{"Delete the data of My own?", `type="hidden" name="data" value="delete"`}, `value="keep"`)
}

func TestAddonBackups(t *testing.T) {
	s := newShop()
	wants(t, s.get(t, zigbeePage+"/backups").Body.String(), []string{"No backup holds it yet."})
	s.backups = []api.BackupItem{{BackupHead: api.BackupHead{Slug: "b1", Name: hostileName, Protected: true}, Content: api.BackupContent{Addons: []string{"a0d7b954_zigbee2mqtt"}}},
		{BackupHead: api.BackupHead{Slug: "b2", Name: "of another"}, Content: api.BackupContent{Addons: []string{"x"}}}}
	wants(t, s.get(t, zigbeePage+"/backups").Body.String(), []string{`href="/ui/backups/b1"`, "Passphrase or recovery key", "/backups/b1/restore"}, "of another", "<script>alert")
	s.post(t, zigbeePage+"/backups", url.Values{"name": {"mine"}})
	s.post(t, zigbeePage+"/backups/b1/restore", url.Values{"password": {" with space "}})
	wants(t, s.calls(), []string{`POST /backups/new/partial {"name":"mine","addons":["a0d7b954_zigbee2mqtt"]}`, `POST /backups/b1/restore/partial {"password":" with space ","addons":["a0d7b954_zigbee2mqtt"]}`})
}

// TestAddonLog: lines are text, whatever an add-on prints, and come in pieces that end with a line.
func TestAddonLog(t *testing.T) {
	s := newShop()
	s.log = "\x1b[31mred\x1b[0m \x1b]0;title\x07" + hostileName + "\u202e\x00\n"
	page := s.get(t, zigbeePage+"/log").Body.String()
	wants(t, page, []string{"red &lt;/textarea&gt;", `sse-connect="` + zigbeePage + `/log/lines"`, "Pause"}, "<script>alert", "\x1b", "\u202e", "]0;", "\x00")
	wants(t, s.get(t, zigbeePage+"/log?follow=0").Body.String(), []string{"Follow"}, "sse-connect=\""+zigbeePage)
	w := s.get(t, zigbeePage+"/log/download")
	if h := w.Header(); h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("Content-Disposition") != `attachment; filename="a0d7b954_zigbee2mqtt.log"` || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", h)
	}

	s.refuse["GET /castellan/addons/a0d7b954_zigbee2mqtt"] = &api.Error{Status: 401, Message: "logged out"} // meanwhile
	pr, pw := io.Pipe()
	s.logPipe = pr
	srv := httptest.NewServer(s.ui())
	defer srv.Close()
	resp, err := http.Get(srv.URL + zigbeePage + "/log/lines")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	go func() {
		_, _ = io.WriteString(pw, "first\n"+hostileName+"\n\x1b[1mdata: x\r\nevent: evil\n"+strings.Repeat("W", 10_000)+"\n")
		_ = pw.Close()
	}()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	wants(t, got, []string{"event: all\ndata: <span class=\"log-lines\"", "event: more\ndata: <span>first\ndata: &lt;/textarea&gt;", "\ndata: data: x\ndata: event: evil", "event: ended"}, "<script>alert", "\x1b", "\nevent: evil")
	if n := strings.Count(got, "W"); n != 10_000 {
		t.Errorf("of a long line came %d bytes", n)
	}
}

// TestAddonOpen: an add-on's pages stand in a frame from the port of pages, and the policy lets no other in.
func TestAddonOpen(t *testing.T) {
	s := newShop()
	wants(t, s.get(t, zigbeePage+"/open").Body.String(), []string{"pages are not shown here"}, "<iframe")
	s.pages = 8100
	w := s.get(t, zigbeePage+"/open")
	wants(t, w.Body.String(), []string{`src="http://example.com:8100/api/hassio_ingress/tokenOfPages/start"`, `sandbox="allow-scripts`}, "allow-top-navigation", "sessionOfPages", "⟨")
	if csp := w.Header().Get("Content-Security-Policy"); csp != policy("http://example.com:8100") || !strings.Contains(csp, "frame-src http://example.com:8100") || w.Header().Get("X-Frame-Options") != "DENY" {
		t.Errorf("policy %q", csp)
	}
	if c := w.Result().Cookies(); len(c) != 1 || c[0].Name != "ingress_session" || c[0].Value != "sessionOfPages" || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode {
		t.Errorf("cookies %v", c)
	}
	if w := s.get(t, zigbeePage+"/open", "Cookie", "ingress_session=sessionOfPages"); len(w.Result().Cookies()) != 0 || !strings.Contains(w.Body.String(), "<iframe") {
		t.Errorf("a session that lasts is begun anew: %v", w.Result().Cookies())
	}
	if w := s.get(t, zigbeePage+"/open", "Cookie", "ingress_session=old"); len(w.Result().Cookies()) != 1 {
		t.Error("a session that has ended is not begun anew")
	}
	if csp := s.get(t, zigbeePage).Header().Get("Content-Security-Policy"); strings.Contains(csp, "frame-src") {
		t.Errorf("other pages let frames in: %s", csp)
	}
	for host, want := range map[string][2]string{"attic.local:8099": {"http://attic.local:8100", "http://attic.local:8100"}, "[fd00::1]:8099": {"http://[fd00::1]:8100", "http://*:8100"}, "attic": {"http://attic:8100", "http://attic:8100"}} {
		r := httptest.NewRequest(http.MethodGet, zigbeePage, nil)
		r.Host = host
		if a, b := s.ui().visit(httptest.NewRecorder(), r).pagesOrigin(8100); a != want[0] || b != want[1] {
			t.Errorf("%s: %s %s", host, a, b)
		}
	}
	s.role = "viewer"
	wants(t, s.get(t, zigbeePage+"/open").Body.String(), []string{"Only operators"}, "<iframe")
	s.role = "admin"
	for change, want := range map[string]func(*api.AddonInfo){
		"It does not run":          func(i *api.AddonInfo) { i.State = "stopped" },
		"It has no pages":          func(i *api.AddonInfo) { i.Ingress = false },
		"http://example.com:8099/": func(i *api.AddonInfo) { i.Ingress, i.WebUI = false, "http://[HOST]:[PORT:8099]/" },
	} {
		info := zigbee()
		want(&info)
		s.info[info.Slug] = info
		wants(t, s.get(t, zigbeePage+"/open").Body.String(), []string{change}, "<iframe")
	}
}

func TestWebURL(t *testing.T) {
	port := uint16(8123)
	ports := []api.AddonPort{{Container: "80/tcp", Host: &port}, {Container: "81/tcp"}}
	for _, c := range []struct{ webui, host, want string }{
		{"http://[HOST]:[PORT:80]/a", "attic.local:8099", "http://attic.local:8123/a"}, {"[PROTO:ssl]://[HOST]:[PORT:80]/", "[fd00::1]:8099", "https://[fd00::1]:8123/"}, {"http://[HOST]:[PORT:80]/", "attic", "http://attic:8123/"},
		{"http://[HOST]:[PORT:81]/", "attic", ""}, {"javascript:alert([HOST])", "attic", ""}, {"http://[HOST]:[PORT:80", "attic", ""}, {"[PROTO:x", "attic", ""}, {"", "attic", ""}, {"//[HOST]/", "attic", ""},
	} {
		info := api.AddonInfo{Addon: api.Addon{WebUI: c.webui}, Ports: ports, Options: api.AddonOptions{"ssl": true}}
		if got := webURL(info, c.host); got != c.want {
			t.Errorf("%q at %q is %q, want %q", c.webui, c.host, got, c.want)
		}
	}
}

// TestRightsInWords: what the largest manifest asks for is in both languages, and each barrier that a right opens is open.
func TestRightsInWords(t *testing.T) {
	b, err := os.ReadFile("../../addons/testdata/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := addons.ParseManifest("config.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	var all []api.Right
	for _, code := range m.Rights() {
		all = append(all, api.Right{Code: code, Words: "the API's words"})
	}
	if len(all) < 20 {
		t.Fatalf("the manifest asks for %d rights only", len(all))
	}
	for _, lang := range languages {
		v := &visit{ui: newShop().ui(), lang: lang}
		for _, r := range v.reach(all).Can {
			if strings.Contains(r.Text, "API's words") || strings.Contains(r.Text, "⟨") {
				t.Errorf("%s has no words in %s", r.Code, lang)
			}
		}
		if got := v.reach(nil); len(got.Cannot) != len(barriers) || len(got.Can) != 0 {
			t.Errorf("without rights: %v", got)
		}
		if got := v.reach(all).Cannot; len(got) != 0 {
			t.Errorf("with all rights it still cannot %q", got)
		}
		if got := v.reach([]api.Right{{Code: "map:media:ro"}}).Cannot; len(got) != len(barriers)-1 {
			t.Errorf("media alone opens other than one: %q", got)
		}
	}
}

// TestLengthy: work goes on without the visitor, and its failure is told to him later.
func TestLengthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		ctx, leave := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, zigbeePage, nil)
		v := s.ui().visit(httptest.NewRecorder(), r)
		v.me.CSRF = shopToken
		if err := v.lengthy(func(context.Context) error { time.Sleep(time.Second); return io.EOF }); !errors.Is(err, io.EOF) {
			t.Errorf("short work: %v", err)
		}
		if err := v.lengthy(func(ctx context.Context) error { time.Sleep(time.Minute); return errors.Join(io.EOF, ctx.Err()) }); !errors.Is(err, errGoesOn) {
			t.Errorf("long work: %v", err)
		}
		update := func(context.Context) (api.Accepted, error) {
			time.Sleep(time.Minute)
			return api.Accepted{Changes: []string{"c"}}, nil
		}
		again := func(form string) { // another one
			v.r.PostForm = url.Values{"form": {form}}
		}
		again("update")
		if a, err := v.changes(update); !errors.Is(err, errGoesOn) || len(a.Changes) != 0 {
			t.Errorf("an update that is backed up first: %v, %v", a, err)
		}
		waits := func(context.Context) (api.Accepted, error) {
			return api.Accepted{Skips: []api.PlanSkip{{Service: "addon_a0d7b954_zigbee2mqtt", Code: "ask"}}}, nil
		}
		again("waits")
		if a, err := v.changes(waits); err != nil || len(a.Skips) != 1 {
			t.Errorf("an update that waits: %v, %v", a, err)
		}
		if err := v.lengthy(func(context.Context) error { return nil }); err != nil {
			t.Errorf("a form that is sent again after its end: %v", err)
		}
		again("waits long")
		asked := 0
		for range 2 {
			if _, err := v.changes(func(ctx context.Context) (api.Accepted, error) {
				asked++
				time.Sleep(time.Minute)
				return waits(ctx)
			}); !errors.Is(err, errGoesOn) {
				t.Errorf("an update that waits, after long: %v", err)
			}
		}
		leave()
		time.Sleep(2 * time.Minute)
		got := v.ui.notes.take(shopToken, false, time.Now())
		if len(got) != 2 || got[0].Tone != "bad" || got[0].Text != "EOF" || got[1].Tone != "warn" || got[1].Text != "Ready. It begins when you say so." {
			t.Errorf("what was told: %v", got)
		}
		if asked != 1 {
			t.Errorf("the same form began %d calls", asked)
		}
	})
}
