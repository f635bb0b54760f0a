package engine

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
)

// Limits on the folder an image is built from. Add-ons' are a few hundred kilobytes.
const (
	maxContextBytes = 256 << 20
	maxContextFiles = 20_000
)

// openContext opens a folder so that no name in it leads out of it.
func openContext(dir, dockerfile string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open its folder: %w", err)
	}
	info, err := root.Lstat(filepath.FromSlash(dockerfile))
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", filepath.Join(dir, dockerfile))
	}
	if err != nil {
		_ = root.Close() // only read
		return nil, fmt.Errorf("cannot find its Dockerfile: %w", err)
	}
	return root, nil
}

// pack writes a folder as an archive: files, folders, and symbolic links that stay inside. Git's own data stays out.
func pack(w io.Writer, root *os.Root) error {
	out := tar.NewWriter(w)
	files, total := 0, int64(0)
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case d.Name() == ".git":
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if files++; files > maxContextFiles {
			return fmt.Errorf("its folder %s has more than %d files", root.Name(), maxContextFiles)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if total += info.Size(); total > maxContextBytes {
			return fmt.Errorf("its folder %s has more than %d MiB", root.Name(), maxContextBytes>>20)
		}
		return packOne(out, root, name, info)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

func packOne(out *tar.Writer, root *os.Root, name string, info fs.FileInfo) error {
	h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	switch info.Mode().Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		return out.WriteHeader(h)
	case fs.ModeSymlink:
		to, err := root.Readlink(name)
		if err != nil {
			return err
		}
		if path.IsAbs(to) || !filepath.IsLocal(path.Join(path.Dir(name), to)) {
			return fmt.Errorf("%s is a link to %s, out of the folder: put a copy there", filepath.Join(root.Name(), name), to)
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, to
		return out.WriteHeader(h)
	case 0:
	default:
		return fmt.Errorf("%s is neither a file nor a folder: remove it", filepath.Join(root.Name(), name))
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe that was put there meanwhile must not hold us
	if err != nil {
		return err
	}
	defer f.Close()
	// What is open counts, not what lay there a moment ago.
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if !now.Mode().IsRegular() || now.Size() != info.Size() {
		return fmt.Errorf("%s changes while it is read: try again", filepath.Join(root.Name(), name))
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	if n, err := io.CopyN(out, f, h.Size); err != nil {
		return fmt.Errorf("%s: %d of %d bytes could be read: %w", filepath.Join(root.Name(), name), n, h.Size, err)
	}
	return nil
}
