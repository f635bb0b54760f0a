package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// codeAlphabet is Crockford's base32: no I, L, O and U, and who types one of them means 1, 1, 0 and V.
const codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const (
	codeGroups    = 4
	codeGroupSize = 4 // 16 characters of 5 bits: 80 bits, which nobody guesses even without the throttle
)

// newCode makes the setup code. It is in memory only: another start makes another one, and no file has to be guarded.
func (a *Access) newCode() {
	var b strings.Builder
	for i, c := range random(codeGroups * codeGroupSize) {
		if i > 0 && i%codeGroupSize == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(codeAlphabet[c%32])
	}
	a.code = Secret(b.String())
	a.codeSum = sha256.Sum256([]byte(plainCode(a.code)))
}

// plainCode is a code as it is compared: typed in any case, with or without hyphens.
func plainCode(code Secret) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '-', ' ', '\t', '\n', '\r':
			return -1
		case 'i', 'I', 'l', 'L':
			return '1'
		case 'o', 'O':
			return '0'
		case 'u', 'U':
			return 'V'
		}
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, string(code))
}

// SetupCode is what the first owner proves with that the appliance is his, as XXXX-XXXX-XXXX-XXXX. The caller shows it
// to root on the appliance alone. [ErrOwned] when an owner exists, [ErrClosed].
func (a *Access) SetupCode() (Secret, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed != nil:
		return "", a.closed
	case a.code == "":
		return "", ErrOwned
	}
	return a.code, nil
}

// Setup makes the first user, an admin, and logs him in. The code is used up when it returns nil. Errors: [ErrCode],
// [ErrOwned], [ErrInvalid] for name or password, [*WaitError], [ErrBusy], [ErrClosed], of the context, of the disk.
func (a *Access) Setup(ctx context.Context, code Secret, c Credentials, from Origin, w ...Witness) (Login, error) {
	var sum [sha256.Size]byte
	if len(code) <= 100 {
		sum = sha256.Sum256([]byte(plainCode(code)))
	}
	addr := bare(from.Addr)
	a.mu.Lock()
	now, closed, owned := a.clock.read(), a.closed, a.code == ""
	right := subtle.ConstantTimeCompare(sum[:], a.codeSum[:]) == 1
	a.mu.Unlock()
	switch {
	case closed != nil:
		return Login{}, closed
	case owned:
		return Login{}, ErrOwned
	}
	// By address alone: all of the house together guess at one code, and would keep its owner out.
	if err := a.throttle.beginAt(addr, now); err != nil {
		return Login{}, err
	}
	if !right {
		a.opts.Log.Warn("a setup code was refused", "from", addr)
		return Login{}, ErrCode
	}
	a.throttle.undoAt(addr, now)

	name := c.name()
	if err := checkName(name); err != nil {
		return Login{}, err
	}
	stored, err := a.hasher.hash(ctx, c.Password)
	if err != nil {
		return Login{}, err
	}
	var l Login
	err = a.witnessed(false, w, func(s *state, now time.Time) (Event, error) {
		a.mu.Lock()
		again := a.code != "" && a.codeSum == sum // not after a reset or an owner in the meantime
		a.mu.Unlock()
		if len(s.Users) > 0 || !again {
			return Event{}, ErrOwned
		}
		s.Users = []user{{Name: name, Role: Admin, Password: stored, Created: now}}
		l = s.open(a.opts, &s.Users[0], from, now)
		return Event{What: "owner made", User: name, Role: Admin}, nil
	})
	if err != nil {
		return Login{}, err
	}
	a.opts.Log.Info("the appliance has an owner", "user", name)
	return l, nil
}

// Reset puts the file aside, under a name that it gives ("" when there was none), and begins anew: no users, sessions
// and tokens, and a new setup code. The caller lets only root on the appliance do that. It is the way out of
// [Access.Closed], and for an owner who forgot his password when there is no other admin; [Access.SetPassword] keeps
// more.
func (a *Access) Reset(w ...Witness) (aside string, err error) {
	a.writing.Lock()
	defer a.writing.Unlock()
	if err := a.tell(w, Event{What: "register reset"}, false); err != nil {
		return "", fmt.Errorf("cannot reset the register of users: %w", err)
	}
	if _, err := os.Lstat(a.path); err == nil {
		if aside, err = a.freeName(); err == nil {
			err = a.disk.rename(a.path, aside)
		}
		if err != nil {
			return "", fmt.Errorf("cannot put the register of users aside: %w", err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot put the register of users aside: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.live, a.closed = newLive(state{}), nil
	a.touched, a.dirty = false, false
	a.newCode()
	a.opts.Log.Warn("the register of users was reset", "aside", aside)
	return aside, nil
}

// freeName is a name beside the file that nothing has.
func (a *Access) freeName() (string, error) {
	base := a.path + ".aside-" + wall(a.opts.Now()).Format("20060102T150405Z")
	for i := range 100 {
		name := base
		if i > 0 {
			name = fmt.Sprintf("%s-%d", base, i)
		}
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s and 99 more are there already; move them away", base)
}
