package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/backup/archive"
)

// afterwards is what is left to do once a restore is in its place. It is written down before the services stop.
type afterwards struct {
	Settings map[string]addons.Settings `json:"settings,omitempty"`
	Start    []string                   `json:"start,omitempty"`
	Own      bool                       `json:"own,omitempty"` // an add-on asked for it: no setting reaches more than before
}

// place exchanges the data. Whatever is cut here ends at the next start of the daemon.
func (r *restore) place(ctx context.Context) (err error) {
	p, err := r.backup.Prepare(ctx, r.files.journal, r.key, r.targets, r.watch())
	if err != nil {
		return err
	}
	for _, about := range p.Units {
		for _, n := range about.Notes {
			r.notes = append(r.notes, fmt.Sprintf("%s: %s: %s", n.Unit, n.Name, n.Why))
		}
	}
	if r.job != nil && !r.job.Commit() { // from here on it goes through
		return errors.Join(context.Cause(ctx), p.Drop())
	}
	r.stage(stagePlacing)
	slices.Sort(r.start)
	then := afterwards{r.settings, slices.Compact(r.start), r.by.Kind == api.KindAddon}
	raw, err := json.Marshal(then)
	if err == nil {
		err = fileStore(r.files.after).Save(raw)
	}
	if err != nil {
		return errors.Join(err, r.giveUp(p, nil))
	}
	ctx = context.WithoutCancel(ctx) // from here on it is done, or undone, whole
	placed := false
	err = r.resting(ctx, then.Start, func() (err error) {
		placed, err = exchange(p.Place, r.files.journal)
		return err
	}, &placed)
	if err != nil && !placed {
		return errors.Join(err, r.giveUp(p, r.stopped), r.finish(ctx, afterwards{Start: r.stopped}))
	}
	if err != nil { // what has begun goes on at the next start; nothing runs on it until then
		return fmt.Errorf("%w; it goes on at the next start of the daemon", err)
	}
	return r.finish(ctx, then)
}

// giveUp drops what was prepared. The settings that would have come with it are forgotten first: a cut must not leave them
// without it. What was stopped is still to be started.
func (b *backupHouse) giveUp(p *archive.Prepared, start []string) error {
	raw, err := json.Marshal(afterwards{Start: start})
	if err == nil {
		err = fileStore(b.files.after).Save(raw)
	}
	if err != nil {
		err = errors.Join(err, fileStore(b.files.after).remove())
	}
	return errors.Join(err, p.Drop())
}

// exchange puts everything in its place, and tells whether that has begun.
func exchange(place func() error, journal string) (begun bool, err error) {
	err = place()
	begun = !errors.Is(err, archive.ErrNotBegun) // a disk that is full: what would resume it forgets it
	if err != nil && begun && archive.Resume(journal) == nil {
		err = nil
	}
	return begun, err
}

// resting runs do while everything that is concerned rests. Add-ons are stopped, and started by whoever comes afterwards.
// What is left half exchanged is started by nobody.
func (r *restore) resting(ctx context.Context, stop []string, do func() error, placed *bool) (err error) {
	for _, slug := range stop {
		if st, _, _, err := r.manager.Status(lifecycle.Service(slug)); err == nil && st.Stopped == "" {
			err := r.addons.installs.Stop(ctx, slug)
			if now, _, _, unknown := r.manager.Status(lifecycle.Service(slug)); err == nil || unknown == nil && now.Stopped != "" {
				r.stopped = append(r.stopped, slug) // also when the engine did not answer: it is kept stopped until it is started
			}
			if err != nil {
				return err
			}
		}
	}
	var up []error
	defer func() {
		if trouble := errors.Join(up...); trouble != nil {
			r.notes = append(r.notes, trouble.Error()) // it is tried again by who looks after the service
		}
	}()
	slices.Sort(r.hold)
	for _, service := range slices.Compact(r.hold) {
		release, held := r.manager.Hold(ctx, service)
		if errors.Is(held, supervisor.ErrUnknown) {
			continue // it was never installed
		}
		if held != nil {
			return held
		}
		defer func() {
			if err == nil || !*placed {
				up = append(up, release(ctx))
			}
		}()
	}
	err = do()
	return err
}

// finishRestore puts settings under the schema of the version that runs, and starts what ran.
func (b *backupHouse) finishRestore(ctx context.Context, then afterwards) (notes []string, err error) {
	var errs []error
	for _, slug := range sortedKeys(then.Settings) {
		notes = append(notes, b.settle(ctx, slug, then.Settings[slug], then.Own)...)
	}
	for _, slug := range then.Start {
		change, err := b.addons.installs.Start(ctx, slug)
		if err == nil && change != "" {
			var c supervisor.Change
			if c, err = b.manager.Wait(b.ctx, change); err == nil && c.State != supervisor.StateCommitted {
				err = fmt.Errorf("it ended as %s: %s", c.State, c.Why)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the data is in its place, but add-on %s does not start: %w; see: castellan addon logs %s", slug, err, slug))
		}
	}
	return notes, errors.Join(append(errs, fileStore(b.files.after).remove())...)
}

func (r *restore) finish(ctx context.Context, then afterwards) error {
	r.stage(stageRestarts)
	notes, err := r.finishRestore(ctx, then)
	r.notes = append(r.notes, notes...)
	r.wake()
	return err
}

// settle takes over what an add-on's owner had set, each by itself: what does not fit the version that runs is told.
func (b *backupHouse) settle(ctx context.Context, slug string, s addons.Settings, own bool) (notes []string) {
	told := func(what string, err error) {
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s: %s stay as they are here: %v", slug, what, err))
		}
	}
	out, err := b.addons.installs.Configure(ctx, slug, lifecycle.Patch{Options: &s.Options, Own: own})
	told("options", err)
	for _, name := range out.Dropped {
		notes = append(notes, fmt.Sprintf("%s: option %s is not known to this version and was dropped", slug, name))
	}
	_, err = b.addons.installs.Configure(ctx, slug, lifecycle.Patch{Ports: &s.Ports})
	told("ports", err)
	if s.Boot != "" {
		_, err = b.addons.installs.Configure(ctx, slug, lifecycle.Patch{Boot: &s.Boot})
		told("the settings of its start", err)
	}
	_, err = b.addons.installs.Configure(ctx, slug, lifecycle.Patch{AutoUpdate: &s.AutoUpdate, Watchdog: &s.Watchdog})
	told("automatic updates and the watchdog", err)
	return notes
}
