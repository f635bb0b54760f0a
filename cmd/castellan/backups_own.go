package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/updater/decisions"
)

// savedFile is a file as a backup holds it.
type savedFile []byte

// Load implements updater.Store.
func (f savedFile) Load() ([]byte, error) { return f, nil }

// Save implements updater.Store.
func (f savedFile) Save([]byte) error { return errors.New("it is in a backup") }

// ownPart brings back what was decided of updates, for who may decide that. Whom the appliance follows, its owner decides
// anew: what is missing is told.
func (r *restore) ownPart(ctx context.Context) error {
	if !r.own {
		return nil
	}
	for _, source := range r.backup.Repositories {
		if !slices.Contains(r.sources(), source) {
			r.notes = append(r.notes, fmt.Sprintf("repository %s is not followed here; follow it with: castellan repo add %s", plain(source), quoted(plain(source))))
		}
	}
	about, err := r.backup.Unit(ctx, "supervisor", r.key)
	if err != nil {
		return err
	}
	var meta ownMeta
	if err := json.Unmarshal(about.Meta, &meta); err != nil {
		return fmt.Errorf("what was decided of updates can't be read: %w", err)
	}
	if len(meta.Decisions) == 0 {
		return nil
	}
	if r.by.Kind == api.KindAddon || r.by.Role != api.Admin {
		r.notes = append(r.notes, "what was decided of updates stays as it is here: only its owner restores that")
		return nil
	}
	saved, err := decisions.Open(savedFile(meta.Decisions)).All()
	if err != nil {
		return err
	}
	_, err = r.decide(ctx, decisionRecord{What: "restored from backup " + r.backup.Slug}, r.by.String(), func(d *decisions.Decisions, _ decisions.Said) error {
		saved.LastID = max(saved.LastID, d.LastID)
		*d = saved
		return nil
	})
	return err
}
