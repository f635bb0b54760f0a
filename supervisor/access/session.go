package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"slices"
	"sort"
	"time"
)

// cookieBytes are the random bytes of a session; its cookie is them in base64url without padding.
const cookieBytes = 32

var cookieText = base64.RawURLEncoding.Strict()

const cookieLen = 43

func newCookie() (Secret, digest) {
	b := random(cookieBytes)
	return Secret(cookieText.EncodeToString(b)), sha256.Sum256(b)
}

func newID() string { return hex.EncodeToString(random(8)) }

// readCookie gives the hash a cookie is found by.
func readCookie(cookie Secret) (d digest, ok bool) {
	var text [cookieLen]byte
	var b [cookieBytes + 1]byte
	if len(cookie) != cookieLen {
		return d, false
	}
	copy(text[:], cookie)
	if n, err := cookieText.Decode(b[:], text[:]); err != nil || n != cookieBytes {
		return d, false
	}
	return sha256.Sum256(b[:cookieBytes]), true
}

// ended tells whether a session is over. One from the future can't be: the time never goes back.
func (s *session) ended(o Options, now time.Time) bool {
	return now.Sub(s.Seen) >= o.Idle || now.Sub(s.Created) >= o.Absolute
}

// Session tells whose cookie that is. Errors: [ErrNoSession], [ErrClosed].
func (a *Access) Session(cookie Secret) (Principal, error) {
	sum, ok := readCookie(cookie)
	a.mu.Lock()
	if a.closed != nil {
		defer a.mu.Unlock()
		return Principal{}, a.closed
	}
	v := a.live.byCookie[sum]
	if !ok || v == nil {
		a.mu.Unlock()
		return Principal{}, ErrNoSession
	}
	now := a.clock.read()
	if v.ended(a.opts, now) {
		a.mu.Unlock()
		// Written at once, or a power cut and a clock that is behind would bring it back.
		if err := a.change(true, nil); err != nil {
			a.opts.Log.Warn("the end of a session could not be kept", "error", err)
		}
		return Principal{}, ErrNoSession
	}
	v.Seen, a.touched = now, true
	p := Principal{Name: v.User, Role: a.live.byName[v.User].Role, Kind: BySession, ID: v.ID}
	a.mu.Unlock()
	return p, nil
}

// CSRF is the token that pages of a session send back with whatever changes something. Another site makes the browser
// send the cookie, and can't read what this is.
func CSRF(cookie Secret) Secret {
	m := hmac.New(sha256.New, []byte(cookie))
	m.Write([]byte("castellan csrf 1"))
	return Secret(base64.RawURLEncoding.EncodeToString(m.Sum(nil)))
}

// CheckCSRF compares a token with the one of a session, in constant time.
func CheckCSRF(cookie, token Secret) bool {
	return subtle.ConstantTimeCompare([]byte(CSRF(cookie)), []byte(token)) == 1
}

// SessionInfo is a session as its user and admins see it.
type SessionInfo struct {
	ID      string
	User    string
	Created time.Time
	Seen    time.Time  // last use
	Ends    time.Time  // when it is not used until then
	From    netip.Addr // of the login
	Agent   string     // of the login
}

// Sessions are those of one user, or of all when user is "", the latest use first.
func (a *Access) Sessions(user string) []SessionInfo {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, out := a.clock.read(), []SessionInfo{}
	for _, v := range a.live.Sessions {
		if user != "" && v.User != user || v.ended(a.opts, now) {
			continue
		}
		ends := v.Seen.Add(a.opts.Idle)
		if last := v.Created.Add(a.opts.Absolute); last.Before(ends) {
			ends = last
		}
		out = append(out, SessionInfo{v.ID, v.User, v.Created, v.Seen, ends, v.From, v.Agent})
	}
	sort.SliceStable(out, func(i, j int) bool { return out[j].Seen.Before(out[i].Seen) })
	return out
}

// Logout ends the session of a cookie; one that is not there is a success.
func (a *Access) Logout(cookie Secret) error {
	sum, ok := readCookie(cookie)
	a.mu.Lock()
	v := a.live.byCookie[sum]
	a.mu.Unlock()
	if !ok || v == nil {
		return nil
	}
	return a.change(true, func(s *state, _ time.Time) error {
		s.Sessions = slices.DeleteFunc(s.Sessions, func(v session) bool { return v.Hash == sum })
		return nil
	})
}

// EndSession ends a session by its ID: of that user, or of anybody when user is "". [ErrNotFound] when there is none.
func (a *Access) EndSession(user, id string) error {
	return a.change(true, func(s *state, _ time.Time) error {
		n := len(s.Sessions)
		s.Sessions = slices.DeleteFunc(s.Sessions, func(v session) bool { return v.ID == id && (user == "" || v.User == user) })
		if len(s.Sessions) == n {
			return refuse(ErrNotFound, "there is no session %.40q; castellan user sessions lists them", id)
		}
		return nil
	})
}

// EndSessions ends all sessions of a user but the one with the ID except, which may be "", and tells how many.
func (a *Access) EndSessions(user, except string) (n int, err error) {
	err = a.change(true, func(s *state, _ time.Time) error {
		if s.user(user) == nil {
			return noUser(user)
		}
		n = s.endSessions(user, except)
		return nil
	})
	return n, err
}

func (s *state) endSessions(user, except string) int {
	n := len(s.Sessions)
	s.Sessions = slices.DeleteFunc(s.Sessions, func(v session) bool { return v.User == user && v.ID != except })
	return n - len(s.Sessions)
}
