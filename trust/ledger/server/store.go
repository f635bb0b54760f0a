package server

import (
	"context"
	"errors"

	"github.com/castellan/castellan/trust"
)

// Entry is one raw immudb entry: the bytes the store hashes, with immudb's own prefixes (TRUST.md §3.3).
type Entry struct {
	Key   []byte
	Value []byte
}

// Limits of one transaction. They are frozen into a store when it is made, so raising them later helps new ledgers
// only.
const (
	maxTxBytes   = trust.MaxRecordBytes // sum of the values of a transaction
	maxTxEntries = 1024
	maxKeyLen    = 256
)

// Store is the database behind a ledger: transactions in one line, each chained to the one before by its
// accumulative hash (alh). Transactions count from 1; Head of an empty store is 0 and the sha256 of nothing.
//
// Implementations are safe for concurrent use. They are small on purpose: what a transaction means is the gate's
// business, what may be published is the signer's.
type Store interface {
	// Append writes entries as one transaction and returns its ID when it is durable: it survives kill -9 and a
	// power cut. After an error the transaction may still have been written (the caller looks again before it
	// retries).
	Append(ctx context.Context, entries []Entry) (tx uint64, err error)
	// Export returns transaction tx as immudb exports it (ExportTx, committed transactions only).
	Export(tx uint64) ([]byte, error)
	// Alh is the accumulative hash up to and including tx; tx 0 is the empty ledger.
	Alh(tx uint64) (trust.Digest, error)
	// Head is the last durable transaction.
	Head() (trust.Anchor, error)
	Close() error
}

// ErrClosed says that the store was closed.
var ErrClosed = errors.New("the ledger store is closed")
