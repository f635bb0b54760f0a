package archive

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(hours int, slug string, origin Origin, service string) Item {
	return Item{Info: Info{Slug: slug, Date: start.Add(time.Duration(hours) * time.Hour), Origin: origin, Service: service}}
}

func TestSurplus(t *testing.T) {
	broken := at(0, "broken", BeforeUpdate, "core")
	broken.Problem = errors.New("cut off")
	list := []Item{
		at(5, "c5", BeforeUpdate, "core"), at(1, "c1", BeforeUpdate, "core"), at(3, "c3", BeforeUpdate, "core"), at(2, "c2", BeforeUpdate, "core"), at(4, "c4", BeforeUpdate, "core"),
		at(1, "m1", BeforeUpdate, "mqtt"), at(0, "mine", Owner, ""), at(0, "mine too", Owner, "core"), at(0, "old kind", "", "core"), at(0, "unknown", "x", "core"),
		at(1, "s1", Scheduled, ""), at(2, "s2", Scheduled, ""), at(0, "no service", BeforeUpdate, ""), broken,
	}
	for _, c := range []struct {
		keep Keep
		want []string
	}{
		{Keep{BeforeUpdate: 3}, []string{"c1", "c2"}},
		{Keep{BeforeUpdate: 1, Scheduled: 1}, []string{"s1", "c1", "c2", "c3", "c4"}},
		{Keep{}, nil},
		{DefaultKeep, []string{"c1", "c2"}},
	} {
		got := Surplus(list, c.keep)
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("keep %+v: %v, want %v", c.keep, got, c.want)
		}
	}
	if got := Surplus(list, Keep{BeforeUpdate: 3}); !slices.Equal(got, []string{"c1", "c2"}) {
		t.Errorf("the oldest does not go first: %v", got)
	}
}

func TestSurplusNeverTakesTheOwners(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keep := Keep{rapid.IntRange(0, 4).Draw(t, "updates"), rapid.IntRange(0, 4).Draw(t, "scheduled")}
		var list []Item
		for n := range rapid.IntRange(0, 30).Draw(t, "n") {
			o := rapid.SampledFrom([]Origin{Owner, Scheduled, BeforeUpdate, "", "x"}).Draw(t, "origin")
			list = append(list, at(rapid.IntRange(0, 9).Draw(t, "at"), fmt.Sprint(n), o, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "service")))
		}
		gone := Surplus(list, keep)
		stays := map[string]int{}
		for _, i := range list {
			away := slices.Contains(gone, i.Slug)
			if away && i.Origin != Scheduled && i.Origin != BeforeUpdate {
				t.Fatalf("%s of origin %q goes", i.Slug, i.Origin)
			}
			if !away && i.Origin == BeforeUpdate {
				stays[i.Service]++
			}
		}
		for s, n := range stays {
			if keep.BeforeUpdate > 0 && n > keep.BeforeUpdate {
				t.Fatalf("%d stay of %s, want at most %d", n, s, keep.BeforeUpdate)
			}
		}
	})
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	must(t, err)
	return z
}

func TestNext(t *testing.T) {
	berlin, samoa := zone(t, "Europe/Berlin"), zone(t, "Pacific/Apia")
	for _, c := range []struct {
		name      string
		s         Schedule
		now, want string
	}{
		{"later today", Schedule{Hour: 4, Minute: 30, Zone: berlin}, "2026-01-10T03:00:00+01:00", "2026-01-10T04:30:00+01:00"},
		{"right now is past", Schedule{Hour: 4, Zone: berlin}, "2026-01-10T04:00:00+01:00", "2026-01-11T04:00:00+01:00"},
		{"weekly", Schedule{Days: []time.Weekday{time.Sunday}, Hour: 4, Zone: berlin}, "2026-01-12T00:00:00+01:00", "2026-01-18T04:00:00+01:00"},
		{"weekly, today is past", Schedule{Days: []time.Weekday{time.Monday}, Hour: 4, Zone: berlin}, "2026-01-12T05:00:00+01:00", "2026-01-19T04:00:00+01:00"},
		{"two days", Schedule{Days: []time.Weekday{1, 4}, Hour: 4, Zone: berlin}, "2026-01-12T05:00:00+01:00", "2026-01-15T04:00:00+01:00"},
		{"the clock jumps over it", Schedule{Hour: 2, Minute: 30, Zone: berlin}, "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		{"the day after the jump", Schedule{Hour: 2, Minute: 30, Zone: berlin}, "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"},
		{"the clock shows it twice", Schedule{Hour: 2, Minute: 30, Zone: berlin}, "2026-10-24T12:00:00+02:00", "2026-10-25T02:30:00+02:00"},
		{"not a second time", Schedule{Hour: 2, Minute: 30, Zone: berlin}, "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		{"between the two", Schedule{Hour: 2, Minute: 30, Zone: berlin}, "2026-10-25T02:10:00+01:00", "2026-10-26T02:30:00+01:00"},
		{"a day that was not", Schedule{Hour: 4, Zone: samoa}, "2011-12-29T12:00:00-10:00", "2011-12-31T04:00:00+14:00"},
		{"no zone", Schedule{Hour: 4}, "2026-01-10T03:00:00Z", "2026-01-10T04:00:00Z"},
		{"no day", Schedule{Days: []time.Weekday{9}}, "2026-01-10T03:00:00Z", "0001-01-01T00:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		must(t, err)
		if got := c.s.Next(now).Format(time.RFC3339); got != c.want {
			t.Errorf("%s: after %s comes %s, want %s", c.name, c.now, got, c.want)
		}
	}
	for _, bad := range []Schedule{{Hour: 24}, {Minute: 60}, {Hour: -1}, {Jitter: -1}, {Jitter: 13 * time.Hour}, {Days: []time.Weekday{7}}} {
		if bad.Check() == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// TestNextComesOnceADay follows schedules through two years: one moment on each day, at its hour, the jitter apart.
func TestNextComesOnceADay(t *testing.T) {
	zones := map[string]*time.Location{}
	for _, n := range []string{"UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "America/Santiago", "Asia/Gaza"} {
		zones[n] = zone(t, n)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := Schedule{
			Hour: rapid.IntRange(0, 23).Draw(t, "hour"), Minute: rapid.IntRange(0, 59).Draw(t, "minute"), Zone: zones[rapid.SampledFrom(slices.Sorted(maps.Keys(zones))).Draw(t, "zone")],
			Jitter: time.Duration(rapid.IntRange(0, 12).Draw(t, "jitter")) * time.Hour, Seed: rapid.String().Draw(t, "seed"),
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		at := s.Next(start.Add(time.Duration(rapid.IntRange(0, 365*24).Draw(t, "from")) * time.Hour))
		for range 400 {
			y, m, d := at.Date()
			next := s.Next(at)
			if s.Next(next.Add(-time.Nanosecond)) != next {
				t.Fatalf("%s is not the first after the moment before it", next)
			}
			if gap := next.Sub(at); gap < 11*time.Hour || gap > 37*time.Hour {
				t.Fatalf("from %s to %s on %d-%d-%d", at, next, y, m, d)
			}
			if s.Jitter == 0 {
				day := time.Date(y, m, d+1, 12, 0, 0, 0, s.Zone) // at noon no clock jumps
				late := time.Duration(next.Hour()-s.Hour)*time.Hour + time.Duration(next.Minute()-s.Minute)*time.Minute
				if next.Day() != day.Day() || late < 0 || late > time.Hour {
					t.Fatalf("after %s comes %s, want the same time on %s", at, next, day.Format(time.DateOnly))
				}
			}
			at = next
		}
	})
	spread := map[time.Duration]bool{}
	for _, seed := range []string{"a", "b", "c", "d", "e", "f"} {
		spread[Schedule{Jitter: time.Hour, Seed: seed}.Next(start).Sub(start)] = true
	}
	if len(spread) < 4 {
		t.Errorf("six appliances meet: %v", spread)
	}
}
