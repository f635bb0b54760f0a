package access

import (
	"fmt"
	"time"
)

// Event is a change of the register as it is written down elsewhere. It holds nothing that opens a door.
type Event struct {
	What  string // "user added", "owner made", "user removed", "role changed", "password set", "token made", "token removed", "register reset"
	User  string // whose it is
	Role  Role   // that he, or the token, has now
	Token string // its ID
	Name  string // what the token is for
}

// Witness is told of a change when all of it was checked, and before it counts. It returns when that is written down. An error
// fails the call: what would give rights is not done then. What takes them away counts at once all the same, stays off the disk,
// and is told again with the next change and by [Access.Tend]. A power cut
// after it was told leaves a word about what did not come to be.
type Witness func(Event) error

// mostOwed bounds what is remembered for a witness that fails.
const mostOwed = 256

// debt is something that a witness was not told of yet.
type debt struct {
	to Witness
	of Event
}

// tell tells all witnesses of what is owed and then of e, in that order. With owing, what can't be told now is owed. The caller
// holds writing.
func (a *Access) tell(ws []Witness, e Event, owing bool) (err error) {
	for len(a.owed) > 0 && err == nil {
		if err = a.owed[0].to(a.owed[0].of); err == nil {
			a.owed = a.owed[1:]
		}
	}
	for _, w := range ws {
		if err == nil {
			err = w(e)
		}
		if err == nil || !owing {
			continue
		}
		if len(a.owed) == mostOwed {
			a.opts.Log.Error("a change of the register of users is not written down", "what", e.What, "user", e.User, "token", e.Token)
			continue
		}
		a.owed = append(a.owed, debt{w, e})
	}
	if err != nil {
		return fmt.Errorf("cannot write down what changes: %w", err)
	}
	return nil
}

// plainly is a change that no witness is told of.
func plainly(fn func(s *state, now time.Time) error) func(*state, time.Time) (Event, error) {
	if fn == nil {
		return nil
	}
	return func(s *state, now time.Time) (Event, error) { return Event{}, fn(s, now) }
}
