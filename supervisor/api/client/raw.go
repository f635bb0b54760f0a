package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Raw makes a request and gives its answer as it is, whatever its status, for files and logs that go on to somebody else.
// The caller closes its body.
func (c *Client) Raw(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	for name, v := range header {
		req.Header[name] = v
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	return resp, nil
}

// Refusal is the error of an answer of [Client.Raw] that is none of what was asked for. It closes the body.
func (c *Client) Refusal(resp *http.Response) error {
	defer resp.Body.Close()
	if err := c.read(resp, new(struct{})); err != nil {
		return err
	}
	return fmt.Errorf("cannot read the answer of %s (status %d)", c.at, resp.StatusCode)
}
