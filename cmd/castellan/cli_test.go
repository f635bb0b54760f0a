package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// butler is a daemon that has one answer for everything. It stands behind a real API server.
type butler struct {
	change api.Change // that every request makes, "" = none
	skip   string
	err    error
	plan   api.Plan
	report api.LogReport
	replay api.Replay
	asked  []string
	addon  api.AddonInfo
	vault  api.Backups
	seen   bool // the first reading of a change finds it under way

	changes []api.Change // instead of change, when there are some
	bad     int          // installed images that are refused now
	words   string       // that others wrote: stands in what is told
}

func (b *butler) Status(context.Context) (api.Status, error) {
	return api.Status{Version: "1", State: "running", Appliance: "home", Ledger: api.LedgerStatus{Origin: "l", State: "fresh", Count: 7, Time: time.Now()},
		Network:  api.NetworkStatus{Listen: "[::]:8480", TLS: "self", Fingerprint: "AB:CD", Error: "the certificate has ended"},
		Config:   api.ConfigStatus{Error: "cannot load castellan.yaml: line 3: no" + b.words},
		Channel:  api.ChannelStatus{Name: "stable"},
		Services: []api.ServiceStatus{{Name: "core", State: "running", Version: "1", Badge: "verified", Available: "2" + b.words, Waiting: "it waits for you: castellan update core" + b.words}}}, b.err
}
func (b *butler) Check(context.Context) (api.Plan, error) { return b.plan, b.err }
func (b *butler) Update(_ context.Context, r api.UpdateRequest) (api.Accepted, error) {
	b.asked = append(b.asked, "update "+r.Service+" "+r.Version)
	return b.accept()
}
func (b *butler) Rollback(_ context.Context, service string) (api.Accepted, error) {
	b.asked = append(b.asked, "rollback "+service)
	return b.accept()
}
func (b *butler) accept() (api.Accepted, error) {
	out := api.Accepted{Changes: []string{}, Skips: []api.PlanSkip{}}
	if b.change.ID != "" {
		out.Changes = append(out.Changes, b.change.ID)
	}
	if b.skip != "" {
		out.Skips = append(out.Skips, api.PlanSkip{Service: "core", Code: "hold", Why: b.skip})
	}
	return out, b.err
}
func (b *butler) Changes(context.Context) ([]api.Change, error) {
	if b.changes != nil {
		return b.changes, b.err
	}
	c := b.change
	if !b.seen {
		b.seen = true
		c.Done, c.Good, c.State = false, false, "pulled"
	}
	return []api.Change{c}, nil
}
func (b *butler) Trust() api.Trust { return b }
func (b *butler) Log() api.Log     { return b }
func (b *butler) Force(_ context.Context, r api.ForceRequest, by string) (api.Override, error) {
	b.asked = append(b.asked, "force "+r.Service+" "+r.Why+" "+r.Confirm)
	return api.Override{ID: "o", Service: r.Service, Version: "2", Digest: "sha256:" + strings.Repeat("0", 64), Reasons: []string{"SIGNATURE_MISSING"}, Seq: 9}, b.err
}
func (b *butler) Against(context.Context, string) (api.Refusal, error) { return api.Refusal{}, b.err }
func (b *butler) Pins(context.Context) ([]api.Pin, error)              { return nil, b.err }
func (b *butler) Forget(context.Context, string, string) error         { return b.err }
func (b *butler) InitHouse(context.Context, string) (api.HouseKey, error) {
	b.asked = append(b.asked, "house init")
	return api.HouseKey{Publisher: "p-x", Seq: 9}, b.err
}
func (b *butler) AcceptHouse(_ context.Context, r api.HouseRequest, by string) (api.HouseWord, error) {
	b.asked = append(b.asked, "accept "+r.Service+" "+r.Version+" "+r.Why)
	return api.HouseWord{Status: "TRUSTED", Repository: "example.org/core", Version: "2", Platform: "linux/arm64", Index: "sha256:1", Manifest: "sha256:2", Config: "sha256:3", Seq: 9}, b.err
}
func (b *butler) WithdrawHouse(_ context.Context, r api.HouseRequest, by string) (api.HouseWord, error) {
	b.asked = append(b.asked, "withdraw "+r.Service+" "+r.Severity)
	return api.HouseWord{Status: "UNTRUSTED", Repository: "example.org/core", Version: "2", Seq: 9}, b.err
}
func (b *butler) House(context.Context) (api.HouseList, error) {
	return api.HouseList{Publisher: "p-x", Words: []api.HouseWord{{Status: "TRUSTED", Repository: "example.org/core", Version: "2", Manifest: "sha256:2"}}}, b.err
}
func (b *butler) Records(context.Context, api.LogQuery) ([]api.LogRecord, error) {
	return []api.LogRecord{{Seq: 1, Kind: "boot", Summary: "started" + b.words, Line: json.RawMessage(`{}`)}}, b.err
}
func (b *butler) Days(_ context.Context, n int) ([]api.LogDay, error) {
	return make([]api.LogDay, n), b.err
}
func (b *butler) Verify(context.Context) (api.LogReport, error) { return b.report, b.err }
func (b *butler) Explain(_ context.Context, n uint64) (api.Explanation, error) {
	return api.Explanation{Seq: n, Text: "because" + b.words, Next: "nothing" + b.words}, b.err
}
func (b *butler) Replay(context.Context, uint64) (api.Replay, error) { return b.replay, b.err }

// serve puts b behind a socket.
func serve(t *testing.T, b *butler) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- api.New(api.Config{Backend: b, Backups: b.vault, Version: "1.2.3", Owner: uint32(os.Getuid()), Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// run is one command line.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	code = execute(ctx, args, &out, &errOut)
	return code, out.String(), errOut.String()
}

func TestExitCodesAndNextSteps(t *testing.T) {
	good := api.Change{ID: "c1", Service: "core", To: "2", State: "committed", Done: true, Good: true}
	ended := func(state, reason, why, next string) api.Change {
		return api.Change{ID: "c1", Service: "core", To: "2", State: state, Done: true, Reason: reason, Why: why, Next: next}
	}
	refusal := &api.Error{Status: http.StatusForbidden, Key: api.KeyTrust, Message: "cannot do that: REVOKED", Next: "wait for a newer one"}
	stuck := &api.Error{Status: http.StatusConflict, Key: "stuck", Message: "core is stuck: the disk is gone", Next: "castellan rollback core"}
	for _, c := range []struct {
		line   string
		butler butler
		code   int
		stdout string
		stderr string
	}{
		{"status", butler{}, 0, "core", ""},
		{"status", butler{}, 0, "! config: cannot load castellan.yaml: line 3", ""},
		{"status", butler{}, 0, "it waits for you: castellan update core", ""},
		{"status", butler{}, 0, "network   [::]:8480: TLS, fingerprint AB:CD; it has no owner yet: castellan setup-code\n", ""},
		{"status", butler{}, 0, "! network: the certificate has ended", ""},
		{"version", butler{}, 0, "daemon    1.2.3", ""},
		{"check", butler{plan: api.Plan{Steps: []api.PlanStep{{Service: "core", From: "1", To: "2"}}}}, 0, "core: 1 -> 2", ""},
		{"update", butler{change: good}, 0, "core 2: committed", ""},
		{"update core --to 2", butler{change: good}, 0, "core 2: pulled", ""},
		{"update core --detach", butler{change: good}, 0, "accepted: c1", ""},
		{"update core", butler{skip: "updates are on hold"}, 3, "core: updates are on hold", ""},
		{"update core", butler{change: ended("rolled-back", "", `check "frontend" failed 5 of 5 times`, "")}, 1, "rolled-back", `check "frontend" failed`},
		{"update core", butler{change: ended("abandoned", "", "no route", "")}, 1, "abandoned", "no route"},
		{"update core", butler{change: ended("stuck", "", "the disk is gone", "castellan rollback core")}, 1, "stuck", "Next: castellan rollback core"},
		{"update core", butler{change: ended("refused", "REVOKED", "withdrawn", "wait for a newer version")}, 4, "refused", "Next: wait for a newer version"},
		{"update core", butler{change: ended("deferred", "STALE", "the ledger is silent", "look at the network")}, 4, "deferred", "Next: look at the network"},
		{"update core", butler{err: stuck}, 1, "", "Next: castellan rollback core"},
		{"rollback core", butler{change: good}, 0, "committed", ""},
		{"rollback core", butler{err: refusal}, 4, "", "Next: wait for a newer one"},
		{"trust force core --why because", butler{}, 0, "Next: castellan update core", ""},
		{"trust force core --why because", butler{err: stuck}, 1, "", "Next: castellan rollback core"},
		{"trust pins", butler{}, 0, "SERVICE", ""},
		{"trust forget radio", butler{}, 0, "radio is bound to nobody", ""},
		{"trust house init", butler{}, 0, "house key p-x", ""},
		{"trust house accept core --version 2", butler{}, 0, "manifest sha256:2", ""},
		{"trust house accept core", butler{err: refusal}, 4, "", "Next: wait for a newer one"},
		{"trust house withdraw core --severity stop", butler{}, 0, "is withdrawn on this appliance", ""},
		{"trust house list", butler{}, 0, "example.org/core", ""},
		{"log", butler{}, 0, "boot", ""},
		{"log explain 3", butler{}, 0, "because", ""},
		{"log replay 3", butler{replay: api.Replay{Agree: true, Then: "ALLOW", Now: "ALLOW"}}, 0, "then: ALLOW", ""},
		{"log replay 3", butler{replay: api.Replay{Then: "ALLOW", Now: "REFUSE REVOKED"}}, 1, "now:  REFUSE REVOKED", "Next: castellan log verify"},
		{"log verify", butler{report: api.LogReport{OK: true, Records: 7, Head: "h"}}, 0, "7 records, chain good", ""},
		{"log verify", butler{report: api.LogReport{Error: "line 3 was changed"}}, 1, "", "line 3 was changed"},
	} {
		t.Run(c.line, func(t *testing.T) {
			args := append([]string{"--socket", serve(t, &c.butler)}, strings.Fields(c.line)...)
			code, stdout, stderr := run(t, args...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || code != 0 && code != 3 && stderr == "" {
				t.Errorf("exit %d, want %d\nstdout %q, want %q\nstderr %q, want %q", code, c.code, stdout, c.stdout, stderr, c.stderr)
			}
		})
	}
}

func TestWrongUsageIsToldBeforeAnythingIsAsked(t *testing.T) {
	for _, c := range []struct{ line, says, next string }{
		{"dance", `unknown command "dance"`, "Next: castellan help"},
		{"status now", "accepts between 0 and 0 arg(s)", "Next: castellan status --help"},
		{"--colour", "unknown flag: --colour", "Next: castellan --help"},
		{"update --to 2", "--to needs the name of a service", "Next: castellan update NAME --to 2"},
		{"update a b", "arg(s)", "Next: castellan update --help"},
		{"rollback", "arg(s)", "Next: castellan rollback --help"},
		{"trust dance", `unknown command "trust dance"`, "Next: castellan trust --help"},
		{"addon dance", `unknown command "addon dance"`, "Next: castellan addon --help"},
		{"log dance", `unknown command "log dance"`, "Next: castellan log --help"},
		{"trust force core", "--why is missing", "Next: castellan trust force core --why"},
		{"trust reinit", "--yes", "Next: "},
		{"log explain x", "want a number from 1", "Next: castellan log"},
		{"log replay 0", "want a number from 1", "Next: castellan log"},
		{"log --last many", "invalid argument", "Next: castellan log --help"},
		{"run now", "arg(s)", "Next: castellan run --help"},
		{"log --last 0", "--last is 0: want 1 to 10000", "Next: castellan log --last 20"},
		{`update ""`, "an argument is empty", "Next: castellan update --help"},
		{`hold ""`, "an argument is empty", "Next: castellan hold --help"},
		{`repo refresh ""`, "an argument is empty", "Next: castellan repo refresh --help"},
	} {
		t.Run(c.line, func(t *testing.T) {
			b := &butler{}
			words := strings.Fields(strings.ReplaceAll(c.line, `""`, "EMPTY"))
			for i, w := range words {
				words[i] = strings.Replace(w, "EMPTY", "", 1)
			}
			code, _, stderr := run(t, append([]string{"--socket", serve(t, b)}, words...)...)
			if code != 2 || !strings.Contains(stderr, c.says) || !strings.Contains(stderr, c.next) || len(b.asked) != 0 {
				t.Errorf("exit %d, want 2; stderr %q, want %q and %q; asked %q", code, stderr, c.says, c.next, b.asked)
			}
		})
	}
}

func TestNoDaemonIsExitCode5WithTheNextStep(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "s")
	for _, line := range []string{"status", "check", "update", "rollback core", "trust force core --why x", "trust pins", "log", "log verify", "log explain 1"} {
		code, stdout, stderr := run(t, append([]string{"--socket", nowhere}, strings.Fields(line)...)...)
		if code != 5 || stdout != "" || !strings.Contains(stderr, "nothing listens on "+nowhere) || !strings.Contains(stderr, "systemctl") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", line, code, stdout, stderr)
		}
	}
	if code, stdout, _ := run(t, "--socket", nowhere, "version"); code != 0 || !strings.Contains(stdout, "daemon    not running") {
		t.Errorf("version: exit %d, %q", code, stdout)
	}
}

// Programs read these; a field that is renamed breaks them.
func TestJSONHasTheShapeOfTheAPI(t *testing.T) {
	for _, c := range []struct {
		line string
		code int
		want string // path=value
	}{
		{"status", 0, "services.0.badge=verified"},
		{"status", 0, "ledger.state=fresh"},
		{"version", 0, "daemon=1.2.3"},
		{"check", 0, "steps.0.to=2"},
		{"update core", 4, "changes.0.reason=REVOKED"},
		{"update core --detach", 0, "changes.0=c1"},
		{"rollback core", 4, "changes.0.state=refused"},
		{"trust force core --why x", 0, "reasons.0=SIGNATURE_MISSING"},
		{"trust pins", 0, "pins=[]"},
		{"log", 0, "records.0.kind=boot"},
		{"log verify", 0, "ok=true"},
		{"log explain 3", 0, "seq=3"},
	} {
		t.Run(c.line, func(t *testing.T) {
			b := &butler{plan: api.Plan{Steps: []api.PlanStep{{Service: "core", To: "2"}}}, report: api.LogReport{OK: true},
				change: api.Change{ID: "c1", Service: "core", State: "refused", Reason: "REVOKED", Why: "withdrawn", Done: true}}
			code, stdout, _ := run(t, append([]string{"--json", "--socket", serve(t, b)}, strings.Fields(c.line)...)...)
			var v any
			if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != c.code {
				t.Fatalf("exit %d, want %d: %v\n%s", code, c.code, err, stdout)
			}
			path, want, _ := strings.Cut(c.want, "=")
			for _, key := range strings.Split(path, ".") {
				switch x := v.(type) {
				case map[string]any:
					v = x[key]
				case []any:
					v = x[0]
				}
			}
			if got, _ := json.Marshal(v); strings.Trim(string(got), `"`) != want {
				t.Errorf("%s is %s, want %s", path, got, want)
			}
		})
	}
}
