package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
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

// DownloadBackup opens the file of a backup. One that breaks off ends with an error. The caller closes it.
func (c *Client) DownloadBackup(ctx context.Context, slug string) (io.ReadCloser, error) {
	return c.stream(ctx, "/backups/"+url.PathEscape(slug)+"/download")
}

// UploadBackup takes a file in, as it is read.
func (c *Client) UploadBackup(ctx context.Context, from io.Reader) (out api.BackupDone, err error) {
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	var broken error // of the file; read when ended
	ended := make(chan struct{})
	go func() {
		part, err := form.CreateFormFile("file", "backup.tar")
		if err == nil {
			_, err = io.Copy(part, from)
		}
		if err == nil {
			err = form.Close()
		}
		if err != nil && !errors.Is(err, io.ErrClosedPipe) {
			broken = fmt.Errorf("cannot read the file: %w", err)
		}
		_ = w.CloseWithError(err) // of a pipe: it can't fail
		close(ended)
	}()
	defer r.Close()
	resp, err := c.Raw(ctx, "POST", "/backups/new/upload", http.Header{"Content-Type": {form.FormDataContentType()}}, r)
	if err != nil {
		_ = r.Close() // of a pipe: it can't fail
		<-ended
		return out, cmp.Or(broken, err)
	}
	defer resp.Body.Close()
	err = c.read(resp, &out)
	return out, err
}
