package client

import (
	"context"
	"net/url"

	"github.com/castellan/castellan/supervisor/api"
)

// Repositories lists the add-on repositories.
func (c *Client) Repositories(ctx context.Context) (api.RepositoryList, error) {
	return call[api.RepositoryList](ctx, c, "GET", "/castellan/repositories", nil)
}

// AddRepository follows a repository.
func (c *Client) AddRepository(ctx context.Context, r api.AddRepositoryRequest) (api.Repository, error) {
	return call[api.Repository](ctx, c, "POST", "/castellan/repositories", r)
}

// RemoveRepository stops following a repository.
func (c *Client) RemoveRepository(ctx context.Context, slug string) error {
	_, err := call[struct{}](ctx, c, "DELETE", "/castellan/repositories/"+url.PathEscape(slug), nil)
	return err
}

// RefreshRepositories looks at the remote of one repository, or of all.
func (c *Client) RefreshRepositories(ctx context.Context, slug string) (api.RepositoryList, error) {
	return call[api.RepositoryList](ctx, c, "POST", "/castellan/repositories/refresh", api.RefreshRequest{Slug: slug})
}
