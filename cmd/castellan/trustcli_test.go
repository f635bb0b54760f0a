package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

var thatDay = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func (b *butler) Overrides(context.Context) ([]api.OverrideState, error) {
	return []api.OverrideState{{Override: api.Override{ID: "k3x7", Service: "core", Version: "2", Reasons: []string{"SIGNATURE_MISSING"}}, State: "waiting",
		Why: "tested", By: "root", Since: thatDay, Until: thatDay, Ends: "it is used once, or ends unused"}}, b.err
}
func (b *butler) EndOverride(_ context.Context, id, _ string) error {
	b.asked = append(b.asked, "end "+id)
	return b.err
}
func (b *butler) Ledgers(context.Context) ([]api.LedgerView, error) {
	return []api.LedgerView{{LedgerStatus: api.LedgerStatus{Origin: "ledger.example", State: "stale", Count: 7, Time: thatDay, Error: "no route"}, Role: "root", Fingerprint: "ab12 cd34",
		Keys: []api.LedgerKey{{Name: "ledger.example", Hash: "00c0ffee", Fingerprint: "ff"}}, Head: "sha256:1", Age: 60, Agreement: "agreed", Agreeing: 1,
		Mirrors: []api.LedgerMirror{{URL: "https://a.example", State: "agrees", Count: 7, Time: thatDay}, {URL: "https://b.example", State: "failed", Error: "status\n500"}},
		Records: api.LedgerRecords{Notarizations: 5, Withdrawals: 1, Publishers: 1}}}, b.err
}
func (b *butler) Publishers(context.Context) (api.PublisherList, error) {
	return api.PublisherList{
		Publishers: []api.PublisherView{{ID: "p-x", Roles: []string{"core", "pinned"}, Label: "Core\x1b[2J team", Services: []api.PublisherService{{Service: "radio", Pinned: true}},
			Last: &api.PublisherWord{Status: "TRUSTED", Image: "example.org/radio", Version: "3", Time: thatDay}}},
		Revocations: []api.Revocation{{Service: "radio", Where: "current", Version: "2", Words: "it was withdrawn", Reason: "it leaks", Next: "take another version"}}}, b.err
}
func (b *butler) Judged(context.Context) (api.Judgement, error) {
	return api.Judgement{Installed: 2, Verified: 1, Bad: b.bad, Images: []api.JudgedImage{{Service: "core", Version: "1", Badge: "verified", Outcome: "ALLOW", Judged: thatDay}}}, b.err
}
func (b *butler) JudgeAll(ctx context.Context) (api.Judgement, error) {
	b.asked = append(b.asked, "judge")
	return b.Judged(ctx)
}
func (b *butler) Walk(_ context.Context, q api.LogQuery, take func(api.LogRecord) error) error {
	if b.err != nil {
		return b.err
	}
	return take(api.LogRecord{Seq: 1, Kind: "boot", Summary: "started " + q.Service, Line: json.RawMessage(`{"seq":1}`)})
}

func TestTrustOnTheCommandLine(t *testing.T) {
	for _, c := range []struct {
		line   string
		butler butler
		code   int
		stdout string
		asked  string
	}{
		{"trust overrides", butler{}, 0, "SIGNATURE_MISSING", ""},
		{"trust overrides --json", butler{}, 0, `"state": "waiting"`, ""},
		{"trust unforce k3x7", butler{}, 0, "override k3x7 is taken back", "end k3x7"},
		{"trust unforce k3x7", butler{err: &api.Error{Status: 404, Message: "no override of that ID waits"}}, 1, "", "end k3x7"},
		{"trust ledgers", butler{}, 0, "ledger.example+00c0ffee  sha256 ff", ""},
		{"trust ledgers", butler{}, 0, "1 of 2 mirrors tell one story", ""},
		{"trust ledgers", butler{}, 0, "https://b.example  failed: status 500\n", ""},
		{"trust ledgers --json", butler{}, 0, `"agreement": "agreed"`, ""},
		{"trust publishers", butler{}, 0, "Core[2J team", ""},
		{"trust publishers", butler{}, 0, `radio 2 (current): it was withdrawn ("it leaks"); take another version`, ""},
		{"trust publishers --json", butler{}, 0, `"pinned": true`, ""},
		{"trust verify", butler{}, 0, "1 of 2 installed images are verified", "judge"},
		{"trust verify --last", butler{}, 0, "1 of 2 installed images are verified", ""},
		{"trust verify --json", butler{bad: 1}, 4, `"bad": 1`, "judge"},
		{"trust verify", butler{bad: 1}, 4, "core", "judge"},
		{"log export", butler{}, 0, "{\"seq\":1}\n", ""},
		{"log export --format csv --service radio", butler{}, 0, "1,0001-01-01T00:00:00Z,boot,,,,started radio\n", ""},
		{"log export --format xml", butler{}, 2, "", ""},
		{"log export --since yesterday", butler{}, 2, "", ""},
		{"log --until 7", butler{}, 2, "", ""},
		{"log --kind dance", butler{}, 1, "", ""},
		{"log --kind verdict,boot --outcome refuse --since 2026-08-01 --until 2026-08-02T00:00:00Z --find x --before 9 -n 3", butler{}, 0, "boot", ""},
	} {
		t.Run(c.line, func(t *testing.T) {
			code, stdout, stderr := run(t, append([]string{"--socket", serve(t, &c.butler)}, strings.Fields(c.line)...)...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || strings.Join(c.butler.asked, " ") != c.asked || code != 0 && nexts(stderr) != 1 {
				t.Errorf("exit %d, want %d; asked %q, want %q\nstdout %q, want %q\nstderr %q", code, c.code, c.butler.asked, c.asked, stdout, c.stdout, stderr)
			}
			if strings.Contains(stdout, "\x1b") {
				t.Errorf("others' words move the cursor: %q", stdout)
			}
		})
	}
}
