package web

import (
	"context"
	"slices"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// overviewScreens are the first page and what can be done there.
var overviewScreens = []screen{
	{"GET", "/ui/{$}", api.Viewer, (*visit).overview},
	{"POST", "/ui/check", api.Operator, (*visit).postCheck},
}

// overview is what the first page shows.
type overview struct {
	Mood     string
	Tone     string
	Status   api.Status
	Verified int
	Of       int
	Stopped  int
	Causes   []cause
	Asked    []askedFor
	Running  []course // changes that go on
	Waiting  []offer
	More     int // updates that are not on this page
	Recent   []course
	Device   device
	Chart    verdictChart
	Unsized  bool   // sizes are still asked for
	Trouble  *fault // why the page is not whole
}

// Words are the daemon's own about what is away.
func (o overview) Words() string {
	switch o.Mood {
	case "engine":
		return o.Status.Engine.Error
	case "ledger":
		return o.Status.Ledger.Error
	}
	return ""
}

// recent is how many past changes the first page tells of, mostWaiting how many updates.
const (
	recent      = 6
	mostWaiting = 4
)

func (v *visit) overview() (answer, error) {
	var dev device
	var chart verdictChart
	h, err := v.updatesNow(func() { dev = v.machine() }, func() { chart = v.verdictChart() }, func() {
		if s, err := v.status(); err == nil && s.Ledger.State != "" {
			v.sendAhead(v.say("overview.title"))
		}
	})
	if err != nil && h.Status.Ledger.State == "" { // not even the state is known
		return answer{}, err
	}
	m := moodOf(h.Status)
	out := overview{Mood: m.word, Tone: m.tone(), Status: h.Status, Verified: m.verified, Of: m.of, Stopped: m.stopped, Causes: v.causes(m, h.Status)}
	out.Running, out.Recent = v.courses(h.Changes, recent)
	out.Asked = v.asking(h.Offers, out.Running)
	for _, group := range []string{groupYou, groupSelf} {
		for _, o := range h.Offers {
			if o.Group() == group && (o.Status.Change == "" || o.Status.State == "stuck") {
				out.Waiting = append(out.Waiting, o)
			}
		}
	}
	if n := len(out.Waiting); n > mostWaiting {
		out.Waiting, out.More = out.Waiting[:mostWaiting], n-mostWaiting
	}
	v.read(out.Waiting)
	out.Device, out.Chart = dev, chart
	out.Unsized = v.unsized(out.Waiting)
	if err != nil {
		f := v.fail(err)
		out.Trouble = &f
	}
	return show("overview", out)
}

// device is the machine in a few lines. What can't be told is left out: the page is there all the same.
type device struct {
	api.Device
	Known  bool
	Backup *time.Time // the last one; nil = none
	Told   bool       // what backups there are
}

func (v *visit) machine() device {
	ctx, cancel := context.WithTimeout(v.ctx(), asideWithin)
	defer cancel()
	var d device
	if says, err := v.api.Device(ctx); err == nil {
		d.Device, d.Known = says, true
	}
	if list, err := v.api.Backups(ctx); err == nil {
		d.Told = true
		for _, b := range list.Backups {
			if d.Backup == nil || b.Date.After(*d.Backup) {
				d.Backup = &b.Date
			}
		}
	}
	return d
}

// DiskUsed is what is not free.
func (d device) DiskUsed() int64 { return d.DiskTotal - d.DiskFree }

// DiskTight tells that little is left.
func (d device) DiskTight() bool { return d.DiskTotal > 0 && d.DiskUsed() > d.DiskMark() }

// DiskMark is how much may be used before little is left.
func (d device) DiskMark() int64 { return d.DiskTotal / 10 * 9 }

// MemoryUsed is what programs hold.
func (d device) MemoryUsed() int64 { return d.MemoryTotal - d.MemoryFree }

// Degrees is the temperature in whole degrees.
func (d device) Degrees() int { return int(*d.Temperature + 0.5) }

// Hot tells that a small computer slows down to cool.
func (d device) Hot() bool { return d.Temperature != nil && *d.Temperature >= 80 }

// OldBackup tells that the last backup is older than a fortnight.
func (d device) OldBackup(now time.Time) bool {
	return d.Backup != nil && now.Sub(*d.Backup) > 14*24*time.Hour
}

// Now is the page's moment.
func (p page) Now() time.Time { return p.v.now }

// checkedWhat is under which name a check is among what was asked for.
const checkedWhat = "\x00check"

// postCheck looks at ledger, channel and what is installed. That may take as long as a network does; who waits sees that it
// was heard.
func (v *visit) postCheck() (answer, error) {
	return v.detach(checkedWhat, v.back("/ui/"), v.say("overview.checking"), func(ctx context.Context) (note, bool) {
		if _, err := v.api.Check(ctx); err != nil {
			return v.failed(err), true
		}
		return note{Tone: "ok", Text: v.say("overview.checked")}, true
	})
}

// Checking tells whether a check goes on.
func (p page) Checking() bool {
	_, on := p.v.ui.begun.since(checkedWhat)
	return on
}

// verdictChart is how many verdicts ended how on each of the last days, as a drawing.
type verdictChart struct {
	Days []verdictDay
	Most int // in a day; 0 = there is nothing to draw
}

// verdictDay is a column of the drawing.
type verdictDay struct {
	api.LogDay
	When  time.Time
	X     int
	Parts []verdictPart
}

// verdictPart is a piece of a column, from the bottom up.
type verdictPart struct {
	Kind    string // allowed, unsigned, forced, deferred, refused
	Count   int
	X, Y, H int
}

// Measures of the drawing, in its own units.
const (
	chartHeight = 72
	chartStep   = 24
	chartLeast  = 2 // one of hundreds can be seen
)

// verdictChart draws the last days. Without a log it is empty.
func (v *visit) verdictChart() verdictChart {
	ctx, cancel := context.WithTimeout(v.ctx(), asideWithin)
	defer cancel()
	list, err := v.api.LogDays(ctx, 14)
	if err != nil {
		return verdictChart{}
	}
	return drawVerdicts(list.Days)
}

func drawVerdicts(days []api.LogDay) (out verdictChart) {
	for i, d := range days {
		when, err := time.Parse(time.DateOnly, d.Day)
		if err != nil {
			continue
		}
		col := verdictDay{LogDay: d, When: when, X: i * chartStep}
		for _, p := range []verdictPart{{Kind: "allowed", Count: d.Allowed}, {Kind: "unsigned", Count: d.Unsigned}, {Kind: "forced", Count: d.Forced},
			{Kind: "deferred", Count: d.Deferred}, {Kind: "refused", Count: d.Refused}} {
			if p.Count > 0 {
				col.Parts = append(col.Parts, p)
			}
		}
		out.Most = max(out.Most, col.Total())
		out.Days = append(out.Days, col)
	}
	for _, d := range out.Days {
		top := chartHeight
		for i := range slices.Backward(d.Parts) { // what is rare stands at the bottom, where it is seen
			p := &d.Parts[i]
			p.H = max(chartLeast, p.Count*chartHeight/out.Most)
			top = max(0, top-p.H)
			p.X, p.Y = d.X, top
		}
	}
	return out
}

// Total are all of a day.
func (d verdictDay) Total() int { return d.Allowed + d.Unsigned + d.Forced + d.Deferred + d.Refused }

// Good are those that were let in.
func (d verdictDay) Good() int { return d.Allowed + d.Unsigned + d.Forced }

// Width is that of the drawing.
func (c verdictChart) Width() int { return len(c.Days) * chartStep }

// Sum counts all days.
func (c verdictChart) Sum(what string) (n int) {
	for _, d := range c.Days {
		switch what {
		case "good":
			n += d.Good()
		case "deferred":
			n += d.Deferred
		case "refused":
			n += d.Refused
		}
	}
	return n
}

// First and Last are the ends of the drawing.
func (c verdictChart) First() time.Time { return c.Days[0].When }

// Last is its right end.
func (c verdictChart) Last() time.Time { return c.Days[len(c.Days)-1].When }
