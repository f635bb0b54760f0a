package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/castellan/castellan/config/durable"
)

// Extract unpacks a part into dir, one folder for each tree of the unit. dir must not be there and its parent must; put it
// on the file system of the final place. When there is no error all of it was checked and is on the disk; otherwise dir is
// gone again. done is told the bytes read of the part's file; it may be nil.
func (b *Backup) Extract(ctx context.Context, slug, dir string, key Key, done func(n int64)) (About, error) {
	about, err := b.unpack(ctx, slug, dir, key, done)
	if err == nil {
		if err = errors.Join(durable.SyncTree(dir), durable.SyncDir(filepath.Dir(dir))); err != nil {
			_ = os.RemoveAll(dir) // what stays behind is swept like that of a power cut
		}
	}
	if err != nil {
		return About{}, fmt.Errorf("cannot take %.80q from backup %s: %w", slug, b.Slug, err)
	}
	return about, nil
}

// unpack does it all but for the sync.
func (b *Backup) unpack(ctx context.Context, slug, dir string, key Key, done func(n int64)) (_ About, err error) {
	r, err := b.inner(ctx, slug, key, done)
	if err != nil {
		return About{}, err
	}
	defer r.close()
	if err := fits(filepath.Dir(dir), b.reserve, r.part.Unpacked); err != nil {
		return About{}, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return About{}, err
	}
	finished := false
	defer func() {
		if !finished {
			_ = os.RemoveAll(dir) // likewise
		}
	}()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return About{}, err
	}
	t := &tree{
		top: root, stack: []level{{root: root, name: "."}}, watch: watcher{dir: dir, reserve: b.reserve}, buf: make([]byte, 64<<10),
	}
	defer t.close()
	about := About{Part: *r.part, Meta: r.about.Meta}
	if about.Notes, err = t.fill(r); err != nil {
		return About{}, damaged(err)
	}
	finished = true
	return about, nil
}

// fill unpacks all members.
func (t *tree) fill(r *inner) (notes []Note, err error) {
	var ended bool
	for {
		h, name, err := r.next()
		if err == io.EOF && !ended {
			return nil, refuse(CutOff, "it does not end with %s", notesName)
		}
		if err == io.EOF {
			return notes, t.leave(1)
		}
		if err != nil {
			return nil, err
		}
		if ended {
			return nil, refuse(Extra, "%.200q comes after its %s", name, notesName)
		}
		if name == notesName {
			ended = true
			if notes, err = readNotes(r, h); err != nil {
				return nil, err
			}
			continue
		}
		if err := t.add(h, name, r.tar); err != nil {
			var own *Refusal
			if errors.As(err, &own) || errors.Is(err, ErrNoSpace) || r.bytes.ctx.Err() != nil {
				return nil, err
			}
			return nil, fmt.Errorf("%.200q: %w", name, err)
		}
	}
}

func readNotes(r *inner, h *tar.Header) (notes []Note, err error) {
	data, err := r.whole(h, maxNotesFile)
	if err != nil {
		return nil, err
	}
	if err := jsonv2.Unmarshal(data, &notes); err != nil || len(notes) > maxNotes {
		return nil, refuse(Damaged, "cannot understand its %s", notesName)
	}
	for i, n := range notes {
		notes[i] = Note{plain(n.Unit), plain(n.Name), plain(n.Why)}
	}
	return notes, nil
}

// tree is a folder being filled. Members come folder by folder, as they were written: stack holds the open one and those
// above it, and a member is made in the last by its last name alone.
type tree struct {
	top   *os.Root
	stack []level
	watch watcher
	buf   []byte
}

type level struct {
	root *os.Root
	name string
	h    *tar.Header // its attributes are given when it is left: new entries change its times
}

// leave closes folders until n are open.
func (t *tree) leave(n int) error {
	for len(t.stack) > n {
		l := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		if err := errors.Join(attributes(l.root, ".", l.h), l.root.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) close() {
	for _, l := range t.stack {
		_ = l.root.Close() // only its descriptor is used
	}
}

func (t *tree) add(h *tar.Header, name string, content io.Reader) error {
	parent, base := path.Split(name)
	parent = path.Clean("./" + parent)
	n := len(t.stack)
	for n > 0 && t.stack[n-1].name != parent {
		n--
	}
	if n == 0 {
		return refuse(Order, "%.200q lies in no folder that came right before it", name)
	}
	if n == 1 && (h.Typeflag != tar.TypeDir || !treePattern.MatchString(base)) {
		return refuse(Extra, "%.200q is no folder of a unit", name)
	}
	if err := t.leave(n); err != nil {
		return err
	}
	if err := t.watch.wrote(4096); err != nil { // an entry, and a file's last block
		return err
	}
	dir := t.stack[n-1].root
	err := t.member(dir, base, name, h, content)
	if errors.Is(err, fs.ErrExist) {
		return refuse(Twice, "%.200q comes twice", name)
	}
	return err
}

func (t *tree) member(dir *os.Root, base, name string, h *tar.Header, content io.Reader) error {
	if h.Uid < 0 || h.Gid < 0 || h.Uid > 1<<32-2 || h.Gid > 1<<32-2 {
		return refuse(Damaged, "%.200q has owner %d:%d", name, h.Uid, h.Gid)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := dir.Mkdir(base, 0o700); err != nil {
			return err
		}
		sub, err := dir.OpenRoot(base)
		if err != nil {
			return err
		}
		t.stack = append(t.stack, level{sub, name, h})
		return nil
	case tar.TypeReg:
		return t.file(dir, base, h, content)
	case tar.TypeSymlink:
		if err := dir.Symlink(h.Linkname, base); err != nil {
			return err
		}
		return dir.Lchown(base, h.Uid, h.Gid)
	case tar.TypeLink:
		return t.hardLink(name, h.Linkname)
	default:
		return refuse(Device, "%.200q is a device, a pipe or of an unknown kind, which no backup holds", name)
	}
}

// hardLink makes a second name of a file that was unpacked before.
func (t *tree) hardLink(name, old string) error {
	if old == "" || path.IsAbs(old) || leaves(old) || path.Clean(old) != old {
		return refuse(LinkOut, "%.200q is a hard link out of the folder, to %.200q; this backup was made to do harm", name, old)
	}
	if fi, err := t.top.Lstat(old); err != nil || !fi.Mode().IsRegular() {
		return refuse(LinkOut, "%.200q is a hard link to %.200q, which is no file that came before it", name, old)
	}
	return t.top.Link(old, name)
}

func (t *tree) file(dir *os.Root, base string, h *tar.Header, content io.Reader) error {
	if h.Size > maxFile {
		return refuse(TooLarge, "%.200q has more than %d GiB", h.Name, int64(maxFile)>>30)
	}
	f, err := dir.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = t.content(f, h, content)
	if err == nil {
		err = fileAttributes(f, h)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return dir.Chtimes(base, h.ModTime, h.ModTime)
}
