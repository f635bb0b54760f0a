package updater

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/trust"
)

// ErrDeferred says that a poll could not find out what the channel is now. It is never an alarm: files lag behind
// records, networks fail. The release known before stays and the next poll tries again.
var ErrDeferred = errors.New("channel not updated")

// ChannelRecords is the ledger as the poller sees it. Current reads only the local replica; an error means that this
// disk fails. Both may be called at the same time as anything else.
type ChannelRecords interface {
	// Current is the digest of the file the newest TRUSTED record names for the channel; ok is false when there is no
	// such record.
	Current(channel string) (digest trust.Digest, ok bool, err error)
	// Fetch gets a file by its digest from any mirror (/file/sha256/<hex>). The poller checks the bytes itself.
	Fetch(ctx context.Context, digest trust.Digest) ([]byte, error)
}

// Store keeps the poller's memory. Save returns after the bytes survive a power cut; Load returns nothing and no
// error when nothing was saved yet. Whoever can alter it can make the poller forget or show an old channel file, no
// more: what a file is worth is decided anew from the records.
type Store interface {
	Load() ([]byte, error)
	Save([]byte) error
}

// PollerConfig says what a [Poller] reads. Channel, URLs and Store are needed.
type PollerConfig struct {
	Channel ChannelOptions
	URLs    []string       // of the channel file, tried in this order
	Records ChannelRecords // nil = no ledger: no release is ever Verified
	Store   Store
	Seed    string        // appliance ID, spreads the poll times of a fleet
	Timeout time.Duration // of one request with its body, 0 = 10 s
	Client  *http.Client  // nil = one of its own, made for hostile servers
	Log     *slog.Logger  // nil = silent
	Now     func() time.Time
}

// Poller finds out what a channel offers. A poll that changes nothing is one conditional request, or none at all when
// the newest channel record already names the file at hand. It is safe for concurrent use; polls never overlap.
type Poller struct {
	cfg  PollerConfig
	poll sync.Mutex // held for the length of a poll; mem and last change only under it
	mem  memory
	mu   sync.Mutex // held to change last, or to read it outside a poll
	last *Release
}

// NewPoller loads the last good release from the store, so that it is known after a restart without a network. What
// can't be read there is forgotten, with a line in the log.
func NewPoller(cfg PollerConfig) (*Poller, error) {
	if cfg.Channel.Name == "" || cfg.Store == nil {
		return nil, errors.New("cannot poll: the channel's name and a store are needed")
	}
	if len(cfg.URLs) == 0 && cfg.Records == nil {
		return nil, fmt.Errorf("cannot poll channel %q: no URL is set; name one under channel.urls", cfg.Channel.Name)
	}
	for _, u := range cfg.URLs {
		if err := checkURL(u); err != nil {
			return nil, fmt.Errorf("cannot poll channel %q: %w", cfg.Channel.Name, err)
		}
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Client == nil {
		cfg.Client = newClient(cfg.Timeout)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Poller{cfg: cfg, mem: memory{Validators: map[string]validator{}}}
	p.restore()
	return p, nil
}

// Last is the newest release known, nil when none was ever read. Verified says how things stand in the replica now,
// not at the last poll.
func (p *Poller) Last() *Release {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		return nil
	}
	rel := *p.last
	rel.Verified = false
	if p.cfg.Records != nil {
		want, ok, err := p.cfg.Records.Current(p.cfg.Channel.Name)
		rel.Verified = err == nil && ok && want == rel.Digest
	}
	return &rel
}

// Poll looks once, at the newest channel record and then at the URLs, and returns the newest release known. The
// release may be there beside an error, which then says why it may be old: it wraps [ErrDeferred] when the channel
// could not be read and [ErrChannel] when it was read and refused. A poll under way makes the next one wait.
func (p *Poller) Poll(ctx context.Context) (*Release, error) {
	p.poll.Lock()
	defer p.poll.Unlock()
	err := p.look(ctx)
	if err != nil {
		err = fmt.Errorf("cannot poll channel %q: %w", p.cfg.Channel.Name, err)
	}
	return p.Last(), err
}

func (p *Poller) look(ctx context.Context) error {
	var want trust.Digest // "" = no record says which file it is
	if p.cfg.Records != nil {
		d, ok, err := p.cfg.Records.Current(p.cfg.Channel.Name)
		if err != nil {
			return fmt.Errorf("%w: cannot read the newest channel record: %w", ErrDeferred, err)
		}
		if ok {
			want = d
		}
	}
	if p.last != nil && want != "" && p.last.Digest == want {
		return nil // no server could tell us more
	}
	var errs []error
	for _, u := range p.cfg.URLs {
		done, err := p.try(ctx, u, want)
		if done {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", redacted(u), err))
		if ctx.Err() != nil {
			break
		}
	}
	if want != "" && ctx.Err() == nil {
		err := p.fetchRecorded(ctx, want)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return deferred(errs)
}

// try reads one URL. done means that what the channel is now is known, and kept.
func (p *Poller) try(ctx context.Context, url string, want trust.Digest) (done bool, err error) {
	have := trust.Digest("")
	if p.last != nil {
		have = p.last.Digest
	}
	v := p.mem.Validators[url]
	if v.Digest != have && (want == "" || v.Digest == want) {
		v = validator{} // "not modified" would speak of a file that we need and don't hold
	}
	body, next, err := get(ctx, p.cfg.Client, p.cfg.Timeout, url, v)
	if err != nil {
		return false, err
	}
	if body == nil { // not modified: it is still the file that has digest v.Digest
		if want == "" {
			return true, nil
		}
		return false, fmt.Errorf("still has file %s, the newest record names %s", v.Digest.Short(), want.Short())
	}
	if want != "" && next.Digest != want {
		// The mirror lags behind the ledger, or lies; either way the file is not the channel. Remembering its
		// validator spares the download next time.
		p.remember(url, next)
		return false, fmt.Errorf("has file %s, the newest record names %s", next.Digest.Short(), want.Short())
	}
	return p.accept(url, body, next)
}

// fetchRecorded gets the file by the digest the record names.
func (p *Poller) fetchRecorded(ctx context.Context, want trust.Digest) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	body, err := p.cfg.Records.Fetch(ctx, want)
	if err != nil {
		return fmt.Errorf("cannot fetch file %s by its digest: %w", want.Short(), err)
	}
	if got := trust.DigestOf(body); got != want {
		return fmt.Errorf("cannot fetch file %s by its digest: got %s", want.Short(), got.Short())
	}
	_, err = p.accept("", body, validator{Digest: want})
	return err
}

// accept reads and keeps a file. A file that is refused is not kept and its validator neither, so that the next poll
// says so again.
func (p *Poller) accept(url string, body []byte, v validator) (bool, error) {
	rel, err := ParseChannel(body, p.cfg.Channel)
	if err != nil {
		return false, err
	}
	rel.Fetched = p.cfg.Now().UTC()
	changed := p.last == nil || p.last.Digest != rel.Digest
	p.mu.Lock()
	p.last = &rel
	p.mu.Unlock()
	p.mem.File, p.mem.Fetched = body, rel.Fetched
	if changed {
		p.cfg.Log.Info("channel has a new release", "channel", rel.Channel, "file", rel.Digest, "core", rel.Targets["core"].Version)
	}
	if url != "" {
		p.mem.Validators[url] = v
	}
	p.save()
	return true, nil
}

// deferred is one line for what all sources said. A file that was refused is told apart: somebody must act.
func deferred(errs []error) error {
	err := errors.Join(errs...)
	kind := ErrDeferred
	if errors.Is(err, ErrChannel) {
		kind = ErrChannel
	}
	return fmt.Errorf("%w: %s; the release known before stays and the next poll tries again", kind, strings.ReplaceAll(err.Error(), "\n", "; "))
}
