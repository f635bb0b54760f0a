package updater

import (
	"fmt"
	"slices"
	"time"
)

// Decided is what the owner decided of one service's updates, besides its mode. The zero value is nothing.
type Decided struct {
	Hold    *Hold    // nil = none
	Skipped []string // versions that are passed over
	Windows Windows  // in which updates begin by themselves; none = at any time
	Unknown string   // why it can't be told what was decided, "" = it can; nothing moves by itself until then
}

// Hold keeps a service where it is.
type Hold struct {
	Until time.Time // zero = until it is ended
	Why   string    // in the owner's words, may be ""
}

// Holds tells whether the hold is in force.
func (h *Hold) Holds(now time.Time) bool {
	return h != nil && (h.Until.IsZero() || now.Before(h.Until))
}

// String is for people: "its updates are on hold until … (guests)".
func (h *Hold) String() string {
	s := "its updates are on hold"
	if !h.Until.IsZero() {
		s += " until " + shortTime(h.Until)
	}
	if h.Why != "" {
		s += fmt.Sprintf(" (%s)", h.Why)
	}
	return s
}

// shortTime is a moment for people, with its zone.
func shortTime(t time.Time) string { return t.Format("Mon 2006-01-02 15:04 MST") }

func (d Decided) skips(version string) bool {
	return slices.ContainsFunc(d.Skipped, func(v string) bool { return NormalVersion(v) == NormalVersion(version) })
}

// holdDecided applies the owner's standing word. A hold counts until it is ended; the rest gives way to an owner who asks
// for this service.
func (p *planner) holdDecided(s Installed, step Step) (m move, skip bool) {
	fresh, named := s.Version == "", p.owner.Service == s.Service || p.askedTogether(s)
	switch d := s.Decided; {
	case s.Mode == ModeHold:
		m = skipped(s, step.To, SkipHold, "updates are on hold; set its mode to ask or auto to let it move")
		m.skip.Next = "castellan mode " + s.Service + " ask"
		return m, true
	case d.Hold.Holds(p.now):
		return skipped(s, step.To, SkipHold, "%s; castellan unhold %s lets it move", d.Hold, s.Service).until(d.Hold.Until), true
	case d.Unknown != "" && !named:
		m = skipped(s, step.To, SkipHold, "it can't be told what you decided of its updates: %s", d.Unknown)
		m.skip.Next = "castellan update " + s.Service
		return m, true
	case !fresh && !named && s.Mode == ModeOff:
		return skipped(s, step.To, SkipOff, "its updates are switched off; it moves when you ask: castellan update %s", s.Service), true
	case !fresh && !named && d.skips(step.To.Version):
		return skipped(s, step.To, SkipSkipped, "you skipped version %s; a newer one is taken again, or: castellan unskip %s %s", step.To.Version, s.Service, step.To.Version), true
	}
	return move{}, false
}

// holdWindow lets a step that nothing else holds back wait for the time its owner set aside.
func (p *planner) holdWindow(s Installed, step Step) (m move, skip bool) {
	opens := s.Decided.Windows.Next(p.now)
	if opens.Equal(p.now) {
		return move{}, false
	}
	return skipped(s, step.To, SkipWindow, "it waits for its maintenance window, which opens %s; at once: castellan update %s",
		shortTime(opens), s.Service).until(opens), true
}

// nextStep is what a person can do about a skip, "" for nothing.
func nextStep(s Installed, to Target, code string) string {
	addon := func(verb string) string {
		if s.Addon == nil {
			return "castellan status"
		}
		return "castellan addon " + verb + " " + s.Addon.Slug
	}
	switch code {
	case SkipUpToDate:
		return ""
	case SkipAsk, SkipOff, SkipWindow, SkipFailed, SkipRollout, SkipTooNew, SkipBreaking, SkipRequires:
		return "castellan update " + s.Service
	case SkipHold:
		return "castellan unhold " + s.Service
	case SkipSkipped:
		return "castellan unskip " + s.Service + " " + to.Version
	case SkipDowngrade, SkipUncomparable:
		return "castellan update " + s.Service + " --to " + to.Version
	case SkipUnverified:
		return "castellan check"
	case SkipTogether:
		return "castellan plan"
	case SkipConsent:
		return addon("consent")
	case SkipOptions:
		return addon("options")
	case SkipLocalBuild:
		return addon("build")
	case SkipDetached, SkipUnavailable:
		return addon("info")
	}
	return "castellan status"
}
