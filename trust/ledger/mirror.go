package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// minRate is what a mirror must bring, in bytes a second over each span of patience. It is far below any link
	// that could hold a replica up to date, and far above 1 byte in 10 s.
	minRate      = 1024
	maxRedirects = 3
	userAgent    = "castellan"
)

var errStalled = errors.New("the mirror stalled")

// mirror is one place that serves the ledger's static tree. Nothing it says is believed.
type mirror struct {
	url      string
	http     *http.Client
	patience time.Duration

	// The last checkpoint it gave, so that "not modified" means something. Guarded by Replica.turn.
	etag string
	note []byte
}

func newMirror(base string, client *http.Client, patience time.Duration) *mirror {
	return &mirror{url: strings.TrimSuffix(base, "/"), http: client, patience: patience}
}

// carefulClient is client with redirects limited: few, and never to another scheme. Without a client it is one that
// gives up on connections that are not made or not answered within patience.
func carefulClient(client *http.Client, patience time.Duration) *http.Client {
	if client == nil {
		client = &http.Client{Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: patience, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    patience,
			ResponseHeaderTimeout:  patience,
			IdleConnTimeout:        time.Minute,
			MaxIdleConnsPerHost:    1,
			MaxResponseHeaderBytes: 16 << 10,
			DisableCompression:     true, // lengths and resume positions are those of the file
			ForceAttemptHTTP2:      true,
		}}
	}
	careful := *client
	careful.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		if from := via[0].URL.Scheme; req.URL.Scheme != from {
			return fmt.Errorf("redirect from %s to %s", from, req.URL.Scheme)
		}
		return nil
	}
	return &careful
}

// answer is a response whose body is watched: reading it fails when the mirror stalls or sends too much.
type answer struct {
	body   *watchedBody
	status int
	from   int64 // first byte of the body within the file
	etag   string
	close  func()
}

// request is what to ask for.
type request struct {
	path string // "/checkpoint"
	etag string // If-None-Match
	from int64  // first byte wanted
	max  int64  // bytes of body at most
}

// get asks the mirror. The answer must be closed. Its status is 200, 206 (from is then what was asked for) or, with
// an etag, 304; everything else is an error.
func (m *mirror) get(ctx context.Context, q request) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var got atomic.Int64
	stop := watch(cancel, &got, m.patience)
	fail := func(err error) (*answer, error) {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		stop()
		cancel(nil)
		return nil, fmt.Errorf("cannot get %s%s: %w", m.url, q.path, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+q.path, nil)
	if err != nil {
		return fail(err)
	}
	req.Header.Set("User-Agent", userAgent)
	if q.etag != "" {
		req.Header.Set("If-None-Match", q.etag)
	}
	if q.from > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(q.from, 10)+"-")
	}
	resp, err := m.http.Do(req)
	if err != nil {
		return fail(err)
	}
	a := &answer{
		status: resp.StatusCode,
		etag:   resp.Header.Get("ETag"),
		close: func() {
			stop()
			cancel(nil)
			_ = resp.Body.Close() // what matters was read; the rest is dropped
		},
	}
	a.body = &watchedBody{ctx: ctx, r: resp.Body, left: q.max, max: q.max, got: &got}
	err = nil
	switch {
	case a.status == http.StatusOK, a.status == http.StatusNotModified && q.etag != "":
	case a.status == http.StatusPartialContent && q.from > 0:
		if want := fmt.Sprintf("bytes %d-", q.from); !strings.HasPrefix(resp.Header.Get("Content-Range"), want) {
			err = fmt.Errorf("content range %.80q, want %s", resp.Header.Get("Content-Range"), want)
		}
		a.from = q.from
	case a.status == http.StatusNotFound, a.status == http.StatusGone:
		err = errMissing
	case a.status == http.StatusRequestedRangeNotSatisfiable && q.from > 0:
		err = fmt.Errorf("%w: its file has no byte %d", errBytes, q.from)
	default:
		err = fmt.Errorf("status %d", a.status)
	}
	if err == nil && resp.ContentLength > q.max {
		err = tooMuch(q.max)
	}
	if err != nil {
		_ = resp.Body.Close() // nothing of it is wanted
		return fail(err)
	}
	return a, nil
}

// fetch is get for small files, read whole.
func (m *mirror) fetch(ctx context.Context, path string, max int64) ([]byte, error) {
	a, err := m.get(ctx, request{path: path, max: max})
	if err != nil {
		return nil, err
	}
	defer a.close()
	b, err := io.ReadAll(a.body)
	if err != nil {
		return nil, fmt.Errorf("cannot get %s%s: %w", m.url, path, err)
	}
	return b, nil
}

// checkpoint asks for the newest checkpoint: one conditional request. The answer is the remembered one when it was
// not modified. Call remember once it proved valid, and forget when it did not.
func (m *mirror) checkpoint(ctx context.Context) (msg []byte, etag string, err error) {
	a, err := m.get(ctx, request{path: "/checkpoint", etag: m.etag, max: MaxCheckpointBytes})
	if err != nil {
		return nil, "", err
	}
	defer a.close()
	if a.status == http.StatusNotModified {
		return m.note, m.etag, nil
	}
	msg, err = io.ReadAll(a.body)
	if err != nil {
		return nil, "", fmt.Errorf("cannot get %s/checkpoint: %w", m.url, err)
	}
	return msg, a.etag, nil
}

func (m *mirror) remember(msg []byte, etag string) {
	if len(etag) > 256 { // we would have to send it back every time
		etag = ""
	}
	m.etag, m.note = etag, msg
}

func (m *mirror) forget() { m.etag, m.note = "", nil }

// watch cancels when, over a span of patience, fewer bytes came than minRate asks for. It covers connecting and
// waiting for the header too, when no byte comes at all.
func watch(cancel context.CancelCauseFunc, got *atomic.Int64, patience time.Duration) (stop func()) {
	least := max(1, int64(patience.Seconds()*minRate))
	var last int64
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(patience, func() {
		<-ready
		now := got.Load()
		if now-last < least {
			cancel(fmt.Errorf("%w: %d bytes in %v, want %d", errStalled, now-last, patience, least))
			return
		}
		last = now
		timer.Reset(patience)
	})
	close(ready)
	return func() { timer.Stop() }
}

type watchedBody struct {
	ctx  context.Context
	r    io.Reader
	left int64
	max  int64
	got  *atomic.Int64
	over bool // the body ended where the mirror said it would
}

// Read counts, stops beyond the limit, and names the watchdog when it was the one who ended it.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.got.Add(int64(n))
	if b.left -= int64(n); b.left < 0 {
		return 0, tooMuch(b.max)
	}
	if err == io.EOF {
		b.over = true
	} else if err != nil {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

func tooMuch(limit int64) error { return fmt.Errorf("more than the %d bytes allowed", limit) }
