package client

import (
	"bytes"
	"context"
	"net/http"
	"net/url"

	"github.com/castellan/castellan/supervisor/api"
)

// Me tells who the daemon takes the caller for.
func (c *Client) Me(ctx context.Context) (api.Me, error) {
	return call[api.Me](ctx, c, "GET", "/castellan/me", nil)
}

// SetupCode asks for the setup code.
func (c *Client) SetupCode(ctx context.Context) (api.SetupCode, error) {
	return call[api.SetupCode](ctx, c, "GET", "/castellan/setup-code", nil)
}

// Users lists who may log in.
func (c *Client) Users(ctx context.Context) (api.UserList, error) {
	return call[api.UserList](ctx, c, "GET", "/castellan/users", nil)
}

// AddUser adds a user.
func (c *Client) AddUser(ctx context.Context, r api.UserRequest) error {
	_, err := call[struct{}](ctx, c, "POST", "/castellan/users", r)
	return err
}

// RemoveUser removes a user.
func (c *Client) RemoveUser(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, "DELETE", "/castellan/users/"+url.PathEscape(name), nil)
	return err
}

// SetRole gives a user another role.
func (c *Client) SetRole(ctx context.Context, name, role string) error {
	_, err := call[struct{}](ctx, c, "POST", "/castellan/users/"+url.PathEscape(name)+"/role", api.RoleRequest{Role: role})
	return err
}

// SetPassword gives a user another password.
func (c *Client) SetPassword(ctx context.Context, name string, r api.PasswordRequest) error {
	_, err := call[struct{}](ctx, c, "POST", "/castellan/users/"+url.PathEscape(name)+"/password", r)
	return err
}

// KnowPlace lets a user log in from an address at once while others guess at his name.
func (c *Client) KnowPlace(ctx context.Context, name, address string) error {
	_, err := call[struct{}](ctx, c, "POST", "/castellan/users/"+url.PathEscape(name)+"/places", api.PlaceRequest{Address: address})
	return err
}

// ResetUsers puts the register of users aside.
func (c *Client) ResetUsers(ctx context.Context) (api.ResetAnswer, error) {
	return call[api.ResetAnswer](ctx, c, "POST", "/castellan/users/reset", nil)
}

// ofUser is the query for one user, none for "".
func ofUser(user string) string {
	if user == "" {
		return ""
	}
	return "?" + url.Values{"user": {user}}.Encode()
}

// Sessions lists who is logged in; user "" is everybody the caller may see.
func (c *Client) Sessions(ctx context.Context, user string) (api.SessionList, error) {
	return call[api.SessionList](ctx, c, "GET", "/castellan/sessions"+ofUser(user), nil)
}

// EndSession ends one session.
func (c *Client) EndSession(ctx context.Context, id string) error {
	_, err := call[struct{}](ctx, c, "DELETE", "/castellan/sessions/"+url.PathEscape(id), nil)
	return err
}

// EndSessions ends a user's sessions.
func (c *Client) EndSessions(ctx context.Context, user string) (api.Ended, error) {
	return call[api.Ended](ctx, c, "DELETE", "/castellan/sessions"+ofUser(user), nil)
}

// Tokens lists API tokens; user "" is everybody's the caller may see.
func (c *Client) Tokens(ctx context.Context, user string) (api.TokenList, error) {
	return call[api.TokenList](ctx, c, "GET", "/castellan/tokens"+ofUser(user), nil)
}

// AddToken makes an API token.
func (c *Client) AddToken(ctx context.Context, r api.TokenRequest) (api.NewToken, error) {
	return call[api.NewToken](ctx, c, "POST", "/castellan/tokens", r)
}

// RemoveToken removes an API token.
func (c *Client) RemoveToken(ctx context.Context, id string) error {
	_, err := call[struct{}](ctx, c, "DELETE", "/castellan/tokens/"+url.PathEscape(id), nil)
	return err
}

// Setup tells what a page needs before anybody can log in.
func (c *Client) Setup(ctx context.Context) (api.SetupState, error) {
	return call[api.SetupState](ctx, c, "GET", "/castellan/setup", nil)
}

// Enter logs in, sets up or logs out with the body given, and returns the headers of the answer, which carry the cookie.
func (c *Client) Enter(ctx context.Context, path string, body []byte) (http.Header, error) {
	resp, err := c.Raw(ctx, "POST", path, nil, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	err = c.read(resp, new(struct{}))
	return resp.Header, err
}
