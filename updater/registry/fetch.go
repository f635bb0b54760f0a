package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

const (
	chunk       = 64 << 10 // read and written at once
	minProgress = 32 << 10 // bytes a mirror must send within the stall time
	diskMargin  = 16 << 20 // bytes left free beside a blob
	maxRounds   = 3        // through all mirrors without a byte more
	firstPause  = 500 * time.Millisecond
	maxPause    = 30 * time.Second
)

var (
	errStalled  = fmt.Errorf("%w: stalled", ErrUnreachable)
	errMismatch = fmt.Errorf("%w: other bytes than the digest names", ErrBadContent)
	errDisk     = errors.New("cannot keep the download")
)

// part is the file of a download with the hash of what is in it.
type part struct {
	file     *os.File
	hash     hash.Hash
	have     int64
	fromDisk bool     // the start is from an earlier run
	from     []source // who sent the rest
	counter  *atomic.Int64
}

// run gets a blob from any of its sources: each continues where the last one broke off, as long as bytes come.
func (dl *download) run(ctx context.Context, repo repository) error {
	if dl.size > dl.store.cfg.MaxBytes {
		return fmt.Errorf("%w: blob %s has %d bytes, the limit is %d", ErrBadContent, dl.digest.Short(), dl.size, dl.store.cfg.MaxBytes)
	}
	p, err := dl.openPart(ctx)
	switch {
	case errors.Is(err, ErrDiskFull), ctx.Err() != nil:
		return err
	case err != nil:
		return diskError(err)
	}
	defer p.file.Close() // every write was checked; nothing here must survive
	if err := dl.fill(ctx, repo.Repository, p); err != nil {
		return err
	}
	if err := os.Rename(dl.path()+".part", dl.path()); err != nil {
		return diskError(err)
	}
	return nil
}

// openPart takes over what is on the disk, reading it once for the hash.
func (dl *download) openPart(ctx context.Context) (*part, error) {
	f, err := os.OpenFile(dl.path()+".part", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	p := &part{file: f, hash: sha256.New(), counter: &dl.have}
	buf := make([]byte, chunk)
	for err == nil && ctx.Err() == nil {
		var n int
		n, err = f.Read(buf)
		p.add(buf[:n])
	}
	if p.fromDisk = p.have > 0; err == io.EOF && p.have <= dl.size {
		err = nil
	} else if ctx.Err() == nil {
		err = p.restart() // too long, or unreadable: worth nothing
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = dl.room(p.have)
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return p, nil
}

// room checks that the rest fits on the disk, and gives up old parts for it.
func (dl *download) room(have int64) error {
	need := dl.size - have + diskMargin
	free, err := dl.store.free()
	if err == nil && free < need {
		dl.store.sweepOlder(nil, 0)
		free, err = dl.store.free()
	}
	if err == nil && free < need {
		return fmt.Errorf("%w: blob %s needs %d bytes in %s, %d are free; %s", ErrDiskFull, dl.digest.Short(), need, dl.store.cfg.Dir, free, nextStep[ErrDiskFull])
	}
	return nil // a file system that can't tell is found out by writing
}

func (p *part) add(b []byte) {
	p.hash.Write(b)
	p.have += int64(len(b))
	p.counter.Store(p.have)
}

// restart forgets all bytes.
func (p *part) restart() error {
	p.hash.Reset()
	p.have, p.fromDisk, p.from = 0, false, nil
	p.counter.Store(0)
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}

// fill completes p and proves its digest.
func (dl *download) fill(ctx context.Context, repo name.Repository, p *part) error {
	best := p.have // no progress but beyond it, or restarts would go on for ever
	pause := dl.store.cfg.pause
	for round := 0; ; {
		var tries []error
		moved := false
		for _, s := range dl.store.cfg.Upstream.sources(repo) {
			err := dl.attempt(ctx, s, p)
			if err == nil {
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, errDisk) {
				return err // no mirror can help
			}
			dl.store.cfg.Log.Debug("mirror did not give a whole blob", "mirror", s.String(), "digest", dl.digest, "have", p.have, "size", dl.size, "error", err)
			tries = append(tries, fmt.Errorf("%s: %w", s, err))
			if p.have > best {
				moved = moved || p.have-best >= dl.store.minProgress()
				best = p.have
			}
			pause = max(pause, min(retryAfter(err), maxPause))
		}
		if moved {
			round, pause = 0, dl.store.cfg.pause
		} else if round++; round == maxRounds {
			return summary(tries)
		}
		if err := rest(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

// attempt asks one source for the rest of p, and at the end of it compares the digest.
func (dl *download) attempt(ctx context.Context, s source, p *part) error {
	if p.have < dl.size || p.have == 0 {
		if err := dl.receive(ctx, s, p); err != nil {
			return err
		}
	}
	if hex.EncodeToString(p.hash.Sum(nil)) == dl.digest.Hex() {
		return nil
	}
	// With one sender it is clear who is to blame. Bytes of several, or of an earlier run, are fetched again from one.
	if len(p.from) == 1 && !p.fromDisk {
		dl.store.cfg.Upstream.demote(p.from[0], errMismatch)
	}
	if err := p.restart(); err != nil {
		return diskError(err)
	}
	return errMismatch
}

// receive appends what s sends from p.have on, which must be the rest exactly.
func (dl *download) receive(ctx context.Context, s source, p *part) (err error) {
	ctx, watch, stop := dl.watch(context.WithValue(ctx, blobKey{}, true))
	defer stop()
	defer func() {
		if err != nil && errors.Is(context.Cause(ctx), errStalled) {
			err = fmt.Errorf("%w: less than %d bytes in %s", errStalled, dl.store.minProgress(), dl.store.cfg.Stall)
		}
	}()
	header := http.Header{}
	if p.have > 0 {
		// A closed range: some registries answer the open form with 416.
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", p.have, dl.size-1))
	}
	resp, err := dl.store.cfg.Upstream.get(ctx, s, "blobs/"+string(dl.digest), header)
	if err != nil {
		if a := new(answerError); p.have > 0 && errors.As(err, &a) && a.status == http.StatusRequestedRangeNotSatisfiable {
			if err := p.restart(); err != nil {
				return diskError(err)
			}
			return dl.receive(ctx, s, p) // once: without bytes there is no range
		}
		return err
	}
	defer resp.Body.Close()
	switch {
	case p.have == 0 && resp.StatusCode == http.StatusPartialContent:
		return fmt.Errorf("%w: a part was sent and all was asked for", ErrBadContent)
	case p.have > 0 && resp.StatusCode == http.StatusPartialContent:
		if start, ok := rangeStart(resp.Header.Get("Content-Range")); !ok || start != p.have {
			return fmt.Errorf("%w: asked for bytes from %d, got %q", ErrBadContent, p.have, printable(resp.Header.Get("Content-Range")))
		}
	case p.have > 0: // 200: it sends everything
		if err := p.restart(); err != nil {
			return diskError(err)
		}
	}
	if n := resp.ContentLength; n >= 0 && n != dl.size-p.have {
		return fmt.Errorf("%w: announces %d bytes, want %d", ErrBadContent, n, dl.size-p.have)
	}
	p.from = append(p.from, s)
	return dl.copy(ctx, p, resp.Body, watch)
}

// copy moves bytes from body to p until p is whole. More bytes than that are not read but refused.
func (dl *download) copy(ctx context.Context, p *part, body io.Reader, watch *atomic.Int64) error {
	buf := make([]byte, chunk)
	for {
		n, err := body.Read(buf)
		if int64(n) > dl.size-p.have {
			if err := p.restart(); err != nil {
				return diskError(err)
			}
			return fmt.Errorf("%w: sends more than the %d bytes of blob %s", ErrBadContent, dl.size, dl.digest.Short())
		}
		if n > 0 {
			if l := dl.store.limiter; l != nil {
				if err := l.WaitN(ctx, n); err != nil {
					return classify(err)
				}
			}
			if _, err := p.file.Write(buf[:n]); err != nil {
				return diskError(errors.Join(err, p.restart()))
			}
			p.add(buf[:n])
			watch.Add(int64(n))
		}
		switch {
		case err == io.EOF && p.have == dl.size:
			return nil
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("%w: broke off after %d of %d bytes", ErrUnreachable, p.have, dl.size)
		case err != nil:
			return classify(err)
		}
	}
}

// watch ends the returned context when too few bytes are counted within the stall time, from the first request on.
func (dl *download) watch(parent context.Context) (ctx context.Context, bytes *atomic.Int64, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	bytes = new(atomic.Int64)
	tick := time.NewTicker(dl.store.cfg.Stall)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer tick.Stop()
		for last := int64(0); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if n := bytes.Load(); n-last < dl.store.minProgress() {
					cancel(errStalled)
				} else {
					last = n
				}
			}
		}
	}()
	return ctx, bytes, func() { cancel(nil); <-done }
}

// minProgress is what a mirror must send within the stall time; less when our own limit asks for less.
func (s *store) minProgress() int64 {
	if s.cfg.Rate > 0 {
		return max(1, min(minProgress, int64(float64(s.cfg.Rate)*s.cfg.Stall.Seconds()/4)))
	}
	return minProgress
}

// rangeStart reads the start of "bytes 5-9/10".
func rangeStart(s string) (int64, bool) {
	s, ok := strings.CutPrefix(s, "bytes ")
	first, _, ok2 := strings.Cut(s, "-")
	n, err := strconv.ParseInt(first, 10, 64)
	return n, ok && ok2 && err == nil
}

func retryAfter(err error) time.Duration {
	if a := new(answerError); errors.As(err, &a) {
		return a.retryAfter
	}
	return 0
}

// diskError gives errors of our own disk words; a full disk is a kind.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w: %w; %s", errDisk, ErrDiskFull, err, nextStep[ErrDiskFull])
	}
	return fmt.Errorf("%w: %w; check the data folder's disk", errDisk, err)
}

func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
