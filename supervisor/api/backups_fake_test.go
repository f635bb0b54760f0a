package api_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// vault keeps one backup. It records what reached the house through it.
type vault struct{ *house }

var _ api.Backups = vault{}

func (v vault) List(context.Context) ([]api.Backup, error) {
	return []api.Backup{{Slug: "0a1b2c3d", Name: "weekly", Date: time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC), Full: true, Size: 3 << 20, Version: "1.2.3",
		Core: &api.BackupCore{Version: "2026.11.1"}, Addons: []api.BackupAddon{{Slug: "core_x", Name: "X", Version: "1", Size: 1}}, Folders: []string{"share"}},
		{Slug: "", Problem: "it is cut off"}}, nil
}
func (v vault) Work() api.BackupWork { return v }
func (v vault) Set(_ context.Context, s api.BackupSettings) error {
	if s.DaysUntilStale != nil {
		v.did(fmt.Sprint("stale ", *s.DaysUntilStale))
	}
	if s.Schedule != nil {
		v.did(fmt.Sprintf("schedule %+v by %s", *s.Schedule, s.By))
	}
	return nil
}
func (v vault) Place(context.Context) api.BackupPlace {
	return api.BackupPlace{Dir: "/backups", Days: []string{"mon"}, Hour: 3, KeepScheduled: 7, DaysUntilStale: 30}
}
func (v vault) Open(_ context.Context, slug string) (io.ReadCloser, error) {
	v.did("download " + slug)
	return io.NopCloser(strings.NewReader("tar")), nil
}
func (v vault) Add(_ context.Context, r io.Reader, _ string) (string, error) {
	n, err := io.Copy(io.Discard, r)
	v.did(fmt.Sprintf("upload %d bytes", n))
	return "0a1b2c3d", err
}
func (v vault) Create(ctx context.Context, r api.BackupRequest, _ string) (api.BackupMade, error) {
	v.did(fmt.Sprintf("backup %+v", r))
	if v.saves != nil {
		return v.saves(ctx)
	}
	return api.BackupMade{Slug: "0a1b2c3d"}, nil
}
func (v vault) Restore(ctx context.Context, slug string, r api.RestoreRequest, by api.Caller) (api.Restored, error) {
	v.did(fmt.Sprintf("restore %s %+v by %s", slug, r, by.Kind))
	if v.saves != nil {
		made, err := v.saves(ctx)
		return api.Restored{Notes: made.Notes}, err
	}
	return api.Restored{}, nil
}
func (v vault) Remove(_ context.Context, slug, _ string) error { v.did("remove " + slug); return nil }
func (v vault) Verify(_ context.Context, slug string) error    { v.did("verify " + slug); return nil }
func (v vault) NewKey(context.Context, string) (api.BackupKey, error) {
	v.did("key")
	return api.BackupKey{Identity: "AGE-SECRET-KEY-1X", Recipient: "age1x"}, nil
}
