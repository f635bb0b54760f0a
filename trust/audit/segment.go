package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// segment is one file of the log.
type segment struct {
	path  string
	first uint64 // sequence number of its first record, from its name
}

const segmentExt = ".jsonl"

func segmentPath(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", first, segmentExt))
}

// segments lists the segments of a folder, oldest first. Other files are not ours to judge.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list verification log %s: %w", dir, err)
	}
	var out []segment
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), segmentExt)
		if !ok || len(digits) != 20 {
			continue
		}
		first, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			continue
		}
		out = append(out, segment{filepath.Join(dir, e.Name()), first})
	}
	slices.SortFunc(out, func(a, b segment) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	return out, nil
}

// errLineTooLong stops reading: nothing Castellan wrote is that long, and a hostile file must not fill the memory.
var errLineTooLong = fmt.Errorf("line longer than %d bytes", maxLine)

// eachLine calls fn for every line of r, counted from 1; line is without its newline, shared with the reader and
// good until fn returns. whole is false for bytes after the last newline.
func eachLine(r io.Reader, fn func(n int, line []byte, whole bool) error) error {
	br := bufio.NewReaderSize(r, 64<<10)
	var long []byte
	for n := 1; ; n++ {
		line, err := br.ReadSlice('\n')
		for long = long[:0]; errors.Is(err, bufio.ErrBufferFull); line, err = br.ReadSlice('\n') {
			if long = append(long, line...); len(long) > maxLine {
				return errLineTooLong
			}
		}
		if len(long) > 0 {
			line = append(long, line...)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		body, whole := bytes.CutSuffix(line, []byte("\n"))
		if err := fn(n, body, whole); err != nil {
			return err
		}
		if !whole {
			return nil
		}
	}
}

// eachLineOf is [eachLine] on the first limit bytes of a file, all of it when limit is negative.
func eachLineOf(path string, limit int64, fn func(n int, line []byte, whole bool) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = f
	if limit >= 0 {
		r = io.LimitReader(f, limit)
	}
	return eachLine(r, fn)
}

// lastLine is the last whole line of data, nil when there is none.
func lastLine(data []byte) []byte {
	data, ok := bytes.CutSuffix(data, []byte("\n"))
	if !ok {
		return nil
	}
	return data[bytes.LastIndexByte(data, '\n')+1:]
}

// splitLines are the whole lines of data; a torn tail is left out.
func splitLines(data []byte) [][]byte {
	end := bytes.LastIndexByte(data, '\n')
	if end < 0 {
		return nil
	}
	return bytes.Split(data[:end], []byte("\n"))
}
