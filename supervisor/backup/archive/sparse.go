package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Limits on files with holes. The map of one is read back whole, and may have 1 MiB.
const (
	maxFile    = 1 << 40
	maxPieces  = 8192
	worthwhile = 64 << 10 // bytes of holes
)

// piece is a part of a file that is no hole.
type piece struct{ at, n int64 }

// pieces lists what of a file is no hole; nil = all of it, or nearly. A file in more pieces than are kept in mind has the
// rest in one.
func pieces(f *os.File, fi fs.FileInfo) []piece {
	size := fi.Size()
	if content(fi)+worthwhile > size {
		return nil
	}
	list := []piece{}
	for at := int64(0); at < size; {
		data, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) || err == nil && data >= size {
			return append(list, piece{size, 0}) // the end is a hole; tar wants to hear where
		}
		if err != nil {
			return nil // no holes on this file system
		}
		hole, err := unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE)
		if err != nil || hole > size || len(list) == maxPieces {
			hole = size
		}
		list = append(list, piece{data, hole - data})
		at = hole
	}
	return list
}

// sparse writes the headers and the map of a file with holes, as GNU tar does in its format 1.0; archive/tar reads it and
// does not write it. The pieces follow, in raw.
func (p *packer) sparse(h *tar.Header, parts []piece) error {
	if err := p.tar.Flush(); err != nil {
		return err
	}
	p.files++
	var index bytes.Buffer
	fmt.Fprintf(&index, "%d\n", len(parts))
	size := int64(0)
	for _, s := range parts {
		fmt.Fprintf(&index, "%d\n%d\n", s.at, s.n)
		size += s.n
	}
	index.Write(make([]byte, padded(int64(index.Len()))-int64(index.Len())))
	size += int64(index.Len())

	records := map[string]string{
		"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": h.Name, "GNU.sparse.realsize": strconv.FormatInt(h.Size, 10),
		"mtime": fmt.Sprintf("%d.%09d", h.ModTime.Unix(), h.ModTime.Nanosecond()), "size": strconv.FormatInt(size, 10),
		"uid": strconv.Itoa(h.Uid), "gid": strconv.Itoa(h.Gid),
	}
	if h.ModTime.Unix() < 0 {
		delete(records, "mtime") // a time before 1970 is not worth its rules for writing
	}
	maps.Copy(records, h.PAXRecords)
	var pax bytes.Buffer
	for _, k := range slices.Sorted(maps.Keys(records)) {
		pax.WriteString(record(k, records[k]))
	}
	length := int64(pax.Len())
	pax.Write(make([]byte, padded(length)-length))
	before, err := plainBlock("PaxHeaders.0/sparse", length, 0o644, 'x')
	if err != nil {
		return err
	}
	main, err := plainBlock("GNUSparseFile.0/"+short(path.Base(h.Name)), 0, h.Mode, tar.TypeReg)
	if err != nil {
		return err
	}
	for _, b := range [][]byte{before, pax.Bytes(), main, index.Bytes()} {
		if _, err := p.raw.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// pad fills the last block of the pieces.
func pad(w io.Writer, parts []piece) error {
	n := int64(0)
	for _, s := range parts {
		n += s.n
	}
	_, err := w.Write(make([]byte, padded(n)-n))
	return err
}

// short makes a name that a reader without knowledge of the format can make a file of.
func short(name string) string {
	if len(name) > 64 {
		name = name[:64]
	}
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, []byte(name)))
}

// record is one of POSIX's extended header records, which begin with their own length.
func record(k, v string) string {
	n := len(k) + len(v) + 3 // " ", "=", "\n"
	total := n + len(strconv.Itoa(n))
	if len(strconv.Itoa(total)) != len(strconv.Itoa(n)) {
		total++
	}
	return strconv.Itoa(total) + " " + k + "=" + v + "\n"
}

// plainBlock is a header of one block of any type, with the checksum that belongs to it.
func plainBlock(name string, size, mode int64, typeflag byte) ([]byte, error) {
	var b bytes.Buffer
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: mode, Format: tar.FormatUSTAR}
	if err := tar.NewWriter(&b).WriteHeader(h); err != nil {
		return nil, err
	}
	const checksum, kind = 148, 156
	out := b.Bytes()
	out[kind] = typeflag
	copy(out[checksum:], "        ")
	sum := 0
	for _, c := range out {
		sum += int(c)
	}
	copy(out[checksum:], fmt.Sprintf("%06o\x00 ", sum))
	return out, nil
}
