package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/ledger"
)

// Config is what a ledger server is made of.
type Config struct {
	Dir        string      // the ledger's folder, made when missing
	Signer     note.Signer // the note key; its name is the ledger's origin
	RootDir    string      // folder of root documents 1.json, 2.json …; "" = a ledger without one
	Allow      []string    // publisher IDs that may write, beside those the root names
	Open       bool        // everybody may write, within DailyBytes
	DailyBytes int64       // what a publisher who is not allowed may write to an open ledger in a day; 0 = 1 MiB
	ExportDir  string      // keep a copy of the static tree here, for a CDN or another web server; "" = none
	Log        *slog.Logger
	Now        func() time.Time // nil = time.Now
	Store      Store            // nil = immudb embedded in Dir; it is closed with the server, and when Open fails
}

// resignAfter is how old the newest checkpoint may get: appliances take its time for the proof that the ledger is
// alive, and warn after 48 hours.
const resignAfter = 30 * time.Minute

// appendTimeout bounds one append; immudb waits for ever when its disk does.
const appendTimeout = 30 * time.Second

// Server is an open ledger. Its methods are safe for concurrent use.
type Server struct {
	cfg    Config
	origin string
	log    *slog.Logger
	store  Store
	gate   *gate
	segs   *segments

	current atomic.Pointer[published]

	mu        sync.Mutex // one publication at a time; guards signer and root
	signer    *signer
	roots     atomic.Pointer[rootState]
	exporting sync.Mutex
	fatal     chan error // a reason to stop serving: the history broke
}

// published is the checkpoint that readers see.
type published struct {
	note  []byte
	point ledger.Point
	at    time.Time
	root  int
}

type rootState struct {
	root    trust.Root
	version int // 0 = none
}

// Open opens the ledger in cfg.Dir, checks its whole history, and signs a fresh checkpoint. It refuses with
// [ErrRolledBack] or [ErrSignedStateMissing] what could become a second history.
func Open(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.DailyBytes == 0 {
		cfg.DailyBytes = 1 << 20
	}
	s := &Server{cfg: cfg, origin: cfg.Signer.Name(), log: cfg.Log, fatal: make(chan error, 1)}
	if err := s.loadRoot(); err != nil {
		return nil, err
	}
	resume, err := s.ownLine()
	if err != nil {
		return nil, err
	}
	if s.store = cfg.Store; s.store == nil {
		if s.store, err = OpenEmbedded(cfg.Dir, cfg.Log); err != nil {
			return nil, err
		}
	}
	if err := s.open(resume); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open(resume *trust.Anchor) (err error) {
	if err := durable.MkdirAll(filepath.Join(s.cfg.Dir, "files"), 0o700); err != nil {
		return fmt.Errorf("cannot make the ledger's file folder: %w", err)
	}
	if s.signer, err = openSigner(s.cfg.Dir, s.origin, s.store, resume); err != nil {
		return err
	}
	s.gate = newGate(s.origin, policy{
		allow: s.cfg.Allow, open: s.cfg.Open, dailyBytes: s.cfg.DailyBytes, now: s.cfg.Now,
	}, func() (trust.Root, bool) { r := s.roots.Load(); return r.root, r.version > 0 })
	if err := s.gate.catchUp(s.store); err != nil {
		return err
	}
	if s.segs, err = openSegments(filepath.Join(s.cfg.Dir, "segments"), s.store); err != nil {
		return err
	}
	return s.publish()
}

// Origin is the ledger's name.
func (s *Server) Origin() string { return s.origin }

// Head is the newest published point of the history.
func (s *Server) Head() ledger.Point { return s.current.Load().point }

// Run signs again before the checkpoint gets old and follows new root documents, until ctx ends (nil) or the ledger
// must not go on (the error).
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := s.upkeep(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			if s.cfg.ExportDir != "" { // leave the copy as new as the ledger
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
				defer cancel()
				if err := s.Export(last, s.cfg.ExportDir); err != nil {
					s.log.Error("cannot update the exported tree", "error", err)
				}
			}
			return nil
		case err := <-s.fatal:
			return err
		case <-tick.C:
		}
	}
}

// upkeep is what time asks for. Only a broken history is an error; all else is tried again in a minute.
func (s *Server) upkeep(ctx context.Context) error {
	if err := s.loadRoot(); err != nil {
		s.log.Error("cannot follow the root documents, keeping the ones known", "error", err)
	}
	if cur := s.current.Load(); s.cfg.Now().Sub(cur.at) >= resignAfter || cur.root != s.roots.Load().version {
		if err := s.publish(); isBroken(err) {
			return err
		} else if err != nil {
			s.log.Error("cannot sign the checkpoint again", "error", err)
		}
	}
	if s.cfg.ExportDir != "" {
		if err := s.Export(ctx, s.cfg.ExportDir); err != nil && ctx.Err() == nil {
			s.log.Error("cannot update the exported tree", "error", err)
		}
	}
	return nil
}

func isBroken(err error) bool { return errors.Is(err, ErrRolledBack) }

// Close ends the server. What was answered is on disk; nothing has to be saved here.
func (s *Server) Close() error {
	var errs []error
	if s.segs != nil {
		errs = append(errs, s.segs.close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}

// loadRoot follows the folder of root documents to its newest version. Versions are checked against each other; the
// first one is believed because the operator put it there.
func (s *Server) loadRoot() error {
	old := s.roots.Load()
	if s.cfg.RootDir == "" {
		if old == nil {
			s.roots.Store(&rootState{})
		}
		return nil
	}
	if old != nil {
		if _, err := os.Stat(s.rootPath(old.version + 1)); errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	list, err := trust.LoadRoots(s.cfg.RootDir)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("cannot find a root document in %s: put 1.json there", s.cfg.RootDir)
	}
	newest := list[len(list)-1]
	s.roots.Store(&rootState{root: newest, version: newest.Version})
	return nil
}

func (s *Server) rootPath(version int) string {
	return filepath.Join(s.cfg.RootDir, strconv.Itoa(version)+".json")
}

// ownLine finds this ledger in the root. A root that names the ledger without our key would make every checkpoint
// worthless to appliances; better to say so before signing one.
func (s *Server) ownLine() (resume *trust.Anchor, err error) {
	root := s.roots.Load()
	for _, l := range root.root.Ledgers {
		if l.Origin != s.origin {
			continue
		}
		ours := func(key string) bool {
			v, err := note.NewVerifier(key)
			return err == nil && v.Name() == s.origin && v.KeyHash() == s.cfg.Signer.KeyHash()
		}
		if !slices.ContainsFunc(l.NoteKeys, ours) {
			return nil, fmt.Errorf("cannot sign for ledger %q: root version %d does not list this note key; use the ledger's key, "+
				"or publish a root version that lists it", s.origin, root.version)
		}
		return l.Resume, nil
	}
	return nil, nil
}

// submit appends records, or finds those that are in the ledger already, and returns their positions when they are
// durable and a checkpoint that covers them is published.
func (s *Server) submit(envelopes [][]byte) ([]trust.Position, error) {
	sub, err := s.gate.admit(envelopes)
	if err != nil {
		return nil, err
	}
	err = s.append(sub)
	s.gate.release(sub)
	if err != nil {
		return nil, err
	}
	list, ok := s.gate.positions(sub)
	if !ok {
		return nil, errors.New("cannot find the records that were just written; send them again")
	}
	var last uint64
	for _, p := range list {
		last = max(last, p.Tx)
	}
	return list, s.waitPublished(last)
}

// append writes the new records of sub. Even after an error the store may have them, so the gate looks either way.
func (s *Server) append(sub *submission) error {
	if len(sub.entries) == 0 {
		return nil
	}
	// A writer that hangs up must not leave a half-waited append behind.
	ctx, cancel := context.WithTimeout(context.Background(), appendTimeout)
	defer cancel()
	_, err := s.store.Append(ctx, sub.entries)
	if catchErr := s.gate.catchUp(s.store); catchErr != nil {
		return errors.Join(err, catchErr)
	}
	return err
}

// waitPublished returns when a checkpoint covers tx. Whoever comes first publishes for all that wait.
func (s *Server) waitPublished(tx uint64) error {
	if s.current.Load().point.Count >= tx {
		return nil
	}
	return s.publishAtLeast(tx)
}

func (s *Server) publish() error { return s.publishAtLeast(1 << 63) }

// publishAtLeast signs the store's head, unless somebody has published tx while we waited for our turn. The order is
// the promise: segments, the signer's memory, then the note.
func (s *Server) publishAtLeast(tx uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cur := s.current.Load(); cur != nil && cur.point.Count >= tx {
		return nil
	}
	head, err := s.store.Head()
	if err != nil {
		return err
	}
	alh, err := ledger.ParseHash(head.Alh)
	if err != nil {
		return err
	}
	if err := s.segs.grow(head.Count); err != nil {
		return err
	}
	if err := s.signer.advance(head); err != nil {
		if isBroken(err) {
			select {
			case s.fatal <- err:
			default: // Run knows already
			}
		}
		return err
	}
	p := &published{
		point: ledger.Point{Count: head.Count, Alh: alh}, at: s.cfg.Now().Truncate(time.Second).UTC(), root: s.roots.Load().version,
	}
	p.note, err = ledger.SignCheckpoint(s.cfg.Signer, ledger.Checkpoint{Origin: s.origin, Point: p.point, Time: p.at, Root: p.root})
	if err != nil {
		return err
	}
	s.current.Store(p)
	return nil
}
