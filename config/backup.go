package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
)

// Backup is about the backups that people ask for.
type Backup struct {
	// Dir is where they lie; no add-on sees it. Absolute; it must not be in a folder that backups save. Default <data_dir>/backups.
	Dir string `yaml:"dir"`

	// BeforeUpdate makes one before each update of an add-on or of Home Assistant Core. One that fails stops the update.
	// Default false: what an update changes is kept in any case until the new version has proved itself.
	BeforeUpdate bool `yaml:"before_update"`

	// Recipient is the public half ("age1…") of the recovery key that backups are encrypted for, or "none". Default: the key
	// that castellan backup key new has made, if there is one.
	Recipient string `yaml:"recipient"`

	// ExcludeDatabase leaves Home Assistant's database out of backups that come by themselves. Default false.
	ExcludeDatabase bool `yaml:"exclude_database"`

	Keep     BackupKeep     `yaml:"keep"`
	Schedule BackupSchedule `yaml:"schedule"`
}

// BackupKeep says what stays of the backups that come by themselves; the owner's own always do.
type BackupKeep struct {
	// BeforeUpdate is how many stay of each service, 0 to 100; 0 = all. Default 3.
	BeforeUpdate *int `yaml:"before_update"`

	// Scheduled is how many stay of the schedule, likewise. Default 7.
	Scheduled *int `yaml:"scheduled"`
}

// BackupSchedule says when full backups come by themselves.
type BackupSchedule struct {
	// Days are those on which one is made: mon to sun. Default: none.
	Days []string `yaml:"days"`

	// Hour is when, 0 to 23, in addons.timezone; it begins up to half an hour later. Default 3.
	Hour *int `yaml:"hour"`
}

// None is the word for no recovery key.
const None = "none"

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Weekdays are Days.
func (s BackupSchedule) Weekdays() (out []time.Weekday) {
	for _, name := range s.Days {
		for i, known := range weekdays {
			if name == known {
				out = append(out, time.Weekday(i))
			}
		}
	}
	return out
}

func (b *Backup) setDefaults(dataDir string) {
	set(&b.Dir, filepath.Join(dataDir, "backups"))
	for p, def := range map[**int]int{&b.Keep.BeforeUpdate: 3, &b.Keep.Scheduled: 7, &b.Schedule.Hour: 3} {
		if *p == nil {
			*p = &def
		}
	}
}

func (s *source) backup(c *Config) error {
	b := c.Backup
	if err := s.folder("$.backup.dir", b.Dir); err != nil {
		return err
	}
	if within(b.Dir, c.Addons.Dir) || within(c.DataDir, b.Dir) {
		return s.field("$.backup.dir", "%s is in addons.dir, whose folders are saved, or holds data_dir; name another", b.Dir)
	}
	if err := s.backupApart(c); err != nil {
		return err
	}
	if b.Recipient != "" && b.Recipient != None {
		if _, err := age.ParseX25519Recipient(b.Recipient); err != nil {
			if strings.HasPrefix(strings.ToUpper(b.Recipient), "AGE-SECRET-KEY-") {
				return redact(s.field("$.backup.recipient", "this is the secret half of a key; keep it away from the appliance and write the public half (age1…)"))
			}
			return s.field("$.backup.recipient", "%.80q: want the public half of a recovery key (age1…), or none", b.Recipient)
		}
	}
	for at, n := range map[string]int{"$.backup.keep.before_update": *b.Keep.BeforeUpdate, "$.backup.keep.scheduled": *b.Keep.Scheduled} {
		if n < 0 || n > 100 {
			return s.field(at, "%d: want 1 to 100, or 0 for all", n)
		}
	}
	if h := *b.Schedule.Hour; h < 0 || h > 23 {
		return s.field("$.backup.schedule.hour", "%d: want 0 to 23", h)
	}
	seen := map[string]bool{}
	for i, day := range b.Schedule.Days {
		at := "$.backup.schedule.days" + index(i)
		if err := s.oneOf(at, day, weekdays...); err != nil {
			return err
		}
		if seen[day] {
			return s.field(at, "%q is in the list already", day)
		}
		seen[day] = true
	}
	return nil
}

// backupApart keeps backups and what they save apart: a backup of itself never ends, and a restore would exchange the folder
// that it reads from. Home Assistant's folder is saved also when data leaves it out.
func (s *source) backupApart(c *Config) error {
	dir := c.Backup.Dir
	for i, svc := range c.Services {
		saved := map[string]string{} // where it is written, by folder
		for j, path := range svc.Data {
			saved[path] = fmt.Sprintf("$.services[%d].data[%d]", i, j)
		}
		if svc.HomeAssistant != nil {
			saved[svc.HomeAssistant.Config] = fmt.Sprintf("$.services[%d].home_assistant.config", i)
		}
		for _, path := range slices.Sorted(maps.Keys(saved)) {
			if within(dir, path) {
				return s.field("$.backup.dir", "%s is in %s, the data of services[%d], which backups save; name another", dir, path, i)
			}
			if within(path, dir) {
				return s.field(saved[path], "%s is in backup.dir, %s, which holds the backups of it; name another", path, dir)
			}
		}
	}
	return nil
}
