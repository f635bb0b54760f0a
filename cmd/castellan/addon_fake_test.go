package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

func (b *butler) Addons() api.Addons             { return clerk{b} }
func (b *butler) Repositories() api.Repositories { return porter{b} }

// clerk is the butler's hand for add-ons.
type clerk struct{ *butler }

func (c clerk) Life() api.AddonLife         { return c }
func (c clerk) Power() api.AddonPower       { return c }
func (c clerk) Settings() api.AddonSettings { return c }
func (c clerk) Output() api.AddonOutput     { return c }

// did notes a call with its arguments as JSON, and accepts it.
func (b *butler) did(call string, args ...any) (api.Accepted, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return api.Accepted{}, err
	}
	b.asked = append(b.asked, call+" "+string(raw))
	return b.accept()
}

func (c clerk) List(context.Context, bool) ([]api.Addon, error) {
	if c.addon.Slug == "" {
		return nil, c.err
	}
	return []api.Addon{c.addon.Addon}, c.err
}

// Info knows every add-on but one.
func (c clerk) Info(_ context.Context, slug, _ string) (api.AddonInfo, error) {
	if slug == "nobody" {
		return api.AddonInfo{}, api.AddonNotFound(slug)
	}
	return c.addon, nil
}

func (c clerk) Install(_ context.Context, slug string, r api.InstallRequest, _ string) (api.Accepted, error) {
	return c.did("install", slug, r)
}

func (c clerk) Uninstall(_ context.Context, slug string, r api.UninstallRequest, _ string) (api.Accepted, error) {
	return c.did("uninstall", slug, r)
}

func (c clerk) Update(_ context.Context, slug string, r api.AddonUpdateRequest) (api.Accepted, error) {
	return c.did("update", slug, r)
}

func (c clerk) Rollback(_ context.Context, slug string) (api.Accepted, error) {
	return c.did("rollback", slug)
}

// Build wants consent.
func (c clerk) Build(_ context.Context, slug string, r api.BuildRequest) (api.Accepted, error) {
	acc, err := c.did("build", slug, r)
	if len(r.Asks) == 0 {
		return acc, api.ConsentRequired(slug, "1", []api.Right{{Code: "usb", Words: "use USB devices"}}, "agree")
	}
	return acc, err
}

// Import wants consent for what is in the backup.
func (c clerk) Import(_ context.Context, slug string, r api.ImportRequest, _ string) (api.Accepted, error) {
	acc, err := c.did("import", slug, r)
	if len(r.Asks) == 0 {
		return acc, api.ConsentRequired(slug, "1", []api.Right{{Code: "usb", Words: "use USB devices"}}, "agree")
	}
	return acc, err
}

func (c clerk) Consent(_ context.Context, slug string, r api.ConsentRequest, _ string) (api.Accepted, error) {
	return c.did("consent", slug, r)
}
func (c clerk) Start(_ context.Context, slug string) (api.Accepted, error) {
	return c.did("start", slug)
}
func (c clerk) Stop(_ context.Context, slug string) (api.Accepted, error) { return c.did("stop", slug) }
func (c clerk) Restart(_ context.Context, slug string) (api.Accepted, error) {
	return c.did("restart", slug)
}

func (c clerk) Stdin(_ context.Context, slug string, data []byte) error {
	_, err := c.did("stdin", slug, string(data))
	return err
}

func (c clerk) SetOptions(_ context.Context, slug string, options json.RawMessage) (api.Kept, error) {
	_, err := c.did("options", slug, options)
	return api.Kept{Dropped: []string{"colour"}, Restart: true}, err
}

func (c clerk) CheckOptions(_ context.Context, slug string, options json.RawMessage) (api.OptionsCheck, error) {
	_, err := c.did("check", slug, options)
	return api.OptionsCheck{Valid: true}, err
}

func (c clerk) Set(_ context.Context, slug string, r api.SettingsRequest, _ string) (api.Kept, error) {
	_, err := c.did("set", slug, r)
	return api.Kept{}, err
}

func (c clerk) Logs(_ context.Context, slug string, q api.LogRequest) (io.ReadCloser, error) {
	_, err := c.did("logs", slug, q.Lines, q.Follow)
	return io.NopCloser(strings.NewReader("one\ntwo\n")), err
}

func (c clerk) Stats(context.Context, string) (api.AddonStats, error) {
	return api.AddonStats{CPUPercent: 1.5, MemoryUsage: 2 << 20}, c.err
}
func (c clerk) File(context.Context, string, api.AddonFile) ([]byte, error) { return nil, c.err }

// porter is the butler's hand for repositories.
type porter struct{ *butler }

func (p porter) List(context.Context) ([]api.Repository, error) {
	return []api.Repository{{Slug: "core", Name: "Official\x1b[2J", Trouble: p.skip, Problems: []string{"odd: no version"}}}, p.err
}

func (p porter) Add(_ context.Context, r api.AddRepositoryRequest, _ string) (api.Repository, error) {
	if strings.HasSuffix(r.Repository, "/own") && r.Ledger == "" {
		return api.Repository{}, api.LedgerFingerprint(r.Repository, "club", "ab:cd", "")
	}
	_, err := p.did("add", r)
	return api.Repository{Slug: "12345678", Addons: 3}, err
}

func (p porter) Remove(_ context.Context, slug, _ string) error {
	_, err := p.did("remove", slug)
	return err
}

func (p porter) Refresh(ctx context.Context, slug string) ([]api.Repository, error) {
	if _, err := p.did("refresh", slug); err != nil {
		return nil, err
	}
	return p.List(ctx)
}
