package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxList bounds the files that are listed.
const maxList = 10_000

// Item is a file in the folder of backups.
type Item struct {
	Info
	File    string // its name in the folder
	Problem error  // why it can't be used, nil = its table of contents can be read; Info has only Size then
}

// cached is what the head of a file said when it had that size and time.
type cached struct {
	size  int64
	mtime time.Time
	item  Item
}

// List tells what is in the folder, newest first, files with problems last. Of a file that is not known yet only the
// beginning is read: a part may be damaged all the same, see [Backup.Verify].
func (s *Store) List(ctx context.Context) ([]Item, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list the backups: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list, seen := []Item{}, map[string]cached{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".tar") || strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() || len(list) == maxList {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("cannot list the backups: %w", err)
		}
		c, ok := s.seen[e.Name()]
		if !ok || c.size != fi.Size() || !c.mtime.Equal(fi.ModTime()) {
			c = cached{fi.Size(), fi.ModTime(), s.item(e.Name(), fi.Size())}
		}
		seen[e.Name()] = c
		list = append(list, c.item)
	}
	s.seen = seen // what is gone is forgotten
	slices.SortStableFunc(list, func(a, b Item) int {
		if (a.Problem == nil) != (b.Problem == nil) {
			if a.Problem == nil {
				return -1
			}
			return 1
		}
		return b.Date.Compare(a.Date)
	})
	return list, nil
}

func (s *Store) item(name string, size int64) Item {
	i := Item{File: name, Info: Info{Size: size}}
	f, err := openPlain(filepath.Join(s.dir, name))
	if err != nil {
		i.Problem = err
		return i
	}
	defer f.Close() // only read
	info, head, err := readHead(f, size)
	if err == nil {
		_, end := slots(head, info.Parts)
		switch {
		case size < end:
			err = refuse(CutOff, "it is cut off: it has %d bytes and should have %d; copy or download it again", size, end)
		case size > end:
			err = refuse(Extra, "it goes on for %d bytes after its last part", size-end)
		case name != info.Slug+".tar":
			err = refuse(Foreign, "it is backup %s; rename the file to %s.tar", info.Slug, info.Slug)
		}
	}
	if err != nil {
		i.Problem = err
		return i
	}
	i.Info = info
	return i
}
