package updater

import (
	"cmp"
	"strings"
	"time"
)

// MinAge is how long a version of an add-on must have been seen before it is taken by itself: most bad releases are found
// out by then.
const MinAge = 24 * time.Hour

// holdAddon applies what holds an update of an add-on back, as Home Assistant's automatic update does, and what its owner
// must agree to, which Home Assistant does not ask.
func (p *planner) holdAddon(s Installed, step Step, asked bool) (m move, skip bool) {
	a := s.Addon
	least := cmp.Or(a.MinAge, MinAge)
	age := p.now.Sub(a.Seen) // negative after the clock was set back: then it is no guide, and it waits
	switch {
	case a.Unavailable != "":
		return skipped(s, step.To, SkipUnavailable, "%s", a.Unavailable), true
	case a.Local:
		return skipped(s, step.To, SkipLocalBuild, "it is built on this appliance when you ask: castellan addon build %s", a.Slug), true
	case len(a.Asks) > 0:
		return skipped(s, step.To, SkipConsent, "version %s asks for more than you granted: %s; look at it and agree with: castellan addon consent %s",
			step.To.Version, strings.Join(a.Asks, ", "), a.Slug), true
	case s.Version == "":
		return move{}, false
	case a.Options != "" && !(asked && a.Asleep):
		return skipped(s, step.To, SkipOptions, "the options are not good for version %s: %s; correct them, or stop the add-on, update it, and correct them then",
			step.To.Version, a.Options), true
	case asked:
		return move{}, false
	case a.Crosses(s.Version, step.To.Version):
		return skipped(s, step.To, SkipBreaking, "version %s breaks with what was before; read what changed, then: castellan update %s", step.To.Version, s.Service), true
	case s.Mode == ModeAuto && (a.Seen.IsZero() || age < least):
		m = skipped(s, step.To, SkipTooNew, "version %s is too new to be taken by itself; it is after %s, or when you ask",
			step.To.Version, a.Seen.Add(least).UTC().Format(time.DateTime))
		if a.Seen.IsZero() {
			return m, true
		}
		return m.until(a.Seen.Add(least)), true
	}
	return move{}, false
}

// Crosses tells whether an update from one version to another reaches or passes one that breaks. What cannot be compared
// is taken to.
func (a *Addon) Crosses(from, to string) bool {
	for _, b := range a.Breaking {
		before, ok1 := CompareVersions(from, b)
		after, ok2 := CompareVersions(to, b)
		if !ok1 || !ok2 || before < 0 && after >= 0 {
			return true
		}
	}
	return false
}
