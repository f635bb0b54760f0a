package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// judge is what Home Assistant's client makes of an answer: whether it ends with 0, and what it prints. Everything but
// what is written here loses its message.
func judge(status int, media string, body []byte) (ok bool, says string) {
	var env struct {
		Result  string
		Message string
		Data    json.RawMessage
	}
	isJSON := (strings.HasPrefix(media, "application/json") || strings.HasPrefix(media, "application/problem+json")) && json.Unmarshal(body, &env) == nil
	switch {
	case status == 502:
		return false, "bad gateway: core proxy or ingress service failure"
	case status != 200 && status != 400 && status != 401 && status != 403 && status != 404 && status != 429 && status != 500 && status != 503:
		return false, fmt.Sprintf("unexpected server response (status: %d)", status)
	case !isJSON && status == 401:
		return false, "unauthorized: missing or invalid API token"
	case !isJSON && status == 403:
		return false, "forbidden: insufficient permissions or invalid token"
	case !isJSON:
		return false, fmt.Sprintf("unexpected non-JSON response (status: %d)", status)
	case env.Result != "ok":
		return false, env.Message
	}
	var data map[string]any
	if len(env.Data) > 0 && json.Unmarshal(env.Data, &data) != nil {
		return false, "cannot unmarshal the data"
	}
	if status != 200 {
		return false, "an error that says ok"
	}
	if len(data) == 0 {
		return true, "Command completed successfully."
	}
	return true, string(env.Data)
}

// wire writes a request as the client does: an empty POST is chunked and has no type, one with a body says its length.
func wire(method, path, body string, header ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:8099\r\nUser-Agent: go-resty/2.16.5 (https://github.com/go-resty/resty)\r\n", method, path)
	for _, h := range header {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("Authorization: Bearer " + hostToken + "\r\n")
	switch {
	case body != "":
		fmt.Fprintf(&b, "Content-Length: %d\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n%s", len(body), body)
	case method == "POST":
		b.WriteString("Transfer-Encoding: chunked\r\nAccept-Encoding: gzip\r\n\r\n0\r\n\r\n")
	default:
		b.WriteString("Accept-Encoding: gzip\r\n\r\n")
	}
	return b.String()
}

// exchange sends bytes over a connection of its own and reads the answer.
func exchange(t *testing.T, addr, request string) (int, string, []byte) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), b
}

// listen puts the API for add-ons on a port.
func (s *stage) listen(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.srv.ServeAddons(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// commands are those of the client that this appliance answers, each with its request, and what a user sees.
var commands = []struct {
	command, method, path, body string
	ok                          bool
	says, reaches               string
}{
	{"info", "GET", "/info", "", true, `"supported_arch":["amd64"]`, ""},
	{"available-updates", "GET", "/available_updates", "", true, `{"update_type":"core","version_latest":"2026.8.3","panel_path":"/update-available/core"}`, ""},
	{"refresh-updates", "POST", "/refresh_updates", "", true, "Command completed successfully.", "refresh with store"},
	{"core info", "GET", "/core/info", "", true, `"version_latest":"2026.8.3","update_available":true`, ""},
	{"core stats", "GET", "/core/stats", "", true, `"memory_usage":7`, ""},
	{"core start", "POST", "/core/start", "", true, "Command completed", "core start"},
	{"core check", "POST", "/core/check", "", true, "Command completed", "core check"},
	{"core stop", "POST", "/core/stop", "", false, `cannot stop "core": the appliance needs it`, ""},
	{"core stop --force", "POST", "/core/stop", `{"force":true}`, false, "the appliance needs it", ""},
	{"core restart", "POST", "/core/restart", "", true, "Command completed", "core restart"},
	{"core restart --safe-mode", "POST", "/core/restart", `{"safe_mode":true}`, false, "cannot start Home Assistant Core in safe mode", ""},
	{"core rebuild", "POST", "/core/rebuild", `{"force":true}`, true, "Command completed", "core rebuild"},
	{"core update", "POST", "/core/update", "", true, "Command completed", "update core "},
	{"core update --version", "POST", "/core/update", `{"version":"2026.8.1"}`, true, "Command completed", "update core 2026.8.1"},
	{"core update --backup", "POST", "/core/update", `{"backup":true}`, false, "this appliance makes none", ""},
	{"core options --port", "POST", "/core/options", `{"port":8123}`, true, "Command completed", ""},
	{"core options --port 80", "POST", "/core/options", `{"port":80}`, false, `cannot set "port": the configuration file decides that. Next: `, ""},
	{"apps", "GET", "/addons", "", true, `{"name":"X","slug":"core_x"`, ""},
	{"apps info", "GET", "/addons/core_x/info", "", true, `"slug":"core_x"`, ""},
	{"apps info of nobody", "GET", "/addons/nobody/info", "", false, `no add-on "nobody" is installed or offered`, ""},
	{"apps install", "POST", "/addons/core_x/install", "", true, "Command completed", `install ["core_x",{},"the host token"]`},
	{"apps install of one that asks for rights", "POST", "/addons/greedy/install", "", false, "asks for 1 rights that nobody agreed to. Next: agree", ""},
	{"apps uninstall", "POST", "/addons/core_x/uninstall", "", true, "Command completed", `uninstall ["core_x",{"data":"30d"},"the host token"]`},
	{"apps uninstall --remove-config", "POST", "/addons/core_x/uninstall", `{"remove_config":true}`, true, "Command completed", `uninstall ["core_x",{"data":"delete"},"the host token"]`},
	{"apps start", "POST", "/addons/core_x/start", "", true, "Command completed", `start ["core_x"]`},
	{"apps stop", "POST", "/addons/core_x/stop", "", true, "Command completed", `stop ["core_x"]`},
	{"apps restart", "POST", "/addons/core_x/restart", "", true, "Command completed", `restart ["core_x"]`},
	{"apps update", "POST", "/addons/core_x/update", "", true, "Command completed", `update ["core_x",{}]`},
	{"apps rebuild", "POST", "/addons/core_x/rebuild", `{"force":true}`, true, "Command completed", `build ["core_x",{}]`},
	{"apps stats", "GET", "/addons/core_x/stats", "", true, `"memory_usage":7`, ""},
	{"store", "GET", "/store", "", true, `"repositories":[{"slug":"core"`, ""},
	{"store apps", "GET", "/store/addons", "", true, `"slug":"core_x"`, ""},
	{"store reload", "POST", "/store/reload", "", true, "Command completed", `refresh [""]`},
	{"store apps install", "POST", "/store/addons/core_x/install", "", true, "Command completed", `install ["core_x",{},"the host token"]`},
	{"store apps update --backup", "POST", "/store/addons/core_x/update", `{"backup":true}`, false, "this appliance makes none", ""},
	{"store add", "POST", "/store/repositories", `{"repository":"https://example.org/r"}`, true, "Command completed", `add [{"repository":"https://example.org/r"},"the host token"]`},
	{"store add of one with a ledger", "POST", "/store/repositories", `{"repository":"https://x/own-ledger"}`, false, "with the key ab:cd; compare", ""},
	{"store delete", "DELETE", "/store/repositories/core", "", true, "Command completed", `remove ["core","the host token"]`},
	{"store repair", "POST", "/store/repositories/core/repair", "", true, "Command completed", `refresh ["core"]`},
	{"supervisor info", "GET", "/supervisor/info", "", true, `"addons_repositories":[{"name":"","slug":"core"}]`, ""},
	{"supervisor stats", "GET", "/supervisor/stats", "", true, `"memory_usage":7`, ""},
	{"supervisor available-updates", "GET", "/supervisor/available_updates", "", true, `"update_type":"core"`, ""},
	{"supervisor update", "POST", "/supervisor/update", `{"version":"2"}`, false, "cannot update castellan: it comes as a package", ""},
	{"supervisor reload", "POST", "/supervisor/reload", "", true, "Command completed", "refresh with store"},
	{"supervisor restart", "POST", "/supervisor/restart", "", false, "Next: systemctl restart castellan", ""},
	{"supervisor repair", "POST", "/supervisor/repair", "", false, "cannot repair", ""},
	{"supervisor options --channel stable", "POST", "/supervisor/options", `{"channel":"stable"}`, true, "Command completed", ""},
	{"supervisor options --channel beta", "POST", "/supervisor/options", `{"channel":"beta"}`, false, `cannot set "channel"`, ""},
	{"jobs info", "GET", "/jobs/info", "", true, `"ignore_conditions":[],"jobs":[]`, ""},
	{"jobs options", "POST", "/jobs/options", `{"ignore_conditions":["free_space"]}`, true, "Command completed", ""},
	{"jobs options of a condition that nothing here waits for", "POST", "/jobs/options", `{"ignore_conditions":["healthy"]}`, false, `cannot ignore condition "healthy": nothing waits for it here`, ""},
	{"jobs options of a condition that is none", "POST", "/jobs/options", `{"ignore_conditions":["trust"]}`, false, `cannot ignore condition "trust": there is none of that name`, ""},
	{"jobs reset", "POST", "/jobs/reset", "", true, "Command completed", ""},
	{"resolution info", "GET", "/resolution/info", "", true, `"checks":[{"slug":"core_trust","enabled":true}`, ""},
	{"resolution healthcheck", "POST", "/resolution/healthcheck", "", true, "Command completed", "refresh"},
	{"resolution check run", "POST", "/resolution/check/core_trust/run", "", true, "Command completed", "refresh"},
	{"resolution check options", "POST", "/resolution/check/core_trust/options", `{"enabled":false}`, false, "cannot switch the check", ""},
	{"resolution issue dismiss", "DELETE", "/resolution/issue/0123", "", false, `no issue "0123" is known`, ""},
	{"resolution issue suggestions", "GET", "/resolution/issue/0123/suggestions", "", false, `no issue "0123" is known`, ""},
	{"resolution suggestion apply", "POST", "/resolution/suggestion/0123", "", false, `no suggestion "0123" is known`, ""},
	{"resolution suggestion dismiss", "DELETE", "/resolution/suggestion/0123", "", false, `no suggestion "0123" is known`, ""},
	{"security info", "GET", "/security/info", "", true, `{"content_trust":true,"pwned":false,"force_security":true}`, ""},
	{"security options --content-trust=false", "POST", "/security/options", `{"content_trust":false}`, false, "trust cannot be switched off", ""},
	{"security options --force-security", "POST", "/security/options", `{"force_security":true}`, true, "Command completed", ""},
	{"security integrity", "POST", "/security/integrity", "", true, `{"supervisor":"untested","core":"pass","plugins":{},"addons":{}}`, "refresh"},
	{"os info", "GET", "/os/info", "", true, `"board":null`, ""},
	{"host info", "GET", "/host/info", "", true, `"disk_free":`, ""},
	{"network info", "GET", "/network/info", "", true, `"interfaces":[{"interface":"eth0"`, ""},
	{"docker info", "GET", "/docker/info", "", true, `"registries":`, ""},
	{"docker registries", "GET", "/docker/registries", "", true, `{"registries":{}}`, ""},
	{"docker registries add", "POST", "/docker/registries", `{"ghcr.io":{"username":"u","password":"p"}}`, false, "cannot set credentials", ""},
	{"docker registries delete", "DELETE", "/docker/registries/ghcr.io", "", false, "cannot remove credentials", ""},
	{"hardware info", "GET", "/hardware/info", "", true, `"devices":[]`, ""},
	{"dns info", "GET", "/dns/info", "", true, `"servers":[]`, ""},
	{"audio info", "GET", "/audio/info", "", true, `"version":null`, ""},
	{"multicast info", "GET", "/multicast/info", "", true, `"version":null`, ""},
	{"observer info", "GET", "/observer/info", "", true, `"version":null`, ""},
	{"cli info", "GET", "/cli/info", "", true, `"version":null`, ""},
	{"mounts", "GET", "/mounts", "", true, `"mounts":[]`, ""},
	{"backups", "GET", "/backups/info", "", true, `"days_until_stale":30`, ""},
	{"backups info", "GET", "/backups/0a1b2c3d/info", "", true, `"homeassistant":"2026.11.1"`, ""},
	{"backups info of none", "GET", "/backups/ffffffff/info", "", false, `there is no backup "ffffffff". Next: castellan backup list`, ""},
	{"backups new", "POST", "/backups/new/full", `{"name":"n","homeassistant_exclude_database":true}`, true, `"slug":"0a1b2c3d"`,
		"backup {Name:n Full:true Core:true NoDatabase:true AllAddons:true Addons:[] Folders:[share addons/local ssl media] Password:}"},
	{"backups new --app --folders", "POST", "/backups/new/partial", `{"addons":["core_x"],"folders":["ssl","homeassistant"],"password":"p","compressed":false,"location":[".local"]}`, true,
		`"slug":"0a1b2c3d"`, "backup {Name: Full:false Core:true NoDatabase:false AllAddons:false Addons:[core_x] Folders:[ssl] Password:p}"},
	{"backups new of nothing", "POST", "/backups/new/partial", "", false, "cannot make a backup of nothing", ""},
	{"backups new elsewhere", "POST", "/backups/new/full", `{"location":["nas"]}`, false, `there is no place "nas"`, ""},
	{"backups new --filename", "POST", "/backups/new/full", `{"filename":"../x.tar"}`, false, "named by its slug", ""},
	{"backups new of what is no add-on", "POST", "/backups/new/partial", `{"addons":["../x"]}`, false, "is no add-on", ""},
	{"backups new of another folder", "POST", "/backups/new/partial", `{"folders":["../x"]}`, false, "want share, addons/local, ssl, media", ""},
	{"backups restore", "POST", "/backups/0a1b2c3d/restore/full", `{"password":"p","location":null}`, true, "", "restore 0a1b2c3d {Full:true Core:false All:false Addons:[] Folders:[] Password:p} by host"},
	{"backups restore --app", "POST", "/backups/0a1b2c3d/restore/partial", `{"addons":["core_x"]}`, true, "", "restore 0a1b2c3d {Full:false Core:false All:false Addons:[core_x] Folders:[] Password:} by host"},
	{"backups remove", "DELETE", "/backups/0a1b2c3d", `{"location":[".local"]}`, true, "", "remove 0a1b2c3d"},
	{"backups freeze --timeout", "POST", "/backups/freeze", `{"timeout":60}`, false, "cannot freeze what is to be saved from outside: services rest, or are told, only while", ""},
	{"backups thaw", "POST", "/backups/thaw", "", false, "cannot thaw: nothing is frozen", ""},
	{"backups reload", "POST", "/backups/reload", "", true, "", ""},
	{"backups options", "POST", "/backups/options", `{"days_until_stale":7}`, true, "", "stale 7"},
}

// furnish gives the house what the commands are asked about.
func (s *stage) furnish() {
	s.status = api.Status{State: "running", Ledger: api.LedgerStatus{State: "fresh"}, Services: []api.ServiceStatus{
		{Name: "core", Class: "core", State: "running", Version: "2026.8.0", Available: "2026.8.3", Image: "sha256:1", Badge: "verified"}}}
	s.end = api.Change{State: "committed", Done: true, Good: true}
	s.shop = []api.Addon{{Slug: "core_x", Name: "X", Version: "1", VersionLatest: "1", State: "running", Available: true, Card: api.AddonCard{Icon: true}}}
	s.job = []string{"c1"}
}

func TestTheClientOfHomeAssistantFeelsAtHome(t *testing.T) {
	for _, c := range commands {
		t.Run(c.command, func(t *testing.T) {
			s := newStage(t)
			s.furnish()
			status, media, body := exchange(t, s.listen(t), wire(c.method, c.path, c.body))
			ok, says := judge(status, media, body)
			if ok != c.ok || !strings.Contains(says, c.says) {
				t.Errorf("ends well: %v, prints %.400s (status %d); want %v and %s", ok, says, status, c.ok, c.says)
			}
			if got := changes(s.reached()); strings.Join(got, "; ") != c.reaches {
				t.Errorf("did %q, want %q", got, c.reaches)
			}
		})
	}
}

// changes are the calls that are no mere looks.
func changes(calls []string) (out []string) {
	for _, c := range calls {
		word, _, _ := strings.Cut(c, " ")
		if !strings.Contains(" list info stats file logs repositories ", " "+word+" ") {
			out = append(out, c)
		}
	}
	return out
}

// TestTextsOfHomeAssistant asks for what is no envelope, with the client's headers.
func TestTextsOfHomeAssistant(t *testing.T) {
	for _, c := range []struct {
		path, header string
		status       int
		media, body  string
		reaches      string
	}{
		{"/core/logs", "Accept: text/plain", 200, "text/plain", "\x1b[32mone\x1b[0m\ntwo\n", "core logs 100"},
		{"/core/logs?no_colors", "Accept: text/plain", 200, "text/plain", "one\ntwo\n", "core logs 100"},
		{"/core/logs/latest", "Accept: text/x-log", 200, "text/plain", "2026-11-26 05:00:01.000 ", "core logs 100"},
		{"/core/logs", "Accept: application/json", 400, "text/plain", "want Accept text/plain", ""},
		{"/core/logs", "Range: entries=:-6:", 200, "text/plain", "two\n", "core logs 7"},
		{"/core/logs", "Range: entries=:0:", 200, "text/plain", "two\n", "core logs 1"},
		{"/core/logs", "Range: entries=:-99:10", 200, "text/plain", "two\n", "core logs 100"},
		{"/core/logs", "Range: bytes=0-", 400, "text/plain", "cannot read header", ""},
		{"/core/logs/boots/0", "Accept: text/plain", 200, "text/plain", "two\n", "core logs 100"},
		{"/core/logs/boots/-1", "Accept: text/plain", 404, "text/plain", "no log of boot", ""},
		{"/addons/core_x/logs", "Range: entries=:-1:", 200, "text/plain", "one\ntwo\n", `logs ["core_x",2,false]`},
		{"/supervisor/logs", "Accept: text/plain", 200, "text/plain", "0001-01-01T00:00:00Z 1 : \n", ""},
		{"/addons/core_x/changelog", "Accept: text/plain", 200, "text/plain", "# 1.0", `file ["core_x","changelog"]`},
		{"/addons/bare/changelog", "Accept: text/plain", 200, "text/plain", "No changelog found for add-on bare!", `file ["bare","changelog"]`},
		{"/store/addons/core_x/documentation", "Accept: text/plain", 200, "text/plain", "# 1.0", `file ["core_x","documentation"]`},
		{"/addons/core_x/icon", "Accept: */*", 200, "image/png", "\x89PNG", `file ["core_x","icon"]`},
		{"/addons/sly/logo", "Accept: */*", 404, "application/json", "sly has no logo", `file ["sly","logo"]`},
	} {
		t.Run(c.path+" "+c.header, func(t *testing.T) {
			s := newStage(t)
			s.furnish()
			status, media, body := exchange(t, s.listen(t), wire("GET", c.path, "", c.header))
			if status != c.status || !strings.HasPrefix(media, c.media) || !strings.Contains(string(body), c.body) {
				t.Errorf("got %d %s %.200q, want %d %s %q", status, media, body, c.status, c.media, c.body)
			}
			if got := strings.Join(s.reached(), "; "); got != c.reaches {
				t.Errorf("did %q, want %q", got, c.reaches)
			}
		})
	}
}
