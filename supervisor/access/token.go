package access

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"regexp"
	"slices"
	"time"
)

// An API token is "cst_" and 56 characters of a-z and 2-7: 31 random bytes and the CRC-32 (IEEE) of those, big endian,
// in base32. By prefix and checksum secret scanners find it with hardly a false alarm:
//
//	\bcst_[a-z2-7]{56}\b
const (
	tokenPrefix   = "cst_"
	tokenRandom   = 31
	tokenBytes    = tokenRandom + crc32.Size
	tokenLen      = len(tokenPrefix) + tokenBytes*8/5
	prefixLen     = len(tokenPrefix) + 6 // of what is listed
	tokenAlphabet = "abcdefghijklmnopqrstuvwxyz234567"
)

var (
	tokenText   = base32.NewEncoding(tokenAlphabet).WithPadding(base32.NoPadding)
	validPrefix = regexp.MustCompile(`^cst_[a-z2-7]{6}$`)
)

func newToken() Secret {
	b := random(tokenRandom)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return Secret(tokenPrefix + tokenText.EncodeToString(b))
}

// readToken gives the hash a token is found by. There is one text for each token: base32 comes out even.
func readToken(text Secret) (d digest, ok bool) {
	if len(text) != tokenLen || text[:len(tokenPrefix)] != tokenPrefix {
		return d, false
	}
	var all [tokenLen]byte
	var b [tokenBytes]byte
	copy(all[:], text)
	var bits uint64
	held, n := 0, 0
	for _, c := range all[len(tokenPrefix):] {
		switch {
		case c >= 'a' && c <= 'z':
			c -= 'a'
		case c >= '2' && c <= '7':
			c = c - '2' + 26
		default:
			return d, false
		}
		bits, held = bits<<5|uint64(c), held+5
		if held >= 8 {
			held -= 8
			b[n] = byte(bits >> held)
			n++
		}
	}
	if crc32.ChecksumIEEE(b[:tokenRandom]) != binary.BigEndian.Uint32(b[tokenRandom:]) {
		return d, false
	}
	return sha256.Sum256(all[:]), true
}

// day is how exactly the last use of a token is kept.
const day = 24 * time.Hour

func (t *token) ended(now time.Time) bool { return !t.End.IsZero() && !now.Before(t.End) }

// Token tells whose token that is. Errors: [ErrNoToken], [ErrClosed].
func (a *Access) Token(text Secret) (Principal, error) {
	sum, ok := readToken(text)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed != nil {
		return Principal{}, a.closed
	}
	v := a.live.byToken[sum]
	if !ok || v == nil {
		return Principal{}, ErrNoToken
	}
	now := a.clock.read()
	if v.ended(now) {
		return Principal{}, ErrNoToken
	}
	if now.Sub(v.Used) >= day {
		v.Used, a.touched = now.Truncate(day), true
	}
	return Principal{Name: v.User, Role: lesser(v.Role, a.live.byName[v.User].Role), Kind: ByToken, ID: v.ID}, nil
}

// TokenInfo is a token as its user and admins see it.
type TokenInfo struct {
	ID      string
	User    string // whose it is: it goes with him, and never may more than he
	Name    string // what it is for; one of each name and user
	Role    Role
	Prefix  string // its beginning, to recognise it by
	Created time.Time
	End     time.Time // zero = none
	Ended   bool
	Used    time.Time // the day of the last use in UTC, zero = never
}

func (t *token) info(now time.Time) TokenInfo {
	return TokenInfo{t.ID, t.User, t.Name, t.Role, t.Prefix, t.Created, t.End, t.ended(now), t.Used}
}

// Tokens are those of one user, or of all when user is "", oldest first.
func (a *Access) Tokens(user string) []TokenInfo {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, out := a.clock.read(), []TokenInfo{}
	for i := range a.live.Tokens {
		if v := &a.live.Tokens[i]; user == "" || v.User == user {
			out = append(out, v.info(now))
		}
	}
	return out
}

// AddToken makes a token of a user. It is shown this once. The role is at most the user's; end is zero for none.
func (a *Access) AddToken(user, name string, role Role, end time.Time, w ...Witness) (Secret, TokenInfo, error) {
	var text Secret
	var info TokenInfo
	err := a.witnessed(false, w, func(s *state, now time.Time) (Event, error) {
		u := s.user(user)
		switch {
		case u == nil:
			return Event{}, noUser(user)
		case name == "" || name != label(name):
			return Event{}, refuse(ErrInvalid, "a token's name has 1 to %d bytes that can be shown", maxLabel)
		case !role.Valid():
			return Event{}, noRole(role)
		case !u.Role.May(role):
			return Event{}, refuse(ErrInvalid, "%s is %s, and a token of his can't be %s", user, u.Role, role)
		case !end.IsZero() && (!end.After(now) || end.UTC().Year() > 9999):
			return Event{}, refuse(ErrInvalid, "a token can't end at %s, here it is %s", end.UTC().Format(time.RFC3339), now.Format(time.RFC3339))
		case len(s.Tokens) >= MaxTokens:
			return Event{}, refuse(ErrInvalid, "there are %d tokens already; remove one that is not needed", MaxTokens)
		case slices.ContainsFunc(s.Tokens, func(t token) bool { return t.User == user && t.Name == name }):
			return Event{}, refuse(ErrExists, "%s has a token %q already; remove it, or take another name", user, name)
		}
		text = newToken()
		sum, _ := readToken(text) // just made
		t := token{
			ID: newID(), User: user, Name: name, Role: role, Prefix: string(text[:prefixLen]), Hash: sum, Created: now,
		}
		if !end.IsZero() {
			t.End = end.UTC().Round(0)
		}
		s.Tokens = append(s.Tokens, t)
		info = t.info(now)
		return Event{What: "token made", User: user, Role: role, Token: t.ID, Name: name}, nil
	})
	if err != nil {
		return "", TokenInfo{}, err
	}
	return text, info, nil
}

// RemoveToken ends a token by its ID: of that user, or of anybody when user is "". [ErrNotFound] when there is none.
func (a *Access) RemoveToken(user, id string, w ...Witness) error {
	return a.witnessed(true, w, func(s *state, _ time.Time) (Event, error) {
		i := slices.IndexFunc(s.Tokens, func(t token) bool { return t.ID == id && (user == "" || t.User == user) })
		if i < 0 {
			return Event{}, refuse(ErrNotFound, "there is no token %.40q; castellan token list shows them", id)
		}
		e := Event{What: "token removed", User: s.Tokens[i].User, Role: s.Tokens[i].Role, Token: id, Name: s.Tokens[i].Name}
		s.Tokens = slices.Delete(s.Tokens, i, i+1)
		return e, nil
	})
}
