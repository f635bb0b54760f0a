package archive

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
)

var zeros [4096]byte

// content writes a file. In one that had holes, zeros become holes again.
func (t *tree) content(f *os.File, h *tar.Header, r io.Reader) error {
	at, skip := int64(0), holes(h)
	for {
		n, err := io.ReadFull(r, t.buf)
		for chunk := t.buf[:n]; len(chunk) > 0; {
			part := chunk
			if skip {
				part = chunk[:min(len(chunk), len(zeros))]
			}
			chunk = chunk[len(part):]
			if !skip || !bytes.Equal(part, zeros[:len(part)]) {
				if _, err := f.WriteAt(part, at); err != nil {
					return err
				}
				if err := t.watch.wrote(int64(len(part))); err != nil {
					return err
				}
			}
			at += int64(len(part))
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if at != h.Size {
		return refuse(CutOff, "%.200q is cut off", h.Name)
	}
	if skip {
		return f.Truncate(at)
	}
	return nil
}

// attributes gives a folder its owner, mode, attributes and times, in the order in which none undoes another.
func attributes(dir *os.Root, name string, h *tar.Header) error {
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // only its descriptor is used
	if err := fileAttributes(f, h); err != nil {
		return err
	}
	return dir.Chtimes(name, h.ModTime, h.ModTime)
}

// fileAttributes gives a file or folder what a backup knows of it but its times. Set-user-ID bits stay behind; the
// set-group-ID bit of a folder says only to whom new files belong.
func fileAttributes(f *os.File, h *tar.Header) error {
	if err := f.Chown(h.Uid, h.Gid); err != nil {
		return err
	}
	keep := fs.ModePerm | fs.ModeSticky
	if h.Typeflag == tar.TypeDir {
		keep |= fs.ModeSetgid
	}
	if err := f.Chmod(h.FileInfo().Mode() & keep); err != nil {
		return err
	}
	return setAttributes(f, h.PAXRecords)
}
