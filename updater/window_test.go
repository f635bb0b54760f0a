package updater

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// window reads "sat,sun 02:00-04:00 Europe/Berlin"; "*" is every day.
func window(t interface{ Fatal(...any) }, s string) Window {
	f := strings.Fields(s)
	from, to, _ := strings.Cut(f[1], "-")
	spec := WindowSpec{From: from, To: to, Zone: f[2]}
	if f[0] != "*" {
		spec.Days = strings.Split(f[0], ",")
	}
	w, err := NewWindow(spec)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func utc(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04", s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestWindowOpensByTheClockOnTheWall(t *testing.T) {
	for _, c := range []struct{ name, window, now, next string }{ // all times but the window's are UTC
		{"before it", "* 02:00-04:00 Europe/Berlin", "2026-07-01 12:00", "2026-07-02 00:00"},
		{"at its first moment", "* 02:00-04:00 Europe/Berlin", "2026-07-02 00:00", "2026-07-02 00:00"},
		{"in it", "* 02:00-04:00 Europe/Berlin", "2026-07-02 01:59", "2026-07-02 01:59"},
		{"its last moment is outside", "* 02:00-04:00 Europe/Berlin", "2026-07-02 02:00", "2026-07-03 00:00"},
		{"winter time", "* 02:00-04:00 Europe/Berlin", "2026-12-01 12:00", "2026-12-02 01:00"},
		{"over midnight", "fri 22:00-04:00 Europe/Berlin", "2026-07-03 21:00", "2026-07-03 21:00"},
		{"over midnight, on the day after", "fri 22:00-04:00 Europe/Berlin", "2026-07-04 01:30", "2026-07-04 01:30"},
		{"over midnight, over", "fri 22:00-04:00 Europe/Berlin", "2026-07-04 02:00", "2026-07-10 20:00"},
		{"whole days", "sat-sun 00:00-24:00 Europe/Berlin", "2026-07-03 21:59", "2026-07-03 22:00"},
		{"whole days touch", "sat-sun 00:00-24:00 Europe/Berlin", "2026-07-04 22:00", "2026-07-04 22:00"},
		{"a range of days over the week's end", "fri-mon 01:00-02:00 UTC", "2026-07-06 02:00", "2026-07-10 01:00"},

		{"Berlin leaves 02:00-03:00 out: right after", "* 02:00-03:00 Europe/Berlin", "2026-03-28 12:00", "2026-03-29 01:00"},
		{"and as long as it would have been", "* 02:00-03:00 Europe/Berlin", "2026-03-29 01:59", "2026-03-29 01:59"},
		{"not longer", "* 02:00-03:00 Europe/Berlin", "2026-03-29 02:00", "2026-03-30 00:00"},
		{"Berlin jumps out of it", "* 01:30-02:30 Europe/Berlin", "2026-03-29 00:59", "2026-03-29 00:59"},
		{"and it is over", "* 01:30-02:30 Europe/Berlin", "2026-03-29 01:00", "2026-03-29 23:30"},
		{"Berlin jumps into it", "* 02:30-03:30 Europe/Berlin", "2026-03-29 00:45", "2026-03-29 01:00"},
		{"and it ends by the clock", "* 02:30-03:30 Europe/Berlin", "2026-03-29 01:30", "2026-03-30 00:30"},
		{"Berlin has 02:00-03:00 twice: first", "* 02:00-03:00 Europe/Berlin", "2026-10-24 23:59", "2026-10-25 00:00"},
		{"and second", "* 02:00-03:00 Europe/Berlin", "2026-10-25 01:30", "2026-10-25 01:30"},
		{"and then it is over", "* 02:00-03:00 Europe/Berlin", "2026-10-25 02:00", "2026-10-26 01:00"},
		{"set back out of it: closed meanwhile", "* 02:30-03:30 Europe/Berlin", "2026-10-25 01:10", "2026-10-25 01:30"},
		{"set back into it: open again", "* 01:30-02:30 Europe/Berlin", "2026-10-25 00:30", "2026-10-25 01:00"},

		{"New York leaves it out", "sun 02:00-03:00 America/New_York", "2026-03-07 12:00", "2026-03-08 07:00"},
		{"New York has 01:00-02:00 twice", "sun 01:00-02:00 America/New_York", "2026-11-01 06:59", "2026-11-01 06:59"},
		{"and then not before next Sunday", "sun 01:00-02:00 America/New_York", "2026-11-01 07:00", "2026-11-08 06:00"},
		{"Lord Howe jumps by half an hour: what is left", "* 02:00-03:00 Australia/Lord_Howe", "2026-10-03 15:00", "2026-10-03 15:30"},
		{"until three on the wall", "* 02:00-03:00 Australia/Lord_Howe", "2026-10-03 16:00", "2026-10-04 15:00"},
		{"Lord Howe leaves a quarter out", "* 02:05-02:20 Australia/Lord_Howe", "2026-10-03 15:00", "2026-10-03 15:30"},
		{"Lord Howe has a half hour twice", "* 01:30-02:00 Australia/Lord_Howe", "2026-04-04 15:29", "2026-04-04 15:29"},
		{"Kathmandu is three quarters off", "mon 03:00-04:00 Asia/Kathmandu", "2026-07-01 00:00", "2026-07-05 21:15"},
		{"Apia left a whole Friday out", "fri 02:00-03:00 Pacific/Apia", "2011-12-30 09:00", "2011-12-30 10:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := Windows{window(t, c.window)}
			now, want := utc(t, c.now), utc(t, c.next)
			if got := w.Next(now); !got.Equal(want) {
				t.Errorf("got %s, want %s", got, want.In(got.Location()))
			}
			if w.Open(now) != want.Equal(now) {
				t.Errorf("open is %v", w.Open(now))
			}
		})
	}
}

func TestSeveralWindowsAreOpenTogether(t *testing.T) {
	w := Windows{window(t, "sun 02:00-03:00 Europe/Berlin"), window(t, "wed 10:00-11:00 UTC")}
	for now, want := range map[string]string{
		"2026-07-06 00:00": "2026-07-08 10:00", "2026-07-08 10:30": "2026-07-08 10:30", "2026-07-08 11:00": "2026-07-12 00:00",
	} {
		if got := w.Next(utc(t, now)); !got.Equal(utc(t, want)) {
			t.Errorf("after %s: %s, want %s", now, got.UTC(), want)
		}
	}
	if none := (Windows)(nil); !none.Open(noon) || none.Next(noon) != noon {
		t.Error("without a window a time is not good")
	}
}

// shows tells whether a clock on the wall shows a time in the window: what it means to be open, but for jumps.
func (w Window) shows(at time.Time) bool {
	at = at.In(w.zone)
	m := at.Hour()*60 + at.Minute()
	today, before := w.days[at.Weekday()], w.days[(at.Weekday()+6)%7]
	return today && m >= w.from && m < w.to || before && m+minutesOfDay < w.to
}

func TestNextOpeningIsInAWindowAndTheFirst(t *testing.T) {
	zones := []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"}
	changes := []string{"2026-03-29 01:00", "2026-10-25 01:00", "2026-03-08 07:00", "2026-11-01 06:00", "2026-10-03 15:30", "2026-04-04 15:00", "2026-07-01 12:00"}
	rapid.Check(t, func(r *rapid.T) {
		var w Windows
		for range rapid.IntRange(1, 3).Draw(r, "windows") {
			from := rapid.IntRange(0, 95).Draw(r, "from") * 15
			to := (from + rapid.IntRange(1, 95).Draw(r, "length")*15) % minutesOfDay
			spec := WindowSpec{From: clock(from), To: clock(to), Zone: rapid.SampledFrom(zones).Draw(r, "zone"),
				Days: rapid.SliceOfNDistinct(rapid.SampledFrom(weekdays), 0, 7, rapid.ID).Draw(r, "days")}
			one, err := NewWindow(spec)
			if err != nil {
				r.Fatal(err)
			}
			w = append(w, one)
		}
		near := utc(t, rapid.SampledFrom(changes).Draw(r, "near"))
		now := near.Add(time.Duration(rapid.IntRange(-9*24*60, 60).Draw(r, "minutes")) * time.Minute)
		next := w.Next(now)
		if next.Before(now) || !w.Open(next) {
			r.Fatalf("%v: after %s the next opening is %s, which is before it or not in a window", w, now, next)
		}
		for at := now; at.Before(next); at = at.Add(5 * time.Minute) {
			if w.Open(at) {
				r.Fatalf("%v: %s is open and lies before %s", w, at, next)
			}
			for _, one := range w {
				if one.shows(at) {
					r.Fatalf("%v: at %s the clock shows a time in the window", one, at.In(one.zone))
				}
			}
		}
		if shown := func() bool {
			for _, one := range w {
				if one.shows(next) {
					return true
				}
			}
			return false
		}(); !shown { // only right after a jump
			_, before := next.Add(-24 * time.Hour).Zone()
			if _, after := next.Zone(); after <= before {
				r.Fatalf("%v opens at %s, when no clock shows a time in it", w, next)
			}
		}
	})
}

func TestHowLongWindowsAreShut(t *testing.T) {
	for _, c := range []struct {
		windows []string
		want    time.Duration
	}{
		{nil, 0},
		{[]string{"* 00:00-24:00 UTC"}, 0},
		{[]string{"* 02:00-03:00 UTC"}, 23 * time.Hour},
		{[]string{"sat 02:00-03:00 UTC"}, 7*24*time.Hour - time.Hour},
		{[]string{"sat 02:00-03:00 UTC", "wed 02:00-04:00 UTC"}, 4*24*time.Hour - time.Hour},
		{[]string{"* 00:00-12:00 UTC", "* 11:00-23:00 UTC", "sun 01:00-02:00 UTC"}, time.Hour},
		{[]string{"sat 02:30-03:30 Europe/Berlin"}, 7*24*time.Hour - time.Hour},
	} {
		var w Windows
		for _, one := range c.windows {
			w = append(w, window(t, one))
		}
		for day := range 8 {
			if got := w.Shut(utc(t, "2026-09-01 12:00").AddDate(0, 0, day)); got != c.want {
				t.Errorf("%v on day %d: %s, want %s", c.windows, day, got, c.want)
			}
		}
	}
	// The clock goes back on 25 October: the week has an hour more.
	if got := (Windows{window(t, "mon 02:00-03:00 Europe/Berlin")}).Shut(utc(t, "2026-10-22 12:00")); got != 7*24*time.Hour {
		t.Errorf("in autumn: %s", got)
	}
}

func TestWindowIsReadStrictly(t *testing.T) {
	for _, c := range []struct {
		spec WindowSpec
		says string
	}{
		{WindowSpec{From: "2:00", To: "04:00", Zone: "UTC"}, `its start "2:00" is no time of day`},
		{WindowSpec{From: "24:00", To: "04:00", Zone: "UTC"}, "no time of day"},
		{WindowSpec{From: "02:00", To: "24:01", Zone: "UTC"}, `its end "24:01"`},
		{WindowSpec{From: "02:00", To: "02:60", Zone: "UTC"}, `its end "02:60"`},
		{WindowSpec{From: "02:00", To: "02:00", Zone: "UTC"}, "00:00-24:00"},
		{WindowSpec{From: "23:50", To: "00:04", Zone: "UTC"}, "open for 14 minutes"},
		{WindowSpec{From: "02:00", To: "03:00"}, "no time zone"},
		{WindowSpec{From: "02:00", To: "03:00", Zone: "Local"}, "no time zone"},
		{WindowSpec{From: "02:00", To: "03:00", Zone: "Europe/Atlantis"}, "no time zone"},
		{WindowSpec{From: "02:00", To: "03:00", Zone: "../../etc/passwd"}, "no time zone"},
		{WindowSpec{From: "02:00", To: "03:00", Zone: "UTC", Days: []string{"Mo"}}, `"Mo" is no day`},
		{WindowSpec{From: "02:00", To: "03:00", Zone: "UTC", Days: []string{"mon-"}}, "no day"},
		{WindowSpec{From: "02:00", To: "03:00", Zone: "UTC", Days: make([]string, 8)}, "8 days"},
	} {
		if _, err := NewWindow(c.spec); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.spec, err, c.says)
		}
	}
	for in, out := range map[string]string{
		"fri-mon 22:00-04:00 Europe/Berlin": "mon, fri, sat, sun 22:00-04:00 Europe/Berlin",
		"mon-sun 00:00-24:00 UTC":           "every day 00:00-24:00 UTC",
	} {
		w := window(t, in)
		again, err := NewWindow(w.Spec())
		if w.String() != out || err != nil || again.String() != out {
			t.Errorf("%s reads %s, and then %s, %v", in, w, again, err)
		}
	}
}
