package trust

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/castellan/castellan/config/durable"
)

// memoryFormat is the version of the file. A newer one is refused: an older program would drop what it can't read.
const memoryFormat = 1

const (
	maxMemoryBytes = 16 << 20
	maxOverrides   = 200
	keptOverride   = 90 * 24 * time.Hour // a change that was cut off may come back for its override that late
	keptJudged     = 4                   // last outcomes per component: the slots, and what was refused
)

// Memory is what an appliance must not forget about trust: pins and floors, withdrawals seen, overrides, the deny
// list, the last re-judgements and the clock's floor. It is one file, written durably before a change to it is
// visible to anybody, and safe for concurrent use.
//
// Trust statement: the file is believed. Whoever can write it — the appliance's root user — can drop a pin or a
// floor and so let an older image in, but can make no image count as notarized. A missing file is an error
// ([StateMissing]) and never a fresh start; only [InitMemory] makes one.
type Memory struct {
	path  string
	mu    sync.Mutex
	state memoryState
}

type memoryState struct {
	Format    int                 `json:"format"`
	Pins      map[string]Pin      `json:"pins,omitempty"`
	Marks     []Mark              `json:"marks,omitempty"`
	Overrides []Override          `json:"overrides,omitempty"`
	Denied    []Digest            `json:"denied,omitempty"`
	Judged    map[string][]judged `json:"judged,omitempty"`
	Clock     clockState          `json:"clock,omitzero"`
}

// judged is the last logged outcome for one image of a component.
type judged struct {
	Digest  Digest  `json:"digest"`
	Outcome Outcome `json:"outcome"`
	Reason  Reason  `json:"reason,omitempty"`
}

// InitMemory makes the file of a new appliance. It fails when there is one.
func InitMemory(path string) (*Memory, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("cannot initialise trust state %s: it exists; remove it only to forget every pin and floor", path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot initialise trust state: %w", err)
	}
	m := &Memory{path: path, state: memoryState{Format: memoryFormat}}
	if err := m.write(m.state); err != nil {
		return nil, fmt.Errorf("cannot initialise trust state: %w", err)
	}
	return m, nil
}

// OpenMemory reads the file. A missing, damaged or newer one is a [StateError]; the caller defers every judgement and
// tells the owner.
func OpenMemory(path string) (*Memory, error) {
	fail := func(err error) (*Memory, error) {
		return nil, &StateError{Why: StateMissing, What: "trust state " + path, Err: err}
	}
	f, err := os.Open(path)
	if err != nil {
		return fail(err)
	}
	defer f.Close() // only read
	if fi, err := f.Stat(); err != nil {
		return fail(err)
	} else if fi.Size() > maxMemoryBytes {
		return fail(fmt.Errorf("%d bytes, the limit is %d", fi.Size(), maxMemoryBytes))
	}
	m := &Memory{path: path}
	if err := json.UnmarshalRead(f, &m.state, json.RejectUnknownMembers(true)); err != nil {
		return fail(err)
	}
	if m.state.Format != memoryFormat {
		return fail(fmt.Errorf("format %d, this program reads format %d; install the version of castellan that wrote it", m.state.Format, memoryFormat))
	}
	return m, nil
}

func (m *Memory) write(s memoryState) error {
	b, err := json.Marshal(s, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return durable.WriteFile(m.path, append(b, '\n'), 0o600)
}

// change lets edit work on a copy and makes the copy the state once it is on disk. edit returns false when nothing
// changed. After a failed write the old state stays, in memory as on disk.
func (m *Memory) change(edit func(*memoryState) (bool, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.state.clone()
	changed, err := edit(&next)
	if err != nil || !changed {
		return err
	}
	if err := m.write(next); err != nil {
		return fmt.Errorf("cannot keep trust state: %w", err)
	}
	m.state = next
	return nil
}

func (s memoryState) clone() memoryState {
	s.Pins = maps.Clone(s.Pins)
	s.Marks = slices.Clone(s.Marks)
	s.Overrides = slices.Clone(s.Overrides)
	s.Denied = slices.Clone(s.Denied)
	s.Judged = maps.Clone(s.Judged)
	for k, v := range s.Judged {
		s.Judged[k] = slices.Clone(v)
	}
	return s
}

// read gives a copy of the state.
func (m *Memory) read() memoryState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.clone()
}

// Pins lists what is remembered of each component, by name.
func (m *Memory) Pins() []Pin {
	return slices.SortedFunc(maps.Values(m.read().Pins), func(a, b Pin) int { return cmp.Compare(a.Component, b.Component) })
}

// Pin is what is remembered of a component, nil when nothing is.
func (m *Memory) Pin(component string) *Pin {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p, ok := m.state.Pins[component]; ok {
		return &p
	}
	return nil
}

// Forget drops a component's pin and floor, as an owner asked for; log writes that down first. Uninstalling a
// component is no reason to call it. A component without a pin is a success.
func (m *Memory) Forget(component string, log func(Pin) error) error {
	return m.change(func(s *memoryState) (bool, error) {
		p, ok := s.Pins[component]
		if !ok {
			return false, nil
		}
		if err := log(p); err != nil {
			return false, fmt.Errorf("cannot forget %q: %w", component, err)
		}
		delete(s.Pins, component)
		return true, nil
	})
}

// pin remembers a component's publisher on its first ALLOW, and never changes one that is remembered.
func (m *Memory) pin(component, publisher, ledger string) error {
	return m.change(func(s *memoryState) (bool, error) {
		p := s.Pins[component]
		if publisher == "" || p.Publisher != "" || p.Ledger != "" && p.Ledger != ledger {
			return false, nil
		}
		p.Component, p.Publisher, p.Ledger = component, publisher, ledger
		s.setPin(p)
		return true, nil
	})
}

// raise lifts a component's floor; a lower one changes nothing. Positions of another ledger can't be compared: when
// the root has moved the component there, the floor starts anew, else it stays as it is.
func (m *Memory) raise(component, ledger string, floor Position, moved bool) error {
	return m.change(func(s *memoryState) (bool, error) {
		p := s.Pins[component]
		elsewhere := p.Ledger != "" && p.Ledger != ledger
		if floor == (Position{}) || elsewhere && !moved || !elsewhere && !p.Floor.Before(floor) {
			return false, nil
		}
		p.Component, p.Ledger, p.Floor = component, ledger, floor
		s.setPin(p)
		return true, nil
	})
}

func (s *memoryState) setPin(p Pin) {
	if s.Pins == nil {
		s.Pins = map[string]Pin{}
	}
	s.Pins[p.Component] = p
}

// Marks lists the withdrawals seen.
func (m *Memory) Marks() []Mark { return m.read().Marks }

func (m *Memory) marksFor(ds []Digest) []Mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Mark
	for _, k := range m.state.Marks {
		if slices.Contains(ds, k.Digest) {
			out = append(out, k)
		}
	}
	return out
}

func (m *Memory) mark(k Mark) error {
	return m.change(func(s *memoryState) (bool, error) { return s.addMark(k), nil })
}

func (s *memoryState) addMark(k Mark) bool {
	if slices.ContainsFunc(s.Marks, k.same) {
		return false
	}
	s.Marks = append(s.Marks, k)
	return true
}

// Denied is the owner's deny list.
func (m *Memory) Denied() []Digest { return m.read().Denied }

// Deny puts d on the deny list.
func (m *Memory) Deny(d Digest) error {
	if _, err := ParseDigest(string(d)); err != nil {
		return err
	}
	return m.change(func(s *memoryState) (bool, error) {
		if slices.Contains(s.Denied, d) {
			return false, nil
		}
		s.Denied = append(s.Denied, d)
		return true, nil
	})
}

// Undeny takes d off the deny list; one that is not on it is a success.
func (m *Memory) Undeny(d Digest) error {
	return m.change(func(s *memoryState) (bool, error) {
		n := len(s.Denied)
		s.Denied = slices.DeleteFunc(s.Denied, func(o Digest) bool { return o == d })
		return len(s.Denied) != n, nil
	})
}
