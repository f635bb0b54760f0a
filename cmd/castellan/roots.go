package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
)

// roots is the appliance's chain of root documents: those it was shipped with, and those it has heard of since, kept in
// a folder of the data folder. Only a version that the version before it vouches for is ever added.
type roots struct {
	dir string
	now func() (time.Time, bool) // trusted time

	mu     sync.Mutex
	newest trust.Root
	named  int // newest version a checkpoint names
}

// openRoots adds the shipped documents to the kept ones and loads the chain.
func openRoots(shipped, dir string) (*roots, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		name := fmt.Sprintf("%d.json", n)
		ours, err := os.ReadFile(filepath.Join(shipped, name))
		if errors.Is(err, fs.ErrNotExist) {
			if n == 1 {
				return nil, fmt.Errorf("cannot start: %s holds no root document 1.json: set trust.root_dir to the folder that came with the appliance", shipped)
			}
			break
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read root document: %w", err)
		}
		kept, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := durable.WriteFile(filepath.Join(dir, name), ours, 0o600); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, fmt.Errorf("cannot read root document: %w", err)
		case !bytes.Equal(ours, kept):
			return nil, fmt.Errorf("cannot start: root document %s in %s is not the one this appliance began with (%s); "+
				"whoever changed it must be asked, or the data folder belongs to another appliance", name, shipped, dir)
		}
	}
	chain, err := trust.LoadRoots(dir)
	if err != nil {
		return nil, err
	}
	r := &roots{dir: dir, newest: chain[len(chain)-1]}
	r.named = r.newest.Version
	return r, nil
}

// current is the newest root and what speaks against it.
func (r *roots) current() (trust.Root, trust.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch now, ok := r.now(); {
	case r.named > r.newest.Version:
		return r.newest, trust.RootMissing
	case ok && now.After(r.newest.Expires):
		return r.newest, trust.RootExpired
	}
	return r.newest, ""
}

// hear takes over the newest version a sync heard of; 0 says that it heard of none. The replica forgets no version that
// a valid checkpoint over its history names, so what is less than before was named by a note key that the root dropped.
func (r *roots) hear(named int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if named > 0 {
		r.named = named
	}
}

// walk fetches the versions after ours that a checkpoint names, one by one; with probe, also those that none names.
// What cannot be had leaves the chain as it is and is asked for again at the next sync.
func (r *roots) walk(ctx context.Context, replica *ledger.Replica, named int, probe bool, log *slog.Logger) (moved bool, err error) {
	r.mu.Lock()
	prev := r.newest
	r.mu.Unlock()
	r.hear(named)
	for prev.Version < named || probe {
		next, raw, err := replica.FetchNextRoot(ctx, prev)
		if err != nil && prev.Version >= named {
			return moved, nil // a version nobody has spoken of need not be there
		}
		if err != nil {
			return moved, err
		}
		if err := durable.WriteFile(filepath.Join(r.dir, fmt.Sprintf("%d.json", next.Version)), raw, 0o600); err != nil {
			return moved, err
		}
		log.Info("new root document", "version", next.Version)
		r.mu.Lock()
		r.newest = next
		r.mu.Unlock()
		prev, moved = next, true
	}
	return moved, nil
}

// syncLedger syncs the replica and follows the root documents, also when the sync failed: a newer root is the way out
// of a quarantine, of mirrors that are gone and of a note key that was replaced. Where checkpoints came and none was
// signed by a key we know, the next root is looked for unasked. A root that was new is followed by another sync.
func (h *house) syncLedger(ctx context.Context) (report ledger.Report, synced, followed error) {
	report, synced = h.replica.Sync(ctx)
	moved, followed := h.roots.walk(ctx, h.replica, report.Root, synced != nil && strangeKey(report), h.log)
	if !moved {
		return report, synced, followed
	}
	root, _ := h.roots.current()
	if err := errors.Join(h.replica.Follow(ctx, root.Ledgers[0], root.Transfers), h.clock.Root(root)); err != nil {
		return report, synced, errors.Join(followed, err)
	}
	report, synced = h.replica.Sync(ctx)
	h.roots.hear(report.Root) // what a note key that was dropped has named does not count any more
	return report, synced, followed
}

// strangeKey tells whether a mirror's checkpoint was signed by nobody we know.
func strangeKey(report ledger.Report) bool {
	return slices.ContainsFunc(report.Mirrors, func(m ledger.MirrorReport) bool {
		return errors.As(m.Err, new(*note.UnverifiedNoteError))
	})
}
