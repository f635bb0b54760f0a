package archive

import (
	"context"
	"crypto/sha1" // Home Assistant's slugs are made with it; nothing is secured by it
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// likely is how many times smaller than the files a backup may come out: it is refused before it begins when not even
// that has room, and while it is written when the room ends.
const likely = 4

// Create makes a backup. It waits while another is being made. When it fails, panics or ctx ends, nothing is left of it.
//
// A good run: count the files; create a temporary file; write backup.json's place and the parts; write backup.json and
// the headers again, now with sizes; sync; rename; sync the folder.
func (s *Store) Create(ctx context.Context, req Request) (Made, error) {
	made, err := s.create(ctx, req)
	if err != nil {
		return Made{}, fmt.Errorf("cannot make the backup %.80q: %w", plain(req.Name), full(err))
	}
	return made, nil
}

func (s *Store) create(ctx context.Context, req Request) (_ Made, err error) {
	if err := req.check(); err != nil {
		return Made{}, err
	}
	if err := s.begin(ctx); err != nil {
		return Made{}, err
	}
	defer func() { <-s.turn }()
	sizes, total, err := measure(ctx, req.Units)
	if err != nil {
		return Made{}, err
	}
	if err := s.fits(s.dir, s.reserve, total/likely); errors.Is(err, ErrNoSpace) && req.Doubt != nil && s.fits(s.dir, s.reserve, 1) == nil {
		req.Doubt(err) // what is kept for everything else is no guess
	} else if err != nil {
		return Made{}, err
	}
	info, err := s.describe(&req)
	if err != nil {
		return Made{}, err
	}
	out, err := s.draft()
	if err != nil {
		return Made{}, err
	}
	defer out.undo()
	c := &creation{out: out, info: &info, req: &req, watch: watcher{dir: s.dir, reserve: s.reserve}, sizes: sizes, progress: meter{tell: req.Progress, total: total}}
	if err := c.write(ctx); err != nil {
		return Made{}, err
	}
	if err := out.keep(info.Slug); err != nil {
		return Made{}, err
	}
	c.progress.end()
	return Made{Info: info, Notes: c.notes, After: c.after}, nil
}

// describe is what is known of a backup before it is made.
func (s *Store) describe(req *Request) (Info, error) {
	info := Info{
		Name: req.Name, Date: s.now().UTC().Truncate(time.Microsecond), Type: req.Type, Origin: req.Origin, Service: plain(req.Service),
		Version: plain(req.Version), Protected: req.Seal.recipient != nil, Seal: req.Seal.how, Recipient: req.Seal.public, Repositories: req.Repositories,
	}
	for {
		info.Date = info.Date.Add(time.Microsecond)
		info.Slug = slugOf(info.Date, info.Name)
		_, err := os.Lstat(s.path(info.Slug))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil { // a folder that can't be looked into has no free name, however many are tried
			return Info{}, err
		}
	}
	for _, u := range req.Units {
		info.Parts = append(info.Parts, Part{
			File: fileName(u.Slug, info.Protected), Kind: u.Kind, Slug: u.Slug, Name: plain(u.Name), Version: plain(u.Version), Image: plain(u.Image),
			NoDatabase: u.NoDatabase,
		})
	}
	return info, nil
}

func slugOf(date time.Time, name string) string {
	sum := sha1.Sum([]byte(strings.ToLower(date.Format(time.RFC3339Nano) + " - " + name)))
	return hex.EncodeToString(sum[:4])
}

// creation is a backup being written.
type creation struct {
	out      outFile
	info     *Info
	req      *Request
	watch    watcher
	sizes    []int64 // of the units' files
	progress meter
	part     meter // of the unit that is written
	at       int64 // end of what was written
	notes    []Note
	after    []error
}

// Write appends to the file and keeps an eye on the disk.
func (c *creation) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	c.at += int64(n)
	if err == nil {
		err = c.watch.wrote(int64(n))
	}
	return n, err
}

func (c *creation) write(ctx context.Context) error {
	room, err := c.info.room()
	if err != nil {
		return err
	}
	if _, err := c.Write(make([]byte, block+padded(int64(room)))); err != nil {
		return err
	}
	enc, err := newEncoder()
	if err != nil {
		return err
	}
	for i := range c.req.Units {
		u := &c.req.Units[i]
		err := u.Around.run(ctx, func(ctx context.Context, progress func(done, total int64)) error {
			c.part = meter{tell: progress, total: c.sizes[i]}
			err := c.unit(ctx, enc, u, &c.info.Parts[i])
			if err == nil {
				c.part.end()
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", u.Slug, err)
		}
	}
	if _, err := c.Write(make([]byte, 2*block)); err != nil {
		return err
	}
	c.info.Size = c.at
	text, err := c.info.encodeInto(room)
	if err != nil {
		return err
	}
	head, err := header(headName, int64(room), c.info.Date)
	if err != nil {
		return err
	}
	if _, err := c.out.WriteAt(append(head, text...), 0); err != nil {
		return err
	}
	return ctx.Err()
}

// read counts bytes of files that were read.
func (c *creation) read(n int64) {
	c.part.add(n)
	c.progress.add(n)
}

// meter tells how far a work is.
type meter struct {
	tell        func(done, total int64)
	done, total int64
	last        time.Time
}

func (m *meter) add(n int64) {
	m.done = min(m.done+n, m.total)
	if m.tell != nil && time.Since(m.last) >= 200*time.Millisecond {
		m.last = time.Now()
		m.tell(m.done, m.total)
	}
}

func (m *meter) end() {
	if m.tell != nil {
		m.tell(m.total, m.total)
	}
}

// clean tells whether path is an absolute one without detours.
func clean(path string) bool { return filepath.IsAbs(path) && filepath.Clean(path) == path }
