package trust

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// fresh asks how long ago the ledger was last heard of, and whether the clock and the root can be believed about it.
func (j *judgement) fresh() bool {
	in, head := j.in, j.in.Facts.Head
	if in.ClockBad && j.against(ClockUntrusted, Position{}, "it says %s and no better time is known", stamp(in.Now)) {
		return true
	}
	if r := j.rootState(); r != "" && j.against(r, Position{}, "have version %d, which expires %s; the ledger names version %d", in.Root.Version, stamp(in.Root.Expires), head.RootVersion) {
		return true
	}
	warn := cmp.Or(in.Policy.Warn, in.Root.Warn, DefaultWarn)
	most := cmp.Or(in.Policy.Max, in.Root.Max, DefaultMax)
	age := in.Now.Sub(head.Time)
	switch {
	case head.Time.IsZero():
		return j.against(EvidenceUnavailable, Position{}, "ledger %q was never heard of", head.Origin)
	case in.ClockBad:
		return false // forced past it; an age would be made up
	case age < -maxAhead:
		return j.against(ClockUntrusted, Position{}, "ledger %s is dated %s and the clock says %s", head.Origin, stamp(head.Time), stamp(in.Now))
	case age > most:
		return j.against(LedgerExpired, Position{}, "ledger %s: last heard of %s, %s ago, the limit is %s", head.Origin, stamp(head.Time), age.Round(time.Second), most)
	case age > warn:
		j.warn(LedgerStale, Position{}, "ledger %s: last heard of %s, %s ago", head.Origin, stamp(head.Time), age.Round(time.Second))
	}
	return false
}

// rootState is what is wrong with the root document: what its loader found, and what the input shows by itself.
func (j *judgement) rootState() Reason {
	in := j.in
	switch {
	case in.RootState != "":
		return in.RootState
	case slices.Contains(origins(in.Root), in.Facts.Head.Origin) && in.Facts.Head.RootVersion > in.Root.Version:
		return RootMissing
	case !in.ClockBad && !in.Root.Expires.IsZero() && in.Now.After(in.Root.Expires):
		return RootExpired
	}
	return ""
}

// released holds core and supervisor to what the channel says. Owners may take any release that ever stood in it.
func (j *judgement) released() bool {
	in := j.in
	if len(in.Requires) > 0 {
		if in.Action == AutoUpdate {
			if j.against(RequiresUnmet, Position{}, "%s", strings.Join(in.Requires, "; ")) {
				return true
			}
		} else {
			j.warn(RequiresUnmet, Position{}, "%s", strings.Join(in.Requires, "; "))
		}
	}
	if !j.core() {
		return false
	}
	c := in.Channel
	if c == nil {
		// An owner may name a version of his own; it is signed by a core publisher or forced, as the steps before saw.
		return in.Action == AutoUpdate && j.against(NotInChannel, Position{}, "it comes from no channel")
	}
	current, ok := currentChannel(j.words, channelPublishers(in.Root, in.Policy), c.Name)
	if ok && current.Notarization.about(c.Digest) {
		return false
	}
	for _, id := range channelPublishers(in.Root, in.Policy) {
		if word := j.words.channelWord(id, c.Name, c.Digest); word.Status == Trusted {
			if in.Action != AutoUpdate {
				return false
			}
			return j.against(ChannelOutdated, word.Record, "channel %s: file %s was current until record %d", c.Name, c.Digest.Short(), current.Pos.Tx)
		}
	}
	if j.lagging() {
		return j.against(EvidenceUnavailable, Position{}, "channel %s: no record of file %s up to %s", c.Name, c.Digest.Short(), stamp(in.Facts.Head.Time))
	}
	return j.against(NotInChannel, Position{}, "channel %s: no core publisher vouches for file %s", c.Name, c.Digest.Short())
}

// lagging tells whether the replica may simply not have the record yet: a release is fetched the minute it is out,
// a checkpoint may be an hour old. Without a believable clock or the newest root nothing can be concluded either.
func (j *judgement) lagging() bool {
	head, first := j.in.Facts.Head, j.in.FirstResolved
	return head.Time.IsZero() || first.IsZero() || j.in.ClockBad || head.Time.Before(first.Add(LagGrace))
}

// channelPublishers lists who may say what a channel is: the root's core publishers and the owner.
func channelPublishers(root Root, p Policy) []string { return distinct(root.Core, []string{p.House}) }

// currentChannel finds the record that says what a channel is now: of those that count, TRUSTED and not withdrawn,
// the one with the highest uid. It goes downwards from the highest, so that one signature is checked as a rule and not
// one for each release there ever was.
func currentChannel(w *words, publishers []string, name string) (PlacedNotarization, bool) {
	var tried *PlacedNotarization
	for {
		var best *PlacedNotarization
		for i := range w.facts.Channel {
			n := &w.facts.Channel[i]
			p := &n.Notarization
			if p.Kind != KindChannel || p.Name != name || p.Status != Trusted || len(p.Subjects) != 1 || !slices.Contains(publishers, p.Publisher) {
				continue
			}
			if (tried == nil || newer(tried, n)) && (best == nil || newer(n, best)) {
				best = n
			}
		}
		if best == nil {
			return PlacedNotarization{}, false
		}
		s := w.standing(best)
		if (s == counts || s == countsByRoot) && w.channelWord(best.Notarization.Publisher, name, best.Notarization.Subjects[0].Digest).Status == Trusted {
			return *best, true
		}
		tried = best
	}
}

// newer orders records by uid; of two with the same, the earlier in the ledger is the newer one.
func newer(a, b *PlacedNotarization) bool {
	if a.Notarization.UID != b.Notarization.UID {
		return a.Notarization.UID > b.Notarization.UID
	}
	return a.Pos.Before(b.Pos)
}

// channelWord is [words.word] among the records about a channel.
func (w *words) channelWord(publisher, name string, d Digest) Word {
	facts := *w.facts
	facts.Records = nil
	for _, n := range w.facts.Channel {
		if n.Notarization.Kind == KindChannel && n.Notarization.Name == name && n.Notarization.about(d) {
			facts.Records = append(facts.Records, n)
		}
	}
	about := words{facts: &facts, root: w.root, marks: w.marks, memory: w.memory}
	return about.word(publisher, d)
}

// CurrentChannel finds the record that says what channel name is now, from the facts of [CollectChannel].
func CurrentChannel(f Facts, root Root, p Policy, name string) (Digest, Position, bool) {
	n, ok := currentChannel(newWords(&f, &root, nil), channelPublishers(root, p), name)
	if !ok {
		return "", Position{}, false
	}
	return n.Notarization.Subjects[0].Digest, n.Pos, true
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}
