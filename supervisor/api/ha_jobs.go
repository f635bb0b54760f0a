package api

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"
)

// jobRoutes are Home Assistant's calls about jobs, which are the changes.
var jobRoutes = []route{
	{"GET", "/jobs/info", Viewer, byDefault, "The newest changes as jobs.", ha((*Server).getJobs)},
	{"GET", "/jobs/{uuid}", Viewer, byManager, "One job.", ha((*Server).getJob)},
	{"POST", "/jobs/options", Admin, never, "Accepts an empty list: no condition can be ignored.", ha((*Server).postJobOptions)},
	{"POST", "/jobs/reset", Admin, byManager, "Makes conditions count again, which they always do.", ha(func(*Server, context.Context, Caller, none) (none, error) { return none{}, nil })},
}

// mostJobs bounds the list of jobs.
const mostJobs = 100

// JobsInfo is the answer of /jobs/info, newest first.
type JobsInfo struct {
	IgnoreConditions []string `json:"ignore_conditions"`
	Jobs             []HAJob  `json:"jobs"`
}

// HAJob is a job.
type HAJob struct {
	Name      string         `json:"name"`
	Reference *string        `json:"reference"` // add-on
	UUID      string         `json:"uuid"`
	Progress  float64        `json:"progress"` // 0 to 100
	Stage     *string        `json:"stage"`
	Done      *bool          `json:"done"`
	Created   time.Time      `json:"created"`
	Errors    []JobError     `json:"errors"`
	Extra     map[string]any `json:"extra"`
	Children  []HAJob        `json:"child_jobs"`
}

// JobError is why a job failed.
type JobError struct {
	Type     string         `json:"type"`
	Message  string         `json:"message"`
	Stage    *string        `json:"stage"`
	ErrorKey *string        `json:"error_key"`
	Extra    map[string]any `json:"extra_fields"`
}

// job is a change as Home Assistant shows it.
func job(c Change) HAJob {
	done := c.Done
	out := HAJob{Name: jobName(c), Reference: text(c.Slug), UUID: jobID(c.ID), Stage: text(c.State), Done: &done, Created: c.Created,
		Errors: []JobError{}, Children: []HAJob{}, Extra: map[string]any{"change": c.ID, "from": c.From, "to": c.To}}
	switch {
	case c.Done && c.Good:
		out.Progress = 100
	case c.Total > 0:
		out.Progress = math.Min(100, math.Round(1000*float64(c.Bytes)/float64(c.Total))/10)
	}
	if c.Done && !c.Good {
		out.Errors = append(out.Errors, JobError{Type: "HassioError", Message: c.Why, Stage: text(c.State), ErrorKey: text(c.Reason)})
	}
	return out
}

func jobName(c Change) string {
	verb := map[string]string{"recreate": "rebuild", "remove": "uninstall", "rollback": "restore"}[c.Kind]
	if verb == "" {
		verb = c.Kind
	}
	if c.Slug != "" {
		return "addon_manager_" + verb
	}
	return "home_assistant_core_" + verb
}

func (s *Server) getJobs(ctx context.Context, _ Caller, _ none) (JobsInfo, error) {
	out := JobsInfo{IgnoreConditions: []string{}, Jobs: []HAJob{}}
	all, err := s.cfg.Backend.Changes(ctx)
	for _, c := range all[:min(len(all), mostJobs)] {
		out.Jobs = append(out.Jobs, job(c))
	}
	return out, err
}

func (s *Server) getJob(ctx context.Context, _ Caller, in messageIn) (HAJob, error) {
	all, err := s.cfg.Backend.Changes(ctx)
	for _, c := range all {
		if jobID(c.ID) == in.UUID {
			return job(c), nil
		}
	}
	if err == nil {
		err = &Error{Status: http.StatusNotFound, Key: KeyNoJob, Message: fmt.Sprintf("no job %.40q is known", in.UUID), Next: "castellan status"}
	}
	return HAJob{}, err
}

// JobOptions is the body of /jobs/options.
type JobOptions struct {
	IgnoreConditions []string `json:"ignore_conditions,omitempty"`
}

func (s *Server) postJobOptions(_ context.Context, _ Caller, in about[JobOptions]) (none, error) {
	if len(in.Body.IgnoreConditions) > 0 {
		return none{}, &Error{Status: http.StatusBadRequest, Key: "not_supported", Message: "cannot ignore conditions: they keep the appliance from harm",
			Next: "see what holds an update back: castellan status"}
	}
	return none{}, nil
}
