package store

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"unicode/utf8"
)

var errLink = errors.New("it is a symbolic link, and links are never followed")

// openFile opens a plain file below root: no part of its path may be a link, and neither a device nor a pipe can hang
// the reader, whatever changes in the folder meanwhile.
func openFile(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	parts := strings.Split(name, "/")
	var before fs.FileInfo
	for i := range parts {
		fi, err := root.Lstat(path.Join(parts[:i+1]...))
		switch {
		case err != nil:
			return nil, nil, err
		case fi.Mode()&fs.ModeSymlink != 0:
			return nil, nil, errLink
		case i < len(parts)-1 && !fi.IsDir(), i == len(parts)-1 && !fi.Mode().IsRegular():
			return nil, nil, errors.New("it is not a file")
		}
		before = fi
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err == nil && !os.SameFile(before, fi) {
		err = errors.New("it changed while it was opened")
	}
	if err != nil {
		_ = f.Close() // only read
		return nil, nil, err
	}
	return f, fi, nil
}

// openDir opens a folder, and never a pipe that has just taken its place.
func openDir(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
}

// readFile reads a plain file below root, of at most limit bytes.
func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	f, _, err := openFile(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	return readAll(f, name, limit)
}

func readAll(r io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s: larger than %d bytes", name, limit)
	}
	return data, nil
}

// checkImage wants a PNG of a size that a browser can show. Only its head is looked at: it is never decoded here.
func checkImage(r io.Reader) error {
	c, err := png.DecodeConfig(io.LimitReader(r, 4<<10))
	switch {
	case err != nil:
		return errors.New("it is not a PNG image")
	case c.Width < 1 || c.Height < 1 || c.Width > maxImageSide || c.Height > maxImageSide || c.Width*c.Height > maxImagePoints:
		return fmt.Errorf("it has %d×%d points, the limit is %d on a side and %d in all", c.Width, c.Height, maxImageSide, maxImagePoints)
	}
	return nil
}

func checkText(data []byte) error {
	switch {
	case !utf8.Valid(data):
		return errors.New("it is not UTF-8")
	case bytes.IndexByte(data, 0) >= 0:
		return errors.New("it is not a text")
	}
	return nil
}
