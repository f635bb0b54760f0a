package client

import (
	"context"
	"strconv"

	"github.com/castellan/castellan/supervisor/api"
)

// Device asks what the machine has and uses.
func (c *Client) Device(ctx context.Context) (api.Device, error) {
	return call[api.Device](ctx, c, "GET", "/castellan/device", nil)
}

// LogDays counts the verdicts of the last days by outcome.
func (c *Client) LogDays(ctx context.Context, days int) (api.LogDays, error) {
	return call[api.LogDays](ctx, c, "GET", "/castellan/log/days?days="+strconv.Itoa(days), nil)
}
