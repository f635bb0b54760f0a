package health

import (
	"context"
	"sync"
	"time"
)

// MaxDeadline bounds a probation, whatever its checks ask for.
const MaxDeadline = 6 * time.Hour

// waiting is a failed try of a service that is well as far as can be told and wants time: the probation ends no sooner
// than Total after it began, not counting the time the service spent busy.
type waiting struct {
	what  string
	total time.Duration
	busy  bool // with work that must not be cut off; the deadline stays busyAhead away
}

// busyAhead is how far the deadline keeps away from a busy service.
const busyAhead = 50 * time.Second

func (w *waiting) Error() string { return w.what }

// clock is the deadline of a probation. It only ever moves away.
type clock struct {
	began  time.Time
	cancel context.CancelFunc

	mu    sync.Mutex
	until time.Time
	busy  time.Duration // sum of the time spent busy
	since time.Time     // when a try last found it busy, zero when the last one did not
	timer *time.Timer
}

// start gives a context that ends at the deadline.
func start(ctx context.Context, deadline time.Duration) (context.Context, *clock) {
	inner, cancel := context.WithCancel(ctx)
	c := &clock{began: time.Now(), cancel: cancel}
	c.until = c.began.Add(min(deadline, MaxDeadline))
	c.timer = time.AfterFunc(c.until.Sub(c.began), cancel)
	return inner, c
}

func (c *clock) stop() {
	c.timer.Stop()
	c.cancel()
}

// grant moves the deadline as w asks; nil is a try that asks for nothing.
func (c *clock) grant(w *waiting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.since.IsZero() {
		c.busy += now.Sub(c.since)
		c.since = time.Time{}
	}
	if w == nil {
		return
	}
	until := c.began.Add(w.total + c.busy)
	if w.busy {
		c.since = now
		if ahead := now.Add(busyAhead); ahead.After(until) {
			until = ahead
		}
	}
	if end := c.began.Add(MaxDeadline); until.After(end) {
		until = end
	}
	if until.After(c.until) && c.timer.Stop() { // a timer that rang has ended the probation
		c.until = until
		c.timer.Reset(until.Sub(now))
	}
}

// left is the time to the deadline.
func (c *clock) left() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Until(c.until)
}

// within is the whole length of the probation.
func (c *clock) within() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.until.Sub(c.began)
}

// sleep tells whether d passed before ctx ended. A sleep up to the deadline itself does not.
func (c *clock) sleep(ctx context.Context, d time.Duration) bool {
	for d >= c.left() { // another check may move the deadline meanwhile
		wait := c.left()
		if !pause(ctx, max(wait, 0)) {
			return false
		}
		if c.left() <= 0 {
			<-ctx.Done()
			return false
		}
		d -= wait
	}
	return pause(ctx, d)
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
