package jobs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Spec says what a job is.
type Spec struct {
	Name      string // Home Assistant's, where it has one: addon_manager_update
	Reference string // what it is about: an add-on's slug, a container's name
	Group     string // one job of a group at a time; "" = any number
	Owner     string // who asks, of whose jobs a bounded number is under way at a time; "" = the house, of which all may be
	Internal  bool   // not listed and not told of, nor what is below it; forgotten at its end. Its progress counts

	Queue      bool // waits for its group where it would be rejected; so does its request, unless Accepted is set too
	Background bool // Run answers once the work called [Job.Accepted], or is over
	Accepted   bool // all was validated before; the work need not call Accepted
	Cancel     bool // the work heeds the end of its context and leaves nothing half done

	// Share is the part of the parent's progress that a child stands for, 0 to 1. What no child stands for are the
	// parent's own bytes.
	Share float64

	Extra map[string]any // see [Job.SetExtra]; what cannot be encoded or is too large is left out
}

// phase is how far a job is. Its order is that of a life.
type phase int

const (
	queued  phase = iota // waits for its group
	running              // the work was called
	over                 // it returned, or the job left the queue
)

// Job is one piece of work, for the work itself. Its methods may be called at the same time, and after its end, when
// they do nothing.
type Job struct {
	m       *Manager
	id      string
	spec    Spec
	created time.Time
	parent  *Job

	ctx    context.Context         // nil when over: a request's values are not kept
	cancel context.CancelCauseFunc // as ctx

	turn     chan struct{} // closed when the group is free for it
	accepted chan struct{} // closed when it is validated
	ended    chan struct{} // closed when it is over and was told

	// Under the manager's mu.
	phase     phase
	valid     bool // accepted is closed
	panicked  bool
	committed bool
	adopted   bool
	unlisted  bool // a child too many, or internal
	refused   bool // ended by an error before it was accepted: nobody needs to find it again
	stage     string
	errors    []Error
	extra     map[string]json.RawMessage
	endedAt   time.Time
	unheard   bool // nobody waits for the answer any more
	answer    any
	err       error
	children  []*Job
	below     int // of a root: children at all depths
	faults    int // of a root: errors at all depths

	meter
	report
}

type jobKey struct{}

// From gives the job whose work ctx was handed to, or to whose callees it was handed on.
func From(ctx context.Context) (*Job, bool) {
	j, ok := ctx.Value(jobKey{}).(*Job)
	return j, ok
}

// newID makes the ID of a job, as Home Assistant's: a random UUID without dashes.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return hex.EncodeToString(b[:])
}

// ID is the job's, 32 hexadecimal digits.
func (j *Job) ID() string { return j.id }

// Accepted says that all was validated: what goes wrong from here on is the job's, not the request's. A work that ends
// with an error before it is taken as a request refused: its error is the answer, and the job is forgotten.
func (j *Job) Accepted() {
	j.m.mu.Lock()
	defer j.m.mu.Unlock()
	j.accept()
}

func (j *Job) accept() {
	if !j.valid {
		j.valid = true
		close(j.accepted)
	}
}

// Commit says that from here on the work cannot be cancelled. It is false if it was cancelled before, or the daemon
// stops.
func (j *Job) Commit() bool {
	r := j.root()
	j.m.mu.Lock()
	defer j.m.mu.Unlock()
	if r.phase == over || r.ctx.Err() != nil {
		return false
	}
	r.committed = true
	return true
}

// Answer keeps what the request is answered if the job is over by then: the normal answer.
func (j *Job) Answer(v any) {
	j.m.mu.Lock()
	defer j.m.mu.Unlock()
	if j.phase != over && !j.unheard {
		j.answer = v
	}
}

// SetStage names what is being done, in the words of the API. Stages of less than 250 ms may pass untold.
func (j *Job) SetStage(stage string) {
	j.update(func() bool {
		stage = cut(stage, mostName)
		news := j.stage != stage
		j.stage = stage
		return news
	})
}

// SetReference says what the job is about, where that comes to be known by the work alone: the slug of a backup.
func (j *Job) SetReference(about string) {
	j.update(func() bool {
		about = cut(about, mostName)
		news := j.spec.Reference != about
		j.spec.Reference = about
		return news
	})
}

// Capture keeps an error that does not end the work, such as one add-on of many that could not be backed up.
func (j *Job) Capture(err error) {
	if err != nil {
		e := j.m.describe(err)
		j.update(func() bool { return j.fault(e) })
	}
}

// SetExtra replaces the job's extra, an object of at most 16 KiB. Keys current and total are added when bytes are
// counted.
func (j *Job) SetExtra(extra map[string]any) error {
	raw, err := encodeExtra(extra)
	if err != nil {
		return fmt.Errorf("cannot set the extra of job %s: %w", j.id, err)
	}
	j.update(func() bool { j.extra = raw; return true })
	return nil
}

func encodeExtra(extra map[string]any) (map[string]json.RawMessage, error) {
	raw, size := make(map[string]json.RawMessage, len(extra)), 0
	for k, v := range extra {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("key %.40q: %w", k, err)
		}
		if size += len(k) + len(b); size > mostExtra {
			return nil, fmt.Errorf("it is larger than %d bytes", mostExtra)
		}
		raw[k] = b
	}
	return raw, nil
}

// update changes the job under the lock and tells of it if there is news.
func (j *Job) update(change func() (news bool)) {
	j.m.mu.Lock()
	var due []*Job
	if j.phase != over && change() {
		due = j.due(j.measure(nil))
	}
	j.m.mu.Unlock()
	j.m.tell(due...)
}

// fault adds an error; past the bound of the tree only the count of them goes on. The caller holds mu.
func (j *Job) fault(e Error) bool {
	r := j.root()
	r.faults++
	if r.faults > mostErrors {
		return false
	}
	e.Type, e.Message = cut(e.Type, mostName), cut(e.Message, mostText)
	if e.Stage == nil && j.stage != "" {
		stage := j.stage
		e.Stage = &stage
	}
	if r.faults == mostErrors {
		e.Message = cut(e.Message, mostText-64) + "; further errors of this job are not kept"
	}
	if b, err := json.Marshal(e.Fields); err != nil || len(b) > mostExtra {
		e.Fields = nil
	}
	j.errors = append(j.errors, e)
	return true
}

// root of the tree.
func (j *Job) root() *Job {
	for j.parent != nil {
		j = j.parent
	}
	return j
}

// each calls fn with the job and all below it. The caller holds mu.
func (j *Job) each(fn func(*Job)) {
	fn(j)
	for _, c := range j.children {
		c.each(fn)
	}
}

// cut is s in at most n bytes of valid UTF-8.
func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
