package archive

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// maxDepth bounds the folders within each other, on both ways; each costs two open files while it is walked.
const maxDepth = 120

// entry is a file or folder on its way into a part.
type entry struct {
	dir  *os.Root    // the folder it lies in; of a folder, itself
	base string      // its name there; of a folder "."
	name string      // in the part
	fi   fs.FileInfo // when it was looked at
}

func stat(fi fs.FileInfo) *syscall.Stat_t { return fi.Sys().(*syscall.Stat_t) }

// walker goes through the trees of a unit, a folder before what is in it. What vanishes meanwhile is passed over.
type walker struct {
	ctx     context.Context
	exclude func(name string, fi fs.FileInfo) bool
	visit   func(entry) error
	note    func(name, why string)
	dev     uint64
}

func (w *walker) tree(t Tree) error {
	root, err := os.OpenRoot(t.Path)
	if errors.Is(err, fs.ErrNotExist) {
		w.note(t.Name, "the folder is not there")
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close() // only read
	fi, err := root.Stat(".")
	if err != nil {
		return err
	}
	w.dev = stat(fi).Dev
	return w.folder(root, t.Name, fi, 1)
}

func (w *walker) folder(dir *os.Root, name string, fi fs.FileInfo, depth int) error {
	if err := w.visit(entry{dir, ".", name, fi}); err != nil {
		return err
	}
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close() // only read
	for {
		list, err := d.ReadDir(256) // a folder can hold millions
		for _, e := range list {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			if err := w.child(dir, e.Name(), path.Join(name, e.Name()), depth); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (w *walker) child(dir *os.Root, base, name string, depth int) error {
	fi, err := dir.Lstat(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case w.exclude != nil && w.exclude(name, fi):
		return nil
	case stat(fi).Dev != w.dev:
		w.note(name, "another file system is mounted there")
		return nil
	case !fi.IsDir():
		return w.visit(entry{dir, base, name, fi})
	case depth >= maxDepth:
		w.note(name, "it lies deeper than any backup goes")
		return nil
	}
	sub, err := dir.OpenRoot(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil && exchanged(dir, base, fi) {
		w.note(name, "it was exchanged while it was read")
		return nil
	}
	if err != nil {
		return err
	}
	defer sub.Close() // only read
	// A link may have taken the place of the folder since.
	now, err := sub.Stat(".")
	if err != nil {
		return err
	}
	if stat(now).Ino != stat(fi).Ino || stat(now).Dev != w.dev {
		w.note(name, "it was exchanged while it was read")
		return nil
	}
	return w.folder(sub, name, fi, depth+1)
}

// exchanged tells whether a name is not what was looked at any more; whatever went wrong with it says nothing then.
func exchanged(dir *os.Root, base string, fi fs.FileInfo) bool {
	now, err := dir.Lstat(base)
	return err != nil || stat(now).Ino != stat(fi).Ino || now.Mode().Type() != fi.Mode().Type()
}

// content is how much of a file is read.
func content(fi fs.FileInfo) int64 {
	if !fi.Mode().IsRegular() {
		return 0
	}
	return min(fi.Size(), stat(fi).Blocks*block)
}

// measure counts what is to be read. Files with several names count once as often as they are kept in mind.
func measure(ctx context.Context, units []Unit) (sizes []int64, total int64, err error) {
	for i := range units {
		before := total
		links := map[inode]string{}
		w := walker{ctx: ctx, exclude: units[i].Exclude, note: func(string, string) {}, visit: func(e entry) error {
			if _, again := linked(links, e); !again {
				total += content(e.fi)
			}
			return nil
		}}
		for _, t := range units[i].Trees {
			if err := w.tree(t); err != nil {
				return nil, 0, err
			}
		}
		sizes = append(sizes, total-before)
	}
	return sizes, total, nil
}

// maxLinks bounds the files with several names that are kept in mind; further ones are saved once for each name.
const maxLinks = 50_000

type inode struct{ dev, ino uint64 }

// linked finds the name under which a file was saved before, and keeps the first one in mind.
func linked(links map[inode]string, e entry) (name string, again bool) {
	st := stat(e.fi)
	if !e.fi.Mode().IsRegular() || st.Nlink < 2 {
		return "", false
	}
	id := inode{st.Dev, st.Ino}
	if name, again = links[id]; !again && len(links) < maxLinks {
		links[id] = e.name
	}
	return name, again
}
