package supervisor

import (
	"time"

	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/updater"
)

// Service is how one service is run, whatever image it runs. A change carries the Service it was submitted with, so
// that a new configuration never reaches into a change that is under way.
type Service struct {
	Name      string         `json:"name"` // [a-z0-9][a-z0-9_.-]*, at most 64 bytes; the name of its container
	Class     trust.Class    `json:"class"`
	Container spec.Container `json:"container"`
	Health    spec.Health    `json:"health"`
	Data      []string       `json:"data,omitempty"` // absolute host folders that go back with a rollback
}

// defaultStop is the time between the stop signal and SIGKILL when the service says nothing.
const defaultStop = 10 * time.Second

func (s Service) stopTimeout() time.Duration {
	if s.Container.StopTimeout > 0 {
		return s.Container.StopTimeout
	}
	return defaultStop
}

// Slot is one generation of a service: an image that was permitted, and the container made from it.
type Slot struct {
	Subject   trust.Subject       `json:"subject"`
	Image     trust.Digest        `json:"image,omitempty"` // ID the engine gave it, "" before the pull
	Version   string              `json:"version"`
	Reference string              `json:"reference"`           // what was resolved; kept for people, never resolved again
	Container string              `json:"container,omitempty"` // ID, "" when it has none (any more)
	Channel   *trust.ChannelClaim `json:"channel,omitempty"`   // the channel file it came from
	Outcome   trust.Outcome       `json:"outcome,omitempty"`   // of the newest verdict
	Verdict   uint64              `json:"verdict,omitempty"`   // log record of that verdict
	Forced    []trust.Reason      `json:"forced,omitempty"`    // what an override passed over to let it in
	Change    string              `json:"change,omitempty"`    // the change that let it in; an override it used is bound to that
	Resolved  time.Time           `json:"resolved,omitzero"`   // when its reference was first resolved
	At        time.Time           `json:"at,omitzero"`         // when it was committed
}

// Status is a service as the journal knows it.
type Status struct {
	Service    Service
	Configured bool   // it is in the configuration; false for one that was taken out of it and still runs
	Current    *Slot  // what must run, nil when nothing is installed
	Previous   *Slot  // what a rollback goes to; its image is kept, its container is not
	Stopped    string // why it is kept stopped, "" = it must run
	Open       string // ID of the open change, "" = none
	Stuck      bool   // that change waits for the owner
	Failed     updater.FailedUpdate
}

// Version is the installed version, "" when nothing is installed.
func (s Status) Version() string {
	if s.Current == nil {
		return ""
	}
	return s.Current.Version
}

// Unsigned tells whether what runs was let in unsigned.
func (s *Slot) unsigned() bool { return s != nil && s.Outcome == trust.AllowUnsigned }
