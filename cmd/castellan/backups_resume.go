package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor/backup/archive"
)

// remove deletes the file, durably; a missing one is a success.
func (f fileStore) remove() error {
	if err := os.Remove(string(f)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(string(f)))
}

// resume ends what of a restore was cut off. One that was only being prepared is forgotten, and so are the settings that
// would have come with it.
func (b *backupHouse) resume() error {
	raw, err := fileStore(b.files.journal).Load()
	if err != nil {
		return err
	}
	var plan struct {
		Phase string `json:"phase"`
	}
	if raw != nil && json.Unmarshal(raw, &plan) == nil && plan.Phase == "preparing" {
		if then, err := b.afterCut(); err != nil {
			return err
		} else if then != nil {
			then.Settings = nil
			rest, err := json.Marshal(then)
			if err == nil {
				err = fileStore(b.files.after).Save(rest)
			}
			if err != nil {
				return err
			}
		}
	}
	return archive.Resume(b.files.journal)
}

// afterCut is what a restore that was cut off has left to do, nil = nothing.
func (b *backupHouse) afterCut() (*afterwards, error) {
	raw, err := fileStore(b.files.after).Load()
	if err != nil || raw == nil {
		return nil, err
	}
	var then afterwards
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&then); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w; remove it when the add-ons are set as they should be", b.files.after, err)
	}
	return &then, nil
}

// runBackups ends what a cut has left, and keeps the schedule, until ctx ends.
func (h *house) runBackups(ctx context.Context) {
	b := h.backups
	if then, err := b.afterCut(); err != nil {
		h.log.Error("a restore was cut off and its settings are lost", "error", err)
	} else if then != nil {
		notes, err := b.finishRestore(ctx, *then)
		h.log.Info("a restore that was cut off has ended", "notes", notes, "error", err)
	}
	if b.store != nil {
		b.schedule(ctx)
	}
}
