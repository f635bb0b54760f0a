package habackup

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// maxLinks bounds the symbolic links, which are kept in memory.
const maxLinks = 100_000

// maxSkips bounds the list of what was left out; its last entry says that there was more.
const maxSkips = 100

// tree is a folder being filled.
type tree struct {
	root  *os.Root
	dirs  []*tar.Header // with clean names; attributes are given last: new entries change times
	links []*tar.Header // symbolic ones, made last: nothing is ever written through one
	skips []Skip
	made  string // the folder made last: files come folder by folder
}

// folder makes a folder and those above it.
func (t *tree) folder(name string) error {
	if name == t.made {
		return nil
	}
	t.made = name
	return t.root.MkdirAll(name, 0o700)
}

func (t *tree) skip(name, why string) {
	switch n := len(t.skips); {
	case n < maxSkips-1:
		t.skips = append(t.skips, Skip{plain(name), why})
	case n == maxSkips-1:
		t.skips = append(t.skips, Skip{"…", "and more"})
	}
}

// add makes one member.
func (t *tree) add(h *tar.Header, name string, whole bool, content io.Reader) error {
	if !strings.Contains(name, "/") && h.Typeflag != tar.TypeDir {
		t.skip(name, "a folder belongs in its place")
		return nil
	}
	kept := *h
	kept.Name = name
	switch h.Typeflag {
	case tar.TypeDir:
		if err := t.folder(name); err != nil {
			return err
		}
		t.dirs = append(t.dirs, &kept)
		return nil
	case tar.TypeReg:
		return t.file(&kept, content)
	case tar.TypeSymlink:
		if !inside(name, h.Linkname) {
			t.skip(name, fmt.Sprintf("the link leads out of the folder, to %.100q", plain(h.Linkname)))
			return nil
		}
		if len(t.links) >= maxLinks {
			return fmt.Errorf("the archive holds more than %d symbolic links", maxLinks)
		}
		t.links = append(t.links, &kept)
		return t.folder(filepath.Dir(name)) // now, while no link can be a part of the way
	case tar.TypeLink:
		return t.hardLink(name, h.Linkname, whole)
	default:
		t.skip(name, "it is a device, a pipe or of an unknown kind")
		return nil
	}
}

func (t *tree) file(h *tar.Header, content io.Reader) error {
	if err := t.folder(filepath.Dir(h.Name)); err != nil {
		return err
	}
	f, err := t.root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, os.ErrExist) {
		return errors.New("it is in the archive twice")
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return t.attributes(h)
}

// hardLink makes a second name of a file that was unpacked before. In the archive both names begin alike.
func (t *tree) hardLink(name, target string, whole bool) error {
	old := filepath.Clean(target)
	if whole {
		old = filepath.Join("data", old)
	}
	top, _, _ := strings.Cut(name, "/")
	if filepath.IsAbs(target) || !strings.HasPrefix(old, top+"/") {
		t.skip(name, fmt.Sprintf("the hard link leads out of the folder, to %.100q", plain(target)))
		return nil
	}
	if fi, err := t.root.Lstat(old); err != nil || !fi.Mode().IsRegular() {
		t.skip(name, fmt.Sprintf("it is a hard link to %.100q, which is not there", plain(target)))
		return nil
	}
	if err := t.folder(filepath.Dir(name)); err != nil {
		return err
	}
	err := t.root.Link(old, name)
	if errors.Is(err, os.ErrExist) {
		return errors.New("it is in the archive twice")
	}
	return err
}

// inside tells whether a symbolic link stays in its top folder, where that ends up being. Its folder is a real one, so
// leading ".." lead up real folders; one after a name could lead up from wherever another link leads to.
func inside(name, target string) bool {
	if target == "" || len(target) > maxName || filepath.IsAbs(target) || strings.Contains(target, "\x00") {
		return false
	}
	depth := strings.Count(name, "/") - 1 // below the top folder
	down := false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; down || depth < 0 {
				return false
			}
		default:
			down = true
		}
	}
	return true
}

// finish makes the symbolic links and gives the folders their attributes, the deepest first.
func (t *tree) finish() error {
	for _, h := range t.links {
		if err := t.root.Symlink(h.Linkname, h.Name); errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%.200q: it is in the archive twice", h.Name)
		} else if err != nil {
			return err
		}
		if err := t.root.Lchown(h.Name, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	sort.SliceStable(t.dirs, func(i, j int) bool { return t.dirs[j].Name < t.dirs[i].Name })
	for _, h := range t.dirs {
		if err := t.attributes(h); err != nil {
			return err
		}
	}
	return nil
}

// attributes gives a file or folder its owner, mode and times. A new owner clears bits of the mode, so it comes first.
func (t *tree) attributes(h *tar.Header) error {
	if err := t.root.Lchown(h.Name, h.Uid, h.Gid); err != nil {
		return err
	}
	keep := os.ModePerm | os.ModeSticky
	if h.Typeflag == tar.TypeDir {
		keep |= os.ModeSetgid // new files belong to the group
	}
	if err := t.root.Chmod(h.Name, h.FileInfo().Mode()&keep); err != nil {
		return err
	}
	return t.root.Chtimes(h.Name, h.ModTime, h.ModTime)
}
