package access

import (
	"hash/maphash"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

const (
	freeGuesses = 4         // that cost no time
	forgetAfter = time.Hour // without a guess
	strangers   = 256       // shares of names that no user has
)

// throttle makes bad guesses wait, exponentially, by where they come from and by whom they try to be.
//
// Nobody waits longer than the cap, and asking again meanwhile makes it no longer. Yet who guesses without end at a name
// could always be the first to guess again; so who has logged in from an address before is counted alone there, by user
// and exact address, and root on the appliance can name such an address ([Access.Remember]).
//
// IPv6 counts by /64, which one device fills at will. Memory is bounded: beyond it what was not touched for longest is
// forgotten. It is safe for concurrent use.
type throttle struct {
	mu    sync.Mutex
	seed  maphash.Seed
	nets  table[netip.Prefix]
	names table[string]
	pairs table[pair]
}

type pair struct {
	name string
	addr netip.Addr
}

func newThrottle() *throttle {
	return &throttle{
		seed:  maphash.MakeSeed(),
		nets:  table[netip.Prefix]{most: 4096, cap: 5 * time.Minute},
		names: table[string]{most: MaxUsers + strangers, cap: 30 * time.Second},
		pairs: table[pair]{most: MaxUsers * maxKnown, cap: time.Minute},
	}
}

// guess is one try. A known one comes from where its user has logged in before.
type guess struct {
	name  string
	addr  netip.Addr
	user  bool // there is one of that name
	known bool
}

func network(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // the zero prefix for the zero address, which counts as one place
	return p
}

// key of the name: what no user is called shares a few, or names without end would fill the memory.
func (t *throttle) key(g guess) string {
	if g.user {
		return g.name
	}
	return "?" + strconv.FormatUint(maphash.String(t.seed, g.name)%strangers, 10)
}

// begin lets a guess try, or gives a [WaitError]. It counts as wrong until forgive or undo says otherwise, so that many
// at once gain nothing.
func (t *throttle) begin(g guess, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.known {
		p := pair{g.name, g.addr}
		if d := t.pairs.wait(p, now); d > 0 {
			return waiting(d)
		}
		t.pairs.charge(p, now)
		return nil
	}
	n, k := network(g.addr), t.key(g)
	if d := max(t.nets.wait(n, now), t.names.wait(k, now)); d > 0 {
		return waiting(d)
	}
	t.nets.charge(n, now)
	t.names.charge(k, now)
	return nil
}

// beginAt is begin for what is guessed by where it comes from alone.
func (t *throttle) beginAt(addr netip.Addr, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := network(addr)
	if d := t.nets.wait(n, now); d > 0 {
		return waiting(d)
	}
	t.nets.charge(n, now)
	return nil
}

// undoAt takes back what beginAt counted.
func (t *throttle) undoAt(addr netip.Addr, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nets.uncharge(network(addr), now)
}

// undo takes back a guess that was never compared.
func (t *throttle) undo(g guess, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.known {
		t.pairs.uncharge(pair{g.name, g.addr}, now)
		return
	}
	t.nets.uncharge(network(g.addr), now)
	t.names.uncharge(t.key(g), now)
}

// forgive says that the guess was right. The address keeps what others guessed wrong there: an attacker with an account
// of his own must not be able to start anew.
func (t *throttle) forgive(g guess, now time.Time) {
	t.undo(g, now)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pairs.m, pair{g.name, g.addr})
	delete(t.names.m, g.name)
}

// table counts guesses by one kind of key.
type table[K comparable] struct {
	m    map[K]*count
	most int
	cap  time.Duration
}

type count struct {
	n           int
	until, last time.Time
}

func (t *table[K]) wait(k K, now time.Time) time.Duration {
	c := t.m[k]
	switch {
	case c == nil:
		return 0
	case now.Sub(c.last) > forgetAfter:
		delete(t.m, k)
		return 0
	}
	if c.last.After(now) { // the time was taken back
		c.last = now
	}
	if latest := now.Add(t.cap); c.until.After(latest) {
		c.until = latest
	}
	return c.until.Sub(now)
}

func (t *table[K]) charge(k K, now time.Time) {
	c := t.m[k]
	if c == nil {
		t.room()
		c = &count{}
		t.m[k] = c
	}
	c.n++
	c.last, c.until = now, now.Add(t.delay(c.n))
}

func (t *table[K]) uncharge(k K, now time.Time) {
	c := t.m[k]
	if c == nil {
		return
	}
	if c.n--; c.n <= 0 {
		delete(t.m, k)
		return
	}
	c.until = now
}

func (t *table[K]) delay(n int) time.Duration {
	if n <= freeGuesses {
		return 0
	}
	return min(time.Second<<min(n-freeGuesses-1, 20), t.cap)
}

// room forgets one when there is none left for another.
func (t *table[K]) room() {
	if t.m == nil {
		t.m = map[K]*count{}
	}
	if len(t.m) < t.most {
		return
	}
	var oldest K
	var last time.Time
	for k, c := range t.m {
		if last.IsZero() || c.last.Before(last) {
			oldest, last = k, c.last
		}
	}
	delete(t.m, oldest)
}
