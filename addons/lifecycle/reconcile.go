package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Times between looks. lookEvery is how often the records are compared although nothing happened: kept data may be due.
// lookAgain comes after a look that could not do everything: the engine may come later than we do.
const (
	lookEvery = time.Hour
	lookAgain = time.Minute
)

// Run reconciles at the start, whenever [Manager.Wake] asks, and every hour, until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	for _, slug := range m.slugs() {
		if err := m.tidy(slug); err != nil {
			m.cfg.Log.WarnContext(ctx, "an import has left something", "addon", slug, "error", err) // it costs space only
		}
	}
	for {
		pause := lookEvery
		if err := m.Reconcile(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.WarnContext(ctx, "not every add-on is as it must be; it is tried again", "error", err)
			pause = lookAgain
		}
		t := time.NewTimer(pause)
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
		if due, err := m.due(r); err != nil || !due {
			return err
		}
		return m.erase(slug)
	}
	delete(m.counted, slug)
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
		if err := m.cfg.Supervisor.Still(ctx, Service(slug), func() error { return m.swapIn(slug) }); err != nil {
			return err
		}
		return m.tidy(slug)
	case st.Version == "":
		// A journal restored from a backup may not know it: what its owner decided is not thrown away for that.
		return nil
	}
	return errors.Join(m.prune(slug), m.dropProfiles(ctx, slug))
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
	if _, err := m.cfg.Offers.Offer(r.Slug); errors.Is(err, ErrNotOffered) { // never begun, and nobody has it any more
		m.cfg.Log.WarnContext(ctx, "an add-on could not be installed", "addon", r.Slug, "why", err)
		return m.giveUp(ctx, r.Slug)
	}
	change, err := m.cfg.Changer.Install(ctx, Service(r.Slug))
	m.note(r.Slug, err)
	if err != nil {
		return err
	}
	return m.begun(r.Slug, change)
}

// note keeps why an installation could not be begun, nil = it was, until the next try.
func (m *Manager) note(slug string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.trouble, slug)
	if err != nil {
		m.trouble[slug] = err.Error()
	}
}

// Trouble is why an installation that its owner asked for could not be begun when it was last tried, "" = nothing is known.
func (m *Manager) Trouble(slug string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.trouble[slug]
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

// prune forgets the manifests of versions that are neither installed, nor gone back to, nor offered. How the service stands
// is asked while the record is held: a change that came meanwhile may go to a version that is not offered any more.
func (m *Manager) prune(slug string) error {
	offered := ""
	if o, err := m.Offered(slug); err == nil {
		offered = o.Manifest.Version
	}
	return m.change(slug, func(r *Record) (bool, error) {
		st, err := m.cfg.Supervisor.Standing(Service(slug))
		if err != nil || st.Open != "" || st.Version == "" {
			return false, err
		}
		n := len(r.Manifests)
		for v := range r.Manifests {
			if v != st.Version && v != st.Previous && v != offered {
				delete(r.Manifests, v)
			}
		}
		return len(r.Manifests) != n, nil
	})
}
