package updater

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones must mean the same on an appliance without a zone database
)

// WindowSpec is a maintenance window as people and files write it.
type WindowSpec struct {
	Days []string `json:"days"` // on which it opens: "mon" to "sun", or "mon-fri"; none = every day
	From string   `json:"from"` // "22:00"
	To   string   `json:"to"`   // "04:00"; at or before From it is on the day after. "24:00" is the day's end
	Zone string   `json:"zone"` // IANA time zone, as "Europe/Berlin"
}

// Window is a maintenance window: hours of the week in which updates may begin by themselves. It is open exactly while a
// clock on the wall of its zone shows a time in it. So an hour that the clock shows twice, when summer time ends, is open
// twice; and of a window that the clock jumps into, when summer time begins, the rest is open. One whose hours the clock
// leaves out altogether is open from right after the jump for as long as it would have been, so that no week goes without.
//
// Zones come from the host's database, or from the one that is built in where the host has none.
type Window struct {
	days     [7]bool // by time.Weekday
	from, to int     // minutes of the wall clock since the start of the day; to may be on the day after
	zone     *time.Location
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

var wallClock = regexp.MustCompile(`^([01][0-9]|2[0-4]):([0-5][0-9])$`)

// leastWindow is the shortest window, in minutes of the wall clock.
const minutesOfDay, leastWindow = 24 * 60, 15

// NewWindow checks a window.
func NewWindow(s WindowSpec) (Window, error) {
	var w Window
	var ok1, ok2 bool
	w.from, ok1 = minutes(s.From)
	w.to, ok2 = minutes(s.To)
	switch {
	case !ok1 || w.from == minutesOfDay:
		return w, fmt.Errorf("its start %.20q is no time of day; write it as 02:00", s.From)
	case !ok2:
		return w, fmt.Errorf("its end %.20q is no time of day; write it as 04:00", s.To)
	case w.from == w.to:
		return w, fmt.Errorf("it ends when it starts, at %s; for a whole day write 00:00-24:00", s.From)
	case w.to < w.from:
		w.to += minutesOfDay
	}
	if w.to-w.from < leastWindow {
		return w, fmt.Errorf("it is open for %d minutes; make it at least %d, for appliances do not all begin at once", w.to-w.from, leastWindow)
	}
	if s.Zone == "" || s.Zone == "Local" || len(s.Zone) > 64 {
		return w, fmt.Errorf("its zone %.64q is no time zone; name one as Europe/Berlin", s.Zone)
	}
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return w, fmt.Errorf("its zone %.64q is no time zone; name one as Europe/Berlin", s.Zone)
	}
	w.zone = zone
	if len(s.Days) > 7 {
		return w, fmt.Errorf("it has %d days; a week has 7", len(s.Days))
	}
	for _, d := range s.Days {
		if err := w.addDays(d); err != nil {
			return w, err
		}
	}
	if len(s.Days) == 0 {
		w.days = [7]bool{true, true, true, true, true, true, true}
	}
	return w, nil
}

func minutes(s string) (int, bool) {
	m := wallClock.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	hour, _ := strconv.Atoi(m[1]) // two digits
	minute, _ := strconv.Atoi(m[2])
	return hour*60 + minute, hour*60+minute <= minutesOfDay
}

// addDays takes "mon", or "fri-mon" with the days between.
func (w *Window) addDays(s string) error {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
	if from < 0 || to < 0 {
		return fmt.Errorf("%.20q is no day of the week; write mon, tue, wed, thu, fri, sat, sun, or mon-fri", s)
	}
	for d := from; ; d = (d + 1) % 7 {
		w.days[d] = true
		if d == to {
			return nil
		}
	}
}

// Spec is the window as people write it, with each day by name; none when it opens every day.
func (w Window) Spec() WindowSpec {
	s := WindowSpec{Days: []string{}, From: clock(w.from), To: clock(w.to), Zone: w.zone.String()}
	for i := range 7 {
		if d := (i + 1) % 7; w.days[d] { // the week begins on Monday
			s.Days = append(s.Days, weekdays[d])
		}
	}
	if len(s.Days) == 7 {
		s.Days = []string{}
	}
	return s
}

func clock(minutes int) string {
	if minutes > minutesOfDay {
		minutes -= minutesOfDay
	}
	return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60)
}

// String is for people: "sat, sun 02:00-04:00 Europe/Berlin".
func (w Window) String() string {
	s := w.Spec()
	days := "every day"
	if len(s.Days) > 0 {
		days = strings.Join(s.Days, ", ")
	}
	return fmt.Sprintf("%s %s-%s %s", days, s.From, s.To, s.Zone)
}

// span is a time from the first moment to before the last.
type span struct{ from, to time.Time }

// farOffset is more than any zone's distance from UTC.
const farOffset = 26 * time.Hour

// spans are when the window that opens on a day is open, in order. There are several when the clock is set back out of it.
func (w Window) spans(year int, month time.Month, day int) []span {
	wall := func(minutes int) time.Time { return time.Date(year, month, day, 0, minutes, 0, 0, time.UTC) } // as if the zone were UTC
	from, to := wall(w.from), wall(w.to)
	var out []span
	var jumped time.Time
	for at := from.Add(-farOffset); ; {
		in := at.In(w.zone)
		_, seconds := in.Zone()
		offset := time.Duration(seconds) * time.Second
		start, end := in.ZoneBounds() // in which this offset counts
		s := span{from.Add(-offset), to.Add(-offset)}
		if !start.IsZero() && start.After(s.from) {
			s.from = start
		}
		if !end.IsZero() && end.Before(s.to) {
			s.to = end
		}
		if s.from.Before(s.to) {
			out = append(out, s)
		} else if jumped.IsZero() && !start.IsZero() && !start.Add(offset).Before(to) {
			jumped = start
		}
		if end.IsZero() || end.After(to.Add(farOffset)) {
			break
		}
		at = end
	}
	if len(out) == 0 {
		out = append(out, span{jumped, jumped.Add(to.Sub(from))})
	}
	return out
}

// next is the first moment from now on in which the window is open.
func (w Window) next(now time.Time) (first time.Time) {
	today := now.In(w.zone)
	for i := -2; i <= 8; i++ { // one of yesterday may be open still, one of this weekday's may be over
		day := time.Date(today.Year(), today.Month(), today.Day()+i, 0, 0, 0, 0, time.UTC)
		if !w.days[day.Weekday()] {
			continue
		}
		for _, s := range w.spans(day.Date()) {
			switch {
			case !s.to.After(now):
			case !s.from.After(now):
				return now.In(w.zone)
			case first.IsZero() || s.from.Before(first):
				first = s.from.In(w.zone)
			}
		}
	}
	return first
}

// Windows are all maintenance windows of an appliance. Without any, every time is good.
type Windows []Window

// Next is the first moment from now on in which one of the windows is open, now itself if one is. It has the zone of the
// window that opens.
func (w Windows) Next(now time.Time) time.Time {
	first := now
	for i, one := range w {
		if at := one.next(now); i == 0 || at.Before(first) {
			first = at
		}
	}
	return first
}

// Open tells whether updates may begin by themselves now.
func (w Windows) Open(now time.Time) bool { return w.Next(now).Equal(now) }

// Shut is the longest time on end, in the days around now, in which none of the windows is open; 0 without any.
func (w Windows) Shut(now time.Time) (longest time.Duration) {
	var all []span
	for _, one := range w {
		today := now.In(one.zone)
		for i := -9; i <= 9; i++ { // a window of one day a week opens twice in it
			day := time.Date(today.Year(), today.Month(), today.Day()+i, 0, 0, 0, 0, time.UTC)
			if one.days[day.Weekday()] {
				all = append(all, one.spans(day.Date())...)
			}
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].from.Before(all[j].from) })
	for i, s := range all {
		if i > 0 {
			longest = max(longest, s.from.Sub(all[0].to))
		}
		if s.to.After(all[0].to) {
			all[0].to = s.to // the end of all that came before
		}
	}
	return longest
}
