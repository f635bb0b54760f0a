package access

import "time"

const (
	// patience is how long the clock must stay behind before the latest time seen is taken for wrong. A time server
	// is asked within minutes after a start.
	patience = time.Hour
	// slack is how far behind does not matter: clocks are slewed all the time.
	slack = time.Minute
	// longStep is what one reading counts at most while the clock is behind: it must be seen so several times, and the
	// jump of a clock that tells no monotonic time is no time that passed.
	longStep = 10 * time.Minute
)

// clock is the time of the register; the package comment tells its rule. It is not safe for concurrent use.
type clock struct {
	now    func() time.Time
	last   time.Time     // the latest reading, with its monotonic part when it has one
	time   time.Time     // never goes back but by giveUp
	behind time.Duration // for how long the wall clock has been behind, by steps
}

// newClock goes on from mark, the latest time that was seen before.
func newClock(now func() time.Time, mark time.Time) clock {
	raw := now()
	c := clock{now: now, last: raw, time: mark}
	if wall := wall(raw); wall.After(mark) {
		c.time = wall
	}
	return c
}

func wall(t time.Time) time.Time { return t.Round(0).UTC() }

func (c *clock) read() time.Time {
	raw := c.now()
	step := min(max(raw.Sub(c.last), 0), longStep)
	c.last = raw
	c.time = c.time.Add(step)
	if wall := wall(raw); wall.Before(c.time) {
		c.behind += step
	} else {
		c.time, c.behind = wall, 0
	}
	return c.time
}

// ahead is how far the time is ahead of the wall clock.
func (c *clock) ahead() time.Duration { return c.time.Sub(wall(c.last)) }

// wrong tells that the latest time seen was none.
func (c *clock) wrong() bool { return c.behind >= patience && c.ahead() > slack }

// giveUp takes the time back by d; the caller has moved with it whatever holds times.
func (c *clock) giveUp(d time.Duration) { c.time, c.behind = c.time.Add(-d), 0 }
