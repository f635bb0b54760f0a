// Package backup keeps the data folders of services for the way back: [Store] is the machine's supervisor.Snapshots.
//
// # Threat model
//
// The folders belong to containers, which may be hostile, run as root and change them while they are copied. So no
// path is followed out of a folder ([os.Root]), a file that is another one than was looked at is not copied, and
// nothing is hard-linked to the original: programs write in place. The copies are readable by root only; who can
// write them can put anything into the service's data at the next rollback, and nothing else.
//
// # Crash model
//
// A snapshot is a folder <root>/<service>/<change>: one tree for each data folder, and the file `done`, which is
// written, synced, after everything else is. Without `done` there is no snapshot: Take begins again from what is
// there, Restore does nothing. Restore exchanges the data folder with the kept one in one system call, so that a cut
// leaves the new data or the old, never a mixture, and notes by inode number which one it left. All calls can run
// twice; the service must be stopped for Take and Restore, and must not have been started between Take and a second
// Take, which does nothing then.
package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor"
)

// Store keeps snapshots below one folder. It is safe for concurrent use on different changes.
type Store struct {
	dir     string
	reserve int64 // bytes that stay free
}

var _ supervisor.Snapshots = (*Store)(nil)

// DefaultReserve is left free on the disk when a snapshot is made, so that the appliance itself can go on writing.
const DefaultReserve = 64 << 20

// Open makes a Store below dir, which it makes when missing.
func Open(dir string) (*Store, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep snapshots: %w", err)
	}
	return &Store{dir: dir, reserve: DefaultReserve}, nil
}

// done is the content of the file that makes a snapshot one.
type done struct {
	Format int    `json:"format"`
	Paths  []kept `json:"paths"`
}

// kept is one data folder of a snapshot.
type kept struct {
	Path   string `json:"path"`
	Absent bool   `json:"absent,omitempty"` // it was not there
	Inode  uint64 `json:"inode,omitempty"`  // of the kept tree: where it is tells what Restore has done
	Back   bool   `json:"back,omitempty"`   // Restore has put it back
}

const doneFile, manifestFile = "done", "manifest"

var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

func (s *Store) folder(service, change string) (string, error) {
	if !goodName.MatchString(service) || !goodName.MatchString(change) {
		return "", fmt.Errorf("cannot keep a snapshot of %q for change %q: not a name", service, change)
	}
	return filepath.Join(s.dir, service, change), nil
}

func tree(dir string, i int) string { return filepath.Join(dir, strconv.Itoa(i)) }

// Prepare copies paths while the service runs, so that Take has little left to do. It fails when a path cannot be
// put back later or the disk is too small.
func (s *Store) Prepare(ctx context.Context, service, change string, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	dir, err := s.folder(service, change)
	if err != nil {
		return err
	}
	if _, ok, err := readDone(dir); err != nil || ok {
		return err
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot keep the data of %q: %w", service, err)
	}
	if err := s.fits(ctx, service, dir, paths); err != nil {
		return err
	}
	if err := s.copyAll(ctx, dir, paths, true); err != nil {
		return fmt.Errorf("cannot keep the data of %q: %w", service, err)
	}
	return nil
}

// Take makes the snapshot complete: it copies what changed since Prepare, or all of it.
func (s *Store) Take(ctx context.Context, service, change string, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	dir, err := s.folder(service, change)
	if err != nil {
		return err
	}
	if _, ok, err := readDone(dir); err != nil || ok {
		return err
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot keep the data of %q: %w", service, err)
	}
	if err := s.copyAll(ctx, dir, paths, false); err != nil {
		return fmt.Errorf("cannot keep the data of %q: %w", service, err)
	}
	d := done{Format: 1}
	for i, p := range paths {
		k := kept{Path: p}
		switch ino, err := inode(tree(dir, i)); {
		case errors.Is(err, fs.ErrNotExist):
			k.Absent = true
		case err != nil:
			return fmt.Errorf("cannot keep the data of %q: %w", service, err)
		default:
			k.Inode = ino
		}
		d.Paths = append(d.Paths, k)
	}
	if err := syncAll(dir); err != nil { // everything, before the file that says so
		return fmt.Errorf("cannot keep the data of %q: %w", service, err)
	}
	return writeDone(dir, d)
}

// Drop forgets the snapshot. What `done` says goes first: half a snapshot must not look like one.
func (s *Store) Drop(_ context.Context, service, change string) error {
	dir, err := s.folder(service, change)
	if err != nil {
		return err
	}
	d, ok, err := readDone(dir)
	if err == nil && ok {
		for _, k := range d.Paths {
			_ = os.RemoveAll(sibling(k.Path, change)) // what a cut Restore left; it costs space only
		}
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := durable.Remove(filepath.Join(dir, doneFile)); err != nil {
		return fmt.Errorf("cannot drop the snapshot of %q: %w", service, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cannot drop the snapshot of %q: %w", service, err)
	}
	return nil
}

func readDone(dir string) (d done, ok bool, err error) {
	name := filepath.Join(dir, doneFile)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return d, false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err == nil && d.Format != 1 {
		err = fmt.Errorf("format %d is not 1; install the Castellan that wrote it", d.Format)
	}
	if err != nil {
		return d, false, fmt.Errorf("cannot read the snapshot %s: %w", name, err)
	}
	return d, true, nil
}

func writeDone(dir string, d done) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, doneFile), b, 0o600)
}

func inode(path string) (uint64, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	return fi.Sys().(*syscall.Stat_t).Ino, nil
}

// syncAll syncs the file system of dir: one call instead of one for each file.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(f.Fd()))
	return errors.Join(err, f.Close())
}
