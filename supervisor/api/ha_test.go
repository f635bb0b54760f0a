package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/updater"
)

// models are the keys of Home Assistant's answers, each of which strict clients want to be there. A path leads into lists,
// of which the first element is looked at.
var models = []struct{ call, path, keys string }{
	{"/info", "", "supervisor homeassistant hassos docker hostname operating_system features machine machine_id arch supported_arch state supported channel logging timezone"},
	{"/core/info", "", "version version_latest update_available machine ip_address arch image boot port ssl watchdog audio_input audio_output backups_exclude_database duplicate_log_file"},
	{"/homeassistant/info", "", "version version_latest update_available machine ip_address arch image boot port ssl watchdog audio_input audio_output backups_exclude_database duplicate_log_file"},
	{"/supervisor/info", "", "version version_latest update_available channel arch supported healthy ip_address timezone logging debug debug_block diagnostics auto_update country " +
		"detect_blocking_io feature_flags wait_boot addons addons_repositories"},
	{"/supervisor/info", "addons", "name slug version version_latest update_available state repository icon"},
	{"/supervisor/info", "addons_repositories", "name slug"},
	{"/addons", "addons", "name slug description stage version version_latest update_available available detached homeassistant state repository build url icon logo system_managed advanced"},
	{"/store", "", "addons repositories"},
	{"/store", "addons", "advanced arch available build description documentation homeassistant icon installed logo name repository slug stage update_available url version_latest version"},
	{"/store/addons", "addons", "advanced arch available build description documentation homeassistant icon installed logo name repository slug stage update_available url version_latest version"},
	{"/store", "repositories", "slug name source url maintainer"},
	{"/store/repositories/core", "", "slug name source url maintainer"},
	{"/store/addons/core_x", "", "advanced arch available build description documentation homeassistant icon installed logo name repository slug stage update_available url version_latest version " +
		"apparmor auth_api detached docker_api full_access hassio_api hassio_role homeassistant_api host_network host_pid ingress long_description rating signed"},
	{"/addons/core_x/stats", "", "cpu_percent memory_usage memory_limit memory_percent network_rx network_tx blk_read blk_write"},
	{"/core/stats", "", "cpu_percent memory_usage memory_limit memory_percent network_rx network_tx blk_read blk_write"},
	{"/security/info", "", "content_trust pwned force_security"},
	{"/jobs/info", "", "ignore_conditions jobs"},
	{"/jobs/info", "jobs", "name reference uuid progress stage done created errors extra child_jobs"},
	{"/resolution/info", "", "unsupported unhealthy suggestions issues checks"},
	{"/resolution/info", "issues", "type context reference reference_extra uuid"},
	{"/resolution/info", "suggestions", "type context reference reference_extra uuid auto"},
	{"/resolution/info", "checks", "slug enabled"},
	{"/os/info", "", "version version_latest version_pending update_available board boot data_disk boot_slots"},
	{"/host/info", "", "agent_version apparmor_version chassis virtualization cpe deployment disk_free disk_total disk_used disk_life_time features hostname llmnr_hostname kernel " +
		"operating_system timezone dt_utc dt_synchronized use_ntp startup_time boot_timestamp broadcast_llmnr broadcast_mdns"},
	{"/network/info", "", "interfaces docker host_internet supervisor_internet"},
	{"/network/info", "interfaces", "interface type enabled connected primary mac ipv4 ipv6 wifi vlan"},
	{"/network/info", "docker", "interface address gateway dns"},
	{"/docker/info", "", "version enable_ipv6 mtu storage logging registries"},
	{"/cli/info", "", "version version_latest update_available"},
	{"/multicast/info", "", "version version_latest update_available"},
}

// ask asks with the host token, and gives the data.
func (s *stage) ask(t *testing.T, method, path, body string) (data map[string]any, answer string) {
	t.Helper()
	rec := send(s.srv.AddonHandler(), method, path, hostToken, body)
	var env struct{ Data map[string]any }
	if err := json.Unmarshal(rec.Body.Bytes(), &env); err != nil {
		t.Fatalf("%s %s: %v: %.200s", method, path, err, rec.Body.String())
	}
	return env.Data, rec.Body.String()
}

func TestEveryKeyOfHomeAssistantsModelsIsThere(t *testing.T) {
	s := newStage(t)
	s.furnish()
	s.status.Services[0].Badge = "withdrawn" // an issue
	s.ask(t, "POST", "/core/update", "")     // a job
	for _, m := range models {
		data, answer := s.ask(t, "GET", m.call, "")
		if m.path != "" {
			switch v := data[m.path].(type) {
			case map[string]any:
				data = v
			case []any:
				if len(v) == 0 {
					t.Errorf("%s: %s is empty", m.call, m.path)
					continue
				}
				data, _ = v[0].(map[string]any)
			}
		}
		var got []string
		for k := range data {
			got = append(got, k)
		}
		want := strings.Fields(m.keys)
		sort.Strings(want)
		sort.Strings(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s %s has\n%v, want\n%v\n%.200s", m.call, m.path, got, want, answer)
		}
	}
}

// TestNoKeyOfHomeAssistantsModelsIsLeftOut looks at the types: a key that is there today only because it has a value is none.
func TestNoKeyOfHomeAssistantsModelsIsLeftOut(t *testing.T) {
	optional := []string{"api.Job.ID", "api.BackupDone.Slug", "api.AvailableUpdate.Name", "api.AvailableUpdate.Icon"}
	seen := map[reflect.Type]bool{}
	var look func(reflect.Type)
	look = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			look(typ.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[typ] || !strings.HasSuffix(typ.PkgPath(), "/supervisor/api") {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			if strings.Contains(f.Tag.Get("json"), ",omit") && !slices.Contains(optional, typ.String()+"."+f.Name) {
				t.Errorf("%s.%s may be left out", typ, f.Name)
			}
			look(f.Type)
		}
	}
	for _, typ := range api.HAModels() {
		look(typ)
	}
	if len(seen) < 30 {
		t.Errorf("only %d types were looked at", len(seen))
	}
}

func TestWhoIsNotReadySaysSoBeforeAnythingElse(t *testing.T) {
	for state, ready := range map[string]bool{"startup": true, "running": true, "stopping": false, "initialize": false} {
		a, reg, _ := addonHouse(t)
		srv := api.New(api.Config{Guests: a, Registry: reg, State: func() string { return state }, Log: slog.New(slog.DiscardHandler)})
		rec := send(srv.AddonHandler(), "GET", "/info", "", "")
		if said := strings.Contains(rec.Body.String(), "System is not ready with state: "+state); said == ready || said && rec.Code != 400 {
			t.Errorf("%s: got %d %s", state, rec.Code, rec.Body.String())
		}
	}
}

// TestWhatEndsBadlyIsNotAnsweredAsDone: Home Assistant's Supervisor says ok of an update that was rolled back.
func TestWhatEndsBadlyIsNotAnsweredAsDone(t *testing.T) {
	for _, c := range []struct {
		name, path, body string
		skip             api.PlanSkip
		end              api.Change
		status           int
		says             string
	}{
		{"rolled back", "/core/update", "", api.PlanSkip{}, api.Change{State: "rolled-back", Done: true, From: "2026.8.2", Why: "check frontend failed", Next: "castellan log"}, 400,
			`"message":"cannot update Home Assistant Core: it ended as rolled back: check frontend failed; running 2026.8.2 again. Next: castellan log","error_key":"homeassistant_update_error","job_id":"`},
		{"refused by trust", "/core/update", `{"version":"2026.8.9"}`, api.PlanSkip{}, api.Change{State: "refused", Done: true, Why: "nobody vouches for it", Reason: "not_notarized"}, 400,
			`"error_key":"trust_refused","job_id":"`},
		{"stuck", "/core/update", "", api.PlanSkip{}, api.Change{State: "stuck", Why: "the old one does not start"}, 400, "it ended as stuck: the old one does not start"},
		{"nothing newer", "/core/update", "", api.PlanSkip{Service: "core", Code: updater.SkipUpToDate, Why: "it is up to date"}, api.Change{}, 400,
			`"error_key":"homeassistant_update_already_installed_error"`},
		{"held", "/core/update", "", api.PlanSkip{Service: "core", Code: updater.SkipHold, Why: "its owner holds it"}, api.Change{}, 400,
			`"message":"cannot update Home Assistant Core: its owner holds it. Next: castellan status","error_key":"homeassistant_update_error"`},
		{"in the background", "/core/update", `{"background":true}`, api.PlanSkip{}, api.Change{State: "rolled-back"}, 200, `{"result":"ok","data":{"job_id":"`},
		{"good", "/core/update", "", api.PlanSkip{}, api.Change{State: "committed", Done: true, Good: true}, 200, `{"result":"ok","data":{}}`},
		{"add-on rolled back", "/addons/core_x/update", "", api.PlanSkip{}, api.Change{State: "rolled-back", Done: true, Why: "it died"}, 400, "cannot update core_x: it ended as rolled back: it died"},
		{"add-on that is new enough", "/store/addons/core_x/update", "", api.PlanSkip{Code: updater.SkipUpToDate, Why: "it is up to date"}, api.Change{}, 400, `"error_key":"app_no_update_available_error"`},
		{"installation that failed", "/addons/core_x/install", "", api.PlanSkip{}, api.Change{State: "refused", Done: true, Why: "no", Reason: "revoked"}, 400, `"error_key":"trust_refused"`},
		{"start that failed", "/addons/core_x/start", "", api.PlanSkip{}, api.Change{State: "rolled-back", Done: true, Why: "port taken"}, 400, "cannot start core_x"},
		{"start of what runs", "/addons/core_x/start", "", api.PlanSkip{Why: "it runs"}, api.Change{}, 200, `"data":{}`},
		{"rebuild that failed", "/core/rebuild", "", api.PlanSkip{}, api.Change{State: "rolled-back", Done: true, Why: "no"}, 400, "cannot rebuild Home Assistant Core"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			s.furnish()
			if strings.Contains(c.body, "background") {
				s.hang = make(chan struct{})
				defer close(s.hang)
			}
			if s.end = c.end; c.skip.Why != "" {
				s.skips, s.job = []api.PlanSkip{c.skip}, nil
			}
			if rec := send(s.srv.AddonHandler(), "POST", c.path, hostToken, c.body); rec.Code != c.status || !strings.Contains(rec.Body.String(), c.says) {
				t.Errorf("got %d %s, want %d and %s", rec.Code, rec.Body.String(), c.status, c.says)
			}
		})
	}
}

// TestNoMessageIsLostOnTheClient: it shows none beside a status it does not know.
func TestNoMessageIsLostOnTheClient(t *testing.T) {
	for status, want := range map[int]int{400: 400, 403: 403, 404: 404, 409: 400, 410: 400, 413: 400, 422: 400, 429: 429, 500: 500, 501: 400, 503: 503} {
		s := newStage(t)
		s.furnish()
		s.refuses = &api.Error{Status: status, Key: "stuck", Message: "it is stuck", Next: "castellan rollback core"}
		rec := send(s.srv.AddonHandler(), "POST", "/core/update", hostToken, "")
		if ok, says := judge(rec.Code, rec.Header().Get("Content-Type"), rec.Body.Bytes()); ok || rec.Code != want || says != "it is stuck. Next: castellan rollback core" {
			t.Errorf("status %d: got %d %s", status, rec.Code, says)
		}
	}
}

// TestACallerThatTakesNothingInIsCut: it would hold a connection, and the log behind it, for ever.
func TestACallerThatTakesNothingInIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		l := make(piped, 1)
		here, there := net.Pipe()
		l <- there
		srv := http.Server{Handler: s.srv.AddonHandler(), ReadTimeout: 30 * time.Second, WriteTimeout: 90 * time.Second}
		done := make(chan error, 1)
		go func() { done <- srv.Serve(l) }()
		began := time.Now()
		if _, err := io.WriteString(here, wire("GET", "/addons/core_x/logs/follow", "")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute) // nothing is read
		if _, err := io.WriteString(here, "x"); err == nil {
			t.Errorf("after %s the connection is still there", time.Since(began))
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func TestWorkGoesOnWhenItsCallerLeaves(t *testing.T) {
	s := newStage(t)
	s.furnish()
	s.hang = make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	s.waits = leave // the caller leaves in the middle
	rec := sendAs(ctx, s.srv.AddonHandler(), "POST", "/core/update", "{}")
	var left struct {
		ID string `json:"job_id"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &left); err != nil || rec.Code != 503 || !strings.Contains(rec.Body.String(), "it goes on") || left.ID == "" {
		t.Fatalf("got %d %s, %v", rec.Code, rec.Body.String(), err)
	}
	if j := s.jobAt(t, left.ID); j.Done == nil || *j.Done {
		t.Errorf("the work does not go on: %+v", j)
	}
	close(s.hang)
	s.over(t, left.ID)
	if j := s.jobAt(t, left.ID); len(j.Errors) != 0 || j.Progress != 100 || !slices.Contains(s.reached(), "update core ") {
		t.Errorf("it ended as %+v; did %q", j, s.reached())
	}
}

// eventually waits for something that comes soon.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestWhatIsWrongInCoresConfigurationIsTold(t *testing.T) {
	s := newStage(t)
	s.found = "Invalid config for 'light': line 3"
	if rec := send(s.srv.AddonHandler(), "POST", "/core/check", hostToken, ""); rec.Code != 400 || !strings.Contains(rec.Body.String(), "Invalid config for 'light': line 3") {
		t.Errorf("got %d %s", rec.Code, rec.Body.String())
	}
}

func TestAnApplianceWithoutCoreSaysSo(t *testing.T) {
	s := newStage(t)
	s.noCore = true
	for _, path := range []string{"/core/info", "/homeassistant/info", "/core/logs"} {
		if rec := send(s.srv.AddonHandler(), "GET", path, hostToken, ""); rec.Code != 404 || !strings.Contains(rec.Body.String(), "runs no Home Assistant Core") {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body.String())
		}
	}
}

// TestIntegrityIsNeverBetterThanWhatIsKnown maps what is known of each service to Home Assistant's words.
func TestIntegrityIsNeverBetterThanWhatIsKnown(t *testing.T) {
	for _, c := range []struct {
		badge, ledger string
		away          error
		want          string
	}{
		{"verified", "fresh", nil, "pass"},
		{"verified", "stale", nil, "pass"},
		{"verified", "expired", nil, "failed"},
		{"verified", "quarantined", nil, "failed"},
		{"verified", "fresh", errors.New("no mirror answers"), "failed"},
		{"withdrawn", "fresh", nil, "error"},
		{"refused", "fresh", nil, "error"},
		{"forced", "fresh", nil, "error"},
		{"unsigned", "fresh", nil, "untested"},
		{"local", "expired", nil, "untested"},
		{"not checked", "fresh", nil, "failed"},
		{"", "fresh", nil, "failed"},
	} {
		s := newStage(t)
		s.furnish()
		s.away, s.status.Ledger.State = c.away, c.ledger
		s.status.Services = []api.ServiceStatus{{Name: "core", Class: "core", Image: "sha256:1", Badge: c.badge},
			{Name: "addon_core_x", Slug: "core_x", Class: "addon", Image: "sha256:2", Badge: c.badge}, {Name: "addon_core_y", Slug: "core_y", Class: "addon", Badge: "-"}}
		data, answer := s.ask(t, "POST", "/security/integrity", "")
		addons, _ := data["addons"].(map[string]any)
		if data["core"] != c.want || len(addons) != 1 || addons["core_x"] != c.want || data["supervisor"] != "untested" {
			t.Errorf("%s, ledger %s, %v: got %s, want %s", c.badge, c.ledger, c.away, answer, c.want)
		}
	}
}

// TestIssuesHaveSuggestionsThatWork goes from what is wrong over its suggestion to what that does.
func TestIssuesHaveSuggestionsThatWork(t *testing.T) {
	s := newStage(t)
	s.furnish()
	s.status.Services[0].Badge = "withdrawn"
	s.shop[0].Detached = true
	info, answer := s.ask(t, "GET", "/resolution/info", "")
	if !strings.Contains(answer, `"unhealthy":["untrusted"]`) {
		t.Errorf("not unhealthy: %s", answer)
	}
	did := map[string]string{"execute_integrity": "refresh", "execute_remove": `uninstall ["core_x",{"data":"30d"},"the host token"]`}
	suggestions := info["suggestions"].([]any)
	if len(suggestions) != len(did) {
		t.Fatalf("suggestions %v", suggestions)
	}
	for _, g := range suggestions {
		one := g.(map[string]any)
		uuid, kind := one["uuid"].(string), one["type"].(string)
		if _, answer := s.ask(t, "POST", "/resolution/suggestion/"+uuid, ""); answer != `{"result":"ok","data":{}}` || changes(s.reached())[0] != did[kind] {
			t.Errorf("%s: %s, did %q", kind, answer, s.reached())
		}
		s.house.calls = nil
		s.ask(t, "DELETE", "/resolution/suggestion/"+uuid, "")
	}
	for _, i := range info["issues"].([]any) {
		uuid := i.(map[string]any)["uuid"].(string)
		if _, answer := s.ask(t, "GET", "/resolution/issue/"+uuid+"/suggestions", ""); !strings.Contains(answer, `"suggestions":[]`) {
			t.Errorf("a dismissed suggestion is there: %s", answer)
		}
		s.ask(t, "DELETE", "/resolution/issue/"+uuid, "")
	}
	if _, answer := s.ask(t, "GET", "/resolution/info", ""); !strings.Contains(answer, `"suggestions":[],"issues":[]`) || !strings.Contains(answer, `"unhealthy":["untrusted"]`) {
		t.Errorf("after everything was dismissed: %s", answer) // unhealthy cannot be
	}
}

// TestOptionsOfHomeAssistantAreSettingsToo maps the one call of Home Assistant to ours.
func TestOptionsOfHomeAssistantAreSettingsToo(t *testing.T) {
	for _, c := range []struct{ body, did, says string }{
		{`{"options":{"port":1.0}}`, `options ["core_x",{"port":1.0}]`, "ok"},
		{`{"options":null}`, `options ["core_x",null]`, "ok"},
		{`{"boot":"manual","auto_update":true,"watchdog":false}`, `set ["core_x",{"boot":"manual","auto_update":true,"watchdog":false},"the host token"]`, "ok"},
		{`{"options":{},"network":{"80/tcp":8080,"81/tcp":null}}`, `validate ["core_x",{}]; options ["core_x",{}]; set ["core_x",{"ports":{"80/tcp":8080,"81/tcp":null}},"the host token"]`, "ok"},
		{`{}`, ``, "ok"},
		{`{"ingress_panel":false,"audio_input":null}`, `set ["core_x",{"ingress_panel":false},"the host token"]`, "ok"},
		{`{"options":{},"boot":"sometimes"}`, ``, "field \\\"boot\\\" is \\\"sometimes\\\""},
		{`{"options":{},"network":{"80":1}}`, ``, "want one as"},
		{`{"options":[]}`, ``, "wrong type @ /options"},
		{`{"ingress_panel":true}`, `set ["core_x",{"ingress_panel":true},"the host token"]`, "ok"},
		{`{"audio_output":"jack"}`, ``, "has no audio"},
	} {
		s := newStage(t)
		_, answer := s.ask(t, "POST", "/addons/core_x/options", c.body)
		if got := strings.Join(changes(s.reached()), "; "); got != c.did || !strings.Contains(answer, c.says) {
			t.Errorf("%s: did %s, want %s; %s", c.body, got, c.did, answer)
		}
	}
}

// TestOptionsAreNotSetByHalves: Home Assistant sets options and ports in one call, and a port that is taken is an error.
func TestOptionsAreNotSetByHalves(t *testing.T) {
	s := newStage(t)
	s.unset = errors.New("port 80 is core_samba's")
	rec := send(s.srv.AddonHandler(), "POST", "/addons/core_x/options", hostToken, `{"options":{"a":1},"network":{"80/tcp":80}}`)
	if rec.Code != 400 || !strings.Contains(rec.Body.String(), "core_samba") || len(s.reached()) != 0 {
		t.Errorf("%d %s; changed %q", rec.Code, rec.Body.String(), s.reached())
	}
}
