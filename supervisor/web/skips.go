package web

import (
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// Groups of services by what is to be done about their updates.
const (
	groupYou  = "you"  // a person has to do something, or to agree
	groupSelf = "self" // it comes by itself
	groupKept = "kept" // the owner decided so
	groupRest = "rest" // there is nothing to take
)

// skipCodes are the codes of a plan's skips: their group, and what a person can press. "" is a step that moves. Each has a
// sentence in words/skip.yaml.
var skipCodes = map[string]struct{ group, act string }{
	"":                   {groupSelf, actUpdate},
	"ask":                {groupYou, actUpdate},
	"failed-before":      {groupYou, actUpdate},
	"breaking":           {groupYou, actUpdate},
	"consent":            {groupYou, actConsent},
	"options":            {groupYou, actOptions},
	"local-build":        {groupYou, actAddon},
	"backup":             {groupYou, actUpdate},
	"window":             {groupSelf, actUpdate},
	"too-new":            {groupSelf, actUpdate},
	"rollout":            {groupSelf, actUpdate},
	"requires":           {groupSelf, actUpdate},
	"unverified-channel": {groupSelf, actUpdate},
	"together":           {groupSelf, ""},
	"busy":               {groupSelf, ""},
	"hold":               {groupKept, actUnhold},
	"off":                {groupKept, actUpdate},
	"skipped":            {groupKept, actUnskip},
	"up-to-date":         {groupRest, ""},
	"downgrade":          {groupRest, ""},
	"uncomparable":       {groupRest, ""},
	"no-target":          {groupRest, ""},
	"detached":           {groupRest, actAddon},
	"unavailable":        {groupRest, actAddon},
}

// What can be pressed beside an update.
const (
	actUpdate  = "update"
	actConsent = "consent" // on the add-on's page
	actOptions = "options" // likewise
	actAddon   = "addon"   // likewise
	actUnhold  = "unhold"
	actUnskip  = "unskip"
)

// skipGroup is the group of a code. One that is not known has a person look.
func skipGroup(code string) string {
	if c, ok := skipCodes[code]; ok {
		return c.group
	}
	return groupYou
}

// skipText says in a sentence why a service does not move.
func (v *visit) skipText(s api.PlanService, name string) string {
	key := "skip." + strings.ReplaceAll(s.Code, "-", "_")
	if s.Code == "" {
		key = "skip.moves"
	}
	w := v.ui.in(v.lang)
	if _, ok := w.words[key]; !ok {
		return s.Why
	}
	if _, ok := w.words[key+"_until"]; ok && s.Ends.After(v.now) {
		return w.text(key+"_until", name, s.To, s.From, v.moment(s.Ends))
	}
	return w.text(key, name, s.To, s.From)
}

// moment is a time ahead in words: how long until then, and when that is on the clock.
func (v *visit) moment(t time.Time) string {
	w := v.ui.in(v.lang)
	if t.Sub(v.now) < 24*time.Hour && t.Local().Day() == v.now.Local().Day() {
		return w.text("time.today_at", t.Local().Format("15:04"))
	}
	return w.stamp(t)
}
