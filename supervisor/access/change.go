package access

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// live is a state that can be asked quickly. Its maps point into its slices.
type live struct {
	state
	byName   map[string]*user
	byCookie map[digest]*session
	byToken  map[digest]*token
}

func newLive(s state) live {
	l := live{state: s, byName: map[string]*user{}, byCookie: map[digest]*session{}, byToken: map[digest]*token{}}
	for i := range s.Users {
		l.byName[s.Users[i].Name] = &s.Users[i]
	}
	for i := range s.Sessions {
		l.byCookie[s.Sessions[i].Hash] = &s.Sessions[i]
	}
	for i := range s.Tokens {
		l.byToken[s.Tokens[i].Hash] = &s.Tokens[i]
	}
	return l
}

// errKeep says that a change could not be written.
var errKeep = errors.New("cannot keep who may come in")

// change is the one way to change the register: fn changes a copy, at the time now, which is written and then counts.
// With anyway the copy counts even when it can't be written, because it takes access away from somebody; then the error
// is [errKeep] and [Access.Tend] writes again. A nil fn only writes.
func (a *Access) change(anyway bool, fn func(s *state, now time.Time) error) error {
	return a.witnessed(anyway, nil, plainly(fn))
}

// witnessed is change, of which witnesses are told after fn and before it is written.
func (a *Access) witnessed(anyway bool, ws []Witness, fn func(s *state, now time.Time) (Event, error)) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.mu.Lock()
	if err := a.closed; err != nil {
		a.mu.Unlock()
		return err
	}
	now := a.clock.read()
	next := a.live.clone()
	var back time.Duration
	if a.clock.wrong() {
		back = a.clock.ahead()
	}
	a.mu.Unlock()

	next.dropEnded(a.opts, now)
	if back > 0 {
		next.shift(now, back)
		now = now.Add(-back)
	}
	var e Event
	if fn != nil {
		var err error
		if e, err = fn(&next, now); err != nil {
			return err
		}
	}
	next.Mark = now
	b, err := encode(next)
	if err == nil {
		err = a.tell(ws, e, anyway)
	}
	if err == nil {
		err = a.disk.write(a.path, b)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errKeep, err)
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dirty = err != nil; a.dirty && !anyway {
		return err // the file may hold it nevertheless, until the next writing
	}
	a.touched = false
	if back > 0 {
		a.clock.giveUp(back)
	} else {
		a.touched = next.takeUses(a.live)
	}
	a.live = newLive(next)
	if len(next.Users) > 0 {
		a.code = ""
	}
	if err == nil {
		a.written = now
	}
	return err
}

// takeUses takes over what was used while the copy was written, and tells whether there was any.
func (s *state) takeUses(l live) (any bool) {
	for i := range s.Sessions {
		if v, ok := l.byCookie[s.Sessions[i].Hash]; ok && v.Seen.After(s.Sessions[i].Seen) {
			s.Sessions[i].Seen, any = v.Seen, true
		}
	}
	for i := range s.Tokens {
		if v, ok := l.byToken[s.Tokens[i].Hash]; ok && v.Used.After(s.Tokens[i].Used) {
			s.Tokens[i].Used, any = v.Used, true
		}
	}
	return any
}

// dropEnded removes sessions that have ended. Tokens that have stay listed, so that their owner sees why.
func (s *state) dropEnded(o Options, now time.Time) {
	s.Sessions = slices.DeleteFunc(s.Sessions, func(v session) bool { return v.ended(o, now) })
}

func (s *state) anyEnded(o Options, now time.Time) bool {
	return slices.ContainsFunc(s.Sessions, func(v session) bool { return v.ended(o, now) })
}

// shift moves all times from now back by d: ages stay, what has ended stays so.
func (s *state) shift(now time.Time, d time.Duration) {
	for i := range s.Sessions {
		v := &s.Sessions[i]
		v.Created, v.Seen = v.Created.Add(-d), v.Seen.Add(-d)
	}
	for i := range s.Tokens {
		if v := &s.Tokens[i]; v.ended(now) {
			v.End = now.Add(-d)
		}
		if v := &s.Tokens[i]; v.Used.After(now.Add(-d)) {
			v.Used = now.Add(-d).Truncate(day)
		}
	}
}
