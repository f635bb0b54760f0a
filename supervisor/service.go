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
	Data      []string       `json:"data,omitempty"`  // absolute host folders that go back with a rollback
	Files     []spec.File    `json:"files,omitempty"` // written before each start, after the data was kept

	// Adopts names a container that is not ours and whose place the service takes at its installation: it is stopped and
	// renamed at the switch, kept for its owner, and comes back when the switch fails.
	Adopts string `json:"adopts,omitempty"`

	// Tended services are started by Castellan alone, in the order of Stage, lower first. The engine never starts one by
	// itself. One that ends by itself stays so until the next boot, its watchdog, or its owner. A fresh installation is
	// not started, and one that its owner stopped stays stopped over changes.
	Tended   bool `json:"tended,omitempty"`
	Stage    int  `json:"stage,omitempty"`
	Watchdog bool `json:"watchdog,omitempty"` // start a tended service again when it ended by itself or is unhealthy
}

// restart is the restart policy of the service's committed container.
func (s Service) restart() string {
	if s.Tended {
		return noRestart
	}
	return unlessStopped
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
	Configured bool   // it is in the configuration or an add-on; false for one that was taken out and still runs
	Current    *Slot  // what must run, nil when nothing is installed
	Previous   *Slot  // what a rollback goes to; its image is kept, its container is not
	Stopped    string // why it is kept stopped, "" = it must run
	Stays      bool   // and it stays so over changes
	Unproved   bool   // what is installed was never started, so it has not passed its health gate
	Trouble    string // why it does not run although it must, "" = it does, or nobody knows
	Held       bool   // it rests because somebody holds it, and runs again afterwards if it did
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
