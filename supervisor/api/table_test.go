package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/services"
	"github.com/castellan/castellan/supervisor/access"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/events"
	"github.com/castellan/castellan/supervisor/jobs"
)

// hostToken opens everything on the bridge.
const hostToken = "token-host"

// stage is a house with everything, seen through each of its doors. Add-ons are named by their hassio_role; "none" has no
// hassio_api.
type stage struct {
	*house
	guests *appliance
	reg    *services.Registry
	people *access.Access
	srv    *api.Server
	jobs   *jobs.Manager
	events *events.Hub
	moved  chan jobs.Event // what was told of jobs
}

func newStage(t testing.TB) *stage {
	t.Helper()
	h := &house{}
	_, reg, _ := addonHouse(t)
	a := &appliance{callers: []api.AddonCaller{{Slug: "none", Token: "token-none", Manifest: addons.Manifest{Name: "none"}}}}
	for _, role := range []string{"default", "homeassistant", "backup", "manager", "admin"} {
		a.callers = append(a.callers, api.AddonCaller{Slug: role, Token: "token-" + role, Manifest: addons.Manifest{Name: role, HassioAPI: true, HassioRole: role}})
	}
	people, err := access.Open(t.TempDir(), access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = people.Close() }) // it holds nobody
	s := &stage{house: h, people: people, guests: a, reg: reg, events: events.New(t.Context(), events.Config{Streams: 512, StreamsEach: 256}), moved: make(chan jobs.Event, 1024)}
	s.jobs = jobs.New(context.WithoutCancel(t.Context()), jobs.Config{Describe: api.JobError, Observe: func(e jobs.Event) {
		select {
		case s.moved <- e:
		default: // nobody looks
		}
	}})
	s.srv = api.New(api.Config{Backend: h, Home: residence{h, a}, Guests: a, Registry: reg, Version: "1.2.3", HostToken: hostToken, Jobs: s.jobs, Events: s.events,
		JobIDs: h, People: people, Backups: vault{h}, Log: slog.New(slog.DiscardHandler)})
	return s
}

// reached is what came through to the house; the verification log's note of a refusal is none of it.
func (s *stage) reached() []string {
	s.house.mu.Lock()
	defer s.house.mu.Unlock()
	out := slices.Concat(s.house.calls, slices.DeleteFunc(s.guests.calls(), func(c string) bool { return strings.HasPrefix(c, "refused ") }))
	if s.reg.Provider("mqtt") != "" || len(s.reg.Messages("")) != 0 {
		out = append(out, "registry")
	}
	if len(s.people.Users()) != 0 {
		out = append(out, "users")
	}
	return out
}

// by asks as a person of a role.
func (s *stage) by(role api.Role) http.Handler {
	return s.srv.HandlerFor(func(*http.Request) api.Caller {
		return api.Caller{Kind: api.KindPerson, Name: role.String(), Role: role}
	})
}

// at fills the parameters of a path in.
func at(path, value string) string {
	return regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllStringFunc(path, func(p string) string {
		switch {
		case value != "":
			return value
		case p == "{id}":
			return "0123456789abcdef"
		case p == "{seq}":
			return "7"
		case p == "{boot}":
			return "0"
		case p == "{service}":
			return "mqtt"
		case p == "{backup}":
			return "0a1b2c3d"
		case p == "{check}":
			return "core_trust"
		}
		return "core_x"
	})
}

// sendAs makes a request with the host token and a context.
func sendAs(ctx context.Context, h http.Handler, method, url, body string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+hostToken)
	h.ServeHTTP(rec, req)
	return rec
}

// send makes a request. The body may be large.
func send(h http.Handler, method, url, token, body string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	ctx, cancel := context.WithCancel(context.Background())
	req := httptest.NewRequestWithContext(ctx, method, "/", strings.NewReader(body))
	if cancel(); !strings.HasSuffix(url, "/follow") { // who follows a log has left
		req = req.WithContext(context.Background())
	}
	parsed, err := req.URL.Parse("http://x" + url)
	if err != nil {
		parsed = req.URL
		parsed.Path = url
	}
	req.URL, req.RequestURI = parsed, url
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	h.ServeHTTP(rec, req)
	return rec
}

var attacks = []string{"..%2f..%2fetc%2fpasswd", "%2e%2e", "%252e%252e%252fetc", "..%5c..%5cetc", "a%00b", "a%0d%0ab", "%3Cscript%3Ealert(1)%3C/script%3E",
	"%253Cscript%253E", "x'%20OR%20'1'='1", "1%20UNION%20SELECT%20token%20FROM%20users", "x;DROP%20TABLE%20users", "%25252525252e%25252525252e"}

// TestEveryRouteRefusesWhatIsWrong goes through the table: a new row is here without anybody thinking of it.
func TestEveryRouteRefusesWhatIsWrong(t *testing.T) {
	large := strings.Repeat(" ", 16<<20+1)
	_, rows := api.Rows()
	for _, rt := range rows {
		t.Run(rt.Method+" "+rt.Path, func(t *testing.T) {
			s := newStage(t)
			root, bridge := s.by(api.Admin), s.srv.AddonHandler()
			path := at(rt.Path, "")
			refused := func(what string, h http.Handler, method, url, token, body string, status int, says string) {
				t.Helper()
				rec := send(h, method, url, token, body)
				if rec.Code != status && (status != 400 || rec.Code != 404 || says != "") || !strings.Contains(rec.Body.String(), says) {
					t.Errorf("%s: got %d %.200s, want %d and %q", what, rec.Code, rec.Body.String(), status, says)
				}
				text := status == 401 || status == 405 || rt.Text && !strings.Contains(says, "cannot answer")
				if !text && !strings.HasPrefix(rec.Body.String(), `{"result":"error","message":"`) {
					t.Errorf("%s: no envelope: %.100s", what, rec.Body.String())
				}
				if got := s.reached(); len(got) != 0 {
					t.Fatalf("%s: reached the house: %q", what, got)
				}
			}
			refused("another method", root, "PATCH", path, "", "", 405, "405: Method Not Allowed")
			refused("another method with the host token", bridge, "PATCH", path, hostToken, "", 405, "405: Method Not Allowed")
			if !rt.Open {
				refused("no token", bridge, rt.Method, path, "", "{}", 401, "401: Unauthorized")
				refused("a wrong token", bridge, rt.Method, path, "token-", "{}", 401, "401: Unauthorized")
				for role := api.Nobody; role < rt.People && role <= api.Admin; role++ {
					if role == api.Nobody {
						continue // has no token
					}
					refused("a person who is "+role.String(), s.by(role), rt.Method, path, "", "{}", 403, "")
				}
			}
			if rt.People <= api.Admin {
				bodies(t, rt, large, func(what, body, says string) { refused(what, root, rt.Method, path, "", body, 400, says) })
			}
			for _, name := range rt.Queries {
				refused("query "+name, root, rt.Method, path+"?"+name+"=maybe", "", "", 400, "cannot read query")
			}
			for _, bad := range attacks {
				if strings.Contains(rt.Path, "{") {
					refused("path "+bad, root, rt.Method, at(rt.Path, bad), "", "", 400, "cannot answer: the path ")
				}
				refused("query "+bad, root, rt.Method, path+"?x="+strings.ReplaceAll(bad, ";", "%3B"), "", "", 400, "cannot answer: the query ")
				refused("query "+bad+" without a token", bridge, rt.Method, path+"?x="+strings.ReplaceAll(bad, ";", "%3B"), "", "", 400, "cannot answer: the query ")
			}
		})
	}
}

// bodies are the wrong bodies of a route.
func bodies(t *testing.T, rt api.Row, large string, refused func(what, body, says string)) {
	if rt.Method == "GET" {
		return
	}
	if rt.Body == "stream" {
		refused("no upload", "{}", "cannot read the upload")
		return
	}
	refused("too large", large, "larger than")
	if rt.Body == "raw" {
		refused("nothing", "", "the body is empty")
		return
	}
	for _, junk := range []string{"\x00{", "<xml/>", "{", `{}{}`, "name=value"} {
		refused("no JSON", junk, "Invalid json")
	}
	refused("a list", `[]`, "wrong type @ ")
	refused("a deep list", strings.Repeat("[", 20000), "")
	if rt.Body == "any" {
		return
	}
	refused("a number", `7`, "wrong type @ ")
	refused("unknown key", `{"surprise":1}`, "extra keys not allowed @ /surprise")
	refused("key of the path", `{"Slug":"core_y"}`, "extra keys not allowed @ /Slug")
	if rt.Wrong != "" {
		refused("wrong type", rt.Wrong, "wrong type @ /")
	} else if rt.Body == "object" && !slices.Contains(untyped, rt.Method+" "+rt.Path) {
		t.Error("the body has no member of a type that is checked; if that is right, name the route in untyped")
	}
	for _, name := range rt.Names {
		for _, bad := range []string{"../../etc/passwd", "x'; DROP TABLE users", "a\\u0000b", "<script>", "a\\nb"} {
			refused(name+" "+bad, `{"`+name+`":"`+bad+`"}`, "")
		}
	}
}

// untyped are the routes whose body may hold anything.
var untyped = []string{"POST /castellan/addons/{slug}/options", "POST /castellan/addons/{slug}/options/validate"}

// mayDo is what Home Assistant says an add-on may do, by its role, and ours what it may not all the same.
var (
	mayDo = map[string]*regexp.Regexp{
		"none":   regexp.MustCompile(`^\w+ (/supervisor/ping|/info|/auth|/services.*|/discovery.*|(/store)?/addons/[^/]+/(icon|logo)|/addons/self/.*)$`),
		"info":   regexp.MustCompile(`^GET /.*/info$`),
		"core":   regexp.MustCompile(`^\w+ /(core|homeassistant)/`),
		"backup": regexp.MustCompile(`^\w+ /backups(/|$)`),
	}
	mayNever = regexp.MustCompile(`^\w+ /castellan|^POST /security/|/security$|^POST /addons/self/(update|install|uninstall|rebuild)$|^(POST|DELETE) /store/repositories(/core_x)?$|` +
		`^POST /ingress/|^POST /jobs/options$|^POST /resolution/check/\w+/options$|^DELETE /resolution/|^POST /resolution/suggestion/|^GET /addons/core_x/options/config$|^(POST|DELETE) /docker/registries`)
)

// TestAddonsMayDoWhatTheirRolesSay asks for every route with the token of every sort of add-on, about itself and about
// another one.
func TestAddonsMayDoWhatTheirRolesSay(t *testing.T) {
	_, rows := api.Rows()
	for _, rt := range rows {
		s := newStage(t)
		for _, slug := range []string{"core_x", "self"} {
			path := at(rt.Path, "")
			if strings.HasPrefix(rt.Path, "/addons/{slug}") {
				path = strings.Replace(path, "core_x", slug, 1)
			} else if slug == "self" {
				continue
			}
			call := rt.Method + " " + path
			for _, role := range []string{"none", "default", "homeassistant", "backup", "manager", "admin"} {
				may := mayDo["none"].MatchString(call) || role != "none" && mayDo["info"].MatchString(call) ||
					role == "homeassistant" && mayDo["core"].MatchString(call) || role == "backup" && mayDo["backup"].MatchString(call) || role == "manager" || role == "admin"
				may = may && !mayNever.MatchString(call)
				before := len(s.reached())
				rec := send(s.srv.AddonHandler(), rt.Method, path, "token-"+role, `{"surprise":1}`)
				if got := rec.Code != 403 || strings.Contains(rec.Body.String(), "No access"); got != may { // the registry has a say of its own
					t.Errorf("%s by an add-on with role %s: got %d %.150s, may it: %v", call, role, rec.Code, rec.Body.String(), may)
				}
				if got := s.reached(); rec.Code == 403 && len(got) != before {
					t.Errorf("%s by an add-on with role %s was refused, and reached the house: %q", call, role, got)
				}
			}
		}
	}
}
