package api_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/castellan/castellan/supervisor/api"
)

// bundles keeps one bundle.
type bundles struct{ asked []string }

func (d *bundles) Gather(_ context.Context, id string) (api.SupportContents, error) {
	d.asked = append(d.asked, "gather "+id)
	return api.SupportContents{ID: "0123456789abcdef"}, nil
}

func (d *bundles) File(_ context.Context, id, name string) (api.SupportText, error) {
	d.asked = append(d.asked, "file "+id+" "+name)
	if name != "a.json" {
		return api.SupportText{}, api.NoBundle()
	}
	return api.SupportText{Text: "********"}, nil
}

func (d *bundles) Zip(_ context.Context, id string) (io.ReadCloser, error) {
	d.asked = append(d.asked, "zip "+id)
	return io.NopCloser(strings.NewReader("PK")), nil
}

// TestWhoSeesTheSettingsAndTheBundle: the settings are for everybody who reads, the bundle for who decides.
func TestWhoSeesTheSettingsAndTheBundle(t *testing.T) {
	const id = "0123456789abcdef"
	for _, c := range []struct {
		path  string
		least api.Role
		want  string
		asks  string
	}{
		{"/castellan/settings", api.Viewer, `"keys":[{"key":"a.b","values":[]}]`, ""},
		{"/castellan/backups", api.Viewer, `"problem":"it is cut off"`, ""},
		{"/castellan/support-bundle/contents", api.Admin, `"files":[]`, "gather "},
		{"/castellan/support-bundle/contents?id=" + id, api.Admin, `"files":[]`, "gather " + id},
		{"/castellan/support-bundle/file?id=" + id + "&name=a.json", api.Admin, `"text":"********"`, "file " + id + " a.json"},
		{"/castellan/support-bundle?id=" + id, api.Admin, "PK", "zip " + id},
	} {
		for _, role := range []api.Role{api.Nobody, api.Viewer, api.Operator, api.Admin} {
			d := &bundles{}
			s := api.New(api.Config{Backend: &house{}, Backups: vault{&house{}}, Home: residence{&house{}, nil}, Support: d, Log: slog.New(slog.DiscardHandler), Settings: func(context.Context) (api.Settings, error) {
				return api.Settings{Keys: []api.Setting{{Key: "a.b"}}}, nil
			}})
			kind := api.KindPerson
			if role == api.Nobody {
				kind = api.KindNone
			}
			w := httptest.NewRecorder()
			s.HandlerFor(func(*http.Request) api.Caller { return api.Caller{Kind: kind, Name: "somebody", Role: role} }).ServeHTTP(w, httptest.NewRequest("GET", c.path, nil))
			asked := strings.Join(d.asked, ", ")
			switch may := role >= c.least; {
			case may && (w.Code != 200 || !strings.Contains(w.Body.String(), c.want) || asked != c.asks):
				t.Errorf("%s as %s: %d %s, asked %q", c.path, role, w.Code, w.Body, asked)
			case !may && (w.Code < 400 || asked != ""):
				t.Errorf("%s as %s: %d, asked %q", c.path, role, w.Code, asked)
			}
		}
	}
}

func TestABundleThatIsNotKept(t *testing.T) {
	for path, want := range map[string]int{
		"/castellan/support-bundle/contents?id=../../etc": 400, "/castellan/support-bundle?id=0": 400,
		"/castellan/support-bundle/file?id=0123456789abcdef&name=../../etc/passwd": 400, "/castellan/support-bundle/file?id=0123456789abcdef&name=b.json": 404,
	} {
		d := &bundles{}
		s := api.New(api.Config{Backend: &house{}, Support: d, Log: slog.New(slog.DiscardHandler)})
		w := httptest.NewRecorder()
		s.HandlerFor(func(*http.Request) api.Caller { return api.Caller{Kind: api.KindPerson, Name: "anna", Role: api.Admin} }).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want || want == 400 && len(d.asked) > 0 {
			t.Errorf("%s answers %d %s, asked %v", path, w.Code, w.Body, d.asked)
		}
	}
	for _, path := range []string{"/castellan/support-bundle", "/castellan/settings"} { // an appliance that has none
		w := httptest.NewRecorder()
		api.New(api.Config{Backend: &house{}, Log: slog.New(slog.DiscardHandler)}).HandlerFor(func(*http.Request) api.Caller {
			return api.Caller{Kind: api.KindPerson, Name: "anna", Role: api.Admin}
		}).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 404 {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}

func TestTheScheduleOfBackups(t *testing.T) {
	for body, want := range map[string]string{
		`{"days":["mon","sun"],"hour":22}`:   "schedule mon, sun 22:00 by anna",
		`{}`:                                 "schedule none by anna",
		`{"default":true}`:                   "schedule the configuration's by anna",
		`{"days":["mon","mon"]}`:             "",
		`{"days":["monday"]}`:                "",
		`{"days":["mon"],"hour":24}`:         "",
		`{"days":["mon"],"hour":-1}`:         "",
		`{"days":["mon"],"default":true}`:    "",
		`{"days":["../x"],"sneaky":"value"}`: "",
	} {
		h := &house{}
		s := api.New(api.Config{Backend: h, Home: residence{h, nil}, Backups: vault{h}, Log: slog.New(slog.DiscardHandler)})
		role := api.Admin
		ask := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			s.HandlerFor(func(*http.Request) api.Caller { return api.Caller{Kind: api.KindPerson, Name: "anna", Role: role} }).ServeHTTP(w,
				httptest.NewRequest("POST", "/castellan/backups/schedule", strings.NewReader(body)))
			return w
		}
		w := ask()
		if got := strings.Join(h.calls, ", "); got != want || (w.Code == 200) != (want != "") {
			t.Errorf("%s: %d %s, did %q, want %q", body, w.Code, w.Body, got, want)
		}
		role = api.Operator
		if w := ask(); w.Code != 403 || len(h.calls) > 1 {
			t.Errorf("an operator: %d", w.Code)
		}
	}
}
