package updater

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/castellan/castellan/trust"
)

// RetryFailed is how long an update that was rolled back or refused is not tried again by itself.
const RetryFailed = 24 * time.Hour

// Codes of [Skip]; stable API.
const (
	SkipUpToDate     = "up-to-date"
	SkipHold         = "hold"
	SkipAsk          = "ask"
	SkipOff          = "off"
	SkipSkipped      = "skipped" // the owner passed this version over
	SkipWindow       = "window"  // outside the maintenance windows
	SkipBusy         = "busy"
	SkipDowngrade    = "downgrade"
	SkipUncomparable = "uncomparable"
	SkipFailed       = "failed-before"
	SkipNoTarget     = "no-target"
	SkipRollout      = "rollout"
	SkipUnverified   = "unverified-channel"
	SkipRequires     = "requires"
	SkipTogether     = "together" // another service of a release that moves as one can't move
	SkipDetached     = "detached"
	SkipUnavailable  = "unavailable"
	SkipTooNew       = "too-new"
	SkipBreaking     = "breaking"
	SkipOptions      = "options"
	SkipConsent      = "consent"
	SkipLocalBuild   = "local-build"
)

// OwnerRequest is what the owner asked for just now; the zero value means nothing. It lifts "ask", "failed-before",
// "rollout", "unverified-channel" and "requires" (for the last two the Judge answers, with a log record) for what it
// names, and with a version "downgrade" and "uncomparable". It lifts "window", and for a service that it names "off" and
// "skipped": a good version that takes the place of a withdrawn one is asked for in this way. Of an add-on it lifts "too-new" and "breaking", and "options"
// where it does not run. It lifts neither "hold" nor "busy", nor "detached", "unavailable", "consent" and "local-build".
type OwnerRequest struct {
	Service string
	Version string // "" = what the channel offers
	All     bool   // every service that has an update
}

func (r OwnerRequest) names(service string) bool {
	return r.All || r.Service == service && service != ""
}

// NewPlan decides what should move now. It is a pure function: the same arguments give the same plan, and nothing is
// read or changed. rel may be nil when no channel was ever read. Steps and skips are in the order of installed, and
// every service is in exactly one of the two.
func NewPlan(installed []Installed, rel *Release, now time.Time, owner OwnerRequest) Plan {
	p := planner{installed: installed, rel: rel, now: now, owner: owner}
	plan := Plan{Made: now, Together: rel != nil && rel.Together}
	moves := make([]move, len(installed))
	for i, s := range installed {
		moves[i] = p.decide(s)
	}
	if plan.Together {
		p.holdTogether(moves)
	}
	for _, m := range moves {
		if m.skip != nil {
			plan.Skips = append(plan.Skips, *m.skip)
		} else {
			plan.Steps = append(plan.Steps, m.step)
		}
	}
	if owner.Service != "" && !slices.ContainsFunc(installed, func(s Installed) bool { return s.Service == owner.Service }) {
		plan.Skips = append(plan.Skips, Skip{Service: owner.Service, Code: SkipNoTarget, Why: "no service has this name; `castellan status` lists them", Next: "castellan status"})
	}
	return plan
}

type planner struct {
	installed []Installed
	rel       *Release
	now       time.Time
	owner     OwnerRequest
}

// byVersion tells whether the owner named this service and a version, the only way down.
func (p *planner) byVersion(s Installed) bool {
	return p.owner.Version != "" && p.owner.Service == s.Service
}

// move is a step, or the skip instead of it.
type move struct {
	step Step
	skip *Skip
}

// decide looks at one service alone.
func (p *planner) decide(s Installed) move {
	if a := s.Addon; a != nil && a.Detached != "" {
		return skipped(s, Target{}, SkipDetached, "%s; it runs on as it is", a.Detached)
	}
	to, why := p.target(s)
	if why != "" {
		return skipped(s, to, SkipNoTarget, "%s", why)
	}
	asked := p.owner.names(s.Service) || p.askedTogether(s)
	offered := to.Version
	if p.byVersion(s) && p.owner.Version != offered {
		var err error
		if to, err = to.at(p.owner.Version); err != nil {
			return skipped(s, to, SkipNoTarget, "%s", err)
		}
	}
	if m, skip := p.compare(s, to); skip {
		return m
	}
	step := Step{Service: s.Service, Class: s.Class, Action: trust.AutoUpdate, From: s.Version, To: to}
	switch {
	case asked && s.Version != "":
		step.Action = trust.OwnerUpdate
	case s.Version == "":
		step.Action = trust.Install // configured by the owner and not there yet
	}
	if s.Target != "" {
		step.Channel = &trust.ChannelClaim{Name: p.rel.Channel, Digest: p.rel.Digest, Floor: p.rel.Floor[s.Target]}
		if to.Version == offered {
			step.Requires = p.unmet(s.Target)
		}
	}
	return p.allow(s, step, asked)
}

// allow applies what may hold a wanted step back.
func (p *planner) allow(s Installed, step Step, asked bool) move {
	fresh := s.Version == ""
	sinceFailure := p.now.Sub(s.Failed.When) // negative after the clock was set back: then it is no guide
	switch {
	case s.Busy != "":
		return skipped(s, step.To, SkipBusy, "change %s is under way; it is looked at again when that ends", s.Busy)
	}
	if m, skip := p.holdDecided(s, step); skip {
		return m
	}
	if s.Addon != nil {
		if m, skip := p.holdAddon(s, step, asked); skip {
			return m
		}
	}
	switch {
	case step.Channel != nil && !p.rel.Verified && !asked:
		return skipped(s, step.To, SkipUnverified, "no trusted channel record names this channel file; it moves once the ledger and the file agree")
	case !asked && s.Failed.Version == step.To.Version && sinceFailure >= 0 && sinceFailure < RetryFailed:
		again := s.Failed.When.Add(RetryFailed)
		return skipped(s, step.To, SkipFailed, "this version did not work on %s (%s); it is tried again after %s, when a newer one comes, or when you ask",
			s.Failed.When.UTC().Format(time.DateTime), s.Failed.Why, again.UTC().Format(time.DateTime)).until(again)
	case !asked && len(step.Requires) > 0:
		return skipped(s, step.To, SkipRequires, "it needs %s first", strings.Join(step.Requires, " and "))
	case !asked && !fresh && step.Channel != nil && p.rel.Bucket >= p.rel.Rollout:
		return skipped(s, step.To, SkipRollout, "the release goes to %d %% of homes so far and this one is not among them; it comes later, or when you ask", p.rel.Rollout)
	case !asked && !fresh && s.Class == trust.ClassLocal:
		return skipped(s, step.To, SkipAsk, "a local build moves only when you ask: castellan update %s", s.Service)
	case !asked && !fresh && s.Mode != ModeAuto:
		return skipped(s, step.To, SkipAsk, "it waits for you: castellan update %s", s.Service)
	case !asked && !fresh:
		if m, skip := p.holdWindow(s, step); skip {
			return m
		}
	}
	return move{step: step}
}

// target finds what a service would run, or why there is nothing.
func (p *planner) target(s Installed) (to Target, why string) {
	switch {
	case s.Target == "" && s.Want.Reference == "":
		return Target{}, "its settings name neither a channel target nor an image"
	case s.Target == "":
		return s.Want, ""
	case p.rel == nil:
		return Target{}, "no channel file was read yet; it is looked at again after the next poll"
	}
	to, ok := p.rel.Targets[s.Target]
	if !ok {
		return Target{}, fmt.Sprintf("channel %q has no target %q; correct the service's settings", p.rel.Channel, s.Target)
	}
	return to, ""
}

// compare tells whether to is an update for s. An add-on moves whenever its version differs, also down, because a
// repository that takes a version back means it; everything else only moves up, but for the owner's word.
func (p *planner) compare(s Installed, to Target) (m move, skip bool) {
	if s.Version == "" {
		return move{}, false
	}
	if NormalVersion(s.Version) == NormalVersion(to.Version) {
		return skipped(s, to, SkipUpToDate, "runs %s, the newest offered", s.Version), true
	}
	if s.Class == trust.ClassAddon || s.Class == trust.ClassLocal || p.byVersion(s) {
		return move{}, false
	}
	order, ok := CompareVersions(s.Version, to.Version)
	switch {
	case !ok:
		return skipped(s, to, SkipUncomparable, "runs %s and %s is offered, and neither is newer; ask for that version to move", s.Version, to.Version), true
	case order > 0:
		return skipped(s, to, SkipDowngrade, "runs %s, newer than the offered %s; ask for that version to go back", s.Version, to.Version), true
	}
	return move{}, false
}

// unmet lists the requirements of a target that what is installed does not meet. In a release that moves together the
// versions of the release itself count.
func (p *planner) unmet(target string) []string {
	var out []string
	for _, r := range p.rel.Requires[target] {
		have := ""
		for _, s := range p.installed {
			if s.Target == r.Target {
				have = s.Version
			}
		}
		if p.rel.Together && !atLeast(have, r.Version) && p.installs(r.Target) {
			have = p.rel.Targets[r.Target].Version
		}
		switch {
		case have == "":
			out = append(out, fmt.Sprintf("%s %s or newer (not installed)", r.Target, r.Version))
		case !atLeast(have, r.Version):
			out = append(out, fmt.Sprintf("%s %s or newer (has %s)", r.Target, r.Version, have))
		}
	}
	return out
}

func (p *planner) installs(target string) bool {
	return slices.ContainsFunc(p.installed, func(s Installed) bool { return s.Target == target })
}

func atLeast(have, want string) bool {
	order, ok := CompareVersions(have, want)
	return ok && order >= 0
}

// askedTogether tells whether the owner's word for one service of a release that moves as one means s as well.
func (p *planner) askedTogether(s Installed) bool {
	if p.rel == nil || !p.rel.Together || s.Target == "" || p.owner.Service == "" || p.owner.Version != "" {
		return false
	}
	return slices.ContainsFunc(p.installed, func(o Installed) bool { return o.Service == p.owner.Service && o.Target != "" })
}

// holdTogether keeps all services of the channel back when one of them can't move. Those that are up to date already,
// or that the owner moves to a version of its own, are no part of it.
func (p *planner) holdTogether(moves []move) {
	blocker := ""
	for i, m := range moves {
		if p.installed[i].Target != "" && m.skip != nil && m.skip.Code != SkipUpToDate && m.skip.Code != SkipNoTarget && m.skip.Code != SkipDowngrade {
			blocker = p.installed[i].Service + " (" + m.skip.Code + ")"
			break
		}
	}
	if blocker == "" {
		return
	}
	for i, m := range moves {
		s := p.installed[i]
		if s.Target != "" && m.skip == nil && !p.byVersion(s) {
			moves[i] = skipped(s, m.step.To, SkipTogether, "the release moves as one and %s can't move now", blocker)
		}
	}
}

func skipped(s Installed, to Target, code, format string, args ...any) move {
	return move{skip: &Skip{Service: s.Service, Code: code, Why: fmt.Sprintf(format, args...), To: to, Next: nextStep(s, to, code)}}
}

// until adds when a skip ends by itself.
func (m move) until(at time.Time) move {
	m.skip.Ends = at
	return m
}
