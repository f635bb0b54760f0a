package api

import (
	"context"
	"io"
	"time"
)

// Backups are those that people ask for. Calls are safe for concurrent use.
type Backups interface {
	// List tells of all, newest first. One that cannot be used has a Problem and may have nothing else.
	List(ctx context.Context) ([]Backup, error)
	// Place tells where backups lie and when they come by themselves; Set changes what is set through the API.
	Place(ctx context.Context) BackupPlace
	Set(ctx context.Context, s BackupSettings) error
	Open(ctx context.Context, slug string) (io.ReadCloser, error)
	Add(ctx context.Context, r io.Reader, by string) (slug string, err error)
	Remove(ctx context.Context, slug, by string) error
	Work() BackupWork
}

// BackupWork is what takes its time. Create and Restore are called in a job: they accept it ([jobs.Job.Accepted]) when what
// is asked for is possible, tell it how far they are, and end with its context, leaving nothing half done.
type BackupWork interface {
	Create(ctx context.Context, r BackupRequest, by string) (BackupMade, error)
	// Restore takes the rights that were granted along only for who may grant them.
	Restore(ctx context.Context, slug string, r RestoreRequest, by Caller) (Restored, error)
	Verify(ctx context.Context, slug string) error
	// NewKey makes the owner's recovery key, which is shown here and never again.
	NewKey(ctx context.Context, by string) (BackupKey, error)
}

// Backup is one backup.
type Backup struct {
	Slug, Name      string
	Date            time.Time
	Full, Protected bool
	Seal            string // how it is encrypted: recovery passphrase
	Origin          string // owner schedule update
	Service         string // whose update it was made before
	Version         string // of the Castellan that made it
	Size            int64
	Core            *BackupCore // nil = it holds nothing of Home Assistant
	Addons          []BackupAddon
	Folders         []string
	Repositories    []string
	Problem         string
}

// BackupCore is what a backup holds of Home Assistant.
type BackupCore struct {
	Version    string
	NoDatabase bool
}

// BackupAddon is what a backup holds of an add-on. Size is in MB.
type BackupAddon struct {
	Slug    string  `json:"slug"`
	Name    string  `json:"name"`
	Version string  `json:"version"`
	Size    float64 `json:"size"`
}

// BackupSettings are what the owner sets; nil leaves it as it is.
type BackupSettings struct {
	DaysUntilStale *int
	Schedule       *BackupTimes
	By             string // who asks, in words
}

// BackupRequest says what is to be saved. Password is a passphrase, "" = the recovery key where there is one.
type BackupRequest struct {
	Name       string
	Full       bool
	Core       bool
	NoDatabase bool
	AllAddons  bool
	Addons     []string
	Folders    []string
	Password   string
}

// BackupMade says what was made. Notes tell what is not in it as it was on the disk.
type BackupMade struct {
	Slug  string
	Notes []string
}

// RestoreRequest says what comes back. Password is the passphrase or the recovery key.
type RestoreRequest struct {
	Full     bool
	Core     bool
	All      bool // add-ons
	Addons   []string
	Folders  []string
	Password string
}

// Restored tells what was restored otherwise than it was saved, and why.
type Restored struct {
	Notes []string `json:"notes"`
}

// BackupKey is a recovery key. Identity opens backups and is kept nowhere; Recipient makes them.
type BackupKey struct {
	Identity  string `json:"identity"`
	Recipient string `json:"recipient"`
}

// Error keys of backups.
const (
	KeyNoBackup    = "backup_not_found"
	KeyBackup      = "backup_error"
	KeyBackupKey   = "backup_key_needed"
	KeyBackupWrong = "backup_wrong_key"
)

// BackupItem is a backup in a list of Home Assistant's.
type BackupItem struct {
	BackupHead
	Content BackupContent `json:"content"`
}

// BackupHead is what a list and a detail share.
type BackupHead struct {
	Slug               string                    `json:"slug"`
	Name               string                    `json:"name"`
	Date               time.Time                 `json:"date"`
	Type               string                    `json:"type"`
	Size               float64                   `json:"size"` // MB
	SizeBytes          int64                     `json:"size_bytes"`
	Location           *string                   `json:"location"` // null = on the appliance
	Locations          []*string                 `json:"locations"`
	Protected          bool                      `json:"protected"`
	LocationAttributes map[string]BackupLocation `json:"location_attributes"`
	Compressed         bool                      `json:"compressed"`
}

// BackupLocation is a backup at one place.
type BackupLocation struct {
	Protected bool  `json:"protected"`
	SizeBytes int64 `json:"size_bytes"`
}

// BackupContent names what is in a backup.
type BackupContent struct {
	HomeAssistant bool     `json:"homeassistant"`
	Addons        []string `json:"addons"`
	Folders       []string `json:"folders"`
}

// BackupList is the answer of /backups.
type BackupList struct {
	Backups []BackupItem `json:"backups"`
}

// BackupsInfo is the answer of /backups/info.
type BackupsInfo struct {
	Backups        []BackupItem `json:"backups"`
	DaysUntilStale int          `json:"days_until_stale"`
}

// BackupDetail is one backup of Home Assistant's API. Extra says who wanted it.
type BackupDetail struct {
	BackupHead
	SupervisorVersion string         `json:"supervisor_version"`
	HomeAssistant     *string        `json:"homeassistant"`
	Addons            []BackupAddon  `json:"addons"`
	Repositories      []string       `json:"repositories"`
	Folders           []string       `json:"folders"`
	ExcludeDatabase   *bool          `json:"homeassistant_exclude_database"`
	Extra             map[string]any `json:"extra"`
}

// BackupDone is the answer of what makes a backup.
type BackupDone struct {
	Job
	Slug  string   `json:"slug,omitempty"` // "" while it is being made
	Notes []string `json:"notes"`
}
