package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/castellan/castellan/trust"
)

// indexLag is how many transactions the index file may lag behind. It is rewritten whole, and an SD card bears only
// so much of that; reading the last few thousand transactions again at the start takes a moment.
const indexLag = 4096

// commit makes w our head. Its segments have their trusted names; nothing refers to them yet.
//
//	write head            what a power cut leaves from here on is the new history
//	index                 in memory; the file follows now and then
//	answer                from both at once
//	sweep                 segments that were replaced by longer ones
func (r *Replica) commit(w word) error {
	h := r.head
	h.Point, h.Note, h.Inconsistent = w.Point, string(w.note), time.Time{}
	h.Time, h.Root = w.Time, w.Root // what was said over a shorter history does not count for this one
	from := r.view
	if from == nil {
		from = emptyIndex
	}
	old := from.stats
	if err := writeHead(r.cfg.Dir, h); err != nil {
		return err
	}
	next, err := r.tree.catchUp(from, h.Point, h.Origin)
	r.show(h, next)
	if err != nil {
		return r.setDamaged(err)
	}
	if n := next.stats.Repeated - old.Repeated; n > 0 {
		r.cfg.Log.Warn("ledger repeats keys; the first occurrence counts", "origin", h.Origin, "records", n)
	}
	r.cfg.Log.Debug("ledger replica moved", "origin", h.Origin, "count", h.Count, "alh", h.Alh.Digest().Short())
	if err := r.tree.sweep(h.Count, 0); err != nil {
		// Space only; the next commit tries again.
		r.cfg.Log.Warn("cannot remove replaced segments", "origin", h.Origin, "error", err)
	}
	r.saveIndex(indexLag)
	return nil
}

// show answers from h and next from now on.
func (r *Replica) show(h head, next *index) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head, r.view, r.damage = h, next, nil
	r.cache.clear()
}

// setHead writes h and, once it is on disk, answers with it. An unchanged head costs no write.
func (r *Replica) setHead(h head) error {
	if h == r.head {
		return nil
	}
	if err := writeHead(r.cfg.Dir, h); err != nil {
		return err
	}
	r.mu.Lock()
	r.head = h
	r.mu.Unlock()
	return nil
}

func (r *Replica) damaged() bool { return r.view == nil }

// setDamaged stops answering: the files are not what the head says. The next sync repairs them.
func (r *Replica) setDamaged(err error) error {
	r.mu.Lock()
	r.view, r.damage = nil, err
	r.cache.clear()
	r.mu.Unlock()
	r.saved = 0
	return reason(trust.EvidenceUnreadable, "cannot read the replica of %s: %w; the next sync fetches it again", r.cfg.Origin, err)
}

// forgetDropped takes back what a note key that the root document has dropped said of time and of newer roots: whoever
// stole it may have dated the ledger years ahead. The history stays ours, and the next sync hears the time anew.
func (r *Replica) forgetDropped() error {
	if r.head.Note == "" {
		return nil
	}
	if _, err := OpenCheckpoint([]byte(r.head.Note), r.verifiers); err == nil {
		return nil
	}
	h := r.head
	h.Note, h.Time, h.Root = "", time.Time{}, 0
	return r.setHead(h)
}

// anchors are the points a history must contain to be ours.
func (r *Replica) anchors() []Point {
	out := []Point{r.head.Point, r.minimum, Genesis}
	if a := r.head.Resumed; a != nil {
		if p, err := pointOf(*a); err == nil { // it was read before it was written
			out = append(out, p)
		}
	}
	return out
}

// Verify reads all segments and checks the whole chain again, as slowly as the disk pleases: run it in the background
// after a start. Where the disk differs from what the head says, the index is dropped and a Sync fetches what decayed.
func (r *Replica) Verify(ctx context.Context) error {
	if err := r.acquire(ctx); err != nil {
		return err
	}
	defer r.release()
	if !r.damaged() {
		err := r.verify(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		r.cfg.Log.Error("ledger replica has decayed and is fetched again", "origin", r.cfg.Origin, "error", err)
		_ = r.setDamaged(err) // the error of the sync below says more
	}
	_, err := r.sync(ctx)
	return err
}

func (r *Replica) verify(ctx context.Context) error {
	at := Genesis
	for at.Count < r.head.Count {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n := SegmentOf(at.Count + 1)
		width := SegmentWidth(n, r.head.Count)
		s, err := r.tree.scan(n, width)
		if err != nil {
			return err
		}
		if s.hashes[0] != at.Alh {
			return fmt.Errorf("segment %d does not follow the one before it", n)
		}
		at = Point{s.first() + uint64(width), s.end()}
	}
	if at != r.head.Point {
		return fmt.Errorf("files hold transaction %s, the head says %s", at, r.head.Point)
	}
	return nil
}

// resume applies a root document's resume: the ledger's line continues at a, and what stood after it is void.
func (r *Replica) resume(a *trust.Anchor) error {
	if a == nil || r.head.Resumed != nil && *r.head.Resumed == *a {
		return nil
	}
	p, err := pointOf(*a)
	if err != nil {
		return err
	}
	h := r.head
	lifted := h.Quarantine != nil
	h.Resumed, h.Quarantine, h.Inconsistent = a, nil, time.Time{}
	if h.Point == p || h.Count < p.Count && !lifted {
		return r.setHead(h) // nothing to take back; the history to come must contain p
	}
	// Take back what stood after p. When p is not in our history, or may not be, all of it is fetched again: segments
	// that are right are found on the disk.
	h.Point, h.Note, h.Time = Genesis, "", time.Time{}
	if x := r.view; x != nil && p.Count < r.head.Count {
		if own, err := r.tree.alhAt(x, p.Count); err == nil && own == p.Alh {
			h.Point, h.Time = p, r.head.Time
			if err := r.tree.cut(x, p.Count); err != nil {
				return err
			}
		}
	}
	if err := writeHead(r.cfg.Dir, h); err != nil {
		return err
	}
	r.cfg.Log.Warn("ledger resumes where the root document says", "origin", h.Origin, "count", h.Count)
	view, err := r.tree.catchUp(emptyIndex, h.Point, h.Origin)
	r.show(h, view)
	r.saved = 0
	if err != nil {
		_ = r.setDamaged(err) // look-ups say so, the next sync repairs
	}
	return nil
}

// checkMinimum compares a minimum within our history with it: the root document outweighs the ledger.
func (r *Replica) checkMinimum() error {
	if r.damaged() || r.minimum.Count > r.head.Count {
		return nil
	}
	own, err := r.tree.alhAt(r.view, r.minimum.Count)
	if err != nil {
		_ = r.setDamaged(err) // look-ups say so, the next sync repairs and compares again
		return nil
	}
	if own == r.minimum.Alh || r.head.Quarantine != nil {
		return nil
	}
	headers, err := r.ownHeaders(r.minimum.Count)
	if err != nil {
		_ = r.setDamaged(err)
		return nil
	}
	fork := r.proveFork(side{r.minimum, nil}, side{r.head.Point, []byte(r.head.Note)}, headers)
	if err := r.quarantineFor(fork); ReasonOf(err) != trust.LedgerQuarantined {
		return err
	}
	return nil // Head says so from now on
}

// noteInconsistency keeps since when no bytes match, and says so aloud when it lasts.
func (r *Replica) noteInconsistency(err error) error {
	h := r.head
	var e *Error
	switch {
	case errors.As(err, &e) && e.Reason == trust.LedgerInconsistent:
		now := r.cfg.Now()
		if h.Inconsistent.IsZero() {
			h.Inconsistent = now.Truncate(time.Second)
		}
		e.Since = h.Inconsistent
		log := r.cfg.Log.Warn
		if now.Sub(h.Inconsistent) >= loudAfter {
			log = r.cfg.Log.Error
		}
		log("ledger is inconsistent: no mirror gives bytes that match its checkpoint", "origin", h.Origin, "since", h.Inconsistent, "error", err)
	case err == nil:
		h.Inconsistent = time.Time{}
	}
	return r.setHead(h)
}
