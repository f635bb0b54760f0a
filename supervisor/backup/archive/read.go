package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Backup is an open backup file. Its methods may be called at the same time.
type Backup struct {
	Info

	file    *os.File
	at      []int64 // of each part's header
	reserve int64
}

// OpenFile opens any file as a backup and checks that its table of contents and its parts fit together. The caller must
// Close it.
func OpenFile(name string) (*Backup, error) {
	b, err := load(name)
	if err != nil {
		return nil, fmt.Errorf("cannot open backup %s: %w", name, err)
	}
	return b, nil
}

func load(name string) (*Backup, error) {
	f, err := openPlain(name)
	if err != nil {
		return nil, err
	}
	b := &Backup{file: f, reserve: DefaultReserve}
	if err := b.index(); err != nil {
		_ = f.Close() // only read
		return nil, err
	}
	return b, nil
}

// openPlain opens a file and nothing else; a pipe would block.
func openPlain(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, errors.Join(err, refuse(NoBackup, "it is not a file"), f.Close())
	}
	return f, nil
}

// Close ends the use of the file.
func (b *Backup) Close() error { return b.file.Close() }

// member reads the header of one block that lies at `at`.
func memberAt(r io.ReaderAt, at int64) (*tar.Header, error) {
	h, err := tar.NewReader(io.NewSectionReader(r, at, block)).Next()
	switch {
	case err != nil:
		return nil, refuse(Damaged, "it is damaged: no header of a part at byte %d", at)
	case h.Typeflag != tar.TypeReg || len(h.PAXRecords) > 0:
		return nil, refuse(Extra, "it holds %.100q, which is no plain file", h.Name)
	}
	return h, nil
}

// readHead reads backup.json, which comes first, and tells how long its place is.
func readHead(r io.ReaderAt, size int64) (Info, int64, error) {
	h, err := tar.NewReader(io.NewSectionReader(r, 0, block)).Next()
	if err != nil || h.Name != headName && h.Name != "./"+headName {
		return Info{}, 0, refuse(NoBackup, "it does not begin with %s; is it a backup?", headName)
	}
	if h.Size > maxHead {
		return Info{}, 0, refuse(TooLarge, "its %s has %d bytes, more than %d", headName, h.Size, maxHead)
	}
	if h.Size > size-block {
		return Info{}, 0, refuse(CutOff, "it is cut off in %s; copy or download it again", headName)
	}
	data := make([]byte, h.Size)
	if _, err := r.ReadAt(data, block); err != nil {
		return Info{}, 0, damaged(err)
	}
	info, err := decodeHead(data)
	info.Size = size
	return info, h.Size, err
}

// index holds the parts against what backup.json says: these, in this order, and nothing else.
func (b *Backup) index() error {
	fi, err := b.file.Stat()
	if err != nil {
		return err
	}
	info, head, err := readHead(b.file, fi.Size())
	if err != nil {
		return err
	}
	at, end := slots(head, info.Parts)
	switch {
	case fi.Size() < end:
		return refuse(CutOff, "it is cut off: it has %d bytes and should have %d; copy or download it again", fi.Size(), end)
	case fi.Size() > end:
		return refuse(Extra, "it goes on for %d bytes after its last part", fi.Size()-end)
	}
	for i, p := range info.Parts {
		h, err := memberAt(b.file, at[i])
		if err != nil {
			return err
		}
		if h.Name != p.File || h.Size != p.Size {
			return refuse(Extra, "it holds %.100q with %d bytes where %s says %s with %d", h.Name, h.Size, headName, p.File, p.Size)
		}
	}
	tail := make([]byte, 2*block)
	if _, err := b.file.ReadAt(tail, end-2*block); err != nil {
		return damaged(err)
	}
	for _, c := range tail {
		if c != 0 {
			return refuse(Extra, "it holds something after its last part")
		}
	}
	b.Info, b.at = info, at
	return nil
}

// raw is the file of a part.
func (b *Backup) raw(i int) *io.SectionReader {
	return io.NewSectionReader(b.file, b.at[i]+block, b.Parts[i].Size)
}

// Verify reads all parts and compares their checksums; it needs no key. progress may be nil.
func (b *Backup) Verify(ctx context.Context, progress func(done, total int64)) error {
	m := meter{tell: progress}
	for _, p := range b.Parts {
		m.total += p.Size
	}
	buf := make([]byte, 256<<10)
	for i, p := range b.Parts {
		sum := sha256.New()
		for r := b.raw(i); ; {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("cannot verify backup %s: %w", b.Slug, err)
			}
			n, err := r.Read(buf)
			sum.Write(buf[:n])
			m.add(int64(n))
			if err == io.EOF {
				break
			}
			if err != nil {
				return fmt.Errorf("cannot verify backup %s: %s: %w", b.Slug, p.File, err)
			}
		}
		if err := p.compare(sum.Sum(nil)); err != nil {
			return fmt.Errorf("cannot verify backup %s: %w", b.Slug, err)
		}
	}
	m.end()
	return nil
}

// compare holds a checksum against the one in backup.json.
func (p *Part) compare(sum []byte) error {
	if got := hex.EncodeToString(sum); got != p.SHA256 {
		return refuse(Checksum, "%s is damaged: its SHA-256 is %.16s… and should be %.16s…; copy or download the backup again", p.File, got, p.SHA256)
	}
	return nil
}
