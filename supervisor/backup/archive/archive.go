// Package archive makes, keeps and reads the backups that people ask for: one file `<slug>.tar` each, which standard
// tools open without Castellan.
//
//	tar -xf 1a2b3c4d.tar                                      # backup.json and one file a part
//	age -d -i key core.tar.zst.age | zstd -d | tar -x         # a part; without age where nothing was encrypted
//
// backup.json comes first and says what is in it, in the words of Home Assistant's version 2, with the size and SHA-256
// of every part. A part begins with unit.json (what a restore needs besides data: settings, manifest), holds one folder
// for each tree of the unit, and ends with notes.json (what was left out, and what changed while it was read).
//
// # Threat model
//
// The folders that are saved belong to containers, which may be hostile and at work: no path is followed out of a folder,
// no file is read that is another one than was looked at, and how much is kept in memory does not depend on them. A
// backup that comes back is hostile too: sizes, numbers and depths are bounded by what backup.json says and by the room on
// the disk, a name is made only in a folder that was made before and by its last part alone, so that nothing is ever
// written through a link, and everything is unpacked beside its place. Set-user-ID bits and privileged attributes do not
// come back. Symbolic links do as they are, wherever they lead: a container can make any link itself, so nothing of ours
// follows one.
//
// Whoever can write to a backup file decides what a restore finds in it: checksums show damage, not malice. Where it
// is encrypted, nobody without the key reads more than backup.json (names, versions, sizes); with a passphrase nobody
// without it makes a part either, with a recovery key everybody who knows its public half does. A part of one backup is
// refused in another. Images are named by digest and judged again by whoever installs them; nothing here vouches for one.
//
// # Crash model
//
// A backup is written to a temporary name, synced, and renamed. What a cut leaves is swept by [Open]. A restore unpacks
// beside the folders it replaces, checks everything, and then writes down that it will exchange them: [Resume] ends what a
// cut left, so that all of them are old or all are new.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/config/durable"
)

// Errors that a caller has words of its own for.
var (
	ErrNotFound  = errors.New("there is no such backup")
	ErrNoSpace   = errors.New("the disk has too little room")
	ErrKeyNeeded = errors.New("it is encrypted; give the recovery key or the passphrase it was made with")
	ErrWrongKey  = errors.New("the key does not open it")
	ErrNewer     = errors.New("it was made by a newer Castellan; update this one first")
	ErrForeign   = errors.New("it is a backup of Home Assistant, not of Castellan; import it instead")
	ErrUnended   = errors.New("a restore was cut off before and has to end first")
	ErrNotBegun  = errors.New("nothing was exchanged")
)

// DefaultReserve is left free on the disk by backups and restores, so that everything else can go on.
const DefaultReserve = 256 << 20

// Options of a [Store]; the zero value is good.
type Options struct {
	Reserve int64            // bytes that stay free on the disk, 0 = DefaultReserve, -1 = none
	Now     func() time.Time // nil = time.Now
}

// Store is a folder of backups. One process has it open at a time. It is safe for concurrent use; backups are made one
// after the other, to be kind to the disk.
type Store struct {
	dir     string
	reserve int64
	now     func() time.Time
	disk    disk
	fits    func(dir string, reserve, need int64) error
	lock    *os.File
	turn    chan struct{} // holds a token while a backup is being made

	mu   sync.Mutex
	seen map[string]cached // by file name
}

const temporary = ".new-"

var slugPattern = regexp.MustCompile(`^[0-9a-f]{8}$`)

// Open opens the folder of backups, which it makes when missing, and removes what cut backups have left there. It
// fails with durable.ErrLocked while another process has it open.
func Open(dir string, o Options) (*Store, error) { return open(dir, o, osDisk{}) }

func open(dir string, o Options, d disk) (_ *Store, err error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep backups: %w", err)
	}
	s := &Store{dir: dir, reserve: o.Reserve, now: o.Now, disk: d, fits: fits, turn: make(chan struct{}, 1), seen: map[string]cached{}}
	if s.now == nil {
		s.now = time.Now
	}
	switch {
	case s.reserve == 0:
		s.reserve = DefaultReserve
	case s.reserve < 0:
		s.reserve = 0
	}
	if s.lock, err = durable.Lock(filepath.Join(dir, ".lock")); err != nil {
		return nil, fmt.Errorf("cannot open the backups: %w", err)
	}
	if err := s.sweep(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the backups: %w", err), s.lock.Close())
	}
	return s, nil
}

// Close lets another process open the folder. No call may be under way.
func (s *Store) Close() error { return s.lock.Close() }

// sweep removes what cut backups have left. The lock says that none is under way.
func (s *Store) sweep() error {
	list, err := os.ReadDir(s.dir)
	for _, e := range list {
		if strings.HasPrefix(e.Name(), temporary) && e.Type().IsRegular() {
			err = errors.Join(err, s.disk.remove(filepath.Join(s.dir, e.Name())))
		}
	}
	return err
}

// begin waits until no other backup is being made; the caller must end.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err // select might take the turn nevertheless, and nobody would give it back
	}
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) path(slug string) string { return filepath.Join(s.dir, slug+".tar") }

// Path is the file of a backup, for a download.
func (s *Store) Path(slug string) (string, error) {
	if !slugPattern.MatchString(slug) {
		return "", fmt.Errorf("cannot find backup %.40q: %w", slug, ErrNotFound)
	}
	if fi, err := os.Lstat(s.path(slug)); errors.Is(err, fs.ErrNotExist) || err == nil && !fi.Mode().IsRegular() {
		return "", fmt.Errorf("cannot find backup %s: %w", slug, ErrNotFound)
	} else if err != nil {
		return "", fmt.Errorf("cannot find backup %s: %w", slug, err)
	}
	return s.path(slug), nil
}

// Read opens a backup. The caller must Close it; it stays readable when it is removed meanwhile.
func (s *Store) Read(slug string) (*Backup, error) {
	name, err := s.Path(slug)
	if err != nil {
		return nil, err
	}
	b, err := OpenFile(name)
	if err != nil {
		return nil, err
	}
	if b.Slug != slug {
		return nil, errors.Join(fmt.Errorf("cannot open backup %s: the file is of backup %s; rename it to %s.tar", slug, b.Slug, b.Slug), b.Close())
	}
	b.reserve = s.reserve
	return b, nil
}

// Remove deletes a backup, durably.
func (s *Store) Remove(slug string) error {
	name, err := s.Path(slug)
	if err != nil {
		return err
	}
	if err := s.disk.remove(name); err != nil {
		return fmt.Errorf("cannot remove backup %s: %w", slug, err)
	}
	return nil
}
