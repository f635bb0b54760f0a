package web

import (
	"slices"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// stages are the steps of a change as people see them, in order.
var stages = []string{"ledger", "download", "verify", "prepare", "switch", "health"}

// stageOf is the step that a change in a state is at. A state says that the way into it is behind it.
var stageOf = map[string]int{"planned": 0, "resolved": 0, "verified": 1, "pulled": 3, "created": 4, "switched": 5, "healthy": 5}

// endOf is the state that ends each step.
var endOf = []string{"verified", "", "pulled", "created", "switched", "healthy"}

// stalled is after how long without a sign a change is told to wait.
const stalled = 30 * time.Second

// course is how far a change is, for a page.
type course struct {
	api.Change
	v     *visit
	Stage int // of stages; -1 = it has ended, or goes back
}

func (v *visit) course(c api.Change) course {
	out := course{Change: c, v: v, Stage: -1}
	if at, ok := stageOf[c.State]; ok && !c.Done {
		out.Stage = at
		if c.State == "verified" && c.Total > 0 && c.Bytes >= c.Total {
			out.Stage = slices.Index(stages, "verify")
		}
	}
	return out
}

// Sending is how far a change is that a form asks for and the appliance has not heard of. It stands in the form, and is seen from
// the press of the button on.
func (p page) Sending(service string) course {
	return p.v.course(api.Change{Service: service, State: "planned", Created: p.v.now, Updated: p.v.now})
}

// Stages are the names of the steps.
func (c course) Stages() []string { return stages }

// Percent is how much of the download is here, -1 when nobody knows.
func (c course) Percent() int {
	if c.Stage != slices.Index(stages, "download") || c.Total <= 0 {
		return -1
	}
	return int(min(99, 100*c.Bytes/c.Total))
}

// Left is how long the download goes on if it goes on as it did, 0 when nothing can be said of it.
func (c course) Left() time.Duration {
	began := passedAt(c.Change, "verified")
	if began.IsZero() {
		began = c.Created
	}
	took := c.Updated.Sub(began)
	if c.Percent() < 5 || took < 2*time.Second {
		return 0
	}
	return time.Duration(float64(took) * float64(c.Total-c.Bytes) / float64(c.Bytes))
}

// Waits tells that nothing has moved for a while.
func (c course) Waits() bool { return !c.Done && c.v.since(c.Updated) > stalled }

// Idle is how long nothing has moved.
func (c course) Idle() time.Duration { return c.v.since(c.Updated) }

// Awaited is what a change that waits waits for: the step it is at.
func (c course) Awaited() string { return c.v.say("change.waits_" + c.Doing()) }

// since is how long a moment is past. A stream lives longer than the request it came with.
func (v *visit) since(t time.Time) time.Duration { return time.Since(t) }

// At orders drawings of it: the later one counts.
func (c course) At() int64 { return c.Updated.UnixMilli() }

// Name is what it is about, as people call it.
func (c course) Name() string { return c.v.called(c.Service, c.Slug) }

// Tone is the colour of how it ended: ok, warn, bad, or "" while it goes on.
func (c course) Tone() string {
	switch {
	case !c.Done:
		return ""
	case c.Good:
		return "ok"
	case c.State == "refused" || c.State == "stuck":
		return "bad"
	case c.State == "deferred":
		return "info"
	case c.State == "abandoned":
		return "mute"
	}
	return "warn"
}

// Outcome is how it stands, in the words of the filter.
func (c course) Outcome() string {
	switch {
	case !c.Done:
		return "going"
	case c.Good:
		return "good"
	case c.State == "rolled-back":
		return "back"
	}
	return c.State
}

// Icon is the picture of how it stands; its word stands beside.
func (c course) Icon() string {
	switch c.Outcome() {
	case "good":
		return "circle-check"
	case "back":
		return "undo-2"
	case "refused":
		return "shield-x"
	case "deferred":
		return "shield-question-mark"
	case "abandoned":
		return "circle-slash"
	case "stuck":
		return "triangle-alert"
	}
	return "refresh-cw"
}

// Title is what it is for.
func (c course) Title() string {
	key := "change.kind_" + strings.ReplaceAll(c.Kind, "-", "_")
	if !c.v.known(key) {
		key = "change.kind_other"
	}
	return c.v.say(key, c.Name(), c.To)
}

// Said is how it ended, in a sentence.
func (c course) Said() string {
	key := "change." + strings.ReplaceAll(c.Kind, "-", "_") + "_" + strings.ReplaceAll(c.State, "-", "_")
	if !c.v.known(key) {
		key = "change." + strings.ReplaceAll(c.State, "-", "_")
	}
	if !c.v.known(key) { // it has not ended, or in a way that is not known yet
		return c.Title()
	}
	return c.v.say(key, c.Name(), c.To, c.From)
}

// Unchanged says what goes on as it was, where it did not end as it should, and After what to do; "" = nothing.
func (c course) Unchanged() string { return c.about("unchanged") }

// After is what a person can do.
func (c course) After() string { return c.about("after") }

func (c course) about(what string) string {
	if c.Outcome() == "good" || c.Outcome() == "going" {
		return ""
	}
	key := "change." + what + "_" + strings.ReplaceAll(c.State, "-", "_")
	if !c.v.known(key) {
		return ""
	}
	return c.v.say(key, c.Name(), c.To, c.From)
}

// Doing is the name of the step it is at.
func (c course) Doing() string { return stages[max(0, c.Stage)] }

// Took is how long it was under way.
func (c course) Took() time.Duration { return c.Updated.Sub(c.Created) }

// Pause is for how long the service was away in it, 0 when that is not known.
func (c course) Pause() time.Duration { return pauseOf(c.Change) }

// Href is its own page.
func (c course) Href() string { return "/ui/updates/changes/" + c.ID }

// Service's page here.
func (c course) ServiceHref() string { return servicePath(c.Service) }

// steps are its steps with their times, where they are known.
func (c course) steps() []changeStep {
	w := c.v.ui.in(c.v.lang)
	last := c.Created
	reached := -1 // the last step that is known to be behind it
	for i, state := range endOf {
		if state != "" && !passedAt(c.Change, state).IsZero() {
			reached = i
		}
	}
	if c.Good {
		reached = len(stages) - 1
	}
	if c.Stage < 0 && !c.Good && len(c.Passed) == 0 { // from before that was kept
		return nil
	}
	var out []changeStep
	for i, name := range stages {
		s := changeStep{Stage: name, Done: i <= reached || c.Stage > i, Now: c.Stage == i, Failed: c.Done && !c.Good && i == reached+1}
		if at := passedAt(c.Change, endOf[i]); endOf[i] != "" && !at.IsZero() {
			s.Took = w.lasts(at.Sub(last))
			last = at
		}
		if name == "verify" && i > 0 { // the daemon tells of both together, and the download is what takes long
			out[i-1].Took, s.Took = s.Took, ""
		}
		out = append(out, s)
	}
	return out
}
