package supervisor

import "errors"

// failed counts a failed try of the step out of c.State and turns the change round when there were enough. A full disk is
// not full for a moment: before the switch its owner is told at once, and the planner submits anew.
func (c Change) failed(err error) Change {
	c.Attempts++
	c.Trouble = err.Error()
	full := errors.Is(err, ErrNoSpace) && !c.State.touches() && c.Kind != KindRemove
	enough := budget[c.State] > 0 && (c.Attempts >= budget[c.State] || errors.Is(err, ErrNotPermitted) || full)
	patient := errors.Is(err, ErrEngineAway) && (c.State.touches() || c.Kind == KindRemove)
	if !enough || patient || c.Leave != "" || errors.Is(err, errStory) {
		return c
	}
	return c.turn(StateAbandoned, err)
}

// turn sends the change back: before the switch to end, else to roll back, and from there to ask the owner.
func (c Change) turn(end State, why error) Change {
	c.Attempts, c.Trouble = 0, why.Error()
	if c.State == StateRollingBack {
		c.State = StateStuck // Why stays what it was: the reason of the rollback
		return c
	}
	c.Why = why.Error()
	if c.State.touches() || c.Kind == KindRemove {
		c.State = StateRollingBack
	} else {
		c.Leave = end
	}
	return c
}

func (c Change) to(s State) Change {
	c.State, c.Attempts, c.Trouble = s, 0, ""
	return c
}
