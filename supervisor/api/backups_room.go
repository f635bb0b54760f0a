package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// BackupRoom is the answer of /castellan/backups: all backups, newest first, and how they are made.
type BackupRoom struct {
	Backups []BackupRow `json:"backups"`
	Place   BackupPlace `json:"place"`
}

// BackupRow is a backup with all that is known of it. One with a Problem can't be used and may have nothing else.
type BackupRow struct {
	Slug       string        `json:"slug,omitempty"`
	Name       string        `json:"name"`
	Date       time.Time     `json:"date,omitzero"`
	Full       bool          `json:"full"`
	Protected  bool          `json:"protected"`
	Seal       string        `json:"seal,omitempty"`    // how it is encrypted: recovery, passphrase
	Origin     string        `json:"origin,omitempty"`  // owner, schedule, update
	Service    string        `json:"service,omitempty"` // whose update it was made before
	Version    string        `json:"version,omitempty"` // of the Castellan that made it
	Size       int64         `json:"size"`
	Core       string        `json:"core,omitempty"` // version of Home Assistant in it, "" = it holds nothing of it
	NoDatabase bool          `json:"no_database,omitempty"`
	Addons     []BackupAddon `json:"addons"`
	Folders    []string      `json:"folders"`
	Problem    string        `json:"problem,omitempty"`
}

// BackupPlace is where backups lie, and when they come by themselves.
type BackupPlace struct {
	Dir             string    `json:"dir"`
	Free            int64     `json:"free,omitempty"`      // bytes, as far as it is known
	Error           string    `json:"error,omitempty"`     // why there are no backups
	Recipient       string    `json:"recipient,omitempty"` // public half of the recovery key, "" = there is none
	BeforeUpdate    bool      `json:"before_update"`
	ExcludeDatabase bool      `json:"exclude_database"`
	Days            []string  `json:"days"` // of the schedule; none: there is none
	Hour            int       `json:"hour"`
	Zone            string    `json:"zone"`
	Next            time.Time `json:"next,omitzero"`
	Decided         bool      `json:"decided"`        // the owner set the schedule; otherwise it is the configuration's
	KeepScheduled   int       `json:"keep_scheduled"` // 0 = all
	KeepBefore      int       `json:"keep_before_update"`
	DaysUntilStale  int       `json:"days_until_stale"`
}

// BackupTimes is the body of /castellan/backups/schedule: on which days, and when. No days = none; Default = as the
// configuration says.
type BackupTimes struct {
	Days    []string `json:"days,omitempty"` // mon to sun
	Hour    int      `json:"hour,omitempty"` // 0 to 23; it begins up to half an hour later
	Default bool     `json:"default,omitempty"`
}

// String is the schedule in words, for the log.
func (q BackupTimes) String() string {
	switch {
	case q.Default:
		return "the configuration's"
	case len(q.Days) == 0:
		return "none"
	}
	return fmt.Sprintf("%s %d:00", strings.Join(q.Days, ", "), q.Hour)
}

// weekdays are the days of a schedule, in their order.
var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

func (q BackupTimes) check() error {
	for i, d := range q.Days {
		if !slices.Contains(weekdays, d) || slices.Contains(q.Days[:i], d) {
			return badRequest("cannot read field \"days\": %.20q: want each of mon to sun once at most", d)
		}
	}
	switch {
	case q.Hour < 0 || q.Hour > 23:
		return badRequest("cannot read field \"hour\": %d: want 0 to 23", q.Hour)
	case q.Default && (len(q.Days) > 0 || q.Hour != 0):
		return badRequest("cannot set a schedule and leave it to the configuration at once: field \"default\" stands alone")
	}
	return nil
}

func (s *Server) postBackupSchedule(ctx context.Context, c Caller, in about[BackupTimes]) (BackupPlace, error) {
	if err := s.cfg.Backups.Set(ctx, BackupSettings{Schedule: &in.Body, By: c.String()}); err != nil {
		return BackupPlace{}, err
	}
	out := s.cfg.Backups.Place(ctx)
	fill(&out.Days)
	return out, nil
}

func (s *Server) getBackupRoom(ctx context.Context, _ Caller, _ none) (BackupRoom, error) {
	out := BackupRoom{Backups: []BackupRow{}, Place: s.cfg.Backups.Place(ctx)}
	fill(&out.Place.Days)
	if out.Place.Error != "" {
		return out, nil
	}
	all, err := s.cfg.Backups.List(ctx)
	for _, b := range all {
		row := BackupRow{Slug: b.Slug, Name: b.Name, Date: b.Date, Full: b.Full, Protected: b.Protected, Seal: b.Seal, Origin: b.Origin, Service: b.Service, Version: b.Version,
			Size: b.Size, Addons: append([]BackupAddon{}, b.Addons...), Folders: list(b.Folders), Problem: b.Problem}
		if b.Core != nil {
			row.Core, row.NoDatabase = b.Core.Version, b.Core.NoDatabase
		}
		out.Backups = append(out.Backups, row)
	}
	return out, err
}
