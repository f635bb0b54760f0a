package supervisor

import (
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/castellan/castellan/trust"
)

// Kind is what a change is for.
type Kind string

// Kinds of changes. They take the same way through the machine.
const (
	KindUpdate   Kind = "update"
	KindInstall  Kind = "install"
	KindRollback Kind = "rollback" // to the previous slot, by the owner or because the image was withdrawn
	KindRecreate Kind = "recreate" // the same image in a new container: the old one is gone, or its settings changed
	KindRemove   Kind = "remove"
)

// Change is one service going from one image to another: a row of the journal. It is plain data; only the step
// function moves it, and only forward.
type Change struct {
	Format  int     `json:"format"`
	ID      string  `json:"id"` // sorts by time
	Service Service `json:"service"`
	Kind    Kind    `json:"kind"`
	State   State   `json:"state"`
	Set     string  `json:"set,omitempty"` // changes that move together share it

	Action    trust.Action        `json:"action,omitempty"`
	Reference string              `json:"reference,omitempty"` // as asked
	Version   string              `json:"version,omitempty"`   // as asked
	Promised  trust.Digest        `json:"promised,omitempty"`  // index or manifest digest the release names, "" = none
	Channel   *trust.ChannelClaim `json:"channel,omitempty"`
	Requires  []string            `json:"requires,omitempty"`

	From *Slot `json:"from,omitempty"` // what runs now
	To   *Slot `json:"to,omitempty"`   // what is to run; grows on the way: subject, image, container

	Raw     *trust.Raw     `json:"raw,omitempty"`     // until the engine holds the image
	Verdict *trust.Verdict `json:"verdict,omitempty"` // newest one

	Attempts int       `json:"attempts,omitempty"` // of the step out of State, failed in a row
	Trouble  string    `json:"trouble,omitempty"`  // the error of the last of them
	Why      string    `json:"why,omitempty"`      // why the change turned round, if it did
	Leave    State     `json:"leave,omitempty"`    // the way is back, to this end; only before the switch
	Asleep   bool      `json:"asleep,omitempty"`   // the service is not started: it was stopped before, or is fresh and tended
	Aside    *Aside    `json:"aside,omitempty"`    // whose place it takes, see Service.Adopts
	Record   uint64    `json:"record,omitempty"`   // the story's record of the end
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	Switched time.Time `json:"switched,omitzero"`
	Passed   []Passage `json:"passed,omitempty"` // the states it reached, oldest first; for people alone

	wake bool // asked for: the service runs afterwards, whatever it did before
}

// Passage is when a change reached a state.
type Passage struct {
	State State     `json:"state"`
	At    time.Time `json:"at"`
}

// mostPassed bounds what is kept of a stuck change that is tried again and again.
const mostPassed = 24

// pass notes that a state was reached.
func (c *Change) pass(now time.Time) {
	c.Passed = append(slices.Clone(c.Passed), Passage{c.State, now})
	if n := len(c.Passed); n > mostPassed {
		c.Passed = c.Passed[n-mostPassed:]
	}
}

// Open tells whether the change has not ended. A stuck one is open and waits.
func (c Change) Open() bool { return !c.State.Terminal() }

// Resting tells whether nothing moves the change any more by itself: it has ended, or it is stuck and said so.
func (c Change) Resting() bool { return c.State.Terminal() || c.State == StateStuck && c.Record != 0 }

// newID makes a change's ID: sorts by time to the nanosecond, for the journal's order is the order of IDs; fits into
// container names and host names.
func newID(now time.Time) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails
	return fmt.Sprintf("%s%09d-%x", now.UTC().Format("20060102t150405"), now.Nanosecond(), b)
}

// containerName is the new container's name until it is committed.
func (c Change) containerName() string { return c.Service.Name + "." + c.ID }

// version of a slot that may not be there.
func version(s *Slot) string {
	if s == nil {
		return ""
	}
	return s.Version
}
