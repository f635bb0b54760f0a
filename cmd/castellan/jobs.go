package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/jobs"
	"github.com/castellan/castellan/supervisor/state"
)

// jobBucket of the journal keeps which job a change belongs to, and which conditions are switched off.
const (
	jobBucket  = "job"
	jobIgnored = "ignored"
	jobChange  = "change/" // and the change's ID
)

// jobsWithin is how long the work of jobs may take to notice that the daemon stops.
const jobsWithin = 5 * time.Second

// openJobs makes the manager of jobs, with what an earlier run kept. Their work ends with ctx.
func (h *house) openJobs(ctx context.Context) error {
	notes, ignored, err := openJobNotes(h.journal, h.remembered)
	if err != nil {
		return err
	}
	h.jobIDs = notes
	h.jobs = jobs.New(ctx, jobs.Config{Observe: h.news.job, Describe: api.JobError, Ignored: ignored, KeepIgnored: notes.keepIgnored,
		Log: h.log.With("part", "jobs")})
	if len(ignored) > 0 {
		h.log.Warn("conditions of jobs are switched off", "conditions", ignored)
	}
	return nil
}

// remembered are the changes that the journal holds.
func (h *house) remembered() (map[string]bool, error) {
	changes, err := h.manager.Changes()
	out := map[string]bool{}
	for _, c := range changes {
		out[c.ID] = true
	}
	return out, err
}

// adoptJobs makes jobs of the changes that an earlier run of the daemon began.
func (h *house) adoptJobs() error {
	changes, err := h.manager.Changes()
	if err != nil {
		return err
	}
	for _, c := range changes {
		if !c.Resting() {
			h.api.Moved(h.change(c), c.Service.Name == h.coreName())
		}
	}
	return nil
}

// coreName is the service that the API shows as Home Assistant Core, "" = there is none.
func (h *house) coreName() string {
	if core := (haView{h}).Core(); core != nil {
		return core.Service()
	}
	return ""
}

// mostJobNotes is how many jobs are kept before those of forgotten changes go.
const mostJobNotes = 1000

// jobNotes is the journal's bucket.
type jobNotes struct {
	journal    *state.Journal
	remembered func() (map[string]bool, error) // changes

	mu sync.Mutex
	of map[string]string // job, by change
}

var _ api.JobIDs = (*jobNotes)(nil)

// openJobNotes reads what was kept, and forgets jobs whose changes are forgotten.
func openJobNotes(journal *state.Journal, remembered func() (map[string]bool, error)) (n *jobNotes, ignored []string, err error) {
	n = &jobNotes{journal: journal, remembered: remembered, of: map[string]string{}}
	err = journal.View(func(tx *state.Tx) error {
		return tx.ForEach(jobBucket, func(key string, b []byte) error {
			if change, ok := strings.CutPrefix(key, jobChange); ok {
				n.of[change] = string(b)
			} else if key == jobIgnored && json.Unmarshal(b, &ignored) != nil {
				return fmt.Errorf("cannot read which conditions are switched off: %.80q is no list", b)
			}
			return nil
		})
	})
	if err == nil {
		err = n.forget()
	}
	return n, ignored, err
}

// forget forgets the jobs of changes that are forgotten.
func (n *jobNotes) forget() error {
	remembered, err := n.remembered()
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(slices.Collect(maps.Keys(n.of)), func(change string) bool { return remembered[change] })
	if len(old) == 0 {
		return nil
	}
	err = n.journal.Update(func(tx *state.Tx) error {
		for _, change := range old {
			if err := tx.Delete(jobBucket, jobChange+change); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		for _, change := range old {
			delete(n.of, change)
		}
	}
	return err
}

// KeepJob implements api.JobIDs.
func (n *jobNotes) KeepJob(change, job string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.of) >= mostJobNotes {
		if err := n.forget(); err != nil {
			return err
		}
	}
	if err := n.journal.Update(func(tx *state.Tx) error { return tx.Put(jobBucket, jobChange+change, []byte(job)) }); err != nil {
		return err
	}
	n.of[change] = job
	return nil
}

// JobOf implements api.JobIDs.
func (n *jobNotes) JobOf(change string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[change]
}

func (n *jobNotes) keepIgnored(list []string) error {
	b, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return n.journal.Update(func(tx *state.Tx) error { return tx.Put(jobBucket, jobIgnored, b) })
}

// endJobs waits a moment for work that ends with the daemon. What does not is cut: it is a change's, which the journal knows.
func (h *house) endJobs() {
	if h.jobs == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), jobsWithin)
	defer cancel()
	if err := h.jobs.Wait(ctx); err != nil {
		h.log.Warn("the daemon ends while jobs are under way", "error", err)
	}
}
