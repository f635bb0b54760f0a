package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

// Config says which ledger to follow and how.
type Config struct {
	Dir       string           // the replica's own folder
	Origin    string           // first line of the ledger's checkpoints; a record for another origin is ignored
	NoteKeys  []string         // keys that may sign checkpoints, as the root document lists them; one suffices
	Mirrors   []string         // base URLs, http or https, in no order; none is fine for a replica that only answers
	Minimum   trust.Anchor     // history must contain it; the zero Anchor demands nothing
	Resume    *trust.Anchor    // where history continues after a break the root document declares; applied once
	Transfers []trust.Transfer // root keys the root document gave to publishers

	MaxBytes int64            // bytes of segments to keep at most; 0 = 512 MiB
	Patience time.Duration    // how long a mirror may take to answer, and to bring the next few KiB; 0 = 30 s
	HTTP     *http.Client     // nil = one with sane limits; redirects are limited in any case
	Log      *slog.Logger     // nil = silent
	Now      func() time.Time // nil = time.Now; only used to say since when something is so
}

const (
	defaultMaxBytes = 512 << 20
	defaultPatience = 30 * time.Second
)

// Replica is the appliance's copy of one ledger. It answers from memory and disk only; [Replica.Sync] alone talks to
// mirrors. All methods may be called at the same time.
type Replica struct {
	cfg  Config
	tree tree
	lock *os.File
	turn chan struct{} // held by the one Sync, Verify or Follow at work

	// Guarded by turn.
	noteKeys  []string
	verifiers note.Verifiers
	minimum   Point
	mirrors   []*mirror
	saved     uint64 // transactions the index file covers

	suspect atomic.Bool // a look-up met a file that has decayed; the next Sync checks them all

	mu        sync.RWMutex // guards the rest; readers of segment files hold it for reading
	last      Report       // of the newest Sync
	asked     time.Time    // when that ended, zero = none has
	head      head
	view      *index // nil when the files are not what head says; then damage says why
	damage    error
	transfers []trust.Transfer
	cache     *cache
}

var _ trust.Focused = (*Replica)(nil)

// Init makes an empty replica in cfg.Dir. It is for the first use and for nothing else: where a head file stands it
// does nothing, and where only the head file is missing it returns STATE_MISSING.
func Init(cfg Config) error {
	if err := durable.MkdirAll(cfg.Dir, 0o750); err != nil {
		return fmt.Errorf("cannot make the replica's folder: %w", err)
	}
	if _, err := readHead(cfg.Dir); err == nil {
		return nil
	} else if _, statErr := os.Stat(filepath.Join(cfg.Dir, headName)); !errors.Is(statErr, fs.ErrNotExist) {
		return err
	}
	for _, name := range []string{"tx", indexName} {
		if _, err := os.Stat(filepath.Join(cfg.Dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return reason(trust.StateMissing, "cannot set up %s: it holds %s but no head; restore a backup, or run castellan trust reinit", cfg.Dir, name)
		}
	}
	return writeHead(cfg.Dir, head{Origin: cfg.Origin, Point: Genesis})
}

// Reinit forgets everything but evidence files, and makes an empty replica: the owner's answer to STATE_MISSING. What
// the ledger said before is then only as safe as cfg.Minimum makes it.
func Reinit(cfg Config) error {
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	for _, name := range []string{headName, indexName, "tx"} {
		if err := os.RemoveAll(filepath.Join(cfg.Dir, name)); err != nil {
			return fmt.Errorf("cannot forget the replica: %w", err)
		}
	}
	if err := durable.SyncDir(cfg.Dir); err != nil {
		return fmt.Errorf("cannot forget the replica: %w", err)
	}
	return Init(cfg)
}

// Open reads the replica in cfg.Dir, which [Init] made. A lost head is STATE_MISSING. Damaged files are no error
// here: look-ups then say EVIDENCE_UNREADABLE, and the next [Replica.Sync] repairs them.
func Open(cfg Config) (*Replica, error) {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.Patience == 0 {
		cfg.Patience = defaultPatience
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.HTTP = carefulClient(cfg.HTTP, cfg.Patience)
	if cfg.Origin == "" {
		return nil, errors.New("cannot open a replica without the origin of its ledger")
	}
	if _, err := os.Stat(cfg.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, reason(trust.StateMissing, "cannot find the replica %s: it was never set up, or is lost; restore a backup, or run castellan trust reinit", cfg.Dir)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	r := &Replica{cfg: cfg, tree: tree{cfg.Dir}, lock: lock, turn: make(chan struct{}, 1), cache: newCache(cacheBytes)}
	if err := r.open(); err != nil {
		_ = lock.Close() // nothing was written under it
		return nil, err
	}
	return r, nil
}

func lockDir(dir string) (*os.File, error) {
	lock, err := durable.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("cannot open the replica: %w", err)
	}
	return lock, nil
}

func (r *Replica) open() error {
	h, err := readHead(r.cfg.Dir)
	if err != nil {
		return err
	}
	if h.Origin != r.cfg.Origin {
		return fmt.Errorf("cannot open the replica: %s %w", r.cfg.Dir, r.moved(h.Origin, r.cfg.Origin))
	}
	r.head = h
	r.load()
	return r.follow(trust.RootLedger{
		Origin: r.cfg.Origin, NoteKeys: r.cfg.NoteKeys, URLs: r.cfg.Mirrors, Minimum: r.cfg.Minimum, Resume: r.cfg.Resume,
	}, r.cfg.Transfers)
}

// load makes the view that head names: from the index file as far as that is a prefix of our history, the rest from
// the segments.
func (r *Replica) load() {
	x, err := readIndex(r.cfg.Dir, r.cfg.Origin)
	if err == nil {
		err = r.checkPrefix(x)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.cfg.Log.Warn("ledger index is rebuilt", "origin", r.cfg.Origin, "reason", err)
		}
		x = emptyIndex
	}
	saved := x.Count
	view, err := r.tree.catchUp(x, r.head.Point, r.cfg.Origin)
	if err != nil && x != emptyIndex {
		saved = 0
		view, err = r.tree.catchUp(emptyIndex, r.head.Point, r.cfg.Origin)
	}
	r.saved = saved
	r.mu.Lock()
	r.view, r.damage = view, err
	r.mu.Unlock()
	if err != nil {
		r.cfg.Log.Error("ledger replica is damaged and answers nothing until it is synced again", "origin", r.cfg.Origin, "error", err)
	}
}

// checkPrefix tells whether x indexes a prefix of the history head names, by the hash at its end.
func (r *Replica) checkPrefix(x *index) error {
	switch {
	case x.Count > r.head.Count:
		return fmt.Errorf("it reaches transaction %d, the head %d", x.Count, r.head.Count)
	case x.Count == r.head.Count && x.Alh != r.head.Alh:
		return fmt.Errorf("it is bound to %s, the head is %s", x.Point, r.head.Point)
	case x.Count == 0 || x.Count == r.head.Count:
		return nil
	}
	tx, err := r.tree.transactionAt(x, r.head.Count, x.Count)
	if err != nil {
		return err
	}
	if tx.Alh != x.Alh {
		return fmt.Errorf("it is bound to %s, our history has %s there", x.Point, tx.Alh.Digest().Short())
	}
	return nil
}

// Follow takes over what a newer root document says about this ledger: note keys, mirrors, minimum, transfers, and
// once for each value a resume. Call it whenever the root changed.
//
// Checkpoints of the line that a resume ends stay validly signed, and continue the history before it as well as the
// new line does. A root document with a resume must therefore name a new note key, and drop the old one.
func (r *Replica) Follow(ctx context.Context, l trust.RootLedger, transfers []trust.Transfer) error {
	if err := r.acquire(ctx); err != nil {
		return err
	}
	defer r.release()
	if l.Origin != r.cfg.Origin {
		return fmt.Errorf("cannot follow a newer root document: the replica %s %w", r.cfg.Dir, r.moved(r.cfg.Origin, l.Origin))
	}
	return r.follow(l, transfers)
}

// moved says what to do where the root document names another ledger than before. What was said in the old one does not
// pass over, so this is the owner's step.
func (r *Replica) moved(from, to string) error {
	return fmt.Errorf("is of ledger %q, not %q; if the root document has moved to that ledger, stop castellan, remove %s and run castellan trust reinit --yes",
		from, to, filepath.Join(r.cfg.Dir, headName))
}

func (r *Replica) follow(l trust.RootLedger, transfers []trust.Transfer) error {
	verifiers, err := Verifiers(l.NoteKeys)
	if err != nil {
		return err
	}
	minimum, err := pointOf(l.Minimum)
	if err != nil {
		return err
	}
	var mirrors []*mirror
	for _, base := range l.URLs {
		u, err := url.Parse(base)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("cannot use mirror %q of %s: want an http or https URL", base, l.Origin)
		}
		if i := slices.IndexFunc(r.mirrors, func(m *mirror) bool { return m.url == base }); i >= 0 {
			mirrors = append(mirrors, r.mirrors[i]) // with the ETag it gave
			continue
		}
		mirrors = append(mirrors, newMirror(base, r.cfg.HTTP, r.cfg.Patience))
	}
	r.noteKeys, r.verifiers, r.minimum, r.mirrors = l.NoteKeys, verifiers, minimum, mirrors
	r.mu.Lock()
	r.transfers = transfers
	r.cache.clear()
	r.mu.Unlock()
	if err := r.forgetDropped(); err != nil {
		return err
	}
	if err := r.resume(l.Resume); err != nil {
		return err
	}
	return r.checkMinimum()
}

// Close writes the index, so that the next start is quick, and lets go of the folder.
func (r *Replica) Close() error {
	r.turn <- struct{}{} // for ever: nothing starts after Close
	r.saveIndex(1)
	return r.lock.Close()
}

// saveIndex writes the index file when it lags by some transactions. It is derived: a failure costs a slower start.
func (r *Replica) saveIndex(lag uint64) {
	r.mu.RLock()
	x := r.view
	r.mu.RUnlock()
	if x == nil || x.Count < r.saved+lag && x.Count >= r.saved {
		return
	}
	if err := writeIndex(r.cfg.Dir, r.cfg.Origin, x); err != nil {
		r.cfg.Log.Warn("cannot write the ledger index; the next start reads all segments", "origin", r.cfg.Origin, "error", err)
		return
	}
	r.saved = x.Count
}

func (r *Replica) acquire(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot work on the replica of %s: another sync is at work: %w", r.cfg.Origin, ctx.Err())
	}
}

func (r *Replica) release() { <-r.turn }
