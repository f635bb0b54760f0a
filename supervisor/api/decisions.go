package api

import (
	"context"
	"time"
)

// Decisions is what the owner decides of updates, and what follows from it. by is the caller in words. Undoing what is
// not there is no error: the answer says that nothing changed. Services are named as in the status; the slug of an
// add-on is taken for its service.
type Decisions interface {
	Decided(ctx context.Context) (DecisionList, error)
	SetMode(ctx context.Context, r ModeRequest, by string) (Decision, error)
	Hold(ctx context.Context, r HoldRequest, by string) (Decision, error)
	Skip(ctx context.Context, r SkipRequest, by string) (Decision, error)
	AddWindow(ctx context.Context, r WindowRequest, by string) (Decision, error)
	RemoveWindow(ctx context.Context, id int, by string) (Decision, error)
	// Preview says what would happen to each service now, and changes nothing. With sizes registries are asked for the
	// size of images that are not known yet, in bounded time.
	Preview(ctx context.Context, sizes bool) (PlanPreview, error)
}

// DecisionList is the answer of /castellan/decisions: every service in the order of the status, then those that only a
// decision names.
type DecisionList struct {
	Services []ServiceDecisions `json:"services"`
	Windows  []Window           `json:"windows"`
	Open     bool               `json:"open"`            // updates may begin by themselves now
	Next     time.Time          `json:"next,omitzero"`   // when they may, with windows
	Zone     string             `json:"zone"`            // the appliance's, for times without one
	Error    string             `json:"error,omitempty"` // why the decisions can't be told
}

// ServiceDecisions is what was decided of one service.
type ServiceDecisions struct {
	Service string `json:"service"`
	Mode    string `json:"mode"`    // in force: auto, ask, off, hold
	Default string `json:"default"` // what it is without a decision, "-" for what is not configured
	Decided *Said  `json:"decided,omitempty"`
	Hold    *Hold  `json:"hold,omitempty"`
	Skips   []Skip `json:"skips"`
}

// Said is who decided something, and when.
type Said struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Hold keeps a service where it is.
type Hold struct {
	Until time.Time `json:"until,omitzero"` // left out = until it is ended
	Why   string    `json:"why,omitempty"`
	Said
}

// Skip is a version that is passed over.
type Skip struct {
	Version string `json:"version"`
	Said
}

// Window is a maintenance window.
type Window struct {
	ID   int       `json:"id"`
	Days []string  `json:"days"` // mon to sun; none = every day
	From string    `json:"from"`
	To   string    `json:"to"`
	Zone string    `json:"zone"`
	Open bool      `json:"open"`
	Next time.Time `json:"next,omitzero"` // when it opens; now when it is open
	Said
}

// ModeRequest sets an update mode. Mode is off, ask, auto, or default: what the configuration says.
type ModeRequest struct {
	Service string `json:"service"`
	Mode    string `json:"mode"`
}

// HoldRequest begins a hold, or ends it.
type HoldRequest struct {
	Service string `json:"service"`
	Until   string `json:"until,omitempty"` // "2026-12-24" (as the day begins), "2026-12-24 18:00", or RFC 3339; empty = until it is ended
	Why     string `json:"why,omitempty"`
	End     bool   `json:"-"`
}

// SkipRequest passes over a version, or takes it again: without a version all of them.
type SkipRequest struct {
	Service string `json:"service"`
	Version string `json:"version,omitempty"`
	End     bool   `json:"-"`
}

// WindowRequest adds a maintenance window.
type WindowRequest struct {
	Days []string `json:"days,omitempty"` // "mon" to "sun", or "mon-fri"; none = every day
	From string   `json:"from"`           // "22:00"
	To   string   `json:"to"`             // "04:00"; at or before From it is on the day after
	Zone string   `json:"zone,omitempty"` // IANA time zone; empty = the appliance's
}

// WindowRemoval removes a maintenance window.
type WindowRemoval struct {
	ID int `json:"id"`
}

// Decision answers a decision.
type Decision struct {
	Changed bool              `json:"changed"`       // false: it was so already
	Seq     uint64            `json:"seq,omitempty"` // its verification log record
	Service *ServiceDecisions `json:"service,omitempty"`
	Window  *Window           `json:"window,omitempty"`
}

// PlanPreview is the answer of /castellan/plan.
type PlanPreview struct {
	Made     time.Time     `json:"made"`
	Together bool          `json:"together"` // what comes from the channel moves as one
	Open     bool          `json:"open"`     // updates may begin by themselves now
	Next     time.Time     `json:"next,omitzero"`
	Services []PlanService `json:"services"`
	Download int64         `json:"download"` // of all that moves, as far as it is known
	Disk     PlanDisk      `json:"disk"`
}

// PlanDisk holds what a plan needs against what there is, in bytes.
type PlanDisk struct {
	// Needed is an estimate for all that moves: the images as they are downloaded, and three times that unpacked. Copies
	// of data are not in it.
	Needed int64 `json:"needed"`
	Free   int64 `json:"free"` // where there is least: the data folder or the engine's
	Enough bool  `json:"enough"`
}

// PlanService is what would happen to one service.
type PlanService struct {
	Service  string    `json:"service"`
	Class    string    `json:"class"`
	Mode     string    `json:"mode"`
	From     string    `json:"from"` // "" = not installed
	To       string    `json:"to"`   // "" = nothing is known
	Moves    bool      `json:"moves"`
	Code     string    `json:"code,omitempty"` // why it does not, as in a plan's skips
	Why      string    `json:"why,omitempty"`
	Next     string    `json:"next,omitempty"` // what a person can do
	Ends     time.Time `json:"ends,omitzero"`  // when that ends by itself, where it is known
	Bytes    int64     `json:"bytes"`          // to download at most: layers that are here already are not fetched again
	Known    bool      `json:"bytes_known"`
	Trouble  string    `json:"trouble,omitempty"` // why the size is not known
	Restarts bool      `json:"restarts"`          // it runs and would be stopped and started
	Backup   bool      `json:"backup,omitempty"`  // one is made before
	Breaking bool      `json:"breaking"`          // the version breaks with what was before
	Options  string    `json:"options,omitempty"` // why the options are not good for the version
	Consent  []string  `json:"consent"`           // rights the version asks for that were not granted
}
