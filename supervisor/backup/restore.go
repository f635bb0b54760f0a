package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/config/durable"
)

// sibling is where the data that is put back waits when the snapshot lies on another file system: beside the folder.
func sibling(path, change string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".castellan-"+change)
}

// Restore puts the data back as Take found it. Without a finished Take it does nothing, and once it has finished it
// does nothing either: the service may have written since.
func (s *Store) Restore(ctx context.Context, service, change string, _ []string) error {
	dir, err := s.folder(service, change)
	if err != nil {
		return err
	}
	d, ok, err := readDone(dir)
	if err != nil || !ok {
		return err
	}
	for i := range d.Paths { // the paths that were taken, whatever is asked for now
		k := &d.Paths[i]
		if k.Back {
			continue
		}
		if err := s.putBack(ctx, tree(dir, i), change, *k); err != nil {
			return fmt.Errorf("cannot put the data of %q back to %s: %w", service, k.Path, err)
		}
		k.Back = true
		if err := writeDone(dir, d); err != nil {
			return fmt.Errorf("cannot put the data of %q back: %w", service, err)
		}
	}
	return nil
}

func (s *Store) putBack(ctx context.Context, from, change string, k kept) error {
	if k.Absent {
		return s.putAway(from, k.Path, change)
	}
	if now, err := inode(k.Path); err == nil && now == k.Inode && sameDevice(k.Path, filepath.Dir(from)) {
		return nil // it was exchanged, and the power went before that was noted
	}
	if err := exchange(from, k.Path); !errors.Is(err, unix.EXDEV) {
		return err
	}
	beside := sibling(k.Path, change)
	if err := os.RemoveAll(beside); err != nil { // of a try before
		return err
	}
	if err := s.room(ctx, filepath.Dir(k.Path), nil, from); err != nil {
		return err
	}
	if err := copyTree(ctx, from, beside, nil); err != nil {
		return err
	}
	if err := syncAll(beside); err != nil {
		return err
	}
	if err := exchange(beside, k.Path); err != nil {
		return err
	}
	return os.RemoveAll(beside) // the data of the version that failed
}

// putAway makes a folder absent that was absent before.
func (s *Store) putAway(from, path, change string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := durable.Rename(path, from); !errors.Is(err, unix.EXDEV) {
		return err
	}
	beside := sibling(path, change)
	if err := durable.Rename(path, beside); err != nil {
		return err
	}
	return os.RemoveAll(beside)
}

// exchange swaps two folders of one file system, durably. A missing path is filled. Where the file system cannot
// swap, a cut may leave path missing; then the next try fills it.
func exchange(from, path string) error {
	var err error
	if _, missing := os.Lstat(path); errors.Is(missing, fs.ErrNotExist) {
		err = os.Rename(from, path)
	} else if err = unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE); errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		if err = durable.Rename(path, from+".failed"); err == nil {
			err = os.Rename(from, path)
		}
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: from, New: path, Err: err}
	}
	return errors.Join(durable.SyncDir(filepath.Dir(from)), durable.SyncDir(filepath.Dir(path)))
}
