package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/supervisor"
)

// fits refuses what could not be kept or put back, before anything is touched.
func (s *Store) fits(ctx context.Context, service, dir string, paths []string) error {
	var copied []string
	for _, p := range paths {
		if !filepath.IsAbs(p) || filepath.Clean(p) != p {
			return fmt.Errorf("cannot keep the data of %q: %s is not a clean absolute path; correct the service's data folders", service, p)
		}
		fi, err := os.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot keep the data of %q: %w", service, err)
		}
		if !fi.IsDir() {
			return fmt.Errorf("cannot keep the data of %q: %s is not a folder; correct the service's data folders", service, p)
		}
		if !sameDevice(p, filepath.Dir(p)) {
			return fmt.Errorf("cannot keep the data of %q: %s is a mount point and could not be exchanged; use a folder inside it", service, p)
		}
		if sameDevice(p, dir) {
			if !reflinks(dir) { // else the copies share their blocks
				copied = append(copied, p)
			}
			continue
		}
		copied = append(copied, p)
		if err := s.room(ctx, filepath.Dir(p), nil, p); err != nil { // for the way back
			return fmt.Errorf("cannot put the data of %q back later: %w", service, err)
		}
	}
	if err := s.room(ctx, dir, []string{dir}, copied...); err != nil {
		return fmt.Errorf("cannot keep the data of %q: %w", service, err)
	}
	return nil
}

// room compares what trees use, beside what is there already, with what is free in dir.
func (s *Store) room(ctx context.Context, dir string, already []string, trees ...string) error {
	var need int64
	for i, t := range append(trees, already...) {
		n, err := usage(ctx, t)
		if err != nil {
			return err
		}
		if i < len(trees) {
			need += n
		} else {
			need = max(0, need-n)
		}
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if free := int64(st.Bavail) * st.Bsize; need > 0 && free < need+s.reserve {
		return fmt.Errorf("%w: %s has %d MiB free and needs %d MiB, with %d MiB to spare; remove what is not needed",
			supervisor.ErrNoSpace, dir, free>>20, (need+1<<20-1)>>20, s.reserve>>20)
	}
	return nil
}

// usage is the disk space a tree takes, each hard-linked file once.
func usage(ctx context.Context, dir string) (bytes int64, err error) {
	seen := map[uint64]bool{}
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // the service removed it meanwhile
			}
			return errors.Join(err, ctx.Err())
		}
		fi, err := d.Info()
		if err != nil {
			return nil // removed meanwhile
		}
		if st := fi.Sys().(*syscall.Stat_t); !seen[st.Ino] {
			seen[st.Ino] = st.Nlink > 1
			bytes += st.Blocks * 512
		}
		return nil
	})
	return bytes, err
}

func sameDevice(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Lstat(a, &x) == nil && unix.Lstat(b, &y) == nil && x.Dev == y.Dev
}

// reflinks tells whether the file system of dir can share blocks between files.
func reflinks(dir string) bool {
	a, err := os.CreateTemp(dir, ".reflink-")
	if err != nil {
		return false
	}
	defer func() { _ = a.Close(); _ = os.Remove(a.Name()) }() // probes; Drop would remove them too
	b, err := os.CreateTemp(dir, ".reflink-")
	if err != nil {
		return false
	}
	defer func() { _ = b.Close(); _ = os.Remove(b.Name()) }()
	if _, err := a.WriteString("x"); err != nil {
		return false
	}
	return unix.IoctlFileClone(int(b.Fd()), int(a.Fd())) == nil
}
