package access

import (
	"context"
	"net/netip"
	"slices"
	"sort"
	"time"
)

// UserInfo is a user as admins see him.
type UserInfo struct {
	Name     string
	Role     Role
	Created  time.Time
	Sessions int
	Tokens   int
}

// Users are all of them, by name.
func (a *Access) Users() []UserInfo {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, out := a.clock.read(), []UserInfo{}
	for _, u := range a.live.Users {
		info := UserInfo{Name: u.Name, Role: u.Role, Created: u.Created}
		for _, v := range a.live.Sessions {
			if v.User == u.Name && !v.ended(a.opts, now) {
				info.Sessions++
			}
		}
		for _, v := range a.live.Tokens {
			if v.User == u.Name {
				info.Tokens++
			}
		}
		out = append(out, info)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

func noUser(name string) error {
	return refuse(ErrNotFound, "there is no user %.40q; castellan user list shows them", name)
}

func noRole(r Role) error {
	return refuse(ErrInvalid, "%.40q is no role; roles are %s, %s and %s", string(r), Viewer, Operator, Admin)
}

func checkName(name string) error {
	if !validName.MatchString(name) {
		return refuse(ErrInvalid, "a user's name has 1 to 32 of a-z, 0-9, dot, hyphen and underscore, and begins with a letter or digit")
	}
	return nil
}

// AddUser adds one. Errors: [ErrInvalid] for name, password or role, [ErrExists], [ErrNoOwner], [ErrBusy], [ErrClosed],
// of the context, of the disk, of w.
func (a *Access) AddUser(ctx context.Context, c Credentials, role Role, w ...Witness) error {
	name := c.name()
	if err := checkName(name); err != nil {
		return err
	}
	if !role.Valid() {
		return noRole(role)
	}
	stored, err := a.hasher.hash(ctx, c.Password)
	if err != nil {
		return err
	}
	return a.witnessed(false, w, func(s *state, now time.Time) (Event, error) {
		switch {
		case len(s.Users) == 0: // the first one proves that the appliance is his
			return Event{}, ErrNoOwner
		case s.user(name) != nil:
			return Event{}, refuse(ErrExists, "there is a user %q already", name)
		case len(s.Users) >= MaxUsers:
			return Event{}, refuse(ErrInvalid, "there are %d users already; remove one that is not needed", MaxUsers)
		}
		s.Users = append(s.Users, user{Name: name, Role: role, Password: stored, Created: now})
		return Event{What: "user added", User: name, Role: role}, nil
	})
}

// SetPassword gives a user another password and ends his sessions but the one with the ID except, which may be "".
// His tokens stay; whoever may know one removes it.
func (a *Access) SetPassword(ctx context.Context, c Credentials, except string, w ...Witness) error {
	stored, err := a.hasher.hash(ctx, c.Password)
	if err != nil {
		return err
	}
	return a.witnessed(true, w, func(s *state, _ time.Time) (Event, error) {
		u := s.user(c.name())
		if u == nil {
			return Event{}, noUser(c.Name)
		}
		u.Password = stored
		s.endSessions(u.Name, except)
		return Event{What: "password set", User: u.Name}, nil
	})
}

// Remember tells that addr is a place a user logs in from, as if he had: others' guesses do not make him wait there. It
// is the owner's way in while his name is guessed at without end; the caller lets only root on the appliance do that.
func (a *Access) Remember(name string, addr netip.Addr) error {
	if !addr.IsValid() {
		return refuse(ErrInvalid, "that is no address")
	}
	return a.change(false, func(s *state, _ time.Time) error {
		u := s.user(name)
		if u == nil {
			return noUser(name)
		}
		u.remember(bare(addr))
		return nil
	})
}

func (u *user) remember(addr netip.Addr) {
	u.Known = slices.DeleteFunc(u.Known, func(k netip.Addr) bool { return k == addr })
	u.Known = slices.Insert(u.Known, 0, addr)
	u.Known = u.Known[:min(len(u.Known), maxKnown)]
}

// SetRole gives a user another role, which his sessions and tokens feel at once. [ErrLastAdmin] when none would be
// left.
func (a *Access) SetRole(name string, role Role, w ...Witness) error {
	if !role.Valid() {
		return noRole(role)
	}
	a.mu.Lock()
	u := a.live.byName[name]
	fewer := u != nil && u.Role.rank() > role.rank()
	a.mu.Unlock()
	return a.witnessed(fewer, w, func(s *state, _ time.Time) (Event, error) {
		u := s.user(name)
		if u == nil {
			return Event{}, noUser(name)
		}
		u.Role = role
		if s.admins() == 0 {
			return Event{}, ErrLastAdmin
		}
		return Event{What: "role changed", User: name, Role: role}, nil
	})
}

// RemoveUser removes a user with his sessions and tokens. [ErrLastAdmin] when no admin would be left.
func (a *Access) RemoveUser(name string, w ...Witness) error {
	return a.witnessed(true, w, func(s *state, _ time.Time) (Event, error) {
		if s.user(name) == nil {
			return Event{}, noUser(name)
		}
		s.Users = slices.DeleteFunc(s.Users, func(u user) bool { return u.Name == name })
		if s.admins() == 0 {
			return Event{}, ErrLastAdmin
		}
		s.endSessions(name, "")
		s.Tokens = slices.DeleteFunc(s.Tokens, func(t token) bool { return t.User == name })
		return Event{What: "user removed", User: name}, nil
	})
}
