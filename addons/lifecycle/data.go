package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
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

// SetData puts a folder, unpacked and synced beside the add-on's data folder, into its place, and takes the settings of
// its owner over with it. The add-on must not run. What was there before goes when the new data is in its place; a cut
// in between ends with one or the other whole.
func (m *Manager) SetData(slug, from string, edit func(s *Record)) error {
	dir := m.dataFolder(slug)
	if filepath.Dir(from) != filepath.Dir(dir) {
		return fmt.Errorf("cannot put data in the place of %s: it must lie beside it", dir)
	}
	st, err := m.cfg.Supervisor.Standing(Service(slug))
	switch {
	case err != nil:
		return err
	case st.Open != "":
		return fmt.Errorf("cannot import data of add-on %s: %w", slug, ErrBusy)
	case st.Version == "":
		return fmt.Errorf("cannot import data of add-on %s: %w", slug, ErrNotInstalled)
	case st.Stopped == "":
		return fmt.Errorf("cannot import data of add-on %s while it runs: stop it with: castellan addon stop %s", slug, slug)
	}
	err = m.change(slug, func(r *Record) (bool, error) {
		if !r.installed() || r.Removing != nil || r.Wanted || r.Import != nil {
			return false, ErrBusy
		}
		edit(r)
		r.Import = &Import{From: from, Aside: from + ".before"}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("cannot import data of add-on %s: %w", slug, err)
	}
	m.work.Lock()
	defer m.work.Unlock()
	return m.swapIn(slug)
}

// swapIn goes on with an import wherever it was cut.
func (m *Manager) swapIn(slug string) error {
	r := m.record(slug)
	if r.Import == nil {
		return nil
	}
	dir, from, aside := m.dataFolder(slug), r.Import.From, r.Import.Aside
	if exists(from) {
		if exists(dir) && !exists(aside) {
			if err := durable.Rename(dir, aside); err != nil {
				return err
			}
		}
		if err := durable.Rename(from, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot put the imported data in its place: %w", err)
		}
	}
	if err := removeAll(aside); err != nil {
		return fmt.Errorf("cannot delete the data that was replaced: %w", err)
	}
	return m.change(slug, func(r *Record) (bool, error) { r.Import = nil; return true, nil })
}
