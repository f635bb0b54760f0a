package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/access"
)

// peopleRoutes are the calls about users, sessions and tokens. Nobody with never is open to people on the network, and to
// no add-on.
var peopleRoutes = []route{
	{"GET", "/castellan/setup", Nobody, never, "Whether the appliance has an owner.", onPeople((*Server).getSetup)},
	{"POST", "/castellan/setup", Nobody, never, "Makes the first user with the setup code, and logs in.", cookied((*Server).postSetup)},
	{"POST", "/castellan/login", Nobody, never, "Begins a session; its cookie is set.", cookied((*Server).postLogin)},
	{"POST", "/castellan/logout", Viewer, never, "Ends the session that asks.", cookied((*Server).postLogout)},
	{"GET", "/castellan/me", Viewer, never, "Who calls, and the CSRF token of his session.", onPeople((*Server).getMe)},
	{"GET", "/castellan/setup-code", Admin, never, "The setup code; on the unix socket only.", onPeople((*Server).getSetupCode)},
	{"GET", "/castellan/users", Admin, never, "Who may log in.", onPeople((*Server).getUsers)},
	{"POST", "/castellan/users", Admin, never, "Adds a user.", onPeople((*Server).postUser)},
	{"POST", "/castellan/users/reset", Admin, never, "Puts the register of users aside and begins anew; on the unix socket only.", onPeople((*Server).postReset)},
	{"DELETE", "/castellan/users/{name}", Admin, never, "Removes a user with his sessions and tokens.", onPeople((*Server).deleteUser)},
	{"POST", "/castellan/users/{name}/role", Admin, never, "Gives a user another role.", onPeople((*Server).postRole)},
	{"POST", "/castellan/users/{name}/places", Admin, never, "Lets a user log in from an address at once while others guess at his name; on the unix socket only.", onPeople((*Server).postPlace)},
	{"POST", "/castellan/users/{name}/password", Viewer, never, "Sets the own password, or as admin another's.", onPeople((*Server).postPassword)},
	{"GET", "/castellan/sessions", Viewer, never, "The own sessions; as admin, all or a user's.", onPeople((*Server).getSessions)},
	{"DELETE", "/castellan/sessions", Viewer, never, "Ends the own sessions, or as admin a user's, but the one that asks.", onPeople((*Server).deleteSessions)},
	{"DELETE", "/castellan/sessions/{id}", Viewer, never, "Ends a session.", onPeople((*Server).deleteSession)},
	{"GET", "/castellan/tokens", Viewer, never, "The own tokens; as admin, all or a user's.", onPeople((*Server).getTokens)},
	{"POST", "/castellan/tokens", Viewer, never, "Makes a token, which is shown this once.", onPeople((*Server).postToken)},
	{"DELETE", "/castellan/tokens/{id}", Viewer, never, "Removes a token.", onPeople((*Server).deleteToken)},
}

// onPeople makes an endpoint of a call that needs the register of people.
func onPeople[In, Out any](do func(*Server, context.Context, Caller, In) (Out, error)) endpoint {
	return call(func(s *Server, ctx context.Context, c Caller, in In) (Out, error) {
		out, err := do(s, ctx, c, in)
		return out, denied(err)
	}).guarded(func(s *Server, _ *http.Request) error {
		if s.cfg.People == nil {
			return noPeople()
		}
		return nil
	})
}

// withCookie is an answer that sets a cookie.
type withCookie struct {
	data   any
	cookie *http.Cookie // nil = none
}

// cookied makes an endpoint of a call that may set a cookie and needs the register of people.
func cookied[In, Out any](do func(*Server, context.Context, Caller, In) (Out, *http.Cookie, error)) endpoint {
	e := onPeople(cookieOf(do))
	e.out = reflect.TypeFor[Out]()
	return e
}

// settingCookie makes an endpoint of a call that may set a cookie.
func settingCookie[In, Out any](do func(*Server, context.Context, Caller, In) (Out, *http.Cookie, error)) endpoint {
	e := call(cookieOf(do))
	e.out = reflect.TypeFor[Out]()
	return e
}

func cookieOf[In, Out any](do func(*Server, context.Context, Caller, In) (Out, *http.Cookie, error)) func(*Server, context.Context, Caller, In) (withCookie, error) {
	return func(s *Server, ctx context.Context, c Caller, in In) (withCookie, error) {
		out, cookie, err := do(s, ctx, c, in)
		return withCookie{out, cookie}, err
	}
}

// onAppliance refuses who does not call on the unix socket.
func (c Caller) onAppliance() error {
	if !c.local {
		return forbidden("that is for root on the appliance, and not over the network", "run the command there as root")
	}
	return nil
}

// account is whose sessions and tokens a call is about: the caller's, or as admin those of the user asked for; "" is
// everybody's. A token that is no admin's does not manage its user's account.
func (c Caller) account(user string) (string, error) {
	user = strings.ToLower(strings.TrimSpace(user))
	switch {
	case c.admin():
		return user, nil
	case c.visit == nil:
		return "", forbidden(c.String()+" is no user", "run the command as root")
	case c.visit.who.Kind == access.ByToken:
		return "", forbidden("a token does not manage its user's account", "log in")
	case user != "" && user != c.visit.who.Name:
		return "", forbidden("that is for admins", "ask one")
	}
	return c.visit.who.Name, nil
}

// session is the ID of the session that asks, "" when none does.
func (c Caller) session() string {
	if c.visit == nil || c.visit.who.Kind != access.BySession {
		return ""
	}
	return c.visit.who.ID
}

func (s *Server) getSetup(context.Context, Caller, none) (SetupState, error) {
	if err := s.cfg.People.Closed(); err != nil {
		return SetupState{}, access.ErrClosed // why is for who is on the appliance
	}
	return SetupState{Owner: len(s.cfg.People.Users()) > 0}, nil
}

// fromNetwork is how somebody who logs in came here.
func (c Caller) fromNetwork() (*visit, error) {
	if c.visit == nil {
		return nil, badRequest("cannot log in here: on the appliance you are %s already", c)
	}
	return c.visit, nil
}

// entered makes the answer to a login.
func (v *visit) entered(l access.Login) (Me, *http.Cookie, error) {
	return Me{Name: l.Principal.Name, Role: string(l.Principal.Role), Kind: string(l.Principal.Kind), CSRF: l.CSRF.Reveal(), Ends: l.Ends},
		sessionCookie(v, l.Cookie, l.Ends), nil
}

func (s *Server) postSetup(ctx context.Context, c Caller, in about[SetupRequest]) (Me, *http.Cookie, error) {
	v, err := c.fromNetwork()
	if err != nil {
		return Me{}, nil, err
	}
	l, err := s.cfg.People.Setup(ctx, access.Secret(in.Body.Code), access.Credentials{Name: in.Body.Name, Password: access.Secret(in.Body.Password)}, v.from,
		s.witness("who has the setup code, from "+v.from.Addr.String()))
	if err != nil {
		return Me{}, nil, err
	}
	s.cfg.Log.Info("logged in", "user", l.Principal.Name, "from", v.from.Addr.String())
	return v.entered(l)
}

func (s *Server) postLogin(ctx context.Context, c Caller, in about[LoginRequest]) (Me, *http.Cookie, error) {
	v, err := c.fromNetwork()
	if err != nil {
		return Me{}, nil, err
	}
	l, err := s.cfg.People.Login(ctx, access.Credentials{Name: in.Body.Name, Password: access.Secret(in.Body.Password)}, v.from)
	if err != nil {
		return Me{}, nil, err // the register has told the log
	}
	if v.cookie != "" { // a session that is given up; the new one counts whether or not the disk takes that
		_ = s.cfg.People.Logout(v.cookie)
	}
	s.cfg.Log.Info("logged in", "user", l.Principal.Name, "from", v.from.Addr.String())
	return v.entered(l)
}

func (s *Server) postLogout(_ context.Context, c Caller, _ none) (none, *http.Cookie, error) {
	v, err := c.fromNetwork()
	if err != nil || c.session() == "" {
		return none{}, nil, badRequest("cannot log out: %s has no session", c)
	}
	return none{}, sessionCookie(v, "", time.Time{}), s.cfg.People.Logout(v.cookie)
}

func (s *Server) getMe(_ context.Context, c Caller, _ none) (Me, error) {
	if c.visit == nil {
		kind := string(c.Kind)
		if c.local {
			kind = "local"
		}
		return Me{Name: c.String(), Role: c.Role.String(), Kind: kind, Event: s.cfg.Events.Newest()}, nil
	}
	me := Me{Name: c.visit.who.Name, Role: c.Role.String(), Kind: string(c.visit.who.Kind), Event: s.cfg.Events.Newest()}
	if c.session() != "" {
		me.CSRF = access.CSRF(c.visit.cookie).Reveal()
	}
	return me, nil
}

func (s *Server) getSetupCode(_ context.Context, c Caller, _ none) (SetupCode, error) {
	if err := c.onAppliance(); err != nil {
		return SetupCode{}, err
	}
	code, err := s.cfg.People.SetupCode()
	return SetupCode{code.Reveal()}, err
}

func (s *Server) getUsers(context.Context, Caller, none) (UserList, error) {
	if err := s.cfg.People.Closed(); err != nil {
		return UserList{}, err
	}
	out := UserList{Users: []User{}}
	for _, u := range s.cfg.People.Users() {
		out.Users = append(out.Users, User{Name: u.Name, Role: string(u.Role), Created: u.Created, Sessions: u.Sessions, Tokens: u.Tokens})
	}
	return out, nil
}

func (s *Server) postUser(ctx context.Context, c Caller, in about[UserRequest]) (none, error) {
	who := access.Credentials{Name: in.Body.Name, Password: access.Secret(in.Body.Password)}
	err := s.cfg.People.AddUser(ctx, who, access.Role(in.Body.Role), s.witness(c.String()))
	if errors.Is(err, access.ErrNoOwner) && c.local {
		err = s.firstUser(ctx, c, who, access.Role(in.Body.Role))
	}
	return none{}, s.told(c, "user added", strings.ToLower(in.Body.Name), err)
}

// firstUser makes the owner for root, who could read the setup code.
func (s *Server) firstUser(ctx context.Context, c Caller, who access.Credentials, role access.Role) error {
	if role != access.Admin {
		return badRequest("cannot add %.40q: the first user must be admin", who.Name)
	}
	code, err := s.cfg.People.SetupCode()
	if err != nil {
		return err
	}
	l, err := s.cfg.People.Setup(ctx, code, who, access.Origin{Agent: "castellan user add"}, s.witness(c.String()))
	if err != nil {
		return err
	}
	return s.cfg.People.Logout(l.Cookie)
}

// witness writes down what becomes of accounts, in the verification log of the appliance.
func (s *Server) witness(by string) access.Witness {
	return func(e access.Event) error {
		if s.cfg.Account == nil {
			return nil
		}
		if err := s.cfg.Account(e, by); err != nil {
			return &Error{Status: http.StatusServiceUnavailable, Key: "log_failed", Message: fmt.Sprintf("cannot do that: it can't be written to the verification log: %v", err),
				Next: "castellan log verify, and see to the disk"}
		}
		return nil
	}
}

// told tells the daemon's log what became of an account.
func (s *Server) told(c Caller, what, subject string, err error) error {
	if err == nil {
		s.cfg.Log.Info(what, "subject", subject, "by", c.String())
	}
	return err
}

func (s *Server) postReset(_ context.Context, c Caller, _ none) (ResetAnswer, error) {
	if err := c.onAppliance(); err != nil {
		return ResetAnswer{}, err
	}
	aside, err := s.cfg.People.Reset(s.witness(c.String()))
	if err != nil {
		return ResetAnswer{}, err
	}
	code, err := s.cfg.People.SetupCode()
	return ResetAnswer{Aside: aside, Code: code.Reveal()}, s.told(c, "the register of users begins anew", aside, err)
}
