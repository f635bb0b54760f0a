package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/backup/archive"
	"github.com/castellan/castellan/updater"
)

// Times of backups that come by themselves. lookBackup is how often the schedule is looked at, spread how much later than
// its hour it may begin.
const (
	lookBackup = time.Minute
	spread     = 30 * time.Minute
)

// backupTimes is a schedule that the owner set.
type backupTimes struct {
	Days []string `json:"days"`
	Hour int      `json:"hour"`
}

// times are when full backups come by themselves: as the owner set it, else as the configuration says.
func (b *backupHouse) times() (t backupTimes, decided bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.Schedule != nil {
		return *b.state.Schedule, true
	}
	s := b.config().Backup.Schedule
	return backupTimes{Days: s.Days, Hour: *s.Hour}, false
}

// scheduleOf is a schedule for the clock; ok is false when it has no day.
func scheduleOf(c *config.Config, t backupTimes) (s archive.Schedule, ok bool) {
	zone, err := time.LoadLocation(c.Addons.Timezone)
	if err != nil {
		zone = time.UTC // config has checked it
	}
	s = archive.Schedule{Days: config.BackupSchedule{Days: t.Days}.Weekdays(), Hour: t.Hour, Zone: zone, Jitter: spread, Seed: c.Appliance.ID}
	return s, len(s.Days) > 0
}

// backupDue tells whether a scheduled backup is due: once for each moment of the schedule, and once after any number that
// were missed. last is when the schedule was kept.
func backupDue(s archive.Schedule, last, now time.Time) bool { return !s.Next(last).After(now) }

// schedule makes the backups of the schedule until ctx ends. Without a believable clock there are none.
func (b *backupHouse) schedule(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookBackup):
		}
		if err := b.onSchedule(ctx); err != nil && ctx.Err() == nil {
			b.log.Error("the backup of the schedule failed; the next one is made at its hour", "error", err)
		}
	}
}

func (b *backupHouse) onSchedule(ctx context.Context) error {
	t, _ := b.times()
	s, ok := scheduleOf(b.config(), t)
	now, believed := b.clock.Now()
	if !ok || !believed {
		return nil
	}
	b.mu.Lock()
	last := b.state.Scheduled
	b.mu.Unlock()
	if last.IsZero() || last.After(now) { // it counts from now on; one that lies ahead was dated by a clock that was wrong
		return b.keep(func(st *backupState) { st.Scheduled = now })
	}
	if !backupDue(s, last, now) {
		return nil
	}
	if err := b.keep(func(st *backupState) { st.Scheduled = now }); err != nil {
		return err // or it would be made each minute
	}
	made, err := b.asJob(ctx, jobFullBackup, func(ctx context.Context) (archive.Made, error) {
		return b.make(ctx, api.BackupRequest{Name: "scheduled " + now.UTC().Format(time.DateOnly), Full: true, Core: true, AllAddons: true, Folders: api.BackupFolders,
			NoDatabase: b.config().Backup.ExcludeDatabase}, archive.Scheduled, "")
	})
	if err == nil {
		b.log.Info("backup of the schedule made", "backup", made.Slug, "bytes", made.Size)
	}
	return err
}

// submit submits a plan. Where backups come before updates, a step whose backup was not made waits: wait makes them now, as
// an owner who asks does; otherwise they are made beside the update loop, which is woken then.
func (h *house) submit(ctx context.Context, p *updater.Plan, wait bool) (taken []supervisor.Change, errs []error) {
	if h.backups != nil && h.config().Backup.BeforeUpdate {
		var steps []updater.Step
		waits := "" // a service of the channel's release
		for _, s := range p.Steps {
			err := h.backups.before(ctx, s, wait)
			if err == nil {
				steps = append(steps, s)
				continue
			}
			if s.Channel != nil {
				waits = s.Service
			}
			p.Skips = append(p.Skips, updater.Skip{Service: s.Service, Code: "backup", Why: err.Error()})
			if wait {
				errs = append(errs, &api.Error{Status: 400, Key: api.KeyBackup, Next: "castellan backup list",
					Message: fmt.Sprintf("cannot update %s: no backup could be made before: %v", s.Service, err)})
			}
		}
		if p.Together && waits != "" {
			for _, s := range steps {
				if s.Channel != nil {
					p.Skips = append(p.Skips, updater.Skip{Service: s.Service, Code: updater.SkipTogether, Why: "it moves together with " + waits + ", which waits for its backup"})
				}
			}
			steps = slices.DeleteFunc(steps, func(s updater.Step) bool { return s.Channel != nil })
		}
		p.Steps = steps
		if !wait { // the turn of the loop is what status shows
			h.mu.Lock()
			h.plan.Steps, h.plan.Skips = p.Steps, p.Skips
			h.mu.Unlock()
		}
	}
	taken, more := h.manager.Submit(ctx, *p)
	return taken, append(errs, more...)
}
