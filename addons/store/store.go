// Package store keeps Home Assistant add-on repositories: which ones the owner follows, the last good copy of each, and
// a summary of what they offer. It reads and judges no image: whether one may come in is the Judge's word.
//
// # Threat model
//
// A repository is somebody else's folder on somebody else's server; both are hostile. Every answer is bounded in bytes
// and time, a pack is measured before it is unpacked, links are never followed or even written, and names that are not
// plain are left out. What is wrong with one add-on is a [Problem] of that add-on; what is wrong with a repository
// leaves its last good copy in place. Nothing a repository says grants a right: it can offer a bad image, and no more.
//
// # Crash model
//
// A copy is made aside in tmp, synced, renamed to a folder of its own and then named by the repository's index file,
// written durably. That write is the commit point: a power cut before it leaves the old copy, one after it the new one,
// and [Open] removes what no index names. The list of repositories is a second such file; adding ends and removing
// begins with it. In this order, for a refresh that finds something new:
//
//	tmp/<slug>/pack, tmp/<slug>/tree/…   fetched, measured, written out
//	syncfs
//	rename tmp/<slug>/tree -> copies/<slug>.<n>
//	index/<slug>.json                    durable: the new copy counts
//	copies/<slug>.<n-1>, tmp/<slug>      removed
//
// # Trust statement
//
// The appliance's root user can write every file here; nobody else can. What each gives away:
//
//   - repositories.json: he who writes it follows any repository, or drops the ledger and publishers that were accepted
//     with one, so that its add-ons are judged as unsigned. Pins that trust made for installed add-ons stay in force.
//     A missing file is an error and never a fresh start, or accepted ledgers would vanish with it.
//   - index/<slug>.json: he can show any summary and make a version look older than it is, past the wait before an
//     automatic update. A missing or damaged one costs a download, and first-seen times begin anew: the wait grows.
//   - copies/<slug>.<n>: he can alter what an add-on asks for and, for add-ons built here, its sources. An image that
//     must be signed stays so. The files are checked against the commit once, when they are fetched.
//   - tmp: whatever lies there is removed at the next start.
//   - The local folder is the owner's. Whoever writes there offers add-ons under the slug local, unsigned.
//   - A repository's server, and whoever holds its git host account, alters all of a copy but nothing that was accepted
//     with it (ledger, publishers). The time of first sight is ours, since a shallow clone's times are the server's word.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/config/durable"
)

// Config says what a [Store] follows. Dir is needed, and Local when Builtins names local.
type Config struct {
	Dir      string   // state and copies; made by [Init]
	Local    string   // folder of local add-ons, read in place
	Builtins []string // of core community esphome music_assistant local: can't be removed
	Now      func() time.Time
	Log      *slog.Logger  // nil = silent
	Period   time.Duration // between two looks at the remotes, 0 = 3 h
	Seed     string        // appliance ID, spreads the looks of a fleet
	Limits   Limits        // what is 0 takes the value of [DefaultLimits]
}

// Store is safe for concurrent use. Reads never wait for a network.
type Store struct {
	cfg  Config
	git  *git
	disk disk
	lock *os.File

	change sync.Mutex // held for the length of Add and Remove
	mu     sync.RWMutex
	list   list                   // under mu, as on disk
	repos  map[string]*repository // by slug, under mu
}

// repository is one that is followed.
type repository struct {
	source  source
	builtin string

	work    chan struct{} // a token: held while its copy changes
	tried   int           // generations used up; under work
	files   sync.RWMutex  // held to read the copy, and to show another
	removed bool          // under work

	// Under Store.mu.
	index   *index // nil = no copy
	success time.Time
	failure string
}

// Init makes the state of a new appliance in dir. It fails with [fs.ErrExist] when there is one.
func Init(dir string) error {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot initialise the add-on store: %w", err)
	}
	name := filepath.Join(dir, listFile)
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("cannot initialise the add-on store: %s: %w; remove it only to forget every repository", name, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot initialise the add-on store: %w", err)
	}
	if err := (list{}).save(osDisk{}, dir); err != nil {
		return fmt.Errorf("cannot initialise the add-on store: %w", err)
	}
	return nil
}

// Open reads the state and removes what a power cut left. It touches no network. A missing or damaged list is an error;
// a lost copy is not: its repository is empty until the next refresh, and says so.
func Open(cfg Config) (*Store, error) { return open(cfg, osDisk{}) }

func open(cfg Config, d disk) (*Store, error) {
	cfg.Limits = cfg.Limits.filled()
	if cfg.Period <= 0 {
		cfg.Period = 3 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if slices.Contains(cfg.Builtins, "local") && !filepath.IsAbs(cfg.Local) {
		return nil, fmt.Errorf("cannot open the add-on store: the folder of local add-ons %q is no absolute path; name one", cfg.Local)
	}
	l, err := loadList(cfg.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := durable.Lock(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("cannot open the add-on store: %w; stop the other Castellan first", err)
	}
	s := &Store{cfg: cfg, git: newGit(cfg.Limits), disk: d, lock: lock, list: l, repos: map[string]*repository{}}
	if err := s.load(); err != nil {
		_ = lock.Close() // nothing was written
		return nil, fmt.Errorf("cannot open the add-on store: %w", err)
	}
	return s, nil
}

// Close lets go of the folder. No call may be under way.
func (s *Store) Close() error {
	s.git.http.next.CloseIdleConnections()
	return s.lock.Close()
}

func (s *Store) load() error {
	for _, dir := range []string{"index", "copies"} {
		if err := s.disk.MkdirAll(s.path(dir)); err != nil {
			return err
		}
	}
	for _, name := range s.cfg.Builtins {
		b, ok := builtins[name]
		if !ok {
			return fmt.Errorf("there is no built-in repository %q; there are core, community, esphome, music_assistant and local", name)
		}
		s.follow(&repository{source: b, builtin: name})
	}
	for _, r := range s.list.Repositories {
		src, err := parseSource(r.Source)
		if err != nil {
			return fmt.Errorf("%s: %w", listFile, err)
		}
		if s.repos[src.slug] == nil && !r.Builtin {
			s.follow(&repository{source: src})
		}
	}
	in := newInterner()
	for slug, r := range s.repos {
		idx, err := s.loadIndex(r, in)
		if err != nil {
			r.failure = "it has no copy yet; it is fetched at the next refresh"
			if !errors.Is(err, fs.ErrNotExist) {
				s.cfg.Log.Warn("cannot use the copy of an add-on repository; it is fetched anew", "repository", slug, "error", err)
				r.failure = fmt.Sprintf("its copy is lost (%s); it is fetched at the next refresh", clean(err.Error()))
			}
		} else {
			r.index, r.success, r.tried = idx, idx.Updated, idx.Generation
		}
		if r.source.slug == localSlug {
			s.openLocal(r)
		}
	}
	return s.sweep()
}

// openLocal looks at the folder of local add-ons, which may have changed while nobody looked. What is wrong there is
// the state of that repository and nobody else's.
func (s *Store) openLocal(r *repository) {
	if err := s.refreshLocal(r); err != nil {
		r.failure = clean(err.Error())
		s.cfg.Log.Warn("cannot read the local add-ons", "error", err)
	}
}

func (s *Store) follow(r *repository) {
	r.work = make(chan struct{}, 1)
	s.repos[r.source.slug] = r
}

// sweep removes what no repository names. It runs before anybody uses the store.
func (s *Store) sweep() error {
	if err := s.disk.RemoveAll(s.path("tmp")); err != nil {
		return err
	}
	keep := map[string]bool{}
	for slug, r := range s.repos {
		keep[slug+".json"] = true
		if r.index != nil {
			keep[filepath.Base(s.copyDir(r.index))] = true
		}
	}
	for _, dir := range []string{"index", "copies"} {
		if err := s.sweepDir(s.path(dir), func(name string) bool { return keep[name] || strings.HasPrefix(name, ".") }); err != nil {
			return err
		}
		if err := durable.Sweep(s.path(dir)); err != nil {
			return err
		}
	}
	return durable.Sweep(s.cfg.Dir)
}

func (s *Store) sweepDir(dir string, keep func(string) bool) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, d := range names {
		if !keep(d.Name()) {
			if err := s.disk.RemoveAll(filepath.Join(dir, d.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.cfg.Dir}, parts...)...)
}

// copyDir is the folder an index speaks of.
func (s *Store) copyDir(idx *index) string {
	if idx.Slug == localSlug {
		return s.cfg.Local
	}
	return s.path("copies", fmt.Sprintf("%s.%d", idx.Slug, idx.Generation))
}
