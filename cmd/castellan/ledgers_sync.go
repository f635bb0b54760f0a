package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/trust/ledger"
)

// ownPatience bounds how long a turn waits for the ledgers beside the root's. One that takes longer goes on in the
// background, within syncLimit, and asks for another turn when it brought something.
const ownPatience = 10 * time.Second

// sync starts to bring the ledgers of everything installed, and then those of all repositories, up to date. wait gives
// them what is left of ownPatience and joins what went wrong so far; a ledger that is slow or gone takes nothing from the
// others.
func (l *ledgers) sync() (wait func(context.Context) error) {
	patience, stop := context.WithTimeout(l.ctx, ownPatience)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.installed() {
		if own, ok := l.of(c); ok {
			_, _ = l.follow(own) // why it failed is kept with it
		}
	}
	for _, own := range l.offered() {
		_, _ = l.follow(own) // as above
	}
	var all []*follower
	for _, f := range l.open {
		all = append(all, f)
		if f.replica == nil || f.busy != nil || l.ctx.Err() != nil {
			continue
		}
		f.busy = make(chan struct{})
		work := f.Ledger // as pinned now
		l.work.Go(func() { l.syncOne(f, work, patience) })
	}
	return func(ctx context.Context) error {
		defer stop()
		var errs []error
		for _, f := range all {
			l.mu.Lock()
			busy := f.busy
			l.mu.Unlock()
			if busy != nil {
				select {
				case <-busy:
				case <-ctx.Done():
				case <-patience.Done():
				}
			}
			l.mu.Lock()
			if f.err != "" {
				errs = append(errs, errors.New(f.err))
			}
			l.mu.Unlock()
		}
		return errors.Join(errs...)
	}
}

// syncOne syncs one ledger by what is pinned of it, and of its outcome takes the head only: the root version and the time
// it names are its own affair.
func (l *ledgers) syncOne(f *follower, own Ledger, patience context.Context) {
	ctx, cancel := context.WithTimeout(f.ctx, syncLimit)
	defer cancel()
	err := f.replica.Follow(ctx, trust.RootLedger{Origin: own.Origin, NoteKeys: own.Keys, URLs: own.URLs}, nil)
	var report ledger.Report
	if err == nil {
		report, err = f.replica.Sync(ctx)
	}
	if f.ctx.Err() == nil {
		l.tell(f, report, err)
	}
	l.mu.Lock()
	close(f.busy)
	f.busy = nil
	l.mu.Unlock()
	if report.Changed && patience.Err() != nil {
		l.news() // nobody waited any more
	}
}

// tell keeps how a sync went, and writes down what is new about that.
func (l *ledgers) tell(f *follower, report ledger.Report, err error) {
	text := ""
	if err != nil {
		text = fmt.Sprintf("ledger %s: %v", f.Origin, err)
	}
	l.mu.Lock()
	before := f.err
	f.err = text
	l.mu.Unlock()
	if l.synced != nil {
		l.synced(f)
	}
	switch {
	case text == before:
	case err == nil:
		l.note(l.ctx, audit.KindMirror, map[string]any{"recovered": true, "origin": f.Origin, "count": report.Count})
	case ledger.ReasonOf(err) == trust.LedgerQuarantined:
		l.log.Error("the ledger of a repository told two different stories; what runs is not touched", "origin", f.Origin, "error", err)
		l.note(l.ctx, audit.KindEquivocation, map[string]any{"error": text, "origin": f.Origin})
	default:
		l.note(l.ctx, audit.KindMirror, map[string]any{"error": text, "origin": f.Origin})
	}
}

// followerStatus is how far a ledger beside the root's is.
func (h *house) followerStatus(f *follower) api.LedgerStatus {
	out := h.replicaStatus(f.replica, f.Origin)
	h.ledgers.mu.Lock()
	defer h.ledgers.mu.Unlock()
	out.Error = f.err
	return out
}

// followed is a ledger beside the root's as it is now.
type followed struct {
	Ledger
	replica  *ledger.Replica // nil when it could not be opened
	err      string
	services []string // judged by it
}

// followed are all ledgers beside the root's, by origin.
func (l *ledgers) followed() (out []followed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	services := map[string][]string{}
	for _, c := range l.installed() {
		if own, ok := l.of(c); ok {
			services[own.folder()] = append(services[own.folder()], c)
		}
	}
	for name, f := range l.open {
		slices.Sort(services[name])
		out = append(out, followed{f.Ledger, f.replica, f.err, services[name]})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Origin < out[j].Origin })
	return out
}

// followedStatus is how far a ledger beside the root's is.
func (h *house) followedStatus(f followed) api.LedgerStatus {
	row := api.LedgerStatus{Origin: f.Origin, State: "unreadable"}
	if f.replica != nil {
		row = h.replicaStatus(f.replica, f.Origin)
	}
	row.Error, row.Services = f.err, f.services
	return row
}

// ledgersStatus is the root's ledger, then all others by origin.
func (h *house) ledgersStatus(root api.LedgerStatus) []api.LedgerStatus {
	out := []api.LedgerStatus{root}
	for _, f := range h.ledgers.followed() {
		out = append(out, h.followedStatus(f))
	}
	return out
}
