package trust

import (
	"cmp"
	"errors"
	"slices"
)

// Word is what one publisher says about one digest (TRUST.md §3.2). The zero Word says nothing.
type Word struct {
	Publisher string
	Status    Status   // Trusted, Unsupported, Untrusted, ApikeyRevoked, or Unknown when nothing counts
	Record    Position // the record that gives Status
	First     Position // its first counting TRUSTED record about the digest, zero if there is none
	Severity  Severity // of a withdrawal, never empty there
	ByRoot    bool     // the withdrawal is signed by the publisher's root key, or made by a security publisher
	Reason    string   // what the publisher wrote about a withdrawal
}

// Mark remembers a withdrawal that was seen, so that neither a replica built anew nor a restored backup forgets it.
type Mark struct {
	Digest    Digest   `json:"digest"`
	Publisher string   `json:"publisher"`
	Ledger    string   `json:"ledger"`
	UID       uint64   `json:"uid"`
	Pos       Position `json:"pos"`
	Severity  Severity `json:"severity"`
	ByRoot    bool     `json:"byRoot,omitempty"`
}

func (m Mark) same(o Mark) bool {
	return m.Digest == o.Digest && m.Publisher == o.Publisher && m.Ledger == o.Ledger && m.UID == o.UID
}

// ReadWord combines what the accepted publishers and the root's security publishers say about d: a withdrawal by any
// of them, else the best word of an accepted one. Records of all others change nothing.
func ReadWord(f Facts, root Root, accepted []string, d Digest) Word {
	w := newWords(&f, &root, nil)
	if word, _, ok := w.withdrawal(accepted, []Digest{d}); ok {
		return word
	}
	var best Word
	for _, id := range accepted {
		if got := w.word(id, d); better(got.Status) > better(best.Status) {
			best = got
		}
	}
	return best
}

func better(s Status) int {
	return slices.Index([]Status{Unknown, ApikeyRevoked, Unsupported, Trusted}, s)
}

// standing says what the signatures of a record are worth.
type standing int

const (
	worthless standing = iota // wrong, too few, never valid at its position, or of another ledger
	revokedBy                 // they were good, but a key was revoked for this position
	counts
	countsByRoot
)

// words reads the records of one judgement. Signatures are checked when a record is first asked about, and once.
type words struct {
	facts  *Facts
	root   *Root
	marks  []Mark
	memory map[Position]standing
	above  *words // over the words of security in the root's ledger, nil when facts are of that ledger
}

func newWords(f *Facts, root *Root, marks []Mark) *words {
	w := &words{facts: f, root: root, marks: marks, memory: map[Position]standing{}}
	if f.Security != nil {
		w.above = newWords(f.Security, root, nil)
	}
	return w
}

// standing checks n against its publisher's chain. A record counts only in the ledger it was made for.
func (w *words) standing(n *PlacedNotarization) standing {
	if s, ok := w.memory[n.Pos]; ok {
		return s
	}
	s := worthless
	if n.Notarization.Ledger == w.facts.Head.Origin {
		signers, err := VerifyNotarization(w.facts.Publishers[n.Notarization.Publisher], *n)
		switch {
		case errors.Is(err, ErrSignerRevoked):
			s = revokedBy
		case err != nil: // anybody can append anything; what does not verify is as if it were not there
		case signers.ByRoot:
			s = countsByRoot
		default:
			s = counts
		}
	}
	w.memory[n.Pos] = s
	return s
}

// by yields the records among list that publisher made and that count, with their standing.
func (w *words) by(list []PlacedNotarization, publisher string, yield func(*PlacedNotarization, standing)) {
	for i := range list {
		n := &list[i]
		if n.Notarization.Publisher != publisher {
			continue
		}
		if s := w.standing(n); s != worthless {
			yield(n, s)
		}
	}
}

// word is the word of one publisher about one digest: the counting record with the highest uid, except that
// UNTRUSTED sticks until security lifts it.
func (w *words) word(publisher string, d Digest) Word {
	out := Word{Publisher: publisher}
	var uid uint64
	w.by(w.facts.Records, publisher, func(n *PlacedNotarization, s standing) {
		if !n.Notarization.about(d) {
			return
		}
		if s == revokedBy {
			if out.Status == Unknown {
				out.Status, out.Record = ApikeyRevoked, n.Pos
			}
			return
		}
		status := n.Notarization.Status
		if status == Trusted && (out.First == Position{} || n.Pos.Before(out.First)) {
			out.First = n.Pos
		}
		if status == Untrusted || uid != 0 && n.Notarization.UID <= uid {
			return // withdrawals are read below; of the others the highest uid wins
		}
		uid, out.Status, out.Record = n.Notarization.UID, status, n.Pos
	})
	if bad, _, ok := w.withdrawals(publisher, d, w.lift(d)); ok {
		bad.First = out.First
		return bad
	}
	return out
}

// lift is the highest uid of a TRUSTED record by security about d: withdrawals below it are lifted.
func (w *words) lift(d Digest) uint64 {
	var uid uint64
	for _, id := range w.root.Security {
		w.by(w.facts.Records, id, func(n *PlacedNotarization, s standing) {
			if s != revokedBy && n.Notarization.Status == Trusted && n.Notarization.about(d) && w.covered(n) {
				uid = max(uid, n.Notarization.UID)
			}
		})
	}
	if w.above != nil {
		uid = max(uid, w.above.lift(d))
	}
	return uid
}

// withdrawal is the strongest counting UNTRUSTED about any of ds by the accepted publishers or by security, with the
// mark to remember it by.
func (w *words) withdrawal(accepted []string, ds []Digest) (Word, Mark, bool) {
	var worst Word
	var mark Mark
	found := false
	for _, d := range ds {
		lift := w.lift(d)
		for _, id := range distinct(accepted, w.root.Security) {
			if got, m, ok := w.withdrawals(id, d, lift); ok && (!found || stronger(got, worst)) {
				worst, mark, found = got, m, true
			}
		}
	}
	return worst, mark, found
}

// withdrawals is the strongest UNTRUSTED of one publisher about d that counts and is not lifted. A remembered one
// counts, whatever ledger it was seen in, unless its record is at hand to speak for itself.
func (w *words) withdrawals(publisher string, d Digest, lift uint64) (Word, Mark, bool) {
	security := slices.Contains(w.root.Security, publisher)
	var worst Word
	var mark Mark
	found := false
	take := func(m Mark, why string) {
		got := Word{Publisher: publisher, Status: Untrusted, Record: m.Pos, Severity: m.Severity, ByRoot: m.ByRoot || security, Reason: why}
		if got.Severity == "" {
			got.Severity = SeverityNotify
		}
		if !found || stronger(got, worst) {
			worst, mark, found = got, m, true
		}
	}
	type place struct {
		ledger string
		uid    uint64
	}
	present := map[place]bool{}
	hear := func(w *words) {
		for i := range w.facts.Records {
			n := &w.facts.Records[i]
			if n.Notarization.Publisher != publisher || n.Notarization.Status != Untrusted || !n.Notarization.about(d) {
				continue
			}
			s := w.standing(n)
			if s == worthless || !w.covered(n) {
				continue
			}
			present[place{n.Notarization.Ledger, n.Notarization.UID}] = true
			if s == revokedBy || n.Notarization.UID < lift {
				continue
			}
			take(Mark{Digest: d, Publisher: publisher, Ledger: n.Notarization.Ledger, UID: n.Notarization.UID, Pos: n.Pos,
				Severity: n.Notarization.Severity, ByRoot: s == countsByRoot}, n.Notarization.Reason)
		}
	}
	hear(w)
	if w.above != nil && security {
		hear(w.above)
	}
	for _, m := range w.marks {
		here := present[place{m.Ledger, m.UID}]
		if m.Digest == d && m.Publisher == publisher && m.UID >= lift && !here {
			take(m, "")
		}
	}
	return worst, mark, found
}

// covered tells whether a withdrawal or a lift stays within the names its publisher was restricted to when it was
// made. Later versions of the document can't shrink a withdrawal away.
func (w *words) covered(n *PlacedNotarization) bool {
	doc, ok := publisherAt(w.facts.Publishers[n.Notarization.Publisher], n.Pos)
	return ok && (len(doc.Names) == 0 || n.Notarization.Kind != KindImage || doc.Covers(n.Notarization.Name))
}

// stronger orders withdrawals: one that may stop a service first, then by severity, then the earlier one.
func stronger(a, b Word) bool {
	rank := func(w Word) int {
		r := slices.Index([]Severity{SeverityNotify, SeverityUpdate, SeverityStop}, w.Severity) * 2
		if w.Severity == SeverityStop && !w.ByRoot {
			r = 3 // a stop without the right to stop asks for an update
		}
		return r
	}
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c > 0
	}
	if a.ByRoot != b.ByRoot {
		return a.ByRoot
	}
	return a.Record.Before(b.Record)
}

// about tells whether the record names d.
func (n *Notarization) about(d Digest) bool {
	return slices.ContainsFunc(n.Subjects, func(s RecordSubject) bool { return s.Digest == d })
}

// distinct joins lists, keeping the first of each and leaving out "".
func distinct(lists ...[]string) []string {
	var out []string
	for _, l := range lists {
		for _, s := range l {
			if s != "" && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}
