package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/jobs"
	"github.com/castellan/castellan/updater"
)

// task is a long operation of Home Assistant's API: a job under the name that its clients listen for.
type task struct {
	name, about string // of the job, as jobs.Spec has them
	group       string // see appGroup; "" = any number at a time
	queue       bool   // waits for its group instead of being rejected
	cancel      bool   // can be interrupted and leaves nothing half done
	accepted    bool   // there is nothing to validate
	background  bool   // is answered with its job once it is validated
	told        bool   // its answer names the job also when it is over

	what string // verb phrase of errors
	key  string // error key of a failure
	none string // and of nothing to do
}

// Job groups of Home Assistant: one job of a group at a time.
const (
	groupCore     = "home_assistant_core"
	groupStore    = "store_manager"
	groupSecurity = "security_manager"
	groupBackup   = "backup_manager"
)

// appGroup is the job group of an add-on.
func appGroup(slug string) string { return "app_" + slug }

// app is a task about an add-on.
func app(name, slug, verb string) task {
	return task{name: name, about: slug, group: appGroup(slug), what: verb + " " + slug, key: KeyAddonUnknown}
}

// change does a task that makes changes, which do begins, and waits for their end, or until they are accepted if that goes
// on in the background. What ended otherwise than it was asked for is an error: Home Assistant's Supervisor answers that a
// rolled back update was fine, and nobody notices.
func (s *Server) change(ctx context.Context, t task, do func(context.Context) (Accepted, error)) (Job, error) {
	job, _, err := work(ctx, s, t, func(ctx context.Context, j *jobs.Job) (none, error) {
		a, err := do(ctx)
		if err != nil {
			return none{}, err
		}
		return none{}, s.await(ctx, j, a, t)
	})
	return job, err
}

// work does a task as a job. It goes on when the caller leaves.
func work[Out any](ctx context.Context, s *Server, t task, do func(context.Context, *jobs.Job) (Out, error)) (job Job, answer Out, err error) {
	spec := jobs.Spec{Name: t.name, Reference: t.about, Group: t.group, Queue: t.queue, Cancel: t.cancel, Background: t.background, Accepted: t.accepted}
	if c, _ := ctx.Value(callerKey{}).(Caller); c.Kind == KindAddon { // its calls are counted, but it may leave and ask again
		spec.Owner = c.String()
	}
	out, err := s.runJob(ctx, spec, func(ctx context.Context, j *jobs.Job) error {
		defer s.courses.own(s, t.group, j)()
		answer, err := do(ctx, j)
		if err != nil {
			return err
		}
		j.Answer(answer)
		return nil
	})
	if err != nil {
		return Job{}, answer, s.unfinished(ctx, t, out, err)
	}
	if !out.Over {
		return Job{out.ID}, answer, nil
	}
	answer, _ = out.Answer.(Out)
	if t.told {
		return Job{out.ID}, answer, nil
	}
	return Job{}, answer, nil
}

// runJob runs a job. Who has seen the end of a change may go on at once: its job, which ends a moment later, is waited for.
func (s *Server) runJob(ctx context.Context, spec jobs.Spec, do jobs.Work) (out jobs.Outcome, err error) {
	var busy *jobs.BusyError
	for end := time.Now().Add(time.Second); ; {
		out, err = s.cfg.Jobs.Run(ctx, spec, do)
		if !errors.As(err, &busy) || time.Now().After(end) || !s.settled(ctx, spec.Group) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// unfinished is why a task cannot be answered as done.
func (s *Server) unfinished(ctx context.Context, t task, out jobs.Outcome, err error) error {
	var busy *jobs.BusyError
	var known *Error
	switch {
	case !out.Over: // the work goes on; only nobody waits for it any more
		return &Error{Status: http.StatusServiceUnavailable, Key: t.key, Job: out.ID, Next: "castellan job show " + out.ID,
			Message: fmt.Sprintf("cannot tell whether it is done to %s: %v; it goes on", t.what, context.Cause(ctx))}
	case errors.As(err, &busy):
		return &Error{Status: http.StatusBadRequest, Key: KeyJobBusy, Message: busy.Error()} // Home Assistant's words, and no more
	case errors.Is(err, jobs.ErrTooMany):
		return &Error{Status: http.StatusTooManyRequests, Key: KeyJobBusy, Message: fmt.Sprintf("cannot %s: %v", t.what, err), Next: "castellan job list"}
	case errors.Is(err, jobs.ErrStopping):
		return &Error{Status: http.StatusServiceUnavailable, Key: t.key, Job: out.ID, Next: "castellan status",
			Message: fmt.Sprintf("cannot tell whether it is done to %s: %v; what was begun goes on after the next start", t.what, jobs.ErrStopping)}
	case errors.As(err, &known):
		said := *known
		if said.Job == "" {
			said.Job = out.ID
		}
		return &said
	}
	return &Error{Status: http.StatusBadRequest, Key: t.key, Job: out.ID, Message: err.Error()}
}

// JobError is an error as the job that it ended shows it.
func JobError(err error) jobs.Error {
	err = withNext(err)
	out := jobs.Error{Type: "HassioError", Message: err.Error()}
	var known *Error
	if errors.As(err, &known) {
		out.Key, out.Fields = text(known.Key), known.Extra
	}
	return out
}

// await waits for what a task began.
func (s *Server) await(ctx context.Context, j *jobs.Job, a Accepted, t task) error {
	if len(a.Changes) == 0 && len(a.Skips) > 0 {
		skip := a.Skips[0]
		e := &Error{Status: http.StatusBadRequest, Key: t.key, Message: fmt.Sprintf("cannot %s: %s", t.what, skip.Why), Next: "castellan status"}
		if skip.Code == updater.SkipUpToDate {
			e.Key = t.none
		}
		return e
	}
	for _, id := range a.Changes {
		s.keepJob(id, j.ID())
	}
	j.Accepted()
	for _, id := range a.Changes {
		c, err := s.cfg.Home.Wait(ctx, id)
		if err != nil {
			return &Error{Status: http.StatusServiceUnavailable, Key: t.key, Job: j.ID(), Next: "castellan status",
				Message: fmt.Sprintf("cannot tell whether it is done to %s: %v; it goes on", t.what, err)}
		}
		show(j, c)
		if !c.Good {
			return notGood(c, j.ID(), t.what, t.key)
		}
	}
	return nil
}

// notGood says how a change ended that is not what was asked for.
func notGood(c Change, job, what, key string) error {
	e := &Error{Status: http.StatusBadRequest, Key: key, Job: job, Next: c.Next,
		Message: fmt.Sprintf("cannot %s: it ended as %s: %s", what, strings.ReplaceAll(c.State, "-", " "), c.Why)}
	if c.Reason != "" {
		e.Key = KeyTrust
	}
	if c.From != "" && c.State == "rolled-back" {
		e.Message += "; running " + c.From + " again"
	}
	return e
}
