package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"

	"github.com/castellan/castellan/supervisor/jobs"
)

// jobRoutes are the calls about jobs: Home Assistant's, and ours, which need no Home Assistant.
var jobRoutes = []route{
	{"GET", "/jobs/info", Viewer, byDefault, "All jobs, those that ended of late too, and the conditions that are switched off.", ha((*Server).getJobs)},
	{"GET", "/jobs/{uuid}", Viewer, byManager, "One job.", ha((*Server).getJob)},
	{"DELETE", "/jobs/{uuid}", Operator, byManager, "Forgets a job that is over.", ha((*Server).deleteJob)},
	{"POST", "/jobs/options", Admin, never, "Switches conditions off, durably. Trust is none of them.", ha((*Server).postJobOptions)},
	{"POST", "/jobs/reset", Admin, byManager, "Makes all conditions count again.", ha((*Server).postJobReset)},
	{"GET", "/castellan/jobs", Viewer, never, "All jobs, those that ended of late too.", call((*Server).getJobs)},
	{"GET", "/castellan/jobs/{uuid}", Viewer, never, "One job.", call((*Server).getJob)},
	{"POST", "/castellan/jobs/{uuid}/cancel", Operator, never, "Ends a job that can be interrupted, or waits for its turn.", call((*Server).postJobCancel)},
}

// JobView is a job with all below it, as Home Assistant gives one.
type JobView = jobs.View

// JobsInfo is the answer of /jobs/info, newest first.
type JobsInfo struct {
	IgnoreConditions []string  `json:"ignore_conditions"`
	Jobs             []JobView `json:"jobs"`
}

func (s *Server) getJobs(context.Context, Caller, none) (JobsInfo, error) {
	return JobsInfo{IgnoreConditions: append([]string{}, s.cfg.Jobs.Ignored()...), Jobs: s.cfg.Jobs.List()}, nil
}

func (s *Server) getJob(ctx context.Context, _ Caller, in messageIn) (JobView, error) {
	v, err := s.cfg.Jobs.Get(in.UUID)
	if err == nil {
		return v, nil
	}
	// An earlier run of the daemon knew it: the change that it was about says how it ended.
	all, err := s.cfg.Backend.Changes(ctx)
	for _, c := range all {
		if s.jobOf(c.ID) == in.UUID || jobID(c.ID) == in.UUID {
			return s.asJob(c, in.UUID), nil
		}
	}
	if err == nil {
		err = noJob(in.UUID)
	}
	return JobView{}, err
}

func noJob(id string) error {
	return &Error{Status: http.StatusNotFound, Key: KeyNoJob, Message: fmt.Sprintf("no job %.40q is known", id), Next: "castellan job list"}
}

// asJob is a change as the job it was.
func (s *Server) asJob(c Change, id string) JobView {
	core := s.cfg.Home != nil && s.cfg.Home.Core() != nil && s.cfg.Home.Core().Service() == c.Service
	about, done := c.Slug, c.Done
	if about == "" {
		about = c.Service
	}
	out := JobView{Fields: jobs.Fields{Name: jobName(c, core), Reference: &about, UUID: id, Stage: text(c.State), Done: &done, Errors: []jobs.Error{},
		Created: c.Created.UTC().Format(jobs.TimeLayout), Extra: extraOf(c)}, Children: []JobView{}}
	switch {
	case c.Done && c.Good:
		out.Progress = 100
	case c.Total > 0:
		out.Progress = jobs.Percent(math.Min(99, math.Floor(1000*float64(c.Bytes)/float64(c.Total))/10))
	}
	if c.Done && !c.Good {
		e := JobError(notGood(c, id, c.Kind+" "+about, ""))
		e.Stage = text(c.State)
		out.Errors = append(out.Errors, e)
	}
	return out
}

func (s *Server) deleteJob(_ context.Context, _ Caller, in messageIn) (none, error) {
	return none{}, jobRefusal(in.UUID, s.cfg.Jobs.Delete(in.UUID))
}

func (s *Server) postJobCancel(_ context.Context, _ Caller, in messageIn) (none, error) {
	return none{}, jobRefusal(in.UUID, s.cfg.Jobs.Cancel(in.UUID))
}

// jobRefusal gives an error of the manager of jobs its status.
func jobRefusal(id string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jobs.ErrNotFound):
		return noJob(id)
	}
	return &Error{Status: http.StatusBadRequest, Key: "job_not_done", Message: err.Error(), Next: "castellan job show " + id}
}

// JobOptions is the body of /jobs/options; without ignore_conditions nothing changes.
type JobOptions struct {
	IgnoreConditions []string `json:"ignore_conditions,omitempty"`
}

func (s *Server) postJobOptions(ctx context.Context, c Caller, in about[JobOptions]) (none, error) {
	if in.Body.IgnoreConditions == nil {
		return none{}, nil
	}
	if err := s.cfg.Jobs.Ignore(in.Body.IgnoreConditions); err != nil {
		return none{}, badRequest("%v", err)
	}
	s.cfg.Log.Warn("conditions of jobs are switched off", "conditions", s.cfg.Jobs.Ignored(), "caller", c.String())
	s.reviewOrWarn(ctx)
	return none{}, nil
}

func (s *Server) postJobReset(ctx context.Context, _ Caller, _ none) (none, error) {
	if err := s.cfg.Jobs.Reset(); err != nil {
		return none{}, err
	}
	s.reviewOrWarn(ctx)
	return none{}, nil
}
