package jobs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"time"
)

// Work is what a job does. Its context carries the values of the request and the job ([From]), and ends when the job is
// cancelled or the daemon stops, not with the request. A panic in it is the job's error; one in a goroutine that the
// work started is the daemon's end, as everywhere.
type Work func(ctx context.Context, j *Job) error

// Outcome is what a request can be answered.
type Outcome struct {
	ID     string // "" when there is no job to be found
	Over   bool   // the work is over: Answer counts, or the error
	Answer any    // as the work set it
}

// group is who works under one name, and who waits for it, in order.
type group struct {
	holder *Job
	queue  []*Job
}

// Run does work as a job and returns when it is over, with its error; with Spec.Background also once it is accepted.
// When ctx ends before, Run returns with its error and the job's ID, and the work goes on.
//
// Without any job it returns ctx's error when ctx has ended already, a [BusyError] when the group is taken and Spec.Queue is not set, [ErrTooMany] when it is
// set and too many wait, and [ErrStopping].
func (m *Manager) Run(ctx context.Context, s Spec, work Work) (Outcome, error) {
	if ctx.Err() != nil {
		return Outcome{Over: true}, context.Cause(ctx)
	}
	j := m.newJob(context.WithoutCancel(ctx), newID(), time.Now(), s)
	if err := m.begin(j, work); err != nil {
		return Outcome{Over: true}, err
	}
	var accepted <-chan struct{}
	if s.Background {
		accepted = j.accepted
	}
	select {
	case <-j.ended:
		return j.outcome()
	case <-accepted:
	case <-ctx.Done():
	}
	select {
	case <-j.ended:
		return j.outcome()
	default:
	}
	m.mu.Lock()
	j.unheard, j.answer = true, nil
	m.mu.Unlock()
	if s.Background && ctx.Err() == nil {
		return Outcome{ID: j.id}, nil
	}
	return Outcome{ID: j.id}, fmt.Errorf("cannot wait for job %s, which goes on: %w", j.id, context.Cause(ctx))
}

var idForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Adopt does the rest of work that an earlier run of the daemon began, under the ID and with the time that its clients
// know. It returns at once. The job waits for its group however many do: it had its turn before.
func (m *Manager) Adopt(id string, created time.Time, s Spec, work Work) error {
	if !idForm.MatchString(id) {
		return fmt.Errorf("cannot adopt job %.40q: an ID is 32 hexadecimal digits in lower case", id)
	}
	s.Queue, s.Background, s.Accepted = true, true, true
	j := m.newJob(context.Background(), id, created, s)
	j.adopted = true
	if err := m.begin(j, work); err != nil {
		return fmt.Errorf("cannot adopt job %s: %w", id, err)
	}
	return nil
}

func (m *Manager) newJob(ctx context.Context, id string, created time.Time, s Spec) *Job {
	s.Name, s.Reference, s.Share = cut(s.Name, mostName), cut(s.Reference, mostName), share(s.Share)
	j := &Job{m: m, id: id, spec: s, created: created, turn: make(chan struct{}), accepted: make(chan struct{}), ended: make(chan struct{})}
	j.extra, _ = encodeExtra(s.Extra) // as Spec says
	j.ctx, j.cancel = context.WithCancelCause(context.WithValue(ctx, jobKey{}, j))
	if s.Accepted {
		j.accept() // nobody else knows it yet
	}
	return j
}

// begin lets a root in and starts it, or says why not.
func (m *Manager) begin(j *Job, work Work) error {
	m.mu.Lock()
	err := m.admit(j)
	m.mu.Unlock()
	if err != nil {
		j.cancel(err)
		return err
	}
	cancel := j.cancel
	unhook := context.AfterFunc(m.ctx, func() { cancel(ErrStopping) })
	go func() {
		defer m.work.Done()
		defer unhook()
		m.do(j, work)
	}()
	return nil
}

// admit takes the group or a place in its queue. The caller holds mu.
func (m *Manager) admit(j *Job) error {
	switch {
	case m.stopped || m.ctx.Err() != nil:
		return ErrStopping
	case m.all[j.id] != nil:
		return errors.New("it is known already")
	case m.open >= mostOpen && !j.adopted:
		return fmt.Errorf("%w: %d are under way; try again when some are over", ErrTooMany, m.open)
	case j.spec.Owner != "" && m.owned(j.spec.Owner) >= mostOwned:
		return fmt.Errorf("%w: %d of %s are under way; try again when some are over", ErrTooMany, mostOwned, j.spec.Owner)
	}
	if err := m.take(j); err != nil {
		return err
	}
	m.work.Add(1)
	m.open++
	m.all[j.id] = j
	m.roots = append(m.roots, j)
	return nil
}

// owned is how many roots of an owner are not over. The caller holds mu.
func (m *Manager) owned(by string) (n int) {
	for _, j := range m.roots {
		if j.spec.Owner == by && j.phase != over {
			n++
		}
	}
	return n
}

// take gives j its group, or a place in the queue. The caller holds mu.
func (m *Manager) take(j *Job) error {
	if j.spec.Group == "" {
		close(j.turn)
		return nil
	}
	g := m.groups[j.spec.Group]
	switch {
	case g == nil:
		m.groups[j.spec.Group] = &group{holder: j}
		close(j.turn)
		return nil
	case !j.spec.Queue:
		return &BusyError{Group: j.spec.Group}
	case m.waiting >= m.cfg.Queue && !j.adopted:
		return fmt.Errorf("%w: %d wait already; try again when some are over", ErrTooMany, m.waiting)
	}
	if !j.adopted {
		m.waiting++
	}
	g.queue = append(g.queue, j)
	return nil
}

// release takes j out of its group, wherever it stands there, and gives the group to the next. The caller holds mu.
func (m *Manager) release(j *Job) {
	g := m.groups[j.spec.Group]
	if g == nil {
		return
	}
	if g.holder != j {
		if i := slices.Index(g.queue, j); i >= 0 {
			g.queue = slices.Delete(g.queue, i, i+1)
			m.left(j)
		}
		return
	}
	if len(g.queue) == 0 {
		delete(m.groups, j.spec.Group)
		return
	}
	g.holder = g.queue[0]
	g.queue = slices.Delete(g.queue, 0, 1)
	m.left(g.holder)
	close(g.holder.turn)
}

// left counts j out of the queue. The caller holds mu.
func (m *Manager) left(j *Job) {
	if !j.adopted {
		m.waiting--
	}
}

// do waits for the job's turn and does its work.
func (m *Manager) do(j *Job, work Work) {
	err := errors.New("the work ended without a word") // unless it says one
	defer func() { m.finish(j, err) }()
	select {
	case <-j.turn:
	default:
		m.announce(j) // that it waits
		select {
		case <-j.turn:
		case <-j.ctx.Done():
			err = context.Cause(j.ctx)
			return
		}
	}
	m.mu.Lock()
	j.phase = running
	m.mu.Unlock()
	m.announce(j)
	err = m.guarded(j, work)
}

// guarded makes an error of a panic. What it says goes to the log alone: it may hold anything.
func (m *Manager) guarded(j *Job, work Work) (err error) {
	defer func() {
		if p := recover(); p != nil {
			m.mu.Lock()
			j.panicked = true // it must be found again
			about := j.spec.Reference
			m.mu.Unlock()
			m.cfg.Log.Error("a job panicked", "job", j.id, "name", j.spec.Name, "reference", about, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error in %s; the daemon's log says more", j.spec.Name)
		}
	}()
	return work(j.ctx, j)
}

// finish ends the job, gives its group on, and tells.
func (m *Manager) finish(j *Job, err error) {
	if err != nil {
		err = told(err, context.Cause(j.ctx))
	}
	var e Error
	if err != nil {
		e = m.describe(err)
	}
	m.mu.Lock()
	j.err, j.endedAt = err, time.Now()
	if err != nil {
		j.fault(e)
		j.refused = !j.valid && !j.panicked && j.parent == nil
	}
	due := j.end(err == nil)
	j.phase = over
	cancel := j.cancel
	j.ctx, j.cancel = nil, nil
	m.release(j)
	if j.parent == nil {
		m.open--
		if j.refused || j.spec.Internal {
			m.drop(j)
		}
	}
	m.prune()
	m.mu.Unlock()
	cancel(nil)
	m.tell(due...)
	m.announce(j)
	close(j.ended)
}

// told is err as clients read it: work that was ended from outside says so first.
func told(err, cause error) error {
	switch {
	case cause == nil || errors.Is(err, cause):
		return err
	case !errors.Is(cause, ErrCancelled) && !errors.Is(cause, ErrStopping):
		return err
	case errors.Is(err, context.Canceled):
		return cause
	}
	return fmt.Errorf("%w: %w", cause, err)
}

func (j *Job) outcome() (Outcome, error) {
	j.m.mu.Lock()
	defer j.m.mu.Unlock()
	o := Outcome{ID: j.id, Over: true, Answer: j.answer}
	j.answer = nil
	if j.refused {
		o.ID = ""
	}
	return o, j.err
}

// Child does work as a part of the job and returns when it is over. It heeds Name, Reference, Group, Internal, Share and
// Extra of its Spec. It never waits for a group, as two that wait for each other never end: a group that neither this job nor one
// above holds is taken if it is free, and a [BusyError] if not. ctx is the work's.
func (j *Job) Child(ctx context.Context, s Spec, work Work) error {
	m := j.m
	s.Queue, s.Background, s.Accepted, s.Cancel, s.Internal = false, false, true, false, s.Internal || j.spec.Internal
	for up := j; up != nil; up = up.parent {
		if up.spec.Group == s.Group {
			s.Group = ""
		}
	}
	c := m.newJob(ctx, newID(), time.Now(), s)
	m.mu.Lock()
	err := m.join(j, c)
	m.mu.Unlock()
	if err != nil {
		c.cancel(err)
		return fmt.Errorf("cannot start %s: %w", s.Name, err)
	}
	m.do(c, work)
	<-c.ended
	_, err = c.outcome()
	return err
}

// join makes c a child of j. The caller holds mu.
func (m *Manager) join(j, c *Job) error {
	if j.phase == over {
		return fmt.Errorf("job %s is over", j.id)
	}
	if err := m.take(c); err != nil {
		return err
	}
	c.parent = j
	j.expect(c.spec.Share)
	r := j.root()
	if c.unlisted = c.spec.Internal || r.below >= mostChildren; !c.unlisted {
		r.below++
		j.children = append(j.children, c)
		m.all[c.id] = c
	}
	return nil
}
