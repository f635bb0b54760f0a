package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// Visitor is somebody who calls the daemon over HTTP, and for whom a page in the same process asks the API.
type Visitor struct {
	Request *http.Request // whose address, host, cookies, browser and words for the CSRF check count
	CSRF    string        // the token his form carried; "" = he only reads
}

// NewInside makes a client of the API in the same process: what a page may see and do is what its visitor may, and each
// refusal is the API's own. h is the door the visitor came through.
func NewInside(h http.Handler, v Visitor) *Client {
	c := &Client{at: "the appliance", base: "http://castellan", wait: patience}
	c.http.Transport = inside{h, v}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// inside answers requests by a handler, without a connection.
type inside struct {
	h http.Handler
	v Visitor
}

// passed are the headers of a visitor's request that come along.
var passed = []string{"Cookie", "User-Agent", "Accept-Language", "Authorization"}

// RoundTrip implements [http.RoundTripper]. The answer's body is what the handler writes, as it writes; closing it ends the
// handler's request.
func (t inside) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	in := r.Clone(ctx)
	in.RequestURI, in.RemoteAddr, in.Host = r.URL.RequestURI(), t.v.Request.RemoteAddr, t.v.Request.Host
	in.TLS = t.v.Request.TLS
	for _, name := range passed {
		if v := t.v.Request.Header.Values(name); len(v) > 0 {
			in.Header[name] = v
		}
	}
	if t.v.CSRF != "" {
		in.Header.Set("X-CSRF-Token", t.v.CSRF)
	}
	if in.Body == nil {
		in.Body = http.NoBody
	} else if in.Header.Get("Content-Type") == "" {
		in.Header.Set("Content-Type", "application/json")
	}
	body, w := io.Pipe()
	a := &answering{head: http.Header{}, body: w, ready: make(chan struct{})}
	go func() {
		defer cancel()
		defer func() {
			if e := recover(); e != nil { // as net/http does: the answer ends here
				a.WriteHeader(http.StatusInternalServerError)
				_ = w.CloseWithError(errors.New("the answer broke off"))
				return
			}
			a.WriteHeader(http.StatusOK)
			_ = w.Close() // of a pipe: it can't fail
		}()
		t.h.ServeHTTP(a, in)
	}()
	select {
	case <-a.ready:
	case <-r.Context().Done():
		err := context.Cause(r.Context())
		_ = body.CloseWithError(err) // of a pipe: it can't fail
		return nil, err
	}
	// A handler that hangs in the middle of its answer does not hold up who reads it.
	stop := context.AfterFunc(r.Context(), func() { _ = w.CloseWithError(context.Cause(r.Context())) }) // as above
	return &http.Response{Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.sent, Body: leaving{body, func() { stop(); cancel() }}, ContentLength: -1, Request: r}, nil
}

// leaving ends the request with its answer.
type leaving struct {
	*io.PipeReader
	cancel func()
}

func (l leaving) Close() error {
	l.cancel()
	return l.PipeReader.Close()
}

// answering is the writer of an answer that is read in the same process.
type answering struct {
	head, sent http.Header
	body       *io.PipeWriter
	once       sync.Once
	status     int
	ready      chan struct{}
}

func (a *answering) Header() http.Header { return a.head }

func (a *answering) WriteHeader(status int) {
	a.once.Do(func() {
		a.status, a.sent = status, a.head.Clone()
		close(a.ready)
	})
}

func (a *answering) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// Flush implements [http.Flusher]: what was written was read already.
func (a *answering) Flush() { a.WriteHeader(http.StatusOK) }
