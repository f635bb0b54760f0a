package web

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// peopleScreens are about who may come in: users, sessions, tokens. Who is no admin sees his own.
var peopleScreens = []screen{
	{"GET", "/ui/settings/people", api.Viewer, (*visit).people},
	{"POST", "/ui/settings/people", api.Admin, (*visit).postUser},
	{"GET", "/ui/settings/people/{name}", api.Admin, (*visit).person},
	{"POST", "/ui/settings/people/{name}/role", api.Admin, (*visit).postRole},
	{"POST", "/ui/settings/people/{name}/password", api.Admin, (*visit).postPassword},
	{"GET", "/ui/settings/people/{name}/password", api.Admin, toPeople},
	{"POST", "/ui/settings/people/{name}/remove", api.Admin, (*visit).postRemoveUser},
	{"POST", "/ui/settings/sessions/end", api.Viewer, (*visit).postEndSession},
	{"POST", "/ui/settings/tokens", api.Viewer, (*visit).postToken},
	{"GET", "/ui/settings/tokens", api.Viewer, toPeople},
	{"POST", "/ui/settings/tokens/remove", api.Viewer, (*visit).postRemoveToken},
}

const peoplePage = "/ui/settings/people"

// toPeople is for addresses that only forms are sent to, when somebody loads one again.
func toPeople(*visit) (answer, error) { return seeOther(peoplePage), nil }

// people are what the page about them shows.
type people struct {
	Users    []api.User
	Sessions []session
	Tokens   []api.Token
	Roles    []string // that the visitor may give a token
	Typed    typed
}

// session is one, with the device in words.
type session struct {
	api.Session
	Device string
}

var roles = []string{"viewer", "operator", "admin"}

func (v *visit) people() (answer, error) {
	p, err := v.peopleNow()
	if err != nil {
		return answer{}, err
	}
	return show("people", p)
}

func (v *visit) peopleNow() (out people, err error) {
	for _, r := range roles {
		if v.may(r) {
			out.Roles = append(out.Roles, r)
		}
	}
	if v.may("admin") {
		list, err := v.api.Users(v.ctx())
		if err != nil {
			return out, err
		}
		out.Users = list.Users
	}
	sessions, err := v.api.Sessions(v.ctx(), "")
	if err != nil {
		return out, err
	}
	for _, s := range sessions.Sessions {
		out.Sessions = append(out.Sessions, session{s, v.browser(s.Agent)})
	}
	tokens, err := v.api.Tokens(v.ctx(), "")
	out.Tokens = tokens.Tokens
	return out, err
}

// postUser adds a user.
func (v *visit) postUser() (answer, error) {
	name := v.form("name")
	err := v.api.AddUser(v.ctx(), api.UserRequest{Name: name, Password: v.r.PostFormValue("password"), Role: v.form("role")})
	if err == nil {
		return v.done(peoplePage, "people.added", name)
	}
	return v.peopleAgain("user", err)
}

// peopleAgain shows the page again with what was wrong in one of its forms.
func (v *visit) peopleAgain(form string, err error) (answer, error) {
	p, other := v.peopleNow()
	if other != nil {
		return answer{}, err
	}
	p.Typed = v.wrong(form, err)
	return shownAgain("people", p)
}

// person is the page of one user: his role, a new password, and how he is removed.
func (v *visit) person() (answer, error) {
	p, err := v.personNow()
	if err != nil {
		return answer{}, err
	}
	return show("person", p)
}

type person struct {
	api.User
	Own   bool
	Typed typed
}

func (v *visit) personNow() (person, error) {
	list, err := v.api.Users(v.ctx())
	if err != nil {
		return person{}, err
	}
	name := v.r.PathValue("name")
	for _, u := range list.Users {
		if u.Name == name {
			return person{User: u, Own: u.Name == v.me.Name}, nil
		}
	}
	return person{}, &api.Error{Status: 404, Key: "not_found", Message: v.say("people.gone", name), Next: v.say("people.gone_next")}
}

func (v *visit) personAgain(form string, err error) (answer, error) {
	p, other := v.personNow()
	if other != nil {
		return answer{}, err
	}
	p.Typed = v.wrong(form, err)
	return shownAgain("person", p)
}

func personPage(name string) string { return peoplePage + "/" + url.PathEscape(name) }

func (v *visit) postRole() (answer, error) {
	name := v.r.PathValue("name")
	if err := v.api.SetRole(v.ctx(), name, v.form("role")); err != nil {
		return v.again(personPage(name), err)
	}
	return v.done(peoplePage, "people.role_set", name, v.say("people.role_"+v.form("role")))
}

func (v *visit) postPassword() (answer, error) {
	name := v.r.PathValue("name")
	err := v.samePasswords()
	if err == nil {
		err = v.api.SetPassword(v.ctx(), name, api.PasswordRequest{Password: v.r.PostFormValue("password")})
	}
	if err != nil {
		return v.personAgain("password", err)
	}
	return v.done(peoplePage, "people.password_set", name)
}

func (v *visit) postRemoveUser() (answer, error) {
	name := v.r.PathValue("name")
	if err := v.api.RemoveUser(v.ctx(), name); err != nil {
		return v.again(personPage(name), err)
	}
	return v.done(peoplePage, "people.removed", name)
}

// postEndSession ends one session, or all but the one that asks.
func (v *visit) postEndSession() (answer, error) {
	if id := v.form("id"); id != "" {
		if err := v.api.EndSession(v.ctx(), id); err != nil {
			return v.again(peoplePage, err)
		}
		return v.done(peoplePage, "people.session_ended")
	}
	ended, err := v.api.EndSessions(v.ctx(), v.me.Name)
	if err != nil {
		return v.again(peoplePage, err)
	}
	return v.done(peoplePage, "people.sessions_ended", ended.Ended)
}

// postToken makes a token. Its text is on this one page and nowhere else: no browser keeps the page, and no address leads to it.
func (v *visit) postToken() (answer, error) {
	days, err := strconv.Atoi(v.form("days"))
	if err != nil || days < 0 { // 0 is for ever: nobody gets that by mistake
		return v.peopleAgain("token", v.unfit("people.no_days"))
	}
	made, err := v.api.AddToken(v.ctx(), api.TokenRequest{Name: v.form("name"), Role: v.form("role"), Days: days})
	if err != nil {
		return v.peopleAgain("token", err)
	}
	return show("token", made)
}

func (v *visit) postRemoveToken() (answer, error) {
	if err := v.api.RemoveToken(v.ctx(), v.form("id")); err != nil {
		return v.again(peoplePage, err)
	}
	return v.done(peoplePage, "people.token_removed")
}

// browsers and systems are words that user agents hold, the telling ones first: each says it is others too.
var (
	browsers = [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox", "Firefox"}, {"FxiOS", "Firefox"}, {"Chrome", "Chrome"}, {"CriOS", "Chrome"}, {"Safari", "Safari"}}
	systems  = [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}}
)

// browser is what a browser says of itself, in words. It may say anything.
func (v *visit) browser(agent string) string {
	find := func(list [][2]string) string {
		for _, k := range list {
			if strings.Contains(agent, k[0]) {
				return k[1]
			}
		}
		return ""
	}
	browser, system := find(browsers), find(systems)
	switch {
	case browser != "" && system != "":
		return v.say("people.device", browser, system)
	case agent == "":
		return v.say("people.no_device")
	case len(agent) > 60:
		return strings.ToValidUTF8(agent[:60], "") + "…"
	}
	return agent
}
