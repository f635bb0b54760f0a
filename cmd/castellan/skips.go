package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/updater"
)

// Bounds of the log's records about skips.
const (
	tellAgain   = 24 * time.Hour // a skip that goes on, or comes and goes, has one record in this time
	skipsTold   = 2000
	skipsReread = 2000 // records that are read at the start to find what was told
	skipRecord  = "waits: "
)

// skipStory remembers which skips the log knows of.
type skipStory struct{ told map[string]time.Time }

// tellSkips writes one record for each skip of the plan that the log does not know of, so that it can be told later why
// something did not move. What is up to date has nothing to tell, and what is busy tells itself. It is for the update
// loop, one turn at a time.
func (h *house) tellSkips(ctx context.Context, plan updater.Plan) {
	now := h.now()
	if h.skips.told == nil {
		h.skips.told = h.skipsInLog(now)
	}
	if len(h.skips.told) > skipsTold { // of services long gone, most likely; the rest is told once more
		clear(h.skips.told)
	}
	for _, s := range plan.Skips {
		if s.Code == updater.SkipUpToDate || s.Code == updater.SkipBusy {
			continue
		}
		a := supervisor.Action{Service: s.Service, What: skipRecord + s.Code, To: s.To.Version} // the words may be the owner's own
		if since := now.Sub(h.skips.told[skipKey(a)]); since >= 0 && since < tellAgain {
			continue
		}
		h.skips.told[skipKey(a)] = now
		h.note(ctx, audit.KindAction, a)
	}
}

func skipKey(a supervisor.Action) string { return a.Service + "\x00" + a.What + "\x00" + a.To }

// skipsInLog are the skips that were told of lately. A log that can't be read says so elsewhere.
func (h *house) skipsInLog(now time.Time) map[string]time.Time {
	told, n := map[string]time.Time{}, 0
	for rec, err := range h.audit.Records(audit.Filter{Kinds: []audit.Kind{audit.KindAction}, Newest: true}) {
		if n++; err != nil || n > skipsReread || now.Sub(rec.Time) >= tellAgain {
			break
		}
		var a supervisor.Action
		if json.Unmarshal(rec.Payload, &a) == nil && strings.HasPrefix(a.What, skipRecord) {
			if _, ok := told[skipKey(a)]; !ok {
				told[skipKey(a)] = rec.Time
			}
		}
	}
	return told
}
