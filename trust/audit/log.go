package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

// Options of a log. The zero value is good.
type Options struct {
	SegmentBytes  int64                    // size at which a new segment begins, 0 = 1 MiB
	MaxSegments   int                      // oldest are pruned beyond, 0 = 64, least 2
	EvidenceBytes int64                    // evidence beyond prunes the oldest segments too, 0 = 256 MiB
	HeadEvery     time.Duration            // a head is signed at least this often while records come, 0 = 24 h
	Now           func() time.Time         // system clock, nil = time.Now
	OnRecord      func(Record)             // called with each record once it is on disk, in order; must neither block nor append
	OnHead        func(note string)        // called with each new signed head once it is on disk; must neither block nor append
	Private       func(trust.Subject) bool // components whose name leaves the house only as a salted hash, nil = none
}

func (o Options) withDefaults() Options {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 1 << 20
	}
	if o.MaxSegments == 0 {
		o.MaxSegments = 64
	}
	o.MaxSegments = max(o.MaxSegments, 2)
	if o.EvidenceBytes <= 0 {
		o.EvidenceBytes = 256 << 20
	}
	if o.HeadEvery <= 0 {
		o.HeadEvery = 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

var (
	// ErrMissing says that a folder holds no log, or not all of one: STATE_MISSING, never a silent fresh start.
	ErrMissing = errors.New("verification log is missing")
	// ErrFailed says that the log takes no records: the disk refused a line and the tail could not be cut back.
	ErrFailed = errors.New("verification log has failed")
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("verification log is closed")
)

// Log is an open verification log. Its methods are safe for concurrent use; appends that come together share one
// fsync.
type Log struct {
	dir    string
	o      Options
	device device
	lock   *os.File

	mu       sync.Mutex // guards all below
	idle     sync.Cond  // signalled when flushing ends
	flushing bool       // a goroutine is in flush; only it touches file, size and segment files
	closed   bool
	failed   error  // sticky
	next     tail   // what the next record follows
	durable  tail   // what is on disk
	end      extent // how far that reaches
	queue    *batch // records that wait for the disk, nil = none
	lastHead time.Time
	pruning  bool
	held     map[trust.Digest]int // evidence whose line is under way: not to be swept

	file     *os.File // current segment, O_APPEND
	size     int64    // its good bytes
	first    uint64   // its first sequence number
	evidence int64    // bytes of evidence, roughly

	private privates
}

// tail is the end of a chain.
type tail struct {
	seq  uint64
	hash trust.Digest
}

// extent is what a log holds: all before the segment whose first record is first, and size bytes of that; the last line
// has the hash.
type extent struct {
	first uint64
	size  int64
	hash  trust.Digest
}

// batch is what one fsync writes.
type batch struct {
	first, last tail // first.seq is its first record; last is the end of the chain after it
	lines       []byte
	after       []func() // run once it is on disk, in order, in the flusher
	done        chan struct{}
	err         error // good once done is closed
}

var _ trust.Recorder = (*Log)(nil)

// Append writes a record of a kind and returns its sequence number once it is on disk for good. The payload must
// encode to a JSON object of at most 512 KiB; verdicts go through [Log.RecordVerdict]. A [trust.Override] and an
// [AccountPayload] are written with their private parts as references. A cancelled ctx returns at once and leaves open whether the record was written.
// Any other error means it was not.
func (l *Log) Append(ctx context.Context, kind Kind, payload any) (uint64, error) {
	switch kind {
	case KindBoot, KindAction, KindOverride, KindHouse, KindAccount, KindPin, KindMirror, KindClock, KindEquivocation, KindRecovered:
	default:
		return 0, fmt.Errorf("cannot log %.40q: not a kind callers may write", kind)
	}
	payload, err := l.withoutPrivate(payload)
	if err != nil {
		return 0, err
	}
	return l.append(ctx, kind, payload)
}

func (l *Log) append(ctx context.Context, kind Kind, payload any) (uint64, error) {
	body, err := json.Marshal(payload)
	switch {
	case err != nil:
		return 0, fmt.Errorf("cannot log %s: %w", kind, err)
	case len(body) > maxPayload:
		return 0, fmt.Errorf("cannot log %s: payload of %d bytes, at most %d", kind, len(body), maxPayload)
	case body[0] != '{':
		return 0, fmt.Errorf("cannot log %s: payload %.40s is not a JSON object", kind, body)
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("cannot log %s: %w", kind, err)
	}
	l.mu.Lock()
	if err := l.ready(); err != nil {
		l.mu.Unlock()
		return 0, fmt.Errorf("cannot log %s: %w", kind, err)
	}
	now := l.o.Now().UTC()
	seq, b := l.enqueue(kind, now, body)
	if kind == KindOverride || kind == KindHouse || now.Sub(l.lastHead).Abs() >= l.o.HeadEvery {
		// A head that cannot be signed must not keep the verdict from being written; the next record tries again.
		_ = l.enqueueHead(now)
	}
	l.mu.Unlock()
	select {
	case <-b.done:
	case <-ctx.Done():
		return 0, fmt.Errorf("cannot wait for the disk to log %s: %w", kind, ctx.Err())
	}
	if b.err != nil {
		return 0, fmt.Errorf("cannot log %s: %w", kind, b.err)
	}
	return seq, nil
}

// ready tells whether records are taken. Needs mu.
func (l *Log) ready() error {
	if l.closed {
		return ErrClosed
	}
	return l.failed
}

// enqueue gives a record its place in the chain and wakes the flusher. Needs mu.
func (l *Log) enqueue(kind Kind, now time.Time, payload []byte) (uint64, *batch) {
	seq := l.next.seq + 1
	r := Record{seq, now, kind, l.next.hash, payload}
	line, err := json.Marshal(r)
	if err != nil { // only a year beyond 9999 can do that: keep the record, drop the time
		r.Time = time.Time{}
		line, _ = json.Marshal(r)
	}
	if l.queue == nil {
		l.queue = &batch{first: tail{seq: seq}, done: make(chan struct{})}
	}
	b := l.queue
	b.lines = append(append(b.lines, line...), '\n')
	l.next = tail{seq, trust.DigestOf(line)}
	b.last = l.next
	if l.o.OnRecord != nil {
		b.after = append(b.after, func() { l.o.OnRecord(r) })
	}
	if !l.flushing {
		l.flushing = true
		go l.flush()
	}
	return seq, b
}

// flush writes batches until none is left. Records that arrive during an fsync make up the next batch.
func (l *Log) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.queue != nil {
		b := l.queue
		l.queue = nil
		l.mu.Unlock()
		err := l.write(b)
		l.mu.Lock()
		if err != nil {
			l.drop(b, err)
			continue
		}
		l.durable, l.end = b.last, extent{l.first, l.size, b.last.hash}
		close(b.done)
		l.mu.Unlock()
		for _, f := range b.after {
			f()
		}
		l.mu.Lock()
		l.pruneIfFull()
	}
	l.flushing = false
	l.idle.Broadcast()
}

// drop gives up b and all that was queued behind it, since those lines follow lines that are not there. Needs mu.
func (l *Log) drop(b *batch, err error) {
	for _, lost := range []*batch{b, l.queue} {
		if lost != nil {
			lost.err = err
			close(lost.done)
		}
	}
	l.queue, l.next, l.pruning = nil, l.durable, false
	if errors.Is(err, ErrFailed) {
		l.failed = err
	}
}

// write puts a batch on disk, whole or not at all. Flusher only.
func (l *Log) write(b *batch) error {
	if l.size >= l.o.SegmentBytes {
		if err := l.rotate(b.first.seq); err != nil {
			return err
		}
	}
	err := durable.Append(l.file, b.lines)
	if err == nil {
		l.size += int64(len(b.lines))
		return nil
	}
	// Cutting back also throws away pages that the kernel dropped dirty after a failed fsync and marks the last good
	// one for writing again.
	if cut := errors.Join(l.file.Truncate(l.size), l.file.Sync()); cut != nil {
		return fmt.Errorf("%w: %w; cannot cut the torn line off: %w; free disk space or replace the disk, then restart",
			ErrFailed, err, cut)
	}
	return fmt.Errorf("%w; nothing was written; free disk space and try again", err)
}

// rotate begins the segment whose first record is seq. Flusher only.
func (l *Log) rotate(seq uint64) error {
	f, err := openSegment(l.dir, seq)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(0), durable.SyncDir(l.dir)); err != nil {
		_ = f.Close() // empty; the next try opens it again
		return fmt.Errorf("cannot begin segment %s: %w", f.Name(), err)
	}
	_ = l.file.Close() // every line of it is synced
	l.file, l.size, l.first = f, 0, seq
	return nil
}

func openSegment(dir string, first uint64) (*os.File, error) {
	f, err := os.OpenFile(segmentPath(dir, first), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot begin segment: %w", err)
	}
	return f, nil
}

// enqueueHead signs the chain as it stands and logs the note right behind it. Needs mu.
func (l *Log) enqueueHead(now time.Time) error {
	msg, err := l.device.sign(Head{l.next.seq, l.next.hash, now})
	if err != nil {
		return err
	}
	body, err := json.Marshal(HeadPayload{msg, l.device.key})
	if err != nil {
		return err
	}
	_, b := l.enqueue(KindHead, now, body)
	l.lastHead = now
	b.after = append(b.after, func() {
		// The note is in the log already; the file only shows a cut-off end sooner.
		_ = durable.WriteFile(filepath.Join(l.dir, "head"), []byte(msg), 0o644)
		if l.o.OnHead != nil {
			l.o.OnHead(msg)
		}
	})
	return nil
}

// SignHead writes a head record now, for a backup or a support case, and returns the note once it is on disk.
func (l *Log) SignHead(ctx context.Context) (string, error) {
	l.mu.Lock()
	err := l.ready()
	var b *batch
	var head Head
	if err == nil {
		now := l.o.Now().UTC()
		head = Head{l.next.seq, l.next.hash, now}
		if err = l.enqueueHead(now); err == nil {
			b = l.queue
		}
	}
	l.mu.Unlock()
	if err != nil {
		return "", fmt.Errorf("cannot sign the log's head: %w", err)
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return "", fmt.Errorf("cannot wait for the disk to sign the log's head: %w", ctx.Err())
	}
	if b.err != nil {
		return "", fmt.Errorf("cannot sign the log's head: %w", b.err)
	}
	return l.device.sign(head) // ed25519 is deterministic: the note that was logged
}

// Last is the sequence number of the newest record on disk, 0 when there is none.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable.seq
}

// DeviceKey is the verifier key for this log's heads.
func (l *Log) DeviceKey() string { return l.device.key }

// Close waits for the records under way, keeps a signed head of the end, and lets another process open the log. It
// may be called twice.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	for l.flushing {
		l.idle.Wait()
	}
	end, failed := l.durable, l.failed
	l.mu.Unlock()
	var err error
	if failed == nil && end.seq > 0 {
		var msg string
		if msg, err = l.device.sign(Head{end.seq, end.hash, l.o.Now().UTC()}); err == nil {
			err = durable.WriteFile(filepath.Join(l.dir, "head"), []byte(msg), 0o644)
		}
	}
	if err := errors.Join(err, l.file.Close(), l.private.close(), l.lock.Close()); err != nil {
		return fmt.Errorf("cannot close verification log %s: %w", l.dir, err)
	}
	return nil
}
