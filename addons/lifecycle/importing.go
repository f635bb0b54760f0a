package lifecycle

import "fmt"

// Importing claims an add-on's [Manager.ImportFolder] until done is called: one import of an add-on at a time, and nobody
// sweeps what it unpacks. It does not wait: an error that wraps [ErrImporting] says that somebody has it.
func (m *Manager) Importing(slug string) (done func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.importing[slug] {
		return nil, fmt.Errorf("cannot import data of add-on %s: %w; wait for its end and try again", slug, ErrImporting)
	}
	m.importing[slug] = true
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.importing, slug)
	}, nil
}

// Sweep removes what an import has left, or one that was cut before it was asked for. Its caller has the claim.
func (m *Manager) Sweep(slug string) error {
	if len(m.record(slug).Import) > 0 {
		return nil
	}
	if err := removeAll(m.ImportFolder(slug)); err != nil {
		return fmt.Errorf("cannot delete what an import has left: %w", err)
	}
	return nil
}

// tidy is Sweep unless an import has begun meanwhile, which does it by itself.
func (m *Manager) tidy(slug string) error {
	done, err := m.Importing(slug)
	if err != nil {
		return nil
	}
	defer done()
	return m.Sweep(slug)
}
