package backup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/config/durable"
)

// mark is how a file looked right before it was copied. A file that looks the same later was not written since.
type mark struct {
	Inode, Size  uint64
	Mtime, Ctime int64 // nanoseconds
}

// quiet is how long a file must not have changed when it is copied for its mark to count. Time stamps advance in
// steps of some milliseconds, so a write right after the copy could leave the same ones.
const quiet = time.Second

// errVanished says that what was listed is gone or is another file now: the service is at work.
var errVanished = errors.New("it changed while it was copied")

// copyAll brings the trees in dir to the state of paths, by the marks of the time before.
func (s *Store) copyAll(ctx context.Context, dir string, paths []string, live bool) error {
	name := filepath.Join(dir, manifestFile)
	before := map[string]mark{}
	if b, err := os.ReadFile(name); err == nil {
		if json.Unmarshal(b, &before) != nil {
			before = map[string]mark{} // then everything is copied again
		}
	}
	after := map[string]mark{}
	for i, p := range paths {
		to := tree(dir, i)
		if _, err := os.Lstat(p); errors.Is(err, fs.ErrNotExist) {
			if err := os.RemoveAll(to); err != nil {
				return err
			}
			continue
		}
		c := delta{before: before, after: after, prefix: fmt.Sprintf("%d/", i), live: live}
		if err := copyTree(ctx, p, to, &c); err != nil {
			return err
		}
	}
	b, err := json.Marshal(after)
	if err != nil {
		return err
	}
	return durable.WriteFile(name, b, 0o600)
}

// delta tells which files need no copy. nil copies all.
type delta struct {
	before, after map[string]mark
	prefix        string
	live          bool // the service runs: what moves meanwhile is left to the next copy
}

// copier copies one tree into another.
type copier struct {
	ctx      context.Context
	from, to *os.Root
	dev      uint64
	delta    *delta
	links    map[uint64]string // inode -> first copy, of files with several names
	tmp      string            // name for half copies; random, so that no original has it
	began    time.Time
}

// copyTree makes to the same as from: contents, holes, links, owners, modes, times and extended attributes. What is
// in to and not in from goes. Sockets are left out: the program makes them anew.
func copyTree(ctx context.Context, from, to string, d *delta) error {
	if err := os.Mkdir(to, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	src, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer src.Close() // only read
	dst, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer dst.Close() // the caller syncs
	if d != nil {
		// Pages that a program has mapped and written are cleaned: its next write changes the times again.
		if err := syncAll(from); err != nil {
			return err
		}
	}
	fi, err := src.Lstat(".")
	if err != nil {
		return err
	}
	c := &copier{ctx: ctx, from: src, to: dst, dev: stat(fi).Dev, delta: d, links: map[uint64]string{}, tmp: ".castellan-" + rand.Text(), began: time.Now()}
	if err := c.folder("."); err != nil {
		return fmt.Errorf("cannot copy %s: %w", from, err)
	}
	return c.attributes(".", fi)
}

func stat(fi fs.FileInfo) *syscall.Stat_t { return fi.Sys().(*syscall.Stat_t) }

// folder copies the entries of dir, which exists on both sides.
func (c *copier) folder(dir string) error {
	// Not blocking, not following: the service may have put anything in its place since it was listed.
	d, err := c.from.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return errVanished
	}
	if err != nil {
		return err
	}
	entries, err := d.ReadDir(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	here := make(map[string]bool, len(entries))
	for _, e := range entries {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		name := path.Join(dir, e.Name())
		fi, err := c.from.Lstat(name)
		if err == nil {
			err = c.entry(name, fi)
		}
		if err != nil && c.live() && c.moved(name, fi) {
			continue // Take looks again when the service is stopped; a copy from before is removed below
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		here[e.Name()] = true
	}
	return c.prune(dir, here)
}

// live tells whether the service may be at work in the tree.
func (c *copier) live() bool { return c.delta != nil && c.delta.live }

// moved tells whether name is not what was looked at before; whatever went wrong with it says nothing then.
func (c *copier) moved(name string, before fs.FileInfo) bool {
	now, err := c.from.Lstat(name)
	return err != nil || before == nil || markOf(now) != markOf(before)
}

// prune removes what the original does not have.
func (c *copier) prune(dir string, here map[string]bool) error {
	d, err := c.to.Open(dir)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	for _, n := range names {
		if !here[n] {
			if err := c.to.RemoveAll(path.Join(dir, n)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *copier) entry(name string, fi fs.FileInfo) error {
	st := stat(fi)
	if st.Dev != c.dev {
		return errors.New("another file system is mounted there; mount it outside the data folder")
	}
	old, err := c.to.Lstat(name)
	if err == nil && (old.Mode().Type() != fi.Mode().Type() || !fi.IsDir() && !fi.Mode().IsRegular()) {
		if err := c.to.RemoveAll(name); err != nil {
			return err
		}
	}
	switch t := fi.Mode().Type(); {
	case t == fs.ModeDir:
		if err := c.to.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := c.folder(name); err != nil {
			return err
		}
	case st.Nlink > 1 && c.links[st.Ino] != "":
		if err := c.to.RemoveAll(name); err != nil {
			return err
		}
		return c.to.Link(c.links[st.Ino], name)
	case t == fs.ModeSymlink:
		to, err := c.from.Readlink(name)
		if err != nil {
			return err
		}
		if err := c.to.Symlink(to, name); err != nil {
			return err
		}
	case t == 0:
		if c.unchanged(name, fi, old) {
			c.remember(name, fi)
			return nil
		}
		if fi, err = c.file(name, fi); err != nil {
			return err
		}
		c.remember(name, fi)
	case t == fs.ModeSocket:
		return nil
	default: // named pipes and devices
		if err := c.node(name, st); err != nil {
			return err
		}
	}
	if st.Nlink > 1 && !fi.IsDir() {
		c.links[st.Ino] = name
	}
	return c.attributes(name, fi)
}

func markOf(fi fs.FileInfo) mark {
	st := stat(fi)
	return mark{Inode: st.Ino, Size: uint64(st.Size), Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano()}
}

// unchanged tells whether the copy from before is still good.
func (c *copier) unchanged(name string, fi, old fs.FileInfo) bool {
	if c.delta == nil || old == nil || old.Size() != fi.Size() {
		return false
	}
	m, ok := c.delta.before[c.delta.prefix+name]
	if !ok || m != markOf(fi) {
		return false
	}
	if stat(fi).Nlink > 1 {
		c.links[m.Inode] = name
	}
	return true
}

func (c *copier) remember(name string, fi fs.FileInfo) {
	if c.delta == nil {
		return
	}
	m := markOf(fi)
	if newest := max(m.Mtime, m.Ctime); newest < c.began.Add(-quiet).UnixNano() {
		c.delta.after[c.delta.prefix+name] = m
	}
}

// file copies a regular file beside the copy from before and replaces that, so that other names of it stay as they
// are. It returns how the original looked before the first byte was read.
func (c *copier) file(name string, listed fs.FileInfo) (fs.FileInfo, error) {
	// Not blocking: a pipe may have taken the place of the file since.
	in, err := c.from.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) {
			return nil, errVanished
		}
		return nil, err
	}
	defer in.Close() // only read
	fi, err := in.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || stat(fi).Ino != stat(listed).Ino || stat(fi).Dev != c.dev {
		return nil, errVanished
	}
	tmp := path.Join(path.Dir(name), c.tmp)
	out, err := c.to.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	err = contents(c.ctx, out, in, fi.Size())
	if err := errors.Join(err, out.Close()); err != nil {
		return nil, err
	}
	return fi, c.to.Rename(tmp, name)
}

// contents shares the blocks where the file system can, else copies the parts that are not holes.
func contents(ctx context.Context, out, in *os.File, size int64) error {
	if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) == nil {
		return nil
	}
	const chunk = 8 << 20 // between looks at ctx
	for at := int64(0); at < size; {
		data, err := unix.Seek(int(in.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // only a hole is left
		}
		if err != nil {
			data = at // no holes on this file system
		}
		hole, err := unix.Seek(int(in.Fd()), data, unix.SEEK_HOLE)
		if err != nil || hole > size {
			hole = size
		}
		if _, err := in.Seek(data, io.SeekStart); err != nil {
			return err
		}
		if _, err := out.Seek(data, io.SeekStart); err != nil {
			return err
		}
		for left := hole - data; left > 0; {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := io.CopyN(out, in, min(left, chunk))
			if left -= n; errors.Is(err, io.EOF) {
				return out.Truncate(size) // it shrank meanwhile; its time stamps say so
			} else if err != nil {
				return err
			}
		}
		at = hole
	}
	return out.Truncate(size)
}
