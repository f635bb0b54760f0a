package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/castellan/castellan/trust"
)

// Report is what a [Replica.Sync] met.
type Report struct {
	Changed bool // the head moved; images must be judged again
	Count   uint64
	Root    int   // newest root version a valid checkpoint names; fetch what is missing with FetchNextRoot
	Bytes   int64 // of segments
	Mirrors []MirrorReport
}

// MirrorReport is what one mirror did.
type MirrorReport struct {
	URL   string
	Count uint64    // its checkpoint, 0 when it gave none
	Time  time.Time // of its checkpoint
	Stale bool      // it is behind our head, or its checkpoint is older than another's over the same history
	Err   error     // why it was of no use, nil when it was
}

// loudAfter is when an inconsistent ledger stops being something that passes.
const loudAfter = 24 * time.Hour

// Sync asks every mirror for its checkpoint and follows the newest that proves to continue our history. Whatever goes
// wrong, the replica answers as before. It needs bounded time with bounded mirrors: see [Config.Patience].
//
// The error, if any, has one of the reasons of [Error]; LEDGER_QUARANTINED is returned by every Sync from the moment
// the ledger told two stories until a root document's resume.
func (r *Replica) Sync(ctx context.Context) (Report, error) {
	if err := r.acquire(ctx); err != nil {
		return Report{}, err
	}
	defer r.release()
	return r.sync(ctx)
}

func (r *Replica) sync(ctx context.Context) (Report, error) {
	j := &job{r: r, blamed: map[*mirror]int{}}
	before := r.head.Point
	err := j.run(ctx)
	if errors.As(err, new(*forkError)) {
		err = r.quarantineFor(err)
	}
	err = errors.Join(err, r.noteInconsistency(err))
	j.report.Count, j.report.Bytes = r.head.Count, j.received
	j.report.Changed = r.head.Point != before || j.repaired
	j.report.Root = max(j.report.Root, r.head.Root)
	r.mu.Lock()
	r.last, r.asked = j.report, r.cfg.Now()
	r.mu.Unlock()
	return j.report, err
}

// LastSync is what the newest Sync met and when it ended; ok is false when none has since the replica was opened.
func (r *Replica) LastSync() (met Report, at time.Time, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	met = r.last
	met.Mirrors = slices.Clone(met.Mirrors)
	return met, r.asked, !r.asked.IsZero()
}

// job is one Sync at work.
type job struct {
	r        *Replica
	report   Report
	words    []word
	blamed   map[*mirror]int
	received int64
	left     int64 // bytes the replica may still grow
	repaired bool
}

// word is a validly signed checkpoint.
type word struct {
	Checkpoint
	note []byte
}

func (j *job) run(ctx context.Context) error {
	heard := j.ask(ctx)
	if q := j.r.head.Quarantine; q != nil {
		// Only the root line is of use: a newer root document is the way out.
		return errors.Join(j.rememberRoot(), j.r.quarantined())
	}
	if j.r.suspect.Swap(false) && !j.r.damaged() {
		if err := j.r.verify(ctx); err != nil && ctx.Err() == nil {
			_ = j.r.setDamaged(err) // what follows repairs it, or says why not
		}
	}
	if j.r.damaged() && j.r.head.Note != "" {
		// Our own checkpoint is as good as any: mirrors that hold only that can repair us.
		j.words = append(j.words, word{Checkpoint{j.r.head.Origin, j.r.head.Point, j.r.head.Time, j.r.head.Root}, []byte(j.r.head.Note)})
	}
	if err := j.compare(); err != nil {
		return err
	}
	if err := j.advance(ctx); err != nil {
		return err
	}
	if err := j.compare(); err != nil { // with those that are within our history only now
		return err
	}
	j.markStale()
	if heard == 0 {
		return reason(trust.EvidenceUnavailable, "cannot sync the ledger %s: %w", j.r.cfg.Origin, j.why())
	}
	return j.refresh()
}

// ask hears all mirrors at once, and says how many gave a valid checkpoint.
func (j *job) ask(ctx context.Context) (heard int) {
	type reply struct {
		msg  []byte
		etag string
		err  error
	}
	replies := make([]reply, len(j.r.mirrors))
	var all sync.WaitGroup
	for i, m := range j.r.mirrors {
		all.Go(func() {
			re := &replies[i]
			re.msg, re.etag, re.err = m.checkpoint(ctx)
		})
	}
	all.Wait()
	j.report.Mirrors = make([]MirrorReport, len(replies))
	for i, m := range j.r.mirrors {
		rep := &j.report.Mirrors[i]
		rep.URL = m.url
		c, err := Checkpoint{}, replies[i].err
		if err == nil {
			c, err = j.believe(replies[i].msg)
		}
		if err != nil {
			m.forget()
			j.blamed[m]++
			rep.Err = err
			continue
		}
		m.remember(replies[i].msg, replies[i].etag)
		rep.Count, rep.Time = c.Count, c.Time
		j.words = append(j.words, word{c, replies[i].msg})
		j.report.Root = max(j.report.Root, c.Root)
		heard++
	}
	return heard
}

func (j *job) believe(msg []byte) (Checkpoint, error) {
	c, err := OpenCheckpoint(msg, j.r.verifiers)
	if err == nil && c.Origin != j.r.cfg.Origin {
		err = fmt.Errorf("cannot believe checkpoint: it is of %.80q, not %q", c.Origin, j.r.cfg.Origin)
	}
	if err == nil && c.Count > maxCount {
		err = fmt.Errorf("cannot believe checkpoint: %d transactions", c.Count)
	}
	return c, err
}

// why joins what the mirrors said.
func (j *job) why() error {
	if len(j.r.mirrors) == 0 {
		return errors.New("no mirror is known; the root document must name one")
	}
	errs := []error{fmt.Errorf("none of %d mirrors gave a valid checkpoint", len(j.r.mirrors))}
	for _, m := range j.report.Mirrors {
		errs = append(errs, m.Err)
	}
	return errors.Join(errs...)
}

// compare holds every checkpoint within our history against it, and all against each other.
func (j *job) compare() error {
	for i, w := range j.words {
		for _, v := range j.words[:i] {
			if v.Count == w.Count && v.Alh != w.Alh {
				return j.r.proveFork(side{v.Point, v.note}, side{w.Point, w.note}, nil)
			}
		}
		if j.r.damaged() || w.Count > j.r.head.Count {
			continue
		}
		own, err := j.r.tree.alhAt(j.r.view, w.Count)
		if err != nil {
			return j.r.setDamaged(err)
		}
		if own != w.Alh {
			headers, err := j.r.ownHeaders(w.Count)
			if err != nil {
				return j.r.setDamaged(err) // our files decayed; that is no proof against anybody
			}
			return j.r.proveFork(side{w.Point, w.note}, side{j.r.head.Point, []byte(j.r.head.Note)}, headers)
		}
	}
	return nil
}

// advance follows the newest checkpoint beyond our head whose bytes can be had.
func (j *job) advance(ctx context.Context) error {
	ahead := slices.DeleteFunc(slices.Clone(j.words), func(w word) bool {
		return w.Count < j.r.head.Count || w.Count == j.r.head.Count && !j.r.damaged()
	})
	slices.SortFunc(ahead, func(a, b word) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), b.Time.Compare(a.Time))
	})
	ahead = slices.CompactFunc(ahead, func(a, b word) bool { return a.Point == b.Point })
	var errs []error
	var tooBig error
	for _, w := range ahead {
		if w.Count < j.r.minimum.Count {
			errs = append(errs, fmt.Errorf("checkpoint %s is older than the root document's minimum %s", w.Point, j.r.minimum))
			continue
		}
		err := j.build(ctx, w)
		if err == nil {
			return nil
		}
		var fork *forkError
		switch r := ReasonOf(err); {
		case isDisk(err) || errors.As(err, &fork) || ctx.Err() != nil || r != "" && r != trust.LedgerTooBig:
			return err
		case r == trust.LedgerTooBig:
			tooBig = cmp.Or(tooBig, err) // one key's owner may claim any number; a shorter history may be the true one
		default:
			errs = append(errs, err)
		}
	}
	if tooBig != nil {
		return tooBig
	}
	if len(errs) == 0 {
		return nil
	}
	err := errors.Join(errs...)
	if errors.Is(err, errBytes) || errors.Is(err, errMissing) {
		return reason(trust.LedgerInconsistent, "cannot follow the ledger %s beyond %s: no mirror gives bytes that match its checkpoint: %w",
			j.r.cfg.Origin, j.r.head.Point, err)
	}
	return reason(trust.EvidenceUnavailable, "cannot follow the ledger %s beyond %s: %w", j.r.cfg.Origin, j.r.head.Point, err)
}

// build fetches the history that ends in w, newest segment first, compares it with ours where ours ends, and commits
// it.
func (j *job) build(ctx context.Context, w word) error {
	r := j.r
	base := r.head.Point
	if r.damaged() {
		base = Genesis // every segment is looked at again; those on the disk that match are kept
	}
	if err := j.measure(base.Count, w.Count); err != nil {
		return err
	}
	anchors := r.anchors()
	want := w.Alh
	first, last := SegmentOf(base.Count+1), SegmentOf(w.Count)
	for n := last + 1; n > first; n-- {
		s, err := j.obtain(ctx, n-1, SegmentWidth(n-1, w.Count), want)
		if err != nil {
			return err
		}
		for _, a := range anchors {
			if a.Count < s.first() || a.Count >= s.first()+uint64(len(s.hashes)) || s.hashes[a.Count-s.first()] == a.Alh {
				continue
			}
			headers, err := r.unverifiedHeaders(a.Count, w.Count)
			if err != nil {
				return onDisk(err)
			}
			return r.proveFork(side{a, r.noteFor(a)}, side{w.Point, w.note}, headers)
		}
		want = s.hashes[0]
	}
	for n := first; n <= last; n++ {
		if err := r.tree.keep(n, SegmentWidth(n, w.Count)); err != nil {
			return err
		}
	}
	j.repaired = r.damaged()
	return r.commit(w)
}

// measure finds out how much room there is for the transactions from base to target, before any is fetched. What was
// fetched for another checkpoint and is of no use for this one must not take it: a ledger that once claimed too much
// would block itself for ever.
func (j *job) measure(base, target uint64) error {
	if err := j.r.tree.sweep(j.r.head.Count, target); err != nil {
		return onDisk(err)
	}
	size, err := j.r.tree.size()
	if err != nil {
		return onDisk(err)
	}
	j.left = j.r.cfg.MaxBytes - size
	if j.r.damaged() {
		j.left = j.r.cfg.MaxBytes // what is there is replaced, not added to
	}
	if target-base > uint64(j.r.cfg.MaxBytes)/(minTransactionBytes+frameHeader) {
		return j.tooBig()
	}
	return nil
}

func (j *job) tooBig() error {
	return reason(trust.LedgerTooBig, "cannot follow the ledger %s: its transactions need more than the %d MiB that are allowed; raise the limit, or ask the ledger's operator about spam",
		j.r.cfg.Origin, j.r.cfg.MaxBytes>>20)
}

// inOrder lists the mirrors, those that disappointed least first.
func (j *job) inOrder() []*mirror {
	out := slices.Clone(j.r.mirrors)
	slices.SortStableFunc(out, func(a, b *mirror) int { return cmp.Compare(j.blamed[a], j.blamed[b]) })
	return out
}

func (j *job) blame(m *mirror, err error) {
	j.blamed[m]++
	for i := range j.report.Mirrors {
		if rep := &j.report.Mirrors[i]; rep.URL == m.url && rep.Err == nil {
			rep.Err = err
		}
	}
	j.r.cfg.Log.Debug("mirror is of no use", "origin", j.r.cfg.Origin, "mirror", m.url, "error", err)
}

func (j *job) markStale() {
	for i := range j.report.Mirrors {
		rep := &j.report.Mirrors[i]
		rep.Stale = rep.Err == nil && rep.Count < j.r.head.Count
	}
}

// refresh remembers the newest time and root version said over exactly our history.
func (j *job) refresh() error {
	h := j.r.head
	for _, w := range j.words {
		if w.Point == h.Point && w.Time.After(h.Time) {
			h.Time, h.Root, h.Note = w.Time, w.Root, string(w.note)
		}
	}
	h.Root = max(h.Root, j.report.Root)
	if h.Count < j.r.minimum.Count {
		return errors.Join(j.rememberRoot(), reason(trust.EvidenceUnavailable, "cannot use the ledger %s: it ends at %s, the root document knows %s",
			j.r.cfg.Origin, h.Point, j.r.minimum))
	}
	return j.r.setHead(h)
}

// rememberRoot keeps the newest root version said, and nothing else.
func (j *job) rememberRoot() error {
	h := j.r.head
	h.Root = max(h.Root, j.report.Root)
	return j.r.setHead(h)
}
