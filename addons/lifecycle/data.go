package lifecycle

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/castellan/castellan/config/durable"
)

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// removeAll deletes a folder, durably; a missing one is a success.
func removeAll(dir string) error {
	if !exists(dir) {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// importSuffix marks folders that wait to take an add-on's place, and asideSuffix those that made it.
const importSuffix, asideSuffix = ".import", ".before"

// ImportFolder is where what is to become an add-on's data is unpacked, by who has the claim of [Manager.Importing]:
// nothing may be there.
func (m *Manager) ImportFolder(slug string) string {
	dir := m.dataFolder(slug)
	return filepath.Join(filepath.Dir(dir), "."+slug+importSuffix)
}

// SetData puts what lies in [Manager.ImportFolder] into the places of an add-on's folders: "data" in it, and "config" if it
// is there, both synced. edit takes the settings of its owner over with it. The add-on must not run, and is not started
// before all is in its place. What was there before goes when the new data is in its place; a cut in between ends with one
// or the other whole.
func (m *Manager) SetData(ctx context.Context, slug string, edit func(r *Record)) error {
	st, err := m.cfg.Supervisor.Standing(Service(slug))
	switch {
	case err != nil:
		return err
	case st.Open != "":
		err = ErrBusy
	case st.Version == "":
		err = ErrNotInstalled
	case st.Stopped == "":
		err = fmt.Errorf("it runs; stop it with: castellan addon stop %s", slug)
	}
	from := m.ImportFolder(slug)
	var swaps []Swap
	for name, to := range map[string]string{"data": m.dataFolder(slug), "config": m.configFolder(slug)} {
		if exists(filepath.Join(from, name)) {
			swaps = append(swaps, Swap{From: filepath.Join(from, name), To: to, Aside: filepath.Join(from, name+asideSuffix)})
		}
	}
	if err != nil {
		return fmt.Errorf("cannot import data of add-on %s: %w", slug, err)
	}
	m.work.Lock()
	err = m.cfg.Supervisor.Still(ctx, Service(slug), func() error {
		err := m.change(slug, func(r *Record) (bool, error) {
			if !r.installed() || r.Removing != nil || len(r.Import) > 0 {
				return false, ErrBusy
			}
			edit(r)
			r.Import = swaps
			return true, nil
		})
		if err != nil {
			return err
		}
		return m.swapIn(slug)
	})
	m.work.Unlock()
	if err != nil {
		return fmt.Errorf("cannot import data of add-on %s: %w", slug, err)
	}
	return m.Sweep(slug)
}

// swapIn goes on with an import wherever it was cut. The add-on is held still.
func (m *Manager) swapIn(slug string) error {
	r := m.record(slug)
	if len(r.Import) == 0 {
		return nil
	}
	for _, s := range r.Import {
		if !exists(s.From) {
			continue // it is in its place
		}
		if exists(s.To) && !exists(s.Aside) {
			if err := durable.Rename(s.To, s.Aside); err != nil {
				return fmt.Errorf("cannot make room for the imported data: %w", err)
			}
		}
		if err := durable.MkdirAll(filepath.Dir(s.To), 0o755); err != nil {
			return fmt.Errorf("cannot make room for the imported data: %w", err)
		}
		if err := durable.Rename(s.From, s.To); err != nil {
			return fmt.Errorf("cannot put the imported data in its place: %w", err)
		}
	}
	return m.change(slug, func(r *Record) (bool, error) { r.Import = nil; return true, nil })
}
