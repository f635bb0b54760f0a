package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"github.com/castellan/castellan/supervisor/spec"
)

// probeClient asks services that run already. What it asks for is an answer and not whose it is: their certificates are
// their own, made out to names that a container's address never is.
var probeClient = &http.Client{
	Transport: &http.Transport{
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: true},
	},
	CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) >= 5 {
			return errors.New("more than 5 redirects")
		}
		if r.URL.Hostname() != via[0].URL.Hostname() {
			return http.ErrUseLastResponse
		}
		return nil
	},
}

// Probeable tells whether [Probe] asks anything for c.
func Probeable(c spec.Check) bool { return c.HTTP != nil || c.TCP != nil }

// Probe asks a running service once whether it answers, until ctx ends; nil is an answer. It wants less than [Try]: a
// 2xx status of any content, or a connection, and checks no certificate. One that sends its visitors to another host
// answers. Checks that are neither HTTP nor TCP pass.
func Probe(ctx context.Context, t Target, c spec.Check) error {
	var err error
	switch {
	case c.HTTP != nil:
		err = probeHTTP(ctx, t, *c.HTTP)
	case c.TCP != nil:
		err = tryTCP(ctx, t, *c.TCP)
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return err
}

func probeHTTP(ctx context.Context, t Target, c spec.HTTPCheck) error {
	req, err := request(ctx, t, c)
	if err != nil {
		return err
	}
	resp, err := probeClient.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	_ = resp.Body.Close() // the status was all that was asked for
	away := resp.StatusCode > 299 && resp.StatusCode < 400 && resp.Header.Get("Location") != ""
	if resp.StatusCode < 200 || resp.StatusCode > 299 && !away {
		return fmt.Errorf("non-2xx status %d", resp.StatusCode)
	}
	return nil
}
