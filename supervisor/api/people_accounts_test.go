package api_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor/access"
	"github.com/castellan/castellan/supervisor/api"
)

func TestStrangersSendLittle(t *testing.T) {
	h := newHome(t)
	for _, path := range []string{"/castellan/login", "/castellan/setup"} {
		for size, want := range map[int]string{16 << 10: "Invalid json", 16<<10 + 1: "the body is larger than 16384 bytes"} {
			if rec := h.ask("POST", path, strings.Repeat("x", size)); rec.Code != 400 || !strings.Contains(rec.Body.String(), want) {
				t.Errorf("%s with %d bytes: %d %s, want %q", path, size, rec.Code, rec.Body.String(), want)
			}
		}
	}
}

func TestGuessesAreSlowedDownAndToldHowLong(t *testing.T) {
	h := settled(t)
	var last int
	for i := range 30 {
		rec := h.ask("POST", "/castellan/login", `{"name":"anna","password":"not the right one"}`)
		if last = rec.Code; last == 429 {
			if rec.Header().Get("Retry-After") == "" || !strings.Contains(rec.Body.String(), `"seconds":`) || !strings.Contains(rec.Body.String(), "try again in") {
				t.Errorf("got %v %s", rec.Header(), rec.Body.String())
			}
			break
		}
		if last != 403 || !strings.Contains(rec.Body.String(), `"denied"`) || rec.Header().Get("Set-Cookie") != "" {
			t.Fatalf("guess %d: %d %s", i, last, rec.Body.String())
		}
	}
	if last != 429 {
		t.Error("thirty guesses are never slowed down")
	}
	if strings.Contains(h.log.String(), "not the right one") {
		t.Errorf("the log holds the guess:\n%s", h.log.String())
	}
}

// TestAccounts is what everybody may do to his own account, and to others'.
func TestAccounts(t *testing.T) {
	h := settled(t)
	cookies := map[string][]string{}
	for name, password := range map[string]string{"anna": annaPassword, "bert": bertPassword} {
		cookie, csrf := h.login(t, name, password)
		cookies[name] = []string{"Cookie", cookie, "X-CSRF-Token", csrf}
		cookies[name+"'s token"] = []string{"Authorization", "Bearer " + h.tokens[name]}
	}
	cookies["cleo's token"] = []string{"Authorization", "Bearer " + h.tokens["cleo"]}
	id := func(of string) string {
		for _, s := range h.people.Sessions(of) {
			return s.ID
		}
		t.Fatalf("%s has no session", of)
		return ""
	}
	annas, berts := id("anna"), id("bert")
	token := h.people.Tokens("anna")[0].ID
	for _, c := range []struct{ who, method, path, body, want string }{
		{"bert", "GET", "/castellan/users", "", "403"},
		{"bert", "POST", "/castellan/users", `{"name":"eve","password":"` + otherPassword + `","role":"admin"}`, "403"},
		{"bert", "POST", "/castellan/users/bert/role", `{"role":"admin"}`, "403"},
		{"bert", "POST", "/castellan/users/anna/password", `{"password":"` + otherPassword + `","current":"` + bertPassword + `"}`, "403"},
		{"bert", "GET", "/castellan/sessions", "", `"user":"bert"`},
		{"bert", "GET", "/castellan/sessions?user=anna", "", "403"},
		{"bert", "DELETE", "/castellan/sessions/" + annas, "", "404"},
		{"bert", "DELETE", "/castellan/sessions?user=anna", "", "403"},
		{"bert", "GET", "/castellan/tokens", "", `"user":"bert"`},
		{"bert", "DELETE", "/castellan/tokens/" + token, "", "404"},
		{"bert", "POST", "/castellan/tokens", `{"name":"x","role":"admin"}`, "403"},
		{"bert", "POST", "/castellan/tokens", `{"name":"x","role":"viewer","user":"anna"}`, "403"},
		{"bert", "POST", "/castellan/tokens", `{"name":"x","role":"viewer","days":-1}`, "400"},
		{"bert", "POST", "/castellan/tokens", `{"name":"x","role":"king"}`, "400"},
		{"bert", "POST", "/castellan/tokens", `{"name":"x","role":"operator","days":30}`, `"text":"cst_`},
		{"bert", "POST", "/castellan/users/bert/password", `{"password":"` + otherPassword + `"}`, "400"},
		{"bert", "POST", "/castellan/users/bert/password", `{"password":"` + otherPassword + `","current":"wrong wrong"}`, "403"},
		{"cleo's token", "GET", "/castellan/me", "", `"role":"viewer","kind":"token"`},
		{"cleo's token", "GET", "/castellan/sessions", "", "403"},
		{"cleo's token", "POST", "/castellan/tokens", `{"name":"x","role":"viewer"}`, "403"},
		{"bert's token", "POST", "/castellan/tokens", `{"name":"y","role":"operator"}`, "403"},
		{"bert's token", "POST", "/castellan/users/bert/password", `{"password":"` + otherPassword + `","current":"` + bertPassword + `"}`, "403"},
		{"bert's token", "POST", "/castellan/logout", "", "400"},
		{"anna", "GET", "/castellan/setup-code", "", "403"},
		{"anna", "POST", "/castellan/users/reset", "", "403"},
		{"anna", "POST", "/castellan/users", `{"name":"Eve","password":"short","role":"viewer"}`, "400"},
		{"anna", "POST", "/castellan/users", `{"name":"Eve","password":"` + otherPassword + `","role":"king"}`, "400"},
		{"anna", "POST", "/castellan/users", `{"name":"Eve","password":"` + otherPassword + `","role":"viewer"}`, "200"},
		{"anna", "POST", "/castellan/users", `{"name":"eve","password":"` + otherPassword + `","role":"viewer"}`, "409"},
		{"anna", "GET", "/castellan/users", "", `"name":"eve","role":"viewer"`},
		{"anna", "POST", "/castellan/users/eve/role", `{"role":"operator"}`, "200"},
		{"anna", "POST", "/castellan/users/anna/role", `{"role":"viewer"}`, "409"},
		{"anna", "DELETE", "/castellan/users/anna", "", "409"},
		{"anna", "DELETE", "/castellan/users/eve", "", "200"},
		{"anna", "DELETE", "/castellan/users/eve", "", "404"},
		{"anna", "GET", "/castellan/sessions?user=bert", "", `"id":"` + berts},
		{"anna", "GET", "/castellan/sessions", "", `"own":true`},
		{"anna", "DELETE", "/castellan/sessions/" + berts, "", "200"},
		{"bert", "GET", "/castellan/me", "", "401"}, // at once
		{"anna", "POST", "/castellan/users/cleo/password", `{"password":"` + annaPassword + `"}`, "200"},
		{"cleo's token", "GET", "/castellan/me", "", "200"}, // tokens stay
		{"anna", "POST", "/castellan/users/cleo/role", `{"role":"viewer"}`, "200"},
		{"anna", "DELETE", "/castellan/sessions", "", `"ended":0`},
		{"anna", "DELETE", "/castellan/tokens/" + token, "", "200"},
		{"anna's token", "GET", "/castellan/me", "", "401"},
		{"anna", "GET", "/castellan/me", "", "200"},
		{"anna", "POST", "/castellan/users/anna/password", `{"password":"` + otherPassword + `","current":"` + annaPassword + `"}`, "200"},
		{"anna", "GET", "/castellan/me", "", "200"}, // this session stays
	} {
		rec := h.ask(c.method, c.path, c.body, cookies[c.who]...)
		got := fmt.Sprint(rec.Code)
		if len(c.want) != 3 {
			got += rec.Body.String()
		}
		if !strings.Contains(got, c.want) || len(c.want) != 3 && rec.Code != 200 {
			t.Errorf("%s: %s %s %s: got %d %s, want %s", c.who, c.method, c.path, c.body, rec.Code, rec.Body.String(), c.want)
		}
		for _, secret := range append([]string{annaPassword, bertPassword, otherPassword}, h.tokens["anna"], h.tokens["bert"]) {
			if strings.Contains(rec.Body.String(), secret) {
				t.Errorf("%s: %s %s: the answer holds %q", c.who, c.method, c.path, secret)
			}
		}
	}
	secrets := []string{annaPassword, bertPassword, otherPassword, "cst_"}
	for _, headers := range cookies {
		secrets = append(secrets, headers[1][strings.IndexAny(headers[1], "= ")+1:])
	}
	for _, secret := range secrets {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(h.log.String(), `msg="user added" subject=eve by="anna (session)"`) {
		t.Errorf("the log does not tell who added whom:\n%s", h.log.String())
	}
}

// TestStreamsEndWithTheRightToThem takes the right to a stream away in each way.
func TestStreamsEndWithTheRightToThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := settled(t)
		tokens := map[string][]string{}
		for _, name := range []string{"bert", "cleo"} {
			err := h.people.SetRole(name, access.Admin)
			text, _, err2 := h.people.AddToken(name, "stream", access.Admin, time.Time{})
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			tokens[name] = []string{"Authorization", "Bearer " + text.Reveal()}
		}
		cookie, _ := h.login(t, "bert", bertPassword)
		another, _ := h.login(t, "bert", bertPassword)
		for _, c := range []struct {
			what    string
			headers []string
			end     func() error
		}{
			{"the session ends", []string{"Cookie", cookie}, func() error { return h.people.Logout(access.Secret(strings.TrimPrefix(cookie, "castellan="))) }},
			{"the token is removed", tokens["bert"], func() error { return h.people.RemoveToken("bert", h.people.Tokens("bert")[1].ID) }},
			{"the role is another", []string{"Cookie", another}, func() error { return h.people.SetRole("bert", access.Viewer) }},
			{"the user is removed", tokens["cleo"], func() error { return h.people.RemoveUser("cleo") }},
		} {
			done := make(chan int, 1)
			go func() { done <- h.ask("GET", "/supervisor/logs/follow", "", c.headers...).Code }()
			select {
			case code := <-done:
				t.Fatalf("%s: the stream ends at once: %d", c.what, code)
			case <-time.After(time.Minute):
			}
			if err := c.end(); err != nil {
				t.Fatal(err)
			}
			select {
			case code := <-done:
				if code != 200 {
					t.Errorf("%s: %d", c.what, code)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s: the stream goes on", c.what)
			}
		}
	})
}

// TestRootIsTheWayIn is what root on the appliance may do without an account.
func TestRootIsTheWayIn(t *testing.T) {
	h := newHome(t)
	local := h.srv.Handler()
	code := data[api.SetupCode](t, get(local, "/castellan/setup-code")).Code
	add := func(name, role string) int {
		return atHome(local, "POST", "/castellan/users", fmt.Sprintf(`{"name":%q,"password":%q,"role":%q}`, name, annaPassword, role)).Code
	}
	if got := []int{add("anna", "viewer"), add("anna", "admin"), add("bert", "operator")}; got[0] != 400 || got[1] != 200 || got[2] != 200 {
		t.Fatalf("users added as %v", got)
	}
	if n := len(h.people.Sessions("")); n != 0 {
		t.Errorf("%d sessions are left over", n)
	}
	if rec := h.ask("POST", "/castellan/setup", fmt.Sprintf(`{"code":%q,"name":"eve","password":%q}`, code, otherPassword)); rec.Code != 409 {
		t.Errorf("the code counts after root has made the owner: %d", rec.Code)
	}
	if rec := atHome(local, "POST", "/castellan/tokens", `{"name":"x","role":"viewer"}`); rec.Code != 400 || !strings.Contains(rec.Body.String(), `field \"user\" is missing`) {
		t.Errorf("a token of nobody: %d %s", rec.Code, rec.Body.String())
	}
	if rec := atHome(local, "POST", "/castellan/tokens", `{"name":"x","role":"viewer","user":"bert"}`); !strings.HasPrefix(data[api.NewToken](t, rec).Text, "cst_") {
		t.Errorf("a token of bert: %s", rec.Body.String())
	}
	for place, want := range map[string]int{"192.168.1.7": 200, "here": 400, "": 400} {
		if rec := atHome(local, "POST", "/castellan/users/bert/places", `{"address":"`+place+`"}`); rec.Code != want {
			t.Errorf("place %q: %d %s", place, rec.Code, rec.Body.String())
		}
	}
	if rec := send(h.by(api.Admin), "POST", "/castellan/users/bert/places", "", `{"address":"192.168.1.7"}`); rec.Code != 403 {
		t.Errorf("a place, not from the appliance: %d %s", rec.Code, rec.Body.String())
	}
	for _, path := range []string{"/castellan/login", "/castellan/setup"} {
		if rec := atHome(local, "POST", path, `{"name":"anna","password":"x"}`); rec.Code != 400 || rec.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s on the socket: %d %s", path, rec.Code, rec.Body.String())
		}
	}
	reset := data[api.ResetAnswer](t, atHome(local, "POST", "/castellan/users/reset", ""))
	if len(h.people.Users()) != 0 || reset.Aside == "" || reset.Code == "" || reset.Code == code {
		t.Errorf("after a reset: %d users, %+v", len(h.people.Users()), reset)
	}
	if strings.Contains(h.log.String(), reset.Code) || strings.Contains(h.log.String(), code) {
		t.Errorf("the log holds a setup code:\n%s", h.log.String())
	}
	me := data[api.Me](t, get(local, "/castellan/me"))
	if me.Name != "root" || me.Kind != "local" || me.Role != "admin" {
		t.Errorf("root is %+v", me)
	}
}

// TestAccountsAreWrittenDown: each change of an account is one record, by whom, with nothing that opens a door; a record that
// can't be written fails the call.
func TestAccountsAreWrittenDown(t *testing.T) {
	h := newHome(t)
	var wrote []string
	var broken error
	h.srv = api.New(api.Config{Backend: h.house, People: h.people, Owner: uint32(os.Getuid()), Log: slog.New(slog.DiscardHandler), Account: func(e access.Event, by string) error {
		if broken != nil {
			return broken
		}
		wrote = append(wrote, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s by %s", e.What, e.User, e.Role, e.Name, by)), " "))
		return nil
	}})
	h.net = h.srv.PeopleHandler(api.Network{Hosts: []string{"castellan.example"}})
	local := h.srv.Handler()
	code := data[api.SetupCode](t, get(local, "/castellan/setup-code")).Code
	rec := h.ask("POST", "/castellan/setup", fmt.Sprintf(`{"code":%q,"name":"anna","password":%q}`, code, annaPassword), "From", "192.168.1.7")
	if got := strings.Join(wrote, ";"); got != "owner made anna admin by who has the setup code, from 192.168.1.7" {
		t.Errorf("setup: written down %q", got)
	}
	anna := []string{"Cookie", strings.Split(rec.Header().Get("Set-Cookie"), ";")[0], "X-CSRF-Token", data[api.Me](t, rec).CSRF}
	ask := func(method, path, body string) *httptest.ResponseRecorder { return h.ask(method, path, body, anna...) }
	user := fmt.Sprintf(`{"name":"bert","password":%q,"role":"viewer"}`, bertPassword)
	for _, c := range []struct{ method, path, body, want string }{
		{"POST", "/castellan/users", user, "user added bert viewer by anna (session)"},
		{"POST", "/castellan/users/bert/role", `{"role":"operator"}`, "role changed bert operator by anna (session)"},
		{"POST", "/castellan/users/bert/password", fmt.Sprintf(`{"password":%q}`, otherPassword), "password set bert by anna (session)"},
		{"POST", "/castellan/tokens", `{"name":"ci","role":"viewer","user":"bert"}`, "token made bert viewer ci by anna (session)"},
	} {
		wrote = nil
		if rec := ask(c.method, c.path, c.body); rec.Code != 200 || len(wrote) != 1 || wrote[0] != c.want {
			t.Errorf("%s %s: %d %s, written down %q, want %q", c.method, c.path, rec.Code, rec.Body.String(), wrote, c.want)
		}
	}
	token := h.people.Tokens("bert")[0].ID
	broken = errors.New("the disk is full")
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/castellan/users", strings.Replace(user, "bert", "eve", 1)},
		{"POST", "/castellan/users/bert/role", `{"role":"admin"}`},
		{"POST", "/castellan/tokens", `{"name":"more","role":"viewer","user":"bert"}`},
	} {
		if rec := ask(c.method, c.path, c.body); rec.Code != 503 || !strings.Contains(rec.Body.String(), `"error_key":"log_failed"`) || !strings.Contains(rec.Body.String(), `"next":"castellan log verify`) ||
			strings.Contains(rec.Body.String(), "cst_") {
			t.Errorf("%s without a log: %d %s", c.path, rec.Code, rec.Body.String())
		}
	}
	if users := h.people.Users(); len(users) != 2 || users[1].Role != access.Operator || len(h.people.Tokens("")) != 1 {
		t.Errorf("what was not written down counts: %+v", users)
	}
	broken, wrote = nil, nil
	if rec := ask("DELETE", "/castellan/tokens/"+token, ""); rec.Code != 200 || strings.Join(wrote, ";") != "token removed bert viewer ci by anna (session)" {
		t.Errorf("removed: %d, written down %q", rec.Code, wrote)
	}
	wrote = nil
	if rec := ask("DELETE", "/castellan/users/bert", ""); rec.Code != 200 || strings.Join(wrote, ";") != "user removed bert by anna (session)" {
		t.Errorf("removed: %d, written down %q", rec.Code, wrote)
	}
	wrote = nil
	if rec := atHome(local, "POST", "/castellan/users/reset", ""); rec.Code != 200 || strings.Join(wrote, ";") != "register reset by root" {
		t.Errorf("reset: %d, written down %q", rec.Code, wrote)
	}
	wrote = nil
	if rec := atHome(local, "POST", "/castellan/users", fmt.Sprintf(`{"name":"carl","password":%q,"role":"admin"}`, annaPassword)); rec.Code != 200 || strings.Join(wrote, ";") != "owner made carl admin by root" {
		t.Errorf("the first user: %d, written down %q", rec.Code, wrote)
	}
}
