package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
)

// bodyLimit is how much of an answer is read, quoteLimit how much of any foreign text enters an error.
const (
	bodyLimit  = 1 << 20
	quoteLimit = 120
)

// dialTime bounds a connection, and a TLS handshake, that nobody waits for any more.
const dialTime = 10 * time.Second

// client is shared by all checks. Connections are not kept: each try must find the service listening. No proxy of
// the environment comes between us and a container.
var client = newClient(nil)

func newClient(tls *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives:      true,
			DisableCompression:     true, // a body of a few bytes must not unpack to gigabytes
			MaxResponseHeaderBytes: 64 << 10,
			TLSClientConfig:        tls,
			// The transport dials on after a try has ended; these end that.
			DialContext:         (&net.Dialer{Timeout: dialTime}).DialContext,
			TLSHandshakeTimeout: dialTime,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) >= 5 {
				return errors.New("more than 5 redirects")
			}
			if r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
				return http.ErrUseLastResponse // not 2xx, so it fails and says what it is
			}
			return nil
		},
	}
}

// Try runs c once, until ctx ends. nil is a pass.
func Try(ctx context.Context, t Target, c spec.Check) error {
	_, err := prober(c)(ctx, t)
	return err
}

// prober is a function that runs c once, until ctx ends, and says what a pass could not look at. What it learns in one
// try it may use in the next.
func prober(c spec.Check) func(context.Context, Target) (note string, err error) {
	try := func(ctx context.Context, t Target) (string, error) {
		switch {
		case c.HTTP != nil:
			return "", tryHTTP(ctx, t, *c.HTTP)
		case c.TCP != nil:
			return "", tryTCP(ctx, t, *c.TCP)
		case c.Exec != nil:
			return "", tryExec(ctx, t, *c.Exec)
		case c.Engine:
			return "", tryEngine(ctx, t)
		default:
			return "", errors.New("the check has none of http, tcp, exec, engine and core")
		}
	}
	if c.Core != nil {
		try = newCore(*c.Core).try
	}
	return func(ctx context.Context, t Target) (string, error) {
		note, err := try(ctx, t)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && !errors.As(err, new(*waiting)) {
			return "", errors.New("no answer in time")
		}
		return note, err
	}
}

// request is the one a check asks for, sent to the container where it names no host.
func request(ctx context.Context, t Target, c spec.HTTPCheck) (*http.Request, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("cannot use URL %.80q: want http://host:port/path", c.URL)
	}
	if u.Hostname() == "" {
		u.Host = join(t.IP, u.Host)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("cannot use URL %.80q: %w", c.URL, err)
	}
	for k, v := range c.Headers {
		if strings.EqualFold(k, "Host") {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	return req, nil
}

func tryHTTP(ctx context.Context, t Target, c spec.HTTPCheck) error {
	req, err := request(ctx, t, c)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }() // the connection is not kept
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		if to := resp.Header.Get("Location"); to != "" {
			return fmt.Errorf("non-2xx status %d, a redirect to %.*q", resp.StatusCode, quoteLimit, to)
		}
		return fmt.Errorf("non-2xx status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit+1))
	if err != nil {
		return fmt.Errorf("cannot read the answer: %w", quoted(err))
	}
	if len(body) > bodyLimit {
		return fmt.Errorf("the answer is longer than %d bytes", bodyLimit)
	}
	if !bytes.Contains(body, []byte(c.Contains)) {
		return fmt.Errorf("the answer does not contain %.*q, it begins with %.*q", quoteLimit, c.Contains, quoteLimit, body)
	}
	return nil
}

func tryTCP(ctx context.Context, t Target, c spec.TCPCheck) error {
	address := c.Address
	if strings.HasPrefix(address, ":") {
		address = join(t.IP, address)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return quoted(err)
	}
	_ = conn.Close() // the connection was all that was asked for
	return nil
}

func tryExec(ctx context.Context, t Target, c spec.ExecCheck) error {
	if t.Exec == nil || len(c.Command) == 0 {
		return errors.New("there is no command to run")
	}
	exit, out, err := t.Exec(ctx, c.Command)
	if err != nil {
		return quoted(err)
	}
	if exit != 0 {
		if out = bytes.TrimSpace(out); len(out) > 0 {
			return fmt.Errorf("exit code %d, %.*q", exit, quoteLimit, tail(out))
		}
		return fmt.Errorf("exit code %d", exit)
	}
	return nil
}

func tryEngine(ctx context.Context, t Target) error {
	s, err := t.State(ctx)
	switch {
	case err != nil:
		return quoted(err)
	case s.Health == "healthy":
		return nil
	case s.Health == "":
		return errors.New("the image has no HEALTHCHECK")
	default:
		return fmt.Errorf("the engine says %.*q", quoteLimit, s.Health)
	}
}

// join puts the container's address before ":port"; on the host network that is the loopback.
func join(ip, port string) string {
	if ip == "" {
		ip = "127.0.0.1"
	}
	if port = strings.TrimPrefix(port, ":"); port == "" {
		if strings.Contains(ip, ":") {
			return "[" + ip + "]"
		}
		return ip
	}
	return net.JoinHostPort(ip, port)
}

// tail is the end of out, where programs say what went wrong.
func tail(out []byte) []byte {
	if len(out) > quoteLimit {
		return out[len(out)-quoteLimit:]
	}
	return out
}

// quoted keeps err in the chain and bounds its text.
func quoted(err error) error {
	if len(err.Error()) <= 2*quoteLimit {
		return err
	}
	return &cutError{err}
}

type cutError struct{ err error }

func (e *cutError) Error() string { return e.err.Error()[:2*quoteLimit] + "…" }
func (e *cutError) Unwrap() error { return e.err }
