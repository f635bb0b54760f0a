// Package access decides who may call the API from the network of the house: people with a name and a password, their
// sessions, and API tokens. It knows nothing of HTTP and of routes; a caller asks it who somebody is ([Principal]) and
// compares the role ([Role.May]).
//
// # Threat model
//
// The network of the house is not trusted: a camera or a guest's telephone may guess passwords, steal nothing but what
// is sent in the clear, and ask as often as it likes. So every hash of a password is bounded in number at one time, bad
// guesses wait longer and longer, an unknown name costs what a wrong password costs, and nothing that opens a door is
// stored: passwords as argon2id, sessions and tokens as SHA-256 of 248 and more random bits.
//
// Before the first owner exists nobody is let in. The first one proves with the setup code, which only the appliance
// itself shows, that the appliance is his.
//
// # Trust statement
//
// All of it lies in one file of mode 0600. Whoever can write it can make himself admin of the API, and so decide about
// trust; he is root already. A damaged, unreadable or newer file lets in nobody and says what to do; it is never taken
// for an empty one. A missing file is an appliance without owner: it lets in nobody without the setup code either. One
// that is brought back from a backup brings back the passwords, roles and tokens of its day, also those that were taken
// away since.
//
// # Crash model
//
// The file is written whole before a change can be seen. A power cut leaves the old content or the new one. What gives
// rights counts once it is on disk. What takes them away counts at once, even when the disk refuses it, and is written
// again by [Access.Tend]; so does a login, or a full disk would keep out whom it needs. A change of an account is written down
// by its [Witness] before it reaches the disk, and where that fails it does not reach it.
//
// # Time
//
// An appliance without a battery begins with a clock that is behind, and a wrong time server may put it ahead. The rule:
// the time here never goes back. When the clock is behind the latest time seen, which is in the file too, time goes on
// from there by steps of its own. When the clock stays behind for an hour of them, the latest time was wrong: it is given up, the
// age of every session stays what it was, and what had ended stays ended. So no clock brings back what has ended, and
// after a clock that ran ahead people log in once more.
//
// BUG: last use is written at most once an hour, so a power cut can end a session up to an hour early.
//
// BUG: passwords are compared byte for byte; one keyboard's ä that is two characters is not another's that is one.
package access

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/castellan/castellan/config/durable"
)

// Bounds of what is kept. All of it together stays far below the bound of the file.
const (
	MaxUsers           = 32
	MaxSessionsPerUser = 16 // the one that was not used for longest makes room
	MaxTokens          = 64
)

// rarely is how often last uses are written at most: an SD card wears out by writing.
const rarely = time.Hour

// Options are what a caller may set; the zero value is the default of each.
type Options struct {
	Idle     time.Duration    // a session ends when it was not used for so long; 7 days
	Absolute time.Duration    // a session ends so long after the login; 30 days
	Now      func() time.Time // time.Now
	Log      *slog.Logger     // nothing
}

func (o Options) filled() (Options, error) {
	if o.Idle < 0 || o.Absolute < 0 {
		return o, fmt.Errorf("cannot limit sessions to %v and %v: a limit is negative", o.Idle, o.Absolute)
	}
	if o.Idle == 0 {
		o.Idle = 7 * 24 * time.Hour
	}
	if o.Absolute == 0 {
		o.Absolute = 30 * 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Access is the register of who may come in. It is safe for concurrent use. A call that changes it returns nil once
// the change is on disk; it can be made again after an error.
type Access struct {
	opts     Options
	path     string
	disk     disk
	lock     *os.File
	hasher   *hasher
	throttle *throttle

	writing sync.Mutex // one change at a time; taken before mu
	owed    []debt     // guarded by writing

	mu      sync.Mutex // guards what follows; never held over a hash or a write
	clock   clock
	live    live
	closed  error             // why nobody is let in
	code    Secret            // the setup code while there is no owner
	codeSum [sha256.Size]byte // of the code as it is compared
	written time.Time         // by clock
	touched bool              // last uses are newer than the file
	dirty   bool              // the file may be other than live
}

// FileName is the file in the folder given to [Open].
const FileName = "access.json"

// Open reads the register in dir, a folder of the daemon alone. The error says that dir can't be used at all, wrapping
// [durable.ErrLocked] when another process has it open. A file that can't be used is no error here, because the rest
// of the daemon goes on: the register is closed then, see [Access.Closed].
func Open(dir string, opts Options) (*Access, error) {
	return open(dir, opts, realDisk{}, defaultCost)
}

func open(dir string, opts Options, d disk, c cost) (*Access, error) {
	opts, err := opts.filled()
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot open the register of users: %w", err)
	}
	lock, err := durable.Lock(filepath.Join(dir, "access.lock"))
	if err != nil {
		return nil, fmt.Errorf("cannot open the register of users: %w; stop the other Castellan first", err)
	}
	if err := durable.Sweep(dir); err != nil {
		opts.Log.Debug("leftovers stay", "error", err) // they cost space only
	}
	a := &Access{
		opts: opts, path: filepath.Join(dir, FileName), disk: d, lock: lock,
		hasher: newHasher(c), throttle: newThrottle(),
	}
	a.load()
	return a, nil
}

// load fills a from the file, or closes it.
func (a *Access) load() {
	a.live = newLive(state{})
	a.clock = newClock(a.opts.Now, time.Time{})
	b, err := readFile(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		a.newCode()
		return
	}
	var s state
	var old bool
	if err != nil {
		err = fmt.Errorf("%w; see to the disk and to the rights of the file, and restart", err)
	} else {
		s, old, err = parse(b)
	}
	if err != nil {
		a.closed = fmt.Errorf("%w: %s: %w", ErrClosed, a.path, err)
		a.opts.Log.Error("nobody is let in from the network", "error", a.closed)
		return
	}
	a.clock = newClock(a.opts.Now, s.Mark)
	a.live, a.written = newLive(s), s.Mark
	if !old {
		return
	}
	if err := a.change(true, nil); err != nil { // Tend tries again; what was read counts meanwhile
		a.opts.Log.Warn("the register of users stays in its older format for now", "error", err)
	}
}

// Closed says why nobody is let in, with the next step: the file is damaged, unreadable or newer. It is nil when the
// register is in order, whether or not an owner exists.
func (a *Access) Closed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed
}

// Tend writes what waits to be written and drops what has ended. The daemon calls it every few minutes. After an error
// the next call tries again.
func (a *Access) Tend() error {
	a.mu.Lock()
	now := a.clock.read()
	due := a.dirty || a.clock.wrong() || a.live.anyEnded(a.opts, now) || a.touched && now.Sub(a.written) >= rarely
	due = due && a.closed == nil && len(a.live.Users) > 0
	a.mu.Unlock()
	if !due {
		return nil
	}
	return a.change(true, nil)
}

// Close writes what waits and gives the folder back. The register must not be used afterwards.
func (a *Access) Close() error {
	a.mu.Lock()
	due := (a.dirty || a.touched) && a.closed == nil && len(a.live.Users) > 0
	a.mu.Unlock()
	var err error
	if due {
		err = a.change(true, nil)
	}
	return errors.Join(err, a.lock.Close())
}
