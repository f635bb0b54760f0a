package archive

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/config/durable"
)

// disk is what makes backups and restores durable: the calls whose order decides what a power cut leaves. When one
// returns nil, its effect survives, but for what is written to an outFile before Sync.
type disk interface {
	create(dir string) (outFile, error)           // a temporary file
	publish(tmp, name string) error               // renames a synced file
	remove(name string) error                     // a file; a missing one is a success
	write(name string, data []byte) error         // a whole file: the old one stays or the new one is there
	exchange(from, to string, aside string) error // folders; see osDisk
	removeAll(dir string) error                   // a folder; a missing one is a success
}

// outFile is a file being written.
type outFile interface {
	io.Writer
	io.WriterAt
	Sync() error
	Close() error
	Name() string
}

type osDisk struct{}

var _ disk = osDisk{}

func (osDisk) create(dir string) (outFile, error) {
	f, err := os.CreateTemp(dir, temporary)
	if err != nil {
		return nil, err
	}
	return &file{File: f}, nil
}

func (osDisk) publish(tmp, name string) error       { return durable.Rename(tmp, name) }
func (osDisk) remove(name string) error             { return durable.Remove(name) }
func (osDisk) write(name string, data []byte) error { return durable.WriteFile(name, data, 0o600) }

func (osDisk) removeAll(dir string) error {
	if !exists(dir) {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// exchange swaps two folders of one file system in one step. A missing `to` is filled. Where the file system cannot
// swap, the folder at `to` goes to aside first, and a cut leaves `to` missing until the next try.
func (osDisk) exchange(from, to, aside string) error {
	var err error
	if !exists(to) {
		err = os.Rename(from, to)
	} else if err = unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE); errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		if err = durable.Rename(to, aside); err == nil {
			err = os.Rename(from, to)
		}
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: from, New: to, Err: err}
	}
	return errors.Join(durable.SyncDir(filepath.Dir(from)), durable.SyncDir(filepath.Dir(to)))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// file hands what is written to the disk as it goes, so that the sync at the end has little left and the page cache
// of a small appliance stays for others.
type file struct {
	*os.File
	at, started int64
}

const writeBack = 16 << 20

func (f *file) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	if f.at += int64(n); f.at-f.started >= writeBack {
		// Only a hint: Sync is what counts.
		_ = unix.SyncFileRange(int(f.Fd()), f.started, f.at-f.started, unix.SYNC_FILE_RANGE_WRITE)
		f.started = f.at
	}
	return n, err
}
