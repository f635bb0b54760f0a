// Package habackup reads the backup files of Home Assistant's Supervisor, so that what was saved there can live on here:
// the add-ons' settings and data, Home Assistant's configuration, and the shared folders.
//
// A backup is a plain tar file with backup.json (until 2021: snapshot.json) and one inner tar file, mostly gzipped, for
// each part. The inner one of an add-on holds addon.json (settings), data/ and, of late, config/; that of Home
// Assistant holds data/; that of a folder holds its content.
//
// # Threat model
//
// Backups travel through cloud drives and forums: every byte is hostile. Nothing is written outside the folder the
// caller names: names that leave it make the whole archive refused, links are made last and only when they stay inside,
// devices are skipped, set-user-ID bits of files are dropped. Sizes, numbers and depths are bounded, and the disk is
// never filled to the brim. Whoever can alter a backup decides what an add-on finds in its data; that is what a backup
// is, and restoring one is the owner's word.
//
// # Crash model
//
// [Backup.Extract] writes into a folder that was not there before, and returns nil only when all of it is on the disk.
// The caller renames it into place. A folder that a power cut left half-way is the caller's to remove.
package habackup

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Limits on the outer file.
const (
	maxParts = 4096
	maxJSON  = 8 << 20
)

// ErrProtected says that a backup is encrypted with a password.
var ErrProtected = errors.New("it is encrypted; in Home Assistant make a backup without a password (or download this one decrypted) and take that")

// Backup is an open backup file. Its methods may be called at the same time.
type Backup struct {
	Info

	file  *os.File
	parts map[string]part
}

// part is an inner archive, or a file, within the outer one.
type part struct{ offset, size int64 }

// Open reads the table of contents. The caller must Close the backup.
func Open(name string) (_ *Backup, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot open backup: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close() // only read
			err = fmt.Errorf("cannot open backup %s: %w", name, err)
		}
	}()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	b := &Backup{file: f}
	if b.parts, err = index(io.NewSectionReader(f, 0, fi.Size())); err != nil {
		return nil, err
	}
	p, ok := b.parts["backup.json"]
	if !ok {
		p, ok = b.parts["snapshot.json"]
	}
	if !ok {
		return nil, errors.New("it holds no backup.json; is it a backup of Home Assistant's Supervisor?")
	}
	if p.size > maxJSON {
		return nil, fmt.Errorf("its backup.json has %d bytes, more than %d", p.size, maxJSON)
	}
	data, err := io.ReadAll(b.open(p))
	if err != nil {
		return nil, err
	}
	if b.Info, err = parseInfo(data); err != nil {
		return nil, err
	}
	for i, a := range b.Addons {
		if p, ok := b.archive(a.Slug); ok {
			b.Addons[i].Size = p.size
		}
	}
	return b, nil
}

// Close ends the use of the file.
func (b *Backup) Close() error { return b.file.Close() }

func (b *Backup) open(p part) *io.SectionReader {
	return io.NewSectionReader(b.file, p.offset, p.size)
}

// archive finds the inner archive of a part.
func (b *Backup) archive(name string) (part, bool) {
	for _, end := range []string{".tar.gz", ".tar"} {
		if p, ok := b.parts[name+end]; ok {
			return p, true
		}
	}
	return part{}, false
}

// index lists the files of the outer archive. They are not compressed, so each can be read where it lies.
func index(r *io.SectionReader) (map[string]part, error) {
	parts := map[string]part{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("it is cut off or no tar file: %w", err)
		}
		if h.Typeflag != tar.TypeReg || sparse(h) {
			continue // none of the parts is anything else
		}
		name := path.Clean(h.Name)
		if strings.Contains(name, "/") || name == ".." {
			continue
		}
		at, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if h.Size > r.Size()-at {
			return nil, fmt.Errorf("it is cut off in %.100q; copy or download it again", name)
		}
		if _, ok := parts[name]; ok {
			return nil, fmt.Errorf("it holds %.100q twice", name)
		}
		if len(parts) >= maxParts {
			return nil, fmt.Errorf("it holds more than %d files", maxParts)
		}
		parts[name] = part{offset: at, size: h.Size}
	}
}

// sparse tells whether a member says it is larger than what lies in the archive. Home Assistant makes none.
func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}
