package trust

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// errOverrideUsed says that another change has consumed an override.
var errOverrideUsed = errors.New("the override was used by another change")

// AddOverride keeps what an owner with the right to force asked for: component, one digest, reasons, why and by whom.
// typed is what he typed when asked for the component's name again, "" if he was not. It is refused when the table
// does not let a reason be forced. log writes the override to the verification log; only when that is on disk is it
// kept, and only then can it be used. ID and times are filled in; it expires after [OverrideTTL].
func (m *Memory) AddOverride(o Override, typed string, now time.Time, log func(Override) error) (Override, error) {
	o, err := o.complete(typed, now)
	if err != nil {
		return Override{}, err
	}
	if err := log(o); err != nil {
		return Override{}, fmt.Errorf("cannot force %q: the log does not take it: %w", o.Component, err)
	}
	err = m.change(func(s *memoryState) (bool, error) {
		s.pruneOverrides(now)
		if len(s.Overrides) >= maxOverrides {
			return false, fmt.Errorf("cannot force %q: %d overrides are kept already; wait until they expire", o.Component, len(s.Overrides))
		}
		s.Overrides = append(s.Overrides, o)
		return true, nil
	})
	if err != nil {
		return Override{}, err
	}
	return o, nil
}

// ErrNoOverride says that no override of an ID waits: it was used, it is over, or it never was.
var ErrNoOverride = errors.New("no override of that ID waits to be used")

// EndOverride takes back an override that waits, as an owner asked for; log writes that down first.
func (m *Memory) EndOverride(id string, now time.Time, log func(Override) error) error {
	return m.change(func(s *memoryState) (bool, error) {
		i := slices.IndexFunc(s.Overrides, func(o Override) bool { return o.ID == id && o.UsedBy == "" && now.Before(o.Expires) })
		if i < 0 {
			return false, ErrNoOverride
		}
		if err := log(s.Overrides[i]); err != nil {
			return false, fmt.Errorf("cannot end the override for %q: %w", s.Overrides[i].Component, err)
		}
		s.Overrides = slices.Delete(s.Overrides, i, i+1)
		return true, nil
	})
}

// Overrides lists those that wait and those that were used in the last months, oldest first.
func (m *Memory) Overrides() []Override { return m.read().Overrides }

func (s *memoryState) pruneOverrides(now time.Time) {
	s.Overrides = slices.DeleteFunc(s.Overrides, func(o Override) bool {
		return o.UsedBy == "" && now.After(o.Expires) || now.Sub(o.Created) > keptOverride
	})
}

// overridesFor lists the overrides that a change could use for a subject, those it has used before first.
func (m *Memory) overridesFor(s Subject, change string, now time.Time) []Override {
	m.mu.Lock()
	defer m.mu.Unlock()
	var used, waiting []Override
	for _, o := range m.state.Overrides {
		if change == "" || o.Component != s.Component || !slices.Contains(s.Digests(), o.Digest) || !o.usable(change, now) {
			continue
		}
		if o.UsedBy != "" {
			used = append(used, o)
		} else {
			waiting = append(waiting, o)
		}
	}
	return append(used, waiting...)
}

// consume binds an override to a change, durably. The same change may do so again; any other fails.
func (m *Memory) consume(id, change string) error {
	return m.change(func(s *memoryState) (bool, error) {
		i := slices.IndexFunc(s.Overrides, func(o Override) bool { return o.ID == id })
		switch {
		case i < 0:
			return false, errOverrideUsed // pruned meanwhile: gone is as good as used
		case s.Overrides[i].UsedBy == change:
			return false, nil
		case s.Overrides[i].UsedBy != "":
			return false, errOverrideUsed
		}
		s.Overrides[i].UsedBy = change
		return true, nil
	})
}

// noted tells whether v is what was logged last for its component and image, by outcome and reason.
func (m *Memory) noted(v Verdict) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.state.Judged[v.Subject.Component], judgedOf(v))
}

// note remembers v as logged.
func (m *Memory) note(v Verdict) error {
	return m.change(func(s *memoryState) (bool, error) {
		list, now := s.Judged[v.Subject.Component], judgedOf(v)
		if slices.Contains(list, now) {
			return false, nil
		}
		list = slices.DeleteFunc(list, func(j judged) bool { return j.Digest == now.Digest })
		if list = append(list, now); len(list) > keptJudged {
			list = list[len(list)-keptJudged:]
		}
		if s.Judged == nil {
			s.Judged = map[string][]judged{}
		}
		s.Judged[v.Subject.Component] = list
		return true, nil
	})
}

func judgedOf(v Verdict) judged {
	return judged{Digest: v.Subject.Manifest, Outcome: v.Outcome, Reason: v.Reason()}
}

// Merge takes over what a restored backup remembers: floors become the higher ones, withdrawals and deny lists the
// union, pins are added where there are none. What m knows is never lost, and an override never comes back.
func (m *Memory) Merge(backup *Memory) error {
	old := backup.read()
	return m.change(func(s *memoryState) (bool, error) {
		for _, p := range old.Pins {
			have, ok := s.Pins[p.Component]
			switch {
			case !ok:
				s.setPin(p)
				continue
			case have.Publisher == "":
				have.Publisher = p.Publisher
			}
			if have.Ledger == p.Ledger && have.Floor.Before(p.Floor) {
				have.Floor = p.Floor
			}
			s.setPin(have)
		}
		for _, k := range old.Marks {
			s.addMark(k)
		}
		for _, d := range old.Denied {
			if !slices.Contains(s.Denied, d) {
				s.Denied = append(s.Denied, d)
			}
		}
		// The clock's floor stays: this appliance has lived on since, and its ledger raises it again.
		return true, nil
	})
}
