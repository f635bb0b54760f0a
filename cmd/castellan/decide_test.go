package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

func (b *butler) Decisions() api.Decisions { return secretary{b} }

// secretary is the butler's hand for decisions: everything changes something, but for what names "same".
type secretary struct{ *butler }

var at = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func (s secretary) did(service, call string, args ...any) (api.Decision, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return api.Decision{}, err
	}
	s.asked = append(s.asked, call+" "+string(raw))
	if s.err != nil {
		return api.Decision{}, s.err
	}
	said := api.Said{By: "ann", At: at}
	return api.Decision{Changed: service != "same", Seq: 9, Service: &api.ServiceDecisions{Service: service, Mode: "auto", Default: "ask", Decided: &said,
		Hold: &api.Hold{Why: "gue\x1b[2Jsts", Said: said}, Skips: []api.Skip{{Version: "2", Said: said}}}}, nil
}
func (s secretary) Decided(context.Context) (api.DecisionList, error) {
	core, err := s.did("core", "decided")
	out := api.DecisionList{Windows: []api.Window{{ID: 1, Days: []string{"sat"}, From: "02:00", To: "04:00", Zone: "UTC", Next: at}}, Next: at}
	if err == nil {
		out.Services = append(out.Services, *core.Service, api.ServiceDecisions{Service: "addon_x", Mode: "ask", Default: "ask"})
	}
	return out, err
}
func (s secretary) SetMode(_ context.Context, r api.ModeRequest, _ string) (api.Decision, error) {
	return s.did(r.Service, "mode", r)
}
func (s secretary) Hold(_ context.Context, r api.HoldRequest, _ string) (api.Decision, error) {
	return s.did(r.Service, "hold", r, r.End)
}
func (s secretary) Skip(_ context.Context, r api.SkipRequest, _ string) (api.Decision, error) {
	return s.did(r.Service, "skip", r, r.End)
}
func (s secretary) AddWindow(_ context.Context, r api.WindowRequest, _ string) (api.Decision, error) {
	d, err := s.did("", "window", r)
	d.Window = &api.Window{ID: 1, Days: r.Days, From: r.From, To: r.To, Zone: "UTC"}
	return d, err
}
func (s secretary) RemoveWindow(_ context.Context, id int, _ string) (api.Decision, error) {
	d, err := s.did("", "remove", id)
	d.Changed = id == 1
	return d, err
}
func (s secretary) Preview(_ context.Context, sizes bool) (api.PlanPreview, error) {
	_, err := s.did("", "plan", sizes)
	return api.PlanPreview{Next: at, Download: 3 << 20, Disk: api.PlanDisk{Needed: 12 << 20, Free: 1 << 20}, Services: []api.PlanService{
		{Service: "core", Mode: "auto", From: "1", To: "2", Code: "window", Why: "it waits for its window", Next: "castellan update core", Bytes: 3 << 20, Known: true, Restarts: true},
		{Service: "addon_x", Mode: "auto", From: "1", To: "2", Moves: true, Trouble: "no route", Breaking: true},
		{Service: "dns", Mode: "ask", From: "3", To: "3", Code: "up-to-date", Why: "runs 3, the newest offered"}}}, err
}

func TestDecidingOnTheCommandLine(t *testing.T) {
	broken := &api.Error{Status: http.StatusConflict, Key: "decisions_unreadable", Message: "cannot read what was decided", Next: "castellan plan"}
	other := &api.Error{Status: http.StatusBadRequest, Message: "no"}
	for _, c := range []struct {
		line   string
		err    error
		code   int
		asked  string
		stdout string
		stderr string
	}{
		{"mode core", nil, 0, "decided null", "core: mode auto (by ann, ", ""},
		{"mode core", nil, 0, "decided null", "on hold: gue[2Jsts (by ann", ""},
		{"mode x", nil, 0, "decided null", "addon_x: mode ask\n", ""},
		{"mode", nil, 0, "decided null", "skips 2 (by ann, ", ""},
		{"mode", nil, 0, "decided null", "addon_x: mode ask\nthe next maintenance window opens Tue", ""},
		{"mode", other, 1, "decided null", "", "Next: castellan status"},
		{"mode radio", nil, 1, "decided null", "", "Next: castellan status"},
		{"mode core auto", nil, 0, `mode [{"service":"core","mode":"auto"}]`, "core: mode auto (log record 9)", ""},
		{"mode same default", nil, 3, `mode [{"service":"same","mode":"default"}]`, "same: mode is auto already", ""},
		{"mode core off", broken, 1, `mode [{"service":"core","mode":"off"}]`, "", "Next: castellan plan"},
		{"hold", nil, 0, "decided null", "core: on hold: gue[2Jsts (by ann", ""},
		{"hold", other, 1, "decided null", "", "Next: castellan status"},
		{"skip", nil, 0, "decided null", "core: skips 2 (by ann, ", ""},
		{"skip --json", nil, 0, "decided null", `"skips": [`, ""},
		{"hold core --until 2026-12-24 --why guests", nil, 0, `hold [{"service":"core","until":"2026-12-24","why":"guests"},false]`, "core: on hold", ""},
		{"hold same", nil, 3, `hold [{"service":"same"},false]`, "same: on hold", ""},
		{"hold core", other, 1, `hold [{"service":"core"},false]`, "", "Next: castellan plan"},
		{"unhold core", nil, 0, `hold [{"service":"core"},true]`, "core: no longer on hold", ""},
		{"unhold same", nil, 3, `hold [{"service":"same"},true]`, "same: is not on hold", ""},
		{"skip core 2026.8.3", nil, 0, `skip [{"service":"core","version":"2026.8.3"},false]`, "core: version 2026.8.3 is skipped (log record 9)", ""},
		{"skip same 2", nil, 3, `skip [{"service":"same","version":"2"},false]`, "is skipped already", ""},
		{"unskip core 2", nil, 0, `skip [{"service":"core","version":"2"},true]`, "version 2 is not skipped any more", ""},
		{"unskip core", nil, 0, `skip [{"service":"core"},true]`, "no version is skipped any more", ""},
		{"unskip same 2", nil, 3, `skip [{"service":"same","version":"2"},true]`, "version 2 is not skipped", ""},
		{"window list", nil, 0, "decided null", "02:00-04:00", ""},
		{"window list", nil, 0, "decided null", "opens Tue 2026-09-01 12:00", ""},
		{"window add 02:00-04:00 --days sat,sun --zone Europe/Berlin", nil, 0, `window [{"days":["sat","sun"],"from":"02:00","to":"04:00","zone":"Europe/Berlin"}]`, "window 1: sat,sun 02:00-04:00", ""},
		{"window add 22:00-04:00", other, 1, `window [{"from":"22:00","to":"04:00"}]`, "", "Next: castellan plan"},
		{"window remove 1", nil, 0, "remove [1]", "window 1 is removed", ""},
		{"window remove 2", nil, 3, "remove [2]", "there is no window 2", ""},
		{"plan", nil, 0, "plan [true]", "core: it waits for its window; next: castellan update core", ""},
		{"plan", nil, 0, "plan [true]", "addon_x: version 2 breaks with what was before", ""},
		{"plan", nil, 0, "plan [true]", "at most 3.0 MiB; about 12.0 MiB of disk needed, 1.0 MiB free, which is not enough", ""},
		{"plan --quick", nil, 0, "plan [false]", "window", ""},
		{"plan", other, 1, "plan [true]", "", "Next: castellan status"},
	} {
		t.Run(c.line, func(t *testing.T) {
			b := &butler{err: c.err}
			code, stdout, stderr := run(t, append([]string{"--socket", serve(t, b)}, strings.Fields(c.line)...)...)
			if code != c.code || strings.Join(b.asked, "|") != c.asked || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) ||
				strings.Count(stderr, "Next: ") != strings.Count(c.stderr, "Next: ") {
				t.Errorf("exit %d, want %d; asked %q, want %q\nstdout %q, want %q\nstderr %q, want %q", code, c.code, b.asked, c.asked, stdout, c.stdout, stderr, c.stderr)
			}
		})
	}
}

func TestBadDecisionsAreToldBeforeAnythingIsAsked(t *testing.T) {
	for _, c := range []struct{ line, says, next string }{
		{"mode core sometimes", `"sometimes" is no mode`, "Next: castellan mode core ask"},
		{"mode a ask b", "arg(s)", "Next: castellan mode --help"},
		{"hold core --until tomorrow", `"tomorrow" is no date`, "Next: castellan hold core --until 2026-12-24"},
		{"skip core", `which version of "core"`, "Next: castellan skip core 2026.8.3"},
		{"window dance", `unknown command "window dance"`, "Next: castellan window --help"},
		{"window add 2-4", `"2" is no time of day`, "Next: castellan window add 02:00-04:00"},
		{"window add 02:00", `"02:00" are none`, "Next: castellan window add 02:00-04:00"},
		{"window add 02:00-04:00 --days Mo", `"Mo" is no day`, "Next: castellan window add"},
		{"window add 02:00-04:00 --zone Mars/Base", "no time zone", "Next: castellan window add"},
		{"window remove x", `"x" is no window`, "Next: castellan window list"},
		{"plan now", "arg(s)", "Next: castellan plan --help"},
	} {
		b := &butler{}
		code, _, stderr := run(t, append([]string{"--socket", serve(t, b)}, strings.Fields(c.line)...)...)
		if code != 2 || !strings.Contains(stderr, c.says) || !strings.Contains(stderr, c.next) || len(b.asked) != 0 {
			t.Errorf("%s: exit %d, want 2; stderr %q, want %q and %q; asked %q", c.line, code, stderr, c.says, c.next, b.asked)
		}
	}
}

func TestDecisionsAsJSON(t *testing.T) {
	for _, c := range []struct {
		line string
		code int
		want string
	}{
		{"plan", 0, `"code": "window"`}, {"plan", 0, `"consent": []`}, {"mode", 0, `"windows": [`}, {"mode core", 0, `"default": "ask"`}, {"mode core auto", 0, `"seq": 9`},
		{"hold same", 3, `"changed": false`}, {"unhold core", 0, `"changed": true`}, {"skip core 2", 0, `"version": "2"`}, {"unskip core", 0, `"changed": true`},
		{"window list", 0, `"from": "02:00"`}, {"window add 02:00-03:00", 0, `"id": 1`}, {"window remove 2", 3, `"changed": false`},
	} {
		code, stdout, _ := run(t, append([]string{"--json", "--socket", serve(t, &butler{})}, strings.Fields(c.line)...)...)
		if code != c.code || !json.Valid([]byte(stdout)) || !strings.Contains(stdout, c.want) {
			t.Errorf("%s: exit %d, want %d\n%s\nwant %s", c.line, code, c.code, stdout, c.want)
		}
	}
}
