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
	took := c.Updated.Sub(c.Created)
	if c.Percent() < 5 || took < 2*time.Second {
		return 0
	}
	return time.Duration(float64(took) * float64(c.Total-c.Bytes) / float64(c.Bytes))
}

// Waits tells that nothing has moved for a while.
func (c course) Waits() bool { return !c.Done && c.v.now.Sub(c.Updated) > stalled }

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
	}
	return "warn"
}

// Said is how it ended, in a sentence.
func (c course) Said() string {
	w := c.v.ui.in(c.v.lang)
	key := "change." + strings.ReplaceAll(c.Kind, "-", "_") + "_" + strings.ReplaceAll(c.State, "-", "_")
	if _, ok := w.words[key]; !ok {
		key = "change." + strings.ReplaceAll(c.State, "-", "_")
	}
	return w.text(key, c.Name(), c.To, c.From)
}

// Doing is the name of the step it is at.
func (c course) Doing() string { return stages[max(0, c.Stage)] }

// Idle is how long nothing has moved.
func (c course) Idle() time.Duration { return c.v.now.Sub(c.Updated) }
