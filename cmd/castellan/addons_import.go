package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/castellan/castellan/addons/habackup"
	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
)

// importWithin bounds an import: the installation before it, and a backup of many gigabytes on a slow card.
const importWithin = 2 * time.Hour

// unpacking is taken by the one import that unpacks: each leaves room on the disk by what was free when it began.
var unpacking = make(chan struct{}, 1)

// Import implements api.AddonLife: it installs the add-on if it is not, and puts data and settings of the backup in the
// place of its own. A second import of the same add-on is refused; one of another waits while this unpacks, no longer.
func (h addonLife) Import(ctx context.Context, slug string, r api.ImportRequest, by string) (api.Accepted, error) {
	ctx = context.WithoutCancel(ctx)
	done, err := h.addons.installs.Importing(slug)
	if err != nil {
		return api.Accepted{}, h.addonError(slug, err)
	}
	defer done()
	bounded, cancel := context.WithTimeoutCause(ctx, importWithin, fmt.Errorf("it did not end within %s", importWithin))
	defer cancel()
	if acc, ended, err := h.importBounded(bounded, slug, r, by); err != nil || ended {
		if err != nil && bounded.Err() != nil {
			err = fmt.Errorf("cannot import data of add-on %s: %w (%w)", slug, context.Cause(bounded), err)
		}
		return acc, err
	}
	h.decided(ctx, slug, "data imported by "+by, nil)
	if !r.Start {
		return oneChange(""), nil
	}
	return h.Power().Start(ctx, slug)
}

// importBounded does it; ended says that there is nothing to import to, and acc why.
func (h addonLife) importBounded(ctx context.Context, slug string, r api.ImportRequest, by string) (acc api.Accepted, ended bool, err error) {
	b, err := habackup.Open(r.Path)
	if err != nil {
		return acc, false, err
	}
	defer b.Close()
	meta, err := b.Addon(slug)
	if err != nil {
		return acc, false, err
	}
	if rec, _ := h.addons.installs.Record(slug); !rec.Installed() {
		if err := b.Check(ctx, slug); err != nil { // before an add-on comes that its data can't follow
			return acc, false, err
		}
		acc, err := h.Install(ctx, slug, api.InstallRequest{Asks: r.Asks}, by)
		if err != nil {
			return acc, false, err
		}
		c, err := h.manager.Wait(ctx, acc.Changes[0])
		if err != nil {
			return acc, false, err
		}
		if c.State != supervisor.StateCommitted {
			return acc, true, nil // the change says why; nothing was imported
		}
		if err := h.addons.installs.Reconcile(ctx); err != nil {
			return acc, false, err
		}
	}
	if err := h.importData(ctx, b, slug, meta); err != nil {
		return acc, false, h.addonError(slug, err)
	}
	return acc, false, nil
}

func (h addonLife) importData(ctx context.Context, b *habackup.Backup, slug string, meta habackup.Meta) error {
	folder := h.addons.installs.ImportFolder(slug)
	if err := errors.Join(h.addons.installs.Sweep(slug), durable.MkdirAll(filepath.Dir(folder), 0o755)); err != nil {
		return err
	}
	select {
	case unpacking <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("cannot unpack the backup: that of another add-on is being unpacked: %w", ctx.Err())
	}
	skips, err := b.Extract(ctx, slug, folder)
	<-unpacking
	if err != nil {
		return err
	}
	for _, s := range skips {
		h.log.Warn("left out of a backup", "addon", slug, "name", s.Name, "why", s.Why)
	}
	err = h.addons.installs.SetData(ctx, slug, func(r *lifecycle.Record) {
		r.Settings = imported(meta, r.Settings)
	})
	if err != nil {
		return errors.Join(err, h.addons.installs.Sweep(slug))
	}
	if !meta.Protected {
		h.log.Warn("the add-on was not protected where the backup was made; here it is as before", "addon", slug,
			"next", "castellan addon set "+slug+" --protected off")
	}
	return nil
}
