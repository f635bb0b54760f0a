package archive

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// Schedule says when backups are made by themselves.
type Schedule struct {
	Days   []time.Weekday // nil = every day
	Hour   int            // 0 to 23, in Zone
	Minute int
	Zone   *time.Location // nil = UTC

	// Jitter spreads the moment: it comes up to that much later, by a number of the day and of Seed, so that a thousand
	// appliances do not meet at one place for their copies. At most 12 hours.
	Jitter time.Duration
	Seed   string // the appliance's own
}

const maxJitter = 12 * time.Hour

// Check refuses a schedule that could not be kept.
func (s Schedule) Check() error {
	switch {
	case s.Hour < 0 || s.Hour > 23 || s.Minute < 0 || s.Minute > 59:
		return fmt.Errorf("cannot plan backups for %d:%02d: want 0:00 to 23:59", s.Hour, s.Minute)
	case s.Jitter < 0 || s.Jitter > maxJitter:
		return fmt.Errorf("cannot spread backups over %s: want 0 to %s", s.Jitter, maxJitter)
	case slices.ContainsFunc(s.Days, func(d time.Weekday) bool { return d < 0 || d > 6 }):
		return fmt.Errorf("cannot plan backups for day %v: want 0 (Sunday) to 6", s.Days)
	}
	return nil
}

// Next is the first moment after now that a backup is due: one on each day of the schedule, also on those with 23 or 25
// hours. Where the clock jumps over the moment it comes at the jump, where the clock shows it twice the first time. One that was missed
// is due at once when Next of the last backup's time is past. The zero time says that the
// schedule has no day, which Check refuses.
func (s Schedule) Next(now time.Time) time.Time {
	zone := s.Zone
	if zone == nil {
		zone = time.UTC
	}
	y, m, d := now.In(zone).Date()
	for add := -1; add < 10; add++ { // yesterday's may be late by the jitter
		day := time.Date(y, m, d+add, 12, 0, 0, 0, zone)
		if len(s.Days) > 0 && !slices.Contains(s.Days, day.Weekday()) {
			continue
		}
		if at := s.moment(day, zone); at.After(now) {
			return at
		}
	}
	return time.Time{}
}

// moment is when the backup of a day is due.
func (s Schedule) moment(day time.Time, zone *time.Location) time.Time {
	y, m, d := day.Date()
	want := time.Date(y, m, d, s.Hour, s.Minute, 0, 0, time.UTC) // as the clock on the wall shows it
	// Offsets on both sides of any jump nearby give the moments that may be meant; the earlier one that shows it counts.
	at := want.Add(-offset(want.Add(-26*time.Hour), zone))
	for _, o := range []time.Duration{offset(want.Add(26*time.Hour), zone), offset(want.Add(-26*time.Hour), zone)} {
		if t := want.Add(-o); offset(t, zone) == o && (offset(at, zone) != want.Sub(at) || t.Before(at)) {
			at = t
		}
	}
	if offset(at, zone) != want.Sub(at) { // the clock jumps over it
		_, at = at.In(zone).Add(-24 * time.Hour).ZoneBounds()
	}
	return at.Add(s.late(want)).In(zone)
}

func offset(t time.Time, zone *time.Location) time.Duration {
	_, o := t.In(zone).Zone()
	return time.Duration(o) * time.Second
}

// late is the jitter of a day.
func (s Schedule) late(day time.Time) time.Duration {
	if s.Jitter <= 0 {
		return 0
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %s", s.Seed, day.Format(time.DateOnly))
	return time.Duration(h.Sum64()%uint64(s.Jitter/time.Second+1)) * time.Second
}
