package client

import (
	"context"

	"github.com/castellan/castellan/supervisor/api"
)

// Plan asks what would happen to each service now. With sizes the daemon asks registries what it does not know yet.
func (c *Client) Plan(ctx context.Context, sizes bool) (api.PlanPreview, error) {
	path := "/castellan/plan"
	if !sizes {
		path += "?sizes=0"
	}
	return call[api.PlanPreview](ctx, c, "GET", path, nil)
}

// Decisions lists what the owner decided of updates.
func (c *Client) Decisions(ctx context.Context) (api.DecisionList, error) {
	return call[api.DecisionList](ctx, c, "GET", "/castellan/decisions", nil)
}

// SetMode sets an update mode.
func (c *Client) SetMode(ctx context.Context, r api.ModeRequest) (api.Decision, error) {
	return call[api.Decision](ctx, c, "POST", "/castellan/modes", r)
}

// Hold begins a hold, or ends it.
func (c *Client) Hold(ctx context.Context, r api.HoldRequest) (api.Decision, error) {
	return call[api.Decision](ctx, c, "POST", "/castellan/holds"+end(r.End), r)
}

// Skip passes over a version, or takes it again.
func (c *Client) Skip(ctx context.Context, r api.SkipRequest) (api.Decision, error) {
	return call[api.Decision](ctx, c, "POST", "/castellan/skips"+end(r.End), r)
}

// AddWindow adds a maintenance window.
func (c *Client) AddWindow(ctx context.Context, r api.WindowRequest) (api.Decision, error) {
	return call[api.Decision](ctx, c, "POST", "/castellan/windows", r)
}

// RemoveWindow removes a maintenance window.
func (c *Client) RemoveWindow(ctx context.Context, id int) (api.Decision, error) {
	return call[api.Decision](ctx, c, "POST", "/castellan/windows/remove", api.WindowRemoval{ID: id})
}

func end(over bool) string {
	if over {
		return "/end"
	}
	return ""
}
