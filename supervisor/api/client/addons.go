package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// addonPath is the path of a call about one add-on.
func addonPath(slug, call string) string { return "/castellan/addons/" + url.PathEscape(slug) + call }

// Addons lists add-ons: what is installed, and with all what is offered besides.
func (c *Client) Addons(ctx context.Context, all bool) (api.AddonList, error) {
	path := "/castellan/addons"
	if all {
		path += "?all=1"
	}
	return call[api.AddonList](ctx, c, "GET", path, nil)
}

// Addon asks for everything about one add-on, with texts in lang ("" = English).
func (c *Client) Addon(ctx context.Context, slug, lang string) (api.AddonInfo, error) {
	query := ""
	if lang != "" {
		query = "?" + url.Values{"lang": {lang}}.Encode()
	}
	return call[api.AddonInfo](ctx, c, "GET", addonPath(slug, query), nil)
}

// InstallAddon submits an installation.
func (c *Client) InstallAddon(ctx context.Context, slug string, r api.InstallRequest) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", addonPath(slug, "/install"), r)
}

// UninstallAddon submits a removal.
func (c *Client) UninstallAddon(ctx context.Context, slug string, r api.UninstallRequest) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", addonPath(slug, "/uninstall"), r)
}

// UpdateAddon submits an update.
func (c *Client) UpdateAddon(ctx context.Context, slug string, r api.AddonUpdateRequest) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", addonPath(slug, "/update"), r)
}

// RollbackAddon submits a rollback.
func (c *Client) RollbackAddon(ctx context.Context, slug string) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", addonPath(slug, "/rollback"), nil)
}

// BuildAddon submits a new build of an add-on that is built on the appliance.
func (c *Client) BuildAddon(ctx context.Context, slug string, r api.BuildRequest) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", addonPath(slug, "/build"), r)
}

// ImportAddon submits an installation from a backup file.
func (c *Client) ImportAddon(ctx context.Context, slug string, r api.ImportRequest) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", addonPath(slug, "/import"), r)
}

// ConsentAddon agrees to rights of a version.
func (c *Client) ConsentAddon(ctx context.Context, slug string, r api.ConsentRequest) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", addonPath(slug, "/consent"), r)
}

// StartAddon starts an add-on.
func (c *Client) StartAddon(ctx context.Context, slug string) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", addonPath(slug, "/start"), nil)
}

// StopAddon stops an add-on.
func (c *Client) StopAddon(ctx context.Context, slug string) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", addonPath(slug, "/stop"), nil)
}

// RestartAddon stops and starts an add-on.
func (c *Client) RestartAddon(ctx context.Context, slug string) (api.Accepted, error) {
	return call[api.Accepted](ctx, c, "POST", addonPath(slug, "/restart"), nil)
}

// StdinAddon writes text to an add-on's standard input.
func (c *Client) StdinAddon(ctx context.Context, slug, data string) error {
	_, err := call[struct{}](ctx, c, "POST", addonPath(slug, "/stdin"), api.StdinRequest{Data: data})
	return err
}

// SetAddonOptions sets all options, a JSON object; nil goes back to the author's.
func (c *Client) SetAddonOptions(ctx context.Context, slug string, options json.RawMessage) (api.Kept, error) {
	return call[api.Kept](ctx, c, "POST", addonPath(slug, "/options"), api.OptionsRequest{Options: options})
}

// CheckAddonOptions says what setting options would; nil checks those in force.
func (c *Client) CheckAddonOptions(ctx context.Context, slug string, options json.RawMessage) (api.OptionsCheck, error) {
	return call[api.OptionsCheck](ctx, c, "POST", addonPath(slug, "/options/validate"), api.OptionsRequest{Options: options})
}

// SetAddon changes settings.
func (c *Client) SetAddon(ctx context.Context, slug string, r api.SettingsRequest) (api.Kept, error) {
	return call[api.Kept](ctx, c, "POST", addonPath(slug, "/settings"), r)
}

// AddonStats asks what a running add-on uses.
func (c *Client) AddonStats(ctx context.Context, slug string) (api.AddonStats, error) {
	return call[api.AddonStats](ctx, c, "GET", addonPath(slug, "/stats"), nil)
}

// AddonLogs reads the last lines an add-on printed (0 = 100), and with follow those to come, until ctx or the add-on
// ends. The caller closes what it got.
func (c *Client) AddonLogs(ctx context.Context, slug string, lines int, follow bool) (io.ReadCloser, error) {
	q := url.Values{}
	if lines != 0 {
		q.Set("lines", strconv.Itoa(lines))
	}
	if follow {
		q.Set("follow", "1")
	}
	return c.stream(ctx, addonPath(slug, "/logs?"+q.Encode()))
}

// AddonFile reads a file of an add-on. The caller closes what it got.
func (c *Client) AddonFile(ctx context.Context, slug string, f api.AddonFile) (io.ReadCloser, error) {
	return c.stream(ctx, addonPath(slug, "/"+string(f)))
}

// AddonPages asks where an add-on's own pages are: a path, "" = it has none.
func (c *Client) AddonPages(ctx context.Context, slug string) (string, error) {
	out, err := call[struct {
		URL *string `json:"ingress_url"`
	}](ctx, c, "GET", "/addons/"+url.PathEscape(slug)+"/info", nil)
	if err != nil || out.URL == nil {
		return "", err
	}
	return *out.URL, nil
}

// BeginPages begins a session for add-ons' own pages: the value of its cookie.
func (c *Client) BeginPages(ctx context.Context) (api.IngressSession, error) {
	return call[api.IngressSession](ctx, c, "POST", "/ingress/session", api.IngressSessionRequest{})
}

// KeepPages makes such a session longer. One that has ended is an error.
func (c *Client) KeepPages(ctx context.Context, session string) error {
	_, err := call[struct{}](ctx, c, "POST", "/ingress/validate_session", api.IngressSessionCheck{Session: session})
	return err
}

// stream opens an answer that is no envelope. Errors are as those of call.
func (c *Client) stream(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", c.base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if resp.StatusCode == http.StatusOK && media != "application/json" && media != "text/html" {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK { // another program answers
		return nil, fmt.Errorf("cannot read the answer of %s: it is %.40q", c.at, media)
	}
	err = c.read(resp, new(struct{}))
	return nil, err
}
