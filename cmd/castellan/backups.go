package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/backup/archive"
	"github.com/castellan/castellan/supervisor/jobs"
)

// backupHouse is the part of the daemon that is about backups.
type backupHouse struct {
	*house
	store *archive.Store
	files backupFiles
	ctx   context.Context // of the daemon's own work
	stop  func()
	turn  chan struct{} // holds a token during a backup or a restore

	mu    sync.Mutex // guards the rest
	state backupState
	tries map[string]backupTry // before updates, by service
}

// backupFiles are kept in the data folder.
type backupFiles struct {
	journal   string // the restore that is under way
	after     string // what comes after it
	state     string
	recipient string // public half of the recovery key
}

// backupState is what is kept of backups besides their files.
type backupState struct {
	DaysUntilStale int       `json:"daysUntilStale"`
	Scheduled      time.Time `json:"scheduled,omitzero"` // the last time that the schedule was kept, or began to count

	Schedule *backupTimes `json:"schedule,omitempty"` // as the owner set it; nil = as the configuration says

	Before map[string]backupTry `json:"before,omitempty"` // the newest that was made before an update, by service
}

// openBackups ends a restore that was cut off, before anything starts on what it exchanges, and opens the folder. A folder
// that can't be opened stops nothing else: it may be on a disk that is not there.
func (h *house) openBackups(_ context.Context, data func(string) string, _ bool) error {
	b := &backupHouse{house: h, files: backupFiles{data("restore.json"), data("restored.json"), data("backups.json"), data("backup.recipient")},
		turn: make(chan struct{}, 1), state: backupState{DaysUntilStale: 30}, tries: map[string]backupTry{}}
	b.ctx, b.stop = context.WithCancel(context.Background())
	if err := b.resume(); err != nil {
		return fmt.Errorf("cannot start: a restore was cut off and does not end: %w; nothing runs on data that is restored by halves", err)
	}
	err := b.load()
	if err != nil {
		h.log.Warn("cannot read what is kept of backups; it begins anew", "error", err) // it says only when the next one is due
	}
	if b.store, err = archive.Open(h.cfg.Backup.Dir, archive.Options{}); err != nil {
		h.log.Error("there are no backups until their folder can be opened", "error", err)
	}
	h.backups = b
	return nil
}

// load reads what is kept of backups.
func (b *backupHouse) load() error {
	raw, err := fileStore(b.files.state).Load()
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &b.state)
	}
	maps.Copy(b.tries, b.state.Before)
	return err
}

// Close waits for what is under way, which is cancelled, and lets nothing more begin.
func (b *backupHouse) Close() error {
	b.stop()
	b.turn <- struct{}{}
	if b.store == nil {
		return nil
	}
	return b.store.Close()
}

// ready is an error unless the folder of backups is open.
func (b *backupHouse) ready() error {
	if b.store == nil {
		return &api.Error{Status: http.StatusServiceUnavailable, Key: api.KeyBackup,
			Message: "the folder of backups could not be opened at the start; the log says why", Next: "mount or mend it, then: systemctl restart castellan"}
	}
	return nil
}

// inTurn does work when nothing else is being backed up or restored. Whoever is to wait for that does so as long as ctx
// lasts. The work ends with ctx, and with the daemon.
func inTurn[T any](ctx context.Context, b *backupHouse, wait bool, do func(context.Context) (T, error)) (out T, err error) {
	if err := b.ready(); err != nil {
		return out, err
	}
	select {
	case b.turn <- struct{}{}:
	default:
		busy := &api.Error{Status: http.StatusBadRequest, Key: api.KeyBackup, Message: "Another job is running for job group backup_manager", Next: "wait for its end and try again"}
		if !wait {
			return out, busy
		}
		select {
		case b.turn <- struct{}{}:
		case <-ctx.Done():
			return out, busy
		case <-b.ctx.Done():
			return out, busy
		}
	}
	defer func() { <-b.turn }()
	ctx, end := context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(b.ctx, end)()
	return do(ctx)
}

// keep writes the state down.
func (b *backupHouse) keep(edit func(*backupState)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := b.state
	edit(&next)
	raw, err := json.Marshal(next)
	if err == nil {
		err = fileStore(b.files.state).Save(raw)
	}
	if err == nil {
		b.state = next
	}
	return err
}

// seal is how a backup is encrypted: with a passphrase, else for the recovery key, else not.
func (b *backupHouse) seal(passphrase string) (archive.Seal, error) {
	switch to := b.config().Backup.Recipient; {
	case passphrase != "":
		return archive.SealWith(passphrase)
	case to == config.None:
		return archive.Seal{}, nil
	case to != "":
		return archive.SealFor(to)
	}
	seal, err := archive.ReadRecipient(b.files.recipient)
	if errors.Is(err, fs.ErrNotExist) {
		return archive.Seal{}, nil
	}
	return seal, err
}

// backupError gives an error of a backup its key and its next step.
func backupError(slug string, err error) error {
	var known *api.Error
	fail := func(key, next string) error {
		return &api.Error{Status: http.StatusBadRequest, Key: key, Message: err.Error(), Next: next}
	}
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, jobs.ErrCancelled), errors.Is(err, jobs.ErrStopping):
		return err // its job says who ended it
	case errors.Is(err, archive.ErrNotFound):
		return api.NoBackup(slug)
	case errors.Is(err, archive.ErrKeyNeeded):
		return fail(api.KeyBackupKey, "castellan backup restore "+slug+" --passphrase-file FILE")
	case errors.Is(err, archive.ErrWrongKey):
		err = fmt.Errorf("%s for backup %s: %w", "Invalid password", slug, err) // Home Assistant's words
		return fail(api.KeyBackupWrong, "castellan backup show "+slug)
	case errors.Is(err, archive.ErrNoSpace):
		return fail(api.KeyBackup, "castellan backup list")
	case errors.Is(err, archive.ErrUnended):
		return fail(api.KeyBackup, "systemctl restart castellan")
	case errors.Is(err, archive.ErrForeign):
		return fail(api.KeyBackup, "castellan addon import FILE SLUG")
	}
	return fail(api.KeyBackup, "castellan backup list")
}

// backupShelf shows backups through the API.
type backupShelf struct{ *backupHouse }

var _ api.Backups = backupShelf{}

// List implements api.Backups.
func (b backupShelf) List(ctx context.Context) ([]api.Backup, error) {
	if err := b.ready(); err != nil {
		return nil, err
	}
	items, err := b.store.List(ctx)
	out := []api.Backup{}
	for _, it := range items {
		if it.Problem != nil {
			out = append(out, api.Backup{Name: it.File, Size: it.Size, Problem: it.Problem.Error()})
			continue
		}
		out = append(out, backupOf(it.Info))
	}
	return out, err
}

func backupOf(i archive.Info) api.Backup {
	out := api.Backup{Slug: i.Slug, Name: i.Name, Date: i.Date, Full: i.Type == archive.Full, Protected: i.Protected, Seal: i.Seal, Origin: string(i.Origin),
		Service: i.Service, Version: i.Version, Size: i.Size, Repositories: i.Repositories}
	for _, p := range i.Parts {
		switch p.Kind {
		case archive.HomeAssistant:
			out.Core = &api.BackupCore{Version: p.Version, NoDatabase: p.NoDatabase}
		case archive.Addon:
			out.Addons = append(out.Addons, api.BackupAddon{Slug: p.Slug, Name: p.Name, Version: p.Version, Size: float64(p.Size*100>>20) / 100})
		case archive.Folder:
			out.Folders = append(out.Folders, p.Slug)
		}
	}
	return out
}

// Set implements api.Backups. A schedule that is new counts from now on.
func (b backupShelf) Set(_ context.Context, s api.BackupSettings) error {
	err := b.keep(func(st *backupState) {
		if s.DaysUntilStale != nil {
			st.DaysUntilStale = *s.DaysUntilStale
		}
		if s.Schedule != nil {
			st.Schedule, st.Scheduled = nil, b.now()
			if !s.Schedule.Default {
				st.Schedule = &backupTimes{Days: s.Schedule.Days, Hour: s.Schedule.Hour}
			}
		}
	})
	if err == nil && s.Schedule != nil {
		b.decidedOn(fmt.Sprintf("schedule of backups set to %s by %s", s.Schedule, s.By), "")
	}
	return err
}

// Open implements api.Backups.
func (b backupShelf) Open(_ context.Context, slug string) (io.ReadCloser, error) {
	if err := b.ready(); err != nil {
		return nil, err
	}
	name, err := b.store.Path(slug)
	if err != nil {
		return nil, backupError(slug, err)
	}
	return os.Open(name)
}

// Add implements api.Backups.
func (b backupShelf) Add(ctx context.Context, r io.Reader, by string) (string, error) {
	if err := b.ready(); err != nil {
		return "", err
	}
	i, err := b.store.Add(ctx, r)
	if err != nil {
		return "", backupError("", err)
	}
	b.decidedOn("backup "+i.Slug+" taken in by "+by, "")
	return i.Slug, nil
}

// Remove implements api.Backups.
func (b backupShelf) Remove(_ context.Context, slug, by string) error {
	if err := b.ready(); err != nil {
		return err
	}
	if err := b.store.Remove(slug); err != nil {
		return backupError(slug, err)
	}
	b.decidedOn("backup "+slug+" removed by "+by, "")
	return nil
}

// Work implements api.Backups.
func (b backupShelf) Work() api.BackupWork { return backupWork(b) }
