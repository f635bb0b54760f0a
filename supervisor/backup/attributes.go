package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// node makes a named pipe or a device like the original.
func (c *copier) node(name string, st *syscall.Stat_t) error {
	dir, err := c.to.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close() // only its descriptor is used
	return unix.Mknodat(int(dir.Fd()), path.Base(name), st.Mode&(syscall.S_IFMT|0o600), int(st.Rdev))
}

// attributes gives the copy the owner, mode, extended attributes and times of the original, in the order in which
// none undoes another: a new owner clears set-user-ID bits and capabilities.
func (c *copier) attributes(name string, fi fs.FileInfo) error {
	st := stat(fi)
	if err := c.to.Lchown(name, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if fi.Mode().Type() == fs.ModeSymlink {
		return nil // the rest follows links; a link's own times are nobody's data
	}
	if err := c.to.Chmod(name, fi.Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	if fi.Mode().IsRegular() || fi.IsDir() {
		if err := c.extended(name); err != nil {
			return err
		}
	}
	return c.to.Chtimes(name, time.Unix(st.Atim.Unix()), time.Unix(st.Mtim.Unix()))
}

// extended copies the extended attributes, access lists and capabilities among them.
func (c *copier) extended(name string) error {
	in, err := c.from.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) {
		return errVanished
	}
	if err != nil {
		return err
	}
	defer in.Close() // only read
	want, err := attributesOf(int(in.Fd()))
	if err != nil {
		return err
	}
	out, err := c.to.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer out.Close() // attributes are not written through it
	have, err := attributesOf(int(out.Fd()))
	if err != nil {
		return err
	}
	for k := range have {
		if _, ok := want[k]; !ok {
			if err := unix.Fremovexattr(int(out.Fd()), k); err != nil {
				return fmt.Errorf("cannot remove attribute %s: %w", k, err)
			}
		}
	}
	for k, v := range want {
		if bytes.Equal(have[k], v) && have[k] != nil {
			continue
		}
		if err := unix.Fsetxattr(int(out.Fd()), k, v, 0); err != nil {
			return fmt.Errorf("cannot set attribute %s: %w", k, err)
		}
	}
	return nil
}

func attributesOf(fd int) (map[string][]byte, error) {
	list := make([]byte, 64<<10) // the kernel's limit for a list, and for a value
	n, err := unix.Flistxattr(fd, list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	value := make([]byte, 64<<10)
	for _, k := range bytes.Split(bytes.TrimSuffix(list[:n], []byte{0}), []byte{0}) {
		if len(k) == 0 {
			continue
		}
		m, err := unix.Fgetxattr(fd, string(k), value)
		if errors.Is(err, unix.ENODATA) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read attribute %s: %w", k, err)
		}
		out[string(k)] = bytes.Clone(value[:m])
	}
	return out, nil
}
