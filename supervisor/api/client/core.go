package client

import (
	"context"
	"io"
	"net/url"
	"strconv"

	"github.com/castellan/castellan/supervisor/api"
)

// CoreInfo asks about Home Assistant Core.
func (c *Client) CoreInfo(ctx context.Context) (api.CoreInfo, error) {
	return call[api.CoreInfo](ctx, c, "GET", "/core/info", nil)
}

// CoreStats asks what Core uses.
func (c *Client) CoreStats(ctx context.Context) (api.AddonStats, error) {
	return call[api.AddonStats](ctx, c, "GET", "/core/stats", nil)
}

// StartCore starts Core and waits until it runs.
func (c *Client) StartCore(ctx context.Context) error { return c.core(ctx, "start") }

// StopCore stops Core, where the appliance can do without.
func (c *Client) StopCore(ctx context.Context) error { return c.core(ctx, "stop") }

// RestartCore stops Core and starts it again.
func (c *Client) RestartCore(ctx context.Context) error { return c.core(ctx, "restart") }

// RebuildCore makes Core's container anew from the image it runs, and waits for the end.
func (c *Client) RebuildCore(ctx context.Context) error { return c.core(ctx, "rebuild") }

// CheckCore has Core look at its configuration; what it finds is the error.
func (c *Client) CheckCore(ctx context.Context) error { return c.core(ctx, "check") }

func (c *Client) core(ctx context.Context, what string) error {
	_, err := call[struct{}](ctx, c, "POST", "/core/"+what, nil)
	return err
}

// CoreLogs reads the last lines Core printed, and with follow those to come, until ctx or Core ends. The caller closes
// what it got.
func (c *Client) CoreLogs(ctx context.Context, lines int, follow bool) (io.ReadCloser, error) {
	path := "/core/logs"
	if follow {
		path += "/follow"
	}
	return c.stream(ctx, path+"?"+url.Values{"lines": {strconv.Itoa(lines)}}.Encode())
}
