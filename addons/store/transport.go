package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

var (
	errStalled = errors.New("the server stopped sending")
	errEndless = errors.New("the server sends more than it may")
)

// bounded is a transport that gives up on a server that sends nothing for a while, or too much. Bytes are counted after
// decompression.
type bounded struct {
	next   *http.Transport
	limits Limits
}

func newTransport(l Limits) *bounded {
	return &bounded{limits: l, next: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: min(l.Stall, 20*time.Second)}).DialContext,
		TLSHandshakeTimeout:    min(l.Stall, 20*time.Second),
		ResponseHeaderTimeout:  l.Stall,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        10 * time.Second,
		ForceAttemptHTTP2:      true,
	}}
}

func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	res, err := b.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel(nil)
		return nil, err
	}
	limit := b.limits.Pack
	switch {
	case res.StatusCode != http.StatusOK:
		limit = 4 << 10 // an error page
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, limit), res.Body}
	case strings.HasSuffix(req.URL.Path, "/info/refs"):
		limit = b.limits.Refs
	}
	body := &boundedBody{body: res.Body, ctx: ctx, cancel: cancel, left: limit, stall: b.limits.Stall}
	body.timer = time.AfterFunc(body.stall, func() { cancel(fmt.Errorf("%w for %v", errStalled, body.stall)) })
	res.Body = body
	return res, nil
}

type boundedBody struct {
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	left   int64
	stall  time.Duration
	timer  *time.Timer
	once   sync.Once
	err    error
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.timer.Reset(b.stall)
	b.left -= int64(n)
	switch {
	case b.left < 0:
		err = errEndless
	case err != nil && !errors.Is(err, io.EOF) && b.ctx.Err() != nil:
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *boundedBody) Close() error {
	b.once.Do(func() {
		b.timer.Stop()
		b.err = b.body.Close()
		b.cancel(nil)
	})
	return b.err
}

// redirects follows a server that moved, never to plain http away from this machine, and never to another kind of
// transport.
func redirects(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= 5:
		return errors.New("it redirects in a circle")
	case req.URL.Scheme == "https":
		return nil
	case req.URL.Scheme == "http" && loopback(req.URL.Hostname()) && via[0].URL.Scheme == "http":
		return nil
	}
	return fmt.Errorf("it redirects to %s://%s, which is not git over https", clean(req.URL.Scheme), clean(req.URL.Host))
}
