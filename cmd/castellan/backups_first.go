package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/castellan/castellan/updater"
)

// Times of backups before updates. freshBackup is how long one serves, againBackup when one that failed is tried again,
// forgetBackup when one is forgotten: later than any serves.
const (
	freshBackup  = 24 * time.Hour
	againBackup  = time.Hour
	forgetBackup = 30 * 24 * time.Hour
)

// backupTry is how the newest backup before an update of a service went. One that was made is kept, for a window that
// opens after the daemon's next start.
type backupTry struct {
	From string    `json:"from"` // version whose data it holds; what it is updated to may have become newer
	At   time.Time `json:"at"`
	Slug string    `json:"slug"`
	busy bool
	err  error
}

// serves tells whether a try serves for an update from a version: it is done, or an error says why that waits; else another is
// made. Who waits for one gets one of now. shut is the longest time that maintenance windows are closed: a backup that outlasts
// its window would be too old for each next one otherwise, and the update would never come. The zero try serves for nothing.
func (t backupTry) serves(from string, now time.Time, shut time.Duration, wait bool) (done bool, err error) {
	age := now.Sub(t.At)
	switch {
	case t.busy && !wait:
		return false, errBackupUnderWay
	case wait || t.busy || t.From != from || t.At.IsZero() || age < 0: // a clock that was wrong dated it
		return false, nil
	case t.err == nil:
		return age < freshBackup+shut, nil
	case age < againBackup:
		return false, fmt.Errorf("its backup failed and is tried again: %w", t.err)
	}
	return false, nil
}

// errBackupUnderWay says that an update waits for its backup.
var errBackupUnderWay = errors.New("its backup is being made")

// before is nil when a step has its backup, or none is to be made.
func (b *backupHouse) before(ctx context.Context, s updater.Step, wait bool) error {
	if s.From == "" {
		return nil // an installation
	}
	if _, _, err := b.requestFor(s.Service); errors.Is(err, errNoUnit) {
		return nil
	}
	all, _ := b.decisions.All() // while they can't be read, or a window can't be told, nothing moves by itself
	hours, _ := all.Hours()
	return b.tried(ctx, s, hours, wait, func(ctx context.Context) (string, error) {
		made, err := b.saved(ctx, s.Service)
		return made.Slug, err
	})
}

// tried is nil when a backup serves for a step. Else save makes one: now when it is waited for, else beside the update loop,
// which is woken when it is there.
func (b *backupHouse) tried(ctx context.Context, s updater.Step, hours updater.Windows, wait bool, save func(context.Context) (slug string, err error)) error {
	b.mu.Lock()
	now := time.Now()
	last := b.tries[s.Service]
	if last.Slug != "" && !b.has(last.Slug) {
		last = backupTry{} // its owner removed it
	}
	if done, err := last.serves(s.From, now, hours.Shut(now), wait); done || err != nil {
		b.mu.Unlock()
		return err
	}
	b.tries[s.Service] = backupTry{From: s.From, At: now, busy: true}
	b.mu.Unlock()
	do := func(ctx context.Context) error {
		slug, err := save(ctx)
		if err != nil {
			b.log.Error("no backup could be made before an update, which is not begun", "service", s.Service, "error", err)
		}
		b.remember(s.Service, backupTry{From: s.From, At: time.Now(), Slug: slug, err: err})
		return err
	}
	if wait {
		return do(ctx)
	}
	go func() {
		if do(b.ctx) == nil {
			b.wake()
		}
	}()
	return errBackupUnderWay
}

// has tells whether a backup is still there.
func (b *backupHouse) has(slug string) bool {
	if b.store == nil {
		return false
	}
	_, err := b.store.Path(slug)
	return err == nil
}

// remember keeps how a try went.
func (b *backupHouse) remember(service string, t backupTry) {
	b.mu.Lock()
	b.tries[service] = t
	b.mu.Unlock()
	if t.err != nil {
		return // the next start tries it at once
	}
	err := b.keep(func(st *backupState) {
		st.Before = maps.Clone(st.Before)
		maps.DeleteFunc(st.Before, func(_ string, old backupTry) bool { return t.At.Sub(old.At) > forgetBackup })
		if st.Before == nil {
			st.Before = map[string]backupTry{}
		}
		st.Before[service] = t
	})
	if err != nil {
		b.log.Warn("cannot keep that a backup was made before an update; after a restart it is made again", "service", service, "error", err)
	}
}
