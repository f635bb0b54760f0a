package web

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// stocked is a house with backups, and one being made.
func stocked() map[string]any {
	out := quiet()
	running, over, stage, slug := false, true, "folders", "0a1b2c3d"
	job := func(name string, done *bool, errs []map[string]any, extra map[string]any) map[string]any {
		return map[string]any{"name": name, "uuid": "j1", "done": done, "stage": stage, "reference": slug, "created": "2026-11-25T23:05:52.000000+00:00", "errors": errs, "extra": extra,
			"child_jobs": []any{map[string]any{"name": "x", "reference": nasty, "done": running, "errors": []any{}}}}
	}
	out["GET /castellan/backups"] = api.BackupRoom{Place: api.BackupPlace{Dir: "/backups", Days: []string{"mon", "sat"}, Hour: 3, Next: time.Now().Add(time.Hour), KeepScheduled: 7, DaysUntilStale: 30}, Backups: []api.BackupRow{
		{Slug: slug, Name: nasty, Date: time.Now().Add(-time.Hour), Full: true, Protected: true, Seal: "recovery", Origin: "update", Service: "core", Size: 12e6, Core: "2026.11.1",
			Addons: []api.BackupAddon{{Slug: "core_x", Name: nasty, Version: "1"}}, Folders: []string{"share", "addons/local", nasty}},
		{Slug: "0a1b2c3e", Name: "mine", Date: time.Now().Add(-400 * 24 * time.Hour), Origin: "owner", Addons: []api.BackupAddon{}, Folders: []string{"ssl"}},
		{Name: nasty + ".tar", Size: 9, Problem: "it is cut off " + nasty, Addons: []api.BackupAddon{}, Folders: []string{}}}}
	out["GET /castellan/jobs"] = map[string]any{"jobs": []any{
		job("backup_manager_full_backup", &running, nil, map[string]any{"current": 5e6, "total": 10e6}),
		job("backup_manager_partial_restore", &over, []map[string]any{{"message": "the key " + nasty}}, nil),
		job("backup_manager_full_restore", &over, nil, map[string]any{"notes": []string{"core_x: " + nasty}}),
		job("addon_manager_update", &running, nil, nil)}}
	out["GET /castellan/addons"] = api.AddonList{Addons: []api.Addon{{Slug: "core_x", Name: nasty}}}
	return out
}

func TestBackupsAreListed(t *testing.T) {
	for _, role := range []string{"viewer", "operator", "admin"} {
		u, _ := fakeUI(t, role, stocked())
		w := get(u, "/ui/backups")
		page := w.Body.String()
		for _, want := range []string{"12\u00a0MB", "before an update of Home Assistant", "Recovery key", "Not encrypted", "It cannot be used:", "Monday", "backup.schedule", "5\u00a0MB of 10\u00a0MB", `value="50"`,
			"Saving everything", "Not everything was brought back", "1 remark", "/backups"} {
			if !strings.Contains(page, want) {
				t.Errorf("as %s, %q is missing", role, want)
			}
		}
		if w.Code != 200 || strings.Contains(page, "<script>alert") || strings.Contains(page, "⟨") {
			t.Errorf("as %s it answers %d:\n%s", role, w.Code, page)
		}
		for form, least := range map[string]string{`href="/ui/backups/new"`: "operator", `action="/ui/backups/cancel"`: "operator", `action="/ui/backups/upload"`: "admin", `action="/ui/backups/stale"`: "admin", `name="day" value="sat" checked`: "admin"} {
			if may := (&visit{me: api.Me{Role: role}}).may(least); strings.Contains(page, form) != may {
				t.Errorf("as %s %s is there: %v", role, form, !may)
			}
		}
		if part := get(u, "/ui/backups/work").Body.String(); !strings.HasPrefix(strings.TrimSpace(part), `<div id="work"`) || strings.Contains(part, "<html") {
			t.Errorf("the part that is read anew: %s", part)
		}
		if one := get(u, "/ui/backups/0a1b2c3d"); one.Code != 200 || strings.Contains(one.Body.String(), "<script>alert") || strings.Contains(one.Body.String(), "⟨") ||
			strings.Contains(one.Body.String(), "/restore") != (role == "admin") {
			t.Errorf("as %s one backup answers %d:\n%s", role, one.Code, one.Body)
		}
	}
	answers := stocked()
	u, _ := fakeUI(t, "admin", answers)
	if w := get(u, "/ui/backups/work?went=1"); w.Header().Get("HX-Trigger") != "" || !strings.Contains(w.Body.String(), "every 2s") {
		t.Errorf("while something goes on: %v", w.Header())
	}
	answers["GET /castellan/jobs"] = map[string]any{"jobs": []any{}}
	if w := get(u, "/ui/backups/work?went=1"); w.Header().Get("HX-Trigger") != "sse:reset" || strings.Contains(w.Body.String(), "every 2s") {
		t.Errorf("at its end the list is not read anew: %v", w.Header())
	}
	for _, path := range []string{"/ui/backups/ffffffff", "/ui/backups/..%2f..%2fetc", "/ui/backups/ffffffff/restore", "/ui/backups/ffffffff/download"} {
		if w := get(u, path); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}

// TestAnOldBackupIsToldOf, and so is that there is none of everything.
func TestAnOldBackupIsToldOf(t *testing.T) {
	for _, c := range []struct {
		full bool
		age  time.Duration
		want string
	}{{true, time.Hour, ""}, {true, 40 * 24 * time.Hour, "The last backup of everything is of"}, {false, time.Hour, "There is no backup of everything yet"}} {
		answers := stocked()
		answers["GET /castellan/backups"] = api.BackupRoom{Place: api.BackupPlace{DaysUntilStale: 30}, Backups: []api.BackupRow{{Slug: "0a1b2c3d", Date: time.Now().Add(-c.age), Full: c.full}}}
		u, _ := fakeUI(t, "viewer", answers)
		if page := get(u, "/ui/backups").Body.String(); strings.Contains(page, "note warn") != (c.want != "") || !strings.Contains(page, c.want) {
			t.Errorf("%+v:\n%s", c, page)
		}
	}
}

func TestBackupForms(t *testing.T) {
	const key = "AGE-SECRET-KEY-1QQ"
	for _, c := range []struct {
		what, path, call, body string
		form                   url.Values
		code                   int
		says                   string // of a page that is shown again
	}{
		{"all", "/ui/backups/new", "POST /backups/new/full", `{"name":"n","background":true}`, url.Values{"name": {"n"}, "what": {"full"}, "seal": {"key"}}, 303, ""},
		{"some", "/ui/backups/new", "POST /backups/new/partial", `{"name":"n","homeassistant_exclude_database":true,"background":true,"homeassistant":true,"addons":["core_x"],"folders":["share"]}`,
			url.Values{"name": {"n"}, "what": {"parts"}, "core": {"1"}, "addon": {"core_x"}, "folder": {"share", "../etc"}, "nodatabase": {"1"}}, 303, ""},
		{"sealed", "/ui/backups/new", "POST /backups/new/full", `{"name":"n","password":"12345678","background":true}`, url.Values{"name": {"n"}, "seal": {"passphrase"}, "password": {"12345678"}, "again": {"12345678"}}, 303, ""},
		{"sealed with a short word", "/ui/backups/new", "", "", url.Values{"seal": {"passphrase"}, "password": {"1234567"}, "again": {"1234567"}}, 422, "shorter than eight"},
		{"sealed with two words", "/ui/backups/new", "", "", url.Values{"seal": {"passphrase"}, "password": {"12345678"}, "again": {"12345679"}}, 422, "not the same"},
		{"nothing", "/ui/backups/new", "", "", url.Values{"what": {"parts"}}, 422, "Nothing is chosen"},
		{"a restore that nobody confirmed", "/ui/backups/0a1b2c3d/restore", "", "", url.Values{"what": {"full"}, "password": {key}}, 422, "not confirmed"},
		{"a restore", "/ui/backups/0a1b2c3d/restore", "POST /backups/0a1b2c3d/restore/full", `{"password":"` + key + `","background":true}`, url.Values{"sure": {"1"}, "password": {key}}, 303, ""},
		{"a restore of some", "/ui/backups/0a1b2c3d/restore", "POST /backups/0a1b2c3d/restore/partial", `{"background":true,"addons":["core_x"],"folders":["share"]}`,
			url.Values{"sure": {"1"}, "what": {"parts"}, "addon": {"core_x"}, "folder": {"share"}}, 303, ""},
		{"a restore of nothing", "/ui/backups/0a1b2c3d/restore", "", "", url.Values{"sure": {"1"}, "what": {"parts"}}, 422, "Nothing is chosen"},
		{"a restore with another key", "/ui/backups/0a1b2c3e/restore", "POST /backups/0a1b2c3e/restore/full", "", url.Values{"sure": {"1"}, "password": {key}}, 422, "That does not open this backup"},
		{"a check", "/ui/backups/0a1b2c3d/verify", "POST /castellan/backups/0a1b2c3d/verify", "", url.Values{}, 303, ""},
		{"a removal", "/ui/backups/0a1b2c3d/remove", "DELETE /backups/0a1b2c3d", "", url.Values{}, 303, ""},
		{"a reminder", "/ui/backups/stale", "POST /backups/options", `{"days_until_stale":7}`, url.Values{"days": {"7"}}, 303, ""},
		{"a reminder that is none", "/ui/backups/stale", "", "", url.Values{"days": {"soon"}}, 303, ""},
		{"a schedule", "/ui/backups/schedule", "POST /castellan/backups/schedule", `{"days":["mon","sun"],"hour":22}`, url.Values{"day": {"mon", "sun"}, "hour": {"22"}}, 303, ""},
		{"no schedule", "/ui/backups/schedule", "POST /castellan/backups/schedule", `{}`, url.Values{"hour": {"22"}}, 303, ""},
		{"the configuration's", "/ui/backups/schedule", "POST /castellan/backups/schedule", `{"default":true}`, url.Values{"default": {"1"}, "day": {"mon"}, "hour": {"22"}}, 303, ""},
		{"a schedule at no hour", "/ui/backups/schedule", "", "", url.Values{"day": {"mon"}, "hour": {"late"}}, 303, ""},
		{"an end", "/ui/backups/cancel", "POST /castellan/jobs/j1/cancel", "", url.Values{"id": {"j1"}}, 303, ""},
	} {
		answers := stocked()
		answers[c.call] = map[string]any{}
		answers["POST /backups/0a1b2c3e/restore/full"] = &api.Error{Status: 400, Key: "backup_wrong_key", Message: "Invalid password"}
		u, f := fakeUI(t, "admin", answers)
		w := post(u, c.path, c.form)
		calls := f.calls()
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) || strings.Contains(w.Body.String(), key) || strings.Contains(w.Body.String(), "12345678") {
			t.Errorf("%s answers %d without %q:\n%s", c.what, w.Code, c.says, w.Body)
		}
		if c.call == "" && len(calls) != 0 || c.call != "" && (len(calls) != 1 || calls[0].call != c.call || c.body != "" && calls[0].body != c.body) {
			t.Errorf("%s asks %+v, want %s %s", c.what, calls, c.call, c.body)
		}
	}
}

func TestARecoveryKeyIsShownOnce(t *testing.T) {
	answers := stocked()
	answers["POST /castellan/backups/key"] = api.BackupKey{Identity: "AGE-SECRET-KEY-1QQ", Recipient: "age1x"}
	u, _ := fakeUI(t, "admin", answers)
	w := post(u, "/ui/backups/key", url.Values{})
	if w.Code != 200 || strings.Count(w.Body.String(), "AGE-SECRET-KEY-1QQ") != 1 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("answers %d, %v:\n%s", w.Code, w.Header(), w.Body)
	}
	if page := get(u, "/ui/backups/key").Body.String(); strings.Contains(page, "AGE-SECRET") {
		t.Error("it is shown again")
	}
}

// shelf is an API that hands out a file and takes one in.
type shelf struct {
	*fakeAPI
	got  []byte
	csrf string
	err  error
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /backups/0a1b2c3d/download", "GET /castellan/support-bundle":
		_, _ = io.WriteString(w, "file "+r.URL.RawQuery) // to a test: it can't fail
	case "POST /backups/new/upload":
		s.csrf = r.Header.Get("X-CSRF-Token")
		in, err := r.MultipartReader()
		if err == nil {
			var part *multipart.Part
			if part, err = in.NextPart(); err == nil {
				s.got, err = io.ReadAll(part)
			}
			if err == nil {
				_, err = in.NextPart()
			}
		}
		s.err = err
		_, _ = io.WriteString(w, `{"result":"ok","data":{}}`) // as above
	default:
		s.fakeAPI.ServeHTTP(w, r)
	}
}

func onShelf(t *testing.T) (*UI, *shelf) {
	s := &shelf{fakeAPI: &fakeAPI{answers: stocked(), role: "admin"}}
	return New(Config{API: s, Host: "attic", Log: slog.New(slog.NewTextHandler(t.Output(), nil))}), s
}

func TestFilesAreHandedOut(t *testing.T) {
	u, _ := onShelf(t)
	for path, want := range map[string]string{
		"/ui/backups/0a1b2c3d/download":                         "file ",
		"/ui/settings/support/download?id=0123456789abcdef":     "file id=0123456789abcdef",
		"/ui/settings/support/download?id=../../castellan&x=%0": "file ",
	} {
		w := get(u, path)
		d := w.Header().Get("Content-Disposition")
		if w.Code != 200 || w.Body.String() != want || !strings.HasPrefix(d, `attachment; filename="castellan-`) || strings.ContainsAny(d, "\r\n<") || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s answers %d %q, %v", path, w.Code, w.Body, w.Header())
		}
	}
}

// brokenOff is a body that ends in the middle.
type brokenOff struct{ io.Reader }

func (b brokenOff) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// TestAFileIsTakenInAsItComes: larger than any form, with the form's token, and one that breaks off is no file.
func TestAFileIsTakenInAsItComes(t *testing.T) {
	file := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // 3 MiB
	form := func(fields ...string) (*bytes.Buffer, string) {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		for _, name := range fields {
			if name == "csrf" {
				_ = m.WriteField("csrf", "token-of-anna") // to memory: it can't fail
				continue
			}
			w, _ := m.CreateFormFile(name, "../../x.tar") // as above
			_, _ = w.Write(file)
		}
		_ = m.Close()
		return &b, m.FormDataContentType()
	}
	send := func(u *UI, body io.Reader, kind string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/ui/backups/upload", body)
		r.Header.Set("Content-Type", kind)
		return do(u, r)
	}
	u, s := onShelf(t)
	body, kind := form("csrf", "file")
	if w := send(u, body, kind); w.Code != 303 || !bytes.Equal(s.got, file) || s.csrf != "token-of-anna" || !errors.Is(s.err, io.EOF) {
		t.Errorf("answers %d; %d bytes came, token %q, end %v", w.Code, len(s.got), s.csrf, s.err)
	}
	if page := get(u, "/ui/backups").Body.String(); !strings.Contains(page, "The backup is here") {
		t.Error("it is not told")
	}
	u, s = onShelf(t)
	body, kind = form("csrf", "file")
	cut := brokenOff{io.LimitReader(body, 1<<20)}
	send(u, cut, kind)
	if errors.Is(s.err, io.EOF) || s.err == nil {
		t.Errorf("a file that broke off came to its end: %v", s.err)
	}
	for what, fields := range map[string][]string{"no token": {"file"}, "no file": {"csrf"}, "nothing": nil} {
		u, s = onShelf(t)
		body, kind = form(fields...)
		if w := send(u, body, kind); w.Code != 303 || s.got != nil || !strings.Contains(get(u, "/ui/backups").Body.String(), "No file was sent") {
			t.Errorf("%s answers %d, and %d bytes came", what, w.Code, len(s.got))
		}
	}
	u, s = onShelf(t)
	if w := post(u, "/ui/backups/upload", url.Values{"file": {"x"}}); w.Code != 303 || s.got != nil {
		t.Errorf("a form of another kind answers %d", w.Code)
	}
}
