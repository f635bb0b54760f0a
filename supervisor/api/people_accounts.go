package api

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/access"
)

type userIn struct {
	Name string `path:"name"`
}

type roleIn struct {
	userIn
	Body RoleRequest
}

type passwordIn struct {
	userIn
	Body PasswordRequest
}

type placeIn struct {
	userIn
	Body PlaceRequest
}

type ofUserIn struct {
	User string `query:"user"` // empty = of who asks; for admins on lists, of all
}

type accountIn struct {
	ID string `path:"id"`
}

func (s *Server) deleteUser(_ context.Context, c Caller, in userIn) (none, error) {
	return none{}, s.told(c, "user removed", in.Name, s.cfg.People.RemoveUser(in.Name, s.witness(c.String())))
}

func (s *Server) postRole(_ context.Context, c Caller, in roleIn) (none, error) {
	return none{}, s.told(c, "role changed to "+in.Body.Role, in.Name, s.cfg.People.SetRole(in.Name, access.Role(in.Body.Role), s.witness(c.String())))
}

func (s *Server) postPlace(_ context.Context, c Caller, in placeIn) (none, error) {
	if err := c.onAppliance(); err != nil {
		return none{}, err
	}
	addr, err := netip.ParseAddr(in.Body.Address)
	if err != nil {
		return none{}, badRequest("cannot read field \"address\": %.60q is no address", in.Body.Address)
	}
	return none{}, s.told(c, "place known", in.Name, s.cfg.People.Remember(in.Name, addr))
}

// postPassword wants the current password of who sets his own: a session that was left open must not become an account
// that is taken over.
func (s *Server) postPassword(ctx context.Context, c Caller, in passwordIn) (none, error) {
	name := strings.ToLower(strings.TrimSpace(in.Name))
	who := access.Credentials{Name: name, Password: access.Secret(in.Body.Password)}
	own := c.visit != nil && c.visit.who.Name == name
	if _, err := c.account(name); err != nil {
		return none{}, err
	}
	except := ""
	if own {
		if in.Body.Current == "" {
			return none{}, missing("set the own password", "current")
		}
		if err := s.cfg.People.Confirm(ctx, access.Credentials{Name: name, Password: access.Secret(in.Body.Current)}, c.visit.from); err != nil {
			return none{}, err
		}
		except = c.session()
	}
	return none{}, s.told(c, "password set", name, s.cfg.People.SetPassword(ctx, who, except, s.witness(c.String())))
}

func (s *Server) getSessions(_ context.Context, c Caller, in ofUserIn) (SessionList, error) {
	user, err := c.account(in.User)
	out := SessionList{Sessions: []Session{}}
	if err != nil {
		return out, err
	}
	for _, i := range s.cfg.People.Sessions(user) {
		row := Session{ID: i.ID, User: i.User, Created: i.Created, Seen: i.Seen, Ends: i.Ends, Agent: i.Agent, Own: i.ID == c.session()}
		if i.From.IsValid() {
			row.From = i.From.String()
		}
		out.Sessions = append(out.Sessions, row)
	}
	return out, nil
}

func (s *Server) deleteSessions(_ context.Context, c Caller, in ofUserIn) (Ended, error) {
	user, err := c.account(in.User)
	if err != nil {
		return Ended{}, err
	}
	if user == "" && c.visit != nil { // an admin's own
		user = c.visit.who.Name
	}
	if user == "" {
		return Ended{}, badRequest("cannot end sessions: query \"user\" is missing")
	}
	n, err := s.cfg.People.EndSessions(user, c.session())
	return Ended{n}, s.told(c, "sessions ended", user, err)
}

func (s *Server) deleteSession(_ context.Context, c Caller, in accountIn) (none, error) {
	user, err := c.account("")
	if err != nil {
		return none{}, err
	}
	return none{}, s.told(c, "session ended", in.ID, s.cfg.People.EndSession(user, in.ID))
}

func tokenFrom(i access.TokenInfo) Token {
	return Token{ID: i.ID, User: i.User, Name: i.Name, Role: string(i.Role), Prefix: i.Prefix, Created: i.Created, Ends: i.End, Ended: i.Ended, Used: i.Used}
}

func (s *Server) getTokens(_ context.Context, c Caller, in ofUserIn) (TokenList, error) {
	user, err := c.account(in.User)
	out := TokenList{Tokens: []Token{}}
	if err != nil {
		return out, err
	}
	for _, i := range s.cfg.People.Tokens(user) {
		out.Tokens = append(out.Tokens, tokenFrom(i))
	}
	return out, nil
}

// maxTokenDays bounds how far in the future a token's end may be.
const maxTokenDays = 3650

func (q TokenRequest) check() error {
	if q.Days < 0 || q.Days > maxTokenDays {
		return badRequest("cannot make a token: field \"days\" is %d, want 0 to %d", q.Days, maxTokenDays)
	}
	return nil
}

// postToken makes a token that may no more than who asks for it.
func (s *Server) postToken(_ context.Context, c Caller, in about[TokenRequest]) (NewToken, error) {
	q := in.Body
	user, err := c.account(q.User)
	if err != nil {
		return NewToken{}, err
	}
	if user == "" && c.visit != nil {
		user = c.visit.who.Name
	}
	if user == "" {
		return NewToken{}, missing("make a token", "user")
	}
	role := access.Role(q.Role)
	if role.Valid() && roleOf(role) > c.Role {
		return NewToken{}, forbidden("a token may not have a higher role than who makes it", "ask for role "+c.Role.String())
	}
	var end time.Time
	if q.Days > 0 {
		end = time.Now().AddDate(0, 0, q.Days)
	}
	text, i, err := s.cfg.People.AddToken(user, q.Name, role, end, s.witness(c.String()))
	return NewToken{tokenFrom(i), text.Reveal()}, s.told(c, "token made", user+" "+i.ID, err)
}

func (s *Server) deleteToken(_ context.Context, c Caller, in accountIn) (none, error) {
	user, err := c.account("")
	if err != nil {
		return none{}, err
	}
	return none{}, s.told(c, "token removed", in.ID, s.cfg.People.RemoveToken(user, in.ID, s.witness(c.String())))
}
