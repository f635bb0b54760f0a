package access

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Credentials are what somebody types. Of the name, letters count alike in both cases and spaces around it don't.
type Credentials struct {
	Name     string
	Password Secret
}

// Origin is where somebody calls from.
type Origin struct {
	Addr  netip.Addr // of the connection; the zero Addr is a place of its own
	Agent string     // what the browser says it is, shown in the list of sessions; bounded here
}

// Login is what a fresh session needs.
type Login struct {
	Principal Principal
	Cookie    Secret    // for the cookie: HttpOnly, SameSite=Strict, Secure where there is TLS
	CSRF      Secret    // for the page: whatever changes something sends it back
	Ends      time.Time // at the latest
}

const (
	maxKnown = 8   // addresses of a user that are remembered
	maxLabel = 120 // bytes of a text that is only shown
)

func (c Credentials) name() string { return strings.ToLower(strings.TrimSpace(c.Name)) }

func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// label bounds a text that is only shown, and drops what would not show as what it is.
func label(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	for len(s) > maxLabel {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return strings.TrimSpace(s)
}

// Login makes a session for who knows the password. Errors: [ErrDenied], [*WaitError], [ErrBusy], [ErrNoOwner],
// [ErrClosed], of the context. On a disk that takes nothing the session ends with the daemon.
func (a *Access) Login(ctx context.Context, c Credentials, from Origin) (Login, error) {
	stored, fresh, err := a.verify(ctx, c, from)
	if err != nil {
		return Login{}, err
	}
	var l Login
	err = a.change(true, func(s *state, now time.Time) error {
		u := s.user(c.name())
		if u == nil || u.Password != stored { // removed or changed meanwhile
			return ErrDenied
		}
		if fresh != "" {
			u.Password = fresh
		}
		l = s.open(a.opts, u, from, now)
		return nil
	})
	if errors.Is(err, errKeep) { // it ends with this process at worst
		a.opts.Log.Warn("a login could not be kept", "error", err)
		err = nil
	}
	if err != nil {
		return Login{}, err
	}
	return l, nil
}

// Confirm asks for the password of a user who is logged in already, as before something grave. Errors are those of
// [Access.Login].
func (a *Access) Confirm(ctx context.Context, c Credentials, from Origin) error {
	_, _, err := a.verify(ctx, c, from)
	return err
}

// verify compares a password under the throttle. It gives what is stored, and what to store instead.
func (a *Access) verify(ctx context.Context, c Credentials, from Origin) (stored, fresh string, err error) {
	g := guess{name: c.name(), addr: bare(from.Addr)}
	a.mu.Lock()
	now, closed, owned := a.clock.read(), a.closed, len(a.live.Users) > 0
	if u := a.live.byName[g.name]; u != nil {
		stored, g.user, g.known = u.Password, true, slices.Contains(u.Known, g.addr)
	}
	a.mu.Unlock()
	switch {
	case closed != nil:
		return "", "", closed
	case !owned:
		return "", "", ErrNoOwner
	}
	if err := a.throttle.begin(g, now); err != nil {
		return "", "", err
	}
	if len(c.Password) > MaxPassword { // nobody's; hashing it would be work for the asking
		return "", "", ErrDenied
	}
	ok, fresh, err := a.hasher.verify(ctx, stored, c.Password)
	switch {
	case err != nil:
		a.throttle.undo(g, now)
		return "", "", err
	case !ok:
		a.opts.Log.Warn("a login was refused", "from", g.addr)
		return "", "", ErrDenied
	}
	a.throttle.forgive(g, now)
	return stored, fresh, nil
}

// open adds a session of u and remembers where he came from.
func (s *state) open(o Options, u *user, from Origin, now time.Time) Login {
	addr := bare(from.Addr)
	if addr.IsValid() {
		u.remember(addr)
	}
	s.makeRoom(u.Name)
	cookie, sum := newCookie()
	v := session{ID: newID(), User: u.Name, Hash: sum, Created: now, Seen: now, From: addr, Agent: label(from.Agent)}
	s.Sessions = append(s.Sessions, v)
	return Login{
		Principal: Principal{Name: u.Name, Role: u.Role, Kind: BySession, ID: v.ID},
		Cookie:    cookie, CSRF: CSRF(cookie), Ends: now.Add(o.Absolute),
	}
}

// makeRoom ends the session of a user that was not used for longest when he has as many as he may.
func (s *state) makeRoom(name string) {
	n, oldest := 0, -1
	for i, v := range s.Sessions {
		if v.User != name {
			continue
		}
		n++
		if oldest < 0 || v.Seen.Before(s.Sessions[oldest].Seen) {
			oldest = i
		}
	}
	if n >= MaxSessionsPerUser {
		s.Sessions = slices.Delete(s.Sessions, oldest, oldest+1)
	}
}
