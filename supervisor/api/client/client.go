// Package client is the Go client of Castellan's API, on its unix socket or on the network; the command line uses nothing else.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// patience is how long a daemon may think about a question. The longest looks at registries, and gives up before.
const patience = 2 * time.Minute

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// maxWords bounds an error that is text, in bytes.
const maxWords = 4 << 10

// ErrNotReachable says that no daemon answers on the socket.
var ErrNotReachable = errors.New("castellan is not reachable")

// Client talks to one daemon. The zero value is of no use; see [New].
type Client struct {
	at   string        // the socket, or the address on the network
	base string        // what paths are appended to
	away bool          // it is on the network
	wait time.Duration // for the answer to a question; what is to be done may take as long as it takes
	http http.Client
}

// New makes a client of the daemon behind a unix socket; nothing is opened yet.
func New(socket string) *Client {
	c := &Client{at: socket, base: "http://castellan", wait: patience}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}
	return c
}

// Status asks for the state of the house.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	return call[api.Status](ctx, c, "GET", "/castellan/status", nil)
}

// Version asks for the daemon's version.
func (c *Client) Version(ctx context.Context) (api.VersionInfo, error) {
	return call[api.VersionInfo](ctx, c, "GET", "/castellan/version", nil)
}

// Check syncs, polls and plans.
func (c *Client) Check(ctx context.Context) (api.Plan, error) {
	return call[api.Plan](ctx, c, "POST", "/castellan/check", nil)
}

// Update submits updates.
func (c *Client) Update(ctx context.Context, r api.UpdateRequest) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", "/castellan/update", r)
}

// Rollback submits a rollback.
func (c *Client) Rollback(ctx context.Context, service string) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", "/castellan/rollback", api.RollbackRequest{Service: service})
}

// Changes lists changes, newest first.
func (c *Client) Changes(ctx context.Context) (api.ChangeList, error) {
	return call[api.ChangeList](ctx, c, "GET", "/castellan/changes", nil)
}

// Change asks for one change.
func (c *Client) Change(ctx context.Context, id string) (api.Change, error) {
	return call[api.Change](ctx, c, "GET", "/castellan/changes/"+url.PathEscape(id), nil)
}

// Force adds an override.
func (c *Client) Force(ctx context.Context, r api.ForceRequest) (api.Override, error) {
	return call[api.Override](ctx, c, "POST", "/castellan/trust/force", r)
}

// Pins lists what is remembered of services.
func (c *Client) Pins(ctx context.Context) (api.PinList, error) {
	return call[api.PinList](ctx, c, "GET", "/castellan/trust/pins", nil)
}

// Forget drops a service's pin.
func (c *Client) Forget(ctx context.Context, service string) error {
	_, err := call[struct{}](ctx, c, "POST", "/castellan/trust/forget", api.ForgetRequest{Service: service})
	return err
}

// call makes one request. Errors the daemon answers come as *api.Error; no daemon as [ErrNotReachable].
func call[T any](ctx context.Context, c *Client, method, path string, in any) (out T, err error) {
	err = c.do(ctx, method, path, in, &out)
	return out, err
}

// do is call for an answer of any type, a pointer to which is given.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	if method == http.MethodGet {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.wait, fmt.Errorf("no answer within %s", c.wait))
		defer cancel()
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	return c.read(resp, out)
}

// read reads an envelope.
func (c *Client) read(resp *http.Response, out any) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.unreachable(err)
	}
	var env struct {
		Result  string          `json:"result"`
		Data    json.RawMessage `json:"data"`
		Message string          `json:"message"`
		Key     string          `json:"error_key"`
		Extra   map[string]any  `json:"extra_fields"`
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return &api.Error{Status: resp.StatusCode, Key: "unauthorized", Message: "the token does not open " + c.at, Next: "castellan token add on the appliance makes another"}
	}
	if err := json.Unmarshal(b, &env); err != nil {
		if media := resp.Header.Get("Content-Type"); resp.StatusCode >= http.StatusBadRequest && strings.HasPrefix(media, "text/plain") && len(b) > 0 {
			message, next, _ := strings.Cut(strings.TrimSpace(string(b[:min(len(b), maxWords)])), ". Next: ") // where the answer would be text
			return &api.Error{Status: resp.StatusCode, Message: message, Next: next}
		}
		return fmt.Errorf("cannot read the answer of %s (status %d): %.200q", c.at, resp.StatusCode, b)
	}
	if env.Result != "ok" && env.Message == "" {
		return fmt.Errorf("cannot read the answer of %s (status %d): it says neither what is, nor what is wrong: %.200q", c.at, resp.StatusCode, b)
	}
	if env.Result != "ok" {
		next, _ := env.Extra["next"].(string)
		delete(env.Extra, "next")
		return &api.Error{Status: resp.StatusCode, Key: env.Key, Message: strings.TrimSuffix(env.Message, ". Next: "+next), Next: next, Extra: env.Extra}
	}
	return json.Unmarshal(env.Data, out)
}

// unreachable says why nothing answers, in words with a next step.
func (c *Client) unreachable(err error) error {
	if err := strange(err); err != nil {
		return err
	}
	switch {
	case c.away:
		return fmt.Errorf("%w at %s: %w; it answers there when api.listen of its configuration says so", ErrNotReachable, c.at, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing listens on %s; start it with: systemctl start castellan", ErrNotReachable, c.at)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: no access to %s; run the command as root", ErrNotReachable, c.at)
	}
	return fmt.Errorf("%w: %w", ErrNotReachable, err)
}
