package supervisor

import (
	"fmt"

	"github.com/castellan/castellan/supervisor/state"
)

// set is what changes that move together have decided. Its two decisions are made in one transaction over all
// members, so that every member, before and after a power cut, reads the same one.
type set struct {
	Format  int      `json:"format"`
	ID      string   `json:"id"`
	Members []string `json:"members"`
	Switch  bool     `json:"switch,omitempty"` // all were created: each may switch
	Commit  bool     `json:"commit,omitempty"` // all were healthy: each must commit
	Failed  string   `json:"failed,omitempty"` // a member failed: none goes on, those that switched roll back
}

// setError says that a member failed.
type setError struct {
	why   string
	begun bool // members may have switched
}

func (e *setError) Error() string { return e.why }

// together lets c out of created or healthy: nil when all of its set are as far, errWait when not yet, and a
// *setError when one has failed. A change without a set is always let out.
func (r *runner) together(c Change) error {
	if c.Set == "" {
		return nil
	}
	var s set
	err := r.cfg.Journal.Update(func(tx *state.Tx) (err error) {
		if s, _, err = get[set](tx, setBucket, c.Set); err != nil {
			return err
		}
		if s.Commit || s.Failed != "" {
			return nil
		}
		created, healthy := true, true
		for _, id := range s.Members {
			o, ok, err := get[Change](tx, changeBucket, id)
			if err != nil {
				return err
			}
			back := !ok || o.Leave != "" || o.State == StateRollingBack || o.State == StateStuck || o.State.Terminal() && o.State != StateCommitted
			if back {
				s.Failed = fmt.Sprintf("%q did not make it: %s", o.Service.Name, o.Why)
				return put(tx, setBucket, s.ID, s)
			}
			healthy = healthy && o.State == StateHealthy
			created = created && (o.State == StateCreated || o.State == StateSwitched || o.State == StateHealthy)
		}
		if created == s.Switch && healthy == s.Commit {
			return nil
		}
		s.Switch, s.Commit = s.Switch || created, healthy
		return put(tx, setBucket, s.ID, s)
	})
	switch {
	case err != nil:
		return err
	case s.Failed != "":
		return &setError{why: "its set was given up: " + s.Failed, begun: s.Switch}
	case c.State == StateHealthy && !s.Commit, c.State == StateCreated && !s.Switch:
		return errWait
	}
	return nil
}

// disband turns c round when its set has failed.
func (r *runner) disband(c Change, err error) (Change, error) {
	gone, ok := err.(*setError)
	if !ok {
		return c, err
	}
	if c.State == StateCreated && !gone.begun { // nothing of it was touched
		c.Leave, c.Why, c.Attempts = StateAbandoned, gone.why, 0
		return c, nil
	}
	return c.turn(StateAbandoned, gone), nil
}
