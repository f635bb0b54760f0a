package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

// desk is decisions that record what reached them.
type desk struct{ h *house }

func (h *house) Decisions() api.Decisions { return desk{h} }

func (d desk) did(call string, args ...any) (api.Decision, error) {
	b, err := json.Marshal(args)
	d.h.did(call + " " + string(b))
	return api.Decision{Changed: true, Seq: 7}, err
}
func (d desk) Decided(context.Context) (api.DecisionList, error) {
	_, err := d.did("decided")
	return api.DecisionList{}, err
}
func (d desk) SetMode(_ context.Context, r api.ModeRequest, by string) (api.Decision, error) {
	return d.did("mode", r, by)
}
func (d desk) Hold(_ context.Context, r api.HoldRequest, by string) (api.Decision, error) {
	return d.did("hold", r, r.End, by)
}
func (d desk) Skip(_ context.Context, r api.SkipRequest, by string) (api.Decision, error) {
	return d.did("skip", r, r.End, by)
}
func (d desk) AddWindow(_ context.Context, r api.WindowRequest, by string) (api.Decision, error) {
	return d.did("window", r, by)
}
func (d desk) RemoveWindow(_ context.Context, id int, by string) (api.Decision, error) {
	return d.did("no window", id, by)
}
func (d desk) Preview(_ context.Context, sizes bool) (api.PlanPreview, error) {
	_, err := d.did("plan", sizes)
	return api.PlanPreview{Services: []api.PlanService{{Service: "core"}}}, err
}

func TestDecisionsReachTheHouse(t *testing.T) {
	for _, c := range []struct{ method, path, body, call, says string }{
		{"GET", "/castellan/plan", "", `plan [true]`, `"consent":[]`},
		{"GET", "/castellan/plan?sizes=0", "", `plan [false]`, `"moves":false`},
		{"GET", "/castellan/decisions", "", `decided null`, `"services":[],"windows":[]`},
		{"POST", "/castellan/modes", `{"service":"core","mode":"auto"}`, `mode [{"service":"core","mode":"auto"},"root"]`, `"seq":7`},
		{"POST", "/castellan/holds", `{"service":"core","until":"2026-12-24","why":"guests"}`, `hold [{"service":"core","until":"2026-12-24","why":"guests"},false,"root"]`, `"changed":true`},
		{"POST", "/castellan/holds/end", `{"service":"core"}`, `hold [{"service":"core"},true,"root"]`, ""},
		{"POST", "/castellan/skips", `{"service":"addon_core_x","version":"2026.8.3"}`, `skip [{"service":"addon_core_x","version":"2026.8.3"},false,"root"]`, ""},
		{"POST", "/castellan/skips/end", `{"service":"core"}`, `skip [{"service":"core"},true,"root"]`, ""},
		{"POST", "/castellan/windows", `{"days":["sat"],"from":"02:00","to":"04:00","zone":"Europe/Berlin"}`, `window [{"days":["sat"],"from":"02:00","to":"04:00","zone":"Europe/Berlin"},"root"]`, ""},
		{"POST", "/castellan/windows/remove", `{"id":3}`, `no window [3,"root"]`, ""},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			h := &house{}
			rec := call(t, h, true, c.method, c.path, c.body)
			if rec.status != 200 || len(h.calls) != 1 || h.calls[0] != c.call || !strings.Contains(rec.body.String(), c.says) {
				t.Errorf("%d %s, calls %q, want %q", rec.status, rec.body.String(), h.calls, c.call)
			}
			h = &house{}
			if c.method == "POST" {
				if rec := call(t, h, false, c.method, c.path, c.body); rec.status != 403 || len(h.calls) != 0 {
					t.Errorf("by nobody: %d, calls %q", rec.status, h.calls)
				}
			}
		})
	}
}

func TestBadDecisionsDoNotReachTheHouse(t *testing.T) {
	for _, c := range []struct {
		path, body string
		status     int
		says       string
	}{
		{"/castellan/modes", `{"mode":"auto"}`, 400, `field \"service\" is missing`},
		{"/castellan/modes", `{"service":"core"}`, 400, `field \"mode\" is \"\", want off, ask, auto, default`},
		{"/castellan/modes", `{"service":"core","mode":"hold"}`, 400, "want off"},
		{"/castellan/modes", `{"service":"../x","mode":"auto"}`, 404, "castellan status"},
		{"/castellan/modes", `{"service":7,"mode":"auto"}`, 400, "wrong type @ /service"},
		{"/castellan/modes", `{"service":"core","mode":"auto","by":"me"}`, 400, "extra keys not allowed @ /by"},
		{"/castellan/holds", `{}`, 400, `field \"service\" is missing`},
		{"/castellan/holds", `{"service":"core","end":true}`, 400, "extra keys not allowed @ /end"},
		{"/castellan/holds/end", `{"service":"core","why":"x"}`, 400, `only field \"service\"`},
		{"/castellan/skips", `{"service":"core"}`, 400, `field \"version\" is missing`},
		{"/castellan/skips", `{"service":"core","version":"a/b"}`, 400, "no image can have"},
		{"/castellan/skips", `{"service":"core","version":"` + strings.Repeat("1", 129) + `"}`, 400, "no image can have"},
		{"/castellan/skips/end", `{"service":"core","version":"\u001b[2J"}`, 400, "no image can have"},
		{"/castellan/windows", `{"days":"sat"}`, 400, "wrong type @ /days"},
		{"/castellan/windows/remove", `{}`, 400, "want a number from 1"},
		{"/castellan/windows/remove", `{"id":1.5}`, 400, "wrong type @ /id"},
	} {
		h := &house{}
		rec := call(t, h, true, http.MethodPost, c.path, c.body)
		if rec.status != c.status || !strings.Contains(rec.body.String(), c.says) || len(h.calls) != 0 {
			t.Errorf("%s %s: %d %s, want %d %q; calls %q", c.path, c.body, rec.status, rec.body.String(), c.status, c.says, h.calls)
		}
	}
	h := &house{}
	if rec := call(t, h, true, http.MethodGet, "/castellan/plan?sizes=many", ""); rec.status != 400 || len(h.calls) != 0 {
		t.Errorf("%d %s", rec.status, rec.body.String())
	}
}

func TestClientDecides(t *testing.T) {
	h, socket := serve(t, uint32(os.Getuid()))
	c, ctx := client.New(socket), t.Context()
	for _, do := range []func() (api.Decision, error){
		func() (api.Decision, error) { return c.SetMode(ctx, api.ModeRequest{Service: "core", Mode: "off"}) },
		func() (api.Decision, error) { return c.Hold(ctx, api.HoldRequest{Service: "core"}) },
		func() (api.Decision, error) { return c.Hold(ctx, api.HoldRequest{Service: "core", End: true}) },
		func() (api.Decision, error) { return c.Skip(ctx, api.SkipRequest{Service: "core", Version: "2"}) },
		func() (api.Decision, error) { return c.Skip(ctx, api.SkipRequest{Service: "core", End: true}) },
		func() (api.Decision, error) { return c.AddWindow(ctx, api.WindowRequest{From: "02:00", To: "03:00"}) },
		func() (api.Decision, error) { return c.RemoveWindow(ctx, 1) },
	} {
		if d, err := do(); err != nil || !d.Changed || d.Seq != 7 {
			t.Errorf("%+v, %v", d, err)
		}
	}
	if p, err := c.Plan(ctx, false); err != nil || len(p.Services) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if l, err := c.Decisions(ctx); err != nil || l.Services == nil {
		t.Errorf("%+v, %v", l, err)
	}
	if want := "mode,hold,hold,skip,skip,window,no,plan,decided"; verbs(h.calls) != want {
		t.Errorf("got %s, want %s", verbs(h.calls), want)
	}
}

func verbs(calls []string) string {
	var out []string
	for _, c := range calls {
		out = append(out, strings.Fields(c)[0])
	}
	return strings.Join(out, ",")
}
