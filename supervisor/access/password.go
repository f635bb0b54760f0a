package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"regexp"
	"runtime/debug"
	"strconv"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// Bounds of a password, in bytes. There is no rule about kinds of characters: length is what counts (NIST SP 800-63B).
const (
	MinPassword = 8
	MaxPassword = 128
)

const (
	hashesAtOnce = 2  // of 19 MiB each, on an appliance of 1 GB
	hashesWait   = 16 // more are sent away
	saltBytes    = 16
	keyBytes     = 32
)

// cost are the parameters of argon2id. The default is the one of OWASP for little memory.
type cost struct {
	kib, passes uint32
	lanes       uint8
}

var defaultCost = cost{kib: 19 * 1024, passes: 2, lanes: 1}

// phc is a stored password, as the PHC string format writes it.
type phc struct {
	cost
	salt, key []byte
}

var (
	b64       = base64.RawStdEncoding.Strict()
	phcFormat = regexp.MustCompile(`^\$argon2id\$v=19\$m=([1-9][0-9]{0,6}),t=([1-9][0-9]?),p=([1-9])\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$`)
)

// parsePHC reads what this package writes, of any cost that an appliance can pay: a hostile file must not take all
// memory at the next login.
func parsePHC(s string) (p phc, ok bool) {
	m := phcFormat.FindStringSubmatch(s)
	if m == nil {
		return p, false
	}
	kib, _ := strconv.ParseUint(m[1], 10, 32) // digits, by the pattern
	passes, _ := strconv.ParseUint(m[2], 10, 32)
	lanes, _ := strconv.ParseUint(m[3], 10, 8)
	p.cost = cost{uint32(kib), uint32(passes), uint8(lanes)}
	if kib < 8*lanes || kib > 64*1024 || passes > 16 {
		return p, false
	}
	var errs [2]error
	p.salt, errs[0] = b64.DecodeString(m[4])
	p.key, errs[1] = b64.DecodeString(m[5])
	return p, errs[0] == nil && errs[1] == nil
}

func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.kib, p.passes, p.lanes, b64.EncodeToString(p.salt), b64.EncodeToString(p.key))
}

// hasher hashes passwords, few at a time.
type hasher struct {
	cost    cost
	slots   chan struct{}
	waiting atomic.Int32
	nobody  phc // what an unknown user's password is compared with
}

func newHasher(c cost) *hasher {
	return &hasher{cost: c, slots: make(chan struct{}, hashesAtOnce), nobody: phc{cost: c, salt: random(saltBytes), key: random(keyBytes)}}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, as documented
	return b
}

// enter waits for its turn; the caller calls leave when it is nil.
func (h *hasher) enter(ctx context.Context) error {
	if h.waiting.Add(1) > hashesAtOnce+hashesWait {
		h.waiting.Add(-1)
		return ErrBusy
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		h.waiting.Add(-1)
		return ctx.Err()
	}
}

// leave ends a turn. The memory of a hash goes back to the system at once: the collector would keep four times of it for
// as long as the daemon rests.
func (h *hasher) leave() {
	if h.cost.kib >= 1024 { // small ones, as in tests, are not worth the collection
		debug.FreeOSMemory()
	}
	<-h.slots
	h.waiting.Add(-1)
}

func (c cost) key(password Secret, salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, c.passes, c.kib, c.lanes, keyBytes)
}

// verify compares a password with what is stored, "" for a user that is not there, which takes as long. fresh is what
// to store instead when the cost has changed since, or "".
func (h *hasher) verify(ctx context.Context, stored string, password Secret) (ok bool, fresh string, err error) {
	p, known := parsePHC(stored)
	if !known {
		p = h.nobody
	}
	if err := h.enter(ctx); err != nil {
		return false, "", err
	}
	defer h.leave()
	same := subtle.ConstantTimeCompare(p.cost.key(password, p.salt), p.key) == 1
	if !same || !known {
		return false, "", nil
	}
	if p.cost != h.cost {
		fresh = h.make(password)
	}
	return true, fresh, nil
}

func (h *hasher) make(password Secret) string {
	p := phc{cost: h.cost, salt: random(saltBytes)}
	p.key = h.cost.key(password, p.salt)
	return p.String()
}

// hash makes what is stored for a new password.
func (h *hasher) hash(ctx context.Context, password Secret) (string, error) {
	if n := len(password); n < MinPassword || n > MaxPassword {
		return "", refuse(ErrInvalid, "a password has %d to %d bytes, this one has %d", MinPassword, MaxPassword, n)
	}
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	return h.make(password), nil
}
