// Package state is the journal: bytes under keys in named buckets, changed in transactions that survive a power cut
// whole or not at all. It knows nothing of what the bytes mean.
//
// Trust statement: the journal lies in one file of mode 0600. Who can write it can make the supervisor start any
// container that exists already and forget changes; he cannot make it let in an image, because permits are never
// stored. A missing, damaged or newer file is an error with a next step and never a fresh start: an empty journal
// would say that nothing is installed.
package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/castellan/castellan/config/durable"
)

// Format is the version of the journal's layout that this program writes. A journal of a newer one is refused, since
// an older program would drop what it does not know.
const Format = 1

// lockWait bounds how long Open waits for another process to let the journal go.
const lockWait = 2 * time.Second

// metaBucket holds the format version; it is not reachable through [Tx].
const metaBucket, formatKey = "\x00meta", "format"

// Errors a caller branches on.
var (
	ErrLocked  = durable.ErrLocked
	ErrDamaged = errors.New("the journal is damaged")
	ErrNewer   = errors.New("the journal was written by a newer version")
)

const damagedHelp = "restore the file from a backup; moving it away makes Castellan forget what it installed, while the containers stay"

// Journal is an open journal. It is safe for concurrent use; writers wait for each other.
type Journal struct {
	db   *bolt.DB
	path string
}

// Init makes an empty journal at path, durably. It fails with [fs.ErrExist] when something is there. The folder must
// exist.
func Init(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("cannot make the journal %s: %w", path, fs.ErrExist)
	}
	// A cut leaves the temporary file at worst, which the next Init overwrites: Open never sees half a journal.
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := durable.Remove(tmp); err != nil {
		return fmt.Errorf("cannot make the journal %s: %w", path, err)
	}
	db, err := bolt.Open(tmp, 0o600, &bolt.Options{Timeout: lockWait})
	if err != nil {
		return fmt.Errorf("cannot make the journal %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(metaBucket))
		if err != nil {
			return err
		}
		return b.Put([]byte(formatKey), []byte(strconv.Itoa(Format)))
	})
	if err = errors.Join(err, db.Close()); err == nil {
		err = durable.Rename(tmp, path)
	}
	if err != nil {
		return fmt.Errorf("cannot make the journal %s: %w", path, err)
	}
	return nil
}

// Open opens the journal at path and checks every page of it. Errors wrap [fs.ErrNotExist], [ErrLocked],
// [ErrDamaged] or [ErrNewer] where that is the cause.
func Open(path string) (j *Journal, err error) {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot open the journal: %w; restore a backup, or run castellan trust reinit", err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the journal: %w", err)
	}
	if !fi.Mode().IsRegular() || fi.Size() == 0 {
		// bbolt would make an empty file into a new journal.
		return nil, fmt.Errorf("cannot open the journal %s: %w (it is empty or not a file); %s", path, ErrDamaged, damagedHelp)
	}
	var file *os.File
	// bbolt trusts the file: hostile or cut page numbers panic, and a mapped page behind the end of the file faults.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if file != nil {
				_ = file.Close() // nothing was written; it gives the lock back
			}
			j, err = nil, fmt.Errorf("cannot open the journal %s: %w (%v); %s", path, ErrDamaged, p, damagedHelp)
		}
	}()
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout: lockWait,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
			file = f
			return f, err
		},
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("cannot open the journal %s: %w; stop the other Castellan first", path, ErrLocked)
	case errors.As(err, new(syscall.Errno)): // permissions, input or output: the file itself may be in order
		return nil, fmt.Errorf("cannot open the journal %s: %w", path, err)
	case err != nil:
		return nil, fmt.Errorf("cannot open the journal %s: %w (%w); %s", path, ErrDamaged, err, damagedHelp)
	}
	j = &Journal{db: db, path: path}
	if err := db.View(func(tx *bolt.Tx) error { return check(tx, file) }); err != nil {
		_ = db.Close() // nothing was written
		if !errors.Is(err, ErrNewer) {
			err = fmt.Errorf("%w (%w); %s", ErrDamaged, err, damagedHelp)
		}
		return nil, fmt.Errorf("cannot open the journal %s: %w", path, err)
	}
	return j, nil
}

// check walks all pages and compares the format.
func check(tx *bolt.Tx, f *os.File) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if fi.Size() < tx.Size() {
		return fmt.Errorf("%d bytes of %d are missing at its end", tx.Size()-fi.Size(), tx.Size())
	}
	var first error
	for err := range tx.Check() { // to the end, or its goroutine stays
		if first == nil {
			first = err
		}
	}
	if first != nil {
		return first
	}
	b := tx.Bucket([]byte(metaBucket))
	if b == nil {
		return errors.New("it is no journal of Castellan")
	}
	v, err := strconv.Atoi(string(b.Get([]byte(formatKey))))
	if err != nil || v < 1 {
		return fmt.Errorf("format %.20q is none", b.Get([]byte(formatKey)))
	}
	if v > Format {
		return fmt.Errorf("%w (format %d, this one reads up to %d); install that version again", ErrNewer, v, Format)
	}
	return nil
}

// Close ends the journal after running transactions.
func (j *Journal) Close() error {
	if err := j.db.Close(); err != nil {
		return fmt.Errorf("cannot close the journal %s: %w", j.path, err)
	}
	return nil
}

// Update runs fn in the one writing transaction. When Update returns nil all of it is on disk; after an error none
// of it is. fn must not call Update.
func (j *Journal) Update(fn func(*Tx) error) error {
	return j.wrap("write", j.db.Update(func(tx *bolt.Tx) error { return fn(&Tx{tx}) }))
}

// View runs fn on a snapshot.
func (j *Journal) View(fn func(*Tx) error) error {
	return j.wrap("read", j.db.View(func(tx *bolt.Tx) error { return fn(&Tx{tx}) }))
}

func (j *Journal) wrap(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot %s the journal %s: %w", verb, j.path, err)
}

// Tx is a transaction. It ends with the function it was given to.
type Tx struct{ tx *bolt.Tx }

// Get returns a copy of the value of key in bucket; ok is false when there is none.
func (t *Tx) Get(bucket, key string) (value []byte, ok bool) {
	b := t.tx.Bucket([]byte(bucket))
	if b == nil {
		return nil, false
	}
	v := b.Get([]byte(key))
	return bytes.Clone(v), v != nil
}

// Put sets the value of key in bucket, which it makes when missing. Keys have 1 to 32768 bytes.
func (t *Tx) Put(bucket, key string, value []byte) error {
	if bucket == metaBucket {
		return fmt.Errorf("cannot use bucket %q: it is reserved", bucket)
	}
	b, err := t.tx.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return fmt.Errorf("cannot make bucket %q: %w", bucket, err)
	}
	if err := b.Put([]byte(key), value); err != nil {
		return fmt.Errorf("cannot put %q into bucket %q: %w", key, bucket, err)
	}
	return nil
}

// Delete removes key from bucket; a missing one is a success.
func (t *Tx) Delete(bucket, key string) error {
	b := t.tx.Bucket([]byte(bucket))
	if b == nil || bucket == metaBucket {
		return nil
	}
	if err := b.Delete([]byte(key)); err != nil {
		return fmt.Errorf("cannot delete %q from bucket %q: %w", key, bucket, err)
	}
	return nil
}

// ForEach calls fn for each pair of bucket in the order of the keys, until fn fails. fn gets copies and must not
// change the bucket.
func (t *Tx) ForEach(bucket string, fn func(key string, value []byte) error) error {
	b := t.tx.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, v []byte) error { return fn(string(k), bytes.Clone(v)) })
}
