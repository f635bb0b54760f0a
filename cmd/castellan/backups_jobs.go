package main

import (
	"context"

	"github.com/castellan/castellan/supervisor/backup/archive"
	"github.com/castellan/castellan/supervisor/jobs"
)

// Names of Home Assistant's jobs about backups that nobody asked for through the API.
const (
	jobFullBackup    = "backup_manager_full_backup"
	jobPartialBackup = "backup_manager_partial_backup"
)

// jobPart is how a part of a backup is named in jobs: the stage, and the job that saves or restores it.
type jobPart struct{ stage, save, restore string }

var jobParts = map[archive.Kind]jobPart{
	archive.HomeAssistant: {"home_assistant", "backup_store_homeassistant", "backup_restore_homeassistant"},
	archive.Addon:         {"addons", "backup_addon_save", "backup_addon_restore"},
	archive.Folder:        {"folders", "backup_folder_save", "backup_folder_restore"},
	archive.Supervisor:    {"addon_repositories", "backup_store_repositories", "backup_restore_repositories"},
}

// Stages of a restore besides those of its parts. stagePlacing is ours: services rest while the data is exchanged.
const (
	stageAddons   = "addons"
	stagePlacing  = "placing"
	stageRestarts = "await_addon_restarts"
)

// asJob makes a backup in its turn, as a job that nobody asked for through the API: part of the one that wants it, as an
// update does, or one of its own.
func (b *backupHouse) asJob(ctx context.Context, name string, do func(context.Context) (archive.Made, error)) (archive.Made, error) {
	var made archive.Made // written before the work ends, read only then
	work := func(ctx context.Context, j *jobs.Job) (err error) {
		made, err = inTurn(ctx, b, true, do)
		if err == nil {
			j.SetReference(made.Slug)
		}
		return err
	}
	spec := jobs.Spec{Name: name, Cancel: true, Accepted: true}
	var err error
	if j, ok := jobs.From(ctx); ok {
		err = j.Child(ctx, spec, work)
	} else {
		_, err = b.jobs.Run(ctx, spec, work)
	}
	if err != nil {
		return archive.Made{}, err
	}
	return made, nil
}

// heed lets a backup begin that may not fit, where that condition is switched off.
func (b *backupHouse) heed(r *archive.Request) {
	if !b.jobs.Ignores(jobs.FreeSpace) {
		return
	}
	r.Doubt = func(err error) {
		b.log.Warn("a backup is begun that may not fit, since the condition free_space is switched off", "backup", r.Name, "error", err)
	}
}

// shown has the job that a backup is made in show it. What is asked for was found possible.
func shown(ctx context.Context, r *archive.Request) {
	j, ok := jobs.From(ctx)
	if !ok {
		return
	}
	j.Accepted()
	r.Progress = j.SetBytes
	for i := range r.Units {
		u := &r.Units[i]
		u.Around = aPart(j, jobParts[u.Kind].stage, jobParts[u.Kind].save, u.Slug)
	}
}

// aPart shows the turn of a part as a child of a job.
func aPart(j *jobs.Job, stage, name, slug string) archive.Around {
	return func(ctx context.Context, do func(context.Context, func(done, total int64)) error) error {
		j.SetStage(stage)
		return j.Child(ctx, jobs.Spec{Name: name, Reference: slug}, func(ctx context.Context, c *jobs.Job) error { return do(ctx, c.SetBytes) })
	}
}

// accepted tells a restore's job that what is asked for is possible.
func (r *restore) accepted() {
	if r.job != nil {
		r.job.Accepted()
	}
	r.stage(stageAddons) // those that are missing are installed
}

// watch has the job of a restore show what is unpacked.
func (r *restore) watch() (progress func(done, total int64)) {
	if r.job == nil {
		return nil
	}
	for i := range r.targets {
		t := &r.targets[i]
		part := jobParts[r.backup.Part(t.Unit).Kind]
		t.Around = aPart(r.job, part.stage, part.restore, t.Unit)
	}
	return r.job.SetBytes
}

func (r *restore) stage(s string) {
	if r.job != nil {
		r.job.SetStage(s)
	}
}
