package web

import (
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// What the chart of the last days looks at.
const (
	chartDays    = 14
	chartRecords = 500
)

// Measures of the chart, in its own units.
const (
	barStep   = 40
	barWidth  = 26
	barHeight = 90
)

// chartBadges are the parts of a bar, from the bottom up.
var chartBadges = []badgeName{"verified", "unsigned", "forced", "not checked", "refused", "withdrawn"}

// badgeName is the word of a badge, as templates need it.
type badgeName string

// Class is its name in the style.
func (b badgeName) Class() string { return strings.ReplaceAll(string(b), " ", "-") }

// Key is its text in the catalogue.
func (b badgeName) Key() string { return "badge." + strings.ReplaceAll(string(b), " ", "_") }

// daysChart is how many judgements ended how, by day.
type daysChart struct {
	Days   []dayBar
	Badges []badgeName // that are met at all
	Total  int
	Most   int  // in a day
	Cut    bool // there were more than are counted
}

// dayBar is a day of the chart.
type dayBar struct {
	Day   time.Time
	X     int // of its left side
	Mid   int
	Total int
	Parts []barPart
}

// barPart is one kind of ending in a day.
type barPart struct {
	Badge   badgeName
	Count   int
	X, Y, H int
}

// Date is the day as an address has it.
func (d dayBar) Date() string { return d.Day.Format(time.DateOnly) }

// Count is how many of a day ended in a way.
func (d dayBar) Count(badge badgeName) int {
	for _, p := range d.Parts {
		if p.Badge == badge {
			return p.Count
		}
	}
	return 0
}

// days counts the judgements of the last days. A log that can't be read gives an empty chart: the table beside it says why.
func (v *visit) days() daysChart {
	y, m, d := v.now.Local().Date()
	first := time.Date(y, m, d-chartDays+1, 0, 0, 0, 0, time.Local)
	list, err := v.api.Log(v.ctx(), api.LogQuery{Kinds: []string{"verdict"}, Since: first, Last: chartRecords})
	if err != nil {
		return daysChart{}
	}
	return chartOf(list.Records, first, list.Before != 0)
}

// chartOf draws records from a day on.
func chartOf(records []api.LogRecord, first time.Time, cut bool) daysChart {
	count := map[string]map[badgeName]int{} // by day, by badge
	met := map[badgeName]bool{}
	for _, r := range records {
		day, badge := r.Time.Local().Format(time.DateOnly), badgeName(badgeOf(r.Outcome, r.Reason))
		if badge == "local" {
			badge = "unsigned"
		}
		if count[day] == nil {
			count[day] = map[badgeName]int{}
		}
		count[day][badge]++
		met[badge] = true
	}
	out := daysChart{Cut: cut}
	for _, b := range chartBadges {
		if met[b] {
			out.Badges = append(out.Badges, b)
		}
	}
	for i := range chartDays {
		bar := dayBar{Day: first.AddDate(0, 0, i), X: i*barStep + (barStep-barWidth)/2, Mid: i*barStep + barStep/2}
		for _, b := range chartBadges {
			if n := count[bar.Date()][b]; n > 0 {
				bar.Parts = append(bar.Parts, barPart{Badge: b, Count: n, X: bar.X})
				bar.Total += n
			}
		}
		out.Total += bar.Total
		out.Most = max(out.Most, bar.Total)
		out.Days = append(out.Days, bar)
	}
	for i := range out.Days {
		stack(out.Days[i].Parts, out.Most)
	}
	return out
}

// stack puts the parts of a bar on each other. Even one judgement among hundreds can be seen.
func stack(parts []barPart, most int) {
	top := barHeight
	for i := range parts {
		p := &parts[i]
		p.H = max(2, p.Count*barHeight/most)
		top = max(0, top-p.H)
		p.Y = top
	}
}
