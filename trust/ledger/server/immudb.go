package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/codenotary/immudb/embedded/logger"
	"github.com/codenotary/immudb/embedded/store"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

// Embedded is a [Store] on immudb's embedded store in one folder, held by a lock since immudb takes none: a second
// process that opens the same folder is refused instead of corrupting it.
type Embedded struct {
	dir  string
	lock *os.File
	st   *store.ImmuStore
	slot chan struct{} // immudb fails, and does not wait, past its concurrency limit

	mu sync.Mutex // guards tx
	tx *store.Tx  // reused by Export
}

var _ Store = (*Embedded)(nil)

// appendLimit is how many transactions are in flight at once; they share one fsync.
const appendLimit = 32

// OpenEmbedded opens the store in dir, making it when dir is empty or missing. When it does not open, the folders
// that immudb can compute again from the transactions (hash tree and index) are moved aside, and it is tried once
// more; they are kept as evidence of what went wrong.
func OpenEmbedded(dir string, log *slog.Logger) (*Embedded, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the ledger folder: %w", err)
	}
	lock, err := durable.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		if errors.Is(err, durable.ErrLocked) {
			err = fmt.Errorf("%w; stop the other `cas serve` on this folder first", err)
		}
		return nil, err
	}
	path := filepath.Join(dir, "immudb")
	st, err := openImmudb(path, log)
	if err != nil {
		log.Warn("ledger store does not open, rebuilding its derived parts", "dir", path, "error", err)
		moved, moveErr := setDerivedAside(path)
		if moveErr != nil {
			err = errors.Join(err, moveErr)
		} else if moved > 0 {
			st, err = openImmudb(path, log)
		}
	}
	if err != nil {
		_ = lock.Close() // nothing was opened under it
		return nil, fmt.Errorf("cannot open the ledger store %s: %w; its transactions are damaged: restore the folder from a backup, "+
			"then continue with a root version that has a `resume` for this ledger", path, err)
	}
	return &Embedded{
		dir: dir, lock: lock, st: st, slot: make(chan struct{}, appendLimit),
		tx: store.NewTx(st.MaxTxEntries(), st.MaxKeyLen()),
	}, nil
}

// openImmudb never syncs lazily: without Synced a kill leaves a store that can not be opened again. No index is made:
// the gate keeps its own, and what does not exist can not be damaged.
func openImmudb(path string, log *slog.Logger) (st *store.ImmuStore, err error) {
	defer func() { // immudb's parsers panic on some damaged files
		if p := recover(); p != nil {
			st, err = nil, fmt.Errorf("the store is damaged: %v", p)
		}
	}()
	return store.Open(path, store.DefaultOptions().
		WithSynced(true).
		WithSyncFrequency(2*time.Millisecond).
		WithMultiIndexing(true).
		WithFileMode(0o700).
		WithMaxTxEntries(maxTxEntries).
		WithMaxKeyLen(maxKeyLen).
		WithMaxValueLen(maxTxBytes+1).
		WithMaxConcurrency(appendLimit).
		WithMaxActiveTransactions(4*appendLimit).
		WithMaxWaitees(4*appendLimit).
		WithTxLogCacheSize(64).
		WithWriteBufferSize(1<<18).
		WithFileSize(1<<26).
		WithEmbeddedValues(true).
		WithTxLogMaxOpenedFiles(4).
		WithCommitLogMaxOpenedFiles(2).
		WithAHTOptions(store.DefaultAHTOptions().WithWriteBufferSize(1<<16).WithSyncThld(5000)).
		WithLogger(immudbLog{log}))
}

// setDerivedAside renames what immudb rebuilds from the transaction log.
func setDerivedAside(path string) (moved int, err error) {
	names, err := os.ReadDir(path)
	if err != nil {
		return 0, fmt.Errorf("cannot look for derived parts: %w", err)
	}
	suffix := ".damaged-" + time.Now().UTC().Format("20060102T150405.000000000")
	for _, e := range names {
		if n := e.Name(); n == "aht" || strings.HasPrefix(n, "index") && !strings.Contains(n, ".damaged-") {
			if err := durable.Rename(filepath.Join(path, n), filepath.Join(path, n+suffix)); err != nil {
				return moved, fmt.Errorf("cannot set %s aside: %w", n, err)
			}
			moved++
		}
	}
	return moved, nil
}

// Append implements [Store]. The context bounds the waiting; the transaction may be committed after it ended.
func (e *Embedded) Append(ctx context.Context, entries []Entry) (uint64, error) {
	select {
	case e.slot <- struct{}{}:
		defer func() { <-e.slot }()
	case <-ctx.Done():
		return 0, fmt.Errorf("cannot append to the ledger: %w", ctx.Err())
	}
	otx, err := e.st.NewWriteOnlyTx(ctx)
	if err != nil {
		return 0, appendError(err)
	}
	for _, en := range entries {
		if err := otx.Set(en.Key, nil, en.Value); err != nil {
			_ = otx.Cancel() // nothing was written
			return 0, appendError(err)
		}
	}
	hdr, err := otx.AsyncCommit(ctx) // "async" speaks of the index; it returns when the transaction is synced
	if err != nil {
		return 0, appendError(err)
	}
	return hdr.ID, nil
}

func appendError(err error) error {
	if errors.Is(err, store.ErrAlreadyClosed) {
		err = ErrClosed
	}
	return fmt.Errorf("cannot append to the ledger: %w", err)
}

// Export implements [Store]. It checks the transaction against its hashes on the way.
func (e *Embedded) Export(tx uint64) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := e.st.ExportTx(tx, false, false, e.tx)
	if err != nil {
		return nil, fmt.Errorf("cannot read transaction %d of the ledger: %w", tx, err)
	}
	return b, nil
}

// Alh implements [Store].
func (e *Embedded) Alh(tx uint64) (trust.Digest, error) {
	if tx == 0 {
		return trust.DigestOf(nil), nil
	}
	hdr, err := e.st.ReadTxHeader(tx, false, false)
	if err != nil {
		return "", fmt.Errorf("cannot read the header of transaction %d of the ledger: %w", tx, err)
	}
	return digestOfAlh(hdr.Alh()), nil
}

// Head implements [Store].
func (e *Embedded) Head() (trust.Anchor, error) {
	if e.st.IsClosed() {
		return trust.Anchor{}, ErrClosed
	}
	tx, alh := e.st.CommittedAlh()
	return trust.Anchor{Count: tx, Alh: digestOfAlh(alh)}, nil
}

// Close implements [Store].
func (e *Embedded) Close() error {
	return errors.Join(e.st.Close(), e.lock.Close())
}

func digestOfAlh(alh [sha256.Size]byte) trust.Digest {
	return trust.Digest("sha256:" + hex.EncodeToString(alh[:]))
}

// immudbLog gives immudb's chatter to slog; its information is debugging to us.
type immudbLog struct{ log *slog.Logger }

var _ logger.Logger = immudbLog{}

func (l immudbLog) Errorf(f string, a ...any) { l.log.Error("immudb", "message", fmt.Sprintf(f, a...)) }
func (l immudbLog) Warningf(f string, a ...any) {
	l.log.Warn("immudb", "message", fmt.Sprintf(f, a...))
}
func (l immudbLog) Infof(f string, a ...any) { l.log.Debug("immudb", "message", fmt.Sprintf(f, a...)) }
func (l immudbLog) Debugf(string, ...any)    {}
func (l immudbLog) Close() error             { return nil }
