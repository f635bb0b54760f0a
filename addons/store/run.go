package store

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/castellan/castellan/updater"
)

// Run refreshes until ctx ends: soon after the start, then about once in a period, each appliance at its own place in
// it. After a failure only the repositories that failed are tried again, at growing intervals. told is called after
// each round, whatever came of it; it must not block for long. Run returns ctx.Err().
func (s *Store) Run(ctx context.Context, told func()) error {
	place, every := updater.Place("store", s.cfg.Seed), s.cfg.Period
	wait := time.Duration(place * float64(min(every/10, time.Minute)))
	if s.lacking() {
		wait = 0 // somebody waits for it
	}
	var whole time.Time // of the next full round
	failures, first := 0, true
	for {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		slugs := s.failed()
		if full := !time.Now().Before(whole); full {
			slugs = s.slugs()
			next := every*9/10 + time.Duration(rand.Int64N(int64(every)/5+1))
			if first { // the second round moves the appliance to its place in the period
				next, first = every/2+time.Duration(place*float64(every)), false
			}
			whole = time.Now().Add(next)
		}
		err := s.refresh(ctx, slugs)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		told()
		wait = time.Until(whole)
		if err != nil {
			s.cfg.Log.Warn("cannot refresh every add-on repository", "error", err, "failures", failures+1)
			wait = min(wait, updater.Backoff(failures, every))
			failures++
		} else {
			failures = 0
		}
	}
}

// lacking tells whether a repository has no copy.
func (s *Store) lacking() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range s.repos {
		if r.index == nil {
			return true
		}
	}
	return false
}

func (s *Store) failed() (slugs []string) {
	for _, slug := range s.slugs() {
		s.mu.RLock()
		r := s.repos[slug]
		if r != nil && r.failure != "" {
			slugs = append(slugs, slug)
		}
		s.mu.RUnlock()
	}
	return slugs
}
