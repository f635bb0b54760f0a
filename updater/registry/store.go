package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/time/rate"

	"github.com/castellan/castellan/trust"
)

// keepParts is how long bytes of a pull that did not end well wait for another try.
const keepParts = 24 * time.Hour

// repository is a canonical repository.
type repository struct{ name.Repository }

func parseRepository(s string) (repository, error) {
	r, err := name.NewRepository(s)
	if err == nil && (r.Name() != s || path.Clean(s) != s || s[0] == '.') {
		err = fmt.Errorf("%q is not in its canonical form", s)
	}
	if err != nil {
		return repository{}, fmt.Errorf("it is not a repository name: %w", err)
	}
	return repository{r}, nil
}

// store holds blobs on their way to the engine, as <hex>.part until their digest is proved in this run and as <hex>
// from then on. Nothing here has to survive: a damaged or lost file costs a download, so nothing is synced.
type store struct {
	cfg     Config
	limiter *rate.Limiter
	free    func() (int64, error) // bytes left for us on the disk

	mu      sync.Mutex
	active  map[trust.Digest]*download // under way or done; a failed one is gone, so that the next request tries again
	running sync.WaitGroup
}

// download is one blob.
type download struct {
	store  *store
	digest trust.Digest
	size   int64
	have   atomic.Int64  // bytes on disk
	done   chan struct{} // closed at the end
	err    error         // valid once done is closed
	users  map[*Offer]bool
	cancel context.CancelFunc
}

func newStore(cfg Config) (*store, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	s := &store{cfg: cfg, limiter: newLimiter(cfg.Rate), active: map[trust.Digest]*download{}}
	s.free = func() (int64, error) {
		var st syscall.Statfs_t
		err := syscall.Statfs(cfg.Dir, &st)
		return int64(st.Bavail) * int64(st.Bsize), err
	}
	// What an earlier run proved may have changed on the disk since: it is a part again and proved anew.
	entries, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, err := trust.ParseDigest("sha256:" + e.Name()); err == nil {
			p := filepath.Join(cfg.Dir, e.Name())
			if err := os.Rename(p, p+".part"); err != nil {
				return nil, err
			}
		}
	}
	s.sweep(nil)
	return s, nil
}

// start begins to download a blob for an offer, or joins the download under way.
func (s *store) start(o *Offer, d trust.Digest, size int64) *download {
	s.mu.Lock()
	dl := s.active[d]
	if dl == nil {
		dl = &download{store: s, digest: d, size: size, done: make(chan struct{}), users: map[*Offer]bool{}}
		ctx, cancel := context.WithCancel(context.Background())
		dl.cancel = cancel
		s.active[d] = dl
		s.running.Go(func() {
			defer cancel()
			dl.err = dl.run(ctx, o.source)
			if dl.err != nil {
				s.cfg.Log.Warn("cannot download blob", "repository", o.source.Name(), "digest", d, "error", dl.err)
				s.mu.Lock()
				delete(s.active, d)
				s.mu.Unlock()
			}
			close(dl.done)
		})
	}
	dl.users[o] = true
	s.mu.Unlock()

	o.server.mu.Lock()
	released := o.holders <= 0
	if !released {
		o.asked[d] = dl
	}
	o.server.mu.Unlock()
	if released { // between the look-up of the offer and here
		s.running.Go(func() { s.leave(dl, o, false) })
	}
	return dl
}

// leave ends an offer's part in a download. The last one out stops it, and deletes the bytes unless they are to be
// kept for another try. Whoever joins while it stops gets context.Canceled and starts anew.
func (s *store) leave(dl *download, o *Offer, remove bool) {
	s.mu.Lock()
	delete(dl.users, o)
	if len(dl.users) > 0 {
		s.mu.Unlock()
		return
	}
	dl.cancel()
	s.mu.Unlock()
	<-dl.done

	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.active[dl.digest]; len(dl.users) > 0 || now != nil && now != dl {
		return // the file has a new owner
	}
	delete(s.active, dl.digest)
	if remove {
		s.remove(dl.path())
		s.remove(dl.path() + ".part")
	} else if err := os.Rename(dl.path(), dl.path()+".part"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.cfg.Log.Warn("cannot keep blob for another try", "error", err)
	}
}

// wait returns when no download is under way any more.
func (s *store) wait() {
	s.mu.Lock()
	for _, dl := range s.active {
		dl.cancel()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// sweep deletes parts that nobody came back for. inUse are never touched.
func (s *store) sweep(inUse map[trust.Digest]bool) { s.sweepOlder(inUse, keepParts) }

func (s *store) sweepOlder(inUse map[trust.Digest]bool, age time.Duration) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		s.cfg.Log.Warn("cannot look for old downloads", "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		d, err := trust.ParseDigest("sha256:" + strings.TrimSuffix(e.Name(), ".part"))
		if err != nil || inUse[d] || s.active[d] != nil {
			continue
		}
		if fi, err := e.Info(); err == nil && time.Since(fi.ModTime()) >= age {
			s.remove(filepath.Join(s.cfg.Dir, e.Name()))
		}
	}
}

// remove deletes a file. A failure costs space and is retried by the next sweep.
func (s *store) remove(path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.cfg.Log.Warn("cannot delete a finished download", "error", err)
	}
}

func (dl *download) path() string { return filepath.Join(dl.store.cfg.Dir, dl.digest.Hex()) }

func (dl *download) open() (*os.File, error) { return os.Open(dl.path()) }
