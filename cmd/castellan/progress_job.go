package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// lookAtJob is how long there is between two looks at a job, which tells its news four times a second.
const lookAtJob = 200 * time.Millisecond

// followJob prints a line a stage of a job, in the words of said ("" = none), and on a terminal a bar for its bytes, until it is over.
func followJob(ctx context.Context, look func(context.Context, string) (api.JobView, error), id string, said func(api.JobView) string, w io.Writer, s *screen) (api.JobView, error) {
	var r rate
	for shown := ""; ; {
		j, err := look(ctx, id)
		if err != nil {
			return j, err
		}
		text := ""
		if line := said(j); line != shown && line != "" {
			shown, text = line, line+"\n"
		}
		over := j.Done != nil && *j.Done
		if s == nil {
			_, err = io.WriteString(w, text)
		} else {
			s.draw(text, jobBars(j, &r, s.width, over))
		}
		if err != nil || over {
			return j, err
		}
		select {
		case <-ctx.Done():
			return j, &exitError{exitFailed, fmt.Errorf("stopped watching; it goes on as job %s", id), "castellan job show " + id}
		case <-time.After(lookAtJob):
		}
	}
}

// jobBars is the bar of a job that counts bytes and has some left.
func jobBars(j api.JobView, r *rate, width int, over bool) []string {
	done, ok := j.Extra["current"].(float64) // as JSON has numbers
	total, also := j.Extra["total"].(float64)
	if !ok || !also || over || total <= 0 || done >= total {
		return nil
	}
	r.add(time.Now(), int64(done))
	return []string{r.bar(partOf(j), int64(done), int64(total), width)}
}

// partOf is what of a job is being done: the newest of its parts that is not over, "" = none.
func partOf(j api.JobView) string {
	for i := len(j.Children) - 1; i >= 0; i-- {
		if c := j.Children[i]; c.Done != nil && !*c.Done {
			return plain(value(c.Reference))
		}
	}
	return ""
}
