// Package durable writes files so that a power cut leaves the old content or the new one, never a mixture and never
// nothing. It is package os, but synced: when a call returns nil, the effect survives.
//
// BUG: fsync reports a failed write-back once. After an error from this package the page cache may hold bytes that
// the disk does not; callers must treat the file as old and must not read it back to find out.
//
// A good [WriteFile] makes these system calls, in this order:
//
//	openat(dir, ".name.tmp-…", O_CREAT|O_EXCL|O_WRONLY)
//	write(tmp)
//	fsync(tmp)
//	renameat(tmp, name)
//	fsync(dir)
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// WriteFile puts data at name: readers see the old content or data. The folder must exist.
func WriteFile(name string, data []byte, perm fs.FileMode) (err error) {
	dir := filepath.Dir(name)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(name)+".tmp-")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			// The temporary file is ours alone; leaving it behind costs space only.
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
			err = fmt.Errorf("cannot write %s: %w", name, err)
		}
	}()
	if err := tmp.Chmod(perm); err != nil {
		return err
	}
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	return SyncDir(dir)
}

// leftover is how old a temporary file must be before it is surely nobody's: writing one takes moments.
const leftover = time.Hour

var temporary = regexp.MustCompile(`^\..+\.tmp-[0-9]+$`)

// Sweep removes what calls of [WriteFile] that were cut off by a power cut have left in a folder, not in those below it.
// A missing folder is a success. It goes on after a file it can't remove: none does harm but to the space on disk.
func Sweep(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, d := range list {
		fi, err := d.Info()
		if err != nil || !fi.Mode().IsRegular() || !temporary.MatchString(d.Name()) || time.Since(fi.ModTime()) < leftover {
			continue // none of ours, or perhaps of another process at work
		}
		if err := os.Remove(filepath.Join(dir, d.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot sweep %s: %w", dir, err)
	}
	return nil
}

// Append writes data at the end of f and syncs it. After an error the tail of f is unknown.
func Append(f *os.File, data []byte) error {
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("cannot append to %s: %w", f.Name(), err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("cannot sync %s: %w", f.Name(), err)
	}
	return nil
}

// Rename moves oldName to newName within one file system and syncs both folders.
func Rename(oldName, newName string) error {
	if err := os.Rename(oldName, newName); err != nil {
		return err
	}
	if a, b := filepath.Dir(oldName), filepath.Dir(newName); a != b {
		if err := SyncDir(a); err != nil {
			return err
		}
	}
	return SyncDir(filepath.Dir(newName))
}

// Remove deletes a file and syncs its folder; a missing file is a success.
func Remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return SyncDir(filepath.Dir(name))
}

// MkdirAll makes a folder and its parents, and syncs each folder that got a new entry.
func MkdirAll(dir string, perm fs.FileMode) error {
	dir = filepath.Clean(dir)
	if fi, err := os.Stat(dir); err == nil {
		if !fi.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// SyncDir syncs the entries of a folder.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("in use by another process")

// Lock takes the exclusive lock name, creating the file, and fails with [ErrLocked] at once when another process
// holds it. The lock ends with Close or with the process, however it ends.
func Lock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock %s: %w", name, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("cannot lock %s: %w", name, err)
	}
	return f, nil
}

// SyncTree syncs the file system that holds dir, and so every file below it: one call where a thousand files were
// written, which for a tree is far kinder to an SD card than a thousand.
func SyncTree(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(d.Fd()))
	if err != nil {
		err = &fs.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return errors.Join(err, d.Close())
}
