package web

import (
	"strconv"
	"strings"
	"time"
)

// number writes a whole number as the language does.
func (w *views) number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "−", s[1:]
	}
	sep := ","
	if w.lang == "de" {
		sep = "."
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + sep + s[i:]
	}
	return sign + s
}

// hardSpace keeps a number and its unit on one line.
const hardSpace = "\u00a0"

// size writes bytes as people do, in powers of 1000: "214 MB", "12.9 GB".
func (w *views) size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, i := float64(n), 0
	for ; v >= 999.5 && i < len(units)-1; i++ {
		v /= 1000
	}
	digits := 0
	if i >= 3 && v < 100 {
		digits = 1
	}
	return w.decimal(v, digits) + hardSpace + units[i]
}

// gibibytes is a size as Home Assistant's API tells it; people read it as any other.
type gibibytes float64

// decimal writes a number with that many digits after the point.
func (w *views) decimal(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if w.lang == "de" {
		s = strings.ReplaceAll(s, ".", ",")
	}
	return s
}

// stamp writes a time with its day, as on the appliance's clock.
func (w *views) stamp(t time.Time) string {
	if t.IsZero() {
		return w.text("time.never")
	}
	t = t.Local()
	if w.lang == "de" {
		return t.Format("2.1.2006, 15:04")
	}
	return t.Format("2 Jan 2006, 15:04")
}

// ago writes how long something is past, or ahead: "2 min ago", "in 3 h", and the day when that is far.
func (w *views) ago(now, t time.Time) string {
	if t.IsZero() {
		return w.text("time.never")
	}
	d, form := now.Sub(t), "ago"
	if d < 0 {
		d, form = -d, "in"
	}
	switch {
	case d < time.Minute && form == "ago":
		return w.text("time.now")
	case d < time.Minute:
		return w.text("time.soon")
	case d < time.Hour:
		return w.text("time."+form+"_minutes", int(d/time.Minute))
	case d < 24*time.Hour:
		return w.text("time."+form+"_hours", int(d/time.Hour))
	case d < 7*24*time.Hour:
		return w.text("time."+form+"_days", int(d/(24*time.Hour)))
	}
	return w.day(t)
}

// day writes a date.
func (w *views) day(t time.Time) string {
	if w.lang == "de" {
		return t.Local().Format("2.1.2006")
	}
	return t.Local().Format("2 Jan 2006")
}

// lasts writes a duration: "20 s", "3 min", "2 h".
func (w *views) lasts(d time.Duration) string {
	switch {
	case d < time.Second:
		return w.text("time.under_second")
	case d < 90*time.Second:
		return w.text("time.seconds", int(d.Round(time.Second)/time.Second))
	case d < 90*time.Minute:
		return w.text("time.minutes", int(d.Round(time.Minute)/time.Minute))
	}
	return w.text("time.hours", int(d.Round(time.Hour)/time.Hour))
}
