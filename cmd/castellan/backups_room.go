package main

import (
	"context"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/api"
)

// Place implements api.Backups.
func (b backupShelf) Place(context.Context) api.BackupPlace {
	c := b.config()
	t, decided := b.times()
	b.mu.Lock()
	stale := b.state.DaysUntilStale
	b.mu.Unlock()
	out := api.BackupPlace{Dir: c.Backup.Dir, BeforeUpdate: c.Backup.BeforeUpdate, ExcludeDatabase: c.Backup.ExcludeDatabase, Days: t.Days, Decided: decided,
		Hour: t.Hour, Zone: c.Addons.Timezone, KeepScheduled: *c.Backup.Keep.Scheduled, KeepBefore: *c.Backup.Keep.BeforeUpdate,
		DaysUntilStale: stale, Recipient: b.recipient(c)}
	if err := b.ready(); err != nil {
		out.Error = err.Error()
		return out
	}
	var st unix.Statfs_t
	if unix.Statfs(c.Backup.Dir, &st) == nil { // one that can't be asked is told by the next backup
		out.Free = int64(st.Bavail) * int64(st.Bsize)
	}
	if s, ok := scheduleOf(c, t); ok {
		now, _ := b.clock.Now()
		out.Next = s.Next(now).Truncate(time.Minute)
	}
	return out
}

// recipient is the public half of the recovery key in force, "" when there is none.
func (b *backupHouse) recipient(c *config.Config) string {
	switch to := c.Backup.Recipient; to {
	case "":
	case config.None:
		return ""
	default:
		return to
	}
	text, err := os.ReadFile(b.files.recipient)
	if err != nil {
		return "" // there is none; one that can't be read is told by the next backup
	}
	return strings.TrimSpace(string(text))
}
