package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/castellan/castellan/supervisor/events"
	"github.com/castellan/castellan/supervisor/jobs"
)

// JobIDs remembers over restarts which job a change belongs to, so that a client that polls one finds it again.
type JobIDs interface {
	// KeepJob returns when it is durable.
	KeepJob(change, job string) error
	// JobOf is "" for a change whose job was not kept.
	JobOf(change string) string
}

// courses tells jobs of the changes that are theirs, and makes jobs of the changes that nobody's job is about: what moves by
// itself, or was begun by an earlier run of the daemon.
type courses struct {
	mu     sync.Mutex
	under  map[string]*course   // by change, until it rests
	owners map[string]*jobs.Job // by group: the job that makes changes there now
}

// course is one change on its way.
type course struct {
	job   *jobs.Job // nil until its turn comes
	group string
	last  Change
	rests chan struct{}
}

// Moved is told of each new state of a change, and of its progress; core says that it is about Home Assistant Core. It
// returns at once.
func (s *Server) Moved(c Change, core bool) {
	s.publish(events.Event{About: events.About{Topic: events.Change, Key: c.ID, Owner: c.Slug}, Data: c})
	t := &s.courses
	t.mu.Lock()
	w, adopt := t.under[c.ID], false
	if w == nil {
		if c.Done {
			t.mu.Unlock()
			return
		}
		w = &course{group: groupOf(c, core), rests: make(chan struct{})}
		w.job = t.owners[w.group]
		adopt = w.job == nil
		if t.under == nil {
			t.under = map[string]*course{}
		}
		t.under[c.ID] = w
	}
	w.last = c
	if c.Done {
		delete(t.under, c.ID)
		close(w.rests)
	}
	j := w.job
	t.mu.Unlock()
	if adopt {
		s.adopt(w)
	}
	if j != nil {
		show(j, c)
	}
}

func groupOf(c Change, core bool) string {
	switch {
	case c.Slug != "":
		return appGroup(c.Slug)
	case core:
		return groupCore
	}
	return "service_" + c.Service
}

// own says that a job makes the changes of a group until done is called. What it has begun and does not wait for gets a job
// of its own then.
func (t *courses) own(s *Server, group string, j *jobs.Job) (done func()) {
	if group == "" {
		return func() {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.owners == nil {
		t.owners = map[string]*jobs.Job{}
	}
	t.owners[group] = j
	return func() {
		t.mu.Lock()
		delete(t.owners, group)
		var left []*course
		for _, w := range t.under {
			if w.job == j {
				w.job = nil
				left = append(left, w)
			}
		}
		t.mu.Unlock()
		for _, w := range left {
			s.adopt(w)
		}
	}
}

// settled tells whether nothing holds a group but the job of a change that has ended.
func (s *Server) settled(ctx context.Context, group string) bool {
	t := &s.courses
	t.mu.Lock()
	owned := t.owners[group] != nil
	open := map[string]bool{}
	for id, w := range t.under {
		if w.group == group {
			open[id] = true
		}
	}
	t.mu.Unlock()
	if owned || len(open) == 0 {
		return !owned
	}
	all, err := s.cfg.Backend.Changes(ctx)
	for _, c := range all {
		if c.Done {
			delete(open, c.ID)
		}
	}
	return err == nil && len(open) == 0
}

// adopt makes a job of a change that is on its way.
func (s *Server) adopt(w *course) {
	s.courses.mu.Lock()
	c := w.last
	s.courses.mu.Unlock()
	spec := jobs.Spec{Name: jobName(c, w.group == groupCore), Reference: c.Slug, Group: w.group, Extra: extraOf(c)}
	if spec.Reference == "" {
		spec.Reference = c.Service
	}
	what, key := c.Kind+" "+spec.Reference, KeyAddonUnknown
	if c.Slug == "" {
		key = KeyCoreUpdate
	}
	follow := func(ctx context.Context, j *jobs.Job) error {
		s.courses.mu.Lock()
		w.job = j
		now := w.last
		s.courses.mu.Unlock()
		show(j, now)
		select {
		case <-w.rests:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s.courses.mu.Lock()
		now = w.last
		s.courses.mu.Unlock()
		if !now.Good {
			return notGood(now, j.ID(), what, key)
		}
		return nil
	}
	var err error
	for _, id := range []string{s.jobOf(c.ID), jobID(c.ID)} { // one job may have begun several changes
		_ = s.cfg.Jobs.Delete(id) // one that got stuck, and moves again
		if err = s.cfg.Jobs.Adopt(id, c.Created, spec, follow); err == nil {
			return
		}
	}
	s.cfg.Log.Debug("a change has no job", "change", c.ID, "error", err) // the daemon stops
}

// show tells a job how far its change is.
func show(j *jobs.Job, c Change) {
	_ = j.SetExtra(extraOf(c)) // it is small
	j.SetStage(c.State)
	if c.Total > 0 {
		j.SetParts(map[string]int64{c.ID: c.Total})
		j.SetDone(c.ID, c.Bytes)
	}
}

func extraOf(c Change) map[string]any {
	return map[string]any{"change": c.ID, "from": c.From, "to": c.To}
}

// jobName is Home Assistant's for what a change does.
func jobName(c Change, core bool) string {
	verb := map[string]string{"recreate": "rebuild", "remove": "uninstall", "rollback": "restore"}[c.Kind]
	if verb == "" {
		verb = c.Kind
	}
	switch {
	case c.Slug != "":
		return "addon_manager_" + verb
	case core:
		return "home_assistant_core_" + verb
	}
	return "service_" + verb
}

// jobID is a change's ID as Home Assistant writes one: 32 hexadecimal digits.
func jobID(change string) string {
	sum := sha256.Sum256([]byte(change))
	return hex.EncodeToString(sum[:16])
}

// jobOf is the ID of a change's job.
func (s *Server) jobOf(change string) string {
	if s.cfg.JobIDs != nil {
		if id := s.cfg.JobIDs.JobOf(change); id != "" {
			return id
		}
	}
	return jobID(change)
}

// keepJob remembers which job a change belongs to. Where that fails the client finds it under the change's own ID.
func (s *Server) keepJob(change, job string) {
	if s.cfg.JobIDs == nil {
		return
	}
	if err := s.cfg.JobIDs.KeepJob(change, job); err != nil {
		s.cfg.Log.Warn("cannot keep which job a change belongs to", "change", change, "error", err)
	}
}

// publish hands an event out. It waits for nobody.
func (s *Server) publish(e events.Event) {
	if err := s.cfg.Events.Publish(e); err != nil {
		s.cfg.Log.Error("cannot tell of an event", "error", err)
	}
}
