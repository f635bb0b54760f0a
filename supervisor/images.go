package supervisor

import (
	"context"
	"errors"

	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
)

// outgoing lists the slots whose images nobody goes back to once c is committed.
func (m *Manager) outgoing(c Change) []*Slot {
	w, err := m.row(c.Service.Name)
	switch {
	case err != nil, c.Kind == KindRecreate:
		return nil
	case c.Kind == KindRemove:
		return []*Slot{w.Current, w.Previous}
	default:
		return []*Slot{w.Previous}
	}
}

// dropImage removes the image of a slot that nothing needs. What it cannot remove costs space and nothing else, so
// errors are for the log only.
func (r *runner) dropImage(ctx context.Context, c Change, s *Slot) {
	if s == nil || s.Image == "" || r.imageNeeded(s.Image, c) {
		return
	}
	if err := r.cfg.Images.RemoveImage(ctx, s.Image); err != nil {
		r.log.DebugContext(ctx, "cannot remove an image that is not needed", "image", s.Image, "error", err)
	}
}

// DropUnused removes those of some images that no service has or goes back to, and no change that has begun. What cannot
// be removed stays and is an error; the others go all the same.
func (m *Manager) DropUnused(ctx context.Context, images []trust.Digest) error {
	var errs []error
	for _, id := range images {
		if !m.imageNeeded(id, Change{}) {
			errs = append(errs, m.cfg.Images.RemoveImage(ctx, id))
		}
	}
	return errors.Join(errs...)
}

// imageNeeded tells whether anything but c, as c leaves or commits now, needs the image. Not knowing is needing.
func (m *Manager) imageNeeded(id trust.Digest, c Change) bool {
	needed := false
	need := func(slots ...*Slot) {
		for _, s := range slots {
			needed = needed || s != nil && s.Image == id
		}
	}
	err := m.cfg.Journal.View(func(tx *state.Tx) error {
		rows, err := all[row](tx, serviceBucket)
		if err != nil {
			return err
		}
		for _, w := range rows {
			switch {
			case w.Service.Name != c.Service.Name || c.State != StateHealthy:
				need(w.Current, w.Previous)
			case c.Kind != KindRemove: // about to be committed
				need(c.To, c.From)
			}
		}
		changes, err := all[Change](tx, changeBucket)
		for _, o := range changes {
			if o.Open() && o.ID != c.ID {
				need(o.To, o.From)
			}
		}
		return err
	})
	return needed || err != nil
}
