package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/castellan/castellan/addons"
)

// HomeAssistant is the appliance as Home Assistant's API shows it, besides what [Backend] and [AddonBackend] say. Calls are
// safe for concurrent use.
type HomeAssistant interface {
	Core() Core // nil = the appliance has none
	// Supervisor says what the daemon is and how it is set; what it updates is filled in by the server.
	Supervisor(ctx context.Context) (SupervisorInfo, error)
	Host(ctx context.Context) (Host, error)
	// Refresh looks at the ledger and the channel, and with store at the add-on repositories. What could not be looked at
	// is an error; what was known stays.
	Refresh(ctx context.Context, store bool) error
	// Wait answers when a change rests, or when ctx ends.
	Wait(ctx context.Context, change string) (Change, error)
	// Stats is what the daemon uses itself.
	Stats(ctx context.Context) (AddonStats, error)
	// Manifest is that of an installed add-on as it runs, else as it is offered.
	Manifest(slug string) (addons.Manifest, error)
}

// Core is Home Assistant Core. Calls are safe for concurrent use.
type Core interface {
	Service() string // its name, as in [ServiceStatus]
	Info(ctx context.Context) (CoreInfo, error)
	// Start and Restart answer when its container runs. Stop is refused by what needs it.
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Restart(ctx context.Context) error
	// Rebuild makes its container anew from the image it runs; it answers with the change.
	Rebuild(ctx context.Context) (change string, err error)
	Output() CoreOutput
}

// CoreOutput is what Home Assistant Core says and uses.
type CoreOutput interface {
	Logs(ctx context.Context, q LogRequest) (io.ReadCloser, error)
	Stats(ctx context.Context) (AddonStats, error)
	// Check has Core look at its configuration, which takes up to minutes, one look at a time. found is what is wrong, in
	// its words; "" = nothing.
	Check(ctx context.Context) (found string, err error)
}

// BackupFirst makes a backup of a service before its update. An error has left nothing behind, and the update is not begun.
type BackupFirst func(ctx context.Context, service string) error

// Error keys of Home Assistant.
const (
	KeyCoreUpdate    = "homeassistant_update_error"
	KeyCoreUpToDate  = "homeassistant_update_already_installed_error"
	KeyAddonUnknown  = "app_unknown_error"
	KeyStoreNotFound = "store_app_not_found_error"
	KeyNoJob         = "job_not_found"
	KeyJobBusy       = "job_busy"
)

// Job names work that a call began; it is empty when the call has waited for its end.
type Job struct {
	ID string `json:"job_id,omitempty"`
}

// ha makes an endpoint of a call of Home Assistant's API.
func ha[In, Out any](do func(*Server, context.Context, Caller, In) (Out, error)) endpoint {
	e := call(do).guarded(speaksHA)
	e.next = true
	return e
}

// haWork is ha for a call that waits for work it began.
func haWork[In, Out any](do func(*Server, context.Context, Caller, In) (Out, error)) endpoint {
	return ha(do).lasting()
}

func speaksHA(s *Server, r *http.Request) error {
	if s.cfg.Home == nil || s.cfg.Guests == nil {
		return noAddons()
	}
	if slug := r.PathValue("slug"); slug != "" && !slugShape.MatchString(slug) {
		return AddonNotFound(slug)
	}
	return nil
}

// withNext puts the next step into the message: Home Assistant's client shows nothing else.
func withNext(err error) error {
	var known *Error
	if !errors.As(err, &known) || known.Next == "" {
		return err
	}
	out := *known
	out.Message += ". Next: " + known.Next
	return &out
}

// backup makes a backup of a service, where one was asked for.
func (s *Server) backup(ctx context.Context, wanted bool, service, what string) error {
	switch {
	case !wanted:
		return nil
	case s.cfg.BackupFirst == nil:
		return &Error{Status: http.StatusBadRequest, Key: "backup_error", Next: "ask without the backup",
			Message: fmt.Sprintf("cannot %s with a backup before: this appliance makes none; what the update changes is kept until the new version has proved itself", what)}
	}
	if err := s.cfg.BackupFirst(ctx, service); err != nil {
		return &Error{Status: http.StatusBadRequest, Key: KeyBackup, Message: fmt.Sprintf("cannot %s: no backup could be made before: %v", what, err), Next: "castellan backup list"}
	}
	return nil
}

// background is what many calls of Home Assistant may carry.
type background struct {
	Background bool `json:"background,omitempty"` // answer with a job at once
}

// hasHAAddons is hasAddons for calls of Home Assistant.
func hasHAAddons(s *Server, r *http.Request) error {
	if err := speaksHA(s, r); err != nil {
		return err
	}
	return hasAddons(s, r)
}
