package api_test

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// shop is add-ons that record what reached them.
type shop struct{ h *house }

func (h *house) Addons() api.Addons             { return shop{h} }
func (h *house) Repositories() api.Repositories { return shelf{h} }

func (s shop) Life() api.AddonLife         { return s }
func (s shop) Power() api.AddonPower       { return s }
func (s shop) Settings() api.AddonSettings { return s }
func (s shop) Output() api.AddonOutput     { return s }

// did notes a call with its arguments as JSON.
func (s shop) did(call string, args ...any) (api.Accepted, error) {
	b, err := json.Marshal(args)
	s.h.did(call + " " + string(b))
	return api.Accepted{Changes: s.h.job, Skips: s.h.skips}, err
}

func (s shop) List(_ context.Context, all bool) ([]api.Addon, error) {
	_, err := s.did("list", all)
	return s.h.shop, err
}

func (s shop) Info(_ context.Context, slug, lang string) (api.AddonInfo, error) {
	if slug == "nobody" {
		return api.AddonInfo{}, api.AddonNotFound(slug)
	}
	_, err := s.did("info", slug, lang)
	return api.AddonInfo{Addon: api.Addon{Slug: slug}, Options: map[string]any{"pass": "s3cret", "port": 8080, "ratio": 1.0},
		Schema: []map[string]any{{"name": "pass", "type": "string", "format": "password"}, {"name": "port", "type": "integer"}, {"name": "ratio", "type": "float"}}}, err
}

func (s shop) Install(_ context.Context, slug string, r api.InstallRequest, by string) (api.Accepted, error) {
	if slug == "greedy" && len(r.Asks) == 0 {
		return api.Accepted{}, api.ConsentRequired(slug, "2", []api.Right{{Code: "host_network", Words: "share the network of the appliance"}}, "agree")
	}
	return s.did("install", slug, r, by)
}

func (s shop) Uninstall(_ context.Context, slug string, r api.UninstallRequest, by string) (api.Accepted, error) {
	return s.did("uninstall", slug, r, by)
}

func (s shop) Update(_ context.Context, slug string, r api.AddonUpdateRequest) (api.Accepted, error) {
	return s.did("update", slug, r)
}
func (s shop) Rollback(_ context.Context, slug string) (api.Accepted, error) {
	return s.did("rollback", slug)
}
func (s shop) Build(_ context.Context, slug string, r api.BuildRequest) (api.Accepted, error) {
	return s.did("build", slug, r)
}

func (s shop) Import(_ context.Context, slug string, r api.ImportRequest, by string) (api.Accepted, error) {
	return s.did("import", slug, r, by)
}

func (s shop) Consent(_ context.Context, slug string, r api.ConsentRequest, by string) (api.Accepted, error) {
	return s.did("consent", slug, r, by)
}
func (s shop) Start(_ context.Context, slug string) (api.Accepted, error) {
	return s.did("start", slug)
}
func (s shop) Stop(_ context.Context, slug string) (api.Accepted, error) { return s.did("stop", slug) }
func (s shop) Restart(_ context.Context, slug string) (api.Accepted, error) {
	return s.did("restart", slug)
}

func (s shop) Stdin(_ context.Context, slug string, data []byte) error {
	_, err := s.did("stdin", slug, string(data))
	return err
}

func (s shop) SetOptions(_ context.Context, slug string, options json.RawMessage) (api.Kept, error) {
	_, err := s.did("options", slug, options)
	return api.Kept{Restart: true}, err
}

func (s shop) CheckOptions(_ context.Context, slug string, options json.RawMessage) (api.OptionsCheck, error) {
	if s.h.unset != nil {
		return api.OptionsCheck{Valid: true}, nil
	}
	_, err := s.did("validate", slug, options)
	return api.OptionsCheck{Message: "want a whole number", Path: "port"}, err
}

func (s shop) Set(_ context.Context, slug string, r api.SettingsRequest, by string) (api.Kept, error) {
	if s.h.unset != nil {
		return api.Kept{}, s.h.unset
	}
	_, err := s.did("set", slug, r, by)
	return api.Kept{}, err
}

// Logs that are followed say a line a minute until the caller leaves.
func (s shop) Logs(ctx context.Context, slug string, q api.LogRequest) (io.ReadCloser, error) {
	_, err := s.did("logs", slug, q.Lines, q.Follow)
	lines := []printedLine{{began, "one"}, {began.Add(time.Second), "two"}}
	if q.Follow {
		lines = nil
	}
	return printed(ctx, lines, q), err
}

func (s shop) Stats(_ context.Context, slug string) (api.AddonStats, error) {
	_, err := s.did("stats", slug)
	return api.AddonStats{MemoryUsage: 7}, err
}

func (s shop) File(_ context.Context, slug string, f api.AddonFile) ([]byte, error) {
	_, err := s.did("file", slug, f)
	switch {
	case slug == "bare":
		return nil, fs.ErrNotExist
	case slug == "sly":
		return []byte("<script>"), err
	case f == api.FileIcon, f == api.FileLogo:
		return []byte("\x89PNG\r\n\x1a\nrest"), err
	}
	return []byte("# 1.0\n<script>"), err
}

// shelf is repositories that record what reached them.
type shelf struct{ h *house }

func (s shelf) List(context.Context) ([]api.Repository, error) {
	s.h.did("repositories")
	return []api.Repository{{Slug: "core"}}, nil
}

func (s shelf) Add(_ context.Context, r api.AddRepositoryRequest, by string) (api.Repository, error) {
	if strings.HasSuffix(r.Repository, "own-ledger") && r.Ledger != "ab:cd" {
		return api.Repository{}, api.LedgerFingerprint(r.Repository, "club", "ab:cd", r.Ledger)
	}
	_, err := shop(s).did("add", r, by)
	return api.Repository{Slug: "12345678"}, err
}

func (s shelf) Remove(_ context.Context, slug, by string) error {
	_, err := shop(s).did("remove", slug, by)
	return err
}

func (s shelf) Refresh(_ context.Context, slug string) ([]api.Repository, error) {
	_, err := shop(s).did("refresh", slug)
	return nil, err
}
