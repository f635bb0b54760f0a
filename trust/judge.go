package trust

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Freshness of a ledger where neither policy nor root says otherwise, and the grace of step 6: how much newer than the
// first look at a reference a checkpoint must be before a missing notarization means anything.
const (
	DefaultWarn = 48 * time.Hour
	DefaultMax  = 14 * 24 * time.Hour
	LagGrace    = time.Hour
	maxAhead    = 24 * time.Hour // a ledger dated further ahead of the trusted clock can't be aged
)

// Judge decides about an image by the steps of TRUST.md §6 (all but the bill of materials). It is a pure function: no
// input or output, no clock, no memory between calls; it leaves in and all it refers to as they were, and the same
// input gives the same verdict on every machine.
//
// The first refusal or deferral decides, unless an override of in covers it; then the steps go on, so that an
// override lifts only the reasons it lists. A verdict that nothing spoke for is never an ALLOW.
func Judge(in Input) Verdict {
	j := judgement{in: &in, words: newWords(&in.Facts, &in.Root, in.Sticky)}
	j.accepted, j.required = accepted(in.Subject, in.Root, in.Policy, in.Pin)
	j.v = Verdict{Subject: in.Subject, Action: in.Action, Outcome: Defer, Head: in.Facts.Head, Now: in.Now}
	if !j.steps() {
		j.allow(Allow)
	}
	j.v.Ignored = j.ignored()
	return j.v
}

// ignored counts the records about the subject's digests that anybody could have made: they change nothing, but that
// they are there is worth knowing. Those that were too many to copy were counted by the collector.
func (j *judgement) ignored() int {
	n := j.in.Facts.LeftOut
	for i := range j.in.Facts.Records {
		rec := &j.in.Facts.Records[i]
		by := rec.Notarization.Publisher
		if !slices.Contains(j.accepted, by) && !slices.Contains(j.in.Root.Security, by) || j.words.standing(rec) == worthless {
			n++
		}
	}
	return n
}

// Against lists everything that stands against the subject and can be forced, in order, and the first thing that
// can't be, if there is one. It is what an override has to list to help.
func Against(in Input) []Finding {
	in.Change = "against"
	in.Override = &Override{Component: in.Subject.Component, Digest: in.Subject.Manifest, Confirmed: true, UsedBy: in.Change}
	for _, m := range meanings {
		in.Override.Reasons = append(in.Override.Reasons, m.Reason)
	}
	v := Judge(in)
	return slices.DeleteFunc(v.Findings, func(f Finding) bool { return !f.Overridden && (!f.Decided || v.Outcome.Allowed()) })
}

// judgement is one run of the Judge. Steps return true when the verdict stands.
type judgement struct {
	in        *Input
	v         Verdict
	words     *words
	accepted  []string // whose notarization is good enough
	required  bool     // whether one is needed
	candidate *PlacedNotarization
}

func (j *judgement) steps() bool {
	update := j.in.Action != Rollback && j.in.Action != Rejudge // those two may need no clock and no fresh ledger
	return j.unread() ||
		j.shape() ||
		j.digests() || // 1
		j.denied() || // 2
		j.withdrawn() || // 3, 4
		update && j.ledger() || // 5
		j.vouched() || // 6, 7
		j.supported() || // 8
		update && j.aged() || // 9
		update && j.fresh() || // 10
		update && j.released() // 11
}

// against notes what speaks against the subject. It decides, unless the override covers it.
func (j *judgement) against(r Reason, pos Position, detail string, args ...any) bool {
	f := Finding{Reason: r, Detail: fmt.Sprintf(detail, args...), Pos: pos}
	m := r.Meaning()
	if j.overrides(m) {
		f.Overridden = true
		j.v.Findings = append(j.v.Findings, f)
		return false
	}
	f.Decided = true
	j.v.Findings = append(j.v.Findings, f)
	j.v.Outcome, j.v.Status = m.Outcome, m.Status
	return true
}

// warn notes what an allowed subject's owner should know.
func (j *judgement) warn(r Reason, pos Position, detail string, args ...any) {
	j.v.Findings = append(j.v.Findings, Finding{Reason: r, Detail: fmt.Sprintf(detail, args...), Pos: pos})
}

// overrides tells whether the override is for this component, one of the subject's digests, this reason, this change,
// and still good. One that the same change has used before a crash stays good for it.
func (j *judgement) overrides(m Meaning) bool {
	o := j.in.Override
	if o == nil || j.in.Change == "" || m.Force == ForceNo || m.Force == ForceTyped && !o.Confirmed {
		return false
	}
	return o.Component == j.in.Subject.Component &&
		slices.Contains(j.in.Subject.Digests(), o.Digest) &&
		slices.Contains(o.Reasons, m.Reason) &&
		o.usable(j.in.Change, j.in.Now)
}

// allow ends the run: with what, or forced when an override was needed on the way.
func (j *judgement) allow(what Outcome) bool {
	j.v.Outcome = what
	if what == Allow && j.v.Status == Unknown {
		j.v.Status = Trusted
	}
	if i := slices.IndexFunc(j.v.Findings, func(f Finding) bool { return f.Overridden }); i >= 0 {
		j.v.Findings[i].Decided = true
		j.v.Outcome, j.v.Override = AllowOverridden, j.in.Override.ID
		j.v.Status = j.v.Findings[i].Reason.Meaning().Status
		j.v.Floor = Position{} // a forced image raises nothing
	}
	return true
}

// unread defers when the replica could not be read; whatever else could be said might say too much.
func (j *judgement) unread() bool {
	u := j.in.Unread
	if u == nil {
		return false
	}
	m := u.Reason.Meaning() // Outcome is Defer: ReasonOf gives no other
	j.v.Findings = append(j.v.Findings, Finding{Reason: u.Reason, Detail: u.Detail, Decided: true})
	j.v.Outcome, j.v.Status = Defer, m.Status
	return true // not even an override helps: what it would be bound to can't be seen
}

// shape refuses subjects no step could say anything true about.
func (j *judgement) shape() bool {
	s := j.in.Subject
	switch {
	case !slices.Contains([]Class{ClassCore, ClassSupervisor, ClassAddon, ClassLocal}, s.Class):
		return j.against(SubjectInvalid, Position{}, "class %q is not core, supervisor, addon or local", s.Class)
	case !slices.Contains([]Action{AutoUpdate, OwnerUpdate, Install, Restore, Rollback, Rejudge}, j.in.Action):
		return j.against(SubjectInvalid, Position{}, "action %q is unknown", j.in.Action)
	case s.Component == "" || s.Repository == "" || s.Version == "" || s.Platform.OS == "" || s.Platform.Architecture == "":
		return j.against(SubjectInvalid, Position{}, "component %q, repository %q, version %q and platform %q must all be known", s.Component, s.Repository, s.Version, s.Platform)
	case s.Manifest == "" || s.Config == "":
		return j.against(SubjectInvalid, Position{}, "manifest and config digest must be known")
	}
	for _, d := range s.Digests() {
		if _, err := ParseDigest(string(d)); err != nil {
			return j.against(SubjectInvalid, Position{}, "%v", err)
		}
	}
	return false
}

func (j *judgement) denied() bool {
	for _, d := range j.in.Subject.Digests() {
		if slices.Contains(j.in.Denied, d) {
			return j.against(LocallyDenied, Position{}, "digest %s", d.Short())
		}
	}
	return false
}

// withdrawn looks for a withdrawal by those whose word counts. How old the ledger is plays no part: age limits what
// may be allowed, never what is blocked.
func (j *judgement) withdrawn() bool {
	word, mark, ok := j.words.withdrawal(j.accepted, j.in.Subject.Digests())
	if !ok {
		return false
	}
	j.v.Severity, j.v.ByRoot = word.Severity, word.ByRoot
	detail := fmt.Sprintf("by %s, record %d.%d", word.Publisher, word.Record.Tx, word.Record.Entry)
	if word.Reason != "" {
		detail += fmt.Sprintf(": %q", word.Reason)
	}
	pos := word.Record
	if mark.Ledger != j.in.Facts.Head.Origin { // the root's, or one the component was in before
		detail, pos = detail+" in ledger "+mark.Ledger, Position{}
	}
	return j.against(Revoked, pos, "%s", detail)
}

// ledger makes sure that the replica is one this component may be judged by.
func (j *judgement) ledger() bool {
	if !j.required {
		return false
	}
	head := j.in.Facts.Head
	if head.Quarantined != "" && j.against(LedgerQuarantined, Position{}, "%s: %s", head.Origin, head.Quarantined) {
		return true
	}
	if of := j.bound(); len(of) > 0 && !slices.Contains(of, head.Origin) {
		return j.against(LedgerChanged, Position{}, "want %s, have %q", strings.Join(of, " or "), head.Origin)
	}
	return false
}

// bound lists the ledgers the component may be judged by: the root's, for what the root names; the pinned one else.
func (j *judgement) bound() []string {
	switch pin := j.in.Pin; {
	case j.core():
		return origins(j.in.Root)
	case pin != nil && pin.Ledger != "":
		return []string{pin.Ledger}
	case j.in.Root.Names(j.in.Subject):
		return origins(j.in.Root)
	}
	return nil
}

func (j *judgement) core() bool {
	return j.in.Subject.Class == ClassCore || j.in.Subject.Class == ClassSupervisor
}

func origins(root Root) []string {
	var out []string
	for _, l := range root.Ledgers {
		out = append(out, l.Origin)
	}
	return out
}

// supported lets an owner take what its publisher has retired, and nobody else.
func (j *judgement) supported() bool {
	if j.candidate == nil {
		return false
	}
	for _, d := range j.in.Subject.Digests() {
		word := j.words.word(j.candidate.Notarization.Publisher, d)
		if word.Status != Unsupported {
			continue
		}
		if j.in.Action == AutoUpdate {
			return j.against(NoLongerSupported, word.Record, "by %s", word.Publisher)
		}
		j.v.Status = Unsupported
		j.warn(NoLongerSupported, word.Record, "by %s", word.Publisher)
		return false
	}
	return false
}

// aged compares with the newest image that proved healthy here: by position in the ledger, for version numbers are
// words of the publisher and positions are not.
func (j *judgement) aged() bool {
	pin, origin := j.in.Pin, j.in.Facts.Head.Origin
	if j.candidate == nil || j.byOwner() || pin == nil || pin.Floor == (Position{}) || pin.Ledger != "" && pin.Ledger != origin {
		return false
	}
	first := j.v.Floor
	if !first.Before(pin.Floor) {
		return false
	}
	if j.in.Action == AutoUpdate {
		return j.against(Downgrade, first, "notarized at %d, the newest good one at %d", first.Tx, pin.Floor.Tx)
	}
	if c := j.in.Channel; c != nil && c.Floor != "" && c.Floor != j.in.Subject.Version {
		oldest, ok := j.oldest()
		if !ok {
			return j.against(Downgrade, first, "channel %s goes back to %s at most, which the ledger does not know", c.Name, c.Floor)
		}
		if first.Before(oldest) {
			return j.against(Downgrade, first, "notarized at %d, channel %s goes back to %s at %d at most", first.Tx, c.Name, c.Floor, oldest.Tx)
		}
	}
	j.warn(DowngradeByUser, first, "notarized at %d, the newest good one at %d", first.Tx, pin.Floor.Tx)
	return false
}

// oldest is where the version the channel lets owners go back to was first notarized.
func (j *judgement) oldest() (pos Position, ok bool) {
	for _, id := range j.accepted {
		j.words.by(j.in.Facts.Oldest, id, func(n *PlacedNotarization, s standing) {
			if s != revokedBy && n.Notarization.Status == Trusted && (!ok || n.Pos.Before(pos)) {
				pos, ok = n.Pos, true
			}
		})
	}
	return pos, ok
}
