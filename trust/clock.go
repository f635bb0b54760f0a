package trust

import (
	"sync"
	"time"
)

const (
	maxFloorAhead = 24 * time.Hour    // how far a checkpoint may lead a synchronised clock
	saveBehind    = 15 * time.Minute  // progress is kept this often while the system clock is behind it
	saveNormal    = 6 * time.Hour     // and this often else: memory cards wear out
	maxElapsed    = 100 * 365 * 86400 // seconds; anything larger on disk is damage
)

// earliest is a time the appliance can't live before: this program was not written yet.
var earliest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clockState is what is kept of the clock. Elapsed counts the uptime seen since Floor, so that an appliance without a
// clock of its own that is restarted every hour still grows older.
type clockState struct {
	Floor   time.Time `json:"floor,omitzero"`
	Elapsed int64     `json:"elapsed,omitempty"` // seconds
	Root    int       `json:"root,omitempty"`    // root version whose clockFloor was taken last
}

func (s clockState) now(uptime time.Duration) time.Time {
	return s.Floor.Add(time.Duration(min(max(s.Elapsed, 0), maxElapsed))*time.Second + uptime)
}

// Clock is the trusted clock (TRUST.md §6): the system's time, but never behind the newest checkpoint of the root's
// ledger plus the uptime since. A machine that boots in 1970 goes on from there; one whose system time was spoofed
// into the future is right again as soon as the system time is, for the system time never raises the floor.
// It is safe for concurrent use.
type Clock struct {
	Memory *Memory
	System func() time.Time     // wall clock
	Uptime func() time.Duration // monotonic, never goes back while the program runs
	Synced func() bool          // the system's time is synchronised with a time server

	mu    sync.Mutex
	begun bool
	state clockState    // true at uptime since
	since time.Duration // of state
	saved time.Duration // uptime of the last save
}

// NewClock makes a clock on the machine's wall and monotonic clock. synced tells whether a time server has set the
// wall clock, as adjtimex(2) does.
func NewClock(m *Memory, synced func() bool) *Clock {
	start := time.Now()
	return &Clock{Memory: m, System: time.Now, Uptime: func() time.Duration { return time.Since(start) }, Synced: synced}
}

// Now is the trusted time. ok is false when nothing believable is known: no floor, and a system clock that no time
// server has set and that stands before this program was written.
func (c *Clock) Now() (now time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	system := c.System().Round(0).UTC()
	floor, known := c.floor()
	c.keep(system)
	if known && floor.After(system) {
		return floor, true
	}
	return system, known || c.Synced() || !system.Before(earliest)
}

// floor is the floor with the uptime since it, and whether there is one. Callers hold mu.
func (c *Clock) floor() (time.Time, bool) {
	if !c.begun {
		up := c.Uptime()
		c.begun, c.state, c.since, c.saved = true, c.Memory.clock(), up, up
	}
	return c.state.now(c.Uptime() - c.since).UTC(), !c.state.Floor.IsZero()
}

// keep saves the floor and the uptime seen since, now and then. A failed write costs only accuracy after the next
// restart, so it is tried again at the next call and not reported.
func (c *Clock) keep(system time.Time) {
	floor, known := c.floor()
	every := saveNormal
	if system.Before(floor) {
		every = saveBehind
	}
	if known && c.Uptime()-c.saved >= every {
		_ = c.save() // see above
	}
}

func (c *Clock) save() error {
	up := c.Uptime()
	s := c.state
	s.Elapsed += int64((up - c.since) / time.Second)
	if err := c.Memory.setClock(s); err != nil {
		return err
	}
	c.saved = up
	return nil
}

// Heard raises the floor to the time of a verified checkpoint of the root's ledger. Checkpoints of other ledgers must
// not be passed. It is ignored, with false, when it leads a synchronised system clock by more than 24 hours, or,
// without one, the root's expiry: a ledger that lies about the time can't push the appliance out of its root.
// Small steps reach the disk with the next save.
func (c *Clock) Heard(t time.Time, root Root) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := root.Expires
	if c.Synced() {
		limit = c.System().Add(maxFloorAhead)
	}
	if limit.IsZero() || t.After(limit) {
		return false, nil
	}
	floor, known := c.floor()
	if known && !t.After(floor) {
		return true, nil
	}
	c.state.Floor, c.state.Elapsed, c.since = t.UTC(), 0, c.Uptime()
	if !known || t.Sub(floor) >= saveNormal {
		return true, c.save()
	}
	return true, nil
}

// Root takes over the clockFloor of a root version that was not seen before, which may lower the floor; it is the
// only way down. A root without one changes nothing.
func (c *Clock) Root(root Root) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.floor()
	if root.ClockFloor.IsZero() || root.Version <= c.state.Root {
		return nil
	}
	c.state, c.since = clockState{Floor: root.ClockFloor.UTC(), Root: root.Version}, c.Uptime()
	return c.save()
}

func (m *Memory) clock() clockState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Clock
}

func (m *Memory) setClock(c clockState) error {
	return m.change(func(s *memoryState) (bool, error) {
		s.Clock = c
		return true, nil
	})
}
