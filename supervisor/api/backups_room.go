package api

import (
	"context"
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
	KeepScheduled   int       `json:"keep_scheduled"` // 0 = all
	KeepBefore      int       `json:"keep_before_update"`
	DaysUntilStale  int       `json:"days_until_stale"`
}

func (s *Server) getBackupRoom(ctx context.Context, _ Caller, _ none) (BackupRoom, error) {
	out := BackupRoom{Backups: []BackupRow{}, Place: s.cfg.Backups.Rules().Place(ctx)}
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
