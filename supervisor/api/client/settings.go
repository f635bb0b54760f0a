package client

import (
	"context"
	"net/url"

	"github.com/castellan/castellan/supervisor/api"
)

// Settings asks what the configuration in force says.
func (c *Client) Settings(ctx context.Context) (api.Settings, error) {
	return call[api.Settings](ctx, c, "GET", "/castellan/settings", nil)
}

// Host asks about the host.
func (c *Client) Host(ctx context.Context) (api.HostInfo, error) {
	return call[api.HostInfo](ctx, c, "GET", "/host/info", nil)
}

// Network asks about the host's network.
func (c *Client) Network(ctx context.Context) (api.NetworkInfo, error) {
	return call[api.NetworkInfo](ctx, c, "GET", "/network/info", nil)
}

// Docker asks about the container engine.
func (c *Client) Docker(ctx context.Context) (api.DockerInfo, error) {
	return call[api.DockerInfo](ctx, c, "GET", "/docker/info", nil)
}

// Resolution asks what is wrong, and what helps.
func (c *Client) Resolution(ctx context.Context) (api.Resolution, error) {
	return call[api.Resolution](ctx, c, "GET", "/resolution/info", nil)
}

// SupportContents says what is in a support bundle; with id "" it gathers one.
func (c *Client) SupportContents(ctx context.Context, id string) (api.SupportContents, error) {
	return call[api.SupportContents](ctx, c, "GET", "/castellan/support-bundle/contents?"+url.Values{"id": {id}}.Encode(), nil)
}

// SupportFile asks for one file of a support bundle.
func (c *Client) SupportFile(ctx context.Context, id, name string) (api.SupportText, error) {
	return call[api.SupportText](ctx, c, "GET", "/castellan/support-bundle/file?"+url.Values{"id": {id}, "name": {name}}.Encode(), nil)
}
