package updater

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// Back-off after a failed poll: doubling from the first to the schedule's own period.
const firstRetry = 30 * time.Second

// Run polls until ctx ends: soon after the start, then about once in every. on is called after each poll with its error,
// nil or not, so that time-bound decisions are taken again; it must not block for long. Run returns ctx.Err().
//
// A fleet that gets its power back at once does not poll at once: each appliance has its own place in the period,
// always the same, and every wait is a little random besides. Only an appliance that knows no release yet begins at
// once: somebody waits for it.
func (p *Poller) Run(ctx context.Context, every time.Duration, on func(error)) error {
	place := Place("poll", p.cfg.Seed)
	var wait time.Duration
	if p.Last() != nil {
		wait = time.Duration(place * float64(min(every/10, time.Minute)))
	}
	failures, first := 0, true
	for {
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		_, err := p.Poll(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		on(err)
		switch {
		case err != nil:
			p.cfg.Log.Warn("poll failed", "error", err, "failures", failures+1)
			wait = Backoff(failures, every)
			failures++
		case first:
			// The second poll moves the appliance to its place in the period.
			wait, first, failures = every/2+time.Duration(place*float64(every)), false, 0
		default:
			wait, failures = every*9/10+time.Duration(rand.Int64N(int64(every)/5+1)), 0
		}
	}
}

// Place is where in the period of a schedule an appliance stands, in [0, 1): always the same for a seed, spread over a
// fleet, and another for each schedule. Without a seed it is random.
func Place(schedule, seed string) float64 {
	if seed == "" {
		return rand.Float64()
	}
	sum := sha256.Sum256([]byte(schedule + "\x00" + seed))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}

// Backoff is the wait after the n-th failure in a row, counted from 0: between half and the whole of a time that doubles up
// to every.
func Backoff(n int, every time.Duration) time.Duration {
	d := min(firstRetry, every)
	for range n {
		if d *= 2; d >= every {
			d = every
			break
		}
	}
	return d/2 + time.Duration(rand.Int64N(int64(d)/2+1))
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
