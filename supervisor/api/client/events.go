package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// Jobs lists jobs, newest first.
func (c *Client) Jobs(ctx context.Context) (api.JobsInfo, error) {
	return call[api.JobsInfo](ctx, c, "GET", "/castellan/jobs", nil)
}

// Job asks for one job.
func (c *Client) Job(ctx context.Context, id string) (api.JobView, error) {
	return call[api.JobView](ctx, c, "GET", "/castellan/jobs/"+url.PathEscape(id), nil)
}

// CancelJob ends a job that can be interrupted.
func (c *Client) CancelJob(ctx context.Context, id string) error {
	_, err := call[struct{}](ctx, c, "POST", "/castellan/jobs/"+url.PathEscape(id)+"/cancel", nil)
	return err
}

// Event is something that happened. Name is its topic, or "reset" when events were missed, or "dropped" when the stream ends
// there.
type Event struct {
	ID   string          `json:"id"`
	Name string          `json:"event"`
	Data json.RawMessage `json:"data"`
}

// maxEvent bounds a line of a stream, in bytes.
const maxEvent = 1 << 20

// Events yields what happens, of some topics or all, from the event after last on ("" = from now on). It ends with ctx, with an
// error when the daemon ends the stream; whoever goes on then does so after the newest ID. An event without a name is a sign
// of life that moves the ID alone.
func (c *Client) Events(ctx context.Context, topics []string, last string) (iter.Seq2[Event, error], error) {
	q := url.Values{}
	if len(topics) > 0 {
		q.Set("topics", strings.Join(topics, ","))
	}
	req, err := http.NewRequestWithContext(ctx, "GET", c.base+"/castellan/events?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		err = c.read(resp, new(struct{}))
		return nil, err
	}
	if media := resp.Header.Get("Content-Type"); !strings.HasPrefix(media, "text/event-stream") { // another program, which has no end either
		defer resp.Body.Close()
		return nil, fmt.Errorf("cannot read the answer of %s: it is %.40q, and no stream of events", c.at, media)
	}
	return func(yield func(Event, error) bool) {
		defer resp.Body.Close()
		err := readEvents(resp.Body, func(e Event) bool { return yield(e, nil) })
		if err != nil && ctx.Err() == nil {
			yield(Event{}, fmt.Errorf("%w: the stream of events ended: %w", ErrNotReachable, err))
		}
	}, nil
}

// readEvents reads a stream (WHATWG HTML §9.2.6) until its end, which is an error, or until tell wants no more.
func readEvents(r io.Reader, tell func(Event) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 4096), maxEvent)
	var e Event
	told := true
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			e.ID, told = value, false
		case "event":
			e.Name, told = value, false
		case "data":
			if e.Data != nil {
				e.Data = append(e.Data, '\n')
			}
			e.Data, told = append(e.Data, value...), false
		}
		if lines.Text() != "" || told {
			continue
		}
		if !tell(e) {
			return nil
		}
		e, told = Event{ID: e.ID}, true
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("the daemon ended it")
}
