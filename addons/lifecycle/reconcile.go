package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// lookEvery is how often the records are compared although nothing happened: kept data may be due.
const lookEvery = time.Hour

// Run reconciles at the start, whenever [Manager.Wake] asks, and every hour, until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	for _, slug := range m.slugs() {
		if err := m.Sweep(slug); err != nil {
			m.cfg.Log.WarnContext(ctx, "an import has left something", "addon", slug, "error", err) // it costs space only
		}
	}
	for {
		if err := m.Reconcile(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.WarnContext(ctx, "not every add-on is as it must be; it is tried again", "error", err)
		}
		t := time.NewTimer(lookEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-m.kick:
		case <-t.C:
		}
		t.Stop()
	}
}

// Wake asks for a look: a change has ended.
func (m *Manager) Wake() {
	select {
	case m.kick <- struct{}{}:
	default: // one is asked for already
	}
}

// Reconcile compares each record with what the supervisor has, asks for what is missing and finishes what is over. It can
// run at any time and any number of times. One add-on that fails keeps no other from being looked at.
func (m *Manager) Reconcile(ctx context.Context) error {
	m.work.Lock()
	defer m.work.Unlock()
	var errs []error
	for _, slug := range m.slugs() {
		if err := m.reconcile(ctx, slug); err != nil {
			errs = append(errs, fmt.Errorf("add-on %s: %w", slug, err))
		}
	}
	return errors.Join(errs...)
}

func (m *Manager) reconcile(ctx context.Context, slug string) error {
	r := m.record(slug)
	if r.Gone != nil {
		if until := r.Gone.Until; !until.IsZero() && m.cfg.Now().After(until) {
			return m.erase(slug)
		}
		return nil
	}
	st, err := m.cfg.Supervisor.Standing(Service(slug))
	if err != nil {
		return err
	}
	if st.Open != "" {
		return nil // it wakes us when it ends
	}
	switch {
	case r.Removing != nil:
		return m.remove(ctx, r, st)
	case r.Wanted:
		return m.install(ctx, r, st)
	case len(r.Import) > 0 && st.Stopped != "":
		return m.swapIn(slug)
	case st.Version == "":
		// A journal restored from a backup may not know it: what its owner decided is not thrown away for that.
		return nil
	}
	return errors.Join(m.prune(slug, st), m.dropProfiles(ctx, slug, st))
}

// install goes on with an installation: it came, or it failed, or it was never begun.
func (m *Manager) install(ctx context.Context, r Record, st Standing) error {
	switch {
	case st.Version != "":
		return m.change(r.Slug, func(r *Record) (bool, error) { r.Wanted, r.Before = false, nil; return true, nil })
	case st.Last.failed(r.Change, r.At):
		m.cfg.Log.WarnContext(ctx, "an add-on could not be installed", "addon", r.Slug, "why", st.Last.Why)
		return m.giveUp(ctx, r.Slug)
	}
	man, _, err := r.manifest(r.newest())
	if err != nil || man.Image == "" { // a build that was cut off is asked for again by its owner
		return errors.Join(err, m.giveUp(ctx, r.Slug))
	}
	change, err := m.cfg.Changer.Install(ctx, Service(r.Slug))
	if err != nil {
		return err
	}
	return m.begun(r.Slug, change)
}

// failed tells whether c is the change that a wish of a moment became, and ended badly. A cut may have come before its ID
// was kept; then it is any that was made since.
func (c Change) failed(id string, wished time.Time) bool {
	return c.ID != "" && !c.Good && (c.ID == id || id == "" && !c.Created.Before(wished))
}

// remove goes on with a removal.
func (m *Manager) remove(ctx context.Context, r Record, st Standing) error {
	switch {
	case st.Version == "":
		return m.finish(ctx, r)
	case st.Last.Removal && st.Last.failed(r.Change, r.Removing.At):
		m.cfg.Log.WarnContext(ctx, "an add-on could not be removed and is there as before", "addon", r.Slug, "why", st.Last.Why)
		return m.change(r.Slug, func(r *Record) (bool, error) { r.Removing = nil; return true, nil })
	}
	change, err := m.cfg.Changer.Remove(ctx, Service(r.Slug))
	if err != nil {
		return err
	}
	return m.begun(r.Slug, change)
}

// finish ends a removal: the container is gone.
func (m *Manager) finish(ctx context.Context, r Record) error {
	if err := errors.Join(m.dropAllProfiles(ctx, r.Slug), m.cfg.Forget(r.Slug)); err != nil {
		return err
	}
	m.discard(ctx, r.Slug)
	if r.Removing.Data == DeleteData {
		return m.erase(r.Slug)
	}
	return m.change(r.Slug, func(r *Record) (bool, error) { r.forget(r.Removing); return true, nil })
}

// erase deletes an add-on's data and then what is kept of it; cut in between it is done again.
func (m *Manager) erase(slug string) error {
	for _, dir := range []string{m.dataFolder(slug), m.configFolder(slug)} {
		if err := removeAll(dir); err != nil {
			return fmt.Errorf("cannot delete its data: %w", err)
		}
	}
	return m.change(slug, func(r *Record) (bool, error) { *r = Record{}; return true, nil })
}

// prune forgets the manifests of versions that are neither installed, nor gone back to, nor offered.
func (m *Manager) prune(slug string, st Standing) error {
	offered := ""
	if o, err := m.Offered(slug); err == nil {
		offered = o.Manifest.Version
	}
	return m.change(slug, func(r *Record) (bool, error) {
		n := len(r.Manifests)
		for v := range r.Manifests {
			if v != st.Version && v != st.Previous && v != offered {
				delete(r.Manifests, v)
			}
		}
		return len(r.Manifests) != n, nil
	})
}
