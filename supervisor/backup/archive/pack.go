package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// maxNotes bounds the notes of a part; the count goes on.
const maxNotes = 1000

// packer writes the members of a part.
type packer struct {
	ctx   context.Context
	unit  string
	tar   *tar.Writer
	raw   io.Writer // below tar, for headers that it cannot write
	buf   []byte
	xbuf  []byte
	links map[inode]string
	read  func(n int64) // is told how much of the files was read

	files, leftOut, changed int64
	notes                   []Note
}

func (p *packer) note(name, why string) {
	if len(p.notes) < maxNotes {
		p.notes = append(p.notes, Note{p.unit, plain(name), why})
	}
}

func (p *packer) skip(name, why string) {
	p.leftOut++
	p.note(name, why)
}

func (p *packer) wrote(name, why string) {
	p.changed++
	p.note(name, why)
}

// member is the header of an entry, without extended attributes.
func member(e entry, link string) *tar.Header {
	st := stat(e.fi)
	h := &tar.Header{
		Name: e.name, Linkname: link, Uid: int(st.Uid), Gid: int(st.Gid), Mode: int64(st.Mode & 0o7777),
		ModTime: time.Unix(st.Mtim.Unix()), Format: tar.FormatPAX,
	}
	switch e.fi.Mode().Type() {
	case fs.ModeDir:
		h.Typeflag = tar.TypeDir
		h.Name += "/"
	case fs.ModeSymlink:
		h.Typeflag = tar.TypeSymlink
	default:
		h.Typeflag = tar.TypeReg
		h.Size = e.fi.Size()
	}
	return h
}

func (p *packer) header(h *tar.Header) error {
	p.files++
	return p.tar.WriteHeader(h)
}

func (p *packer) add(e entry) error {
	err := p.entry(e)
	if err != nil && p.ctx.Err() == nil {
		return fmt.Errorf("%.200q: %w", e.name, err)
	}
	return err
}

func (p *packer) entry(e entry) error {
	switch e.fi.Mode().Type() {
	case fs.ModeDir:
		h := member(e, "")
		d, err := e.dir.Open(".")
		if err != nil {
			return err
		}
		h.PAXRecords, err = p.attributes(d, e.name)
		if err := errors.Join(err, d.Close()); err != nil {
			return err
		}
		return p.header(h)
	case fs.ModeSymlink:
		to, err := e.dir.Readlink(e.base)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EINVAL) {
			return nil // it is gone or no link any more
		}
		if err != nil {
			return err
		}
		return p.header(member(e, to))
	case 0:
		if first, again := linked(p.links, e); again {
			h := member(e, first)
			h.Typeflag, h.Size = tar.TypeLink, 0
			return p.header(h)
		}
		saved, err := p.file(e)
		if id := (inode{stat(e.fi).Dev, stat(e.fi).Ino}); !saved && p.links[id] == e.name {
			delete(p.links, id) // another name of it may fare better
		}
		return err
	case fs.ModeSocket:
		p.skip(e.name, "it is a socket")
	case fs.ModeNamedPipe:
		p.skip(e.name, "it is a named pipe")
	default:
		p.skip(e.name, "it is a device")
	}
	return nil
}

// file writes a regular file, as long as it was when it was opened, whatever is done to it meanwhile.
func (p *packer) file(e entry) (saved bool, err error) {
	if e.fi.Size() > maxFile {
		p.skip(e.name, fmt.Sprintf("it says that it has more than %d GiB", int64(maxFile)>>30))
		return false, nil
	}
	// Not blocking and not following: anything may have taken its place since it was looked at.
	f, err := e.dir.OpenFile(e.base, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil && exchanged(e.dir, e.base, e.fi):
		p.wrote(e.name, "it was exchanged while it was read, and is not in the backup")
		return false, nil
	case err != nil:
		return false, err
	}
	defer f.Close() // only read
	fi, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !fi.Mode().IsRegular() || stat(fi).Ino != stat(e.fi).Ino || stat(fi).Dev != stat(e.fi).Dev || fi.Size() > maxFile {
		p.wrote(e.name, "it was exchanged while it was read, and is not in the backup")
		return false, nil
	}
	e.fi = fi
	h := member(e, "")
	if h.PAXRecords, err = p.attributes(f, e.name); err != nil {
		return false, err
	}
	out, parts := io.Writer(p.tar), pieces(f, fi)
	if parts == nil {
		parts = []piece{{0, fi.Size()}}
		err = p.header(h)
	} else {
		out = p.raw
		err = p.sparse(h, parts)
	}
	if err != nil {
		return false, err
	}
	whole := true
	for _, s := range parts {
		ok, err := p.copy(out, f, s)
		if err != nil {
			return false, err
		}
		whole = whole && ok
	}
	if out == p.raw {
		if err := pad(out, parts); err != nil {
			return false, err
		}
	}
	now, err := f.Stat()
	switch {
	case err != nil:
		return true, err
	case !whole:
		p.wrote(e.name, "it became shorter while it was read; zeros stand for the rest")
	case now.Size() != fi.Size() || stat(now).Mtim != stat(fi).Mtim:
		p.wrote(e.name, "it was written to while it was read")
	}
	return true, nil
}

// copy writes one piece of f; zeros stand for what f does not have any more, and whole is false then.
func (p *packer) copy(out io.Writer, f *os.File, s piece) (whole bool, err error) {
	whole = true
	for at, end := s.at, s.at+s.n; at < end; {
		if err := p.ctx.Err(); err != nil {
			return false, err
		}
		chunk := p.buf[:min(int64(len(p.buf)), end-at)]
		n := 0
		if whole {
			n, err = f.ReadAt(chunk, at)
			if err != nil && err != io.EOF {
				return false, err
			}
			whole = n == len(chunk)
		}
		clear(chunk[n:])
		if _, err := out.Write(chunk); err != nil {
			return false, err
		}
		at += int64(len(chunk))
		p.read(int64(len(chunk)))
	}
	return whole, nil
}
