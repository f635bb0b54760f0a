package updater

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/castellan/castellan/trust"
)

// validator is what a server gave with a file, to be sent back so that it can answer "not modified" (RFC 9110 §13).
type validator struct {
	ETag         string       `json:"etag,omitempty"`
	LastModified string       `json:"lastModified,omitempty"`
	Digest       trust.Digest `json:"digest"` // of the file they belong to
}

// maxValidator bounds what we store and send back.
const maxValidator = 256

// newClient is a client for servers that may do anything: every phase has a limit, redirects are few and never leave
// https, nothing is unpacked, no cookie is kept.
func newClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
			TLSHandshakeTimeout:    timeout,
			ResponseHeaderTimeout:  timeout,
			MaxResponseHeaderBytes: 16 << 10,
			DisableCompression:     true,
			DisableKeepAlives:      true, // polls are hours apart
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 3 {
				return errors.New("more than 3 redirects")
			}
			if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
				return errors.New("redirected from https to " + req.URL.Scheme)
			}
			return nil
		},
	}
}

// get makes one conditional request. body is nil when the server says that nothing changed; otherwise next belongs to
// body.
func get(ctx context.Context, c *http.Client, timeout time.Duration, url string, v validator) (body []byte, next validator, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, validator{}, err
	}
	req.Header.Set("User-Agent", "castellan")
	req.Header.Set("Accept", "application/json")
	if v.ETag != "" {
		req.Header.Set("If-None-Match", v.ETag)
	}
	if v.LastModified != "" {
		req.Header.Set("If-Modified-Since", v.LastModified)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, validator{}, bare(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && v != validator{}:
		return nil, v, nil
	case resp.StatusCode != http.StatusOK:
		return nil, validator{}, fmt.Errorf("answered %s, want 200 OK", resp.Status)
	case resp.ContentLength > MaxChannelBytes:
		return nil, validator{}, fmt.Errorf("offers %d bytes, at most %d are read", resp.ContentLength, MaxChannelBytes)
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, MaxChannelBytes+1))
	if err != nil {
		return nil, validator{}, fmt.Errorf("broke off after %d bytes: %w", len(body), err)
	}
	if len(body) > MaxChannelBytes {
		return nil, validator{}, fmt.Errorf("sends more than %d bytes", MaxChannelBytes)
	}
	next.Digest = trust.DigestOf(body)
	if e := resp.Header.Get("ETag"); len(e) <= maxValidator {
		next.ETag = e
	}
	if m := resp.Header.Get("Last-Modified"); len(m) <= maxValidator && old(m, resp.Header.Get("Date")) {
		next.LastModified = m
	}
	return body, next, nil
}

// old tells whether a Last-Modified can be used as a validator: it counts whole seconds, so a file that was written a
// moment before it was sent may change again without it (RFC 9110 §8.8.2.2).
func old(modified, date string) bool {
	m, err := http.ParseTime(modified)
	if err != nil {
		return false
	}
	d, err := http.ParseTime(date)
	return err == nil && d.Sub(m) >= time.Minute
}

// checkURL wants an absolute http or https URL.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("%q is not a URL", s)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("%q is not an http or https URL", redacted(s))
	}
	return nil
}

// redacted is a URL for logs: without password and query, where tokens hide.
func redacted(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "a URL that can't be read"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}

// bare drops the URL that package net/http writes into its errors.
func bare(err error) error {
	if u := new(url.Error); errors.As(err, &u) {
		return u.Err
	}
	return err
}
