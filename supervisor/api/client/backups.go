package client

import (
	"context"
	"net/url"

	"github.com/castellan/castellan/supervisor/api"
)

// Backups lists the backups.
func (c *Client) Backups(ctx context.Context) (api.BackupsInfo, error) {
	return call[api.BackupsInfo](ctx, c, "GET", "/backups/info", nil)
}

// BackupRoom lists the backups with all that is known of them, and tells how they are made.
func (c *Client) BackupRoom(ctx context.Context) (api.BackupRoom, error) {
	return call[api.BackupRoom](ctx, c, "GET", "/castellan/backups", nil)
}

// Backup asks for one backup.
func (c *Client) Backup(ctx context.Context, slug string) (api.BackupDetail, error) {
	return call[api.BackupDetail](ctx, c, "GET", "/backups/"+url.PathEscape(slug)+"/info", nil)
}

// FullBackup makes a backup of everything.
func (c *Client) FullBackup(ctx context.Context, r api.BackupFull) (api.BackupDone, error) {
	return call[api.BackupDone](ctx, c, "POST", "/backups/new/full", r)
}

// PartialBackup makes a backup of what is named.
func (c *Client) PartialBackup(ctx context.Context, r api.BackupPartial) (api.BackupDone, error) {
	return call[api.BackupDone](ctx, c, "POST", "/backups/new/partial", r)
}

// RestoreFull restores everything in a backup.
func (c *Client) RestoreFull(ctx context.Context, slug string, r api.RestoreFull) (api.RestoreDone, error) {
	return call[api.RestoreDone](ctx, c, "POST", "/backups/"+url.PathEscape(slug)+"/restore/full", r)
}

// RestorePartial restores what is named.
func (c *Client) RestorePartial(ctx context.Context, slug string, r api.RestorePartial) (api.RestoreDone, error) {
	return call[api.RestoreDone](ctx, c, "POST", "/backups/"+url.PathEscape(slug)+"/restore/partial", r)
}

// RemoveBackup removes a backup.
func (c *Client) RemoveBackup(ctx context.Context, slug string) error {
	_, err := call[struct{}](ctx, c, "DELETE", "/backups/"+url.PathEscape(slug), api.BackupRemoval{})
	return err
}

// VerifyBackup has a backup read to its end.
func (c *Client) VerifyBackup(ctx context.Context, slug string) error {
	_, err := call[struct{}](ctx, c, "POST", "/castellan/backups/"+url.PathEscape(slug)+"/verify", nil)
	return err
}

// SetBackupOptions sets when a backup is too old.
func (c *Client) SetBackupOptions(ctx context.Context, r api.BackupOptions) error {
	_, err := call[struct{}](ctx, c, "POST", "/backups/options", r)
	return err
}

// SetBackupSchedule sets when full backups come by themselves.
func (c *Client) SetBackupSchedule(ctx context.Context, r api.BackupTimes) (api.BackupPlace, error) {
	return call[api.BackupPlace](ctx, c, "POST", "/castellan/backups/schedule", r)
}

// NewBackupKey makes a recovery key.
func (c *Client) NewBackupKey(ctx context.Context) (api.BackupKey, error) {
	return call[api.BackupKey](ctx, c, "POST", "/castellan/backups/key", nil)
}
