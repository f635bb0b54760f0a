package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/supervisor/jobs"
)

// BackupFull is the body of /backups/new/full. Backups are always compressed; extra is not kept.
type BackupFull struct {
	Name            string         `json:"name,omitempty"`
	Password        string         `json:"password,omitempty"`
	Compressed      bool           `json:"compressed,omitempty"`
	Location        jsontext.Value `json:"location,omitempty"`
	Filename        string         `json:"filename,omitempty"`
	ExcludeDatabase bool           `json:"homeassistant_exclude_database,omitempty"`
	Background      bool           `json:"background,omitempty"`
	Extra           jsontext.Value `json:"extra,omitempty"`
}

func (q BackupFull) check() error {
	if q.Filename != "" {
		return &Error{Status: http.StatusBadRequest, Key: "not_supported", Message: "cannot name the file of a backup: it is named by its slug", Next: "ask without filename"}
	}
	if len(q.Name) > 256 {
		return badRequest("cannot read field \"name\": it is longer than 256 bytes")
	}
	return placesIn(q.Location)
}

// BackupPartial is the body of /backups/new/partial.
type BackupPartial struct {
	BackupFull
	HomeAssistant bool           `json:"homeassistant,omitempty"`
	Addons        jsontext.Value `json:"addons,omitempty"` // slugs, or "ALL"
	Folders       []string       `json:"folders,omitempty"`
}

// making makes a backup as a job, whose reference is the backup's slug once it is made.
func (s *Server) making(ctx context.Context, c Caller, name string, background bool, r BackupRequest) (BackupDone, error) {
	t := task{name: name, group: groupBackup, cancel: true, background: background, told: true, what: "make a backup", key: KeyBackup}
	job, done, err := work(ctx, s, t, func(ctx context.Context, j *jobs.Job) (BackupDone, error) {
		made, err := s.cfg.Backups.Work().Create(ctx, r, c.String())
		if err == nil {
			j.SetReference(made.Slug)
		}
		keepNotes(j, made.Notes)
		return BackupDone{Slug: made.Slug, Notes: made.Notes}, err
	})
	done.Job, done.Notes = job, list(done.Notes)
	return done, err
}

// keepNotes keeps what is to be told of the end in the job's extra, as many as it takes.
func keepNotes(j *jobs.Job, notes []string) {
	for n := len(notes); n > 0; n /= 2 {
		kept := notes[:n:n]
		if left := len(notes) - n; left > 0 {
			kept = append(kept, fmt.Sprintf("and %d more", left))
		}
		if j.SetExtra(map[string]any{NotesKey: kept}) == nil {
			return
		}
	}
}

// NotesKey is where the extra of a job has what is to be told of its end: a list of texts.
const NotesKey = "notes"

func (s *Server) postBackupFull(ctx context.Context, c Caller, in about[BackupFull]) (BackupDone, error) {
	q := in.Body
	return s.making(ctx, c, "backup_manager_full_backup", q.Background, BackupRequest{Name: q.Name, Full: true, Core: true, AllAddons: true, Folders: BackupFolders, NoDatabase: q.ExcludeDatabase, Password: q.Password})
}

func (s *Server) postBackupPartial(ctx context.Context, c Caller, in about[BackupPartial]) (BackupDone, error) {
	q := in.Body
	slugs, all, err := slugsIn(q.Addons)
	if err != nil {
		return BackupDone{}, err
	}
	folders, core, err := foldersIn(q.Folders)
	if err != nil {
		return BackupDone{}, err
	}
	r := BackupRequest{Name: q.Name, Core: q.HomeAssistant || core, AllAddons: all, Addons: slugs, Folders: folders, NoDatabase: q.ExcludeDatabase, Password: q.Password}
	if !r.Core && !r.AllAddons && len(r.Addons) == 0 && len(r.Folders) == 0 {
		return BackupDone{}, badRequest("cannot make a backup of nothing: name homeassistant, addons or folders")
	}
	return s.making(ctx, c, "backup_manager_partial_backup", q.Background, r)
}

// RestoreFull is the body of /backups/{slug}/restore/full.
type RestoreFull struct {
	Password   string         `json:"password,omitempty"`
	Location   jsontext.Value `json:"location,omitempty"`
	Background bool           `json:"background,omitempty"`
}

func (q RestoreFull) check() error { return placesIn(q.Location) }

// RestorePartial is the body of /backups/{slug}/restore/partial.
type RestorePartial struct {
	RestoreFull
	HomeAssistant bool           `json:"homeassistant,omitempty"`
	Addons        jsontext.Value `json:"addons,omitempty"`
	Folders       []string       `json:"folders,omitempty"`
}

// RestoreDone is the answer of a restore.
type RestoreDone struct {
	Job
	Restored
}

func (s *Server) postRestoreFull(ctx context.Context, c Caller, in aboutBackup[RestoreFull]) (RestoreDone, error) {
	return s.restoring(ctx, c, "backup_manager_full_restore", in.Backup, in.Body.Background, RestoreRequest{Full: true, Password: in.Body.Password})
}

// restoring restores a backup as a job.
func (s *Server) restoring(ctx context.Context, c Caller, name, slug string, background bool, r RestoreRequest) (RestoreDone, error) {
	t := task{name: name, about: slug, group: groupBackup, cancel: true, background: background, told: true, what: "restore backup " + slug, key: KeyBackup}
	job, done, err := work(ctx, s, t, func(ctx context.Context, j *jobs.Job) (Restored, error) {
		done, err := s.cfg.Backups.Work().Restore(ctx, slug, r, c)
		keepNotes(j, done.Notes)
		return done, err
	})
	return RestoreDone{job, Restored{list(done.Notes)}}, err
}

func (s *Server) postRestorePartial(ctx context.Context, c Caller, in aboutBackup[RestorePartial]) (RestoreDone, error) {
	q := in.Body
	slugs, all, err := slugsIn(q.Addons)
	if err != nil {
		return RestoreDone{}, err
	}
	folders, core, err := foldersIn(q.Folders)
	if err != nil {
		return RestoreDone{}, err
	}
	r := RestoreRequest{Core: q.HomeAssistant || core, All: all, Addons: slugs, Folders: folders, Password: q.Password}
	if !r.Core && !r.All && len(r.Addons) == 0 && len(r.Folders) == 0 {
		return RestoreDone{}, badRequest("cannot restore nothing: name homeassistant, addons or folders")
	}
	return s.restoring(ctx, c, "backup_manager_partial_restore", in.Backup, q.Background, r)
}

// BackupRemoval is the body of DELETE /backups/{slug}.
type BackupRemoval struct {
	Location []*string `json:"location,omitempty"`
}

func (q BackupRemoval) check() error {
	var names []string
	for _, p := range q.Location {
		if p != nil {
			names = append(names, *p)
		}
	}
	return hereOnly(names)
}

func (s *Server) deleteBackup(ctx context.Context, c Caller, in aboutBackup[BackupRemoval]) (none, error) {
	return none{}, s.cfg.Backups.Remove(ctx, in.Backup, c.String())
}

func (s *Server) postBackupKey(ctx context.Context, c Caller, _ none) (BackupKey, error) {
	return s.cfg.Backups.Work().NewKey(ctx, c.String())
}

func (s *Server) postBackupVerify(ctx context.Context, _ Caller, in backupIn) (none, error) {
	if err := s.cfg.Backups.Work().Verify(ctx, in.Backup); err != nil {
		return none{}, &Error{Status: http.StatusBadRequest, Key: KeyBackup, Message: fmt.Sprintf("backup %s is no good: %v", in.Backup, err),
			Next: "castellan backup list"}
	}
	return none{}, nil
}
