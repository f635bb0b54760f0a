package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/castellan/castellan/trust"
)

// Config is what a [Server] needs. Dir and Upstream have no defaults.
type Config struct {
	Dir      string        // holds blobs while they are pulled; ours alone. Everything in it is checked again before use
	Addr     string        // loopback address, "" = 127.0.0.1:0; a fixed port keeps the engine's repository names stable
	Upstream *Upstream     //
	Stall    time.Duration // a mirror that sends less than 32 KiB in this time is left for the next, 0 = 30 s
	MaxBytes int64         // largest blob, 0 = 16 GiB
	Rate     int64         // bytes per second for all downloads, 0 = no limit
	Grace    time.Duration // the engine gets its answer's header at the latest after this time, 0 = 5 s
	Log      *slog.Logger  // nil = silent

	pause time.Duration // before the mirrors are gone through again, 0 = firstPause
}

// Server is the read-only registry that the engine pulls from. Make it with [NewServer], run [Server.Serve], end it
// with [Server.Close].
type Server struct {
	cfg   Config
	ln    net.Listener
	http  *http.Server
	store *store

	mu     sync.Mutex
	offers map[offerKey]*Offer
}

type offerKey struct {
	repo     string // path on this server
	manifest trust.Digest
}

// NewServer listens, and takes over what an earlier run left in Dir. Nothing is on offer yet.
func NewServer(cfg Config) (*Server, error) {
	cfg.Addr = cmp.Or(cfg.Addr, "127.0.0.1:0")
	cfg.Stall = cmp.Or(cfg.Stall, 30*time.Second)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 16<<30)
	cfg.Grace = cmp.Or(cfg.Grace, 5*time.Second)
	cfg.pause = cmp.Or(cfg.pause, firstPause)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Upstream == nil || cfg.Dir == "" {
		return nil, errors.New("cannot start the loopback registry: a folder and an upstream are needed")
	}
	if host, _, err := net.SplitHostPort(cfg.Addr); err != nil || !isLoopback(host) {
		return nil, fmt.Errorf("cannot start the loopback registry on %q: want a loopback address with a port, as 127.0.0.1:5599; correct registry.listen", cfg.Addr)
	}
	st, err := newStore(cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot start the loopback registry: %w", err)
	}
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("cannot start the loopback registry: %w; stop what uses the port or set another under registry.listen", err)
	}
	s := &Server{cfg: cfg, ln: ln, store: st, offers: map[offerKey]*Offer{}}
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Addr is the address the engine uses, "127.0.0.1:5599".
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Serve answers until [Server.Close]; it then returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("loopback registry stopped: %w", err)
	}
	return nil
}

// Close ends all answers and downloads. What was downloaded in part stays for the next run.
func (s *Server) Close() error {
	err := s.http.Close()
	s.mu.Lock()
	for _, o := range s.offers {
		o.cancel()
	}
	s.mu.Unlock()
	s.store.wait()
	return errors.Join(err, closeListener(s.ln))
}

func closeListener(ln net.Listener) error {
	if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil // the HTTP server closed it
}

// Offer is one image the engine may pull now.
type Offer struct {
	server *Server
	key    offerKey
	raw    []byte
	doc    document
	source repository
	ctx    context.Context
	cancel context.CancelFunc

	// Under server.mu.
	holders int
	asked   map[trust.Digest]*download // blobs the engine asked for
	served  map[trust.Digest]bool      // of those, the ones it got to the end
}

// Offer puts an image on offer until its Release. Only the platform's manifest and the blobs it names are served;
// the bytes are compared with the subject's digests first. Offers of the same image share their downloads.
func (s *Server) Offer(res Resolved) (*Offer, error) {
	if got := trust.DigestOf(res.Raw.Manifest); got != res.Subject.Manifest {
		return nil, fmt.Errorf("cannot offer %s: its manifest has digest %s, want %s", res.Subject.Repository, got, res.Subject.Manifest)
	}
	doc, err := parseDocument(res.Raw.Manifest)
	if err == nil && (doc.isIndex() || doc.Config.Digest != res.Subject.Config) {
		err = fmt.Errorf("manifest %s is not the one of config %s", res.Subject.Manifest.Short(), res.Subject.Config.Short())
	}
	var src repository
	if err == nil {
		src, err = parseRepository(res.Subject.Repository)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot offer %s: %w", res.Subject.Repository, err)
	}
	// An engine takes dots in a path but no colon: a registry's port is written with a dash.
	key := offerKey{repo: strings.ReplaceAll(res.Subject.Repository, ":", "-"), manifest: res.Subject.Manifest}
	s.store.sweep(s.inUse())

	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.offers[key]
	if o == nil {
		o = &Offer{server: s, key: key, raw: res.Raw.Manifest, doc: doc, source: src, asked: map[trust.Digest]*download{}, served: map[trust.Digest]bool{}}
		o.ctx, o.cancel = context.WithCancel(context.Background())
		s.offers[key] = o
	}
	o.holders++
	return o, nil
}

// OfferSubject is [Server.Offer] for a subject whose manifest is not at hand, as after a restart: it is fetched by
// digest first.
func (s *Server) OfferSubject(ctx context.Context, subject trust.Subject) (*Offer, error) {
	src, err := parseRepository(subject.Repository)
	if err != nil {
		return nil, fmt.Errorf("cannot offer %s: %w", subject.Repository, err)
	}
	raw, _, err := s.cfg.Upstream.manifest(ctx, src.Repository, string(subject.Manifest), subject.Manifest)
	if err != nil {
		return nil, fmt.Errorf("cannot offer %s@%s: %w", subject.Repository, subject.Manifest, err)
	}
	return s.Offer(Resolved{Subject: subject, Raw: trust.Raw{Manifest: raw}})
}

// Ref is what the engine pulls, "127.0.0.1:5599/ghcr.io/x/y@sha256:…".
func (o *Offer) Ref() string {
	return o.server.Addr() + "/" + o.key.repo + "@" + string(o.key.manifest)
}

// Progress is how many bytes are here of those the engine has asked for so far. It lacks what the engine already
// holds, so total grows while the engine looks around.
func (o *Offer) Progress() (done, total int64) {
	o.server.mu.Lock()
	defer o.server.mu.Unlock()
	for _, d := range o.asked {
		done += d.have.Load()
		total += d.size
	}
	return done, total
}

// Release ends the offer, and every download only it wanted. When the engine got all it asked for, the bytes are
// deleted; otherwise they stay for a day, for another try. A second Release of the same Offer call must not happen.
func (o *Offer) Release() {
	s := o.server
	s.mu.Lock()
	o.holders--
	if o.holders > 0 {
		s.mu.Unlock()
		return
	}
	delete(s.offers, o.key)
	complete := true
	var downloads []*download
	for d, dl := range o.asked {
		complete = complete && o.served[d]
		downloads = append(downloads, dl)
	}
	s.mu.Unlock()
	o.cancel()
	for _, dl := range downloads {
		s.store.leave(dl, o, complete)
	}
}

// inUse lists the blobs of all offers.
func (s *Server) inUse() map[trust.Digest]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[trust.Digest]bool{}
	for _, o := range s.offers {
		for _, b := range o.doc.blobs() {
			out[b.Digest] = true
		}
	}
	return out
}

func newLimiter(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(bytesPerSecond), chunk)
}
