package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/artifact"
	"github.com/castellan/castellan/trust/ledger"
)

// syncTimeout bounds one look at the mirrors; verdicts from the replica do not wait longer.
const syncTimeout = 2 * time.Minute

// defaultMax is the age beyond which nothing may be called trusted, where no root says otherwise.
const defaultMax = 14 * 24 * time.Hour

// evidence is a replica that was just asked to follow its ledger.
type evidence struct {
	*ledger.Replica
	authority
	rootState trust.Reason // ROOT_MISSING, ROOT_EXPIRED or ""
	syncErr   error        // why the replica may be behind; the verdicts say so
}

// openEvidence opens the replica of a ledger and syncs it. Only a replica that can't be opened is an error; that no
// mirror could be had is kept for the verdicts.
func (a *app) openEvidence(ctx context.Context, au authority) (*evidence, error) {
	cfg := ledger.Config{
		Dir: a.replicaDir(au.ledger.Origin), Origin: au.ledger.Origin, NoteKeys: au.ledger.NoteKeys, Mirrors: au.ledger.URLs,
		Minimum: au.ledger.Minimum, Resume: au.ledger.Resume, Transfers: au.root.Transfers,
	}
	// This replica is a cache of one person: what is missing is fetched again, and the root's minimum bounds what a
	// mirror could leave out.
	if err := durable.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the replica's folder: %w", err)
	}
	if err := ledger.Init(cfg); err != nil {
		return nil, err
	}
	r, err := openReplica(ctx, cfg)
	if err != nil {
		return nil, err
	}
	e := &evidence{Replica: r, authority: au}
	if len(au.ledger.URLs) == 0 {
		e.syncErr = errors.New("no address of the ledger is known; give --ledger")
	} else {
		e.sync(ctx)
	}
	if e.rooted && e.rootState == "" && time.Now().After(e.root.Expires) {
		e.rootState = trust.RootExpired
	}
	return e, nil
}

// openReplica waits for a moment for another cas that holds the replica.
func openReplica(ctx context.Context, cfg ledger.Config) (*ledger.Replica, error) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		r, err := ledger.Open(cfg)
		if !errors.Is(err, durable.ErrLocked) || time.Now().After(deadline) {
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (e *evidence) sync(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	var report ledger.Report
	report, e.syncErr = e.Sync(ctx)
	if !e.rooted || !e.followRoot(ctx, report) {
		return
	}
	if e.syncErr = e.followLedger(ctx); e.syncErr == nil {
		report, e.syncErr = e.Sync(ctx)
	}
	if e.syncErr == nil && report.Root <= e.root.Version {
		e.rootState = "" // what a note key that was dropped has named does not count any more
	}
}

// followRoot walks the root documents to the one the ledger names, each checked by the one before it. Where a checkpoint
// was signed by no key we know, the next document is looked for unasked: it may name that key.
func (e *evidence) followRoot(ctx context.Context, report ledger.Report) (moved bool) {
	strange := e.syncErr != nil && slices.ContainsFunc(report.Mirrors, func(m ledger.MirrorReport) bool {
		return errors.As(m.Err, new(*note.UnverifiedNoteError))
	})
	for e.root.Version < report.Root || strange {
		next, _, err := e.FetchNextRoot(ctx, e.root)
		if err != nil && e.root.Version < report.Root {
			e.rootState = trust.RootMissing
		}
		if err != nil {
			return moved // a version nobody has spoken of need not be there
		}
		e.root, moved = next, true
	}
	return moved
}

// followLedger makes the replica believe the note keys, mirrors and minimum of the newest root document.
func (e *evidence) followLedger(ctx context.Context) error {
	i := slices.IndexFunc(e.root.Ledgers, func(l trust.RootLedger) bool { return l.Origin == e.ledger.Origin })
	if i < 0 {
		return fmt.Errorf("root version %d does not name ledger %s any more; get the newest root document and give it with --root", e.root.Version, e.ledger.Origin)
	}
	l := e.root.Ledgers[i]
	if e.mirror != "" {
		l.URLs = []string{e.mirror}
	}
	e.ledger = l
	return e.Follow(ctx, l, e.root.Transfers)
}

// accepted are the publishers whose word counts for name: those asked for and those of the root.
func (e *evidence) accepted(signers []string, name string) []string {
	list := append(slices.Clone(signers), e.root.Core...)
	for _, p := range e.root.Preload {
		if trust.NameMatches(p.Name, name) {
			list = append(list, p.Publisher)
		}
	}
	return list
}

// judge answers for one artifact.
func (e *evidence) judge(input string, art artifact.Artifact, signers []string, now time.Time) verdict {
	v := verdict{Input: input, Kind: art.Kind, Name: art.Name, Version: art.Version, Digest: art.Subjects[0].Digest}
	word, head, err := e.read(art, e.accepted(signers, art.Name))
	if err != nil {
		v.Status, v.Exit, v.Detail = trust.Unavailable.String(), exitUnavailable, err.Error()
		return v
	}
	v.Ledger = &ledgerState{Origin: head.Origin, Count: head.Count, Time: head.Time}
	v.Publisher, v.Record, v.Severity, v.Reason = word.Publisher, word.Record, word.Severity, word.Reason
	status, why := e.limit(word.Status, head, now)
	if e.syncErr != nil {
		v.Warning = "the ledger could not be asked: " + e.syncErr.Error()
	}
	v.Status, v.Exit, v.Detail = status.String(), exitOf(status), why
	return v
}

// read is the worst word about any digest of an artifact: all of it must be vouched for, and a withdrawal of a part
// withdraws the whole.
func (e *evidence) read(art artifact.Artifact, accepted []string) (worst trust.Word, head trust.Head, err error) {
	order := []trust.Status{trust.Untrusted, trust.Unknown, trust.ApikeyRevoked, trust.Unsupported, trust.Trusted}
	for i, d := range art.Digests() {
		facts, err := trust.Collect(e.Replica, trust.Subject{Repository: art.Name, Version: art.Version, Manifest: d}, nil, e.root, accepted...)
		if err != nil {
			return trust.Word{}, head, err
		}
		head = facts.Head
		word := trust.ReadWord(facts, e.root, accepted, d)
		if i == 0 || slices.Index(order, word.Status) < slices.Index(order, worst.Status) {
			worst = word
		}
	}
	return worst, head, nil
}

// limit applies what is known about the evidence itself. A stale or broken ledger limits what may be allowed, never
// what is blocked.
func (e *evidence) limit(s trust.Status, head trust.Head, now time.Time) (trust.Status, string) {
	if s == trust.Untrusted || s == trust.ApikeyRevoked {
		return s, ""
	}
	maxAge := defaultMax
	if e.root.Max > 0 {
		maxAge = e.root.Max
	}
	age := now.Sub(head.Time)
	switch {
	case head.Time.IsZero():
		return trust.Unavailable, "the ledger was never reached"
	case head.Quarantined != "":
		return trust.Unavailable, head.Quarantined
	case e.rootState != "":
		return trust.Unavailable, e.rootState.Meaning().Short
	case age > maxAge:
		return trust.Stale, fmt.Sprintf("the newest checkpoint is %v old, the limit is %v", age.Round(time.Minute), maxAge)
	case age < -24*time.Hour:
		return trust.Unavailable, fmt.Sprintf("this machine's clock is %v behind the ledger; correct it", (-age).Round(time.Minute))
	case s == trust.Unknown && e.syncErr != nil:
		return trust.Unavailable, "no notarization is in the replica, and the ledger could not be asked"
	case s == trust.Unknown:
		return s, "no accepted publisher has notarized it"
	}
	return s, ""
}

// warn prints to stderr what verdicts do not carry.
func (a *app) warn(format string, args ...any) {
	fmt.Fprintf(a.err, "cas: warning: %s\n", clean(fmt.Sprintf(format, args...)))
}

// readPassphraseEnv is looked up in one place, so that it is never a flag, which other users could see.
func passphraseFromEnv() (string, bool) {
	s, ok := os.LookupEnv("CAS_KEY_PASSPHRASE")
	return s, ok
}
