package web

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// offer is one service with what is offered for it, as pages show it.
type offer struct {
	api.PlanService
	v       *visit
	Name    string // as people call it
	Slug    string // of an add-on
	Status  api.ServiceStatus
	Decided api.ServiceDecisions
	News    *news   // what it brings, where that is known
	Failed  *course // how this version ended here before; nil = it was not tried
	took    time.Duration
	paused  time.Duration
}

// houseOfUpdates is all there is to know of updates.
type houseOfUpdates struct {
	Status  api.Status
	Plan    api.PlanPreview
	Windows api.DecisionList
	Offers  []offer
	Changes []api.Change // newest first
}

// updatesNow asks for it, and for more beside it. Sizes are those that are known already. With an error it tells what could be
// asked.
func (v *visit) updatesNow(more ...func()) (houseOfUpdates, error) {
	var out houseOfUpdates
	var ask sync.WaitGroup // beside each other: some of them ask the engine
	var errs [4]error
	ask.Go(func() { out.Status, errs[0] = v.status() })
	ask.Go(func() { out.Plan, errs[1] = v.api.Plan(v.ctx(), false) })
	ask.Go(func() {
		list, err := v.api.Changes(v.ctx())
		out.Changes, errs[2] = list.Changes, err
	})
	ask.Go(func() { out.Windows, errs[3] = v.api.Decisions(v.ctx()) })
	for _, one := range more {
		ask.Go(one)
	}
	ask.Wait()
	err := cmp.Or(errs[:]...) // the first of them says most
	for _, p := range out.Plan.Services {
		o := offer{PlanService: p, v: v}
		for _, s := range out.Status.Services {
			if s.Name == p.Service {
				o.Status, o.Slug = s, s.Slug
			}
		}
		for _, d := range out.Windows.Services {
			if d.Service == p.Service {
				o.Decided = d
			}
		}
		o.Name = v.called(p.Service, o.Slug)
		o.took, o.paused = lastTook(out.Changes, p.Service)
		o.Failed = v.triedBefore(out.Changes, p, o.stuck())
		out.Offers = append(out.Offers, o)
	}
	sort.SliceStable(out.Offers, func(i, j int) bool { return out.Offers[i].stuck() && !out.Offers[j].stuck() }) // before all else
	return out, err
}

// triedBefore is the last change that brought a service no further to what is offered for it, or that is stuck.
func (v *visit) triedBefore(changes []api.Change, p api.PlanService, stuck bool) *course {
	for _, c := range changes {
		failed := c.Done && c.To == p.To && p.Code == "failed-before"
		if c.Service == p.Service && (stuck && c.State == "stuck" || !stuck && failed) {
			if c.Good {
				return nil
			}
			out := v.course(c)
			return &out
		}
	}
	return nil
}

// read fills in what updates bring, for those that are offered.
func (v *visit) read(list []offer) {
	for i, o := range list {
		if o.Slug != "" && o.From != o.To && i < mostRead {
			list[i].News = v.newsOf(o.Slug, o.From, o.To)
		}
	}
}

// mostRead bounds how many changelogs one page reads.
const mostRead = 24

// lastTook is how long the last update of a service that succeeded took, and for how long the service paused in it; 0 when
// that is not known.
func lastTook(changes []api.Change, service string) (all, pause time.Duration) {
	for _, c := range changes {
		if c.Service == service && c.Kind == "update" && c.Good {
			return c.Updated.Sub(c.Created), pauseOf(c)
		}
	}
	return 0, 0
}

// pauseOf is for how long a service was away in a change: from the end of the preparation until it was healthy.
func pauseOf(c api.Change) time.Duration {
	created, healthy := passedAt(c, "created"), passedAt(c, "healthy")
	if created.IsZero() || healthy.Before(created) {
		return 0
	}
	return healthy.Sub(created)
}

// passedAt is when a change reached a state, the zero time when it did not.
func passedAt(c api.Change, state string) time.Time {
	for _, p := range slices.Backward(c.Passed) {
		if p.State == state {
			return p.At
		}
	}
	return time.Time{}
}

// Unsized tells whether a registry could say how large it is.
func (o offer) Unsized() bool {
	return !o.Known && o.Trouble == "" && o.To != "" && o.To != o.From && o.Group() != groupRest && o.Code != "local-build" && o.Code != "busy"
}

// unsized tells whether any of them wants a size, on a page that was not given them yet.
func (v *visit) unsized(list []offer) bool {
	return v.query("sized") == "" && slices.ContainsFunc(list, offer.Unsized)
}

// stuck tells that a person has to decide.
func (o offer) stuck() bool { return o.Status.State == "stuck" }

// Group tells where it stands on the page.
func (o offer) Group() string {
	switch {
	case o.stuck():
		return groupYou
	case o.Code == "up-to-date" || o.To == "":
		return groupRest
	}
	return skipGroup(o.Code)
}

// Act is what can be pressed beside it, "" for nothing. A viewer presses nothing.
func (o offer) Act() string {
	if o.stuck() || !o.v.may("operator") {
		return ""
	}
	return skipCodes[o.Code].act
}

// Ready tells whether an update can be asked for.
func (o offer) Ready() bool { return o.Act() == actUpdate && o.To != "" && o.To != o.From }

// Careful tells whether a person should read before he asks for it.
func (o offer) Careful() bool {
	return o.Breaking || o.Code == "failed-before" || o.Kind() == "breaking"
}

// Kind is what it brings in a word: breaking, features, fixes, or "".
func (o offer) Kind() string {
	switch {
	case o.Breaking:
		return "breaking"
	case o.News != nil:
		return o.News.Kind
	}
	return ""
}

// Sentence says how it stands.
func (o offer) Sentence() string {
	if o.stuck() {
		return o.v.say("skip.stuck", o.Name)
	}
	if o.Code == "failed-before" && o.yours() {
		return o.v.say("skip.failed_before_yours", o.Name, o.To, o.From)
	}
	if o.Failed != nil && o.Failed.State == "refused" {
		return o.v.say("skip.failed_before_refused", o.Name, o.To, o.From)
	}
	return o.v.skipText(o.PlanService, o.Name)
}

// yours tells that a person went back from what is offered: it did not fail.
func (o offer) yours() bool { return o.Status.Error == o.To+": rolled back from it" }

// Said are the daemon's own words where they tell more than the sentence: what failed, what is needed. Its advice for a
// terminal is left out.
func (o offer) Said() string {
	switch o.Code {
	case "failed-before":
		if o.yours() || o.Failed != nil && o.Failed.State == "refused" { // its page tells more
			return ""
		}
		return strings.TrimPrefix(o.Status.Error, o.To+": ")
	case "options":
		return o.Options
	case "unavailable", "detached", "requires", "no-target", "backup":
		said, _, _ := strings.Cut(o.Why, "; ")
		return said
	}
	return ""
}

// Facts are size, time and pause in words: what is known, and nothing else.
func (o offer) Facts() []string {
	w, out := o.v.ui.in(o.v.lang), []string{}
	if o.Known && o.Bytes > 0 {
		out = append(out, w.size(o.Bytes))
	}
	if o.took > 0 {
		out = append(out, w.text("updates.took", w.lasts(o.took)))
	}
	switch {
	case o.Restarts && o.paused > 0:
		out = append(out, w.text("updates.pause", w.lasts(o.paused)))
	case o.Restarts:
		out = append(out, w.text("updates.restarts"))
	}
	if o.Backup {
		out = append(out, w.text("updates.backup_first"))
	}
	return out
}

// Icon is the picture of its kind.
func (o offer) Icon() string {
	switch {
	case o.Slug != "" || o.Class == "addon":
		return "box"
	case o.Class == "core":
		return "house"
	}
	return "cpu"
}

// Href is its own page.
func (o offer) Href() string { return servicePath(o.Service) }

// CanGoBack tells whether there is a version to go back to, and nothing else is going on.
func (o offer) CanGoBack() bool { return o.Status.Previous != "" && o.Status.Change == "" }
