package client

import (
	"context"

	"github.com/castellan/castellan/supervisor/api"
)

// InitHouse makes the house key.
func (c *Client) InitHouse(ctx context.Context) (api.HouseKey, error) {
	return call[api.HouseKey](ctx, c, "POST", "/castellan/trust/house/init", nil)
}

// AcceptHouse vouches for what a service would run now.
func (c *Client) AcceptHouse(ctx context.Context, r api.HouseRequest) (api.HouseWord, error) {
	return call[api.HouseWord](ctx, c, "POST", "/castellan/trust/house/accept", r)
}

// WithdrawHouse withdraws what a service runs.
func (c *Client) WithdrawHouse(ctx context.Context, r api.HouseRequest) (api.HouseWord, error) {
	return call[api.HouseWord](ctx, c, "POST", "/castellan/trust/house/withdraw", r)
}

// House lists the words of the house key.
func (c *Client) House(ctx context.Context) (api.HouseList, error) {
	return call[api.HouseList](ctx, c, "GET", "/castellan/trust/house", nil)
}
